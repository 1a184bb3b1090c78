package gateway

import (
	"io"
	"log/slog"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/meter"
	"yett/internal/policy"
	"yett/internal/snapshot"
	"yett/internal/store/memory"
	"yett/internal/telemetry"
	"yett/internal/upstream"
	"yett/internal/wire"
)

// The gateway of BenchmarkChain, piece by piece.
const (
	chainPlain = `
listeners: [{address: "127.0.0.1:0"}]
services: {app: {targets: ["http://127.0.0.1:1"]}}
`
	chainRoles = `
issuers: {main: {issuer: psa-platform, audience: psa-api, keys: [{secret: 0123456789abcdef0123456789abcdef}]}}
roles: {technician: {level: 50}, technician_junior: {level: 40}}
`
	chainPolicies = `policies:
  request_id:
  security_headers: {preset: helmet}
  cors: {origins: ["https://app.example.com"]}
  jwt:
  identity:
`
	chainTiers = `  ratelimit: {limits: [flood, global, user]}
limits:
  flood: {limit: 1000000000, window: 1m, by: ip, preflights: true, fields: false}
  global: {limit: 1000000000, window: 15m, by: ip, for: anonymous}
  user: {limit: 1000000000, window: 15m, by: user, for: known}
`
	openRoute    = "routes: [{name: app, path: /**, auth: none, service: app}]\n"
	guardedRoute = "routes: [{name: app, path: /**, auth: required, service: app, policies: {rbac: {min_role: technician_junior}}}]\n"
)

// BenchmarkChain is all that the gateway does for a call that passes, but for what the engine and
// the service's connection do. Each case has what the one before has, and more.
func BenchmarkChain(b *testing.B) {
	for _, bench := range []struct {
		name, conf string
		logged     bool
	}{
		{"plain", chainPlain + openRoute, false},
		{"log", chainPlain + openRoute, true},
		{"policies", chainPlain + chainRoles + chainPolicies + guardedRoute, true},
		{"limits", chainPlain + chainRoles + chainPolicies + chainTiers + guardedRoute, true},
	} {
		b.Run(bench.name, func(b *testing.B) {
			p := newPass(b, bench.conf, bench.logged)
			p.once(b)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.once(b)
				if i%64 == 0 { // as requests wait for sockets now and then: the log is written meanwhile
					runtime.Gosched()
				}
			}
		})
	}
}

// pass takes a call through a gateway again and again.
type pass struct {
	*Gateway
	pool            exchange.Pool
	peer            netip.AddrPort
	request, answer exchange.Header
}

func newPass(b *testing.B, text string, logged bool) *pass {
	conf, err := config.Parse("yett.yaml", []byte(text), nil)
	if err != nil {
		b.Fatal(err)
	}
	here := memory.New(memory.Options{})
	b.Cleanup(here.Close)
	counts := meter.New(meter.Options{Here: here, Log: slog.New(slog.DiscardHandler)})
	b.Cleanup(counts.Close)
	s, err := snapshot.Compile(conf, snapshot.Deps{
		Policy: policy.Deps{Meter: counts}, Upstream: upstream.Deps{Buffers: &wire.Buffers{}},
	}, nil)
	if err != nil {
		b.Fatal(err)
	}
	current := new(telemetry.Current)
	if logged {
		all, err := telemetry.NewAccessLog(telemetry.ToStream(io.Discard), telemetry.Options{Flush: time.Second})
		if err != nil {
			b.Fatal(err)
		}
		current.Swap(telemetry.Logs{All: all})
		b.Cleanup(func() { _ = all.Close() })
	}
	p := &pass{Gateway: New(current, nil, slog.New(slog.DiscardHandler)), peer: netip.MustParseAddrPort("127.0.0.1:4711")}
	p.Count(telemetry.NewCounters(time.Now()))
	p.Swap(s)
	p.prepare(b, s)
	return p
}

// prepare writes the call and its answer.
func (p *pass) prepare(b *testing.B, s *snapshot.Snapshot) {
	token := "none"
	if s.Tokens() != nil && len(s.Tokens().Names()) > 0 {
		now := time.Now()
		claims, err := s.Tokens().Claims("main", exchange.Identity{
			Subject: "bbd1e0c4-284c-48b5-b7ae-477e8237382e", Email: "tech@example.com", Roles: []string{"technician"},
			Tenant: "f1f5dce2-fe0e-4503-bb00-e4873ed2f7fe", Permissions: []string{"tickets:read", "tickets:write"},
		}, now, 24*time.Hour)
		if err != nil {
			b.Fatal(err)
		}
		if token, err = s.Tokens().Sign("main", claims); err != nil {
			b.Fatal(err)
		}
	}
	for _, f := range [][2]string{
		{"Host", "bench.example.com"}, {"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
		{"Accept", "application/json, text/plain, */*"}, {"Accept-Encoding", "gzip, deflate, br"}, {"Accept-Language", "en-GB,en;q=0.5"},
		{"Authorization", "Bearer " + token}, {"X-Custom", "a value that means nothing"},
		{"Referer", "https://app.example.com/orders"}, {"Origin", "https://app.example.com"},
	} {
		p.request.Add(f[0], f[1])
	}
	for _, f := range [][2]string{
		{"Server", "origin"}, {"Date", "Mon, 02 Jan 2006 15:04:05 GMT"}, {"Content-Type", "application/json"},
		{"Content-Length", "200"}, {"ETag", `"5f3a-1"`},
	} {
		p.answer.Add(f[0], f[1])
	}
}

// once is a life, as Serve and Done have it around Forward.
func (p *pass) once(b *testing.B) {
	x := p.pool.Get()
	x.Method, x.RawPath, x.Host, x.Authority = "GET", "/api/v1/customers/4711", "bench.example.com", "bench.example.com"
	x.Peer, x.Listener, x.Now = p.peer, "public", time.Now()
	x.Request.AddFields(p.request.Fields())
	s := p.Snapshot()
	s.Manners.Enter(x)
	r, refused := s.Match(x)
	x.Bound = r
	if refused != nil || r.Chain.Request(x) != exchange.Continue || r.Admit(x) != nil {
		b.Fatalf("refused: %v, %+v", refused, x.Reason)
	}
	r.Outbound(x, r.Choose(x))
	s.Manners.Leave(x)
	x.Service, x.Target, x.Status, x.Attempts = "app", "127.0.0.1:1", 200, 1
	x.UpstreamTime, x.BytesOut = 150*time.Microsecond, 200
	x.Response.AddFields(p.answer.Fields())
	if x.RequestID == "" {
		x.NewRequestID()
	}
	r.Chain.Response(x)
	p.Done(x)
	p.pool.Put(x)
}
