package revocation

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"yett/internal/store"
	"yett/internal/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// id, sum and subject make entries that end in an hour.
func id(jti string) Entry { return Entry{Kind: ByID, ID: jti, Expires: time.Now().Add(time.Hour)} }

func sum(text string) Entry {
	return Entry{Kind: BySum, Sum: sha256.Sum256([]byte(text)), Expires: time.Now().Add(time.Hour)}
}

func subject(name string, before time.Time) Entry {
	return Entry{Kind: BySubject, ID: name, Before: before, Expires: time.Now().Add(time.Hour)}
}

// alone adds to a list that follows nothing.
func alone(t *testing.T, l *List, entries ...Entry) {
	t.Helper()
	if err := l.Add(t.Context(), entries...); !errors.Is(err, ErrPending) {
		t.Fatalf("without a store Add returns %v", err)
	}
}

// follow lets a list follow a store until stop is called, and waits until all
// is told. states are what it was told of the store.
func follow(t testing.TB, l *List, s store.Store) (states <-chan error, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	told, done := make(chan error, 100), make(chan struct{})
	go func() {
		defer close(done)
		l.Follow(ctx, s, func(lost error) { told <- lost })
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	return told, stop
}

func TestRevoked(t *testing.T) {
	now := time.Now()
	l := New()
	alone(t, l, id("a"), sum("token"), sum("another"), subject("tom", now), subject("", now), id(""))
	for _, test := range []struct {
		name  string
		token Token
		want  bool
	}{
		{"by ID", Token{ID: "a"}, true},
		{"another ID", Token{ID: "b", Subject: "jerry"}, false},
		{"an ID is no subject", Token{ID: "tom"}, false},
		{"a subject is no ID", Token{Subject: "a", IssuedAt: now.Add(-time.Hour)}, false},
		{"by its sum", Token{ID: "b", Sums: [][32]byte{sha256.Sum256([]byte("token"))}}, true},
		{"by the sum of its twin", Token{Sums: [][32]byte{sha256.Sum256([]byte("x")), sha256.Sum256([]byte("token"))}}, true},
		{"another sum", Token{Sums: [][32]byte{sha256.Sum256([]byte("x"))}}, false},
		{"issued before", Token{ID: "b", Subject: "tom", IssuedAt: now.Add(-time.Second)}, true},
		{"issued at that moment", Token{Subject: "tom", IssuedAt: now}, false},
		{"issued after", Token{Subject: "tom", IssuedAt: now.Add(time.Second)}, false},
		{"issued nobody knows when", Token{Subject: "tom"}, true},
		{"another subject", Token{Subject: "jerry"}, false},
		{"nothing known", Token{}, false},
	} {
		if got := l.Revoked(&test.token); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestGenerationChangesWithWhatIsNew(t *testing.T) {
	l := New()
	before := time.Now()
	for _, e := range []Entry{id("a"), id("b"), sum("a"), subject("a", before), subject("a", before.Add(time.Minute))} {
		was := l.Generation()
		alone(t, l, e)
		if l.Generation() == was {
			t.Errorf("%v changes nothing", e)
		}
		was = l.Generation()
		alone(t, l, e)
		if l.Generation() != was {
			t.Errorf("%v again changes something", e)
		}
	}
}

// A subject holds what is needed and no more: of two cuts of which one says all
// that the other says, one is left.
func TestCutsOfASubject(t *testing.T) {
	now := time.Now()
	cutAt := func(before, expires time.Duration) Entry {
		return Entry{Kind: BySubject, ID: "tom", Before: now.Add(before), Expires: now.Add(expires)}
	}
	for _, test := range []struct {
		name    string
		entries []Entry
		want    int
	}{
		{"later and longer", []Entry{cutAt(0, time.Hour), cutAt(time.Minute, 2*time.Hour)}, 1},
		{"the other way round", []Entry{cutAt(time.Minute, 2*time.Hour), cutAt(0, time.Hour)}, 1},
		{"later but shorter", []Entry{cutAt(0, 2*time.Hour), cutAt(time.Minute, time.Hour)}, 2},
		{"one for both", []Entry{cutAt(0, 2*time.Hour), cutAt(time.Minute, time.Hour), cutAt(time.Hour, 3*time.Hour)}, 1},
		{"the same, longer", []Entry{cutAt(0, time.Hour), cutAt(0, 2*time.Hour)}, 1},
	} {
		l := New()
		alone(t, l, test.entries...)
		if got := l.Counts().Subjects; got != test.want || l.count.Load() != int64(test.want) {
			t.Errorf("%s: %d entries, %d counted", test.name, got, l.count.Load())
		}
		for _, e := range test.entries {
			if !l.Revoked(&Token{Subject: "tom", IssuedAt: e.Before.Add(-time.Second)}) {
				t.Errorf("%s: before %v nothing is revoked", test.name, e.Before.Sub(now))
			}
		}
	}
}

// An entry counts as long as a token may pass, and leaves memory then.
func TestEntriesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := memory.New(memory.Options{}), New()
		defer s.Close()
		_, stop := follow(t, l, s)
		defer stop()
		begun := time.Now()
		if err := l.Add(t.Context(), id("a"), sum("b"), subject("c", time.Now())); err != nil {
			t.Fatal(err)
		}
		tokens := []Token{{ID: "a"}, {Sums: [][32]byte{sha256.Sum256([]byte("b"))}}, {Subject: "c"}}
		time.Sleep(time.Hour + Slack - time.Millisecond)
		for _, token := range tokens {
			if !l.Revoked(&token) {
				t.Errorf("%v is good again after %v", token, time.Since(begun))
			}
		}
		time.Sleep(time.Millisecond)
		for _, token := range tokens {
			if l.Revoked(&token) {
				t.Errorf("%v is still revoked after %v", token, time.Since(begun))
			}
		}
		time.Sleep(shards * tick)
		synctest.Wait()
		if got := l.Counts(); got != (Counts{}) || l.count.Load() != 0 {
			t.Errorf("left are %+v, %d counted", got, l.count.Load())
		}
	})
}

