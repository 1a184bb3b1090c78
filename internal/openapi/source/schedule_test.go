package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"yett/internal/config"
	"yett/internal/upstream"
)

// script is a service that answers as a test says, and notes when it is asked.
type script struct {
	mu    sync.Mutex
	body  string
	err   error
	began time.Time
	asked []time.Duration
	hold  chan struct{} // closed when it may answer; nil for at once
}

func (s *script) say(body string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body, s.err = body, err
}

func (s *script) get(ctx context.Context, _ upstream.Ask) (*upstream.Page, error) {
	s.mu.Lock()
	hold := s.hold
	s.asked = append(s.asked, time.Since(s.began))
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	return &upstream.Page{Status: 200, Body: []byte(s.body)}, nil
}

// looks returns when it was asked.
func (s *script) looks() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// pass lets that time pass, and all happen that is due by then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// times returns the pauses between looks, and forgets all but the last look.
func (s *script) times() (pauses []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.asked[1:] {
		pauses = append(pauses, s.asked[i+1]-s.asked[i])
	}
	s.asked = s.asked[len(s.asked)-1:]
	return pauses
}

func scripted(t *testing.T, s *script, c config.OpenAPI) *fixture {
	s.began = time.Now()
	c.Path = "/openapi.json"
	return source(t, c, func(d *Deps) { d.Get = s.get })
}

func near(t *testing.T, got []time.Duration, want ...time.Duration) {
	t.Helper()
	if len(got) < len(want) {
		t.Fatalf("only %v, want %v", got, want)
	}
	for i := range want {
		if got[i] < want[i]*9/10 || got[i] > want[i]*11/10+time.Millisecond {
			t.Errorf("pause %d is %s, want %s", i, got[i], want[i])
		}
	}
}

// The first look is at once, the next ones come as refresh says, and not all at the same
// distance.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{body: document("One")}
		f := scripted(t, s, config.OpenAPI{})
		f.Start()
		synctest.Wait()
		f.want(f.said(), "good One")
		if at := s.looks(); len(at) != 1 || at[0] != 0 {
			t.Errorf("%v", at)
		}
		pass(time.Hour)
		pauses := s.times()
		if len(pauses) < 10 || len(pauses) > 13 {
			t.Errorf("%d looks", len(pauses))
		}
		const every = 5 * time.Minute
		near(t, pauses, every, every, every, every, every, every, every, every, every, every)
		if pauses[0] == pauses[1] && pauses[1] == pauses[2] {
			t.Errorf("there is no jitter: %v", pauses)
		}
		f.changes(1)
		f.Close()
	})
}

// A service that starts after the gateway is soon found, and one that is gone is not asked
// more often than once a minute.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{err: errors.New("connection refused")}
		f := scripted(t, s, config.OpenAPI{})
		f.Start()
		pass(10 * time.Minute)
		near(t, s.times(), time.Second, 2*time.Second, 4*time.Second, 8*time.Second, 16*time.Second, 32*time.Second, time.Minute, time.Minute)
		f.want(f.said(), "waiting connection refused")
		s.say(document("One"), nil)
		pass(70 * time.Second)
		f.want(f.said(), "good One")
		s.times()
		s.say("", errors.New("connection refused"))
		pass(6 * time.Minute)
		f.want(f.said(), "stale One connection refused")
		near(t, s.times(), 5*time.Minute, time.Second, 2*time.Second) // it begins anew
		f.changes(2)
		if lines := f.logged.take(); len(lines) != 3 {
			t.Errorf("%d lines: %q", len(lines), lines)
		}
		f.Close()
	})
}

// After a failure it is never later than after a success.
func TestRetryWithinRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{err: errors.New("connection refused")}
		f := scripted(t, s, config.OpenAPI{Refresh: config.Duration(3 * time.Second)})
		f.Start()
		pass(time.Minute)
		near(t, s.times(), time.Second, 2*time.Second, 3*time.Second, 3*time.Second, 3*time.Second)
		f.Close()
	})
}

