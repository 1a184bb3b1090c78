package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// report is everything that was measured.
type report struct {
	Machine  machine       `json:"machine"`
	Began    time.Time     `json:"began"`
	Rounds   int           `json:"rounds"`   // that were measured; the quieter half counts
	Duration time.Duration `json:"duration"` // of load for each subject in a round
	Nice     int           `json:"nice"`
	Versions []version     `json:"versions"`
	Failures []failure     `json:"failures,omitempty"` // of no case
	Cases    []caseReport  `json:"cases,omitempty"`
}

// version is that of a program, as it tells it.
type version struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// failure is what could not be measured, and why.
type failure struct {
	Subject string `json:"subject,omitempty"` // "" for all of the case
	Reason  string `json:"reason"`
}

func (f failure) String() string {
	if f.Subject == "" {
		return f.Reason
	}
	return f.Subject + ": " + f.Reason
}

// caseReport is what was measured in one case.
type caseReport struct {
	Name     string   `json:"name"`
	About    string   `json:"about,omitempty"`
	Group    string   `json:"group"`
	Protocol protocol `json:"protocol,omitempty"`
	// Reference is whom the others are compared with in tables, "" for nobody.
	Reference string          `json:"reference,omitempty"`
	Results   []caseResult    `json:"results,omitempty"`
	Rate      float64         `json:"rate,omitempty"` // requests in a second, of Latency
	Latency   []latencyResult `json:"latency,omitempty"`
	Idle      []idleResult    `json:"idle,omitempty"`
	Targets   []verdict       `json:"targets,omitempty"`
	Failures  []failure       `json:"failures,omitempty"`
}

// caseResult is what one subject cost in one case.
type caseResult struct {
	Subject  string            `json:"subject"`
	CPU      spread            `json:"cpu_us"`  // per request
	User     float64           `json:"user_us"` // of it
	System   float64           `json:"system_us"`
	Rate     spread            `json:"requests_per_second"`
	Busy     spread            `json:"busy"` // share of its core, 0..1
	P50      spread            `json:"p50_us"`
	P99      spread            `json:"p99_us"`
	P999     spread            `json:"p999_us"`
	Foreign  spread            `json:"foreign"`            // time that strangers took, 1 is a whole core
	Resident int64             `json:"resident"`           // bytes, at the end
	Syscalls *spread           `json:"syscalls,omitempty"` // per request
	Allocs   *spread           `json:"allocs,omitempty"`   // objects per request
	Against  map[string]spread `json:"cpu_against"`        // ratio of CPU, by other subject
	Rounds   []window          `json:"rounds"`             // those that count
}

// idleResult is what idle connections cost one subject.
type idleResult struct {
	Subject string  `json:"subject"`
	Conns   int     `json:"conns"`
	Before  int64   `json:"bytes_before"` // after one request
	After   int64   `json:"bytes_after"`
	PerConn float64 `json:"bytes_per_conn"`
}

func (w window) cpuPerRequest() float64 { return micros(w.CPU) / float64(w.Requests) }
func (w window) rate() float64          { return float64(w.Requests) / w.Elapsed.Seconds() }
func (w window) busy() float64          { return float64(w.CPU) / float64(w.Elapsed) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func newCaseReport(c benchCase) *caseReport {
	return &caseReport{Name: c.Name, About: c.About, Group: groupOf(c), Protocol: c.Protocol}
}

// addVersion notes a version, once.
func (r *report) addVersion(v version) {
	if !slices.Contains(r.Versions, v) {
		r.Versions = append(r.Versions, v)
	}
}

// find returns the case of that name.
func (r *report) find(name string) (caseReport, bool) {
	i := slices.IndexFunc(r.Cases, func(c caseReport) bool { return c.Name == name })
	if i < 0 {
		return caseReport{}, false
	}
	return r.Cases[i], true
}

// put adds a case, in the place of an older one of its name.
func (r *report) put(c caseReport) {
	i := slices.IndexFunc(r.Cases, func(old caseReport) bool { return old.Name == c.Name })
	if i >= 0 {
		r.Cases[i] = c
		return
	}
	r.Cases = append(r.Cases, c)
}

// summarise turns the rounds of one case, by subject, into its results.
func summarise(labels []string, rounds [][]window) []caseResult {
	results := make([]caseResult, len(labels))
	for i, label := range labels {
		cpu := column(rounds[i], window.cpuPerRequest)
		results[i] = caseResult{
			Subject: label,
			CPU:     spreadOf(cpu),
			Rate:    spreadOf(column(rounds[i], window.rate)),
			Busy:    spreadOf(column(rounds[i], window.busy)),
			P50:     spreadOf(column(rounds[i], func(w window) float64 { return micros(w.P50) })),
			P99:     spreadOf(column(rounds[i], func(w window) float64 { return micros(w.P99) })),
			P999:    spreadOf(column(rounds[i], func(w window) float64 { return micros(w.P999) })),
			Foreign: spreadOf(column(rounds[i], func(w window) float64 { return w.Foreign })),
			Against: make(map[string]spread),
			Rounds:  rounds[i],
		}
		results[i].split()
		for j, other := range labels {
			if i != j {
				base := column(rounds[j], window.cpuPerRequest)
				results[i].Against[other] = spreadOf(ratios(cpu, base))
			}
		}
	}
	return results
}

// split divides the CPU time into that of the program and that of the kernel for
// it. The steps of these clocks are too coarse for one round: the share is that of
// all of them.
func (r *caseResult) split() {
	var user, all time.Duration
	for _, w := range r.Rounds {
		user += w.User
		all += w.User + w.System
	}
	if all > 0 {
		r.User = r.CPU.Median * float64(user) / float64(all)
		r.System = r.CPU.Median - r.User
	}
}

// referenceOf returns whom a case's table compares with: nginx, or whoever a
// target compares with.
func referenceOf(c benchCase, results []caseResult) string {
	wanted := []string{"nginx", "nginx (plain)"}
	for _, t := range c.Targets {
		wanted = append(wanted, t.Against)
	}
	for _, label := range wanted {
		if slices.ContainsFunc(results, func(r caseResult) bool { return r.Subject == label }) {
			return label
		}
	}
	return ""
}

// nameOf is the program behind a label such as "yett (plain)" or "nginx#2".
func nameOf(label string) string {
	name, _, _ := strings.Cut(label, " ")
	name, _, _ = strings.Cut(name, "#")
	return name
}

// targets are all that were judged.
func (r *report) targets() []verdict {
	var out []verdict
	for _, c := range r.Cases {
		out = append(out, c.Targets...)
	}
	return out
}

// failures are all of them, with their case.
func (r *report) failures() []string {
	var out []string
	for _, f := range r.Failures {
		out = append(out, f.String())
	}
	for _, c := range r.Cases {
		for _, f := range c.Failures {
			out = append(out, fmt.Sprintf("%s: %s", c.Name, f))
		}
	}
	return out
}

// met says whether everything was measured and all targets are reached.
func (r *report) met() bool {
	return len(r.failures()) == 0 && !slices.ContainsFunc(r.targets(), func(v verdict) bool { return !v.Met })
}
