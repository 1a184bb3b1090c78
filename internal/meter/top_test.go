package meter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// watcher feeds a top.
type watcher struct {
	top *top
	ids ids
	now time.Time
}

// counts counts a claim of a limit without a Watch.
func (w *watcher) counts(limit string, key int, o outcome) {
	w.top.count(&Claim{Name: limit, Key: keyOf(key)}, o)
}

// keyOf returns a key, of few.
func keyOf(i int) string {
	const digits = "0123456789"
	return digits[i%10 : i%10+1]
}

func newWatcher() *watcher { return &watcher{newTop(), newIDs(), time.Now()} }

// sees tells of a claim of a limit of 100 after which so much is left, for another minute.
func (w *watcher) sees(key string, left int64, refused bool) {
	w.top.seen("api", key, w.ids.of("api", key), 100, left, refused, w.now.Add(time.Minute), w.now)
}

// api lists the only limit.
func (w *watcher) api(t *testing.T) LimitState {
	t.Helper()
	all := w.top.list(w.now)
	if len(all) != 1 || all[0].Name != "api" {
		t.Fatalf("listed are %+v", all)
	}
	return all[0]
}

func names(keys []KeyState) []string {
	var all []string
	for _, k := range keys {
		all = append(all, k.Key)
	}
	return all
}

func TestTopListsNearestAndRefused(t *testing.T) {
	w := newWatcher()
	w.sees("quiet", 51, false)
	if all := w.top.list(w.now); len(all) != 0 {
		t.Errorf("one who has not used half of it is listed: %+v", all)
	}
	w.sees("half", 50, false)
	w.sees("near", 10, false)
	w.sees("b over", 0, true)
	w.sees("a over", 0, true)
	w.sees("often", 0, true)
	w.sees("often", 0, true)
	w.sees("heavy", 90, true) // its cost was 91
	w.now = w.now.Add(time.Second)
	w.sees("half", 30, false)
	w.sees("heavy", 20, false)
	s := w.api(t)
	if got, want := names(s.Nearest), []string{"often", "a over", "b over", "near", "heavy", "half"}; !slices.Equal(got, want) {
		t.Errorf("nearest are %q, want %q", got, want)
	}
	if got, want := names(s.Refusals), []string{"often", "a over", "b over", "heavy"}; !slices.Equal(got, want) {
		t.Errorf("refused are %q, want %q", got, want)
	}
	want := KeyState{Key: "half", Used: 70, Limit: 100, Left: 30, Until: w.now.Add(time.Minute), LastSeen: w.now}
	if got := s.Nearest[5]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	want = KeyState{
		Key: "heavy", Used: 80, Limit: 100, Left: 20, Refused: 1,
		Until: w.now.Add(time.Minute), LastSeen: w.now.Add(-time.Second),
	}
	if got := s.Refusals[3]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if s.Nearest[0].Refused != 2 || s.Refusals[0].Refused != 2 {
		t.Errorf("refused twice: %+v", s)
	}
	w.top.forget("api", w.ids.of("api", "often"))
	w.top.forget("api", w.ids.of("api", "near"))
	w.top.forget("other", w.ids.of("api", "half"))
	w.sees("new", 49, false) // writes over nobody's key
	s = w.api(t)
	if got, want := names(s.Nearest), []string{"a over", "b over", "heavy", "half", "new"}; !slices.Equal(got, want) {
		t.Errorf("nearest are %q, want %q", got, want)
	}
	if got, want := names(s.Refusals), []string{"a over", "b over", "heavy"}; !slices.Equal(got, want) {
		t.Errorf("refused are %q, want %q", got, want)
	}
}

// Limits differ for each caller: what counts is the part of it that is used.
func TestTopComparesParts(t *testing.T) {
	w := newWatcher()
	for _, k := range []struct {
		key         string
		limit, left int64
	}{{"60%", 1000, 400}, {"90%", 10, 1}, {"75%", 100_000_000, 25_000_000}, {"100%", 1, -5}} {
		w.top.seen("api", k.key, w.ids.of("api", k.key), k.limit, k.left, false, w.now, w.now)
	}
	if got, want := names(w.api(t).Nearest), []string{"100%", "90%", "75%", "60%"}; !slices.Equal(got, want) {
		t.Errorf("nearest are %q, want %q", got, want)
	}
}

