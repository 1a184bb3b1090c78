package memory

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"yett/internal/store"
	"yett/internal/store/storetest"
)

// heir is a store that is dumped and loaded into a new one every few calls.
type heir struct {
	*Store
	t     testing.TB
	keys  int
	calls int
}

func (h *heir) Take(ctx context.Context, now time.Time, takes []store.Take) error {
	if h.calls++; h.calls%7 == 0 {
		next := New(Options{Keys: h.keys})
		inherit(h.t, next, h.Store, now)
		if h.calls%2 == 0 { // a second time changes nothing
			inherit(h.t, next, h.Store, now)
		}
		h.Store = next
	}
	return h.Store.Take(ctx, now, takes)
}

func inherit(t testing.TB, to, from *Store, now time.Time) {
	t.Helper()
	var b bytes.Buffer
	if err := errors.Join(from.dump(&b, now, false), to.load(&frames{r: &b}, now)); err != nil {
		t.Fatal(err)
	}
}

// What is loaded counts as what was dumped, to the microsecond, whatever was asked.
func TestLoadedGoesOn(t *testing.T) {
	for _, keys := range []int{1, 1 << 18} {
		for range 3 {
			h := &heir{Store: New(Options{Keys: keys}), t: t, keys: keys}
			storetest.Schedule(t, h, nil, rand.Uint64(), 400)
			consistent(t, h.Store)
		}
	}
}

// Two processes went on from one state. Whatever of both is loaded into one, nobody gets more
// than from either, at any time after.
func TestMergeGivesNothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 150 {
		now := time.Now()
		rule := rules(1+random.Int64N(200), time.Minute)[i%3]
		base := newTaker(t, Options{Keys: 1})
		base.now = now
		use(base, random, rule)
		one, two := newTaker(t, Options{Keys: 1}), newTaker(t, Options{Keys: 1 << 18})
		for _, k := range []*taker{one, two} {
			inherit(t, k.s, base.s, base.now)
			k.now = base.now
			use(k, random, rule)
		}
		at := one.now
		if two.now.After(at) {
			at = two.now
		}
		merged := newTaker(t, Options{Keys: 1})
		inherit(t, merged.s, one.s, at)
		inherit(t, merged.s, two.s, at)
		consistent(t, merged.s)
		for range 100 {
			got, a, b := merged.left(at, rule), one.left(at, rule), two.left(at, rule)
			if got > min(a, b) {
				t.Fatalf("round %d: %d are left, of %d and %d", i, got, a, b)
			}
			at = at.Add(time.Duration(random.Int64N(int64(2 * time.Second))))
		}
	}
}

// use spends at random.
func use(k *taker, random *rand.Rand, r store.Rule) {
	for range random.IntN(150) {
		k.now = k.now.Add(time.Duration(random.Int64N(int64(time.Second))) / 1000 * 1000)
		k.spend("key", r)
	}
}

func (k *taker) left(at time.Time, r store.Rule) int64 {
	takes := []store.Take{{Name: "limit", Key: "key", Rule: r, Cost: 1, Action: store.Look}}
	if err := k.s.Take(k.t.Context(), at, takes); err != nil {
		k.t.Fatal(err)
	}
	return takes[0].Left
}

// pair is a store whose changes are loaded by another one every few calls, which then answers
// in its place.
type pair struct {
	*Store
	t     testing.TB
	calls int
}

func (p *pair) Take(ctx context.Context, now time.Time, takes []store.Take) error {
	returns := slices.ContainsFunc(takes, func(t store.Take) bool { return t.Action == store.Return })
	if p.calls++; p.calls%20 != 0 || returns {
		return p.Store.Take(ctx, now, takes)
	}
	next := New(Options{Keys: 1})
	inherit(p.t, next, p.Store, now)
	err := p.Store.Take(ctx, now, takes) // since the dump
	var b bytes.Buffer
	if err := errors.Join(p.Store.dump(&b, now, true), next.load(&frames{r: &b}, now)); err != nil {
		p.t.Fatal(err)
	}
	p.Store = next
	return err
}

