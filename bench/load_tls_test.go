package main

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// secureServer is a server that shows a certificate of a run, and the traffic that
// believes it.
func secureServer(t *testing.T, p protocol, handler http.HandlerFunc) (*httptest.Server, traffic) {
	t.Helper()
	c, err := newCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.EnableHTTP2 = true
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, traffic{Protocol: p, Request: request{Method: "GET", Path: "/"}.bytes(), Trust: c.Cert}
}

func addressOf(s *httptest.Server) netip.AddrPort {
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

// loadOnce has a server answer for a moment, over 3 connections, and returns what
// was counted.
func loadOnce(t *testing.T, to netip.AddrPort, traffic traffic, want answer) (window, error) {
	t.Helper()
	l, err := newLoader(to, traffic, want)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := l.connect(3); err != nil {
		return window{}, err
	}
	for range 2 { // a second slice goes on where the first one ended
		if err := l.run(30 * time.Millisecond); err != nil {
			return window{}, err
		}
	}
	return l.window()
}

// answers are handlers, and what the load generator has to say of them; nothing
// when they do what is wanted.
func answersOver(p protocol) map[string]struct {
	handler http.HandlerFunc
	want    answer
	failure string
} {
	hello := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }
	large := func(w http.ResponseWriter, _ *http.Request) {
		for range 6 {
			_, _ = w.Write(make([]byte, 100<<10))
		}
	}
	cut := "EOF"
	if p == http2 {
		cut = "RST_STREAM"
	}
	return map[string]struct {
		handler http.HandlerFunc
		want    answer
		failure string
	}{
		"right":      {hello, ok(5), ""},
		"large":      {large, ok(600 << 10), ""},
		"no body":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, answer{Status: 204}, ""},
		"any length": {hello, ok(anySize), ""},
		"too short":  {hello, ok(6), "5 body bytes, want 6"},
		"too long":   {hello, ok(4), "5 body bytes, want 4"},
		"refused":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, ok(0), "status 502"},
		"cut short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "hello")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, ok(10), cut},
	}
}

func TestSecureLoadCounts(t *testing.T) {
	for _, p := range []protocol{overTLS, http2} {
		for name, test := range answersOver(p) {
			t.Run(string(p)+"/"+name, func(t *testing.T) {
				var served, proto atomic.Int64
				server, traffic := secureServer(t, p, func(w http.ResponseWriter, r *http.Request) {
					served.Add(1)
					proto.Store(int64(r.ProtoMajor))
					if r.Host != benchHost || len(r.Header.Get("Authorization")) != 300 {
						w.WriteHeader(http.StatusBadRequest)
						return
					}
					test.handler(w, r)
				})
				w, err := loadOnce(t, addressOf(server), traffic, test.want)
				if test.failure != "" {
					if err == nil || !strings.Contains(err.Error(), test.failure) {
						t.Errorf("error %v, want one with %q", err, test.failure)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if w.Requests != served.Load() || w.Requests < 3 || w.P50 <= 0 {
					t.Errorf("%d requests counted, %d served, p50 %v", w.Requests, served.Load(), w.P50)
				}
				if want := map[protocol]int64{overTLS: 1, http2: 2}[p]; proto.Load() != want {
					t.Errorf("served with HTTP/%d, want %d", proto.Load(), want)
				}
			})
		}
	}
}

// Each connection of HTTP/2 has eight requests under way.
func TestStreams(t *testing.T) {
	var now atomic.Int64
	full := make(chan struct{})
	server, traffic := secureServer(t, http2, func(w http.ResponseWriter, _ *http.Request) {
		if now.Add(1) == 3*h2Streams {
			close(full)
		}
		<-full // or the requests are not answered in time
		_, _ = io.WriteString(w, "hello")
	})
	if _, err := loadOnce(t, addressOf(server), traffic, ok(5)); err != nil {
		t.Error(err)
	}
}

func TestStrangersCertificateIsRefused(t *testing.T) {
	server, _ := secureServer(t, overTLS, func(http.ResponseWriter, *http.Request) {})
	_, traffic := secureServer(t, overTLS, func(http.ResponseWriter, *http.Request) {})
	if _, err := loadOnce(t, addressOf(server), traffic, ok(0)); err == nil {
		t.Error("a certificate of another run is believed")
	}
}

// What is measured has to be the same for all.
func TestCheckTLS(t *testing.T) {
	tests := []struct {
		cipher uint16
		got    string
		want   string
		good   bool
	}{
		{tls.TLS_AES_128_GCM_SHA256, "h2", "h2", true},
		{tls.TLS_AES_128_GCM_SHA256, "http/1.1", "http/1.1", true},
		{tls.TLS_AES_128_GCM_SHA256, "", "http/1.1", true},
		{tls.TLS_AES_128_GCM_SHA256, "", "h2", false},
		{tls.TLS_AES_128_GCM_SHA256, "h2", "http/1.1", false},
		{tls.TLS_AES_256_GCM_SHA384, "h2", "h2", false},
		{tls.TLS_CHACHA20_POLY1305_SHA256, "http/1.1", "http/1.1", false},
	}
	for _, test := range tests {
		err := checkTLS(tls.ConnectionState{CipherSuite: test.cipher, NegotiatedProtocol: test.got}, []string{test.want})
		if (err == nil) != test.good {
			t.Errorf("%s, %q instead of %q: error %v", tls.CipherSuiteName(test.cipher), test.got, test.want, err)
		}
	}
}

// A server of HTTP/1.1 alone is not taken for one of HTTP/2.
func TestHTTP2IsInsistedOn(t *testing.T) {
	c, err := newCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	defer server.Close()
	traffic := traffic{Protocol: http2, Request: request{Method: "GET", Path: "/"}.bytes(), Trust: c.Cert}
	if _, err := loadOnce(t, addressOf(server), traffic, ok(5)); err == nil {
		t.Error("no error")
	}
}

func TestCertificateFiles(t *testing.T) {
	c, err := newCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var both []byte
	for _, name := range []string{c.Cert, c.Key} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, data...)
		if block, rest := pem.Decode(data); block == nil || len(rest) > 0 {
			t.Errorf("%s is not one block of PEM", filepath.Base(name))
		}
	}
	if data, err := os.ReadFile(c.Both); err != nil || !bytes.Equal(data, both) {
		t.Errorf("the file of both is %q (%v), want the two of them", data, err)
	}
}

