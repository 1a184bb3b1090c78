package overload

import (
	"math"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a source that says what a test wants.
type fake struct {
	mu      sync.Mutex
	memory  int64
	queue   time.Duration
	unknown bool
	reads   int
}

func (f *fake) read() (int64, time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	return f.memory, f.queue, !f.unknown
}

func (f *fake) set(memory int64, queue time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.memory, f.queue = memory, queue
}

// log keeps what a Monitor tells.
type log struct {
	mu     sync.Mutex
	events []Event
}

func (l *log) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *log) all() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

var bounds = Settings{Memory: 1000, RunQueue: 20 * time.Millisecond}

// watch runs f with a Monitor that reads from a fake, in virtual time.
func watch(t *testing.T, s Settings, f func(m *Monitor, from *fake, events *log)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		from := new(fake)
		events := new(log)
		m := start(s, events.add, from)
		defer m.Close()
		f(m, from, events)
	})
}

// intervals lets so many of them pass.
func intervals(n int) {
	time.Sleep(time.Duration(n) * interval)
	synctest.Wait()
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

func TestSettings(t *testing.T) {
	for want, s := range map[string]Settings{"memory is -1": {Memory: -1}, "run queue is -1ns": {RunQueue: -1}} {
		if _, err := New(s, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

func TestShareGrowsAndFalls(t *testing.T) {
	watch(t, bounds, func(m *Monitor, from *fake, events *log) {
		from.set(500, 40*time.Millisecond)
		intervals(patience - 1)
		if s := m.State(); s != (State{Memory: 500, RunQueue: 40 * time.Millisecond}) {
			t.Errorf("refuses too early: %+v", s)
		}
		intervals(1)
		if s := m.State(); !near(s.Share, up) || s.Cause != RunQueue || s.RunQueue != 40*time.Millisecond {
			t.Errorf("%+v", s)
		}
		intervals(3)
		if s := m.State(); !near(s.Share, 4*up) {
			t.Errorf("%+v after 3 more", s)
		}
		intervals(1000)
		if s := m.State(); !near(s.Share, most) {
			t.Errorf("%+v after a long time", s)
		}
		from.set(500, 19*time.Millisecond) // just below
		intervals(10)
		if s := m.State(); !near(s.Share, most-10*slowlyDown) {
			t.Errorf("%+v just below the bound", s)
		}
		from.set(500, time.Millisecond)
		intervals(2)
		if s := m.State(); !near(s.Share, most-10*slowlyDown-2*down) || len(events.all()) != 1 {
			t.Errorf("%+v well below the bound, %d events", s, len(events.all()))
		}
		intervals(100)
		if s := m.State(); s.Share != 0 || s.Cause != "" || m.Shed() {
			t.Errorf("%+v in the end", s)
		}
		if len(events.all()) != 2 || !events.all()[0].Begins || events.all()[1].Begins {
			t.Fatalf("%+v", events.all())
		}
		for i, value := range []time.Duration{40 * time.Millisecond, time.Millisecond} {
			if e := events.all()[i]; e.Cause != RunQueue || e.State.RunQueue != value {
				t.Errorf("event %d: %+v", i, e)
			}
		}
	})
}

func TestSpikesDoNotRefuse(t *testing.T) {
	watch(t, bounds, func(m *Monitor, from *fake, events *log) {
		for range 100 {
			from.set(5000, time.Second)
			intervals(patience - 1)
			from.set(100, 0)
			intervals(1)
			if m.State().Share != 0 {
				t.Fatalf("%+v", m.State())
			}
		}
		if len(events.all()) != 0 {
			t.Errorf("%+v", events.all())
		}
	})
}

// TestMemory is less harsh where memory is just beyond its bound, and lets go where it stays just
// below.
func TestMemory(t *testing.T) {
	watch(t, bounds, func(m *Monitor, from *fake, events *log) {
		from.set(1001, 0)
		intervals(patience)
		if s := m.State(); !near(s.Share, leastUp) || s.Cause != Memory || s.Memory != 1001 {
			t.Errorf("%+v", s)
		}
		from.set(1050, 0)
		intervals(1)
		if s := m.State(); !near(s.Share, leastUp+up/2) {
			t.Errorf("%+v at 5 %% beyond", s)
		}
		from.set(999, 0)
		intervals(100)
		if s := m.State(); s.Share != 0 || len(events.all()) != 2 || events.all()[1].Cause != Memory {
			t.Errorf("%+v, %+v", s, events.all())
		}
	})
}

func TestGreaterShareCounts(t *testing.T) {
	watch(t, bounds, func(m *Monitor, from *fake, events *log) {
		from.set(1010, time.Second)
		intervals(patience + 3)
		if s := m.State(); !near(s.Share, 4*up) || s.Cause != RunQueue {
			t.Errorf("%+v", s)
		}
		from.set(1010, 0)
		intervals(20)
		if s := m.State(); s.Cause != Memory || s.Share < 0.2 {
			t.Errorf("%+v", s)
		}
		from.set(0, 0)
		intervals(20)
		var told []string
		for _, e := range events.all() {
			told = append(told, string(e.Cause))
		}
		if got := strings.Join(told, ", "); got != "memory, run queue, run queue, memory" {
			t.Error(got)
		}
	})
}

// TestUnknownChangesNothing has no news of the run queue.
func TestUnknownChangesNothing(t *testing.T) {
	watch(t, bounds, func(m *Monitor, from *fake, _ *log) {
		from.set(0, time.Second)
		intervals(patience)
		from.mu.Lock()
		from.unknown, from.queue = true, 0
		from.mu.Unlock()
		intervals(50)
		if s := m.State(); !near(s.Share, up) || s.RunQueue != time.Second {
			t.Errorf("%+v", s)
		}
	})
}

// TestSettlesAtTheOverload closes the loop: what waits follows from what passes.
func TestSettlesAtTheOverload(t *testing.T) {
	for _, load := range []float64{0.5, 1.3, 2, 5} {
		watch(t, Settings{RunQueue: 20 * time.Millisecond}, func(m *Monitor, from *fake, events *log) {
			waits, sum, n := 0.0, 0.0, 0
			for i := range 600 {
				passes := load * (1 - m.State().Share)
				waits = max(0, waits+(passes-1)*float64(interval)) // a queue that grows and drains
				from.set(0, time.Duration(waits))
				intervals(1)
				if i > 100 {
					sum += min(1, passes)
					n++
				}
			}
			if mean := sum / float64(n); mean < 0.85*min(1, load) {
				t.Errorf("%v times the load: does %.2f of its capacity", load, mean)
			}
			if load < 1 && len(events.all()) > 0 {
				t.Errorf("refuses at %v times the load", load)
			}
			t.Logf("%v times the load: %.2f of the capacity, %d events in a minute", load, sum/float64(n), len(events.all()))
		})
	}
}

func TestShedDraws(t *testing.T) {
	watch(t, bounds, func(m *Monitor, from *fake, _ *log) {
		for range 1000 {
			if m.Shed() {
				t.Fatal("refuses without pressure")
			}
		}
		from.set(0, time.Second)
		intervals(patience + 2) // 30 %
		refused := int64(0)
		for range 100_000 {
			if m.Shed() {
				refused++
			}
		}
		if refused < 29_000 || refused > 31_000 {
			t.Errorf("%d of 100000 refused, with a share of %v", refused, m.State().Share)
		}
		if s := m.State(); s.Refused != refused {
			t.Errorf("%+v, %d were refused", s, refused)
		}
		m.Close()
		m.Close()
		if m.Shed() {
			t.Error("refuses when closed")
		}
	})
}

// TestOffReadsNothing has no bounds.
func TestOffReadsNothing(t *testing.T) {
	watch(t, Settings{}, func(m *Monitor, from *fake, _ *log) {
		intervals(100)
		if from.reads != 0 {
			t.Errorf("%d reads", from.reads)
		}
	})
}

func histogram(counts ...uint64) *metrics.Float64Histogram {
	return &metrics.Float64Histogram{Counts: counts, Buckets: []float64{math.Inf(-1), 0.001, 0.010, 0.100, math.Inf(1)}}
}

func TestQuantile(t *testing.T) {
	var l latencies
	for _, c := range []struct {
		h     *metrics.Float64Histogram
		want  time.Duration
		known bool
	}{
		{histogram(1000, 1000, 1000, 1000), 0, false}, // the first
		{histogram(1000, 1000, 1000, 1019), 0, false},
		{histogram(1000, 1000, 1000, 1020), 100 * time.Millisecond, true},
		{histogram(1090, 1000, 1010, 1020), 0, true},
		{histogram(1179, 1000, 1021, 1020), 10 * time.Millisecond, true},
		{histogram(1200, 1080, 1022, 1020), time.Millisecond, true},
	} {
		if got, known := l.since(c.h); got != c.want || known != c.known {
			t.Errorf("%v: %v %v, want %v %v", c.h.Counts, got, known, c.want, c.known)
		}
	}
	for i := range longest {
		got, known := l.since(histogram(1200, 1080, 1023, 1020))
		if known != (i == longest-1) || known && got != 10*time.Millisecond {
			t.Errorf("interval %d: %v, %v", i, got, known)
		}
	}
}

// TestReadsTheRuntime is about the names and kinds of the metrics.
func TestReadsTheRuntime(t *testing.T) {
	r := newRuntimeSource(Settings{Memory: 1, RunQueue: 1})
	before, _, _ := r.read()
	hold := make([]byte, 64<<20)
	for i := 0; i < len(hold); i += 4096 {
		hold[i] = 1
	}
	after, _, _ := r.read()
	if before < 1<<20 || after-before < 32<<20 {
		t.Errorf("%d bytes, %d with %d more", before, after, len(hold))
	}
	known := false
	for range 50 {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {})
		}
		wg.Wait()
		_, queue, ok := r.read()
		if known = known || ok; ok && (queue < 0 || queue > time.Minute) {
			t.Errorf("goroutines wait for %v", queue)
		}
	}
	if !known {
		t.Error("the runtime never measured how long goroutines wait")
	}
}

func TestRealMonitor(t *testing.T) {
	events := make(chan Event, 1)
	m, err := New(Settings{Memory: 1}, func(e Event) { // anything is too much
		select {
		case events <- e:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if e := <-events; e.Cause != Memory || !e.Begins || e.State.Memory < 1<<20 || e.State.Share == 0 {
		t.Errorf("%+v", e)
	}
}

func TestNoAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	m := start(Settings{}, nil, newRuntimeSource(Settings{Memory: 1 << 50, RunQueue: time.Hour}))
	m.settings = Settings{Memory: 1 << 50, RunQueue: time.Hour}
	m.look()
	if n := testing.AllocsPerRun(100, m.look); n != 0 {
		t.Errorf("%v allocations for each look", n)
	}
	m.share.Store(whole / 2)
	if n := testing.AllocsPerRun(1000, func() { m.Shed() }); n != 0 {
		t.Errorf("%v allocations to refuse", n)
	}
}

func BenchmarkShed(b *testing.B) {
	for name, share := range map[string]uint32{"well": 0, "half": whole / 2} {
		b.Run(name, func(b *testing.B) {
			m := start(Settings{}, nil, nil)
			m.share.Store(share)
			for b.Loop() {
				m.Shed()
			}
		})
	}
}

func BenchmarkLook(b *testing.B) {
	s := Settings{Memory: 1 << 50, RunQueue: time.Hour}
	m := start(Settings{}, nil, newRuntimeSource(s))
	m.settings = s
	for b.Loop() {
		m.look()
	}
}
