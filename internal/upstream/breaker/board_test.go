package breaker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"yett/internal/store"
	"yett/internal/store/memory"
	"yett/internal/store/redis"
	"yett/internal/store/redis/redistest"
)

// patchy is a store that can be lost, and come back with what it had or empty.
type patchy struct {
	store.Store // for what no Board calls

	mu      sync.Mutex
	in      *memory.Store
	lost    bool
	refuses bool          // what is added
	changed chan struct{} // closed when lost is no longer right
	members []string      // that were added, in order
}

func newPatchy(t *testing.T) *patchy {
	s := &patchy{in: memory.New(memory.Options{}), changed: make(chan struct{})}
	t.Cleanup(func() { s.in.Close() })
	return s
}

func (s *patchy) set(lost bool) {
	s.mu.Lock()
	s.lost = lost
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	synctest.Wait()
}

func (s *patchy) lose() { s.set(true) }
func (s *patchy) find() { s.set(false) }

// told returns what was added.
func (s *patchy) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.members)
}

// empty lets go of all there is.
func (s *patchy) empty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in.Close()
	s.in = memory.New(memory.Options{})
}

func (s *patchy) Add(ctx context.Context, set string, entries ...store.Entry) error {
	s.mu.Lock()
	in, no := s.in, s.lost || s.refuses
	if !no {
		for _, e := range entries {
			s.members = append(s.members, e.Member)
		}
	}
	s.mu.Unlock()
	if no {
		return errors.New("gone")
	}
	return in.Add(ctx, set, entries...)
}

func (s *patchy) Follow(ctx context.Context, set string, f store.Follower) {
	for ctx.Err() == nil {
		s.mu.Lock()
		in, lost, changed := s.in, s.lost, s.changed
		s.mu.Unlock()
		session, end := context.WithCancel(ctx)
		var following sync.WaitGroup
		if lost {
			f.Lost(errors.New("gone"))
		} else {
			following.Go(func() { in.Follow(session, set, f) })
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
		end()
		following.Wait()
	}
}

// node is a gateway with a breaker.
type node struct {
	*Board
	b   *Breaker
	log *bytes.Buffer

	mu      sync.Mutex
	changes []string
}

var nodeSettings = Settings{ConsecutiveFailures: 2, OpenFor: 10 * time.Second, OpenMost: time.Minute, Probes: 1, Successes: 1}

// newNode returns a node that shares a store, unless that is nil, until the test ends.
func newNode(t *testing.T, name string, s store.Store) *node {
	n := &node{log: new(bytes.Buffer)}
	n.Board = NewBoard(name, slog.New(slog.NewTextHandler(n.log, nil)))
	n.b = n.breaker()
	n.Join("users", n.b, true)
	t.Cleanup(n.Close)
	if s != nil {
		n.Share(s)
	}
	return n
}

func (n *node) breaker() *Breaker {
	return New(nodeSettings, func(c Change) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.changes = append(n.changes, fmt.Sprintf("%v %v %s", c.From, c.To, c.Cause))
	})
}

func (n *node) status() Status { return n.b.Status(time.Now()) }

// ends lets requests through that end so.
func (n *node) ends(outcomes ...Outcome) {
	for _, o := range outcomes {
		if ticket, ok := n.b.Admit(time.Now()); ok {
			n.b.Record(ticket, o, 0, time.Now())
		}
	}
}

func (n *node) trip() { n.ends(Failure, Failure) }

