package main

import (
	"fmt"
	"math"
	"time"
)

// options are k6's, as it reads them with --config.
type options struct {
	Scenarios         map[string]scenario `json:"scenarios"`
	Thresholds        map[string][]string `json:"thresholds"`
	SummaryTrendStats []string            `json:"summaryTrendStats"`
	NoUsageReport     bool                `json:"noUsageReport"`
	UserAgent         string              `json:"userAgent"`
}

type scenario struct {
	Executor        string  `json:"executor"`
	Exec            string  `json:"exec"`
	TimeUnit        string  `json:"timeUnit"`
	PreAllocatedVUs int     `json:"preAllocatedVUs"`
	MaxVUs          int     `json:"maxVUs"`
	GracefulStop    string  `json:"gracefulStop"`
	Rate            int64   `json:"rate,omitempty"` // of a test with one rate
	Duration        string  `json:"duration,omitempty"`
	StartRate       int64   `json:"startRate,omitempty"` // of one with several
	Stages          []stage `json:"stages,omitempty"`
}

type stage struct {
	Target   int64  `json:"target"`
	Duration string `json:"duration"`
}

// options returns what k6 has to know of a test.
func (t test) options() options {
	return options{
		Scenarios: map[string]scenario{t.name: t.scenario()},
		Thresholds: map[string][]string{
			"errors":             {fmt.Sprintf("rate<%g", t.limits.errors)},
			"http_req_duration":  {fmt.Sprintf("p(95)<%d", t.limits.p95.Milliseconds()), fmt.Sprintf("p(99)<%d", t.limits.p99.Milliseconds())},
			"dropped_iterations": {"count<1"},
		},
		SummaryTrendStats: []string{"avg", "min", "p(50)", "p(95)", "p(99)", "max"},
		NoUsageReport:     true,
		UserAgent:         "load",
	}
}

// scenario is when visits begin, whether or not those before have ended.
func (t test) scenario() scenario {
	// k6's users have one visit at a time each: enough for all that comes while nothing is answered for three seconds,
	// because k6 loses visits while it makes more of them.
	users := min(max(int(math.Ceil(3*t.peak())), 20), 600)
	s := scenario{Exec: t.script, TimeUnit: "1m", PreAllocatedVUs: users, MaxVUs: 2 * users, GracefulStop: "10s"}
	if p := t.phases[0]; len(t.phases) == 1 && p.from == p.to {
		s.Executor, s.Rate, s.Duration = "constant-arrival-rate", perMinute(p.from), milliseconds(p.lasts)
	} else {
		s.Executor, s.StartRate, s.Stages = "ramping-arrival-rate", perMinute(p.from), t.stages()
	}
	return s
}

// stages has a stage of no length where the rate jumps.
func (t test) stages() []stage {
	var out []stage
	rate := t.phases[0].from
	for _, p := range t.phases {
		if p.from != rate {
			out = append(out, stage{perMinute(p.from), "0s"})
		}
		out = append(out, stage{perMinute(p.to), milliseconds(p.lasts)})
		rate = p.to
	}
	return out
}

// perMinute is a rate in k6's whole numbers, without losing those below one in a second.
func perMinute(perSecond float64) int64 { return int64(math.Round(60 * perSecond)) }

// milliseconds writes a time as k6 reads it.
func milliseconds(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }
