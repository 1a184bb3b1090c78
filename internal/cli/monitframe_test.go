package cli

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"yett/internal/control"
	"yett/internal/telemetry"
)

// script is a gateway that answers as it is told.
type script struct {
	control.Instance
	status control.Status
	stats  telemetry.Stats
	err    error
	hang   bool
}

func (s *script) Status(ctx context.Context) (control.Status, error) {
	if s.hang {
		<-ctx.Done()
		return control.Status{}, ctx.Err()
	}
	return s.status, s.err
}

func (s *script) Stats(context.Context) (telemetry.Stats, error) { return s.stats, s.err }

// serves adds requests of a route to the counts.
func (s *script) serves(route string, n, failed uint64, took time.Duration) {
	more := telemetry.NewCounters(s.stats.Since)
	r := telemetry.NewRoute(route)
	more.Use([]*telemetry.Route{r}, s.stats.Since)
	for i := range n {
		x := exchangeWith(200)
		if i < failed {
			x = exchangeWith(503)
		}
		more.Count(x, r, took, i < failed)
	}
	s.stats = s.stats.Add(more.Stats(s.stats.At))
}

// scripted is a monitor with a clock of its own, and what lets a second pass.
func scripted(s *script) (m *monitor, pass func()) {
	now := noon
	s.stats.Since, s.stats.At = noon.Add(-time.Hour), noon
	s.status.Started = s.stats.Since
	m = newMonitor(s)
	m.now = func() time.Time { return now }
	return m, func() {
		now = now.Add(time.Second)
		s.stats.At = now
	}
}