func (n *node) want(t *testing.T, state State, changes ...string) {
	t.Helper()
	synctest.Wait()
	if s := n.status(); s.State != state {
		t.Errorf("node %s: %+v, want %v", n.node, s, state)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if got, want := strings.Join(n.changes, "\n"), strings.Join(changes, "\n"); got != want {
		t.Errorf("node %s changes:\n%s\nwant:\n%s", n.node, got, want)
	}
	n.changes = nil
}

// three runs a test with a store and two nodes that share it.
func three(t *testing.T, test func(t *testing.T, s *patchy, one, two *node)) {
	synctest.Test(t, func(t *testing.T) {
		s := newPatchy(t)
		test(t, s, newNode(t, "one", s), newNode(t, "two", s))
	})
}

const (
	tripHere   = "CLOSED OPEN 2 failures in a row"
	tripByOne  = "CLOSED OPEN told by node one: 2 failures in a row"
	tripByTwo  = "CLOSED OPEN told by node two: 2 failures in a row"
	pauseOver  = "OPEN HALF_OPEN the pause is over"
	closedHere = "HALF_OPEN CLOSED 1 probe succeeded"
)

// What one node does the other does too, but for half-open; and it is said once.
func TestNodesFollow(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		one.trip()
		one.want(t, Open, tripHere)
		two.want(t, Open, tripByOne)
		for _, n := range []*node{one, two} {
			if wait := n.b.Wait(time.Now()); wait < 8*time.Second || wait > 12*time.Second*12/10 {
				t.Errorf("node %s waits %v", n.node, wait)
			}
		}
		time.Sleep(15 * time.Second)
		if _, ok := one.b.Admit(time.Now()); !ok {
			t.Error("no probe")
		}
		one.want(t, HalfOpen, pauseOver)
		two.want(t, Open)
		two.ends(Success)
		two.want(t, Closed, pauseOver, closedHere)
		one.want(t, Closed, "HALF_OPEN CLOSED told by node two: 1 probe succeeded")
		if len(s.told()) != 2 {
			t.Errorf("what was told: %q", s.told())
		}
	})
}

// A half-open period that failed is told, and the next pause of the other is longer too.
func TestNodesFollowLongerPauses(t *testing.T) {
	three(t, func(t *testing.T, _ *patchy, one, two *node) {
		one.trip()
		time.Sleep(15 * time.Second)
		one.ends(Failure)
		two.want(t, Open, tripByOne)
		if wait := two.b.Wait(time.Now()); wait < 20*time.Second || wait > 24*time.Second {
			t.Errorf("waits %v", wait)
		}
		time.Sleep(25 * time.Second)
		two.ends(Failure)
		synctest.Wait()
		if wait := one.b.Wait(time.Now()); wait < 33*time.Second || wait > time.Minute*12/10 {
			t.Errorf("waits %v", wait)
		}
		if wait := two.b.Wait(time.Now()); wait < 33*time.Second {
			t.Errorf("waits %v", wait)
		}
	})
}

// All nodes trip at the same moment: none lengthens its pause again and again.
func TestAllNodesTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPatchy(t)
		s.lose()
		var nodes []*node
		for i := range 10 {
			n := newNode(t, fmt.Sprint(i), s)
			n.b.random = func() float64 { return float64(i) / 10 } // the last one told is the longest
			nodes = append(nodes, n)
		}
		var before []Status
		for _, n := range nodes {
			n.trip()
			n.want(t, Open, tripHere)
			before = append(before, n.status())
		}
		s.find()
		for i, n := range nodes {
			n.want(t, Open)
			if got := n.status(); got != before[i] {
				t.Errorf("node %s:\n got %+v\nwant %+v", n.node, got, before[i])
			}
		}
	})
}

// Holds and resets are told.
func TestNodesFollowByHand(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		one.b.Hold(Open, time.Time{}, "ann", time.Now())
		one.want(t, Open, "CLOSED OPEN opened by hand (ann)")
		two.want(t, Open, "CLOSED OPEN told by node one: opened by hand (ann)")
		if got := two.status(); got.Held != "open" || !got.HeldUntil.IsZero() {
			t.Errorf("%+v", got)
		}
		time.Sleep(time.Hour)
		two.want(t, Open)
		two.b.Reset("", time.Now())
		two.want(t, Closed, "OPEN CLOSED reset by hand")
		one.want(t, Closed, "OPEN CLOSED told by node two: reset by hand")

		until := time.Now().Add(time.Minute)
		two.b.Hold(Closed, until, "", time.Now())
		one.want(t, Closed, "CLOSED CLOSED told by node two: closed by hand")
		if got := one.status(); got.Held != "closed" || !got.HeldUntil.Equal(until) {
			t.Errorf("%+v", got)
		}
		one.trip()
		one.want(t, Closed)
		time.Sleep(time.Minute)
		one.want(t, Closed, "CLOSED CLOSED the hold is over")
		two.want(t, Closed, "CLOSED CLOSED closed by hand", "CLOSED CLOSED the hold is over")
		one.trip()
		two.want(t, Open, tripByOne)
		two.b.Hold(Open, time.Now().Add(time.Hour), "", time.Now())
		synctest.Wait()
		one.b.Hold(Open, time.Now(), "", time.Now()) // over already
		two.want(t, Closed, "OPEN OPEN opened by hand", "OPEN CLOSED told by node one: reset by hand")
	})
}

