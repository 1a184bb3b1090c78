package upstream

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"yett/internal/upstream/balance"
	"yett/internal/upstream/breaker"
)

// A name of which nothing is known has a row that says why, and is no target. One that was
// known, and can't be looked up any more, keeps its target, with a note.
func TestUnknownIsShown(t *testing.T) {
	t.Parallel()
	z, r := newZone(t)
	release := z.slow(t)
	literal := "127.0.0.1:9"
	f := service(t, "http://app.test:81 weight=3", use(r, func(s *setup) { s.conf.Targets = append(s.conf.Targets, "http://"+literal) }))
	row := func() TargetStats {
		for _, st := range f.Stats().Targets {
			if st.Name == "app.test:81" {
				return st
			}
		}
		t.Fatalf("no row: %+v", f.Stats().Targets)
		panic("unreachable")
	}
	if st := row(); st.State != "unknown" || st.Cause != "not looked up yet" || st.Weight != 3 {
		t.Errorf("at first: %+v", st)
	}
	release()
	eventually(t, "it says why", func() bool { return row().Cause == "can't be looked up: no such host" })
	if st := f.Stats(); len(st.Targets) != 2 || st.Targets[0].Name != literal || st.Targets[0].State != balance.Up || st.Targets[0].Note != "" || st.Panics {
		t.Errorf("%+v", st)
	}
	z.addrs("app.test", "127.0.0.1")
	eventually(t, "it is found", func() bool { return row().State != "unknown" })
	z.failing.Store(true)
	eventually(t, "it fails", func() bool { return row().Note != "" })
	if st := row(); st.State == "unknown" || st.Cause != "" || !strings.HasPrefix(st.Note, "a look-up of its name has failed: ") || strings.Contains(st.Note, "127.0.0.1") {
		t.Errorf("it failed later: %+v", st)
	}
	z.failing.Store(false)
	eventually(t, "it is well", func() bool { return row().Note == "" })
	if st := f.Stats().Targets; len(st) != 2 {
		t.Errorf("at last: %+v", st)
	}
}

// What DNS servers say in several lines is one, and names no server.
func TestLookupCause(t *testing.T) {
	f := service(t, "http://app.internal:80")
	eventually(t, "it has failed by itself", func() bool { return f.Stats().Targets[0].Cause != "not looked up yet" })
	for in, want := range map[string]string{
		"resolving a.test: lookup a.test on 10.0.0.2:53: read udp 10.0.0.1:999->10.0.0.2:53: i/o timeout": "can't be looked up: i/o timeout",
		"one\nresolving b.test: two": "can't be looked up: two",
		"one\ntwo":                   "can't be looked up: one; two",
	} {
		f.missed(f.sources[0], errors.New(in))
		f.want(f.Stats().Targets[0].Cause, want)
	}
}

// A panic is shown, and has a line in the log where it begins and where it ends.
func TestPanicIsShown(t *testing.T) {
	var l lines
	f := service(t, "http://127.0.0.1:1", logged(&l), func(s *setup) {
		s.conf.Targets = append(s.conf.Targets, "http://127.0.0.1:2", "http://127.0.0.1:3")
		s.conf.Balance.SlowStart, s.conf.Balance.Panic = 0, 0.5
	})
	all := f.set.Load().list
	for i, want := range []bool{false, true, true} {
		f.balancer.SetHealthy(all[i].node, false, "503", time.Now())
		if got := f.Stats().Panics; got != want {
			t.Errorf("%d are down, and it panics: %v", i+1, got)
		}
	}
	f.balancer.SetHealthy(all[0].node, true, "200", time.Now())
	f.balancer.SetHealthy(all[1].node, true, "200", time.Now())
	if f.Stats().Panics {
		t.Error("it panics for ever")
	}
	f.want(strings.Join(l.with("panic"), "\n"), strings.Join([]string{
		`level=WARN msg="panic: too few targets are well, so all are used" service=app cause="targets that are well: 1 of 3"`,
		`level=INFO msg="the panic is over: enough targets are well" service=app cause="targets that are well: 2 of 3"`,
	}, "\n"))
	if n := len(l.with("")); n != 7 {
		t.Errorf("%d lines: %q", n, l.with(""))
	}
}

// What is done by hand is logged by who does it, and in the log of other nodes it is a warning.
func TestHandIsLogged(t *testing.T) {
	var l lines
	f := service(t, "http://127.0.0.1:1", guarded(1), logged(&l))
	for _, to := range []string{"close", "open", "close", "reset", "open"} {
		f.SetBreaker(to, time.Time{}, "ann by hand")
	}
	if all := l.with(""); len(all) != 0 {
		t.Errorf("logged twice: %q", all)
	}
	f.SetBreaker("open", time.Now().Add(50*time.Millisecond), "")
	eventually(t, "the hold is over", func() bool { return f.Stats().Breaker.Held == "" })
	f.want(strings.Join(l.with(""), "\n"), `level=INFO msg="circuit breaker" service=app from=OPEN to=CLOSED cause="the hold is over" failures=0`)
	for _, tt := range []struct {
		to          breaker.State
		cause, want string
	}{
		{breaker.Open, "5 failures in a row", "WARN"},
		{breaker.HalfOpen, "the pause is over", "INFO"},
		{breaker.Closed, "2 probes succeeded", "INFO"},
		{breaker.Closed, "told by node a/1: 2 probes succeeded", "INFO"},
		{breaker.Closed, "told by node a/1: closed by hand (ann)", "WARN"},
		{breaker.Closed, "told by node a/1: reset by hand", "WARN"},
		{breaker.Open, "told by node a/1: opened by hand (ann)", "WARN"},
	} {
		before := len(l.with(""))
		f.breakerChanged(breaker.Change{To: tt.to, Cause: tt.cause})
		if all := l.with("")[before:]; len(all) != 1 || !strings.HasPrefix(all[0], "level="+tt.want+" ") {
			t.Errorf("%+v: %q", tt, all)
		}
	}
}

// Somebody may look while targets come and go.
func TestStatsWhileTargetsChange(t *testing.T) {
	f, set := learned(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			set(fmt.Sprintf("127.1.0.%d", i))
			f.missed(f.sources[0], errors.New("no"))
			f.recovered(f.sources[0])
		}
	}()
	for {
		for _, st := range f.Stats().Targets {
			if _, err := netip.ParseAddrPort(st.Name); err != nil && st.State != "unknown" {
				t.Fatalf("%+v", st)
			}
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
