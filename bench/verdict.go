package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// verdict is one target and what became of it.
type verdict struct {
	Name   string  `json:"name"`            // "plain: yett/nginx"
	Value  *spread `json:"value,omitempty"` // nil when it was not measured
	AtMost float64 `json:"at_most"`
	Unit   string  `json:"unit,omitempty"`
	Met    bool    `json:"met"`
}

// judge compares the results of one case with the case's targets. Those that
// speak of programs that nobody asked for are left out.
func judge(c benchCase, results []caseResult, asked []string) []verdict {
	var out []verdict
	for _, t := range c.Targets {
		if !slices.Contains(asked, nameOf(t.Subject)) || !slices.Contains(asked, nameOf(t.Against)) {
			continue
		}
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

// countTarget is the most that a request may take of something that is counted.
type countTarget struct {
	c, subject string
	what       string
	of         func(caseResult) *spread
	atMost     float64
}

// countTargets are what requests may take. Some objects are allocated by the
// clock, or when the collector has emptied a pool, so that none is a bit more than 0.
func countTargets() []countTarget {
	calls := func(r caseResult) *spread { return r.Syscalls }
	objects := func(r caseResult) *spread { return r.Allocs }
	return []countTarget{
		{"plain", "yett", "system calls", calls, 4.2},
		{"plain", "yett", "allocations", objects, 0.05},
		{"plain-logged", "yett", "allocations", objects, 0.05},
		{"post-64k", "yett", "allocations", objects, 0.05},
		{"chain", "yett", "allocations", objects, 0.05},
		{"limits", "yett", "allocations", objects, 0.05},
		{"limits", "yett (redis exact)", "allocations", objects, 2},
		{"limits", "yett (redis leased)", "allocations", objects, 2},
	}
}

// judgeCounts is judge for what is counted, when it was to be.
func judgeCounts(name string, results []caseResult, o options) []verdict {
	var out []verdict
	for _, t := range countTargets() {
		if !o.count || t.c != name || !slices.Contains(o.subjects, nameOf(t.subject)) {
			continue
		}
		v := verdict{Name: fmt.Sprintf("%s: %s of %s", name, t.what, t.subject), AtMost: t.atMost, Unit: " per request"}
		for _, r := range results {
			if value := t.of(r); r.Subject == t.subject && value != nil {
				v.Value, v.Met = value, value.Median <= t.atMost
			}
		}
		out = append(out, v)
	}
	return out
}

const (
	// idleConns is what the bound of the idle case is for.
	idleConns = 10_000
	// idleTotal is the most memory that Yett may have with so many connections.
	idleTotal = 40 << 20
)

func judgeIdle(results []idleResult, asked []string) []verdict {
	if !slices.Contains(asked, "yett") {
		return nil
	}
	each := verdict{Name: "idle: yett, each connection", AtMost: idleTarget / 1024, Unit: " KB"}
	total := verdict{Name: "idle: yett, with 10,000 connections", AtMost: idleTotal >> 20, Unit: " MB"}
	for _, r := range results {
		if r.Subject != "yett" {
			continue
		}
		each.hold(r.PerConn / 1024)
		if r.Conns == idleConns {
			total.hold(float64(r.After) / (1 << 20))
		}
	}
	return []verdict{each, total}
}

// hold judges a value that was measured once.
func (v *verdict) hold(value float64) {
	v.Value, v.Met = &spread{value, value, value}, value <= v.AtMost
}

// String is the verdict's line of the report.
func (v verdict) String() string {
	goal := fmt.Sprintf("(target <= %s%s)", figure(v.AtMost), v.Unit)
	if v.Value == nil {
		return fmt.Sprintf("%s not measured %s", v.Name, goal)
	}
	if !v.Met {
		goal += " NOT"
	}
	return fmt.Sprintf("%s %s %s met", v.Name, v.measured(" [", "]"), goal)
}

// measured is the value, and its range between brackets if it has one.
func (v verdict) measured(open, closing string) string {
	text := figure(v.Value.Median)
	if v.Value.Min < v.Value.Max {
		text += fmt.Sprintf("%s%s..%s%s", open, figure(v.Value.Min), figure(v.Value.Max), closing)
	}
	return text
}

// figure writes a number with two decimals, or with more where it is small and two
// say little: 0.0125.
func figure(v float64) string {
	text := strconv.FormatFloat(v, 'f', 2, 64)
	if v > 0 && v < 0.1 {
		text = strings.TrimRight(strconv.FormatFloat(v, 'f', 4, 64), "0")
	}
	return text
}
