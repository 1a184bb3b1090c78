package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// unreachable is what npm and go say when there is no way to a registry.
var unreachable = regexp.MustCompile(`ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|` +
	`dial tcp|no such host|i/o timeout|TLS handshake timeout|module lookup disabled|deadline exceeded`)

// ready makes a subject, or skips the test where something for it is missing.
func ready(t *testing.T, name string) subject {
	t.Helper()
	k, ok := kindOf(name)
	if !ok {
		t.Fatalf("no subject %q", name)
	}
	if name == "express" {
		if _, err := lookNode(); err != nil {
			t.Skip(err)
		}
	}
	p, err := k.find(t.Context(), options{}, t.TempDir())
	switch {
	case err != nil && (k.make == nil || unreachable.MatchString(err.Error())):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return subject{kind: k, program: p, label: name}
}

// service is a server behind a subject, which keeps what it was asked last.
type service struct {
	*httptest.Server
	last *http.Request
}

func newService(t *testing.T) *service {
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s.last = r
		w.Header().Set("X-Powered-By", "somebody")
		w.Header().Set("X-Request-ID", "of the service")
		w.Header().Set("ETag", `"1"`)
		_, _ = io.WriteString(w, strings.Repeat("x", 200))
	}))
	t.Cleanup(s.Close)
	return s
}

// run starts a subject before the service and returns its address.
func (s *service) run(t *testing.T, sub subject, set settings, c conf) string {
	t.Helper()
	set.Conf, set.MaxConns, set.Upstream = c, 100, netip.MustParseAddrPort(s.Listener.Addr().String())
	p, err := choosePlaces(0)
	if err != nil {
		t.Fatal(err)
	}
	probe := idleSpec{traffic: traffic{Request: chainRequest().bytes()}, Want: ok(200)}
	if set.TLS != nil {
		probe.Protocol, probe.Trust = overTLS, set.TLS.Cert
	}
	sub.warm = 0
	r, err := sub.start(context.WithoutCancel(t.Context()), p.subject, t.TempDir(), set, probe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return r.addr.String()
}

// send makes a request of the chain.
func send(t *testing.T, addr, method, token string, fields map[string]string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+chainPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for name, value := range fields {
		r.Header.Set(name, value)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer
}

func TestExpressGuards(t *testing.T) {
	s := newService(t)
	few := within()
	few.flood, few.floodTold = quota{40, time.Hour}, true
	addr := s.run(t, ready(t, "express"), settings{}, expressLimits(few))
	now := time.Now()
	with := func(change func(*claims)) string {
		c := technician(now)
		change(&c)
		return c.sign(tokenSecret)
	}
	good := technician(now).sign(tokenSecret)
	for name, c := range map[string]struct {
		token  string
		status int
	}{
		"good":            {good, 200},
		"none":            {"", 401},
		"signature":       {technician(now).sign("another secret"), 401},
		"no algorithm":    {"eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".", 401},
		"expired":         {with(func(c *claims) { c.Expires = now.Add(-time.Minute).Unix() }), 401},
		"issuer":          {with(func(c *claims) { c.Issuer = "x" }), 401},
		"audience":        {with(func(c *claims) { c.Audience = "x" }), 401},
		"role too low":    {with(func(c *claims) { c.Role = "technician_l1" }), 403},
		"role just right": {with(func(c *claims) { c.Role = minRole }), 200},
		"unknown role":    {with(func(c *claims) { c.Role = "boss" }), 403},
	} {
		if got := send(t, addr, "GET", c.token, nil).StatusCode; got != c.status {
			t.Errorf("%s: status %d, want %d", name, got, c.status)
		}
	}
	for range few.flood.limit {
		answer := send(t, addr, "GET", good, nil)
		if answer.StatusCode == 429 {
			return
		}
	}
	t.Errorf("nobody was refused after %d requests", few.flood.limit)
}

func TestExpressAnswersAndAsks(t *testing.T) {
	s := newService(t)
	addr := s.run(t, ready(t, "express"), settings{}, expressLimits(within()))
	a := send(t, addr, "GET", technician(time.Now()).sign(tokenSecret), map[string]string{
		"Origin": chainOrigin, "X-User-ID": "somebody else", "X-Request-ID": "mine",
	})
	want := [][2]string{
		{"Access-Control-Allow-Origin", chainOrigin}, {"Access-Control-Allow-Credentials", "true"}, {"Vary", "Origin"},
		{"RateLimit-Limit", fmt.Sprint(never)}, {"X-Powered-By", ""}, {"ETag", `"1"`}, {"Strict-Transport-Security", ""},
	}
	for _, f := range append(want, securityHeaders()...) {
		if got := a.Header.Get(f[0]); got != f[1] {
			t.Errorf("%s is %q, want %q", f[0], got, f[1])
		}
	}
	if left := a.Header.Get("RateLimit-Remaining"); left == "" || left == fmt.Sprint(never) {
		t.Errorf("RateLimit-Remaining is %q: it counts nothing", left)
	}
	id := a.Header.Get("X-Request-ID")
	if len(id) != 36 || s.last.Header.Get("X-Request-ID") != id {
		t.Errorf("request ID %q, for the service %q", id, s.last.Header.Get("X-Request-ID"))
	}
	caller := technician(time.Now())
	for name, want := range map[string]string{"X-User-ID": caller.Subject, "X-User-Email": caller.Email, "X-User-Role": caller.Role, "X-Tenant-ID": caller.Tenant} {
		if got := s.last.Header.Get(name); got != want {
			t.Errorf("the service got %s %q, want %q", name, got, want)
		}
	}
	if a := send(t, addr, "GET", "", map[string]string{"Origin": "https://evil.example"}); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("every page may read the answers")
	}
}

// Who is said to keep a log keeps one, with a line for each request.
func TestOthersLog(t *testing.T) {
	for name, c := range loggedOthers() {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			sub := ready(t, name)
			home := t.TempDir()
			p, err := choosePlaces(0)
			if err != nil {
				t.Fatal(err)
			}
			set := settings{Conf: c, MaxConns: 100, Upstream: netip.MustParseAddrPort(s.Listener.Addr().String())}
			sub.warm = 0
			r, err := sub.start(context.WithoutCancel(t.Context()), p.subject, home, set, idleSpec{traffic: traffic{Request: chainRequest().bytes()}, Want: ok(200)})
			if err != nil {
				t.Fatal(err)
			}
			defer r.stop()
			for end := time.Now().Add(readyTime); ; {
				data, _ := os.ReadFile(filepath.Join(home, name, "access.log"))
				if strings.Contains(string(data), chainPath) {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("no line in the log: %q", data)
				}
				send(t, r.addr.String(), "GET", "", nil)
			}
		})
	}
}

