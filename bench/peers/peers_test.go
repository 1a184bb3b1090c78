package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var names = []string{"reverseproxy", "fasthttp"}

// start runs a proxy before a service and returns its address.
func start(t *testing.T, o options, service http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(service)
	t.Cleanup(s.Close)
	o.upstream, o.conns = s.Listener.Addr().String(), 16
	p, err := newProxy(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if o.cert != "" {
			_ = p.ServeTLS(l, o.cert, o.key)
		} else {
			_ = p.Serve(l)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// exchange makes a request through a proxy, and returns what the service got and
// what the client got.
func exchange(t *testing.T, o options, method, target, body string, fields http.Header) (got *http.Request, content string, answer *http.Response) {
	t.Helper()
	addr := start(t, o, func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		got, content = r, string(data)
		for _, f := range [][2]string{{"Server", "origin"}, {"X-Custom", "kept"}, {"ETag", `"1"`}, {"Keep-Alive", "timeout=5"}, {"X-Hop", "1"}, {"Connection", "X-Hop"}} {
			w.Header().Add(f[0], f[1])
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "the answer")
	})
	q, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Host = "bench.example.com"
	for name, values := range fields {
		q.Header[name] = values
	}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	answer, err = transport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != "the answer" {
		t.Errorf("body %q", data)
	}
	return got, content, answer
}

func TestForwards(t *testing.T) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			body := strings.Repeat("u", 64<<10)
			got, content, answer := exchange(t, options{name: name}, "POST", "/a//b%2Fc?x=1&y=%20", body, http.Header{
				"Authorization": {"Bearer abc"}, "Accept-Encoding": {"gzip, br"}, "X-Custom": {"one", "two"},
			})
			if got.Method != "POST" || got.RequestURI != "/a//b%2Fc?x=1&y=%20" || got.Host != "bench.example.com" || content != body {
				t.Errorf("service got %s %s of %s with %d bytes", got.Method, got.RequestURI, got.Host, len(content))
			}
			for field, want := range map[string]string{"Authorization": "Bearer abc", "Accept-Encoding": "gzip, br", "X-Custom": "one two", "User-Agent": "Go-http-client/1.1"} {
				if text := strings.Join(got.Header.Values(field), " "); text != want {
					t.Errorf("service got %s %q, want %q", field, text, want)
				}
			}
			if answer.StatusCode != http.StatusCreated {
				t.Errorf("status %d", answer.StatusCode)
			}
			for field, want := range map[string]string{"Server": "origin", "X-Custom": "kept", "Etag": `"1"`, "Content-Length": "10"} {
				if text := strings.Join(answer.Header.Values(field), " "); text != want {
					t.Errorf("client got %s %q, want %q", field, text, want)
				}
			}
			if n := len(answer.Header.Values("Date")); n != 1 {
				t.Errorf("%d times Date", n)
			}
		})
	}
}

func TestFieldsOfOneConnectionStayThere(t *testing.T) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			got, _, answer := exchange(t, options{name: name}, "GET", "/", "", http.Header{
				"Connection": {"keep-alive, X-Secret"}, "X-Secret": {"1"}, "Keep-Alive": {"timeout=9"}, "Te": {"gzip"},
				"Proxy-Authorization": {"Basic x"}, "Proxy-Connection": {"close"}, "X-Public": {"1"},
			})
			for _, field := range []string{"X-Secret", "Keep-Alive", "Te", "Proxy-Authorization", "Proxy-Connection"} {
				if text := got.Header.Get(field); text != "" {
					t.Errorf("service got %s %q", field, text)
				}
			}
			if got.Header.Get("X-Public") != "1" {
				t.Error("the service did not get X-Public")
			}
			for _, field := range []string{"X-Hop", "Keep-Alive"} {
				if text := answer.Header.Get(field); text != "" {
					t.Errorf("client got %s %q", field, text)
				}
			}
		})
	}
}

func TestUpstreamConnectionsAreKept(t *testing.T) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			seen := make(map[string]bool)
			addr := start(t, options{name: name}, func(_ http.ResponseWriter, r *http.Request) { seen[r.RemoteAddr] = true })
			for range 5 {
				answer, err := http.Get("http://" + addr)
				if err != nil {
					t.Fatal(err)
				}
				_ = answer.Body.Close()
			}
			if len(seen) != 1 {
				t.Errorf("%d connections for five requests", len(seen))
			}
		})
	}
}

func TestNoUpstreamIsBadGateway(t *testing.T) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			addr := start(t, options{name: name}, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
			answer, err := http.Post("http://"+addr, "text/plain", strings.NewReader("once"))
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != http.StatusBadGateway {
				t.Errorf("status %d", answer.StatusCode)
			}
		})
	}
}

func TestSpeaksTLS(t *testing.T) {
	for name, proto := range map[string]string{"reverseproxy": "HTTP/2.0", "fasthttp": "HTTP/1.1"} {
		t.Run(name, func(t *testing.T) {
			o := options{name: name}
			pool := certificate(t, &o)
			addr := start(t, o, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "yes") })
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "example.com"}, ForceAttemptHTTP2: true}
			defer transport.CloseIdleConnections()
			answer, err := (&http.Client{Transport: transport}).Get("https://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.Proto != proto || answer.StatusCode != http.StatusOK {
				t.Errorf("%s with status %d, want %s", answer.Proto, answer.StatusCode, proto)
			}
		})
	}
}

// certificate writes that of httptest into files.
func certificate(t *testing.T, o *options) *x509.CertPool {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	o.cert, o.key = write("cert.pem", "CERTIFICATE", s.Certificate().Raw), write("key.pem", "PRIVATE KEY", key)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

func TestCommandLine(t *testing.T) {
	for line, want := range map[string]string{
		"":                                       "say which one",
		"reverseproxy":                           "-upstream is missing",
		"fasthttp -upstream a:1 x":               "unexpected argument",
		"fasthttp -upstream a:1 -cert c":         "belong together",
		"fasthttp -version":                      "",
		"reverseproxy -upstream a:1 -listen b:2": "",
	} {
		_, err := parse(strings.Fields(line))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
	if _, err := newProxy(options{name: "squid"}); err == nil || !strings.Contains(err.Error(), "reverseproxy or fasthttp") {
		t.Errorf("unknown proxy: %v", err)
	}
}
