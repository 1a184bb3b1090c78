package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"yett/internal/app"
)

func TestRequestsAreValid(t *testing.T) {
	for _, c := range cases() {
		t.Run(c.Name, func(t *testing.T) {
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(c.Request.bytes())))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			size := c.Request.Body + len(c.Request.JSON)
			if r.Method != c.Request.Method || r.URL.RequestURI() != c.Request.Path || len(body) != size {
				t.Errorf("%s %s with %d bytes, want %s %s with %d",
					r.Method, r.URL.RequestURI(), len(body), c.Request.Method, c.Request.Path, size)
			}
			if r.Host == "" || len(r.Header) < 7 {
				t.Errorf("host %q and %d fields: not a realistic request", r.Host, len(r.Header))
			}
			switch got := r.Header.Get("Authorization"); {
			case c.Request.Anonymous && got != "":
				t.Errorf("Authorization is %q", got)
			case c.Request.Token != nil && got != "Bearer "+c.Request.Token():
				t.Errorf("Authorization is %q, want the token", got)
			case !c.Request.Anonymous && c.Request.Authorization == "" && c.Request.Token == nil && len(got) != 300:
				t.Errorf("Authorization of %d bytes, want 300", len(got))
			case c.Request.Authorization != "" && !c.Request.Anonymous && got != c.Request.Authorization:
				t.Errorf("Authorization is %q, want %q", got, c.Request.Authorization)
			}
		})
	}
}

func TestRequestOwnFields(t *testing.T) {
	text := string(request{Method: "GET", Path: "/", Authorization: "Basic x", Header: []string{"X-A: 1"}}.bytes())
	for _, want := range []string{"\r\nAuthorization: Basic x\r\n", "\r\nX-A: 1\r\n"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not once in %q", want, text)
		}
	}
}

func TestOriginAnswersCases(t *testing.T) {
	o := testOrigin()
	for _, c := range cases() {
		t.Run(c.Name, func(t *testing.T) {
			line, _, _ := strings.Cut(string(c.Request.bytes()), "\r\n")
			r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(o.find([]byte(line)))), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			want := c.Want
			for _, v := range c.Variants { // who refuses does not ask the origin; who forwards does
				if want.Status/100 != 2 {
					want = v.Want
				}
			}
			if r.StatusCode != want.Status || int64(len(body)) != want.Body {
				t.Errorf("status %d with %d bytes, want %+v", r.StatusCode, len(body), want)
			}
			for _, name := range []string{"Content-Type", "Date", "Server", "ETag"} {
				if r.Header.Get(name) == "" {
					t.Errorf("no %s in the answer", name)
				}
			}
		})
	}
	if got := statusOf(o.find([]byte("GET /nothing HTTP/1.1"))); got != 404 {
		t.Errorf("unknown path: status %d, want 404", got)
	}
}

// everyone is one subject of each kind, as entrants of all cases.
func everyone(visit func(c benchCase, e entrant)) {
	var subjects []subject
	for _, k := range kinds() {
		subjects = append(subjects, subject{kind: k, label: k.name})
	}
	for _, c := range cases() {
		for _, e := range c.entrants(subjects) {
			visit(c, e)
		}
	}
}

