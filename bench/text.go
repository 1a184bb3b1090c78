package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// print writes the report for a terminal.
func (r *report) print(w io.Writer) error {
	for _, v := range r.Versions {
		fmt.Fprintln(w, v.Text)
	}
	if err := r.printCases(w); err != nil {
		return err
	}
	if err := r.printLatency(w); err != nil {
		return err
	}
	if err := r.printIdle(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, v := range r.targets() {
		fmt.Fprintln(w, v)
	}
	for _, text := range r.failures() {
		fmt.Fprintln(w, "FAILED", text)
	}
	return nil
}

// table aligns columns that tabs divide. Nothing is written without a row.
func table(w io.Writer, head string, rows []string) error {
	if len(rows) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\n"+head)
	for _, row := range rows {
		fmt.Fprintln(t, row)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func (r *report) printCases(w io.Writer) error {
	var rows []string
	for _, c := range r.Cases {
		for _, s := range c.Results {
			rows = append(rows, fmt.Sprintf("%s\t%s\t%.2f\t%.2f\t%.0f\t%.0f%%\t%.0f/%.0f/%.0f\t%.0f\t%s", c.Name, s.Subject,
				s.CPU.Median, s.User, s.Rate.Median, 100*s.Busy.Median, s.P50.Median, s.P99.Median, s.P999.Median,
				megabytes(s.Resident), s.compared(c.Reference)))
		}
	}
	return table(w, "case\tsubject\tCPU µs/req\tuser\treq/s\tbusy\tp50/p99/p99.9 µs\tMB\tratio\tspread\tto", rows)
}

// compared is the last columns: the ratio to the reference, and its range.
func (r caseResult) compared(reference string) string {
	ratio, ok := r.Against[reference]
	if !ok {
		return "-\t-\t-"
	}
	return fmt.Sprintf("%s\t%s..%s\t%s", figure(ratio.Median), figure(ratio.Min), figure(ratio.Max), reference)
}

func (r *report) printLatency(w io.Writer) error {
	var rows []string
	for _, c := range r.Cases {
		for _, s := range c.Latency {
			note := ""
			if !s.keepsUp() {
				note = fmt.Sprintf("can't keep up: %.0f%% never sent", 100*s.Behind.Median)
			}
			rows = append(rows, fmt.Sprintf("%s\t%s\t%.0f\t%.0f/%.0f/%.0f\t%.0f/%.0f/%.0f\t%s", c.Name, s.Subject, c.Rate,
				s.P50.Median, s.P99.Median, s.P999.Median, s.Added50.Median, s.Added99.Median, s.Added999.Median, note))
		}
	}
	return table(w, "case\tsubject\treq/s\tp50/p99/p99.9 µs\tadded\t", rows)
}

func (r *report) printIdle(w io.Writer) error {
	var rows []string
	for _, c := range r.Cases {
		for _, i := range c.Idle {
			rows = append(rows, fmt.Sprintf("%s\t%s\t%d\t%.1f\t%.1f\t%.2f", c.Name, i.Subject, i.Conns,
				megabytes(i.Before), megabytes(i.After), i.PerConn/1024))
		}
	}
	return table(w, "case\tsubject\tconnections\tMB before\tMB with them\tKB per connection", rows)
}

func megabytes(n int64) float64 { return float64(n) / (1 << 20) }
