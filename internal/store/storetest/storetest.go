// Package storetest is the suite that every store passes.
package storetest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"yett/internal/store"
)

// patience is how long anything that has to happen may take. It ends a test
// that would hang, and measures nothing.
const patience = 10 * time.Second

// Run tests a store. open starts one that is empty, and returns how further
// nodes join it; where there is a single node, that is always the same.
func Run(t *testing.T, open func(t *testing.T) (join func() store.Store)) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, join func() store.Store)
	}{
		{"tells what is there and what comes", tellsAll},
		{"later time wins", laterWins},
		{"sets are separate", setsAreSeparate},
		{"any member", anyMember},
		{"what has ended leaves", endedLeaves},
		{"follow ends", followEnds},
		{"one call at a time", oneAtATime},
		{"random schedules", randomSchedules},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// Record is a Follower that remembers.
type Record struct {
	mu     sync.Mutex
	until  map[string]int64 // the latest end told of each member, in milliseconds
	synced int
	lost   []error
	busy   bool
	broken string
	more   chan struct{} // closed at the next call
}

// NewRecord returns a Record to which nothing was told.
func NewRecord() *Record { return &Record{until: make(map[string]int64), more: make(chan struct{})} }

// Added implements store.Follower.
func (r *Record) Added(e store.Entry) {
	r.note(func() { r.until[e.Member] = max(r.until[e.Member], e.Until.UnixMilli()) })
}

// Synced implements store.Follower.
func (r *Record) Synced() { r.note(func() { r.synced++ }) }

// Lost implements store.Follower.
func (r *Record) Lost(err error) { r.note(func() { r.lost = append(r.lost, err) }) }

// note also notices when two calls run at once.
func (r *Record) note(change func()) {
	r.mu.Lock()
	if r.busy {
		r.broken = "two calls at once"
	}
	r.busy = true
	r.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy = false
	change()
	close(r.more)
	r.more = make(chan struct{})
}

// Wait waits until something holds, and tells what was waited for otherwise.
func (r *Record) Wait(t testing.TB, what string, holds func(r *Record) bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		r.mu.Lock()
		ok, more := holds(r), r.more
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("waited in vain until %s; told were %v, synced %d times, lost %v", what, r.Members(), r.Syncs(), r.Losses())
		}
	}
}

// Members returns the members told, with their ends in milliseconds since
// 1970.
func (r *Record) Members() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.until)
}

// Syncs returns how often Synced was called.
func (r *Record) Syncs() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.synced
}

// Losses returns what Lost was called with.
func (r *Record) Losses() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lost)
}

// WaitFor waits until a member was told.
func (r *Record) WaitFor(t testing.TB, member string) {
	t.Helper()
	r.Wait(t, fmt.Sprintf("%q is told", member), func(r *Record) bool { _, ok := r.until[member]; return ok })
}

// WaitSyncs waits until Synced was called that often.
func (r *Record) WaitSyncs(t testing.TB, n int) {
	t.Helper()
	r.Wait(t, fmt.Sprintf("synced %d times", n), func(r *Record) bool { return r.synced >= n })
}

// WaitLosses waits until Lost was called that often.
func (r *Record) WaitLosses(t testing.TB, n int) {
	t.Helper()
	r.Wait(t, fmt.Sprintf("lost %d times", n), func(r *Record) bool { return len(r.lost) >= n })
}

// Follow follows a set until stop is called, or the test ends. stop returns
// when Follow has.
func Follow(t testing.TB, s store.Store, set string) (r *Record, stop func()) {
	t.Helper()
	r = NewRecord()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Follow(ctx, set, r)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return r, stop
}

// Add adds entries, which has to succeed.
func Add(t testing.TB, s store.Store, set string, entries ...store.Entry) {
	t.Helper()
	if err := s.Add(t.Context(), set, entries...); err != nil {
		t.Error(err) // which other goroutines may do too
	}
}

// In returns an entry that ends after d.
func In(d time.Duration, member string) store.Entry {
	return store.Entry{Member: member, Until: time.Now().Add(d)}
}

func tellsAll(t *testing.T, join func() store.Store) {
	one, two := join(), join()
	if err := one.Ping(t.Context()); err != nil || one.Name() == "" {
		t.Errorf("%q: %v", one.Name(), err)
	}
	Add(t, one, "s", In(time.Hour, "before"), In(time.Hour, "also before"))
	here, _ := Follow(t, one, "s")
	there, _ := Follow(t, two, "s")
	for _, r := range []*Record{here, there} {
		r.WaitSyncs(t, 1)
		if got := r.Members(); len(got) != 2 {
			t.Errorf("at the first sync %v are told", got)
		}
	}
	Add(t, two, "s", In(time.Hour, "after"))
	here.WaitFor(t, "after")
	there.WaitFor(t, "after")
	if len(here.Losses())+len(there.Losses()) > 0 {
		t.Error("it was lost")
	}
}

func laterWins(t *testing.T, join func() store.Store) {
	s := join()
	sooner, later := In(time.Hour, "a"), In(2*time.Hour, "a")
	Add(t, s, "s", later)
	Add(t, s, "s", sooner)
	r, _ := Follow(t, s, "s")
	r.WaitSyncs(t, 1)
	if got := r.Members()["a"]; got != later.Until.UnixMilli() {
		t.Errorf("it ends at %d, want %d", got, later.Until.UnixMilli())
	}
	latest := In(3*time.Hour, "a")
	Add(t, s, "s", latest, sooner)
	r.Wait(t, "the latest end is told", func(r *Record) bool { return r.until["a"] == latest.Until.UnixMilli() })
	again, _ := Follow(t, s, "s")
	again.WaitSyncs(t, 1)
	if got := again.Members()["a"]; got != latest.Until.UnixMilli() {
		t.Errorf("it ends at %d, want %d", got, latest.Until.UnixMilli())
	}
}

func setsAreSeparate(t *testing.T, join func() store.Store) {
	s := join()
	r, _ := Follow(t, s, "s")
	r.WaitSyncs(t, 1)
	Add(t, s, "other", In(time.Hour, "theirs"))
	Add(t, s, "s", In(time.Hour, "ours"))
	r.WaitFor(t, "ours")
	if got := r.Members(); len(got) != 1 {
		t.Errorf("told were %v", got)
	}
}

func anyMember(t *testing.T, join func() store.Store) {
	s := join()
	members := []string{"a:b", ":", "1:2:3", "\r\n", "\x00\xff", " ", "{s}", strings.Repeat("long ", 5000), "é"}
	r, _ := Follow(t, s, "s")
	r.WaitSyncs(t, 1)
	for _, m := range members {
		Add(t, s, "s", In(time.Hour, m))
		r.WaitFor(t, m)
	}
	again, _ := Follow(t, s, "s")
	again.WaitSyncs(t, 1)
	if got := again.Members(); len(got) != len(members) {
		t.Errorf("%d members, want %d", len(got), len(members))
	}
}

func endedLeaves(t *testing.T, join func() store.Store) {
	s := join()
	Add(t, s, "s", In(-time.Hour, "ended"), In(time.Hour, "not"))
	Add(t, s, "all ended", In(-time.Hour, "ended"))
	Add(t, s, "s", In(time.Hour, "more"))
	for set, want := range map[string]int{"s": 2, "all ended": 0} {
		r, _ := Follow(t, s, set)
		r.WaitSyncs(t, 1)
		if got := r.Members(); len(got) != want || got["ended"] != 0 {
			t.Errorf("%s: told were %v", set, got)
		}
	}
}

func followEnds(t *testing.T, join func() store.Store) {
	s := join()
	gone, stop := Follow(t, s, "s")
	gone.WaitSyncs(t, 1)
	stays, _ := Follow(t, s, "s")
	stays.WaitSyncs(t, 1)
	stop()
	Add(t, s, "s", In(time.Hour, "later"))
	stays.WaitFor(t, "later")
	if got := gone.Members(); len(got) != 0 {
		t.Errorf("after its end it was told %v", got)
	}
}

func oneAtATime(t *testing.T, join func() store.Store) {
	s := join()
	r, _ := Follow(t, s, "s")
	var wg sync.WaitGroup
	for g := range 4 {
		node := join()
		wg.Go(func() {
			for i := range 100 {
				Add(t, node, "s", In(time.Hour, fmt.Sprint(g, i)))
			}
		})
	}
	wg.Wait()
	r.Wait(t, "all are told", func(r *Record) bool { return len(r.until) == 400 })
	if r.broken != "" {
		t.Error(r.broken)
	}
}

// randomSchedules lets nodes add at random while followers come and go. In the
// end every follower knows what a plain map of the same additions holds.
func randomSchedules(t *testing.T, join func() store.Store) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	nodes := []store.Store{join(), join(), join()}
	var mu sync.Mutex
	model := make(map[string]int64)
	var wg sync.WaitGroup
	for i, node := range nodes {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for range 150 {
				batch := randomBatch(random)
				Add(t, node, "s", batch...)
				mu.Lock()
				for _, e := range batch {
					model[e.Member] = max(model[e.Member], e.Until.UnixMilli())
				}
				mu.Unlock()
			}
		})
	}
	random := rand.New(rand.NewPCG(seed, 99))
	var records []*Record
	for range 12 {
		r, stop := Follow(t, nodes[random.IntN(len(nodes))], "s")
		r.WaitSyncs(t, 1)
		if random.IntN(3) == 0 {
			stop()
			continue
		}
		records = append(records, r)
	}
	wg.Wait()
	last, _ := Follow(t, nodes[0], "s")
	last.WaitSyncs(t, 1)
	Add(t, nodes[0], "s", In(time.Hour, "fence"))
	for i, r := range append(records, last) {
		r.WaitFor(t, "fence")
		compare(t, fmt.Sprintf("follower %d", i), r.Members(), model)
	}
}

// randomBatch returns entries of few members, so that most are there already,
// some of them ended long ago.
func randomBatch(random *rand.Rand) []store.Entry {
	batch := make([]store.Entry, random.IntN(5))
	for i := range batch {
		d := time.Duration(random.Int64N(int64(time.Hour))) + time.Minute
		if random.IntN(5) == 0 {
			d = -time.Hour - d
		}
		batch[i] = In(d, fmt.Sprintf("m%d", random.IntN(60)))
	}
	return batch
}

// compare wants all that has not ended, each with its latest end. What has
// ended may be known or not.
func compare(t *testing.T, who string, got, model map[string]int64) {
	t.Helper()
	now := time.Now().UnixMilli()
	for member, until := range model {
		if until > now && got[member] != until {
			t.Errorf("%s: %s ends at %d, want %d", who, member, got[member], until)
		}
	}
	for member := range got {
		if _, ok := model[member]; !ok && member != "fence" {
			t.Errorf("%s knows %s, which nobody added", who, member)
		}
	}
}
