package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/limit"
	"yett/internal/meter"
	"yett/internal/role"
	"yett/internal/store"
	"yett/internal/store/memory"
)

const someLimits = `
listeners: [{address: ":0"}]
limits:
  address: {limit: 3, window: 1h, by: ip}
  user: {limit: 100, window: 1m, by: user, for: known}
  key: {limit: 10, window: 1m, by: api_key}
  running: {concurrent: 4, by: ip}
routes: [{name: r, path: /, auth: none, endpoint: ready}]
`

// limitSet compiles the limits of a configuration.
func limitSet(t *testing.T, text string) *limit.Set {
	t.Helper()
	c, err := config.Parse("yett.yaml", []byte(text), config.MapEnv(nil))
	if err != nil {
		t.Fatal(err)
	}
	roles, problems := role.Compile(c.Roles)
	set, more := limit.Compile(c.Limits, roles, nil)
	if problems = append(problems, more...); len(problems) > 0 {
		t.Fatal(problems)
	}
	return set
}

// limitsOf is the page over a state, and its log. Whoever wants to reset gives Forget.
func limitsOf(s LimitsState) (*Limits, *bytes.Buffer) {
	log := new(bytes.Buffer)
	return &Limits{State: &state{limits: s}, Log: slog.New(slog.NewJSONHandler(log, nil))}, log
}

// request asks the page.
func (l *Limits) request(method, query string) *exchange.Exchange {
	x := new(exchange.Pool).Get()
	x.Method, x.Query, x.HasQuery = method, query, query != ""
	x.RequestID, x.Identity.Subject = "the-request", "the-admin"
	l.Serve(x)
	return x
}

func pageOf[P any](t *testing.T, x *exchange.Exchange) (page P) {
	t.Helper()
	b, _ := x.ResponseBody.Whole()
	in := json.NewDecoder(bytes.NewReader(b))
	in.DisallowUnknownFields()
	if err := in.Decode(&page); err != nil || x.Status != http.StatusOK {
		t.Fatalf("%d %v, %v in %q", x.Status, x.Reason, err, b)
	}
	return page
}

// used is how a meter says that limits are used. The limit gone is in no configuration.
func used(now time.Time) meter.State {
	return meter.State{
		Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Nodes: 2, Losses: 1,
		Limits: []meter.LimitState{
			{Name: "address", Allowed: 7, Refused: 5, Observed: 3, WhileLost: 2, Nearest: []meter.KeyState{
				{Key: "ip:192.0.2.1", Used: 3, Limit: 3, Refused: 4, Until: now.Add(90*time.Second - time.Millisecond)},
				{Key: "ip:192.0.2.2", Used: 2, Limit: 3, Left: 1, Refused: 1, Until: now.Add(-time.Second)},
			}, Refusals: []meter.KeyState{{Key: "ip:192.0.2.9", Limit: 3, Left: 3, Refused: 9}}},
			{Name: "gone", Allowed: 1},
		},
	}
}

