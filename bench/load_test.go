package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func testLoader(t *testing.T, handler http.HandlerFunc, r request, want answer) *loader {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	l, err := newLoader(netip.MustParseAddrPort(server.Listener.Addr().String()), traffic{Request: r.bytes()}, want)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

func TestLoaderCounts(t *testing.T) {
	tests := []struct {
		name    string
		request request
		want    answer
		handler http.HandlerFunc
		failure string // empty for none
	}{
		{
			"length", request{Method: "GET", Path: "/"}, ok(5),
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }, "",
		},
		{
			"chunked", request{Method: "GET", Path: "/"}, ok(600 << 10),
			func(w http.ResponseWriter, _ *http.Request) {
				for range 6 {
					_, _ = w.Write(make([]byte, 100<<10))
				}
			}, "",
		},
		{
			"upload", request{Method: "POST", Path: "/", Body: 3 << 20}, ok(7),
			func(w http.ResponseWriter, r *http.Request) {
				if n, err := io.Copy(io.Discard, r.Body); n == 3<<20 && err == nil {
					_, _ = io.WriteString(w, "3145728")
				}
			}, "",
		},
		{
			"wrong status", request{Method: "GET", Path: "/"}, ok(0),
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "502",
		},
		{
			"any length", request{Method: "GET", Path: "/"}, answer{Status: 401, Body: anySize},
			func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who are you?", http.StatusUnauthorized) }, "",
		},
		{
			"not refused", request{Method: "GET", Path: "/"}, answer{Status: 401, Body: anySize},
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }, "want status 401",
		},
		{
			"wrong length", request{Method: "GET", Path: "/"}, ok(6),
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }, "5 body bytes, want 6",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var served atomic.Int64
			l := testLoader(t, func(w http.ResponseWriter, r *http.Request) {
				served.Add(1)
				test.handler(w, r)
			}, test.request, test.want)
			if err := l.connect(4); err != nil {
				t.Fatal(err)
			}
			if err := l.run(50 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
			w, err := l.window()
			switch {
			case test.failure != "":
				if err == nil || !strings.Contains(err.Error(), test.failure) {
					t.Errorf("error %v, want one with %q", err, test.failure)
				}
			case err != nil:
				t.Error(err)
			case w.Requests != served.Load() || w.Requests < 4:
				t.Errorf("%d requests counted, %d served, want the same, at least 4", w.Requests, served.Load())
			case w.Elapsed < 50*time.Millisecond || w.P50 <= 0 || w.P99 < w.P50:
				t.Errorf("elapsed %v, p50 %v, p99 %v", w.Elapsed, w.P50, w.P99)
			}
		})
	}
}

func TestLoaderFailsWithoutConnections(t *testing.T) {
	l := testLoader(t, func(w http.ResponseWriter, _ *http.Request) {
		panic(http.ErrAbortHandler) // closes the connection
	}, request{Method: "GET", Path: "/"}, ok(0))
	if err := l.connect(2); err != nil {
		t.Fatal(err)
	}
	if err := l.run(time.Minute); err == nil || !strings.Contains(err.Error(), "no connection left") {
		t.Errorf("error %v, want that no connection is left", err)
	}
}

func TestHoldIdle(t *testing.T) {
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		_, _ = io.WriteString(w, "hello")
	}))
	defer server.Close()
	spec := idleSpec{
		traffic: traffic{Request: request{Method: "GET", Path: "/"}.bytes()},
		Address: netip.MustParseAddrPort(server.Listener.Addr().String()),
		Want:    ok(5),
		Conns:   idleBatch + 10,
	}
	var out bytes.Buffer
	if err := holdIdle(spec, strings.NewReader(""), &out); err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("{\"conns\":74,\"failures\":0}\n", 2); out.String() != want {
		t.Errorf("reports %q, want %q", out.String(), want)
	}
	if served.Load() != int64(spec.Conns) {
		t.Errorf("%d requests served, want one for each of %d connections", served.Load(), spec.Conns)
	}
	out.Reset()
	if err := holdIdle(spec, closer{server}, &out); err == nil {
		t.Errorf("no error after the server closed all connections; reports %q", out.String())
	}
}

// closer closes the connections of a server when it is read, and then ends.
type closer struct{ *httptest.Server }

func (c closer) Read([]byte) (int, error) {
	c.CloseClientConnections()
	return 0, io.EOF
}

func testOrigin() *origin {
	now := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	return &origin{
		answers: originAnswers(now),
		missing: originAnswer("404 Not Found", 0, now),
		buf:     make([]byte, 64<<10),
	}
}

// originPair is a connection to an origin, and its other end.
func originPair(t *testing.T) (socket, *originConn) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return socket{fd: pair[0]}, &originConn{socket: socket{fd: pair[1]}}
}

func TestOriginServesConnection(t *testing.T) {
	client, server := originPair(t)
	defer client.close()
	defer server.close()
	o := testOrigin()
	text := request{Method: "GET", Path: "/b/1048576"}.bytes()
	for _, part := range [][]byte{text[:40], text[40:]} {
		client.out = part
		if err := client.flush(); err != nil {
			t.Fatal(err)
		}
		if err := o.ready(server); err != nil {
			t.Fatal(err)
		}
	}
	var answer message
	buf := make([]byte, 4096)
	for done := false; !done; {
		n, err := client.read(buf)
		if err == nil && n == 0 {
			t.Fatalf("nothing to read after %d body bytes", answer.body)
		}
		if err == nil {
			_, done, err = answer.feed(buf[:n])
		}
		if err == nil {
			err = o.ready(server) // the answer is more than the socket holds
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if statusOf(answer.start) != 200 || answer.body != 1<<20 {
		t.Errorf("%q with %d body bytes, want 200 with 1 MB", answer.start, answer.body)
	}
	client.close()
	if err := o.ready(server); err == nil {
		t.Error("no error after the client has left")
	}
}

// What the origin skips of a body is neither more nor less than the body: a second
// request on the connection is answered too.
func TestOriginTakesUploads(t *testing.T) {
	client, server := originPair(t)
	defer client.close()
	defer server.close()
	o := testOrigin()
	var answer message
	buf := make([]byte, 4096)
	for _, body := range []int{1 << 20, 10, 64 << 10} {
		client.out = request{Method: "POST", Path: "/sink", Body: body}.bytes()
		for len(client.out) > 0 {
			if err := client.flush(); err != nil {
				t.Fatal(err)
			}
			if err := o.ready(server); err != nil {
				t.Fatal(err)
			}
		}
		n, err := client.read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if _, done, err := answer.feed(buf[:n]); !done || err != nil || answer.body != 2 || statusOf(answer.start) != 200 {
			t.Errorf("%d bytes: answered %q (%v)", body, buf[:n], err)
		}
	}
}
