package local

import (
	"bytes"
	"context"
	"testing"
	"time"

	"yett/internal/store"
	"yett/internal/store/memory"
)

// FuzzServer answers anything without a panic: with whole frames, or by leaving.
func FuzzServer(f *testing.F) {
	good := []store.Take{
		{Name: "limit", Key: "key", Rule: store.Rule{Limit: 10, Window: time.Minute}, Cost: 3, Least: 1, Ahead: time.Second, Soft: true},
		{Name: "limit", Key: "key", Rule: store.Rule{Algorithm: store.TokenBucket, Limit: 10, Window: time.Minute, Burst: 5}, Cost: 1, Action: store.Return},
	}
	add, _ := appendAdd(nil, "set", []store.Entry{{Member: "member", Until: time.Now().Add(time.Hour)}})
	for verb, b := range map[byte][]byte{doTake: appendTakes(nil, good), doAdd: add, doForget: appendText(appendText(nil, "limit"), "key"), doPing: nil, doEnter: flightKey([]byte{6}, "limit", "key"), doLeave: flightKey([]byte{2}, "limit", "key")} {
		f.Add(end(append(begin(nil, verb, 7), b...), 0))
	}
	m := memory.New(memory.Options{Keys: 1})
	f.Cleanup(m.Close)
	s := &Server{m: m, clock: time.Now, ctx: context.Background()}
	s.flights.total = make(map[string]int64)
	a := &aboard{of: &s.flights, held: make(map[string]int64)}
	f.Fuzz(func(t *testing.T, b []byte) {
		rest, out, _, err := s.answers(a, b, nil, nil)
		if err == nil && !bytes.HasSuffix(b, rest) {
			t.Error("what is left is something else")
		}
		for n := 0; len(out) > 0; n++ {
			_, _, _, more, ok, err := cut(out)
			if !ok || err != nil {
				t.Fatalf("%q", out)
			}
			out = more
		}
	})
}

// FuzzClient hears anything without a panic.
func FuzzClient(f *testing.F) {
	f.Add(end(appendResults(begin(nil, sayDone, 0), make([]store.Take, 2)), 0))
	f.Add(end(append(begin(nil, sayFailed, 0), "why"...), 0))
	f.Add(end(begin(nil, sayMoved, 0), 0))
	f.Add(end(appendEntry(begin(nil, sayAdded, 0), store.Entry{Member: "member"}), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		for frame, n := range map[string]int{"take": 2, "enter": 1} {
			c := &call{answered: make(chan struct{}, 1), frame: end(append(begin(nil, doTake, 0), frame...), 0)}
			if c.results = c.room[:n]; n == 1 {
				c.frame = end(flightKey(append(begin(nil, doEnter, 0), 2), "limit", "key"), 0)
			}
			s := &Store{calls: []*call{c}, held: make(map[string]int64)}
			_, _ = s.answers(b)
		}
		synced := false
		_, _ = tell(t.Context(), b, nobody{}, &synced)
	})
}

type nobody struct{}

func (nobody) Added(store.Entry) {}
func (nobody) Synced()           {}
func (nobody) Lost(error)        {}

// What was asked is what is read, whatever it is.
func TestTakesGoThrough(t *testing.T) {
	for _, soft := range []bool{false, true} {
		for action := store.Spend; action <= store.Return; action++ {
			for algorithm := store.SlidingWindow; algorithm <= store.TokenBucket; algorithm++ {
				want := store.Take{
					Name: "limit", Key: "k\x00\xffey", Action: action, Soft: soft, Cost: 1 << 40,
					Rule: store.Rule{Algorithm: algorithm, Limit: 1e9, Window: 1<<62 + 1},
				}
				if algorithm == store.TokenBucket {
					want.Rule.Burst = 63
				}
				if soft {
					want.Least, want.Ahead = 64, -time.Nanosecond
				}
				p := body{b: appendTakes(nil, []store.Take{want, want})}
				got := p.takes(nil)
				if p.bad || len(p.b) > 0 || len(got) != 2 || got[0] != want || got[1] != want {
					t.Errorf("got %+v\nwant %+v", got, want)
				}
			}
		}
	}
}

// A buffer has room for the frame that begins in it, and shrinks after a large one.
func TestRoom(t *testing.T) {
	large := end(append(begin(nil, doAdd, 1), make([]byte, 10*firstBuffer)...), 0)
	b := append(make([]byte, 0, firstBuffer), "done"...)
	b = append(b, large[:10]...)
	b = room(b, 4)
	if len(b) != 10 || cap(b) < len(large) || !bytes.Equal(b, large[:10]) {
		t.Errorf("%d of %d", len(b), cap(b))
	}
	b = append(b, large[10:]...)
	if b = room(b, len(b)); len(b) != 0 || cap(b) != firstBuffer {
		t.Errorf("%d of %d", len(b), cap(b))
	}
}
