package main

import (
	"fmt"
	"os"
	"time"
)

// loadResult is what the load generator has found, by subject.
type loadResult struct {
	Windows  [][]window `json:"windows"`  // by round; none of a subject that has failed
	Failures []string   `json:"failures"` // "" for none
}

// contest measures several subjects in turn: slice after slice within a round,
// so that all of them meet the same moods of the machine. A subject that fails
// is left out from then on; the others go on.
type contest struct {
	spec    loadSpec
	loaders []*loader
	pacers  []*pacer     // with a rate
	calls   []*callMeter // when counting; nil for who can't be counted
	failed  []error
}

// runLoad measures all rounds. A subject fails by one wrong answer.
func runLoad(spec loadSpec) (loadResult, error) {
	n := len(spec.Subjects)
	c := &contest{
		spec: spec, loaders: make([]*loader, n), pacers: make([]*pacer, n),
		calls: make([]*callMeter, n), failed: make([]error, n),
	}
	defer c.close()
	if spec.Rate > 0 {
		if err := beOnTime(); err != nil {
			return loadResult{}, err
		}
	}
	c.each(c.begin)
	windows := make([][]window, n)
	for r := range spec.Rounds {
		round, err := c.round(r)
		if err != nil {
			return loadResult{}, fmt.Errorf("round %d: %w", r+1, err)
		}
		for i, w := range round {
			windows[i] = append(windows[i], w)
		}
	}
	return c.result(windows), nil
}

// result leaves out what was measured of a subject before it failed.
func (c *contest) result(windows [][]window) loadResult {
	out := loadResult{Windows: windows, Failures: make([]string, len(windows))}
	for i, err := range c.failed {
		if err != nil {
			out.Windows[i], out.Failures[i] = nil, err.Error()
		}
	}
	return out
}

// each does something for all subjects that have not failed.
func (c *contest) each(do func(i int) error) {
	for i := range c.loaders {
		c.try(i, do)
	}
}

func (c *contest) try(i int, do func(i int) error) {
	if c.failed[i] == nil {
		c.failed[i] = do(i)
	}
}

// begin connects to a subject and warms it up.
func (c *contest) begin(i int) error {
	s := c.spec.Subjects[i]
	l, err := newLoader(s.Address, s.traffic, s.Want)
	if err != nil {
		return err
	}
	c.loaders[i] = l
	if err := l.connect(c.spec.Conns); err != nil {
		return err
	}
	if err := l.run(c.spec.Warmup); err != nil {
		return err
	}
	if _, err := l.window(); err != nil { // counts from here on
		return fmt.Errorf("warm up: %w", err)
	}
	if c.spec.Rate > 0 {
		c.pacers[i] = newPacer(l, c.spec.Rate)
	}
	if c.spec.Count {
		c.calls[i] = newCallMeter(s.PIDs)
	}
	return nil
}

func (c *contest) close() {
	for i, l := range c.loaders {
		if l != nil {
			l.close()
		}
		c.calls[i].close()
	}
}

// round measures each subject once. The CPU time of a subject is that of the
// whole round: what it puts off until it has no load counts too.
func (c *contest) round(n int) ([]window, error) {
	before, err := c.take()
	if err != nil {
		return nil, err
	}
	slices := c.slices()
	for s := range slices {
		for _, i := range order(n*slices+s, len(c.loaders)) {
			c.try(i, func(i int) error { return c.drive(i, c.spec.Duration/time.Duration(slices)) })
		}
	}
	after, err := c.take()
	if err != nil {
		return nil, err
	}
	foreign := foreignShare(before, after)
	windows := make([]window, len(c.loaders))
	c.each(func(i int) error {
		w, err := c.loaders[i].window()
		if err != nil {
			return err
		}
		if p := c.pacers[i]; p != nil {
			p.describe(&w)
		}
		after.subjects[i].since(before.subjects[i], &w)
		w.Foreign = foreign
		windows[i] = w
		return nil
	})
	return windows, nil
}

// slices is into how many turns a round is cut. Latencies at a rate are taken
// in one turn: a subject that has just been woken is slower for its first requests.
func (c *contest) slices() int {
	if c.spec.Rate > 0 {
		return 1
	}
	return max(1, int(c.spec.Duration/sliceTime))
}

// drive gives a subject load.
func (c *contest) drive(i int, d time.Duration) error {
	if p := c.pacers[i]; p != nil {
		return p.run(d)
	}
	return c.loaders[i].run(d)
}

// window returns what was counted since the last call.
func (l *loader) window() (window, error) {
	w := window{
		Requests: l.answered,
		Elapsed:  l.active,
		P50:      l.latency.quantile(0.50),
		P99:      l.latency.quantile(0.99),
		P999:     l.latency.quantile(0.999),
	}
	if l.failures > 0 {
		return w, fmt.Errorf("%d of %d requests failed, the first: %w", l.failures, l.failures+l.answered, l.failure)
	}
	if w.Requests == 0 {
		return w, fmt.Errorf("no request was answered in %s", l.active)
	}
	l.answered, l.active, l.latency = 0, 0, histogram{}
	return w, nil
}

// reading is what the counters of the machine say at one moment.
type reading struct {
	at       time.Time
	subjects []spent
	harness  time.Duration // CPU time of the load generator and its helpers
	idle     time.Duration // of the cores together
	cores    int
}

// spent is what one subject has used since it started.
type spent struct {
	cpu, user, system time.Duration
	syscalls, allocs  int64
}

// since enters what was used between two moments.
func (u spent) since(before spent, w *window) {
	w.CPU, w.User, w.System = u.cpu-before.cpu, u.user-before.user, u.system-before.system
	w.Syscalls, w.Allocs = u.syscalls-before.syscalls, u.allocs-before.allocs
}

func (c *contest) take() (reading, error) {
	r := reading{at: time.Now(), cores: len(c.spec.Cores), subjects: make([]spent, len(c.loaders))}
	c.each(func(i int) (err error) {
		r.subjects[i], err = c.spent(i)
		return err
	})
	var err error
	if r.harness, err = cpuTime(append([]int{os.Getpid()}, c.spec.Helpers...)); err != nil {
		return r, err
	}
	r.idle, err = idleTime(c.spec.Cores)
	return r, err
}

func (c *contest) spent(i int) (u spent, err error) {
	s := c.spec.Subjects[i]
	if u.cpu, err = cpuTime(s.PIDs); err != nil {
		return u, err
	}
	if u.user, u.system, err = splitTime(s.PIDs); err != nil {
		return u, err
	}
	if c.spec.Count && s.Allocs != "" {
		if u.allocs, err = askAllocs(s.Allocs); err != nil {
			return u, err
		}
	}
	u.syscalls, err = c.calls[i].read()
	return u, err
}

// foreignShare returns how much of the time between two readings the cores
// spent on something else than the subjects and the harness.
func foreignShare(before, after reading) float64 {
	elapsed := after.at.Sub(before.at)
	foreign := time.Duration(after.cores)*elapsed - (after.idle - before.idle) - (after.harness - before.harness)
	for i := range after.subjects {
		foreign -= after.subjects[i].cpu - before.subjects[i].cpu
	}
	return max(0, float64(foreign)/float64(elapsed))
}
