package balance

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var modelSteps = flag.Int("balance.steps", 200_000, "how many steps the Balancer is held against its model; a tenth with the race detector")

// modelTarget is a target as the documentation describes it, without any regard to cost.
type modelTarget struct {
	node                *Node
	down, gone, ejected bool
	failures, inRow     int
	until               time.Time // of the last ejection
	warm                time.Time // when slow start has begun, else zero
	spell               int
}

type modelAttempt struct {
	Attempt
	target *modelTarget
	spell  int
}

// model does the same as a Balancer, and tells where they differ.
type model struct {
	t        *testing.T
	rand     *rand.Rand
	set      Settings
	b        *Balancer
	targets  []*modelTarget // all that ever were
	attempts []modelAttempt
	made     int
	told     map[string]string
	did      map[string]int
	steps    []string // the last ones
}

func TestModel(t *testing.T) {
	steps, did := *modelSteps, map[string]int{}
	if raceDetector {
		steps /= 10
	}
	const each = 2000
	for seed := uint64(0); int(seed)*each < steps && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, seed, did)
			for range each {
				m.step()
				if t.Failed() {
					t.Fatalf("seed %d, %+v, last steps: %q", seed, m.set, m.steps)
				}
			}
			m.rest()
		})
	}
	t.Logf("%v", did)
	for _, what := range []string{"ejected", "ejection ended", "panicked", "warming", "down", "left", "added", "spared", "over the bound avoided", "all tried", "late"} {
		if did[what] == 0 {
			t.Errorf("the model has never seen: %s", what)
		}
	}
}

func newModel(t *testing.T, seed uint64, did map[string]int) *model {
	m := &model{t: t, rand: rand.New(rand.NewPCG(seed, 3)), told: map[string]string{}, did: did}
	m.set = Settings{
		Algorithm: Algorithm(seed % 3), LoadFactor: one(m, 0, 1, 1.25, 2), SlowStart: one(m, 0, 3*time.Second, 10*time.Second),
		MostOut: one(m, 0, 0.3, 0.5, 0.6, 1), Panic: one(m, 0, 0.5, 0.6, 1), EjectFailures: one(m, 0, 1, 2, 3),
		EjectFor: one(m, 0, time.Second, 5*time.Second), EjectMost: one(m, 0, 12*time.Second, time.Minute),
	}
	m.b = New(m.set, func(c Change) {
		if last, ok := m.told[c.Node]; ok && last != c.From || c.To == c.From || c.Cause == "" {
			t.Errorf("told %+v after %q", c, last)
		}
		m.told[c.Node] = c.To
	})
	for range m.rand.IntN(4) + 1 {
		m.make()
	}
	m.update()
	for _, x := range m.targets {
		x.warm = time.Time{}
	}
	return m
}

func one[T any](m *model, of ...T) T { return of[m.rand.IntN(len(of))] }

func (m *model) make() {
	m.made++
	n := NewNode(fmt.Sprint("target", m.made), one(m, 1, 1, 2, 5))
	m.targets = append(m.targets, &modelTarget{node: n, warm: time.Now()})
	m.did["added"]++
}

func (m *model) update() {
	var list []*Node
	for _, x := range m.live() {
		list = append(list, x.node)
	}
	m.b.Update(list, time.Now())
	m.spare()
}

// live are those that are not draining.
func (m *model) live() (out []*modelTarget) {
	for _, x := range m.targets {
		if !x.gone {
			out = append(out, x)
		}
	}
	return out
}

func (m *model) ejected() (n int) {
	for _, x := range m.live() {
		n += count(x.ejected)
	}
	return n
}

func (m *model) mayEject(n int) bool {
	targets := len(m.live())
	return n == 0 || targets > 1 && float64(n) <= m.set.MostOut*float64(targets)+1e-9
}

// used returns who may be picked.
func (m *model) used() (out []*modelTarget, panics bool) {
	for _, x := range m.live() {
		if !x.down && !x.ejected {
			out = append(out, x)
		}
	}
	all := m.live()
	if len(out) < len(all) && (len(out) == 0 || float64(len(out))/float64(len(all)) < m.set.Panic) {
		return all, true
	}
	return out, false
}

func (x *modelTarget) comesBack(at time.Time) {
	x.ejected, x.failures, x.until = false, 0, at
	x.spell++
	x.warm = time.Time{}
	if !x.down {
		x.warm = at
	}
}