// A breaker that trips before its node has heard of a hold does not end it.
func TestHoldBeatsTrip(t *testing.T) {
	for _, lasts := range []time.Duration{0, time.Hour} {
		three(t, func(t *testing.T, s *patchy, one, two *node) {
			until := time.Time{}
			if lasts > 0 {
				until = time.Now().Add(lasts)
			}
			s.lose()
			one.b.Hold(Closed, until, "", time.Now())
			time.Sleep(time.Second)
			two.trip()
			two.want(t, Open, tripHere)
			s.find()
			time.Sleep(time.Second)
			one.want(t, Closed, "CLOSED CLOSED closed by hand")
			two.want(t, Closed, "OPEN CLOSED told by node one: closed by hand")
			if two.status().Held != "closed" {
				t.Errorf("%+v", two.status())
			}
		})
	}
}

// A trip from before the end of a hold does not count behind it.
func TestTripWhileHeld(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		now := time.Now()
		far := now.Add(time.Hour)
		one.b.Hold(Closed, now.Add(5*time.Second), "", now)
		synctest.Wait()
		time.Sleep(time.Second)
		add(t, s, notice{kind: tripped, at: time.Now().UnixMilli(), until: far.UnixMilli(), node: "x", cause: "x"}, far)
		time.Sleep(10 * time.Second)
		add(t, s, notice{kind: tripped, at: time.Now().UnixMilli() - 8000, until: far.UnixMilli(), node: "x", cause: "y"}, far)
		one.want(t, Closed, "CLOSED CLOSED closed by hand", "CLOSED CLOSED the hold is over")
		add(t, s, notice{kind: tripped, at: time.Now().UnixMilli(), until: far.UnixMilli(), node: "x", cause: "z"}, far)
		one.want(t, Open, "CLOSED OPEN told by node x: z")
	})
}

// What others have done while the store could not be reached is done at once, not step
// by step, and only what still holds.
func TestCatchUp(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		now := time.Now()
		far := now.Add(time.Hour)
		unheard := func(n notice) {
			n.service, n.node = "users", "x"
			now = now.Add(time.Millisecond)
			n.at = now.UnixMilli()
			if err := s.in.Add(t.Context(), Set, store.Entry{Member: n.member(), Until: far}); err != nil {
				t.Fatal(err)
			}
		}
		s.lose()
		for range 20 {
			unheard(notice{kind: tripped, until: far.UnixMilli(), cause: "x"})
			unheard(notice{kind: closed, cause: "y"})
		}
		s.find()
		one.want(t, Closed)

		s.lose()
		unheard(notice{kind: tripped, until: now.Add(time.Second).UnixMilli(), cause: "x"})
		time.Sleep(2 * time.Second)
		s.find()
		one.want(t, Closed)

		one.b.Hold(Open, time.Time{}, "", time.Now())
		synctest.Wait()
		now = time.Now()
		s.lose()
		unheard(notice{kind: reset, cause: "x"})
		unheard(notice{kind: tripped, until: far.UnixMilli(), cause: "y"})
		s.find()
		one.want(t, Open, "CLOSED OPEN opened by hand", "OPEN CLOSED told by node x: the hold is over", "CLOSED OPEN told by node x: y")
	})
}

// A reset ends what was before it, not what came after.
func TestResetAndTrip(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		two.trip()
		one.want(t, Open, tripByTwo)
		s.lose()
		one.b.Reset("", time.Now())
		time.Sleep(15 * time.Second)
		two.ends(Failure)
		s.find()
		one.want(t, Open, "OPEN CLOSED reset by hand", "CLOSED OPEN told by node two: a probe failed")
		two.want(t, Open, tripHere, pauseOver, "HALF_OPEN OPEN a probe failed")
	})
}

// A reset that could not be told ends a hold on the other nodes, whatever has come after.
func TestResetThatWasNotTold(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		two.b.Hold(Open, time.Time{}, "", time.Now())
		synctest.Wait()
		s.lose()
		one.b.Reset("", time.Now())
		one.trip()
		s.find()
		synctest.Wait()
		if got := two.status(); got.State != Open || got.Held != "" {
			t.Errorf("%+v", got)
		}
	})
}

