package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"yett/internal/config"
)

func TestHealthOfURL(t *testing.T) {
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/draining", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ready", http.StatusFound) })
	mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { <-release })
	server := httptest.NewServer(mux)
	defer server.Close()
	defer close(release)
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, test := range []struct {
		url  string
		code int
		want string
	}{
		{server.URL + "/ready", exitOK, "healthy: " + server.URL + "/ready answers 200 OK\n"},
		{server.URL + "/draining", exitFail, "yett: not healthy: " + server.URL + "/draining answers 503 Service Unavailable\n"},
		{server.URL + "/moved", exitFail, "answers 302 Found\n"},
		{server.URL + "/slow", exitFail, "deadline exceeded\n"},
		{gone.URL, exitFail, "connection refused\n"},
		{"http://127.0.0.1:port/", exitFail, "invalid port"},
	} {
		got := call(t, nil, "health", "--url", test.url, "--timeout", "2s")
		text := got.stdout + got.stderr
		if got.code != test.code || !strings.Contains(text, test.want) || strings.Count(text, "\n") != 1 {
			t.Errorf("%s: %+v, want %d and %q in one line", test.url, got, test.code, test.want)
		}
	}
}

// serveAt answers like a gateway that is asked for one host, over whatever
// protocols the server has been given, and returns its port.
func serveAt(t *testing.T, wantHost string, prepare func(*httptest.Server)) (port string) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ready" || wantHost != "" && r.Host != wantHost {
			http.NotFound(w, r)
		}
	}))
	prepare(server)
	if server.URL == "" {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server.URL[strings.LastIndexByte(server.URL, ':')+1:]
}

func TestHealthByConfig(t *testing.T) {
	plain := func(*httptest.Server) {}
	h2c := func(s *httptest.Server) {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
	}
	for _, test := range []struct {
		name, wantHost string
		prepare        func(*httptest.Server)
		listener       string
		route          string
	}{
		{"every address", "", plain, `{address: ":PORT"}`, `{name: r, path: /ready, auth: none, endpoint: ready}`},
		{"IPv6 wildcard", "", plain, `{address: "[::]:PORT"}`, `{name: r, path: /ready, auth: none, endpoint: ready}`},
		{"one host", "api.example.org", plain, `{address: "127.0.0.1:PORT"}`, `{name: r, host: api.example.org, path: ["/{x}", /ready], auth: none, endpoint: ready}`},
		{"any of many hosts", "ready.example.org", plain, `{address: "127.0.0.1:PORT"}`, `{name: r, host: "*.example.org", path: /ready, auth: none, endpoint: ready}`},
		{"HTTP/2 alone", "", h2c, `{address: "127.0.0.1:PORT", protocols: [h2c]}`, `{name: r, path: /ready, auth: none, endpoint: ready}`},
		{"health where there is no ready", "", plain, `{address: "127.0.0.1:PORT"}`, `{name: r, path: /ready, auth: none, endpoint: health}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			port := serveAt(t, test.wantHost, test.prepare)
			text := "listeners: [" + test.listener + "]\nroutes: [" + test.route + "]\n"
			if got := call(t, nil, "health", "-c", file(t, strings.ReplaceAll(text, "PORT", port))); got.code != exitOK {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestHealthOverTLS(t *testing.T) {
	port := serveAt(t, "", (*httptest.Server).StartTLS)
	c := &config.Config{
		Listeners: []config.Listener{{Address: "127.0.0.1:" + port, TLS: &config.TLS{}}},
		Routes:    []config.Route{{Path: []string{"/ready"}, Endpoint: "ready"}},
	}
	p, err := newProbe(c)
	if err != nil {
		t.Fatal(err)
	}
	if status, err := p.ask(t.Context()); err != nil {
		t.Errorf("%s: %q, %v", p.url, status, err)
	}
}

func TestNobodyToAsk(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"a free port", "listeners: [{address: \":0\"}]\nroutes: [{name: r, path: /ready, auth: none, endpoint: ready}]", "--url"},
		{"no such route", "listeners: [{address: \":1\"}]\nroutes: [{name: r, path: /x, auth: none, service: s}]", "no route has the endpoint ready or health"},
		{"only with values", "listeners: [{address: \":1\"}]\nroutes: [{name: r, path: \"/{x}\", auth: none, endpoint: ready}]", "no route has the endpoint"},
		{"a mistake", wrong, "1 problem; nobody was asked"},
	} {
		if got := call(t, nil, "health", "-c", file(t, test.text)); got.code != exitFail || !strings.Contains(got.stderr, test.want) {
			t.Errorf("%s: %+v, want %q", test.name, got, test.want)
		}
	}
}