// When there is no room, the nearest stay.
func TestTopKeepsTheNearest(t *testing.T) {
	w := newWatcher()
	w.top.keep([]string{"api"})
	for _, i := range rand.Perm(4000) {
		key := fmt.Sprintf("%04d", i)
		w.top.seen("api", key, w.ids.of("api", key), 10_000, int64(i), false, w.now.Add(time.Minute), w.now)
	}
	s := w.api(t)
	for i, k := range s.Nearest {
		if want := fmt.Sprintf("%04d", i); k.Key != want || k.Left != int64(i) {
			t.Fatalf("at place %d is %+v", i, k)
		}
	}
	if len(s.Nearest) != maxShown || len(s.Refusals) != 0 {
		t.Errorf("%d keys are near, %d are refused", len(s.Nearest), len(s.Refusals))
	}
}

// A million callers that are refused once neither push out those that are refused again and
// again, nor keep a new one from being shown, nor take memory.
func TestTopUnderAttack(t *testing.T) {
	w, n, scale := newWatcher(), 0, 1
	if raceDetector {
		scale = 10 // which is slow
	}
	attack := func(times int) {
		var key [32]byte
		for range times {
			n++
			k := string(fmt.Appendf(key[:0], "attacker %d", n))
			w.top.seen("api", k, id{rand.Uint64(), rand.Uint64()}, 100, 0, true, w.now.Add(time.Minute), w.now)
		}
	}
	for range 3000 {
		w.sees("old offender", 0, true)
	}
	attack(500_000 / scale)
	for range 2000 {
		attack(250 / scale)
		w.sees("new offender", 0, true)
	}
	s := w.api(t)
	if got, want := names(s.Refusals[:2]), []string{"old offender", "new offender"}; !slices.Equal(got, want) {
		t.Fatalf("most refused are %q, want %q", got, want)
	}
	if r := s.Refusals[0].Refused; r != 3000 {
		t.Errorf("the old offender was refused %d times", r)
	}
	if r := s.Refusals[1].Refused; r < 1000 || r > 2000 {
		t.Errorf("the new offender was refused %d times", r)
	}
	for _, k := range s.Refusals[2:] {
		if k.Refused != 1 {
			t.Errorf("%s was refused %d times", k.Key, k.Refused)
		}
	}
	watched := w.top.limit("api")
	for _, b := range []*board{&watched.nearest, &watched.refusals} {
		if len(b.places) != maxShown || cap(b.places) > 2*maxShown || b.at.len() != maxShown {
			t.Errorf("there are %d places, %d in reserve, and %d indexed", len(b.places), cap(b.places), b.at.len())
		}
	}
}

// A key is shown as near until more becomes available, and as refused for a while longer.
func TestTopFades(t *testing.T) {
	w := newWatcher()
	w.sees("both", 0, true)
	w.sees("near", 20, false)
	w.top.seen("api", "long", w.ids.of("api", "long"), 100, 0, true, w.now.Add(time.Hour), w.now)
	if s := w.api(t); len(s.Nearest) != 3 {
		t.Fatalf("it faded at once: %+v", s)
	}
	w.now = w.now.Add(fadesAfter - 1)
	if s := w.api(t); len(s.Nearest) != 1 || len(s.Refusals) != 2 { // more is available of the others
		t.Fatalf("it faded too early, or is shown as near though it is not: %+v", s)
	}
	w.sees("both", 50, false) // is near, and was refused long ago
	w.now = w.now.Add(1)
	s := w.api(t)
	if got, want := names(s.Nearest), []string{"long", "both"}; !slices.Equal(got, want) {
		t.Errorf("nearest are %q, want %q", got, want)
	}
	if got, want := names(s.Refusals), []string{"both", "long"}; !slices.Equal(got, want) {
		t.Errorf("refused are %q, want %q", got, want) // until more becomes available
	}
	w.now = w.now.Add(time.Minute)
	if got, want := names(w.api(t).Refusals), []string{"long"}; !slices.Equal(got, want) {
		t.Errorf("refused are %q, want %q", got, want)
	}
	w.now = w.now.Add(time.Hour)
	if s := w.api(t); len(s.Nearest) != 0 || len(s.Refusals) != 0 {
		t.Errorf("after an hour there are %+v", s)
	}
}

// What has faded gives its place to who is less near, although nobody has listed it.
func TestTopGivesFadedPlacesAway(t *testing.T) {
	w := newWatcher()
	for i := range maxShown {
		for range 50 {
			w.sees(fmt.Sprint("old", i), 0, true)
		}
	}
	w.sees("early", 40, false)
	w.now = w.now.Add(fadesAfter)
	w.sees("old0", 0, true) // goes on
	for i := range maxShown - 1 {
		w.sees(fmt.Sprint("new", i), 40, true)
	}
	s := w.api(t)
	for _, keys := range [][]KeyState{s.Nearest, s.Refusals} {
		if len(keys) != maxShown || keys[0].Key != "old0" || !strings.HasPrefix(keys[1].Key, "new") {
			t.Errorf("there are %d: %q", len(keys), names(keys))
		}
	}
	if s.Refusals[0].Refused != 51 || s.Refusals[1].Refused != 1 {
		t.Errorf("refused are %+v", s.Refusals[:2])
	}
}

