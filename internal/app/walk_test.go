package app

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"yett/internal/config"
	"yett/internal/gateway"
)

const walked = `
listeners:
  - {name: plain, address: ":3000", limits: {request_line: 100, header: 400, body: 8B}}
  - {address: "127.0.0.2:4000"}
services: {app: {targets: ["http://${TARGET}"]}}
routes:
  - {name: app, path: /**, auth: none, service: app}
  - {name: one, host: one.example, path: /**, auth: none, service: app, limits: {require_length: true}}
`

// walker makes a Walker before a service that fails the test when it is
// called.
func walker(t *testing.T) *Walker {
	t.Helper()
	service, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	called := make(chan bool)
	go func() {
		c, err := service.Accept()
		if err == nil {
			_ = c.Close()
		}
		called <- err == nil
	}()
	t.Cleanup(func() {
		_ = service.Close()
		if <-called {
			t.Error("the service was called")
		}
	})
	w, err := NewWalker(Options{File: "yett.yaml", Source: []byte(walked), Env: config.MapEnv(map[string]string{"TARGET": service.Addr().String()}), Stderr: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func (w *Walker) mustWalk(t *testing.T, r Request) *gateway.Walk {
	t.Helper()
	if !r.Peer.IsValid() {
		r.Peer = netip.MustParseAddr("192.0.2.1")
	}
	out, err := w.Walk(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What is wrong with a request is refused by the engine as on a socket.
func TestWalkReadsAsTheEngineDoes(t *testing.T) {
	w := walker(t)
	for _, tt := range []struct {
		name string
		r    Request
		want string
	}{
		{"good", Request{Method: "GET", URL: "/x"}, ""},
		{"no method", Request{Method: "G(T", URL: "/x"}, "bad_request_line"},
		{"no path", Request{Method: "GET", URL: "x"}, "bad_request_line"},
		{"blank in the path", Request{Method: "GET", URL: "/x y"}, "bad_request_line"},
		{"too long", Request{Method: "GET", URL: "/" + strings.Repeat("x", 100)}, "uri_too_long"},
		{"too large", Request{Method: "GET", URL: "/", Header: []string{"X: " + strings.Repeat("x", 400)}}, "header_too_large"},
		{"broken escape", Request{Method: "GET", URL: "/%zz"}, "bad_path"},
		{"no colon", Request{Method: "GET", URL: "/", Header: []string{"X"}}, "bad_header"},
		{"blank before the colon", Request{Method: "GET", URL: "/", Header: []string{"X : 1"}}, "bad_header"},
		{"two hosts", Request{Method: "GET", URL: "/", Header: []string{"Host: a", "Host: b"}}, "bad_host"},
		{"no host", Request{Method: "GET", URL: "http:///x"}, "bad_host"},
		{"two lengths", Request{Method: "POST", URL: "/", Header: []string{"Content-Length: 1", "Content-Length: 2"}, Body: []byte("x")}, "bad_framing"},
		{"smuggled", Request{Method: "POST", URL: "/", Header: []string{"Content-Length: 1", "Transfer-Encoding: chunked"}}, "bad_framing"},
		{"short body", Request{Method: "POST", URL: "/", Header: []string{"Content-Length: 5"}, Body: []byte("x")}, "truncated_body"},
		{"large body", Request{Method: "POST", URL: "/", Body: []byte("123456789")}, "body_too_large"},
		{"chunks", Request{Method: "POST", URL: "http://one.example/", Header: []string{"Transfer-Encoding: chunked"}, Body: []byte("0\r\n\r\n")}, "length_required"},
		{"trace", Request{Method: "TRACE", URL: "/"}, "not_implemented"},
		{"version", Request{Method: "GET", URL: "/ HTTP/3.0\r\nX: 1\r\n\r\n"}, "bad_version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if out := w.mustWalk(t, tt.r); out.Refusal != nil {
				got = out.Refusal.Reason
			}
			if got != tt.want {
				t.Errorf("refused for %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWalkRequest(t *testing.T) {
	w := walker(t)
	for _, tt := range []struct {
		r                          Request
		host, target, route, local string
	}{
		{Request{URL: "/x?a=1"}, "127.0.0.1:3000", "/x?a=1", "app", "plain"},
		{Request{URL: "http://one.example/x?a=1#b"}, "one.example", "/x?a=1", "one", "plain"},
		{Request{URL: "HTTPS://One.Example:8443"}, "One.Example:8443", "/", "one", "plain"},
		{Request{URL: "http://one.example?a=/b"}, "one.example", "/?a=/b", "one", "plain"},
		{Request{URL: "/x?u=http://one.example/"}, "127.0.0.1:3000", "/x?u=http://one.example/", "app", "plain"},
		{Request{URL: "http://one.example/x", Header: []string{"hOST: two.example"}}, "two.example", "/x", "app", "plain"},
	} {
		tt.r.Method = "GET"
		out := w.mustWalk(t, tt.r)
		r := out.Request
		if r.Host != tt.host || r.Target != tt.target || out.Route == nil || out.Route.Name != tt.route || r.Listener != tt.local || r.Version != "HTTP/1.1" {
			t.Errorf("%s: %+v on route %+v", tt.r.URL, r, out.Route)
		}
	}
	out := w.mustWalk(t, Request{Method: "POST", URL: "/x", Body: []byte("1234"), Peer: netip.MustParseAddr("2001:db8::1")})
	if f := out.Sent.Fields[len(out.Sent.Fields)-1]; f.Name != "Content-Length" || f.Value != "4" || out.Client.Peer != "2001:db8::1" {
		t.Errorf("%+v from %+v", out.Sent, out.Client)
	}
}

func TestWalkListener(t *testing.T) {
	w := walker(t)
	peer := netip.MustParseAddr("192.0.2.1")
	if _, err := w.Walk(Request{Method: "GET", URL: "/", Peer: peer, Listener: "plein"}); err == nil || err.Error() != `there is no listener "plein"; did you mean "plain"?` {
		t.Error(err)
	}
	if out := w.mustWalk(t, Request{Method: "GET", URL: "/", Listener: "plain"}); !out.Passes() {
		t.Errorf("%+v", out.Refusal)
	}
}
