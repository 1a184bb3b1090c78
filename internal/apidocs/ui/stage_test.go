package ui

import (
	_ "embed"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"yett/internal/config"
	"yett/internal/engine"
	"yett/internal/engine/http1"
	"yett/internal/exchange"
	"yett/internal/gateway"
	"yett/internal/meter"
	"yett/internal/policy"
	"yett/internal/snapshot"
	"yett/internal/store/memory"
	"yett/internal/sweep"
	"yett/internal/upstream"
	"yett/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed testdata/openapi.json
var document string

// stage is a gateway with the page, a document and a service with a login.
type stage struct {
	url string
	ui  *UI
	// token is what the service gives out, and what it and a protected document want.
	token string
	// document is what is answered for the document, with this status. protected asks
	// for the token first.
	document  atomic.Pointer[string]
	status    atomic.Int32
	protected bool
}

const stageConfig = `
listeners: [{address: "127.0.0.1:0"}]
policies:
  request_id: {}
  security_headers: {preset: api}
services: {app: {targets: ["TARGET"]}}
routes:
  - {name: docs, path: [/api-docs/**, /api-docs.json, /api-docs.yaml], auth: none, endpoint: docs}
  - {name: app, path: /api/v1/**, auth: none, service: app}
`

// The refusals of a document, with the codes that policies have.
var (
	noToken    = &exchange.Reason{Name: "no_token", Code: "NO_TOKEN", Status: 401, Message: "An access token is required"}
	badToken   = &exchange.Reason{Name: "bad_token", Code: "INVALID_TOKEN", Status: 401, Message: "The token is not valid"}
	wrongRole  = &exchange.Reason{Name: "role", Code: "INSUFFICIENT_PERMISSIONS", Status: 403, Message: "The role is not enough"}
	stageToken = strings.Repeat("eyJhbGciOiJub25lIn0.", 3)
)

// setStage serves until the test ends. change may set what the stage has.
func setStage(t *testing.T, change ...func(*stage)) *stage {
	t.Helper()
	u, err := New(Options{Title: "yett"})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{ui: u, token: stageToken}
	s.document.Store(&document)
	for _, f := range change {
		f(s)
	}
	app := httptest.NewServer(http.HandlerFunc(s.app))
	t.Cleanup(app.Close)
	sweeper := sweep.New()
	t.Cleanup(sweeper.Close)
	snap := s.compile(t, strings.Replace(stageConfig, "TARGET", app.URL, 1), upstream.Deps{Buffers: new(wire.Buffers), Sweeper: sweeper})
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	g := gateway.New(nil, nil, log)
	g.Swap(snap)
	s.listen(t, http1.New(snap.Listeners[0].Listener, http1.Deps{Core: g, Buffers: new(wire.Buffers), Exchanges: new(exchange.Pool), Sweeper: sweeper, Log: log}))
	return s
}

func (s *stage) compile(t *testing.T, text string, deps upstream.Deps) *snapshot.Snapshot {
	t.Helper()
	conf, err := config.Parse("yett.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	here := memory.New(memory.Options{})
	t.Cleanup(here.Close)
	counts := meter.New(meter.Options{Here: here, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(counts.Close)
	snap, err := snapshot.Compile(conf, snapshot.Deps{Policy: policy.Deps{Meter: counts}, Upstream: deps, Endpoints: map[string]snapshot.Endpoint{"docs": s}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	snap.Start()
	t.Cleanup(func() { snap.Retire(nil) })
	return snap
}

func (s *stage) listen(t *testing.T, e *http1.Engine) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + ln.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
			wg.Go(func() { e.ServeConn(c, false) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		e.Close()
		e.Drain(engine.Until(time.Now().Add(10 * time.Second)))
		wg.Wait()
	})
}

// Serve implements snapshot.Endpoint.
func (s *stage) Serve(x *exchange.Exchange) {
	switch name, below := strings.CutPrefix(x.Path, "/api-docs/"); {
	case strings.HasSuffix(x.Path, ".json"), strings.HasSuffix(x.Path, ".yaml"):
		s.answer(x)
	case below && name != "" && s.ui.Serve(x, name):
	case below && name != "":
		x.Refuse(exchange.NoRoute)
	default:
		s.ui.Page(x, "api-docs")
	}
}

// answer answers with the document.
func (s *stage) answer(x *exchange.Exchange) {
	switch auth := x.Request.Get("Authorization"); {
	case s.protected && auth == "":
		x.Refuse(noToken)
	case s.protected && auth == "Bearer wrong-role":
		x.Refuse(wrongRole)
	case s.protected && auth != "Bearer "+s.token:
		x.Refuse(badToken)
	case s.status.Load() == 503:
		x.Refuse(exchange.NoTarget)
	default:
		x.Status = 200
		x.Response.Add("Content-Type", "application/json")
		x.ResponseBody.SetBytes([]byte(*s.document.Load()))
	}
}

// app is the service.
func (s *stage) app(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/api/v1/auth/login" && r.Method == "POST":
		_, _ = io.WriteString(w, `{"success":true,"data":{"accessToken":"`+s.token+`","user":{"id":1}}}`)
	case r.Header.Get("Authorization") != "Bearer "+s.token:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":{"code":"NO_TOKEN"}}`)
	default:
		_, _ = io.WriteString(w, `[{"id":7,"title":"printer on fire"}]`)
	}
}
