package balance

import (
	"fmt"
	"math"
	"testing"
	"time"
)

var ejectingSlow = Settings{MostOut: 0.5, Panic: 0.5, EjectSlow: 3, EjectSlowLeast: 20 * time.Millisecond,
	EjectFor: 30 * time.Second, EjectMost: 5 * time.Minute, SlowStart: 10 * time.Second}

// One of three targets is ten times slower. It is found within seconds, and has next to
// nothing from then on, also as it comes back again and again.
func TestSlowTargetHasNextToNothing(t *testing.T) {
	for name, algorithm := range algorithms {
		for _, perSecond := range []float64{60, 1000} {
			t.Run(fmt.Sprint(name, " ", perSecond), func(t *testing.T) {
				set := ejectingSlow
				set.Algorithm, set.LoadFactor = algorithm, 1.25
				w := newWorld(t, set, same(3))
				s := newSim(w, func(n *Node) time.Duration {
					if n == w.nodes[1] {
						return 200 * time.Millisecond
					}
					return 20 * time.Millisecond
				})
				before := s.run(10*time.Second, perSecond)[1]
				if len(w.changes) != 1 || w.changes[0].To != Ejected || w.changes[0].Node != w.nodes[1].Name {
					t.Fatalf("after ten seconds: %+v", w.changes)
				}
				t.Logf("found after %v: %s", w.changes[0].At.Sub(s.start).Round(time.Millisecond), w.changes[0].Cause)
				after := s.run(time.Duration(60_000/perSecond)*time.Second, perSecond)[1]
				t.Logf("%.3f before, %.4f after", before, after)
				if after > 0.02 {
					t.Errorf("it has %.4f after it was found", after)
				}
				for _, n := range []*Node{w.nodes[0], w.nodes[2]} {
					if st := w.State(n, s.now); st.State != Up || st.Since != (time.Time{}) {
						t.Errorf("a quick one: %+v", st)
					}
				}
			})
		}
	}
}

// Nobody is slow who should not be.
func TestNotSlow(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		name      string
		set       func(*Settings)
		latencies []time.Duration
		perSecond float64
		want      int // how many are ejected
	}{
		{"all the same", nil, []time.Duration{50 * ms, 50 * ms, 50 * ms}, 500, 0},
		{"twice", nil, []time.Duration{100 * ms, 50 * ms, 50 * ms}, 500, 0},
		{"four times", nil, []time.Duration{200 * ms, 50 * ms, 50 * ms}, 500, 1},
		{"below the floor", nil, []time.Duration{10 * ms, ms, ms}, 500, 0},
		{"too little is known", nil, []time.Duration{200 * ms, 10 * ms, 10 * ms}, 2, 0},
		{"off", func(s *Settings) { s.EjectSlow = 0 }, []time.Duration{500 * ms, 10 * ms, 10 * ms}, 500, 0},
		{"off by time", func(s *Settings) { s.EjectFor = 0 }, []time.Duration{500 * ms, 10 * ms, 10 * ms}, 500, 0},
		{"only one", nil, []time.Duration{500 * ms}, 500, 0},
		{"two slow of five", nil, []time.Duration{500 * ms, 400 * ms, 10 * ms, 10 * ms, 10 * ms}, 500, 2},
		{"only one may", func(s *Settings) { s.MostOut = 0.2 }, []time.Duration{400 * ms, 900 * ms, 10 * ms, 10 * ms, 10 * ms}, 500, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := ejectingSlow
			set.Algorithm = RoundRobin
			if c.set != nil {
				c.set(&set)
			}
			w := newWorld(t, set, same(len(c.latencies)))
			by := map[*Node]time.Duration{}
			for i, n := range w.nodes {
				by[n] = c.latencies[i]
			}
			newSim(w, func(n *Node) time.Duration { return by[n] }).run(20*time.Second, c.perSecond)
			if len(w.changes) != c.want {
				t.Errorf("%+v", w.changes)
			}
		})
	}
}

func TestSlowCause(t *testing.T) {
	w := newWorld(t, ejectingSlow, same(3))
	for i, latency := range []time.Duration{82 * time.Millisecond, 24 * time.Millisecond, 24 * time.Millisecond} {
		for range 50 {
			w.works(w.nodes[i], latency)
		}
	}
	w.after(2 * time.Second)
	w.works(w.nodes[1], time.Millisecond)
	w.told("1: up to ejected: 3.3 times slower than the others (79.7ms to 24.1ms)")
	w.is(Ejected, Up, Up)
}