// Every limit of the configuration is there, in its order, also one that nobody has asked.
func TestLimitsAreShown(t *testing.T) {
	l, log := limitsOf(LimitsState{Set: limitSet(t, someLimits), Meter: used(time.Now()), Held: memory.Usage{Keys: 11, Dropped: 6}})
	got := pageOf[LimitsPage](t, l.request("GET", ""))
	none := []KeyPage{}
	want := LimitsPage{
		Store: LimitsStore{State: "memory", Since: "2026-01-02T03:04:05.000Z", Nodes: 2, Losses: 1, Keys: 11, Dropped: 6},
		Limits: []LimitPage{
			{Name: "address", Rule: "3 in 1h for each ip", Allowed: 7, Refused: 5, Observed: 3, WhileLost: 2, Nearest: []KeyPage{
				{Key: "ip:192.0.2.1", Used: 3, Limit: 3, Refused: 4, More: 90},
				{Key: "ip:192.0.2.2", Used: 2, Limit: 3, Left: 1, Refused: 1},
			}, MostRefused: []KeyPage{{Key: "ip:192.0.2.9", Limit: 3, Left: 3, Refused: 9}}},
			{Name: "user", Rule: "100 in 1m for each user, of callers: known", Nearest: none, MostRefused: none},
			{Name: "key", Rule: "10 in 1m for each API key", Nearest: none, MostRefused: none},
			{Name: "running", Rule: "4 at once for each ip", Nearest: none, MostRefused: none},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if log.Len() > 0 {
		t.Errorf("to look is logged: %s", log)
	}
}

func TestWhereLimitsCount(t *testing.T) {
	for _, tt := range []struct {
		shared, lost bool
		want         string
	}{{false, false, "memory"}, {true, false, "shared"}, {true, true, "alone"}} {
		l, _ := limitsOf(LimitsState{Meter: meter.State{Shared: tt.shared, Lost: tt.lost}})
		got := pageOf[LimitsPage](t, l.request("GET", ""))
		if got.Store.State != tt.want || got.Limits == nil {
			t.Errorf("%+v, want %s", got, tt.want)
		}
	}
}

func TestLimitsAreChosen(t *testing.T) {
	l, _ := limitsOf(LimitsState{Set: limitSet(t, someLimits), Meter: used(time.Now())})
	for _, tt := range []struct {
		method, query  string
		limits, nearby int
	}{
		{"GET", "limit=address", 1, 2}, {"HEAD", "top=1&limit=address", 1, 1}, {"GET", "top=0", 4, 0}, {"GET", "top=1000", 4, 2},
	} {
		got := pageOf[LimitsPage](t, l.request(tt.method, tt.query))
		if len(got.Limits) != tt.limits || len(got.Limits[0].Nearest) != tt.nearby {
			t.Errorf("%s: %+v", tt.query, got)
		}
	}
}

// What is not understood changes nothing. Neither log nor answer repeat what may be a
// secret.
func TestLimitsRefuse(t *testing.T) {
	l, log := limitsOf(LimitsState{Set: limitSet(t, someLimits)})
	l.Forget = func(_ context.Context, name, key string) error {
		t.Errorf("%s has forgotten %s", name, key)
		return nil
	}
	const secret = "hunter2hunter2hunter2hunter2hunter2hunter2"
	for _, tt := range []struct {
		method, query string
		reason        *exchange.Reason
	}{
		{"GET", "limit=adress", exchange.NoSuchLimit},
		{"GET", "limit=" + secret, exchange.NoSuchLimit},
		{"GET", "limit=", exchange.BadLimitsQuery},
		{"GET", "limt=address", exchange.BadLimitsQuery},
		{"GET", "limit=user&limit=user", exchange.BadLimitsQuery},
		{"GET", "key=user:1", exchange.BadLimitsQuery},
		{"GET", "top=-1", exchange.BadLimitsQuery},
		{"GET", "top=1001", exchange.BadLimitsQuery},
		{"GET", "top=all", exchange.BadLimitsQuery},
		{"GET", "%zz", exchange.BadLimitsQuery},
		{"DELETE", "", exchange.BadLimitsQuery},
		{"DELETE", "limit=user", exchange.BadLimitsQuery},
		{"DELETE", "key=", exchange.BadLimitsQuery},
		{"DELETE", "key=user:1&limt=user", exchange.BadLimitsQuery},
		{"DELETE", "key=user:1&top=1", exchange.BadLimitsQuery},
		{"DELETE", "key=user:1;limit=user", exchange.BadLimitsQuery},
		{"DELETE", "key=user:1&limit=usr", exchange.NoSuchLimit},
		{"DELETE", "key=user:1&limit=address", exchange.BadLimitKey},
		{"DELETE", "key=ip:here&limit=address", exchange.BadLimitKey},
		{"DELETE", "key=42", exchange.BadLimitKey},
		{"DELETE", "key=header.x=" + secret, exchange.BadLimitKey},
		{"DELETE", "key=ip:192.0.2.1&limit=running", exchange.NothingToForget},
		{"POST", "", exchange.MethodNotAllowed},
		{"PUT", "key=user:1", exchange.MethodNotAllowed},
	} {
		x := l.request(tt.method, tt.query)
		if x.Reason != tt.reason || strings.Contains(x.Detail, secret) {
			t.Errorf("%s %s: %v (%s), want %v", tt.method, tt.query, x.Reason, x.Detail, tt.reason)
		}
		if tt.reason == exchange.MethodNotAllowed && x.Allow != "DELETE, GET, HEAD" {
			t.Errorf("Allow is %q", x.Allow)
		}
	}
	if log.Len() > 0 {
		t.Errorf("nothing was reset, and the log says %s", log)
	}
}

// counting is the page over a real Meter.
func counting(t *testing.T) (*Limits, *meter.Meter, *bytes.Buffer) {
	t.Helper()
	here := memory.New(memory.Options{})
	m := meter.New(meter.Options{Here: here, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() { m.Close(); here.Close() })
	l, log := limitsOf(LimitsState{})
	l.State, l.Forget = metered{&state{}, m, here, limitSet(t, someLimits)}, m.Forget
	return l, m, log
}

type metered struct {
	*state
	m    *meter.Meter
	here *memory.Store
	set  *limit.Set
}

func (s metered) Limits() LimitsState {
	return LimitsState{Set: s.set, Meter: s.m.State(), Held: s.here.Usage()}
}

type nobody struct{}

func (nobody) Context() context.Context { return context.Background() }

// spend spends all of a limit, and tells whether there was something left.
func spend(m *meter.Meter, name, key string) bool {
	c := m.Call()
	defer m.End(c)
	rule := store.Rule{Limit: 3, Window: time.Hour}
	c.Claims = append(c.Claims, meter.Claim{Name: name, Key: key, Rule: rule, Cost: rule.Limit})
	m.Take(nobody{}, c, time.Now())
	return c.Claims[0].Verdict == meter.Fits
}

func TestReset(t *testing.T) {
	for _, tt := range []struct {
		query string
		want  []Forgotten
	}{
		{"key=ip:192.0.2.1&limit=address", []Forgotten{{"address", "ip:192.0.2.1"}}},
		{"key=ip%3A192.0.2.1", []Forgotten{{"address", "ip:192.0.2.1"}, {"user", "ip:192.0.2.1"}, {"key", "ip:192.0.2.1"}}},
		{"key=user:ann", []Forgotten{{"user", "user:ann"}}},
	} {
		l, m, log := counting(t)
		all := []Forgotten{{"address", "ip:192.0.2.1"}, {"user", "ip:192.0.2.1"}, {"user", "user:ann"}, {"address", "ip:192.0.2.2"}, {"key", "ip:192.0.2.1"}}
		for _, one := range all {
			if !spend(m, one.Limit, one.Key) || spend(m, one.Limit, one.Key) {
				t.Fatal("the meter does not count")
			}
		}
		if p := pageOf[LimitsPage](t, l.request("GET", "limit=address")); p.Store.Keys != 5 || len(p.Limits[0].Nearest) != 2 || p.Limits[0].Refused != 2 ||
			p.Limits[0].Nearest[0].Left != 0 || p.Limits[0].Nearest[0].More < 3590 {
			t.Errorf("before: %+v", p)
		}
		got := pageOf[ForgottenPage](t, l.request("DELETE", tt.query))
		if !reflect.DeepEqual(got.Forgotten, tt.want) || got.Store != "memory" || got.Message == "" {
			t.Errorf("%s: %+v", tt.query, got)
		}
		for _, one := range all {
			forgotten := false
			for _, w := range tt.want {
				forgotten = forgotten || w == one
			}
			if spend(m, one.Limit, one.Key) != forgotten {
				t.Errorf("%s: forgotten is %v, of %+v", tt.query, !forgotten, one)
			}
		}
		var line struct {
			Msg, By   string
			RequestID string `json:"request_id"`
			Forgotten []string
		}
		if err := json.Unmarshal(log.Bytes(), &line); err != nil || line.Msg != "limits reset" || line.By != "the-admin" || line.RequestID != "the-request" ||
			len(line.Forgotten) != len(tt.want) || line.Forgotten[0] != tt.want[0].Limit+" "+tt.want[0].Key {
			t.Errorf("%v, the log says %s", err, log)
		}
	}
}

// A secret is known by its hash alone, in the answer and in the log.
func TestResetHidesSecrets(t *testing.T) {
	l, _, log := counting(t)
	x := l.request("DELETE", "key=api_key%3Dhunter2")
	b, _ := x.ResponseBody.Whole()
	if x.Status != 200 || !strings.Contains(string(b), `"api_key:`) || strings.Contains(string(b)+log.String(), "hunter2") || log.Len() == 0 {
		t.Errorf("%d %s, the log says %s", x.Status, b, log)
	}
}

// A store that is not there is asked once, all limits forget here, and nobody is told that
// others have.
func TestResetWithoutTheStore(t *testing.T) {
	l, log := limitsOf(LimitsState{Set: limitSet(t, someLimits), Meter: meter.State{Shared: true, Lost: true}})
	var here []string
	asked := 0
	l.Forget = func(ctx context.Context, name, _ string) error {
		if here = append(here, name); ctx.Err() == nil {
			asked++
		}
		return errors.New("no answer")
	}
	got := pageOf[ForgottenPage](t, l.request("DELETE", "key=ip:192.0.2.1"))
	if got.Store != "pending" || !strings.Contains(got.Message, "this node alone") || len(got.Forgotten) != 3 {
		t.Errorf("%+v", got)
	}
	if want := []string{"address", "user", "key"}; !reflect.DeepEqual(here, want) || asked != 1 {
		t.Errorf("%q forgot here, the store was asked %d times", here, asked)
	}
	if !strings.Contains(log.String(), `"pending":"no answer"`) {
		t.Errorf("the log says %s", log)
	}
	l.Forget = func(context.Context, string, string) error { return nil }
	if got := pageOf[ForgottenPage](t, l.request("DELETE", "key=ip:192.0.2.1")); got.Store != "written" || !strings.Contains(got.Message, "all others") {
		t.Errorf("%+v", got)
	}
}

// Monitors see all limits, and what they count, from the start.
func TestLimitsInHealth(t *testing.T) {
	s := &state{limits: LimitsState{Set: limitSet(t, someLimits), Meter: used(time.Now()), Held: memory.Usage{Keys: 11, Dropped: 6}}}
	s.limits.Meter.Shared = true
	_, page := ask(t, health(s).Detailed)
	by := func(n float64) map[string]any {
		return map[string]any{"address": n, "user": 0.0, "key": 0.0, "running": 0.0}
	}
	want := map[string]any{
		"state": "shared", "since": "2026-01-02T03:04:05.000Z", "nodes": 2.0, "losses": 1.0, "keys": 11.0, "dropped": 6.0,
		"allowed": by(7), "refused": by(5), "observed": by(3), "whileLost": by(2),
	}
	if !reflect.DeepEqual(page["limits"], want) {
		t.Errorf("got  %v\nwant %v", page["limits"], want)
	}
	if _, page = ask(t, health(&state{}).Detailed); page["limits"] != nil {
		t.Errorf("without limits: %v", page["limits"])
	}
	if _, page = ask(t, health(s).Live); page["limits"] != nil {
		t.Error("whoever asks for life gets limits")
	}
}