// In the case close each request has a connection of its own, which the client
// ends with FIN: the subject reads the end of the stream, and no reset.
func TestClosing(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns, resets atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			if !serveOnce(conn) {
				resets.Add(1)
			}
		}
	}()
	w, err := loadOnce(t, netip.MustParseAddrPort(listener.Addr().String()),
		traffic{Protocol: closing, Request: request{Method: "GET", Path: "/"}.bytes()}, ok(5))
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	<-done
	if w.Requests < 3 || conns.Load() != w.Requests || resets.Load() > 0 {
		t.Errorf("%d requests over %d connections, %d of which had a second request or a reset", w.Requests, conns.Load(), resets.Load())
	}
}

// serveOnce answers one request and reports whether the client ended the connection
// as it should.
func serveOnce(conn net.Conn) bool {
	defer conn.Close()
	var in message
	buf := make([]byte, 4096)
	for done := false; !done; {
		n, err := conn.Read(buf)
		if err == nil {
			_, done, err = in.feed(buf[:n])
		}
		if err != nil {
			return false
		}
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"); err != nil {
		return false
	}
	n, err := conn.Read(buf)
	return n == 0 && err == io.EOF
}

func TestClosingFails(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	to := addressOf(server)
	traffic := traffic{Protocol: closing, Request: request{Method: "GET", Path: "/"}.bytes()}
	if _, err := loadOnce(t, to, traffic, ok(6)); err == nil || !strings.Contains(err.Error(), "want 6") {
		t.Errorf("error %v, want one of the length", err)
	}
	server.Close()
	if _, err := loadOnce(t, to, traffic, ok(5)); err == nil {
		t.Error("no error from a port that nobody listens on")
	}
}

func TestTokensTakeTurns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("a\nbb\nccc"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := request{Method: "POST", Path: "/", Tokens: func() []string { return []string{"a"} }, JSON: `{"a":1}`}
	s, err := newScript(traffic{Request: r.bytes(), Tokens: file})
	if err != nil {
		t.Fatal(err)
	}
	var buf []byte
	for _, token := range []string{"a", "bb", "ccc", "a"} {
		r.Tokens = func() []string { return []string{token} }
		if got, want := s.next(&buf), r.bytes(); !bytes.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	if _, err := newScript(traffic{Request: request{Method: "GET", Path: "/", Anonymous: true}.bytes(), Tokens: file}); err == nil {
		t.Error("no error for tokens that have no place")
	}
}
