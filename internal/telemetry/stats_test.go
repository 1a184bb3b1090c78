package telemetry

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// someStats makes what a worker may have served. All have one beginning and one end, and
// routes and limits of their own beside those that all have.
func someStats(r *rand.Rand) Stats {
	s := Stats{
		Since: time.Unix(1e9, 0), At: time.Unix(1e9+60, 0), Requests: r.Uint64N(1e6), Failed: r.Uint64N(100),
		BytesIn: r.Uint64N(1e9), BytesOut: r.Uint64N(1e9), InFlight: r.IntN(100),
		Latency: histogram(times(r)),
		Refused: map[string]int64{"no_route": 1 + r.Int64N(100)}, Observed: map[string]int64{},
	}
	for i := range s.Classes {
		s.Classes[i] = r.Uint64N(1e5)
	}
	for _, name := range []string{"a", "b", "c"} {
		if r.IntN(2) == 0 {
			s.Routes = append(s.Routes, RouteStats{name, 1 + r.Uint64N(1000), r.Uint64N(10), r.Uint64N(10), r.Uint64N(1e9)})
		}
		if r.IntN(2) == 0 {
			s.Limits = append(s.Limits, LimitStats{name, r.Uint64N(100), r.Uint64N(100), r.Uint64N(100), r.IntN(50)})
		}
		if r.IntN(2) == 0 {
			s.Breakers = append(s.Breakers, BreakerStats{name, []string{"CLOSED", "HALF_OPEN", "OPEN"}[r.IntN(3)]})
		}
		s.Refused[name] = 1 + r.Int64N(10)
	}
	return s
}

// It makes no difference in which order workers are added, and nothing adds nothing.
func TestAddIsASum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		a, b, c := someStats(r), someStats(r), someStats(r)
		if x, y := a.Add(b), b.Add(a); !reflect.DeepEqual(x, y) {
			t.Fatalf("%+v\n%+v", x, y)
		}
		if x, y := a.Add(b).Add(c), a.Add(b.Add(c)); !reflect.DeepEqual(x, y) {
			t.Fatalf("%+v\n%+v", x, y)
		}
		if x := a.Add(Stats{}); !reflect.DeepEqual(x, a) {
			t.Fatalf("%+v\n%+v", x, a)
		}
	}
}

// What was added and is subtracted again leaves what was there, but for what tells how
// something is now.
func TestSubTakesAway(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		a, b := someStats(r), someStats(r)
		got := a.Add(b).Sub(b)
		want := a
		got.Since, got.InFlight, got.Breakers, want.InFlight, want.Breakers = want.Since, 0, nil, 0, nil
		got.Routes, got.Limits = counted(got.Routes), keyless(got.Limits)
		want.Routes, want.Limits = counted(want.Routes), keyless(want.Limits)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v\n%+v", got, want)
		}
	}
}

func counted(rows []RouteStats) (out []RouteStats) {
	for _, r := range rows {
		if r != (RouteStats{Name: r.Name}) {
			out = append(out, r)
		}
	}
	return out
}

func keyless(rows []LimitStats) (out []LimitStats) {
	for _, l := range rows {
		if l.Keys = 0; l != (LimitStats{Name: l.Name}) {
			out = append(out, l)
		}
	}
	return out
}

// Counts that became smaller never become huge.
func TestSubOfFewer(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 100 {
		a, b := someStats(r), someStats(r)
		got := a.Sub(a.Add(b))
		if got.Requests != 0 || got.Latency.Total() != 0 || got.BytesIn != 0 || len(got.Refused) != 0 || len(counted(got.Routes)) != 0 {
			t.Fatalf("%+v", got)
		}
		if !got.Since.Equal(a.At) {
			t.Fatalf("since %v", got.Since)
		}
	}
	old, begun := someStats(r), someStats(r)
	begun.Since, begun.At = old.At.Add(time.Second), old.At.Add(time.Minute)
	if got := begun.Sub(old); got.Requests != begun.Requests || !got.Since.Equal(begun.Since) {
		t.Errorf("of a gateway that began later: %+v", got)
	}
}

func TestAddTakesTheWorseBreaker(t *testing.T) {
	row := func(state string) Stats { return Stats{Breakers: []BreakerStats{{"s", state}}} }
	for _, tt := range [][3]string{{"CLOSED", "OPEN", "OPEN"}, {"HALF_OPEN", "CLOSED", "HALF_OPEN"}, {"OPEN", "HALF_OPEN", "OPEN"}, {"CLOSED", "CLOSED", "CLOSED"}} {
		if got := row(tt[0]).Add(row(tt[1])).Breakers[0].State; got != tt[2] {
			t.Errorf("%v: %s", tt, got)
		}
	}
}

func TestStatsAsJSON(t *testing.T) {
	s := someStats(rand.New(rand.NewPCG(8, 9)))
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Stats
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if back.Since, back.At = back.Since.Local(), back.At.Local(); !reflect.DeepEqual(s, back) {
		t.Errorf("%+v\n%+v", s, back)
	}
}