// The time for fetching is bounded, and what comes of it is a failure.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{hold: make(chan struct{})}
		f := scripted(t, s, config.OpenAPI{Timeout: config.Duration(7 * time.Second)})
		f.Start()
		pass(7*time.Second + time.Millisecond)
		if st := f.State(); st.Problem == "" || st.Phase != Waiting {
			t.Errorf("%+v", st)
		}
		f.Close()
	})
}

// To be started again means to look now. Once it is closed it means nothing.
func TestStartAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{body: document("One")}
		f := scripted(t, s, config.OpenAPI{})
		f.Start()
		synctest.Wait()
		s.say(document("Two"), nil)
		f.Start()
		synctest.Wait()
		f.want(f.said(), "good Two")
		f.Close()
		f.Close()
		f.Start()
		pass(time.Hour)
		if at := s.looks(); len(at) != 2 {
			t.Errorf("it was asked %d times", len(at))
		}
	})
}

// Documents are compiled one at a time, and a Source that waits for its turn can be closed.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{}, 1)
		gate <- struct{}{}
		var all []*fixture
		for i := range 3 {
			s := &script{body: document(fmt.Sprint(i))}
			f := source(t, config.OpenAPI{Path: "/"}, func(d *Deps) { d.Get, d.Gate = s.get, gate })
			f.Start()
			all = append(all, f)
		}
		synctest.Wait()
		all[0].Close()
		for _, f := range all {
			f.want(f.said(), "waiting")
		}
		<-gate
		synctest.Wait()
		all[0].want(all[0].said(), "waiting")
		all[1].want(all[1].said(), "good 1")
		all[2].want(all[2].said(), "good 2")
		for _, f := range all {
			f.Close()
		}
		if len(gate) != 0 {
			t.Error("the gate is still held")
		}
	})
}

// That a service was replaced by one with other settings is no failure of the document.
func TestServiceIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{err: upstream.ErrClosed}
		f := scripted(t, s, config.OpenAPI{})
		f.Start()
		synctest.Wait()
		f.want(f.said(), "waiting")
		s.say(document("One"), nil)
		pass(2 * time.Second)
		f.want(f.said(), "good One")
		if lines := f.logged.take(); len(lines) != 1 {
			t.Errorf("%q", lines)
		}
		f.Close()
	})
}

// Reading can't be stopped. That it takes long shows, and neither those who close the Source
// nor those who ask it wait for it.
func TestLongReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, gate := &script{body: document("One")}, make(chan struct{}, 1)
		f := scripted(t, s, config.OpenAPI{})
		f.deps.Load().Gate = gate
		f.Start()
		synctest.Wait()
		hold, began := make(chan struct{}), time.Now()
		f.make = func(data []byte) (*Loaded, *failure) {
			<-hold
			return f.read(data)
		}
		s.say(document("Two"), nil)
		f.Start()
		pass(longReading - time.Millisecond)
		f.want(f.said(), "good One")
		pass(time.Millisecond)
		f.want(f.said(), "good One it is being read since "+began.UTC().Format(time.RFC3339)+", which takes too long")

		closing := time.Now()
		f.Close()
		if took := time.Since(closing); took != patience {
			t.Errorf("closing took %s", took)
		}
		close(hold)
		synctest.Wait()
		f.want(f.said(), "good One") // what was read meanwhile does not count
		if len(gate) != 0 {
			t.Error("the gate is still held")
		}
		select {
		case <-f.done:
		default:
			t.Error("the goroutine goes on")
		}
	})
}

// A document that was read in time, however long, is like any other.
func TestReadAfterAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := scripted(t, &script{body: document("One")}, config.OpenAPI{})
		f.make = func(data []byte) (*Loaded, *failure) {
			time.Sleep(2 * longReading)
			return f.read(data)
		}
		f.Start()
		pass(longReading)
		if st := f.State(); st.Phase != Waiting || st.Problem == "" {
			t.Errorf("%+v", st)
		}
		pass(longReading)
		f.want(f.said(), "good One")
		closing := time.Now()
		f.Close()
		if took := time.Since(closing); took != 0 {
			t.Errorf("closing took %s", took)
		}
	})
}
