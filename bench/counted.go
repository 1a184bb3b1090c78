package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// countRounds are enough: counts hardly differ from round to round.
const countRounds = 4

//go:embed overlay/allocs.go.txt
var allocsSource string

// buildWith builds Yett once more, with a file beside its source. The program that is
// measured has nothing of it.
func buildWith(ctx context.Context, dir, name, text string, flags ...string) (string, error) {
	where, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "yett/cmd/yett").Output()
	if err != nil {
		return "", fmt.Errorf("find the source of yett: %w", err)
	}
	source := filepath.Join(dir, name+".go")
	added := filepath.Join(strings.TrimSpace(string(where)), "bench_"+name+".go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {added: source}})
	if err != nil {
		return "", fmt.Errorf("encode overlay: %w", err)
	}
	overlayFile, program := filepath.Join(dir, name+".json"), filepath.Join(dir, "yett-"+name)
	for file, data := range map[string][]byte{source: []byte(text), overlayFile: overlay} {
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return "", fmt.Errorf("prepare yett with %s: %w", name, err)
		}
	}
	if out, err := buildYett(ctx, program, append(flags, "-overlay", overlayFile)...); err != nil {
		return "", fmt.Errorf("build yett with %s: %w\n%s", name, err, out)
	}
	return program, nil
}

// prepareCounting makes Yett tell its allocations, if counts are asked for. A
// given executable can't: who knows what source it is of.
func (b *bench) prepareCounting(ctx context.Context) {
	if !b.options.count || len(b.options.yett) > 0 || !slices.Contains(b.options.subjects, "yett") {
		return
	}
	path, err := buildWith(ctx, b.dir, "allocs", allocsSource)
	if err != nil {
		b.fail("yett", fmt.Errorf("count allocations: %w", err))
		return
	}
	b.counting = path
}

// count adds to results what one request takes in system calls and allocations.
// It has rounds of its own, behind the measured ones, because counting costs time,
// and each subject by itself: what it does by the clock while others have their
// turn would count as its requests'.
func (b *bench) count(ctx context.Context, c benchCase, f *field, results []caseResult) {
	for i, e := range f.entrants {
		if err := b.countOne(ctx, c, e, &results[i]); err != nil {
			b.fail(e.label, fmt.Errorf("count: %w", err))
		}
	}
}

func (b *bench) countOne(ctx context.Context, c benchCase, e entrant, result *caseResult) error {
	tells := e.name == "yett" && b.counting != ""
	if tells {
		e.path = b.counting
	}
	e.label += " counted" // has a folder of its own
	r, err := b.start(ctx, e, c, c.conns())
	if err != nil {
		return err
	}
	defer r.stop()
	spec := b.load(c, []*running{r})
	spec.Rounds, spec.Count = countRounds, true
	if tells {
		spec.Subjects[0].Allocs = allocsAddress(r.cmd.Process.Pid)
	}
	found, err := measure(ctx, b.places.load, spec)
	if err != nil {
		return err
	}
	if text := found.Failures[0]; text != "" {
		return errors.New(text)
	}
	result.counted(found.Windows[0], tells)
	return nil
}

func (r *caseResult) counted(windows []window, allocs bool) {
	per := func(of func(window) int64) *spread {
		s := spreadOf(column(windows, func(w window) float64 { return float64(of(w)) / float64(w.Requests) }))
		return &s
	}
	if calls := per(func(w window) int64 { return w.Syscalls }); calls.Max > 0 {
		r.Syscalls = calls
	}
	if allocs {
		r.Allocs = per(func(w window) int64 { return w.Allocs })
	}
}
