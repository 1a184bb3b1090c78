package main

import (
	"fmt"
	"os"
	"time"
)

// contest measures several subjects in turn: slice after slice within a round,
// so that all of them meet the same moods of the machine.
type contest struct {
	spec    loadSpec
	loaders []*loader
}

// runLoad measures all rounds and returns the windows by subject and round. One
// wrong answer makes it fail.
func runLoad(spec loadSpec) ([][]window, error) {
	c := &contest{spec: spec}
	defer c.close()
	for _, s := range spec.Subjects {
		l, err := newLoader(s.Address, s.traffic, s.Want)
		if err != nil {
			return nil, err
		}
		c.loaders = append(c.loaders, l)
		if err := l.connect(spec.Conns); err != nil {
			return nil, err
		}
		if err := l.run(spec.Warmup); err != nil {
			return nil, err
		}
		if _, err := l.window(); err != nil { // counts from here on
			return nil, fmt.Errorf("warm up: %w", err)
		}
	}
	windows := make([][]window, len(c.loaders))
	for n := range spec.Rounds {
		round, err := c.round(n)
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", n+1, err)
		}
		for i, w := range round {
			windows[i] = append(windows[i], w)
		}
	}
	return windows, nil
}

func (c *contest) close() {
	for _, l := range c.loaders {
		l.close()
	}
}

// round measures each subject once. The CPU time of a subject is that of the
// whole round: what it puts off until it has no load counts too.
func (c *contest) round(n int) ([]window, error) {
	before, err := c.take()
	if err != nil {
		return nil, err
	}
	slices := max(1, int(c.spec.Duration/sliceTime))
	for s := range slices {
		for _, i := range order(n*slices+s, len(c.loaders)) {
			if err := c.loaders[i].run(c.spec.Duration / time.Duration(slices)); err != nil {
				return nil, fmt.Errorf("subject %d: %w", i+1, err)
			}
		}
	}
	after, err := c.take()
	if err != nil {
		return nil, err
	}
	foreign := foreignShare(before, after)
	windows := make([]window, len(c.loaders))
	for i, l := range c.loaders {
		if windows[i], err = l.window(); err != nil {
			return nil, fmt.Errorf("subject %d: %w", i+1, err)
		}
		windows[i].CPU = after.subjects[i] - before.subjects[i]
		windows[i].Foreign = foreign
	}
	return windows, nil
}

// window returns what was counted since the last call.
func (l *loader) window() (window, error) {
	w := window{
		Requests: l.answered,
		Elapsed:  l.active,
		P50:      l.latency.quantile(0.50),
		P99:      l.latency.quantile(0.99),
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
	subjects []time.Duration // CPU time of each
	harness  time.Duration   // CPU time of the load generator and its helpers
	idle     time.Duration   // of the cores together
	cores    int
}

func (c *contest) take() (reading, error) {
	r := reading{at: time.Now(), cores: len(c.spec.Cores)}
	for _, s := range c.spec.Subjects {
		used, err := cpuTime(s.PIDs)
		if err != nil {
			return r, err
		}
		r.subjects = append(r.subjects, used)
	}
	var err error
	if r.harness, err = cpuTime(append([]int{os.Getpid()}, c.spec.Helpers...)); err != nil {
		return r, err
	}
	r.idle, err = idleTime(c.spec.Cores)
	return r, err
}

// foreignShare returns how much of the time between two readings the cores
// spent on something else than the subjects and the harness.
func foreignShare(before, after reading) float64 {
	elapsed := after.at.Sub(before.at)
	foreign := time.Duration(after.cores)*elapsed - (after.idle - before.idle) - (after.harness - before.harness)
	for i := range after.subjects {
		foreign -= after.subjects[i] - before.subjects[i]
	}
	return max(0, float64(foreign)/float64(elapsed))
}
