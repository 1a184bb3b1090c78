package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"yett/internal/store"
	"yett/internal/store/redis/redistest"
)

// calls is how often a server has run scripts since its statistics were reset.
func calls(t *testing.T, server *redistest.Server) int {
	t.Helper()
	for _, line := range server.Do("INFO", "commandstats") {
		if rest, ok := strings.CutPrefix(line, "cmdstat_evalsha:calls="); ok {
			text, _, _ := strings.Cut(rest, ",")
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// What is refused in one slot of a cluster is not spent in the others, not even for the
// moment until it is known: another caller would be refused for that.
func TestRefusedElsewhereIsNotHeld(t *testing.T) {
	c := redistest.StartCluster(t, redistest.GroupOptions{})
	s := open(t, Options{Cluster: c.Addresses(), Timeout: time.Second})
	full := store.Take{Name: "full", Key: "0", Rule: sliding(1, hour), Cost: 1}
	wide := store.Take{Name: "wide", Key: "1", Rule: sliding(10, hour), Cost: 1}
	for i := 1; c.Owner("{"+wide.Key+"}") == c.Owner("{0}"); i++ {
		wide.Key = fmt.Sprint(i)
	}
	owner, key := c.Owner("{"+wide.Key+"}"), "limit:wide:{"+wide.Key+"}"
	take(t, s, full)
	take(t, s, wide)
	for name, takes := range map[string][]store.Take{
		"before":           {full, wide},
		"after":            {wide, full},
		"with least":       {wide, full, {Name: "wide", Key: wide.Key, Rule: wide.Rule, Cost: 10, Least: 1}},
		"with what is not": {wide, full, {Name: "soft", Key: "0", Rule: sliding(1, hour), Cost: 1, Soft: true}},
		"only looks":       {wide, {Name: "full", Key: "0", Rule: full.Rule, Cost: 1, Action: store.Look}},
	} {
		owner.Do("PEXPIRE", key, "36000000") // so that a write would be seen
		if err := s.Take(t.Context(), time.Now(), takes); err != nil {
			t.Fatal(err)
		}
		if ms := milliseconds(t, owner, key); ms < 30_000_000 {
			t.Errorf("%s: it was written, and ends after %d ms", name, ms)
		}
		for i := range takes {
			tk := &takes[i]
			left, isFull := int64(9), tk.Name == "full"
			if tk.Name != "wide" {
				left = 0
			}
			if tk.Name == "soft" {
				left = 1
			}
			if tk.Fits == isFull || tk.Granted != 0 || tk.Left != left || (tk.Wait > 0) != isFull || (tk.More > 0) != (tk.Name != "soft") {
				t.Errorf("%s: %+v", name, *tk)
			}
		}
	}
	// What is charged is, in any case, and shown to others of the same key.
	charge := wide
	charge.Action, charge.Cost = store.Charge, 3
	takes := []store.Take{wide, charge, full}
	if err := s.Take(t.Context(), time.Now(), takes); err != nil || takes[0].Left != 6 || takes[0].Granted != 0 || takes[1].Left != 6 || takes[1].Granted != 3 {
		t.Errorf("%v, %+v", err, takes)
	}
	if got := take(t, s, wide); got.Left != 5 {
		t.Errorf("%+v", got)
	}
}

// A cluster is asked as often as need be: once where all takes of a call are in a slot,
// or nothing that is elsewhere refuses them.
func TestRoundTripsInACluster(t *testing.T) {
	c := redistest.StartCluster(t, redistest.GroupOptions{})
	s := open(t, Options{Cluster: c.Addresses(), Timeout: time.Second})
	a := store.Take{Name: "limit", Key: "0", Rule: sliding(1000, hour), Cost: 1}
	b := a
	for i := 1; c.Owner("{"+b.Key+"}") == c.Owner("{0}"); i++ {
		b.Key = fmt.Sprint(i)
	}
	same, soft, charge, look := a, b, b, b
	same.Name, soft.Soft, charge.Action, look.Action = "other", true, store.Charge, store.Look
	softLook := look
	softLook.Soft = true
	softly := a
	softly.Soft = true
	owner := c.Owner("{0}")
	take(t, s, a)
	take(t, s, b) // they know the script now
	for name, test := range map[string]struct {
		takes []store.Take
		want  int
	}{
		"one":                     {[]store.Take{a}, 1},
		"the same slot":           {[]store.Take{a, same}, 1},
		"two slots":               {[]store.Take{a, b}, 2},
		"looks elsewhere":         {[]store.Take{a, look}, 2},
		"soft elsewhere":          {[]store.Take{a, soft}, 2},
		"soft here":               {[]store.Take{softly, b}, 2},
		"soft, looks elsewhere":   {[]store.Take{a, softLook}, 1},
		"all soft":                {[]store.Take{softly, soft}, 1},
		"charged elsewhere":       {[]store.Take{a, charge}, 1},
		"charged beside two":      {[]store.Take{a, b, charge}, 2},
		"nothing to spend at all": {[]store.Take{look, {Name: "limit", Key: "0", Rule: a.Rule, Cost: 1, Action: store.Look}}, 1},
	} {
		owner.Do("CONFIG", "RESETSTAT")
		takes := slices.Clone(test.takes)
		if err := s.Take(t.Context(), time.Now(), takes); err != nil || store.Refuser(takes) != nil {
			t.Errorf("%s: %v, %+v", name, err, takes)
		}
		if n := calls(t, owner); n != test.want {
			t.Errorf("%s: asked %d times, want %d", name, n, test.want)
		}
	}
}

// Where all seems to fit, and in the end something does not, what was spent is given back.
func TestFitsNoLonger(t *testing.T) {
	c := redistest.StartCluster(t, redistest.GroupOptions{})
	s := open(t, Options{Cluster: c.Addresses(), Timeout: time.Second})
	a := store.Take{Name: "limit", Key: "0", Rule: sliding(3, hour), Cost: 2}
	b := a
	b.Key = "1"
	// By itself each of the two fits, and so it looks until one of them is spent.
	takes := []store.Take{b, a, a}
	if err := s.Take(t.Context(), time.Now(), takes); err != nil || store.Refuser(takes) != &takes[2] {
		t.Errorf("%v, %+v", err, takes)
	}
	for _, tk := range []store.Take{a, b} {
		tk.Action = store.Look
		if got := take(t, s, tk); got.Left != 3 {
			t.Errorf("%s: %d are left", tk.Key, got.Left)
		}
	}
}

// Where nobody waits any more when it is known that all fits, nothing is spent.
func TestGoneBeforeItIsSpent(t *testing.T) {
	c := redistest.StartCluster(t, redistest.GroupOptions{})
	s := open(t, Options{Cluster: c.Addresses(), Timeout: budget})
	patient := open(t, Options{Cluster: c.Addresses(), Timeout: time.Second})
	takes := []store.Take{{Name: "limit", Key: "0", Rule: sliding(10, hour), Cost: 1}, {Name: "limit", Key: "1", Rule: sliding(10, hour), Cost: 1}}
	for _, tk := range takes {
		take(t, patient, tk)
	}
	c.Owner("{0}").Do("CLIENT", "PAUSE", "250", "ALL") // longer than budget, and too short for the connection to be given up
	if err := s.Take(t.Context(), time.Now(), takes); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	for deadline := time.Now().Add(10 * time.Second); !idle(s.sender); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is never answered")
		}
	}
	for _, tk := range takes {
		tk.Action = store.Look
		if got := take(t, patient, tk); got.Left != 9 {
			t.Errorf("%s: %d are left", tk.Key, got.Left)
		}
	}
}

func idle(s *sender) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running == 0
}