// render writes the configuration of an entrant and returns its file.
func render(t *testing.T, c benchCase, e entrant) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, e.config)
	set := settings{Port: 4711, Upstream: netip.MustParseAddrPort("127.0.0.1:4712"), MaxConns: 100, Files: 1000, Conf: e.conf}
	if e.conf.Redis {
		set.Redis = 4713
	}
	if c.Protocol.secure() {
		var err error
		if set.TLS, err = newCertificate(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.writeConfig(file, set); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConfigurationsRender(t *testing.T) {
	everyone(func(c benchCase, e entrant) {
		if e.config == "" {
			return
		}
		t.Run(c.Name+"/"+e.label, func(t *testing.T) {
			data, err := os.ReadFile(render(t, c, e))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range append(strings.Split(e.conf.Top+"\n"+e.conf.Route+"\n"+e.conf.Tables, "\n"), ":4711", "127.0.0.1:4712") {
				if !strings.Contains(string(data), want) {
					t.Errorf("no %q in\n%s", want, data)
				}
			}
			if got := strings.Contains(string(data), "port: 4713"); got != e.conf.Redis {
				t.Errorf("a store in Redis is %t, want %t, in\n%s", got, e.conf.Redis, data)
			}
		})
	})
}

// What Yett is measured with has to load.
func TestYettLoads(t *testing.T) {
	everyone(func(c benchCase, e entrant) {
		if e.name != "yett" {
			return
		}
		t.Run(c.Name+"/"+e.label, func(t *testing.T) {
			if _, err := app.Check(app.Options{File: render(t, c, e)}); err != nil {
				t.Error(err)
			}
		})
	})
}

// What nginx is measured with has to load, where it is installed.
func TestNginxLoads(t *testing.T) {
	path, err := lookProgram("nginx")
	if err != nil {
		t.Skip(err)
	}
	everyone(func(c benchCase, e entrant) {
		if e.name != "nginx" {
			return
		}
		t.Run(c.Name+"/"+e.label, func(t *testing.T) {
			args := append(e.kind.args(render(t, c, e), settings{}), "-t")
			if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	})
}

// What HAProxy is measured with has to load, where it is installed.
func TestHAProxyLoads(t *testing.T) {
	path, err := lookProgram("haproxy")
	if err != nil {
		t.Skip(err)
	}
	everyone(func(c benchCase, e entrant) {
		if e.name != "haproxy" {
			return
		}
		t.Run(c.Name+"/"+e.label, func(t *testing.T) {
			config := render(t, c, e)
			cmd := exec.CommandContext(t.Context(), path, "-c", "-f", config)
			cmd.Dir = filepath.Dir(config)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	})
}

func TestEntrants(t *testing.T) {
	special := answer{Status: 401, Body: anySize}
	c := benchCase{
		Want: ok(7), Conf: map[string]conf{"yett": {Top: "chain"}},
		Variants: []variant{{Of: "yett", Name: "plain", Conf: conf{Top: "plain"}, Want: special}, {Of: "nginx", Name: "plain"}, {Of: "haproxy", Name: "x"}},
	}
	subjects := []subject{{kind: kind{name: "yett"}, label: "yett"}, {kind: kind{name: "nginx"}, label: "nginx"}, {kind: kind{name: "yett"}, label: "yett#2"}}
	var got []string
	for _, e := range c.entrants(subjects) {
		got = append(got, fmt.Sprintf("%s %s %d", e.label, e.conf.Top, e.want.Status))
	}
	want := []string{"yett chain 200", "yett (plain) plain 401", "nginx (plain)  200", "yett#2 chain 200", "yett#2 (plain) plain 401"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if subjects[0].label != "yett" {
		t.Error("a variant renamed its subject")
	}
}

// The targets of a case name what takes part in it: one that doesn't would never
// be measured.
func TestTargetsTakePart(t *testing.T) {
	part := make(map[string]bool)
	everyone(func(c benchCase, e entrant) { part[c.Name+" "+e.label] = true })
	for _, c := range cases() {
		for _, target := range c.Targets {
			for _, label := range []string{target.Subject, target.Against} {
				if !part[c.Name+" "+label] {
					t.Errorf("%s: nobody is %q", c.Name, label)
				}
			}
		}
	}
}

func TestWorkerConnsLeaveASixteenthFree(t *testing.T) {
	for _, conns := range []int{1, 64, 10000, 12345} {
		set := settings{MaxConns: conns}
		n := set.WorkerConns()
		conns += set.Upstreams()
		if free := n - conns; free < n/16 {
			t.Errorf("%d slots for %d connections leave %d free, want %d", n, conns, free, n/16)
		}
	}
}

func TestIndent(t *testing.T) {
	if got, want := indent(2, "a\n\n b"), "  a\n\n   b"; got != want {
		t.Errorf("indent = %q, want %q", got, want)
	}
}
