package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is a line of go test -json, as `go doc test2json` and `go help
// buildjson` describe it.
type event struct {
	Action     string
	Package    string
	Test       string
	ImportPath string // of build events, in the place of Package
	Output     string
	Elapsed    float64 // seconds
}

// report collects what tests tell.
type report struct {
	w        io.Writer
	packages map[string]*packageReport
	builds   map[string]*strings.Builder // what the compiler wrote, by import path

	passed, failed, skipped int
}

// packageReport is what is known of a package that runs.
type packageReport struct {
	output   map[string]*strings.Builder // by test that has not ended, "" for the package itself
	failures []string                    // what failing tests wrote
	failed   int
}

func newReport(w io.Writer) *report {
	return &report{w: w, packages: make(map[string]*packageReport), builds: make(map[string]*strings.Builder)}
}

// read takes the events of one go test.
func (r *report) read(events io.Reader) error {
	in := json.NewDecoder(events)
	for {
		var e event
		switch err := in.Decode(&e); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			_, _ = io.Copy(io.Discard, events) // so that go test can end
			return fmt.Errorf("reading what go test tells: %w", err)
		}
		r.take(e)
	}
}

func (r *report) take(e event) {
	switch {
	case e.Action == "build-output":
		collect(r.builds, e.ImportPath, e.Output)
	case e.Action == "build-fail":
		fmt.Fprint(r.w, text(r.builds, e.ImportPath))
	case e.Action == "output":
		collect(r.of(e.Package).output, e.Test, e.Output)
	case e.Test != "":
		r.endTest(e)
	case e.Action == "pass", e.Action == "fail", e.Action == "skip":
		r.endPackage(e)
	}
}

func (r *report) of(name string) *packageReport {
	if r.packages[name] == nil {
		r.packages[name] = &packageReport{output: make(map[string]*strings.Builder)}
	}
	return r.packages[name]
}

func collect(outputs map[string]*strings.Builder, key, s string) {
	if outputs[key] == nil {
		outputs[key] = new(strings.Builder)
	}
	outputs[key].WriteString(s)
}

func text(outputs map[string]*strings.Builder, key string) string {
	if outputs[key] == nil {
		return ""
	}
	return outputs[key].String()
}

func (r *report) endTest(e event) {
	p := r.of(e.Package)
	switch e.Action {
	case "pass":
		r.passed++
	case "skip":
		r.skipped++
		fmt.Fprintf(r.w, "skip  %s %s: %s\n", e.Package, e.Test, skipReason(text(p.output, e.Test)))
	case "fail":
		r.failed++
		p.failed++
		p.failures = append(p.failures, text(p.output, e.Test))
	default: // run, pause, cont: it has not ended
		return
	}
	delete(p.output, e.Test)
}

// skipReason is the words of t.Skip among what a test wrote.
func skipReason(output string) string {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if _, reason, ok := strings.Cut(line, ": "); ok && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			return reason
		}
	}
	return "no reason given"
}

func (r *report) endPackage(e event) {
	p := r.of(e.Package)
	delete(r.packages, e.Package)
	if e.Action == "skip" { // it has no tests
		return
	}
	word := "ok  "
	if e.Action == "fail" {
		word = "FAIL"
		r.showFailures(p)
	}
	fmt.Fprintf(r.w, "%s  %s  %.1fs\n", word, e.Package, e.Elapsed)
}

// showFailures prints what failing tests wrote, and tests that never ended,
// and the package itself: there is where a panic stands.
func (r *report) showFailures(p *packageReport) {
	for _, name := range slices.Sorted(maps.Keys(p.output)) {
		p.failures = append(p.failures, text(p.output, name))
	}
	for _, output := range p.failures {
		fmt.Fprint(r.w, output)
	}
	if p.failed == 0 { // it did not build, or fell over outside of a test
		r.failed++
	}
}

// brokenRun counts a go test that failed as a whole.
func (r *report) brokenRun() { r.failed++ }

// end prints the last line.
func (r *report) end() {
	fmt.Fprintf(r.w, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
}