// What was counted, or given back, since a dump is what changes tell, and nothing else is.
func TestChanges(t *testing.T) {
	for range 5 {
		p := &pair{Store: New(Options{Keys: 1}), t: t}
		storetest.Schedule(t, p, nil, rand.Uint64(), 500)
		consistent(t, p.Store)
	}
	s := New(Options{})
	fill(t, s, 1000, 1, perMinute)
	if err := s.Dump(io.Discard); err != nil {
		t.Fatal(err)
	}
	fill(t, s, 1, 5, perMinute)
	var b bytes.Buffer
	if err := s.DumpChanges(&b); err != nil || b.Len() > 200 {
		t.Errorf("the changes of one caller are %d bytes, %v", b.Len(), err)
	}
}

// What has ended is not loaded, of limits and of sets; what is there is told to who follows.
func TestLoadSkipsWhatHasEnded(t *testing.T) {
	k := newTaker(t, Options{})
	for _, r := range rules(10, 10*time.Second) {
		k.spend(fmt.Sprint("ends", r.Algorithm), r)
	}
	k.spend("stays", store.Rule{Limit: 10, Window: time.Hour})
	storetest.Add(t, k.s, "set", storetest.In(time.Hour, "stays"), storetest.In(-time.Second, "ended"))
	storetest.Add(t, k.s, "empty", storetest.In(-time.Second, "ended"))
	var b bytes.Buffer
	if err := k.s.dump(&b, k.now, false); err != nil {
		t.Fatal(err)
	}
	next := New(Options{})
	t.Cleanup(next.Close)
	t.Cleanup(k.s.Close)
	r, _ := storetest.Follow(t, next, "set")
	if err := next.load(&frames{r: &b}, k.now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if u := next.Usage(); u.Keys != 1 {
		t.Errorf("%+v", u)
	}
	r.WaitFor(t, "stays")
	if got := r.Members(); len(got) != 1 {
		t.Errorf("told were %v", got)
	}
}

// A store that has counted under its own ids can't know whose a dumped count is.
func TestForeignDump(t *testing.T) {
	one, two := newTaker(t, Options{}), newTaker(t, Options{})
	one.spend("key", perMinute)
	two.spend("key", perMinute)
	storetest.Add(t, one.s, "set", storetest.In(time.Hour, "member"))
	t.Cleanup(one.s.Close)
	t.Cleanup(two.s.Close)
	var b bytes.Buffer
	if err := one.s.Dump(&b); err != nil {
		t.Fatal(err)
	}
	if err := two.s.Load(&b); !errors.Is(err, ErrForeign) {
		t.Error(err)
	}
	if left := two.left(two.now, perMinute); left != 59 {
		t.Errorf("%d are left", left)
	}
	if len(two.s.members("set")) != 1 {
		t.Error("the sets were not loaded")
	}
}

// A dump can be written while others take, and is loaded by a smaller store as far as that has
// room.
func TestDumpWhileInUse(t *testing.T) {
	const keys = 20_000
	s := New(Options{Keys: keys})
	fill(t, s, keys, 5, perMinute)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			text, takes := make([]byte, 16), make([]store.Take, 1)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				takes[0] = store.Take{Name: "limit", Key: userKey(text, i%(2*keys)), Rule: perMinute, Cost: 1}
				_ = s.Take(t.Context(), time.Now(), takes)
			}
		})
	}
	var b bytes.Buffer
	err := s.Dump(&b)
	close(stop)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes a key", b.Len()/keys)
	for _, size := range []int{1, keys} {
		next := New(Options{Keys: size})
		if err := next.Load(bytes.NewReader(b.Bytes())); err != nil {
			t.Fatal(err)
		}
		consistent(t, next)
	}
}

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errors.New("the disk is full")
	}
	return len(p), nil
}

func TestDumpTellsFailures(t *testing.T) {
	s := New(Options{})
	fill(t, s, 1000, 1, perMinute)
	if err := s.Dump(&failing{after: 1000}); err == nil || !strings.Contains(err.Error(), "dump the store: the disk is full") {
		t.Error(err)
	}
}