// A place that was kept for good reason is given away when that is gone.
func TestTopGivesPlacesAway(t *testing.T) {
	w := newWatcher()
	has := func(key string) bool { return slices.Contains(names(w.api(t).Nearest), key) }
	near := func(key string, left int64, until time.Duration) {
		w.top.seen("api", key, w.ids.of("api", key), 100, left, false, w.now.Add(until), w.now)
	}
	for i := range maxShown {
		near(fmt.Sprint("old", i), 10, time.Hour)
	}
	near("less", 15, time.Hour)
	if has("less") {
		t.Error("one who is less near than all others has a place")
	}
	near("old0", 40, time.Hour) // is not so near any more
	near("less", 15, time.Hour)
	if !has("less") || has("old0") {
		t.Error("one who is less near has kept its place")
	}
	near("old1", 10, 0) // gets more at once, and is not seen any more
	w.now = w.now.Add(fadesAfter)
	near("late", 50, time.Hour)
	if !has("late") || has("old1") {
		t.Error("one who has faded has kept its place")
	}
}

// One who comes back to the nearest has been refused as often as among the refusals.
func TestTopRefusedIsOneFigure(t *testing.T) {
	w := newWatcher()
	w.sees("heavy", 60, true)
	for i := range maxShown {
		w.sees(fmt.Sprint("near", i), 10, false)
	}
	w.top.forget("api", w.ids.of("api", "near0"))
	w.sees("heavy", 0, false)
	if got := w.api(t).Nearest[0]; got.Key != "heavy" || got.Refused != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestTopCounts(t *testing.T) {
	w := newWatcher()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 1000 {
				w.counts("b", i, asAllowed)
				if i < 100 {
					w.counts("b", i, asRefused)
				}
				if i < 10 {
					w.counts("b", i, asObserved)
				}
				if i < 1 {
					w.counts("a", i, asWhileLost)
				}
			}
		})
	}
	all.Wait()
	s := w.top.list(w.now)
	if len(s) != 2 || s[0].Name != "a" || s[0].WhileLost != 4 || s[0].Allowed+s[0].Refused+s[0].Observed != 0 {
		t.Fatalf("got %+v", s)
	}
	if s[1].Name != "b" || s[1].Allowed != 4000 || s[1].Refused != 400 || s[1].Observed != 40 || s[1].WhileLost != 0 {
		t.Errorf("got %+v", s[1])
	}
}

// Those of a configuration are shown from the start. What is kept keeps its counters.
func TestTopKeepsNames(t *testing.T) {
	w := newWatcher()
	w.top.keep([]string{"b", "a", "c"})
	w.counts("b", 0, asAllowed)
	w.counts("c", 0, asAllowed)
	w.top.keep([]string{"d", "b", "b"})
	s := w.top.list(w.now)
	if len(s) != 2 || s[0].Name != "b" || s[0].Allowed != 1 || s[1].Name != "d" {
		t.Errorf("got %+v", s)
	}
}

// A Watch leads to where its limit is counted now: in a Meter that has dropped the limit
// meanwhile, and in another one.
func TestWatchFollows(t *testing.T) {
	one, other := newWatcher(), newWatcher()
	watch := new(Watch)
	count := func(w *watcher, times, want int64) {
		t.Helper()
		for range times {
			w.top.count(&Claim{Name: "api", Key: "k", Watch: watch}, asAllowed)
		}
		if s := w.top.list(w.now); len(s) != 1 || s[0].Allowed != want {
			t.Errorf("%+v, want %d allowed", s, want)
		}
	}
	count(one, 2, 2)
	one.top.keep([]string{"api"})
	count(one, 1, 3)
	one.top.keep(nil)
	count(one, 4, 4)
	count(other, 5, 5)
	count(one, 1, 5)
}