// spare ends ejections that are too many.
func (m *model) spare() {
	for !m.mayEject(m.ejected()) {
		var next *modelTarget
		for _, x := range m.live() {
			if x.ejected && (next == nil || x.until.Before(next.until)) {
				next = x
			}
		}
		next.comesBack(time.Now())
		m.did["spared"]++
	}
}

// step does one thing, at random, and compares.
func (m *model) step() {
	if m.rand.IntN(3) == 0 {
		time.Sleep(time.Duration(m.rand.Int64N(int64(300 * time.Millisecond))))
		if m.rand.IntN(50) == 0 {
			time.Sleep(time.Duration(m.rand.Int64N(int64(20 * time.Second))))
		}
	}
	for _, x := range m.targets {
		if x.ejected && !time.Now().Before(x.until) {
			x.comesBack(x.until)
			m.did["ejection ended"]++
		}
	}
	live := m.live()
	what := m.rand.IntN(200)
	switch {
	case what < 100:
		m.pick()
	case what < 185 && len(m.attempts) > 0:
		m.end()
	case what < 196 && len(live) > 0:
		m.check(one(m, live...))
	case what < 198 && len(live) > 0:
		m.leave(one(m, live...))
	case len(live) < 6:
		m.note("add")
		first := len(live) == 0 && len(m.b.nodes) == 0
		m.make()
		if first { // nobody to leave the work to
			m.targets[len(m.targets)-1].warm = time.Time{}
		}
		m.update()
	}
	m.compare()
}

func (m *model) note(format string, args ...any) {
	m.steps = append(m.steps, fmt.Sprintf(format, args...))
	m.steps = m.steps[max(0, len(m.steps)-20):]
}

func (m *model) pick() {
	var tried []*Node
	for _, x := range m.targets {
		if m.rand.IntN(6) == 0 {
			tried = append(tried, x.node)
		}
	}
	keyed := m.rand.IntN(4) > 0
	n := m.b.Pick(scramble(m.rand.Uint64N(4)), keyed, tried, time.Now()) // few keys: they are hot
	used, _ := m.used()
	if n == nil || len(used) == 0 {
		if n != nil || len(used) > 0 {
			m.t.Errorf("picked %v of %d", n, len(used))
		}
		return
	}
	m.note("pick %s", n.Name)
	i := slices.IndexFunc(used, func(x *modelTarget) bool { return x.node == n })
	if i < 0 {
		m.t.Errorf("picked %s, which is not to be used", n.Name)
		return
	}
	fresh := slices.ContainsFunc(used, func(x *modelTarget) bool { return !slices.Contains(tried, x.node) })
	if fresh && slices.Contains(tried, n) {
		m.t.Errorf("picked %s, which was tried, and others were not", n.Name)
	}
	m.did["all tried"] += count(!fresh)
	if keyed && m.set.Algorithm == Hash && m.set.LoadFactor > 0 && (len(tried) == 0 || !fresh) {
		m.bounded(n, used)
	}
	m.attempts = append(m.attempts, modelAttempt{n.Begin(), used[i], used[i].spell})
}

// bounded checks the share of who was picked. It has not begun yet.
func (m *model) bounded(n *Node, used []*modelTarget) {
	weight, all, requests := 0.0, 0.0, 1
	most := 0
	for _, x := range used {
		share := m.b.State(x.node, time.Now()).Share
		if _, panics := m.used(); panics {
			share = 1
		}
		all += share * float64(x.node.weight.Load())
		requests += x.node.InFlight()
		most = max(most, x.node.InFlight())
		if x.node == n {
			weight = share * float64(x.node.weight.Load())
		}
	}
	bound := math.Ceil(m.set.LoadFactor*float64(requests)*weight/all + 1e-9)
	if float64(n.InFlight()+1) > bound {
		m.t.Errorf("%s has %d in flight and gets one more, with a bound of %v", n.Name, n.InFlight(), bound)
	}
	m.did["over the bound avoided"] += count(float64(most) >= bound)
}

func (m *model) end() {
	i := m.rand.IntN(len(m.attempts))
	if m.rand.IntN(2) == 0 {
		i = len(m.attempts) - 1
	}
	a := m.attempts[i]
	m.attempts = slices.Delete(m.attempts, i, i+1)
	out := one(m, OK, Failed, Failed, Ignored)
	m.note("%s: outcome %d", a.target.node.Name, out)
	m.b.Record(a.Attempt, out, time.Millisecond, time.Now())
	a.End()
	x := a.target
	if a.spell != x.spell {
		m.did["late"]++
		return
	}
	switch out {
	case OK:
		x.failures = 0
	case Failed:
		x.failures++
		m.eject(x)
	}
}