func TestOthersSpeakTLS(t *testing.T) {
	for name := range bareOthers() {
		t.Run(name, func(t *testing.T) {
			certificate, err := newCertificate(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			sub := ready(t, name)
			addr := newService(t).run(t, sub, settings{TLS: certificate}, conf{})
			want := http2
			if sub.noH2 {
				want = overTLS
			}
			parsed := netip.MustParseAddrPort(addr)
			if err := ask(idleSpec{traffic: traffic{Protocol: want, Request: chainRequest().bytes(), Trust: certificate.Cert}, Address: parsed, Want: ok(200)}); err != nil {
				t.Error(err)
			}
		})
	}
}

// What Caddy is measured with has to load, where it is installed.
func TestCaddyLoads(t *testing.T) {
	path, err := lookProgram("caddy")
	if err != nil {
		t.Skip(err)
	}
	everyone(func(c benchCase, e entrant) {
		if e.name != "caddy" {
			return
		}
		t.Run(c.Name+"/"+e.label, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), path, "validate", "--adapter", "caddyfile", "--config", render(t, c, e))
			cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
			cmd.Dir = t.TempDir()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	})
}

// What the Express gateway is measured with is JSON.
func TestExpressConfigurations(t *testing.T) {
	everyone(func(c benchCase, e entrant) {
		if e.name != "express" {
			return
		}
		t.Run(c.Name+"/"+e.label, func(t *testing.T) {
			data, err := os.ReadFile(render(t, c, e))
			if err != nil {
				t.Fatal(err)
			}
			var config map[string]any
			if err := json.Unmarshal(data, &config); err != nil {
				t.Errorf("%v\n%s", err, data)
			}
		})
	})
}

func TestWithoutNode(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var log strings.Builder
	o := options{subjects: []string{"express", "yett"}, yett: []string{"/bin/true"}}
	found, err := findSubjects(t.Context(), o, t.TempDir(), &log)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].name != "yett" {
		t.Errorf("found %v", found)
	}
	for _, want := range []string{"express is left out", "nodejs npm"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in %q", want, log.String())
		}
	}
}

func TestUnknownSubjectNamesAll(t *testing.T) {
	_, err := findSubjects(t.Context(), options{subjects: []string{"squid"}}, t.TempDir(), io.Discard)
	for _, k := range kinds() {
		if err == nil || !strings.Contains(err.Error(), k.name) {
			t.Errorf("%v does not name %s", err, k.name)
		}
	}
}

func TestDefaultSubjectsAreKnown(t *testing.T) {
	for _, name := range defaultSubjects() {
		if _, ok := kindOf(name); !ok {
			t.Errorf("nobody is %q", name)
		}
	}
}

// Who can't speak HTTP/2 takes no part in its cases.
func TestHTTP2IsForThoseWhoSpeakIt(t *testing.T) {
	everyone(func(c benchCase, e entrant) {
		if c.Protocol == http2 && (e.name == "express" || e.name == "fasthttp") {
			t.Errorf("%s: %s can't", c.Name, e.label)
		}
	})
	c := benchCase{Protocol: http2, Conf: bare()}
	if n := len(c.entrants([]subject{{kind: expressKind(), label: "express"}, {kind: peerKind("reverseproxy"), label: "reverseproxy"}})); n != 1 {
		t.Errorf("%d take part, want reverseproxy alone", n)
	}
}

// The peers are a module of their own, so its tests would run nowhere else.
func TestPeers(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "test", "-C", "peers", "./...").CombinedOutput()
	switch {
	case err != nil && unreachable.Match(out):
		t.Skipf("modules can't be fetched: %s", unreachable.Find(out))
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	}
}

// A version tells what was measured.
func TestOthersSayTheirVersion(t *testing.T) {
	for name := range bareOthers() {
		t.Run(name, func(t *testing.T) {
			got := ready(t, name).describe()
			if !strings.Contains(got, name) || !regexp.MustCompile(`\d+\.\d+`).MatchString(got) {
				t.Errorf("%q", got)
			}
		})
	}
}