// A breaker that is not shared tells nothing and hears nothing, also after it was.
func TestNotShared(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		one.Join("users", one.b, false)
		two.trip()
		one.want(t, Closed)
		two.want(t, Open, tripHere)
		two.Leave("users", one.b) // of another node: nothing
		two.b.Reset("", time.Now())
		two.Leave("users", two.b)
		synctest.Wait()
		members := len(s.told())
		two.trip()
		one.trip()
		one.b.Hold(Open, time.Time{}, "", time.Now())
		synctest.Wait()
		if len(s.told()) > members {
			t.Errorf("told %q", s.told())
		}
		one.Join("a\nb", one.b, true)
		if one.b.link != nil || !strings.Contains(one.log.String(), "can't be shared") {
			t.Error(one.log)
		}
	})
}

// A hold from before a breaker was shared is told when it is.
func TestHeldBeforeItWasShared(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		one.Leave("users", one.b)
		two.trip()
		one.b.Hold(Closed, time.Now().Add(time.Hour), "", time.Now())
		synctest.Wait()
		one.Join("users", one.b, true)
		one.Join("users", one.b, true)
		two.want(t, Closed, tripHere, "OPEN CLOSED told by node one: closed by hand")
		if one.status().Held != "closed" || len(s.told()) != 2 {
			t.Errorf("%+v, told %q", one.status(), s.told())
		}
	})
}

// Who starts later does only what still holds, at once, and never what is over.
func TestLateStart(t *testing.T) {
	for _, test := range []struct {
		name    string
		before  func(one *node)
		after   time.Duration
		state   State
		changes []string
	}{
		{"nothing", func(*node) {}, 0, Closed, nil},
		{"open", (*node).trip, time.Second, Open, []string{tripByOne}},
		{"open, over", (*node).trip, 13 * time.Second, Closed, nil},
		{"open and closed", func(one *node) { one.trip(); time.Sleep(13 * time.Second); one.ends(Success) }, 0, Closed, nil},
		{"open and reset", func(one *node) { one.trip(); time.Sleep(time.Second); one.b.Reset("", time.Now()) }, 9 * time.Second, Closed, nil},
		{"open and reset and open", func(one *node) { one.trip(); one.b.Reset("", time.Now()); one.trip() }, 0, Open, []string{tripByOne}},
		{"held", func(one *node) { one.b.Hold(Open, time.Time{}, "", time.Now()) }, 5 * 24 * time.Hour, Open, []string{"CLOSED OPEN told by node one: opened by hand"}},
		{"held and reset", func(one *node) {
			one.b.Hold(Open, time.Time{}, "", time.Now())
			synctest.Wait()
			one.b.Reset("", time.Now())
		}, 24 * time.Hour, Closed, nil},
		{"held, over", func(one *node) { one.b.Hold(Open, time.Now().Add(time.Second), "", time.Now()) }, time.Second, Closed, nil},
		{"open and then held, over", func(one *node) {
			one.trip()
			synctest.Wait()
			one.b.Hold(Closed, time.Now().Add(time.Second), "", time.Now())
		}, 2 * time.Second, Closed, nil},
		{"held open and then closed", func(one *node) {
			one.b.Hold(Open, time.Time{}, "", time.Now())
			one.b.Hold(Closed, time.Time{}, "", time.Now())
		}, 0, Closed, []string{"CLOSED CLOSED told by node one: closed by hand"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newPatchy(t)
				one := newNode(t, "one", s)
				synctest.Wait()
				test.before(one)
				synctest.Wait()
				time.Sleep(test.after)
				two := newNode(t, "two", s)
				two.want(t, test.state, test.changes...)
			})
		})
	}
}

// A breaker that takes another's place, as after a change of its settings, does what the
// nodes have agreed on.
func TestAnotherTakesThePlace(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		two.b.Hold(Open, time.Time{}, "", time.Now())
		synctest.Wait()
		old := one.b
		one.b = one.breaker()
		one.Join("users", one.b, true)
		one.want(t, Open, "CLOSED OPEN told by node two: opened by hand", "CLOSED OPEN told by node two: opened by hand")
		one.Leave("users", old) // which is not there any more
		old.Reset("", time.Now())
		two.want(t, Open, "CLOSED OPEN opened by hand")
		one.b.Reset("", time.Now())
		two.want(t, Closed, "OPEN CLOSED told by node one: reset by hand")

		three := one.breaker()
		one.Leave("users", one.b)
		two.b.Hold(Closed, time.Time{}, "", time.Now())
		synctest.Wait()
		one.Join("users", three, true)
		if got := three.Status(time.Now()); got.Held != "closed" {
			t.Errorf("%+v", got)
		}
	})
}

