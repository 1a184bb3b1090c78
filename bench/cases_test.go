package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
			if r.Method != c.Request.Method || r.URL.Path != c.Request.Path || len(body) != c.Request.Body {
				t.Errorf("%s %s with %d bytes, want %s %s with %d",
					r.Method, r.URL.Path, len(body), c.Request.Method, c.Request.Path, c.Request.Body)
			}
			if r.Host == "" || len(r.Header) < 7 {
				t.Errorf("host %q and %d fields: not a realistic request", r.Host, len(r.Header))
			}
			if got := len(r.Header.Get("Authorization")); got != 300 {
				t.Errorf("Authorization of %d bytes, want 300", got)
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
			if r.StatusCode != http.StatusOK || int64(len(body)) != c.Want {
				t.Errorf("status %d with %d bytes, want 200 with %d", r.StatusCode, len(body), c.Want)
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

func TestConfigurationsRender(t *testing.T) {
	for _, c := range cases() {
		for name, conf := range c.Conf {
			t.Run(c.Name+"/"+name, func(t *testing.T) {
				k, ok := kindOf(name)
				if !ok {
					t.Fatalf("no subject %q", name)
				}
				file := filepath.Join(t.TempDir(), k.config)
				set := settings{Port: 4711, Upstream: netip.MustParseAddrPort("127.0.0.1:4712"), MaxConns: 100, Conf: conf}
				if err := (subject{kind: k}).writeConfig(file, set); err != nil {
					t.Fatal(err)
				}
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				for _, want := range append(strings.Split(conf.Top+"\n"+conf.Route, "\n"), "127.0.0.1:4711", "127.0.0.1:4712") {
					if !strings.Contains(string(data), want) {
						t.Errorf("no %q in\n%s", want, data)
					}
				}
			})
		}
	}
}

func TestWorkerConnsLeaveASixteenthFree(t *testing.T) {
	for _, conns := range []int{1, 64, 10000, 12345} {
		n := settings{MaxConns: conns}.WorkerConns()
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