// What is judged is what has come since it was judged last, once there is enough of it.
func TestSlowSince(t *testing.T) {
	w := newWorld(t, ejectingSlow, same(3))
	second := func(slow int, latency time.Duration) {
		for range slow {
			w.works(w.nodes[0], latency)
		}
		for range 100 {
			w.works(w.nodes[1], 10*time.Millisecond)
			w.works(w.nodes[2], 10*time.Millisecond)
		}
		w.after(time.Second)
		w.works(w.nodes[1], 10*time.Millisecond)
	}
	second(1000, 10*time.Millisecond)
	second(19, time.Second)
	w.is(Up, Up, Up)
	second(1, time.Second) // the twentieth
	w.is(Ejected, Up, Up)
}

// What is too old to be typical is forgotten.
func TestSlowForgets(t *testing.T) {
	w := newWorld(t, ejectingSlow, same(2))
	for range 15 {
		w.works(w.nodes[0], time.Second)
	}
	for range 12 {
		w.after(time.Second)
		for range 100 {
			w.works(w.nodes[1], 10*time.Millisecond)
		}
	}
	for range 15 {
		w.works(w.nodes[0], time.Second)
	}
	w.after(time.Second)
	w.works(w.nodes[1], 10*time.Millisecond)
	w.is(Up, Up)
}

// Nobody is slow while nothing is known of the others, or nothing new.
func TestSlowComparedWithNothing(t *testing.T) {
	w := newWorld(t, ejectingSlow, same(2))
	slow := func() {
		for range 100 {
			w.works(w.nodes[0], time.Second)
		}
		w.after(time.Second)
		w.works(w.nodes[0], time.Second)
		w.is(Up, Up)
	}
	slow()
	for range 19 {
		w.works(w.nodes[1], 10*time.Millisecond)
	}
	slow()
	w.works(w.nodes[1], 10*time.Millisecond) // the twentieth: it is known for ten seconds
	w.after(time.Second)
	w.works(w.nodes[1], 10*time.Millisecond)
	w.after(11 * time.Second)
	slow()
}

// Of two that are slow, and only one of which may be ejected, it is the slower one.
func TestSlowestFirst(t *testing.T) {
	w := newWorld(t, ejectingSlow, same(3))
	for i, latency := range []time.Duration{100, 400, 10} {
		for range 100 * (1 + i/2*9) {
			w.works(w.nodes[i], latency*time.Millisecond)
		}
	}
	w.after(2 * time.Second)
	w.works(w.nodes[2], time.Millisecond)
	w.is(Up, Ejected, Up)
}

func TestClasses(t *testing.T) {
	for _, d := range []time.Duration{1, 1 << 16, 1<<16 + 1, 81919, 81920, time.Millisecond, time.Second, 1<<36 - 1, 1 << 36, time.Hour, math.MaxInt64} {
		c := class(d)
		if c < 0 || c >= classes || c > 0 && d < from(c) || c < classes-1 && d >= from(c+1) {
			t.Errorf("%d is in class %d, %d to %d", d, c, from(c), from(c+1))
		}
	}
	var s, none tally
	for i := range 1001 {
		s[class(time.Duration(i)*100*time.Microsecond)]++
	}
	if m, n := s.medianWithout(&none); n != 1001 || m < 48*time.Millisecond || m > 52*time.Millisecond {
		t.Errorf("median %v of %d", m, n)
	}
	if m, n := s.medianWithout(&s); n != 0 || m != 0 {
		t.Errorf("median %v of %d", m, n)
	}
}

func TestShort(t *testing.T) {
	for _, c := range []struct{ d, want time.Duration }{
		{82_345_678, 82_300_000}, {1234 * time.Millisecond, 1230 * time.Millisecond}, {123456789, 123 * time.Millisecond},
		{999, time.Microsecond}, {24_012_345, 24 * time.Millisecond}, {345_678, 346 * time.Microsecond}, {90 * time.Second, 90 * time.Second},
	} {
		if got := short(c.d); got != c.want {
			t.Errorf("%v: %v, want %v", c.d, got, c.want)
		}
	}
}
