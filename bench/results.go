package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// beginReport describes the run. With -onto it continues an older report, from
// the same machine.
func beginReport(o options, now time.Time) (*report, error) {
	m, err := thisMachine()
	if err != nil {
		return nil, err
	}
	r := &report{Machine: m, Began: now.UTC().Truncate(time.Second), Rounds: o.rounds, Duration: o.duration, Nice: o.nice}
	if o.onto == "" {
		return r, nil
	}
	old, err := readReport(o.onto)
	if err != nil {
		return nil, err
	}
	if old.Machine != m {
		return nil, fmt.Errorf("%s is from another machine: %+v; this one is %+v", o.onto, old.Machine, m)
	}
	r.Versions, r.Cases = old.Versions, old.Cases
	return r, nil
}

// save writes all results to a file: a line of JSON about the run, and one for
// each case. The file is always a whole one. Nothing is done without a name.
func (r *report) save(name string) error {
	if name == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("save results: %w", err)
	}
	draft := name + ".part"
	f, err := os.Create(draft)
	if err != nil {
		return fmt.Errorf("save results: %w", err)
	}
	if err := errors.Join(r.encode(f), f.Close()); err != nil {
		return fmt.Errorf("save results: %w", err)
	}
	if err := os.Rename(draft, name); err != nil {
		return fmt.Errorf("save results: %w", err)
	}
	return nil
}

func (r *report) encode(w io.Writer) error {
	head := *r
	head.Cases = nil
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	if err := lines.Encode(head); err != nil {
		return err
	}
	for _, c := range r.Cases {
		if err := lines.Encode(c); err != nil {
			return err
		}
	}
	return nil
}

// readReport reads what save has written.
func readReport(name string) (*report, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	defer f.Close()
	lines := json.NewDecoder(f)
	var r report
	if err := lines.Decode(&r); err != nil {
		return nil, fmt.Errorf("read results of %s: %w", name, err)
	}
	for {
		var c caseReport
		err := lines.Decode(&c)
		if errors.Is(err, io.EOF) {
			return &r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read results of %s: %w", name, err)
		}
		r.Cases = append(r.Cases, c)
	}
}
