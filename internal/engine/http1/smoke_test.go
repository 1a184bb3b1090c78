package http1

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/sweep"
	"yett/internal/upstream"
	"yett/internal/wire"
)

type core struct{ s *upstream.Service }

func (c core) Serve(x *exchange.Exchange) {
	if x.Reason == nil {
		x.Out.Path = x.RawPath
		if r := c.s.Forward(x); r != nil {
			x.Refuse(r)
		}
	}
	if x.Reason != nil {
		x.Response.Reset()
		x.ResponseBody.SetBytes([]byte(x.Reason.Name + " " + x.Detail))
	}
}
func (core) Done(x *exchange.Exchange) {
	if x.Reason != nil {
		println(x.Reason.Name, x.Detail)
	}
}

func start(t testing.TB, target string) string {
	var buffers wire.Buffers
	sw := sweep.New()
	t.Cleanup(sw.Close)
	var sc config.Service
	d := config.Duration(5 * time.Second)
	sc.Targets = []string{target}
	sc.Timeouts = config.ServiceTimeouts{Connect: d, Response: d, Idle: d, Queue: d}
	sc.Connections = config.Connections{Idle: 100, IdleTimeout: d}
	sc.Limits = config.ServiceLimits{Header: 64 << 10, HeaderCount: 100}
	s, err := upstream.New("s", sc, upstream.Deps{Buffers: &buffers, Sweeper: sw, Resolver: net.DefaultResolver})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	var l config.Listener
	l.Limits = config.ListenerLimits{RequestLine: 8192, Header: 32 << 10, HeaderCount: 100, ChunkLine: 1024, Trailer: 8192}
	l.Timeouts = config.ListenerTimeouts{Header: d, Idle: d, BodyIdle: d, Write: d, TunnelIdle: d}
	e := New(l, Deps{Core: core{s}, Buffers: &buffers, Exchanges: &exchange.Pool{}, Sweeper: sw, Log: slog.Default()})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close(); e.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go e.ServeConn(c, false)
		}
	}()
	return ln.Addr().String()
}

func TestSmoke(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %d", r.Method, r.URL, len(b))
	}))
	defer up.Close()
	addr := start(t, up.URL)
	for _, n := range []int{0, 10, 5000, 100000, 3 << 20} {
		resp, err := http.Post("http://"+addr+"/x", "text/plain", io.LimitReader(zero{}, int64(n)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if want := fmt.Sprintf("POST /x %d", n); err != nil || string(b) != want {
			t.Fatal(string(b), err, want)
		}
	}
	resp, err := http.Get("http://" + addr + "/y?z")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	if !strings.HasPrefix(string(b), "GET /y?z 0") {
		t.Fatal(string(b))
	}
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { return len(p), nil }
