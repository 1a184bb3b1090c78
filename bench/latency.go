package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	caseLatency      = "latency"
	caseLatencyChain = "latency-chain"
	// directLabel is the origin, asked without anybody between.
	directLabel = "direct"
	// maxDirect is the 99th percentile of direct calls, in microseconds, above which
	// the machine or the load generator is what is measured.
	maxDirect = 500
	// latencyRound is how long each subject has requests in a round.
	latencyRound = 900 * time.Millisecond
)

// latencyCase is another case at a fixed rate.
type latencyCase struct {
	benchCase
	share float64 // of the most that nginx forwards
	// judged tells that Yett may add no more than nginx.
	judged bool
}

// latencyCases have the configurations of the cases plain and limits. The chain
// is asked less often: HAProxy with the same checks can't do half of what nginx
// can without.
func latencyCases() []latencyCase {
	plain, chain := plainCase(), limitsCase()
	plain.Name, plain.Quick = caseLatency, true
	plain.About = "plain forwarding at half of the rate that nginx can do"
	chain.Name, chain.Quick = caseLatencyChain, false
	chain.About = "the whole chain of policies at a quarter of the rate that nginx can do without any"
	plain.Targets, chain.Targets = nil, nil
	return []latencyCase{{plain, 0.5, true}, {chain, 0.25, false}}
}

// plainCase is the case that all others are compared with.
func plainCase() benchCase { return cases()[0] }

// runLatency sends requests at a fixed rate to each subject and, in turn with
// them, straight to the origin. What a subject adds to the origin's latency is
// its own.
func (b *bench) runLatency(ctx context.Context, l latencyCase) error {
	most, err := b.mostRequests(ctx)
	if err != nil {
		return err
	}
	f, err := b.assemble(ctx, l.benchCase, b.subjects)
	if err != nil {
		return err
	}
	defer f.stop()
	spec := b.load(l.benchCase, f.running)
	spec.Rate, spec.Duration = most*l.share, latencyRound
	spec.Rounds = (b.options.rounds + 1) / 2
	spec.Subjects = append(spec.Subjects, loadTarget{traffic: f.running[0].traffic, Address: b.upstream, Want: l.Want})
	fmt.Fprintf(b.log, "%s: %d rounds of %s at %.0f/s for each of %v\n", l.Name, spec.Rounds, spec.Duration, spec.Rate, append(f.labels(), directLabel))
	rounds, err := b.compete(ctx, f, spec)
	if err != nil {
		return err
	}
	quiet := quieterHalf(rounds)
	b.warnOfStrangers(l.Name, spreadOf(column(quiet[0], func(w window) float64 { return w.Foreign })))
	b.current.Rate = spec.Rate
	b.current.Latency = summariseLatency(append(f.labels(), directLabel), quiet)
	if p99 := findLatency(b.current.Latency, directLabel).P99.Median; p99 > maxDirect {
		fmt.Fprintf(b.log, "%s: direct calls have a p99 of %.0f µs: the machine is too busy to tell what others add\n", l.Name, p99)
	}
	if l.judged {
		b.current.Targets = judgeLatency(l.Name, b.current.Latency, b.options.subjects)
	}
	return nil
}

// mostRequests returns how many requests in a second nginx forwards, from the
// results of this run, or else from a short measurement. Without nginx it is the
// first subject's.
func (b *bench) mostRequests(ctx context.Context) (float64, error) {
	base := b.subjects[max(0, slices.IndexFunc(b.subjects, func(s subject) bool { return s.name == "nginx" }))]
	c := plainCase()
	if done, ok := b.report.find(c.Name); ok && b.fresh[c.Name] {
		for _, r := range done.Results {
			if r.Subject == base.label {
				return r.Rate.Median, nil
			}
		}
	}
	c.Variants = nil
	f, err := b.assemble(ctx, c, []subject{base})
	if err != nil {
		return 0, err
	}
	defer f.stop()
	spec := b.load(c, f.running)
	spec.Rounds = countRounds
	rounds, err := b.compete(ctx, f, spec)
	if err != nil {
		return 0, err
	}
	return spreadOf(column(rounds[0], window.rate)).Median, nil
}

// latencyResult is what one subject added to the origin's latency.
type latencyResult struct {
	Subject string `json:"subject"`
	P50     spread `json:"p50_us"`
	P99     spread `json:"p99_us"`
	P999    spread `json:"p999_us"`
	// What it is more than the same percentile without the subject, by round.
	Added50  spread `json:"added_p50_us"`
	Added99  spread `json:"added_p99_us"`
	Added999 spread `json:"added_p999_us"`
	// Behind is the share of requests that were due and never sent, because all
	// connections waited.
	Behind spread   `json:"behind"`
	Late   spread   `json:"late_us"` // 99th percentile of the generator's own delay
	Rounds []window `json:"rounds"`
}

func (r latencyResult) keepsUp() bool { return r.Behind.Median == 0 }

// summariseLatency turns the rounds by subject, of which the last is direct,
// into results.
func summariseLatency(labels []string, rounds [][]window) []latencyResult {
	var out []latencyResult
	direct := rounds[len(rounds)-1]
	for i, label := range labels {
		of := func(f func(window) time.Duration) (value, added spread) {
			own := column(rounds[i], func(w window) float64 { return micros(f(w)) })
			base := column(direct, func(w window) float64 { return micros(f(w)) })
			return spreadOf(own), spreadOf(differences(own, base))
		}
		r := latencyResult{Subject: label, Rounds: rounds[i]}
		r.P50, r.Added50 = of(func(w window) time.Duration { return w.P50 })
		r.P99, r.Added99 = of(func(w window) time.Duration { return w.P99 })
		r.P999, r.Added999 = of(func(w window) time.Duration { return w.P999 })
		r.Behind = spreadOf(column(rounds[i], func(w window) float64 { return float64(w.Behind) / float64(w.Requests+w.Behind) }))
		r.Late = spreadOf(column(rounds[i], func(w window) float64 { return micros(w.Late) }))
		out = append(out, r)
	}
	return out
}

// judgeLatency holds what Yett adds against what nginx adds.
func judgeLatency(name string, results []latencyResult, asked []string) []verdict {
	if !slices.Contains(asked, "yett") || !slices.Contains(asked, "nginx") {
		return nil
	}
	v := verdict{Name: name + ": added p99 of yett, against nginx's", Unit: " µs"}
	yett, nginx := findLatency(results, "yett"), findLatency(results, "nginx")
	if yett != nil && nginx != nil {
		v.Value, v.AtMost = &yett.Added99, nginx.Added99.Median
		v.Met = yett.keepsUp() && v.Value.Median <= v.AtMost
	}
	return []verdict{v}
}

func findLatency(results []latencyResult, label string) *latencyResult {
	i := slices.IndexFunc(results, func(r latencyResult) bool { return r.Subject == label })
	if i < 0 {
		return nil
	}
	return &results[i]
}
