package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"yett/internal/admin"
	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/upstream"
)

// switchable is a service whose breaker does what it is told.
type switchable struct {
	name    string
	breaker *upstream.BreakerStats
}

func (s *switchable) Name() string          { return s.name }
func (s *switchable) Targets() []string     { return nil }
func (s *switchable) Stats() upstream.Stats { return upstream.Stats{Breaker: s.breaker} }

func (s *switchable) SetBreaker(to string, until time.Time, _ string) bool {
	if s.breaker == nil {
		return false
	}
	s.breaker.State, s.breaker.Held, s.breaker.HeldUntil = "CLOSED", "", until
	switch to {
	case admin.BreakerOpen:
		s.breaker.State, s.breaker.Held = "OPEN", "open"
	case admin.BreakerClose:
		s.breaker.Held = "closed"
	}
	return true
}

// serving is all that the page asks of a gateway.
type serving struct {
	admin.State
	services []admin.Service
	store    admin.StoreState
}

func (s serving) Services() []admin.Service   { return s.services }
func (s serving) Store() admin.StoreState     { return s.store }
func (s serving) Mirrors() []admin.MirrorPage { return nil }

// servicesServer serves the page itself, without a gateway around it.
func servicesServer(t *testing.T, services ...admin.Service) *httptest.Server {
	t.Helper()
	page := &admin.Services{State: serving{services: services, store: admin.StoreState{Name: "redis"}}, Log: slog.New(slog.DiscardHandler)}
	var pool exchange.Pool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		x := pool.Get()
		x.Method, x.Query = r.Method, r.URL.RawQuery
		x.Request.Add("Content-Type", r.Header.Get("Content-Type"))
		x.RequestBody.SetBytes(body)
		if page.Serve(x); x.Reason != nil {
			w.WriteHeader(x.Reason.Status)
			fmt.Fprintf(w, `{"error":{"code":%q,"message":%q}}`, x.Reason.Code, x.Reason.Message)
			return
		}
		whole, _ := x.ResponseBody.Whole()
		_, _ = w.Write(whole)
	}))
	t.Cleanup(server.Close)
	return server
}

// What the verbs say is what the page did.
func TestBreakerAtThePage(t *testing.T) {
	tickets := &switchable{"tickets", &upstream.BreakerStats{Mode: "enforce", State: "HALF_OPEN"}}
	shared := &switchable{"shared one", &upstream.BreakerStats{Mode: "enforce", State: "CLOSED", Shared: true}}
	watched := &switchable{"watched", &upstream.BreakerStats{Mode: "observe", State: "CLOSED"}}
	server := servicesServer(t, tickets, shared, watched, &switchable{name: "plain"})
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"open", "tickets"}, exitOK, "tickets is held open, by the gateway at URL: every request gets 503, or the fallback where it has one. `yett breaker reset tickets` ends it.\n"},
		{[]string{"open", "tickets", "--for", "10m"}, exitOK, "tickets is held open until TIME, by the gateway at URL: every"},
		{[]string{"close", "tickets", "--for", "1h"}, exitOK, "tickets is held closed until TIME, by the gateway at URL: requests are sent to it, whatever fails. `yett breaker reset tickets` ends it.\n"},
		{[]string{"reset", "tickets"}, exitOK, "the breaker of tickets is closed and goes by itself again, by the gateway at URL\n"},
		{[]string{"open", "shared one"}, exitOK, "shared one is held open, by the gateway at URL and all that share its store: every request gets 503, or the fallback where it has one. `yett breaker reset 'shared one'` ends it.\n"},
		{[]string{"open", "watched"}, exitOK, "watched is held open, by the gateway at URL: its breaker only observes, so requests pass all the same. `yett breaker reset watched` ends it.\n"},
		{[]string{"open", "plain"}, exitFail, "yett: nothing was changed: URL answers 400 BAD_REQUEST: The service has no breaker\n"},
		{[]string{"open", "ticket"}, exitFail, "yett: nothing was changed: URL: there is no service \"ticket\", did you mean \"tickets\"?\n"},
		{[]string{"reset", "billing"}, exitFail, "there is no service \"billing\", known here: plain, shared one, tickets, watched\n"},
	} {
		got := call(t, nil, append(append([]string{"breaker"}, tt.args...), "--url", server.URL)...)
		want := strings.ReplaceAll(tt.want, "URL", server.URL)
		if tickets.breaker.Held != "" {
			now := time.Now()
			want = strings.ReplaceAll(want, " until TIME", heldUntil(tickets.breaker.HeldUntil.UTC().Format(time.RFC3339), now))
		}
		if got.code != tt.code || !strings.Contains(got.stdout+got.stderr, want) || strings.Count(got.stdout+got.stderr, "\n") != 1 {
			t.Errorf("%q: %+v, want %q", tt.args, got, want)
		}
	}
	if got := call(t, nil, "services", "ticket", "--url", server.URL); got.code != exitFail || !strings.Contains(got.stderr, `nothing can be shown: `+server.URL+`: there is no service "ticket", did you mean "tickets"?`) {
		t.Errorf("%+v", got)
	}
}