// What had ended before it was added is not kept.
func TestEndedIsNotKept(t *testing.T) {
	l := New()
	alone(t, l, Entry{Kind: ByID, ID: "a", Expires: time.Now().Add(-Slack - time.Second)})
	if l.Counts().IDs != 0 || l.Generation() != 0 {
		t.Error("it is kept")
	}
}

// What was added before there is a store gets there when there is one.
// An end that was made longer while the store was lost has to get there: what
// the store tells when it is back is the shorter one.
func TestExtendedWhileLost(t *testing.T) {
	l := New()
	now := time.Now().UnixMilli()
	short, long := record{kind: ByID, id: "x", until: now + 3_600_000}, record{kind: ByID, id: "x", until: now + 48*3_600_000}
	l.put(short, 1)
	l.passes.Store(1)
	l.put(long, 0)
	l.put(short, 2)
	l.passes.Store(2)
	if got := l.missing(); len(got) != 1 || got[0].Expires.Add(Slack).UnixMilli() != long.until {
		t.Errorf("the store is given %+v", got)
	}
}

// What has ended and was not swept yet is new when it comes again: who has
// asked before has to ask again.
func TestAddedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, r := range []record{{kind: ByID, id: "x"}, {kind: BySum, sum: [32]byte{1}}, {kind: BySubject, id: "x", before: 5}} {
			l := New()
			r.until = time.Now().UnixMilli() + 50
			l.put(r, 0)
			time.Sleep(time.Second)
			before := l.Generation()
			r.until = time.Now().UnixMilli() + 50
			l.put(r, 0)
			if l.Generation() == before {
				t.Errorf("%s: nobody is told", r.kind)
			}
		}
	})
}

func TestStoreComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, early, other := memory.New(memory.Options{}), New(), New()
		defer s.Close()
		alone(t, early, id("a"), subject("tom", time.Now()), sum("b"))
		if got := early.Counts().Pending; got != 3 {
			t.Errorf("%d are pending", got)
		}
		_, stop := follow(t, early, s)
		defer stop()
		_, stopOther := follow(t, other, s)
		defer stopOther()
		synctest.Wait()
		if got := early.Counts(); got != (Counts{IDs: 1, Sums: 1, Subjects: 1}) {
			t.Errorf("the first has %+v", got)
		}
		if got := other.Counts(); got != (Counts{IDs: 1, Sums: 1, Subjects: 1}) {
			t.Errorf("the other has %+v", got)
		}
		if !other.Revoked(&Token{ID: "a"}) || !other.Revoked(&Token{Subject: "tom"}) || !other.Revoked(&Token{Sums: [][32]byte{sha256.Sum256([]byte("b"))}}) {
			t.Error("something is not revoked")
		}
	})
}

func TestWhatIsStoredIsRead(t *testing.T) {
	for _, e := range []Entry{
		id("a"), id(":"), id("\x00\xff"), id(strings.Repeat("x", 10000)), sum("a"), sum(""),
		subject("tom", time.Now()), subject("a:b:c", time.UnixMilli(0)), subject("-", time.UnixMilli(-5)),
	} {
		r, ok := read(e.stored())
		back := r.entry()
		if !ok || back.Kind != e.Kind || back.ID != e.ID || back.Sum != e.Sum ||
			e.Kind == BySubject && back.Before.UnixMilli() != e.Before.UnixMilli() || back.Expires.UnixMilli() != e.Expires.UnixMilli() {
			t.Errorf("%+v is read as %+v, %v", e, back, ok)
		}
	}
	for _, member := range []string{"", "i", "i:", "h:", "h:short", "h:" + strings.Repeat("x", 33), "s:", "s:x:tom", "s:5", "s:5:", "z:new"} {
		if r, ok := read(store.Entry{Member: member, Until: time.Now().Add(time.Hour)}); ok {
			t.Errorf("%q is read as %+v", member, r)
		}
	}
}

func TestRevokedAllocatesNothing(t *testing.T) {
	l := New()
	alone(t, l, id("a"), sum("b"), subject("c", time.Now()))
	good := &Token{ID: "jti", Subject: "sub", Sums: [][32]byte{{1}, {2}}, IssuedAt: time.Now()}
	bad := &Token{ID: "a", Subject: "c"}
	if n := testing.AllocsPerRun(100, func() { l.Revoked(good); l.Revoked(bad); l.Generation() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Who sees the generation that came with an entry finds the entry.
func TestReadersDuringAdds(t *testing.T) {
	l := New()
	const n = 2000
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for i := l.Generation(); i > 0; i-- { // entry i came with generation i
					if !l.Revoked(&Token{ID: fmt.Sprint(i)}) {
						t.Errorf("generation %d is there and its entry is not", i)
						return
					}
					if i%64 == 0 {
						break
					}
				}
			}
		})
	}
	for i := range n {
		alone(t, l, id(fmt.Sprint(i+1)))
	}
	close(stop)
	wg.Wait()
}

func BenchmarkRevoked(b *testing.B) {
	for _, n := range []int{0, 1, 100_000} {
		l := New()
		for i := range n {
			_ = l.Add(context.Background(), id(fmt.Sprint(i)))
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				token := &Token{ID: "not-there", Subject: "tom", Sums: [][32]byte{{1}}, IssuedAt: time.Now()}
				for pb.Next() {
					if l.Revoked(token) {
						b.Fatal("revoked")
					}
				}
			})
		})
	}
}

func BenchmarkGeneration(b *testing.B) {
	l := New()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = l.Generation()
		}
	})
}

// BenchmarkMemory tells what an entry costs.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		l := New()
		for i := range n {
			_ = l.Add(context.Background(), id(fmt.Sprintf("6f1c0f6e-2a5d-4a4e-9a57-%012d", i)), sum(fmt.Sprint(i)))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(2*n), "B/entry")
		runtime.KeepAlive(l)
	}
}
