package shed

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// model is what a Limiter should do, said plainly.
type model struct {
	limit, most int
	longest     time.Duration
	now, empty  time.Duration

	inside         map[int]bool
	queue          []waiting // in the order of coming
	verdict        map[int]Verdict
	refused, total int64
}

type waiting struct {
	id     int
	urgent bool
	since  time.Duration
}

// stands is judged when something happens, before it changes the queue.
func (m *model) stands() bool {
	if len(m.queue) == 0 {
		m.empty = m.now
	}
	return m.now-m.empty > m.longest
}

// order is who is served first, and last who is last.
func (m *model) order(stands bool) []waiting {
	out := slices.Clone(m.queue)
	if stands {
		slices.Reverse(out)
	}
	slices.SortStableFunc(out, func(a, b waiting) int {
		switch {
		case a.urgent == b.urgent:
			return 0
		case a.urgent:
			return -1
		}
		return 1
	})
	return out
}

func (m *model) out(id int, v Verdict) {
	m.queue = slices.DeleteFunc(m.queue, func(w waiting) bool { return w.id == id })
	m.verdict[id] = v
	if v == Full || v == Late {
		m.refused++
	}
	if v == Granted {
		m.inside[id] = true
	}
}

func (m *model) grant() {
	stands := m.stands()
	for len(m.queue) > 0 && len(m.inside) < m.limit {
		m.out(m.order(stands)[0].id, Granted)
	}
}

func (m *model) acquire(id int, urgent bool) {
	if len(m.queue) == 0 && len(m.inside) < m.limit {
		m.out(id, Granted)
		return
	}
	stands := m.stands()
	if len(m.queue) >= m.most {
		var last waiting
		if m.most > 0 {
			last = m.order(stands)[m.most-1]
		}
		if m.most == 0 || !(urgent && !last.urgent || stands && urgent == last.urgent) {
			m.out(id, Full)
			return
		}
		m.out(last.id, Full)
	}
	m.queue = append(m.queue, waiting{id, urgent, m.now})
	m.total++
}

func (m *model) release(id int) {
	delete(m.inside, id)
	if len(m.queue) > 0 {
		m.grant()
	}
}

func (m *model) leave(id int) {
	m.stands()
	m.out(id, Left)
}

// pass lets time go by. No two waits end at the same time.
func (m *model) pass(d time.Duration) {
	end := m.now + d
	for {
		i := slices.IndexFunc(m.queue, func(w waiting) bool { return w.since+m.longest <= end })
		if i < 0 {
			break
		}
		m.now = m.queue[i].since + m.longest
		m.stands()
		m.out(m.queue[i].id, Late)
	}
	m.now = end
}

func (m *model) state() State {
	return State{InFlight: len(m.inside), Limit: m.limit, Queued: len(m.queue), Refused: m.refused, Waited: m.total}
}

// request is one in the real Limiter.
type request struct {
	leave context.CancelFunc
	done  chan Verdict
}

// TestAgainstModel lets both do the same.
func TestAgainstModel(t *testing.T) {
	schedules := 400
	if testing.Short() || raceDetector {
		schedules = 60
	}
	stood := 0
	for seed := range schedules {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { stood += schedule(t, rand.New(rand.NewPCG(uint64(seed), 7))) })
		})
	}
	if stood == 0 {
		t.Error("the queue never stood")
	}
}

// schedule does what a random number says, and returns how often the queue stood.
func schedule(t *testing.T, rng *rand.Rand) (stood int) {
	s := Settings{Max: 1 + rng.IntN(4), Queue: rng.IntN(6), QueueTime: 10 * time.Millisecond}
	l := mustNew(t, s)
	m := &model{limit: s.Max, most: s.Queue, longest: s.QueueTime, inside: map[int]bool{}, verdict: map[int]Verdict{}}
	real := map[int]request{}
	verdicts := map[int]Verdict{}
	for id := range 400 {
		what := ""
		switch n := rng.IntN(20); {
		case n < 10:
			urgent := rng.IntN(3) == 0
			what = fmt.Sprint("acquire ", id, urgent)
			m.acquire(id, urgent)
			ctx, leave := context.WithCancel(context.Background())
			r := request{leave, make(chan Verdict, 1)}
			real[id] = r
			go func() { r.done <- l.Acquire(client{ctx}, urgent) }()
		case n < 14 && len(m.inside) > 0:
			some := pick(rng, m.inside)
			what = fmt.Sprint("release ", some)
			m.release(some)
			l.Release(time.Millisecond, OK)
		case n < 16 && len(m.queue) > 0:
			some := m.queue[rng.IntN(len(m.queue))].id
			what = fmt.Sprint("leave ", some)
			m.leave(some)
			real[some].leave()
		case n == 16:
			m.limit = 1 + rng.IntN(4)
			what = fmt.Sprint("limit ", m.limit)
			if int64(m.limit) != l.limit.Load() && len(m.queue) > 0 {
				m.grant()
			}
			l.setLimit(int64(m.limit))
		}
		synctest.Wait()
		d := time.Duration(1+rng.IntN(2000))*time.Microsecond + time.Duration(id) // no two moments the same
		m.pass(d)
		time.Sleep(d)
		synctest.Wait()
		for id, r := range real {
			select {
			case v := <-r.done:
				verdicts[id] = v
				r.leave()
				delete(real, id)
			default:
			}
		}
		if m.now-m.empty > m.longest && len(m.queue) > 0 {
			stood++
		}
		compare(t, l, m, verdicts, what)
	}
	for _, r := range real {
		r.leave()
	}
	return stood
}

func compare(t *testing.T, l *Limiter, m *model, verdicts map[int]Verdict, what string) {
	t.Helper()
	if got, want := l.State(), m.state(); got != want {
		t.Fatalf("after %s: %+v, want %+v", what, got, want)
	}
	for id, want := range m.verdict {
		if got, ok := verdicts[id]; !ok || got != want {
			t.Fatalf("after %s: request %d is %v (%v), want %v", what, id, got, ok, want)
		}
	}
	if len(verdicts) != len(m.verdict) {
		t.Fatalf("after %s: %d verdicts, want %d", what, len(verdicts), len(m.verdict))
	}
}

func pick(rng *rand.Rand, from map[int]bool) int {
	ids := make([]int, 0, len(from))
	for id := range from {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids[rng.IntN(len(ids))]
}
