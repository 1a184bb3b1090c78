package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// publish writes the report as a page, and its charts beside it.
func (r *report) publish(name string) error {
	page := newPage(r, notes(notesText))
	text, err := page.markdown()
	if err != nil {
		return err
	}
	images := filepath.Join(filepath.Dir(name), "images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	old, err := filepath.Glob(filepath.Join(images, "bench-*.svg"))
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	for _, file := range old { // of cases that are no more
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	for file, c := range page.charts() {
		picture, err := c.svg()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(images, file), picture, 0o644); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// page is the report as its template needs it.
type page struct {
	*report
	Parts []part // of the groups that have a case
	notes map[string]string
}

// part is a group with its cases.
type part struct {
	group
	Cases []caseReport
}

func newPage(r *report, notes map[string]string) page {
	p := page{report: r, notes: notes}
	for _, g := range groups() {
		measured := part{group: g}
		for _, c := range r.Cases {
			if c.Group == g.Name && len(c.Results) > 0 {
				measured.Cases = append(measured.Cases, c)
			}
		}
		if len(measured.Cases) > 0 {
			p.Parts = append(p.Parts, measured)
		}
	}
	return p
}

func (p page) markdown() ([]byte, error) {
	const name = "report.md.tmpl"
	t, err := template.New(name).Funcs(template.FuncMap{"thousands": thousands, "gigabytes": gigabytes}).ParseFS(templates, "templates/"+name)
	if err != nil {
		return nil, fmt.Errorf("parse report template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("write report: %w", err)
	}
	return b.Bytes(), nil
}

// charts are the pictures by their file's name.
func (p page) charts() map[string]chart {
	out := make(map[string]chart)
	for _, g := range p.Parts {
		out[g.File()] = g.chart()
	}
	for _, c := range p.LatencyCases() {
		out[c.File()] = c.latencyChart()
	}
	for _, c := range p.IdleCases() {
		out[c.File()] = c.idleChart()
	}
	return out
}

// File is the name of the group's chart.
func (g group) File() string { return "bench-" + g.Name + ".svg" }

// File is the name of the chart of a case that has one of its own.
func (c caseReport) File() string { return "bench-" + c.Name + ".svg" }

func (p part) chart() chart {
	out := chart{Title: p.Title + ": CPU time of one request", Unit: "µs"}
	for _, c := range p.Cases {
		b := block{Title: c.Name}
		for _, r := range c.Results {
			b.Bars = append(b.Bars, bar{Label: r.Subject, Value: r.CPU.Median})
		}
		out.Blocks = append(out.Blocks, b)
	}
	return out
}

func (c caseReport) latencyChart() chart {
	out := chart{Title: fmt.Sprintf("Added latency at %s requests per second", thousands(c.Rate)), Unit: "µs"}
	for _, q := range []struct {
		title string
		of    func(latencyResult) float64
	}{
		{"half of the requests: p50", func(r latencyResult) float64 { return r.Added50.Median }},
		{"99 of 100: p99", func(r latencyResult) float64 { return r.Added99.Median }},
		{"999 of 1,000: p99.9", func(r latencyResult) float64 { return r.Added999.Median }},
	} {
		b := block{Title: q.title}
		for _, r := range c.Latency {
			switch {
			case r.Subject == directLabel:
			case r.keepsUp():
				b.Bars = append(b.Bars, bar{Label: r.Subject, Value: q.of(r)})
			default:
				b.Bars = append(b.Bars, bar{Label: r.Subject, Note: "can't keep up"})
			}
		}
		out.Blocks = append(out.Blocks, b)
	}
	return out
}

func (c caseReport) idleChart() chart {
	b := block{}
	for _, r := range c.Idle {
		b.Title = fmt.Sprintf("with %s connections", thousands(float64(r.Conns)))
		b.Bars = append(b.Bars, bar{Label: r.Subject, Value: megabytes(r.After)})
	}
	return chart{Title: "Resident memory", Unit: "MB", Blocks: []block{b}}
}

// LatencyCases are the cases at a fixed rate.
func (p page) LatencyCases() []caseReport {
	return p.having(func(c caseReport) bool { return len(c.Latency) > 0 })
}

// IdleCases are the cases with connections that rest.
func (p page) IdleCases() []caseReport {
	return p.having(func(c caseReport) bool { return len(c.Idle) > 0 })
}

func (p page) having(wanted func(caseReport) bool) []caseReport {
	var out []caseReport
	for _, c := range p.Cases {
		if wanted(c) {
			out = append(out, c)
		}
	}
	return out
}

// Score says how many targets are met.
func (p page) Score() string {
	met := 0
	all := p.targets()
	for _, v := range all {
		if v.Met {
			met++
		}
	}
	return fmt.Sprintf("%d of %d", met, len(all))
}

// Targets is the table of all targets.
func (p page) Targets() string {
	rows := [][]string{{"case", "target", "at most", "measured", ""}}
	for _, v := range p.targets() {
		name, what, _ := strings.Cut(v.Name, ": ")
		measured, state := "", "not measured"
		if v.Value != nil {
			measured, state = v.measured(" (", ")"), "met"
			if !v.Met {
				state = "**NOT met**"
			}
		}
		rows = append(rows, []string{name, what, figure(v.AtMost) + v.Unit, measured, state})
	}
	return markdownTable(rows)
}

// miss is a target that is not met, with its reason.
type miss struct{ Name, Reason string }

// Missed are the targets that are not met.
func (p page) Missed() []miss {
	var out []miss
	for _, v := range p.targets() {
		switch {
		case v.Met:
		case v.Value == nil:
			out = append(out, miss{v.Name, "Not measured: see what failed."})
		case p.notes[v.Name] == "":
			out = append(out, miss{v.Name, "Not explained yet."})
		default:
			out = append(out, miss{v.Name, p.notes[v.Name]})
		}
	}
	return out
}

// Failed is what could not be measured.
func (p page) Failed() []string { return p.failures() }

// Table is what was measured of the part's cases.
func (p part) Table() string {
	rows := [][]string{{
		"case", "subject", "CPU µs", "user + system", "ratio", "requests/s", "p50 / p99 / p99.9 µs", "MB", "calls", "allocations",
	}}
	for _, c := range p.Cases {
		for i, r := range c.Results {
			name := ""
			if i == 0 {
				name = "`" + c.Name + "`"
			}
			rows = append(rows, []string{
				name, emphasised(r.Subject), fmt.Sprintf("%.1f", r.CPU.Median), fmt.Sprintf("%.1f + %.1f", r.User, r.System),
				r.ratio(c.Reference), thousands(r.Rate.Median), percentiles(r.P50, r.P99, r.P999),
				fmt.Sprintf("%.0f", megabytes(r.Resident)), counted(r.Syscalls), counted(r.Allocs),
			})
		}
	}
	return markdownTable(withoutEmpty(rows))
}

// ratio is that to the reference, with its range.
func (r caseResult) ratio(reference string) string {
	if r.Subject == reference {
		return "1"
	}
	ratio, ok := r.Against[reference]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s (%s..%s)", figure(ratio.Median), figure(ratio.Min), figure(ratio.Max))
}

func counted(s *spread) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("%.2f", s.Median)
}

func percentiles(values ...spread) string {
	var texts []string
	for _, v := range values {
		texts = append(texts, thousands(v.Median))
	}
	return strings.Join(texts, " / ")
}

// LatencyTable is what was measured at a fixed rate.
func (c caseReport) LatencyTable() string {
	rows := [][]string{{"subject", "p50 µs", "p99 µs", "p99.9 µs", "added p50", "added p99", "added p99.9", ""}}
	for _, r := range c.Latency {
		row := []string{emphasised(r.Subject)}
		for _, s := range []spread{r.P50, r.P99, r.P999} {
			row = append(row, thousands(s.Median))
		}
		for _, s := range []spread{r.Added50, r.Added99, r.Added999} {
			text := ""
			if r.Subject != directLabel && r.keepsUp() {
				text = fmt.Sprintf("%s (%s..%s)", thousands(s.Median), thousands(s.Min), thousands(s.Max))
			}
			row = append(row, text)
		}
		note := ""
		if !r.keepsUp() {
			note = fmt.Sprintf("can't keep up: %.0f %% never sent", 100*r.Behind.Median)
		}
		rows = append(rows, append(row, note))
	}
	return markdownTable(withoutEmpty(rows))
}

// Unsteady tells that the figures are of the machine more than of the subjects.
func (c caseReport) Unsteady() bool {
	direct := findLatency(c.Latency, directLabel)
	return direct != nil && direct.P99.Median > maxDirect
}

// IdleTable is what connections that rest take.
func (c caseReport) IdleTable() string {
	rows := [][]string{{"subject", "connections", "MB after one request", "MB with all", "KB for each connection"}}
	for _, r := range c.Idle {
		rows = append(rows, []string{
			emphasised(r.Subject), thousands(float64(r.Conns)), fmt.Sprintf("%.1f", megabytes(r.Before)),
			fmt.Sprintf("%.1f", megabytes(r.After)), fmt.Sprintf("%.2f", r.PerConn/1024),
		})
	}
	return markdownTable(rows)
}

// Compared says whom a case compares with, in the list of cases.
func (c caseReport) Compared() string {
	if c.Reference == "" {
		return ""
	}
	return fmt.Sprintf(" Ratios to %s.", c.Reference)
}

// emphasised makes Yett easy to find.
func emphasised(label string) string {
	if nameOf(label) == "yett" {
		return "**" + label + "**"
	}
	return label
}

// withoutEmpty leaves out columns that have nothing but a heading.
func withoutEmpty(rows [][]string) [][]string {
	out := make([][]string, len(rows))
	for col := range rows[0] {
		empty := true
		for _, row := range rows[1:] {
			empty = empty && row[col] == ""
		}
		if empty {
			continue
		}
		for i, row := range rows {
			out[i] = append(out[i], row[col])
		}
	}
	return out
}

func gigabytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<30)) }

// markdownTable has its headings in the first row.
func markdownTable(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		cells := make([]string, len(row))
		for j, cell := range row {
			cells[j] = strings.ReplaceAll(cell, "|", `\|`)
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String()
}
