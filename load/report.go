package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"
)

var errFailed = errors.New("the load test failed")

// result is what a run has found.
type result struct {
	test test
	summary
	seen []usage // of the gateway, when it was watched
}

// summary is what k6 has found.
type summary struct {
	Metrics map[string]metric `json:"metrics"`
	Root    struct {
		Checks []check `json:"checks"`
	} `json:"root_group"`
}

// check is how often something was looked at. Its name says what went wrong, when something did.
type check struct {
	Name  string `json:"name"`
	Fails int    `json:"fails"`
}

// metric is one of k6's summary. Durations are in milliseconds.
type metric struct {
	Values map[string]float64 `json:"values"`
}

func readSummary(path string) (summary, error) {
	var s summary
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read what k6 has found: %w", err)
	}
	return s, nil
}

// value is one figure; 0 when k6 never counted it.
func (r result) value(metric, name string) float64 { return r.Metrics[metric].Values[name] }

func (r result) latency(name string) time.Duration {
	return time.Duration(r.value("http_req_duration", name) * float64(time.Millisecond))
}

// demand is one thing that a test wants.
type demand struct {
	what, found, limit string
	met                bool
}

// demands are what decides. k6 has its own opinion of most, by the same numbers; these are looked at again so that
// what is printed is what counts.
func (r result) demands() []demand {
	l := r.test.limits
	errors, late := r.value("errors", "rate"), r.late()
	d := []demand{
		{"errors", fmt.Sprintf("%.2f %%", 100*errors), fmt.Sprintf("< %g %%", 100*l.errors), errors < l.errors},
		r.within("p95", "p(95)", l.p95),
		r.within("p99", "p(99)", l.p99),
		{"not sent in time", fmt.Sprintf("%.0f", late), "0", late == 0},
	}
	if r.test.growth && r.seen != nil {
		found := "no"
		err := grown(r.seen)
		if err != nil {
			found = err.Error()
		}
		d = append(d, demand{"the gateway grew", found, "no", err == nil})
	}
	return d
}

// late is how many visits could not begin when they were due. k6 counts those of which it knows; when it itself has
// no time it is behind at the end, and then the rest is missing. Some always are, where rates are rounded.
func (r result) late() float64 {
	known := r.value("dropped_iterations", "count")
	missing := r.test.visits() - r.value("iterations", "count")
	if missing > 2+0.02*r.test.visits() {
		return max(known, math.Round(missing))
	}
	return known
}

func (r result) within(what, name string, limit time.Duration) demand {
	found := r.latency(name)
	return demand{what, short(found), "< " + limit.String(), found < limit && r.value("http_reqs", "count") > 0}
}

// short is a duration with three digits or so.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	default:
		return d.Round(10 * time.Microsecond).String()
	}
}

// print writes what was found, and returns errFailed when a demand is not met.
func (r result) print(w io.Writer) error {
	requests := r.value("http_reqs", "count")
	fmt.Fprintf(w, "%s: %s in %v\n", r.test.name, r.test.rates(), r.test.lasts())
	fmt.Fprintf(w, "  visits     %.0f of %.0f, with %.0f requests, %.1f/s\n", r.value("iterations", "count"), r.test.visits(), requests, r.value("http_reqs", "rate"))
	fmt.Fprintf(w, "  latency    mean %s, p50 %s, p95 %s, p99 %s, max %s\n",
		short(r.latency("avg")), short(r.latency("p(50)")), short(r.latency("p(95)")), short(r.latency("p(99)")), short(r.latency("max")))
	if n := len(r.seen); n > 1 && requests > 0 {
		a, b := r.seen[0], r.seen[n-1]
		fmt.Fprintf(w, "  gateway    %.0f µs of CPU for each request; at the end %d MB, %d descriptors, %d threads (at first %d MB, %d, %d)\n",
			float64((b.cpu-a.cpu).Microseconds())/requests, b.memory>>20, b.files, b.threads, a.memory>>20, a.files, a.threads)
	}
	var failed bool
	for _, d := range r.demands() {
		mark := "ok"
		if !d.met {
			mark, failed = "FAILED", true
		}
		fmt.Fprintf(w, "  %-6s     %s: %s (%s)\n", mark, d.what, d.found, d.limit)
	}
	for _, c := range r.Root.Checks {
		if c.Fails > 0 {
			fmt.Fprintf(w, "  %6d     %s\n", c.Fails, c.Name)
		}
	}
	if r.late() > 0 {
		fmt.Fprintln(w, "  What was not sent in time says that k6 had too little of the CPU, or that all its users waited for the gateway: these figures are not those of the rate above.")
	}
	if failed {
		return errFailed
	}
	return nil
}
