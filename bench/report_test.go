package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func rounds(cpuMicros ...int) []window {
	var out []window
	for _, cpu := range cpuMicros {
		out = append(out, window{
			Requests: 1000,
			Elapsed:  100 * time.Millisecond,
			CPU:      time.Duration(cpu) * time.Millisecond, // for 1000 requests
			User:     10 * time.Millisecond,
			System:   30 * time.Millisecond,
			P50:      time.Millisecond,
			P99:      2 * time.Millisecond,
			P999:     3 * time.Millisecond,
		})
	}
	return out
}

// paced is rounds at a rate, with that 99th percentile.
func paced(p99 ...int) []window {
	var out []window
	for _, us := range p99 {
		d := time.Duration(us) * time.Microsecond
		out = append(out, window{Requests: 900, P50: d / 2, P99: d, P999: 2 * d})
	}
	return out
}

// sampleReport has one of everything.
func sampleReport() *report {
	o := options{subjects: []string{"yett", "nginx", "haproxy", "caddy"}, count: true}
	c := benchCase{
		Name: "plain", About: "GET, 200 bytes",
		Targets: []target{{"yett", "nginx", 1}, {"yett", "haproxy", 0.5}, {"yett", "caddy", 1}, {"yett", "express", 1}, {"haproxy", "nginx", 0.9}},
	}
	results := summarise([]string{"yett", "nginx", "haproxy"}, [][]window{rounds(18, 27, 18), rounds(20, 30, 24), rounds(20, 30, 20)})
	results[0].Resident, results[0].Allocs, results[0].Syscalls = 30<<20, &spread{0.01, 0, 0.02}, &spread{4.5, 4.4, 4.6}
	plain := newCaseReport(c)
	plain.Results, plain.Reference = results, referenceOf(c, results)
	plain.Targets = append(judge(c, results, o.subjects), judgeCounts(c.Name, results, o)...)
	plain.Failures = []failure{{"caddy", "start caddy: no right answer"}}

	chain := newCaseReport(benchCase{Name: "chain", About: "everything"})
	chain.Results, chain.Reference = summarise([]string{"yett", "nginx (plain)", "express"}, [][]window{rounds(25), rounds(24), rounds(2100)}), "nginx (plain)"

	late := newCaseReport(benchCase{Name: caseLatency, About: "plain, at half of it"})
	late.Rate = 12000
	slow := paced(900, 900)
	slow[0].Behind, slow[1].Behind = 300, 300
	late.Latency = summariseLatency([]string{"yett", "nginx", "caddy", directLabel}, [][]window{paced(100, 140), paced(90, 120), slow, paced(40, 60)})
	late.Targets = judgeLatency(late.Name, late.Latency, o.subjects)

	idle := newCaseReport(benchCase{Name: caseIdle})
	idle.Idle = []idleResult{{Subject: "yett", Conns: 10000, Before: 10 << 20, After: 41 << 20, PerConn: 3072}}
	idle.Targets = judgeIdle(idle.Idle, o.subjects)
	return &report{
		Machine: machine{
			CPU: "Abacus 3000", Cores: 2, Memory: 8 << 30, Virtual: true,
			System: "Example Linux", Kernel: "6.1 x86_64", Go: "go1.99",
		},
		Began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Rounds: 24, Duration: 300 * time.Millisecond,
		Versions: []version{{"yett", "yett 1"}, {"nginx", "nginx version: nginx/1"}},
		Failures: []failure{{"express", "not installed, so it takes part in no case"}},
		Cases:    []caseReport{*plain, *chain, *late, *idle},
	}
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	if err := sampleReport().print(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", []byte(b.String()))
}

// All that is published is made of saved results.
func TestPublish(t *testing.T) {
	dir := t.TempDir()
	results, page := filepath.Join(dir, "results.ndjson"), filepath.Join(dir, "BENCHMARKS.md")
	if err := sampleReport().save(results); err != nil {
		t.Fatal(err)
	}
	golden(t, "results.ndjson", read(t, results))
	old := filepath.Join(dir, "images", "bench-gone.svg")
	if err := os.MkdirAll(filepath.Dir(old), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := mainWith([]string{"-from", filepath.Join("testdata", "results.ndjson"), "-report", page}); err != nil {
		t.Fatal(err)
	}
	golden(t, "BENCHMARKS.md", read(t, page))
	pictures, err := filepath.Glob(filepath.Join(dir, "images", "*"))
	if err != nil || len(pictures) != 4 {
		t.Errorf("pictures are %v, %v, want 4", pictures, err)
	}
	for _, picture := range pictures {
		golden(t, filepath.Join("images", filepath.Base(picture)), read(t, picture))
	}
	if _, err := os.Stat(filepath.Join(dir, "benchmarks.ndjson")); err == nil {
		t.Error("results were written, though nothing was measured")
	}
}

var update = flag.Bool("update", false, "rewrite the expected files in testdata")

// golden compares with a file, which -update rewrites.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, file); !bytes.Equal(got, want) {
		t.Errorf("%s is not what is made now; run go test -update and look at the difference. Now:\n%s", file, got)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestMet(t *testing.T) {
	good := verdict{Name: "plain: yett/nginx", Met: true}
	r := &report{Cases: []caseReport{{Name: "plain", Targets: []verdict{good}}}}
	if !r.met() {
		t.Error("the only target is met, the report says not")
	}
	r.Cases[0].Failures = []failure{{Reason: "it broke"}}
	if r.met() {
		t.Error("a case failed, the report says that all is well")
	}
	r.Cases[0].Failures, r.Cases[0].Targets = nil, append(r.Cases[0].Targets, verdict{Name: "plain: yett/haproxy"})
	if r.met() {
		t.Error("a target is not met, the report says that all is well")
	}
}

// What the load generator can't send any more is not met, however fast the rest was.
func TestLatencyNeedsKeepingUp(t *testing.T) {
	yett := paced(10)
	yett[0].Behind = 1
	results := summariseLatency([]string{"yett", "nginx", directLabel}, [][]window{yett, paced(90), paced(5)})
	if v := judgeLatency("latency", results, []string{"yett", "nginx"}); len(v) != 1 || v[0].Met {
		t.Errorf("verdict %v", v)
	}
}

func TestNotes(t *testing.T) {
	got := notes("Intro.\n\n## plain: yett/nginx\nBecause.\n\nIndeed.\n\n## idle: yett\n")
	if len(got) != 2 || got["plain: yett/nginx"] != "Because.\n\nIndeed." || got["idle: yett"] != "" {
		t.Errorf("notes are %q", got)
	}
}

// A note under a name that no target has would never be shown.
func TestNotesNameTargets(t *testing.T) {
	known := make(map[string]bool)
	note := func(verdicts []verdict) {
		for _, v := range verdicts {
			known[v.Name] = true
		}
	}
	all := options{subjects: kindNames(), count: true}
	for _, c := range cases() {
		note(judge(c, nil, all.subjects))
		note(judgeCounts(c.Name, nil, all))
	}
	note(judgeLatency(caseLatency, nil, all.subjects))
	note(judgeIdle(nil, all.subjects))
	for name := range notes(notesText) {
		if !known[name] {
			t.Errorf("no target is named %q", name)
		}
	}
}

// A count target of nobody would never be measured.
func TestCountTargetsTakePart(t *testing.T) {
	part := make(map[string]bool)
	everyone(func(c benchCase, e entrant) { part[c.Name+" "+e.label] = true })
	for _, target := range countTargets() {
		if !part[target.c+" "+target.subject] {
			t.Errorf("%s: nobody is %q", target.c, target.subject)
		}
	}
}

func TestCasesHaveAGroup(t *testing.T) {
	for _, c := range cases() {
		if groupOf(c) == "more" {
			t.Errorf("%s is in no part of the report", c.Name)
		}
	}
}

func TestReferenceOf(t *testing.T) {
	tests := []struct {
		labels []string
		want   string
	}{
		{[]string{"yett", "yett (none)", "nginx"}, "nginx"},
		{[]string{"yett", "nginx (plain)"}, "nginx (plain)"},
		{[]string{"yett", "yett (none)"}, "yett (none)"},
		{[]string{"yett"}, ""},
	}
	c := benchCase{Targets: []target{{"yett", "yett (none)", 1}}}
	for _, test := range tests {
		var results []caseResult
		for _, label := range test.labels {
			results = append(results, caseResult{Subject: label})
		}
		if got := referenceOf(c, results); got != test.want {
			t.Errorf("reference of %v is %q, want %q", test.labels, got, test.want)
		}
	}
}

func TestFigures(t *testing.T) {
	for v, want := range map[float64]string{1.006: "1.01", 0.0125: "0.0125", 0.05: "0.05", 0: "0.00", -3: "-3.00"} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{7: "7", 1000: "1,000", 1234567: "1,234,567", -100: "-100", -1000: "-1,000"} {
		if got := thousands(v); got != want {
			t.Errorf("thousands(%v) = %q, want %q", v, got, want)
		}
	}
}

// One bar that is far longer than the others is cut, so that these stay visible.
func TestLongestBar(t *testing.T) {
	bars := func(values ...float64) (b block) {
		for _, v := range values {
			b.Bars = append(b.Bars, bar{Value: v})
		}
		return b
	}
	tests := []struct {
		block block
		want  float64
	}{
		{bars(), 0},
		{bars(10, 12, 40), 40},
		{bars(10, 12, 14, 1000), 65},
	}
	for _, test := range tests {
		if got := test.block.longest(); got != test.want {
			t.Errorf("longest of %v is %v, want %v", test.block, got, test.want)
		}
	}
}

func TestParseOptions(t *testing.T) {
	tests := []struct {
		args string
		bad  bool
	}{
		{args: ""},
		{args: "-case plain,idle -subjects nginx,nginx -rounds 1 -duration 1s"},
		{args: "-case unknown", bad: true},
		{args: "-rounds 0", bad: true},
		{args: "-duration 0s", bad: true},
		{args: "-conns 0", bad: true},
		{args: "extra", bad: true},
	}
	for _, test := range tests {
		if _, err := parseOptions(strings.Fields(test.args), io.Discard); (err != nil) != test.bad {
			t.Errorf("parseOptions(%q): error %v", test.args, err)
		}
	}
	o, err := parseOptions([]string{"-case", "plain,idle"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := wanted(o); !slices.Equal(got, []string{"plain", "idle"}) {
		t.Errorf("-case plain,idle wants %v", got)
	}
}

// wanted names the cases that the options ask for.
func wanted(o options) []string {
	b := &bench{options: o}
	var names []string
	for _, w := range b.works() {
		names = append(names, w.Name)
	}
	return names
}

func TestQuickAndFull(t *testing.T) {
	quick, err := parseOptions(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if quick.count || quick.json != "" {
		t.Error("the quick run counts, or saves")
	}
	var want []string
	for _, c := range allCases() {
		if c.Quick {
			want = append(want, c.Name)
		}
	}
	if got := wanted(quick); !slices.Equal(got, want) {
		t.Errorf("the quick run has %v, want %v", got, want)
	}
	full, err := parseOptions(strings.Fields("-full -report docs/BENCHMARKS.md"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := wanted(full); !slices.Equal(got, caseNames()) {
		t.Errorf("the full run has %v, want all of %v", got, caseNames())
	}
	if !full.count || full.json != "docs/benchmarks.ndjson" || len(full.subjects) != len(kinds()) || full.rounds <= quick.rounds {
		t.Errorf("the full run counts: %t, saves to %q, measures %v in %d rounds", full.count, full.json, full.subjects, full.rounds)
	}
	some, err := parseOptions(strings.Fields("-full -case plain -subjects yett"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := wanted(some); !slices.Equal(got, []string{"plain"}) || !slices.Equal(some.subjects, []string{"yett"}) {
		t.Errorf("-full does not leave the choice: %v of %v", got, some.subjects)
	}
}

func TestFindSubjectsLabels(t *testing.T) {
	self := "/proc/self/exe" // any executable: it is not run
	o := options{subjects: []string{"yett", "yett"}, yett: []string{self}}
	found, err := findSubjects(context.Background(), o, t.TempDir(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found[0].label != "yett" || found[1].label != "yett#2" || found[1].name != "yett" {
		t.Errorf("found %+v", found)
	}
	o.subjects = []string{"apache"}
	if _, err := findSubjects(context.Background(), o, t.TempDir(), io.Discard); err == nil {
		t.Error("unknown subject: no error")
	}
}
