package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

// report is everything that a run has measured. It is written as it is with
// -json.
type report struct {
	Subjects []string     `json:"subjects"` // version lines
	Cases    []caseResult `json:"cases"`
	Idle     []idleResult `json:"idle,omitempty"`
	Targets  []verdict    `json:"targets"`
}

// caseResult is what one subject cost in one case.
type caseResult struct {
	Case    string            `json:"case"`
	Subject string            `json:"subject"`
	CPU     spread            `json:"cpu_us_per_request"`
	Rate    spread            `json:"requests_per_second"`
	Busy    spread            `json:"busy"` // share of its core, 0..1
	P50     spread            `json:"p50_us"`
	P99     spread            `json:"p99_us"`
	Foreign spread            `json:"foreign"`     // time that strangers took, 1 is a whole core
	Against map[string]spread `json:"cpu_against"` // ratio of CPU, by other subject
	Rounds  []window          `json:"rounds"`      // those that count
}

// idleResult is what idle connections cost one subject.
type idleResult struct {
	Subject string  `json:"subject"`
	Conns   int     `json:"conns"`
	Before  int64   `json:"bytes_before"` // after one request
	After   int64   `json:"bytes_after"`
	PerConn float64 `json:"bytes_per_conn"`
}

// verdict is one target and what became of it.
type verdict struct {
	Name   string  `json:"name"` // "plain: yett/nginx"
	Value  *spread `json:"value"`
	AtMost float64 `json:"at_most"`
	Unit   string  `json:"unit,omitempty"`
	Met    bool    `json:"met"`
}

func (w window) cpuPerRequest() float64 { return micros(w.CPU) / float64(w.Requests) }
func (w window) rate() float64          { return float64(w.Requests) / w.Elapsed.Seconds() }
func (w window) busy() float64          { return float64(w.CPU) / float64(w.Elapsed) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// summarise turns the rounds of one case, by subject, into its results.
func summarise(name string, labels []string, rounds [][]window) []caseResult {
	results := make([]caseResult, len(labels))
	for i, label := range labels {
		cpu := column(rounds[i], window.cpuPerRequest)
		results[i] = caseResult{
			Case:    name,
			Subject: label,
			CPU:     spreadOf(cpu),
			Rate:    spreadOf(column(rounds[i], window.rate)),
			Busy:    spreadOf(column(rounds[i], window.busy)),
			P50:     spreadOf(column(rounds[i], func(w window) float64 { return micros(w.P50) })),
			P99:     spreadOf(column(rounds[i], func(w window) float64 { return micros(w.P99) })),
			Foreign: spreadOf(column(rounds[i], func(w window) float64 { return w.Foreign })),
			Against: make(map[string]spread),
			Rounds:  rounds[i],
		}
		for j, other := range labels {
			if i != j {
				base := column(rounds[j], window.cpuPerRequest)
				results[i].Against[other] = spreadOf(ratios(cpu, base))
			}
		}
	}
	return results
}

// judge compares the results of one case with the case's targets.
func judge(c benchCase, results []caseResult) []verdict {
	var out []verdict
	for _, t := range c.Targets {
		v := verdict{Name: fmt.Sprintf("%s: %s/%s", c.Name, t.Subject, t.Against), AtMost: t.AtMost}
		for _, r := range results {
			if ratio, ok := r.Against[t.Against]; ok && r.Subject == t.Subject {
				v.Value, v.Met = &ratio, ratio.Median <= t.AtMost
			}
		}
		out = append(out, v)
	}
	return out
}

func judgeIdle(results []idleResult) verdict {
	v := verdict{Name: "idle: yett", AtMost: idleTarget / 1024, Unit: " KB per connection"}
	for _, r := range results {
		if r.Subject == "yett" {
			kb := r.PerConn / 1024
			v.Value, v.Met = &spread{Median: kb, Min: kb, Max: kb}, kb <= v.AtMost
		}
	}
	return v
}

// met says whether all targets were measured and reached.
func (r *report) met() bool {
	for _, v := range r.Targets {
		if !v.Met {
			return false
		}
	}
	return true
}

func (r *report) print(w io.Writer) error {
	for _, line := range r.Subjects {
		fmt.Fprintln(w, line)
	}
	if len(r.Cases) > 0 {
		if err := r.printCases(w); err != nil {
			return err
		}
	}
	if len(r.Idle) > 0 {
		if err := r.printIdle(w); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	for _, v := range r.Targets {
		if _, err := fmt.Fprintln(w, v); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	return nil
}

func (r *report) printCases(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\ncase\tsubject\tCPU µs/req\treq/s\tbusy\tp50/p99 µs\tvs nginx\tspread")
	for _, c := range r.Cases {
		fmt.Fprintf(t, "%s\t%s\t%.2f\t%.0f\t%.0f%%\t%.0f/%.0f\t%s\n", c.Case, c.Subject,
			c.CPU.Median, c.Rate.Median, 100*c.Busy.Median, c.P50.Median, c.P99.Median, c.againstNginx())
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// againstNginx is the last two columns: the ratio and its range. Where nginx
// is there in several configurations, the plain one counts.
func (c *caseResult) againstNginx() string {
	ratio, ok := c.Against["nginx"]
	if !ok {
		ratio, ok = c.Against["nginx (plain)"]
	}
	if !ok {
		return "-\t-"
	}
	return fmt.Sprintf("%.2f\t%.2f..%.2f", ratio.Median, ratio.Min, ratio.Max)
}

func (r *report) printIdle(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\ncase\tsubject\tconnections\tMB before\tMB with them\tKB per connection")
	for _, i := range r.Idle {
		fmt.Fprintf(t, "%s\t%s\t%d\t%.1f\t%.1f\t%.2f\n", caseIdle, i.Subject, i.Conns,
			float64(i.Before)/(1<<20), float64(i.After)/(1<<20), i.PerConn/1024)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// String is the verdict's line of the report.
func (v verdict) String() string {
	goal := fmt.Sprintf("(target <= %.2f%s)", v.AtMost, v.Unit)
	if v.Value == nil {
		return fmt.Sprintf("%s not measured %s", v.Name, goal)
	}
	value := fmt.Sprintf("%.2f", v.Value.Median)
	if v.Value.Min < v.Value.Max {
		value += fmt.Sprintf(" [%.2f..%.2f]", v.Value.Min, v.Value.Max)
	}
	if !v.Met {
		goal += " NOT"
	}
	return fmt.Sprintf("%s %s %s met", v.Name, value, goal)
}

func (r *report) writeJSON(name string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.WriteFile(name, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