// While the store is lost each node goes on by itself, and tells afterwards what still
// holds, the last thing only.
func TestStoreIsLost(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		s.lose()
		one.trip()
		one.want(t, Open, tripHere)
		two.want(t, Closed)
		s.find()
		two.want(t, Open, tripByOne)

		s.lose()
		two.b.Reset("", time.Now())
		two.trip()
		two.b.Hold(Closed, time.Time{}, "", time.Now())
		told := len(s.told())
		s.find()
		one.want(t, Closed, "OPEN CLOSED told by node two: closed by hand")
		if len(s.told()) != told+1 {
			t.Errorf("told %q", s.told()[told:])
		}
		two.b.Reset("", time.Now())
		synctest.Wait()
		one.changes, two.changes = nil, nil

		s.lose()
		one.trip()
		time.Sleep(13 * time.Second)
		s.find()
		two.want(t, Closed)
	})
}

// A store that comes back empty gets what it had, also from a node that was only told.
func TestStoreComesBackEmpty(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		one.b.Hold(Open, time.Time{}, "", time.Now())
		synctest.Wait()
		one.Close()
		s.lose()
		s.empty()
		s.find()
		late := newNode(t, "late", s)
		late.want(t, Open, "CLOSED OPEN told by node one: opened by hand")
		two.want(t, Open, "CLOSED OPEN told by node one: opened by hand")
	})
}

// A store that can be read and not written to is given again what it has refused.
func TestStoreRefuses(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		s.refuses = true
		one.trip()
		two.want(t, Closed)
		time.Sleep(5 * retry)
		s.mu.Lock()
		s.refuses = false
		s.mu.Unlock()
		time.Sleep(retry)
		two.want(t, Open, tripByOne)
		if n := strings.Count(one.log.String(), "can't be told"); n != 1 {
			t.Errorf("%d times in the log:\n%s", n, one.log)
		}
	})
}

// A hold without an end outlives the ends of entries.
func TestLongHold(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		one.b.Hold(Open, time.Time{}, "", time.Now())
		for range 10 {
			time.Sleep(10 * 24 * time.Hour)
			one.Synced() // as a store does from time to time
			synctest.Wait()
		}
		newNode(t, "late", s).want(t, Open, "CLOSED OPEN told by node one: opened by hand")
		if len(s.told()) > 10 {
			t.Errorf("it was added %d times", len(s.told()))
		}
	})
}

// add puts a notice into the store, as any node might.
func add(t *testing.T, s store.Store, n notice, until time.Time) {
	t.Helper()
	if n.service == "" {
		n.service = "users"
	}
	if err := s.Add(t.Context(), Set, store.Entry{Member: n.member(), Until: until}); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// What is older than what is known changes nothing. Of two at the same time all nodes
// take the same.
func TestOrder(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		now := time.Now().UnixMilli()
		far := time.Now().Add(time.Hour)
		add(t, s, notice{kind: heldOpen, at: now - 1000, node: "b", cause: "x"}, far)
		one.want(t, Open, "CLOSED OPEN told by node b: x")
		add(t, s, notice{kind: heldClosed, at: now - 1001, node: "c", cause: "older"}, far)
		add(t, s, notice{kind: heldClosed, at: now - 1000, node: "a", cause: "lesser"}, far)
		one.want(t, Open)
		add(t, s, notice{kind: heldClosed, at: now - 1000, node: "c", cause: "greater"}, far)
		one.want(t, Closed, "OPEN CLOSED told by node c: greater")
		late := newNode(t, "late", s)
		late.want(t, Closed, "CLOSED CLOSED told by node c: greater")
	})
}

