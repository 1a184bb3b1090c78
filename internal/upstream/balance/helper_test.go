package balance

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// nodes makes a target for each weight: a, b, and so on.
func nodes(weights ...int) []*Node {
	out := make([]*Node, len(weights))
	for i, w := range weights {
		out[i] = NewNode(fmt.Sprintf("10.0.0.%d:80", i+1), w)
	}
	return out
}

func same(n int) []*Node {
	weights := make([]int, n)
	for i := range weights {
		weights[i] = 1
	}
	return nodes(weights...)
}

// world is a Balancer on a clock that moves when told to.
type world struct {
	*Balancer
	t       *testing.T
	nodes   []*Node
	now     time.Time
	changes []Change
}

func newWorld(t *testing.T, set Settings, nodes []*Node) *world {
	w := &world{t: t, nodes: nodes, now: time.Now()}
	w.Balancer = New(set, func(c Change) { w.changes = append(w.changes, c) })
	w.Update(nodes)
	return w
}

func (w *world) Update(nodes []*Node)  { w.nodes = nodes; w.Balancer.Update(nodes, w.now) }
func (w *world) pick() *Node           { return w.Pick(0, false, nil, w.now) }
func (w *world) after(d time.Duration) { w.now = w.now.Add(d) }
func (w *world) fails(n *Node, times int) {
	for range times {
		w.Usable(n, w.now) // as Pick does, it lets end what has ended
		a := n.Begin()
		w.Record(a, Failed, 0, w.now)
		a.End()
	}
}

func (w *world) works(n *Node, latency time.Duration) {
	a := n.Begin()
	w.Record(a, OK, latency, w.now)
	a.End()
}

// is checks the states of all targets.
func (w *world) is(want ...string) {
	w.t.Helper()
	for i, n := range w.nodes {
		if got := w.State(n, w.now); got.State != want[i] {
			w.t.Errorf("target %d is %s (%s), want %s", i, got.State, got.Cause, want[i])
		}
	}
}

// told checks what was told since the last time.
func (w *world) told(want ...string) {
	w.t.Helper()
	got := w.changes
	w.changes = nil
	if len(got) != len(want) {
		w.t.Errorf("told %+v, want %q", got, want)
		return
	}
	for i, c := range got {
		who := "all"
		if c.Node != "" {
			who = c.Node[len("10.0.0.") : len("10.0.0.")+1]
		}
		if s := fmt.Sprintf("%s: %s to %s: %s", who, c.From, c.To, c.Cause); s != want[i] {
			w.t.Errorf("told %q, want %q", s, want[i])
		}
	}
}

// shares picks so many times, without anything in flight, and returns which part each has.
func (w *world) shares(times int) []float64 {
	counts := make(map[*Node]int)
	for i := range times {
		counts[w.Pick(scramble(uint64(i)), true, nil, w.now)]++
	}
	out := make([]float64, len(w.nodes))
	for i, n := range w.nodes {
		out[i] = float64(counts[n]) / float64(times)
	}
	return out
}

func near(t *testing.T, what string, got, want []float64, off float64) {
	t.Helper()
	for i := range want {
		if math.Abs(got[i]-want[i]) > off {
			t.Errorf("%s: shares %.3f, want %.3f, off by %.3f at most", what, got, want, off)
			return
		}
	}
}

// sim sends requests at random moments, and answers them in virtual time.
type sim struct {
	*world
	latency func(n *Node) time.Duration
	queue   answers
	rand    *rand.Rand
	got     map[*Node]int
}

type answer struct {
	at   time.Time
	from Attempt
	took time.Duration
}

type answers []answer

func (a answers) Len() int           { return len(a) }
func (a answers) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a answers) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *answers) Push(x any)        { *a = append(*a, x.(answer)) }
func (a *answers) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func newSim(w *world, latency func(*Node) time.Duration) *sim {
	return &sim{world: w, latency: latency, rand: rand.New(rand.NewPCG(1, 2))}
}

// run sends perSecond requests for so long, and returns which part each target got.
func (s *sim) run(d time.Duration, perSecond float64) []float64 {
	s.got = make(map[*Node]int)
	sent := 0
	next, end := s.now, s.now.Add(d)
	for {
		next = next.Add(time.Duration(s.rand.ExpFloat64() / perSecond * float64(time.Second)))
		if next.After(end) {
			break
		}
		s.answer(next)
		s.now = next
		n := s.Pick(s.rand.Uint64(), true, nil, s.now)
		s.got[n]++
		sent++
		took := time.Duration(float64(s.latency(n)) * (0.5 + s.rand.Float64()))
		heap.Push(&s.queue, answer{s.now.Add(took), n.Begin(), took})
	}
	s.answer(end)
	s.now = end
	out := make([]float64, len(s.nodes))
	for i, n := range s.nodes {
		out[i] = float64(s.got[n]) / float64(sent)
	}
	return out
}

func (s *sim) answer(until time.Time) {
	for len(s.queue) > 0 && !s.queue[0].at.After(until) {
		a := heap.Pop(&s.queue).(answer)
		s.Record(a.from, OK, a.took, a.at)
		a.from.End()
	}
}