// Others follow only where there is a store that is not lost.
func TestBreakerFollowers(t *testing.T) {
	for _, tt := range []struct {
		shared bool
		store  *admin.StorePage
		want   string
	}{
		{true, &admin.StorePage{Name: "redis", State: admin.StoreConnected}, "by the gateway at URL and all that share its store: "},
		{true, &admin.StorePage{Name: "redis", State: admin.StoreLost}, "by the gateway at URL alone (its store is lost; others follow when it is back): "},
		{true, &admin.StorePage{Name: "memory", State: admin.StoreConnected}, "by the gateway at URL alone (it is shared, but there is no store that others have too): "},
		{true, nil, "by the gateway at URL: "},
		{false, &admin.StorePage{Name: "redis", State: admin.StoreLost}, "by the gateway at URL: "},
	} {
		s := &admin.ServicePage{Name: "app", Breaker: &admin.BreakerPage{State: "OPEN", Held: "open", Shared: tt.shared}}
		if got := breakerText(s, tt.store, "URL", time.Now()); !strings.HasPrefix(got, "app is held open, "+tt.want+"every") {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

// The time is that of a clock on the wall, with the day when it is another one.
func TestHeldUntil(t *testing.T) {
	zone := time.FixedZone("here", 2*3600)
	now := time.Date(2026, 1, 2, 22, 0, 0, 0, zone)
	for stamp, want := range map[string]string{
		"": "", "soon": "", "2026-01-02T20:10:00.500Z": " until 22:10:00", "2026-01-02T22:00:00.000Z": " until 2026-01-03 00:00:00",
	} {
		if got := heldUntil(stamp, now); got != want {
			t.Errorf("%q: %q, want %q", stamp, got, want)
		}
	}
}

func TestBreakerAtTheGateway(t *testing.T) {
	const good = `{"timestamp":"2026-01-02T03:04:00.000Z","services":[{"name":"tickets","breaker":{"state":"OPEN","held":"open","mode":"enforce"}}]}`
	for _, tt := range []struct {
		name   string
		status int
		answer string
		code   int
		want   string
	}{
		{"done", 200, good, exitOK, "tickets is held open, by the gateway at URL: "},
		{"not known", 401, `{}`, exitFail, "yett: nothing was changed: URL answers 401 ; the access token of --bearer or YETT_TOKEN is no good\n"},
		{"not allowed", 403, `{}`, exitFail, "yett: nothing was changed: URL answers 403 ; the access token has to be of a caller"},
		{"no such page", 404, `{}`, exitFail, "there is no endpoint services\n"},
		{"looking only", 405, `{}`, exitFail, "there is no endpoint services\n"},
		{"no gateway", 200, `ok`, exitFail, "yett: it is not certain that anything was changed: URL gives no answer of a gateway\n"},
		{"nothing done", 200, `{"services":[]}`, exitFail, "yett: it is not certain that anything was changed: URL gives no answer of a gateway\n"},
		{"no breaker", 200, `{"services":[{"name":"tickets","breaker":null}]}`, exitFail, "it is not certain that anything was changed"},
	} {
		server, asked := gatewayStub(t, tt.status, tt.answer)
		server.Start()
		got := call(t, nil, "breaker", "open", "tickets", "--for", "10m", "-c", servicesAt(t, server.Listener.Addr().String()), "--bearer", "b")
		want := strings.ReplaceAll(tt.want, "URL", server.URL+"/internal/services")
		if got.code != tt.code || !strings.Contains(got.stdout+got.stderr, want) || strings.Count(got.stdout+got.stderr, "\n") != 1 {
			t.Errorf("%s: %+v, want %q", tt.name, got, want)
		}
		if want := "POST api.example.org /internal/services?breaker=open&for=10m&service=tickets [Bearer b] "; asked.String() != want {
			t.Errorf("%s: asked was %q", tt.name, asked)
		}
	}
}

// guarding is a gateway with a page for its services.
const guarding = `
listeners: [{address: "127.0.0.1:0"}]
log: {access: {output: off}}
issuers: {main: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}}
roles: {admin: {level: 90}, clerk: {level: 10}}
policies: {jwt: {}}
services:
  app: {targets: ["TARGET"], breaker: {mode: off}}
routes:
  - {name: app, path: /app, auth: none, service: app}
  - {name: detailed, path: /detailed, auth: none, endpoint: health_detailed}
  - {name: services, path: /internal/services, methods: [GET, POST], auth: required, policies: {rbac: {exact_role: admin}}, endpoint: services}
`

// From the first request to the last, through a running gateway.
func TestServicesOfAGateway(t *testing.T) {
	target := httptest.NewServer(http.NotFoundHandler())
	defer target.Close()
	name := file(t, strings.Replace(guarding, "TARGET", target.URL, 1))
	a, err := app.New(app.Options{File: name, Env: config.MapEnv(nil), Stdout: io.Discard, Stderr: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Stop(context.Background()) }()
	base := "http://" + a.Addr(0).String()
	for range 3 {
		if got := statusOf(t, base+"/app"); got != 404 {
			t.Fatalf("got %d", got)
		}
	}
	run := func(role string, args ...string) result {
		token := strings.TrimSpace(call(t, nil, "token", "mint", "-c", name, "--role", role).stdout)
		return call(t, env{"YETT_TOKEN": token}, append(args, "--url", base+"/internal/services")...)
	}
	for _, tt := range []struct {
		role string
		args []string
		code int
		want string
	}{
		{"clerk", []string{"services"}, exitFail, "answers 403"},
		{"clerk", []string{"breaker", "open", "app"}, exitFail, "nothing was changed: " + base + "/internal/services answers 403"},
		{"admin", []string{"services", "ap"}, exitFail, `there is no service "ap", did you mean "app"?`},
		{"admin", []string{"breaker", "open", "app"}, exitFail, "nothing was changed: " + base + "/internal/services answers 400 BAD_REQUEST: The service has no breaker\n"},
	} {
		if got := run(tt.role, tt.args...); got.code != tt.code || !strings.Contains(got.stderr, tt.want) || got.stdout != "" {
			t.Errorf("%q: %+v", tt.args, got)
		}
	}
	got := run("admin", "services", "app")
	lines := strings.Split(got.stdout, "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[1], "app ") || !strings.HasPrefix(lines[2], "  "+target.Listener.Addr().String()+" ") {
		t.Fatalf("%+v", got)
	}
	if words := strings.Fields(lines[1]); words[1] != "-" || words[5] != "3" || words[6] != "0" {
		t.Errorf("%q", words)
	}
	if got := statusOf(t, base+"/detailed"); got != 200 {
		t.Errorf("detailed is %d", got)
	}
}

func statusOf(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	_ = resp.Body.Close()
	return resp.StatusCode
}