func mustLook(t *testing.T, m *monitor) *monitFrame {
	t.Helper()
	f, err := m.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Rates are what has come since the look before, latency and routes of the last ten.
func TestMonitorRates(t *testing.T) {
	s := &script{status: control.Status{Name: "api", PID: 7, State: control.Ready, Usage: control.Usage{CPU: 36 * time.Minute, Memory: 5, Connections: 3}}}
	m, pass := scripted(s)
	s.serves("old", 1000, 1000, time.Second) // before anybody looked
	f := mustLook(t, m)
	if f.Requests != 0 || len(f.Routes) != 0 || f.Latency.P50 != nil || len(f.past) != 0 || f.Workers[0].CPU != 60 {
		t.Errorf("the first knows %+v", f)
	}
	pass()
	s.serves("a", 10, 1, time.Millisecond)
	s.serves("b", 30, 0, 100*time.Millisecond)
	s.status.CPU += 1500 * time.Millisecond
	f = mustLook(t, m)
	if f.Requests != 40 || f.Failed != 1 || f.Classes["5xx"] != 1 || f.Classes["2xx"] != 39 || f.Seconds != 1 {
		t.Errorf("%+v", f)
	}
	if w := f.Workers[0]; w.CPU != 150 || w.PID != 7 || w.ID != 0 || w.State != "ready" || w.Connections != 3 {
		t.Errorf("%+v", w)
	}
	if len(f.Routes) != 2 || f.Routes[0].Name != "b" || f.Routes[1].Requests != 10 || f.Routes[1].Failed != 10 || *f.Routes[1].Mean != 1 {
		t.Errorf("%+v", f.Routes)
	}
	if math.Abs(*f.Latency.P95-100) > 7 || math.Abs(*f.Latency.Mean-75.25) > 0.01 {
		t.Errorf("p95 %v, mean %v", *f.Latency.P95, *f.Latency.Mean)
	}
	for range monitWindow - 1 { // while they are in the window
		pass()
		f = mustLook(t, m)
		if f.Requests != 0 || len(f.Routes) != 2 || f.Latency.P50 == nil {
			t.Fatalf("%+v", f)
		}
	}
	if f.WindowSeconds != monitWindow || f.Routes[1].Requests != 1 {
		t.Errorf("%+v", f)
	}
	pass()
	if f = mustLook(t, m); len(f.Routes) != 0 || f.Latency.P50 != nil {
		t.Errorf("%+v", f)
	}
	if want := []float64{40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}; !reflect.DeepEqual(f.past, want) {
		t.Errorf("past %v", f.past)
	}
}

// One that was started again in the place of the one before is no gateway with fewer requests.
func TestMonitorOfAnother(t *testing.T) {
	s := &script{status: control.Status{PID: 1}}
	m, pass := scripted(s)
	s.serves("a", 1000, 0, time.Millisecond)
	mustLook(t, m)
	pass()
	s.stats = telemetry.Stats{Since: s.stats.At.Add(-time.Millisecond), At: s.stats.At}
	s.status.PID, s.status.Started = 2, s.stats.Since
	s.serves("a", 3, 0, time.Millisecond)
	if f := mustLook(t, m); f.Requests != 0 || len(f.Routes) != 0 {
		t.Errorf("%+v", f)
	}
	pass()
	s.serves("a", 5, 0, time.Millisecond)
	if f := mustLook(t, m); f.Requests != 5 {
		t.Errorf("%+v", f)
	}
}

// The past has an end.
func TestMonitorForgets(t *testing.T) {
	s := &script{}
	m, pass := scripted(s)
	var f *monitFrame
	for range monitPast + 50 {
		f = mustLook(t, m)
		pass()
	}
	if len(f.past) != monitPast || f.first != 49 || len(m.seen) != monitWindow+1 {
		t.Errorf("%d values from %d, %d looks", len(f.past), f.first, len(m.seen))
	}
}

func TestMonitorOfACluster(t *testing.T) {
	s := &script{status: control.Status{
		PID: 1, Workers: []control.Worker{
			{ID: 1, PID: 11, State: control.Ready, Started: noon.Add(-time.Minute), Usage: control.Usage{CPU: 6 * time.Second}},
			{ID: 2, State: control.Failing, Restarts: 10, Why: "it crashes"},
		},
		Refused: &control.Refusal{At: noon, Why: []string{"a"}}, Dropped: 4,
	}}
	m, pass := scripted(s)
	s.stats.Breakers = []telemetry.BreakerStats{{Service: "a", State: "CLOSED"}, {Service: "b", State: "OPEN"}}
	s.stats.Limits = []telemetry.LimitStats{{Name: "few", Refused: 5}, {Name: "many", Refused: 5, Keys: 3}}
	mustLook(t, m)
	pass()
	s.status.Workers = slices.Clone(s.status.Workers)
	s.status.Workers[0].PID, s.status.Workers[0].Started = 12, noon // a new process
	s.status.Workers[0].CPU = 100 * time.Millisecond
	s.stats.Limits = []telemetry.LimitStats{{Name: "few", Refused: 6}, {Name: "many", Refused: 15, Keys: 3}}
	f := mustLook(t, m)
	if len(f.Workers) != 2 || f.Workers[0].CPU != 10 || f.Workers[1].CPU != 0 || f.Workers[1].Why != "it crashes" {
		t.Errorf("%+v", f.Workers)
	}
	if want := []monitLimit{{"many", 0, 10, 0, 3}, {"few", 0, 1, 0, 0}}; !reflect.DeepEqual(f.Limits, want) {
		t.Errorf("%+v", f.Limits)
	}
	if len(f.Breakers) != 1 || f.Breakers[0].Service != "b" || f.Refused.Why[0] != "a" || f.Dropped != 4 {
		t.Errorf("%+v", f)
	}
}

// What hangs is not waited for, and what fails says why.
func TestMonitorFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if _, err := newMonitor(&script{hang: true}).look(t.Context()); err == nil || !strings.Contains(err.Error(), "not answered for 5s") || time.Since(began) != monitPatience {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		oops := errors.New("oops")
		if _, err := newMonitor(&script{err: oops}).look(t.Context()); !errors.Is(err, oops) {
			t.Error(err)
		}
	})
}

// As JSON a frame has no lists that are null, and all figures have their names.
func TestMonitJSON(t *testing.T) {
	m, _ := scripted(&script{})
	text, err := json.Marshal(mustLook(t, m))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"routes":[]`, `"limits":[]`, `"breakers":[]`, `"workers":[{"id":0`, `"requests_per_s":0`, `"p99.9":null`, `"2xx":0`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}