func TestTopNamesAreBounded(t *testing.T) {
	w := newWatcher()
	for i := range maxNames + 10 {
		name := fmt.Sprint("limit", i)
		w.counts(name, 0, asRefused)
		w.top.seen(name, "key", id{1, uint64(i)}, 1, 0, true, w.now, w.now)
		w.top.forget(name, id{1, uint64(i)})
	}
	if n := len(w.top.list(w.now)); n != maxNames {
		t.Errorf("%d limits are watched", n)
	}
	w.top.keep([]string{"one"})
	many := make([]string, maxNames+10)
	for i := range many {
		many[i] = fmt.Sprint("other", i)
	}
	w.top.keep(many)
	if n := len(w.top.list(w.now)); n != maxNames {
		t.Errorf("%d limits are watched", n)
	}
}

// Keys are copied, and of very long ones only the beginning is.
func TestTopCopiesKeys(t *testing.T) {
	w := newWatcher()
	for _, key := range []string{strings.Repeat("k", maxKeyShown), strings.Repeat("ü", maxKeyShown), "x" + strings.Repeat("ü", maxKeyShown), strings.Repeat("\xbf", 1000)} {
		w.sees(key, 0, true)
		got := w.api(t).Refusals[0].Key
		w.top.forget("api", w.ids.of("api", key))
		if len(key) <= maxKeyShown {
			if got != key {
				t.Errorf("%q became %q", key, got)
			}
			continue
		}
		cut, ok := strings.CutSuffix(got, "…")
		if !ok || !strings.HasPrefix(key, cut) || len(cut) > maxKeyShown || len(cut) < maxKeyShown-utf8.UTFMax ||
			utf8.ValidString(key) && !utf8.ValidString(got) {
			t.Errorf("%q became %q", key, got)
		}
	}
}

func TestTopInParallel(t *testing.T) {
	w := newWatcher()
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 2000 {
				key := fmt.Sprint(rand.IntN(300))
				name := fmt.Sprint("limit", i%3)
				w.top.seen(name, key, w.ids.of(name, key), 100, rand.Int64N(101), i%2 == 0, w.now.Add(time.Second), w.now)
				switch {
				case i%100 == 0:
					w.top.list(w.now.Add(time.Duration(rand.IntN(2)) * time.Hour))
				case i%50 == 0:
					w.top.forget(name, w.ids.of(name, key))
				case g == 0 && i%77 == 0:
					w.top.keep([]string{"limit0", "limit1"})
				}
			}
		})
	}
	all.Wait()
	for _, l := range w.top.list(w.now) {
		if len(l.Nearest) > maxShown || len(l.Refusals) > maxShown || len(l.Refusals) == 0 {
			t.Errorf("%s has %d near, %d refused", l.Name, len(l.Nearest), len(l.Refusals))
		}
	}
}

func TestTopAllocatesNothing(t *testing.T) {
	w := newWatcher()
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprint("key", i)
	}
	i := 0
	see := func() {
		i++
		w.now = w.now.Add(time.Second)
		key := keys[i%len(keys)]
		w.sees(key, 0, i%2 == 0)
		w.sees(key, 80, false)
		w.counts("api", 0, asAllowed)
		if i%100 == 0 {
			w.top.forget("api", w.ids.of("api", key))
		}
	}
	for range 5000 {
		see()
	}
	allocates(t, see)
}

func BenchmarkTop(b *testing.B) {
	w := newWatcher()
	keys, ids := make([]string, 8192), someIDs(8192)
	for i := range keys {
		keys[i] = fmt.Sprint("key", i)
	}
	for i := range 40 {
		w.top.keep(append([]string{"api"}, strings.Fields(strings.Repeat("limit ", i))...))
	}
	until := w.now.Add(time.Minute)
	for i := range maxShown {
		w.top.seen("api", keys[i], ids[i], 100, 0, true, until, w.now)
	}
	run := func(name string, f func(i int)) {
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				f(i)
			}
		})
		b.Run(name+", parallel", func(b *testing.B) {
			b.RunParallel(func(p *testing.PB) {
				for i := rand.IntN(1000); p.Next(); i++ {
					f(i)
				}
			})
		})
	}
	see := func(i int, left int64, refused bool) {
		w.top.seen("api", keys[i], ids[i], 100, left, refused, until, w.now)
	}
	run("uninteresting", func(i int) { see(i%8192, 70, false) })
	run("near", func(i int) { see(i%maxShown, 10, false) })
	run("refused", func(i int) { see(i%maxShown, 0, true) })
	run("refused, many keys", func(i int) { see(i%8192, 0, true) })
	run("count", func(i int) { w.counts("api", i, asAllowed) })
	run("count, one key", func(i int) { w.counts("api", 0, asAllowed) })
	watch := new(Watch)
	run("count, watched", func(i int) { w.top.count(&Claim{Name: "api", Key: keyOf(i), Watch: watch}, asAllowed) })
}