// dumped returns a dump that has something of everything.
func dumped(t testing.TB) []byte {
	k := newTaker(t, Options{Keys: 1})
	defer k.s.Close()
	for _, r := range rules(20, time.Hour) {
		k.exhaust(fmt.Sprint("full", r.Algorithm), store.Rule{Algorithm: r.Algorithm, Limit: 10, Window: time.Hour, Burst: 10})
		k.spend(fmt.Sprint("some", r.Algorithm), r)
		k.now = k.now.Add(time.Second)
	}
	for range 20 {
		k.now = k.now.Add(time.Second)
		k.spend("many", perMinute)
	}
	storetest.Add(t, k.s, "set", storetest.In(time.Hour, "member"))
	var b bytes.Buffer
	if err := k.s.dump(&b, k.now, false); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What was changed or cut off anywhere is an error.
func TestCorruptDumps(t *testing.T) {
	whole := dumped(t)
	for i := range whole {
		if err := New(Options{Keys: 1}).Load(bytes.NewReader(whole[:i])); err == nil || !strings.Contains(err.Error(), "cut off") {
			t.Fatalf("cut off after %d: %v", i, err)
		}
		spoilt := bytes.Clone(whole)
		spoilt[i] ^= 0x10
		if err := New(Options{Keys: 1}).Load(bytes.NewReader(spoilt)); err == nil {
			t.Fatalf("byte %d is another, and it is loaded", i)
		}
	}
	if err := New(Options{}).Load(iotestError{}); err == nil || !strings.Contains(err.Error(), "no cable") {
		t.Error(err)
	}
	var later bytes.Buffer
	d := &dumper{w: &later}
	d.raw([]byte(dumpMagic))
	d.frame(frameHeader, binary.AppendUvarint(nil, dumpVersion+1))
	if err := New(Options{}).Load(&later); err == nil || !strings.Contains(err.Error(), "later version of this program") {
		t.Error(err)
	}
}

type iotestError struct{}

func (iotestError) Read([]byte) (int, error) { return 0, errors.New("no cable") }

// FuzzLoad reads anything, with the right sums, so that it is looked at.
func FuzzLoad(f *testing.F) {
	whole := dumped(f)
	in := &frames{r: bytes.NewReader(whole)}
	if _, err := in.header(); err != nil {
		f.Fatal(err)
	}
	for {
		kind, p, err := in.next()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(kind, bytes.Clone(p.b), kind == frameEnd)
		if kind == frameEnd {
			break
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, payload []byte, raw bool) {
		var b bytes.Buffer
		d := &dumper{w: &b}
		s := New(Options{Keys: 1})
		defer s.Close()
		d.raw([]byte(dumpMagic))
		if raw {
			d.raw(payload)
		} else {
			d.frame(frameHeader, dumpHead{len(payload)%2 == 0, time.Now().UnixMicro(), s.limits.Load().seed}.append(nil))
			d.frame(kind, payload)
			d.frame(kind, payload) // what is there already is merged
			d.frame(frameEnd, nil)
		}
		_ = s.Load(&b)
		consistent(t, s)
		if err := s.Dump(io.Discard); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkDump measures a million callers with one spending each, there and back.
func BenchmarkDump(b *testing.B) {
	s := New(Options{Keys: million})
	fill(b, s, million, 1, perMinute)
	var buf bytes.Buffer
	b.Run("dump", func(b *testing.B) {
		for b.Loop() {
			buf.Reset()
			if err := s.Dump(&buf); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(buf.Len())/million, "bytes/key")
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if err := New(Options{Keys: million}).Load(bytes.NewReader(buf.Bytes())); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A part that claims to be long costs no memory before its bytes are there.
func TestLongFrames(t *testing.T) {
	b := append([]byte(dumpMagic), frameRecords, 0, 0, 0, 3)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	in := &frames{r: bytes.NewReader(b)}
	if _, err := in.header(); err == nil || in.buf.Cap() > 1<<16 {
		t.Errorf("%v, with %d bytes", err, in.buf.Cap())
	}
}
