package logread

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"time"
)

// Reader reads several logs as one.
type Reader struct {
	logs []*log
}

// Open opens the logs at these paths. One that isn't there yet holds nothing.
func Open(paths []string, f Filter) (*Reader, error) {
	r := &Reader{}
	for _, path := range paths {
		l, err := openLog(path, &f)
		if err != nil {
			r.Close()
			return nil, err
		}
		r.logs = append(r.logs, l)
	}
	return r, nil
}

// Close closes the files.
func (r *Reader) Close() {
	for _, l := range r.logs {
		l.close()
	}
}

// Broken returns which compressed files could not be read, or only in part, since the last call. All
// others were read.
func (r *Reader) Broken() error {
	var errs []error
	for _, l := range r.logs {
		errs = append(errs, l.broken...)
		l.broken = nil
	}
	return errors.Join(errs...)
}

// Exists tells whether any of the logs is there.
func (r *Reader) Exists() bool {
	return slices.ContainsFunc(r.logs, (*log).exists)
}

// Last calls do with the last n lines that are wanted, in order of time.
func (r *Reader) Last(n int, do func(line []byte) error) error {
	var found []entry
	for _, l := range r.logs {
		lines, err := l.last(n)
		if err != nil {
			return err
		}
		found = append(found, lines...)
	}
	slices.SortStableFunc(found, byTime)
	return give(found[max(0, len(found)-n):], do)
}

func byTime(a, b entry) int { return a.at.Compare(b.at) }

func give(lines []entry, do func([]byte) error) error {
	for _, e := range lines {
		if err := do(e.line); err != nil {
			return err
		}
	}
	return nil
}

// All calls do with all lines that are wanted. Those of one log are in the order in which they were
// written, those of several in order of time.
func (r *Reader) All(do func(line []byte) error) error {
	var heads []*head
	for _, l := range r.logs {
		h := &head{}
		var stop func()
		h.next, stop = iter.Pull(func(yield func(entry) bool) { h.err = l.all(yield) })
		defer stop()
		if h.step(); h.ok {
			heads = append(heads, h)
		} else if h.err != nil {
			return h.err
		}
	}
	for len(heads) > 0 {
		i := 0
		for j, h := range heads {
			if h.at.Before(heads[i].at) {
				i = j
			}
		}
		h := heads[i]
		if err := do(h.line); err != nil {
			return err
		}
		if h.step(); !h.ok {
			if h.err != nil {
				return h.err
			}
			heads = slices.Delete(heads, i, i+1)
		}
	}
	return nil
}

// head is the next line of a log.
type head struct {
	entry
	ok   bool
	err  error
	next func() (entry, bool)
}

func (h *head) step() { h.entry, h.ok = h.next() }

// Follow calls do with lines that come, after those that Last or All have read, until ctx ends. It looks
// that often.
func (r *Reader) Follow(ctx context.Context, every time.Duration, do func(line []byte) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		var found []entry
		for _, l := range r.logs {
			if err := l.poll(func(e entry) bool {
				found = append(found, entry{e.at, bytes.Clone(e.line)})
				return true
			}); err != nil {
				return err
			}
		}
		slices.SortStableFunc(found, byTime)
		if err := give(found, do); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