// A node whose clock is behind is heard all the same, and one in the far future is not.
func TestClocks(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		now := time.Now()
		ahead := now.Add(store.Skew - time.Second)
		add(t, s, notice{kind: tripped, at: ahead.UnixMilli(), until: ahead.Add(10 * time.Second).UnixMilli(), node: "b", cause: "x"}, now.Add(time.Hour))
		one.want(t, Open, "CLOSED OPEN told by node b: x")
		one.b.Reset("", now)
		one.want(t, Closed, "OPEN CLOSED reset by hand")
		two.want(t, Closed, "CLOSED OPEN told by node b: x", "OPEN CLOSED told by node one: reset by hand")
		newNode(t, "late", s).want(t, Closed)

		future := now.Add(24 * time.Hour)
		add(t, s, notice{kind: tripped, at: future.UnixMilli(), until: maxTime, node: "b", cause: "x"}, future)
		one.want(t, Closed)
		if !strings.Contains(one.log.String(), "in the future") {
			t.Errorf("the log:\n%s", one.log)
		}
	})
}

// A pause that another node tells is never longer than one's own could be.
func TestToldForAges(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		now := time.Now()
		add(t, s, notice{kind: tripped, at: now.UnixMilli(), until: maxTime, node: "b", cause: "x"}, time.UnixMilli(maxTime))
		for range 3 {
			if wait := one.b.Wait(time.Now()); wait > nodeSettings.OpenMost*12/10 || wait < nodeSettings.OpenMost*5/6 {
				t.Errorf("waits %v", wait)
			}
			time.Sleep(2 * time.Minute)
			one.ends(Failure)
		}
		add(t, s, notice{kind: heldOpen, at: time.Now().UnixMilli(), until: maxTime, node: "b", cause: "x"}, time.UnixMilli(maxTime))
		if got := one.status(); got.Held != "open" || got.HeldUntil.Year() != 9999 {
			t.Errorf("%+v", got)
		}
	})
}

// What makes no sense is left out, and told to the log once; what is about services that
// nobody has takes little room.
func TestStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		defer s.Close()
		one := newNode(t, "one", s)
		for i := range 10 {
			if err := s.Add(t.Context(), Set, store.Entry{Member: fmt.Sprint("nonsense\n", i), Until: time.Now().Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range maxTopics + 100 {
			add(t, s, notice{service: fmt.Sprint("s", i), kind: closed, at: time.Now().UnixMilli(), node: "x"}, time.Now().Add(time.Minute))
		}
		if n := len(one.topics); n != maxTopics {
			t.Errorf("%d services", n)
		}
		time.Sleep(2 * time.Minute)
		add(t, s, notice{service: "new", kind: closed, at: time.Now().UnixMilli(), node: "x"}, time.Now().Add(time.Minute))
		if n := len(one.topics); n != 2 {
			t.Errorf("%d services", n)
		}
		one.want(t, Closed)
		if n := strings.Count(one.log.String(), "\n"); n != 1 {
			t.Errorf("%d lines in the log:\n%s", n, one.log)
		}
	})
}

// Nobody waits for a store that does not answer.
func TestSlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{patchy: newPatchy(t)}
		one := newNode(t, "one", s)
		synctest.Wait()
		begun := time.Now()
		for range 100 {
			one.trip()
			one.b.Reset("", time.Now())
		}
		one.b.Hold(Open, time.Time{}, "", time.Now())
		if took := time.Since(begun); took > 0 {
			t.Errorf("it took %v", took)
		}
		time.Sleep(3 * time.Second)
		if n := len(s.told()); n > 4 {
			t.Errorf("%d are told, where only the last counts of each sort", n)
		}
		newNode(t, "late", s).want(t, Open, "CLOSED OPEN told by node one: opened by hand")
	})
}

// slowStore takes a second for each call.
type slowStore struct{ *patchy }

func (s *slowStore) Add(ctx context.Context, set string, entries ...store.Entry) error {
	time.Sleep(time.Second)
	return s.patchy.Add(ctx, set, entries...)
}

// A Board that shares nothing, shares twice, or was closed.
func TestBoardsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, other := newPatchy(t), newPatchy(t)
		one := newNode(t, "one", nil)
		one.trip()
		one.want(t, Open, tripHere)
		one.Share(s)
		one.Share(other)
		newNode(t, "two", s).want(t, Open, tripByOne)
		one.Close()
		one.Close()
		one.Share(s)
		one.b.Reset("", time.Now())
		one.want(t, Closed, "OPEN CLOSED reset by hand")
		if len(other.told()) != 0 {
			t.Errorf("%q", other.told())
		}
		if got := NewBoard("\x00", slog.New(slog.DiscardHandler)).node; got != "?" {
			t.Errorf("is called %q", got)
		}
		if got := NewBoard("", slog.New(slog.DiscardHandler)).node; got != "?" {
			t.Errorf("is called %q", got)
		}
	})
}