func (m *model) eject(x *modelTarget) {
	if m.set.EjectFailures == 0 || m.set.EjectFor == 0 || x.failures < m.set.EjectFailures || x.gone || x.down || x.ejected || !m.mayEject(m.ejected()+1) {
		return
	}
	x.inRow = m.inRow(x) + 1
	x.ejected, x.failures = true, 0
	x.spell++
	x.until = time.Now().Add(min(time.Duration(x.inRow)*m.set.EjectFor, max(m.set.EjectMost, m.set.EjectFor)))
	m.did["ejected"]++
}

func (m *model) inRow(x *modelTarget) int {
	if x.ejected || x.inRow == 0 {
		return x.inRow
	}
	return max(0, x.inRow-int(time.Since(x.until)/m.set.EjectFor))
}

func (m *model) check(x *modelTarget) {
	healthy := m.rand.IntN(3) > 0
	m.note("%s: healthy %v", x.node.Name, healthy)
	m.b.SetHealthy(x.node, healthy, "because", time.Now())
	if x.down == !healthy {
		return
	}
	x.down, x.failures, x.warm = !healthy, 0, time.Time{}
	x.spell++
	if healthy && !x.ejected {
		x.warm = time.Now()
	}
	m.did["down"]++
}

func (m *model) leave(x *modelTarget) {
	m.note("%s leaves", x.node.Name)
	x.gone, x.ejected, x.failures = true, false, 0
	x.spell++
	m.did["left"]++
	if m.rand.IntN(2) == 0 {
		m.b.Drain(x.node, "because", time.Now())
		m.spare()
		return
	}
	m.update()
}

func (x *modelTarget) state(slowStart time.Duration) string {
	switch {
	case x.gone:
		return Draining
	case x.down:
		return Down
	case x.ejected:
		return Ejected
	case !x.warm.IsZero() && time.Since(x.warm) < slowStart:
		return Warming
	}
	return Up
}

func (m *model) compare() {
	used, panics := m.used()
	m.did["panicked"] += count(panics)
	if got := m.b.Panics(time.Now()); got != panics {
		m.t.Errorf("panics %v, want %v", got, panics)
	}
	if told := m.told[""] == Panic; told != panics {
		m.t.Errorf("told that it panics: %v, want %v", told, panics)
	}
	for _, x := range m.targets {
		s := m.b.State(x.node, time.Now())
		want := x.state(m.set.SlowStart)
		if s.State != want || s.Failures != x.failures || !x.gone && s.Ejections != m.inRow(x) || s.Used != slices.Contains(used, x) {
			m.t.Errorf("%+v, want %s with %d failures, %d ejections", s, want, x.failures, m.inRow(x))
		}
		if want == Ejected && !s.Until.Equal(x.until) {
			m.t.Errorf("%s: until %v, want %v", s.Name, s.Until, x.until)
		}
		if want == Warming {
			m.did["warming"]++
			whole := 0.1 + 0.9*float64(time.Since(x.warm))/float64(m.set.SlowStart)
			if s.Share > whole+1e-9 || s.Share < whole-0.05-1e-9 {
				m.t.Errorf("%s has a share of %v, want %v", s.Name, s.Share, whole)
			}
		} else if s.Share != 1 {
			m.t.Errorf("%s is %s and has a share of %v", s.Name, want, s.Share)
		}
		if told, ok := m.told[s.Name]; ok && told != want {
			m.t.Errorf("told that %s is %s, and it is %s", s.Name, told, want)
		}
	}
	if !m.mayEject(m.ejected()) {
		m.t.Errorf("%d of %d ejected", m.ejected(), len(m.live()))
	}
}

// rest lets time pass without a request: everybody who is not down is up then.
func (m *model) rest() {
	time.Sleep(m.set.EjectMost + m.set.EjectFor + m.set.SlowStart)
	for _, x := range m.live() {
		if s := m.b.State(x.node, time.Now()); s.State != Up && !x.down {
			m.t.Errorf("without traffic: %+v", s)
		}
	}
	for _, a := range m.attempts {
		a.End()
	}
	for _, x := range m.targets {
		if n := x.node.InFlight(); n != 0 {
			m.t.Errorf("%s: %d in flight", x.node.Name, n)
		}
	}
}
