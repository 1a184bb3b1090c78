package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// test is one load test.
type test struct {
	name   string
	phases []phase
	script string // what a visit is: health or platform, in load.js
	limits limits
	growth bool // whether the gateway may not grow meanwhile
}

// phase is a time in which the rate of visits goes from one to another, both per second.
type phase struct {
	from, to float64
	lasts    time.Duration
}

// limits are what a test allows.
type limits struct {
	errors   float64 // share of requests with the wrong answer, or none
	p95, p99 time.Duration
}

// tests are those that there are.
func tests() []test {
	const half, minute = 30 * time.Second, time.Minute
	basic := limits{errors: 0.01, p95: 200 * time.Millisecond, p99: 500 * time.Millisecond}
	spike := limits{errors: 0.05, p95: 500 * time.Millisecond, p99: 2 * time.Second}
	stress := limits{errors: 0.10, p95: time.Second, p99: 5 * time.Second}
	return []test{
		{name: "quick", script: "health", limits: basic, phases: []phase{{1000, 1000, time.Second}}},
		{name: "basic", script: "platform", limits: basic, phases: []phase{{5, 5, half}, {10, 10, minute}, {5, 5, half}}},
		{name: "spike", script: "platform", limits: spike, phases: []phase{{10, 10, half}, {100, 100, half}, {10, 10, half}, {80, 80, half}, {5, 5, half}}},
		{name: "stress", script: "platform", limits: stress, phases: []phase{{20, 200, 5 * minute}}},
		{name: "soak", script: "platform", limits: basic, growth: true, phases: []phase{{50, 50, 60 * minute}}},
	}
}

// find returns a test by its name.
func find(name string) (test, error) {
	all := tests()
	i := slices.IndexFunc(all, func(t test) bool { return t.name == name })
	if i < 0 {
		return test{}, fmt.Errorf("there is no test %q; there are:\n%s", name, list())
	}
	return all[i], nil
}

// list tells which tests there are.
func list() string {
	var b strings.Builder
	for _, t := range tests() {
		fmt.Fprintf(&b, "  %-7s %s\n", t.name, t)
	}
	return b.String()
}

func (t test) String() string {
	return fmt.Sprintf("%s in %v, %.0f visits of %s; errors < %g %%, p95 < %v, p99 < %v",
		t.rates(), t.lasts(), t.visits(), t.script, 100*t.limits.errors, t.limits.p95, t.limits.p99)
}

// rates is how the rate goes.
func (t test) rates() string {
	var steps []string
	for i, p := range t.phases {
		if i == 0 || p.from != t.phases[i-1].to {
			steps = append(steps, fmt.Sprintf("%g", p.from))
		}
		if p.to != p.from {
			steps = append(steps, fmt.Sprintf("%g", p.to))
		}
	}
	return strings.Join(steps, " to ") + "/s"
}

// lasts is how long it takes.
func (t test) lasts() time.Duration {
	var sum time.Duration
	for _, p := range t.phases {
		sum += p.lasts
	}
	return sum
}

// visits is how many there will be.
func (t test) visits() float64 {
	sum := 0.0
	for _, p := range t.phases {
		sum += (p.from + p.to) / 2 * p.lasts.Seconds()
	}
	return sum
}

// peak is the highest rate.
func (t test) peak() float64 {
	top := 0.0
	for _, p := range t.phases {
		top = max(top, p.from, p.to)
	}
	return top
}

// scaled is the same test with another length in all, and another highest rate; 0 leaves what is.
func (t test) scaled(lasts time.Duration, peak float64) test {
	long, high := 1.0, 1.0
	if lasts > 0 {
		long = float64(lasts) / float64(t.lasts())
	}
	if peak > 0 {
		high = peak / t.peak()
	}
	t.phases = slices.Clone(t.phases)
	for i, p := range t.phases {
		t.phases[i] = phase{p.from * high, p.to * high, time.Duration(float64(p.lasts) * long)}
	}
	return t
}