// Two nodes do all there is to do at random, while the store is lost and found. In the
// end they agree.
func TestNodesAgree(t *testing.T) {
	three(t, func(t *testing.T, s *patchy, one, two *node) {
		var wg sync.WaitGroup
		for i, n := range []*node{one, two} {
			wg.Go(func() {
				for k := range 2000 {
					switch (k*7 + i) % 13 {
					case 1:
						n.b.Hold(State(k%2), time.Now().Add(time.Duration(k%5)*time.Second), "", time.Now())
					case 2:
						n.b.Reset("", time.Now())
					case 3, 4:
						n.trip()
					default:
						n.ends(Success)
					}
					time.Sleep(time.Duration(k*k%1500+i) * time.Millisecond)
				}
			})
		}
		for range 50 {
			time.Sleep(3 * time.Second)
			s.lose()
			time.Sleep(2 * time.Second)
			s.find()
		}
		wg.Wait()
		one.b.Hold(Open, time.Time{}, "", time.Now())
		synctest.Wait()
		if a, b := one.status(), two.status(); a.Held != "open" || b.Held != "open" {
			t.Errorf("one %+v\ntwo %+v", a, b)
		}
		two.b.Reset("", time.Now())
		synctest.Wait()
		if a, b := one.status(), two.status(); a.State != Closed || a.Held != "" || b.State != Closed {
			t.Errorf("one %+v\ntwo %+v", a, b)
		}
		one.mu.Lock()
		defer one.mu.Unlock()
		if !slices.ContainsFunc(one.changes, func(c string) bool { return strings.Contains(c, "told by node two") }) {
			t.Error("one was told nothing")
		}
	})
}

func openRedis(t *testing.T, server *redistest.Server) store.Store {
	t.Helper()
	s, err := redis.Open(t.Context(), redis.Options{Address: server.Address, Reread: 200 * time.Millisecond})
	if s != nil {
		t.Cleanup(s.Close)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// becomes waits until a node's breaker is in a state, a second at most.
func (n *node) becomes(t *testing.T, state State, limit time.Duration) {
	t.Helper()
	for begun := time.Now(); n.status().State != state; time.Sleep(time.Millisecond) { // a breaker tells nobody of its status
		if time.Since(begun) > limit {
			t.Fatalf("node %s after %v: %+v, want %v", n.node, limit, n.status(), state)
		}
	}
}

// inStepNow waits until a node has heard all.
func (n *node) inStepNow(t *testing.T, want bool) {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(time.Millisecond) { // a Board tells nobody of its store
		n.Board.mu.Lock()
		got := n.inStep
		n.Board.mu.Unlock()
		if got == want {
			return
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("node %s is in step with the store: %v", n.node, got)
		}
	}
}

// Over a real server a node learns within a second, goes on alone while it is killed, and
// catches up when it is back, empty.
func TestRedis(t *testing.T) {
	server := redistest.Start(t)
	one, two := newNode(t, "one", openRedis(t, server)), newNode(t, "two", openRedis(t, server))
	one.inStepNow(t, true)
	two.inStepNow(t, true)
	for range 20 {
		one.trip()
		two.becomes(t, Open, time.Second)
		two.b.Reset("", time.Now())
		one.becomes(t, Closed, time.Second)
	}
	two.b.Hold(Open, time.Time{}, "ann", time.Now())
	one.becomes(t, Open, time.Second)
	server.Kill()
	one.inStepNow(t, false)
	two.inStepNow(t, false)
	begun := time.Now()
	one.b.Reset("", time.Now())
	one.trip()
	if took := time.Since(begun); took > 100*time.Millisecond {
		t.Errorf("without the store it took %v", took)
	}
	if got := two.status(); got.Held != "open" {
		t.Errorf("%+v", got)
	}
	server.Start()
	for begun := time.Now(); two.status().Held != "" || two.status().State != Open; time.Sleep(time.Millisecond) {
		if time.Since(begun) > 5*time.Second {
			t.Fatalf("%+v", two.status())
		}
	}
	if got := two.status(); got.State != Open || got.Cause != "told by node one: 2 failures in a row" {
		t.Errorf("%+v", got)
	}
	late := newNode(t, "late", openRedis(t, server))
	late.becomes(t, Open, time.Second)
}
