package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/gateway"
	"yett/internal/meter"
	"yett/internal/store"
	"yett/internal/store/memory"
	"yett/internal/store/redis/redistest"
)

// limited has a limit of each kind.
const limited = `
listeners: [{address: ":3000"}]
store: {redis: {host: 127.0.0.1, port: %d}}
limits:
  plain: {limit: 5, window: 1h, by: ip}
  taken: {limit: 50, window: 1h, by: ip, precision: leased}
  bucket: {limit: 7, burst: 4, window: 1h, by: ip, algorithm: token_bucket}
  failed: {limit: 6, window: 1h, by: ip, counts: 400-599}
  running: {concurrent: 3, by: ip}
policies: {ratelimit: {limits: [plain, taken, bucket, failed, running]}}
routes: [{name: r, path: /, auth: none, policies: {respond: {text: hi}}}]
`

func limitedWalker(t *testing.T, port int) *Walker {
	t.Helper()
	w, err := NewWalker(Options{File: "yett.yaml", Source: fmt.Appendf(nil, limited, port), Env: config.MapEnv(nil), Stderr: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// says is what the policy says of the limits, in the part that has asked them all.
func says(t *testing.T, w *gateway.Walk) string {
	t.Helper()
	for _, s := range slices.Backward(w.Policies) {
		if s.Policy == "ratelimit" && len(s.Says) > 1 {
			return strings.Join(s.Says, "\n")
		}
	}
	t.Fatalf("no limits in %+v", w.Policies)
	return ""
}

// spent counts n in the store, as a gateway does.
func spent(t *testing.T, s store.Store, name string, rule store.Rule, n int64) {
	t.Helper()
	here := memory.New(memory.Options{})
	defer here.Close()
	m := meter.New(meter.Options{Here: here, Log: slog.New(slog.DiscardHandler)})
	defer m.Close()
	m.Share(s, nil)
	c := m.Call()
	defer m.End(c)
	c.Claims = append(c.Claims, meter.Claim{Name: name, Key: "ip:192.0.2.1", Rule: rule, Cost: n})
	m.Take(nil, c, time.Now())
	if c.Claims[0].Verdict != meter.Fits {
		t.Fatalf("%s was not spent: %+v", name, c.Claims[0])
	}
}

// A walk shows what is left in the store, is refused where nothing is, and writes
// nothing there.
func TestWalkLooksAtTheStore(t *testing.T) {
	server := redistest.Start(t)
	w := limitedWalker(t, server.Port)
	if err := w.ShowStore(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 * 5 { // more than any limit has, if it counted
		walk := w.mustWalk(t, Request{Method: "GET", URL: "/"})
		for _, left := range []string{"has 5 in 1h, 5 left", "has 50 in 1h, 50 left", "burst 4, 4 left", "has 6 in 1h, 6 left", "has 3 at once, 3 left"} {
			if text := says(t, walk); !walk.Passes() || !strings.Contains(text, left) {
				t.Fatalf("%s, refused for %+v, want %q", text, walk.Refusal, left)
			}
		}
	}
	if got := server.Do("DBSIZE"); got[0] != ":0" {
		t.Errorf("walking has written: %q", server.Do("KEYS", "*"))
	}
	spent(t, w.shared, "plain", store.Rule{Limit: 5, Window: time.Hour}, 3)
	spent(t, w.shared, "failed", store.Rule{Limit: 6, Window: time.Hour}, 2)
	before := state(t, server)
	if text := says(t, w.mustWalk(t, Request{Method: "GET", URL: "/"})); !strings.Contains(text, "5 in 1h, 2 left") || !strings.Contains(text, "6 in 1h, 4 left") {
		t.Errorf("%s", text)
	}
	if text := says(t, w.mustWalk(t, Request{Method: "GET", URL: "/", Peer: netip.MustParseAddr("192.0.2.2")})); !strings.Contains(text, "5 in 1h, 5 left") {
		t.Errorf("of another caller: %s", text)
	}
	if after := state(t, server); after != before {
		t.Errorf("walking has changed\n%s\nto\n%s", before, after)
	}
	spent(t, w.shared, "plain", store.Rule{Limit: 5, Window: time.Hour}, 2)
	if walk := w.mustWalk(t, Request{Method: "GET", URL: "/"}); walk.Refusal == nil || walk.Refusal.Reason != "rate_limited" {
		t.Errorf("all is spent, and it passes: %s", says(t, walk))
	}
	server.Kill()
	walk := w.mustWalk(t, Request{Method: "GET", URL: "/", Peer: netip.MustParseAddr("192.0.2.3")})
	if !walk.Passes() || !w.StoreLost() {
		t.Errorf("refused for %+v, lost is %v", walk.Refusal, w.StoreLost())
	}
}

// state is what the server holds of the limits of which something was spent, byte for byte.
func state(t *testing.T, s *redistest.Server) string {
	t.Helper()
	var b strings.Builder
	for _, name := range []string{"plain", "failed"} {
		dump := s.Do("DUMP", "yett:limit:"+name+":{ip:192.0.2.1}")
		if len(dump) < 2 {
			t.Fatalf("nothing is counted by %s, in %q", name, s.Do("KEYS", "*"))
		}
		fmt.Fprintf(&b, "%q\n", dump)
	}
	return b.String()
}

// A walk that was not told to looks at no store, and is never limited.
func TestWalkKeepsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan bool)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_ = c.Close()
		}
		asked <- err == nil
	}()
	w := limitedWalker(t, l.Addr().(*net.TCPAddr).Port)
	for range 20 {
		if walk := w.mustWalk(t, Request{Method: "GET", URL: "/"}); !walk.Passes() {
			t.Fatalf("refused for %+v", walk.Refusal)
		}
	}
	_ = l.Close()
	if <-asked {
		t.Error("the store was asked")
	}
}

// A store that does not answer keeps nobody waiting.
func TestShowStoreIsBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := limitedWalker(t, l.Addr().(*net.TCPAddr).Port)
	begin := time.Now()
	err = w.ShowStore(context.Background())
	if took := time.Since(begin); err == nil || strings.Contains(err.Error(), "\n") || took > 2*showTime {
		t.Errorf("%v after %v", err, took)
	}
	if walk := w.mustWalk(t, Request{Method: "GET", URL: "/"}); !walk.Passes() || w.StoreLost() {
		t.Errorf("refused for %+v, lost is %v", walk.Refusal, w.StoreLost())
	}
}
