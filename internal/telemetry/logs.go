package telemetry

import (
	"errors"
	"sync/atomic"
	"time"

	"yett/internal/exchange"
)

// Logs is an access log, and beside it one for errors alone. Either may be nil.
type Logs struct{ All, Errors *AccessLog }

// Log takes a Record, as AccessLog does.
func (l *Logs) Log(r *Record) {
	if l.All != nil {
		l.All.Log(r)
	}
	if l.Errors != nil && r.Failed {
		l.Errors.Log(r)
	}
}

// Over logs an exchange that is over.
func (l *Logs) Over(x *exchange.Exchange, took time.Duration) {
	var r Record
	r.Of(x, took)
	l.Log(&r)
}

// Dropped returns how many lines never reached an output.
func (l *Logs) Dropped() (n uint64) {
	for _, log := range []*AccessLog{l.All, l.Errors} {
		if log != nil {
			n += log.Dropped()
		}
	}
	return n
}

// Flush waits until what was taken before is written, as AccessLog does.
func (l *Logs) Flush() error { return l.each((*AccessLog).Flush) }

// Reopen opens the outputs again, as AccessLog does.
func (l *Logs) Reopen() error { return l.each((*AccessLog).Reopen) }

// Close writes what waits and closes the outputs.
func (l *Logs) Close() error { return l.each((*AccessLog).Close) }

func (l *Logs) each(do func(*AccessLog) error) error {
	var errs []error
	for _, log := range []*AccessLog{l.All, l.Errors} {
		if log != nil {
			errs = append(errs, do(log))
		}
	}
	return errors.Join(errs...)
}

// Slot is an AccessLog that another may replace at any time, without a lock for those who log. The
// zero Slot has none, and drops everything. It must not be copied.
type Slot struct{ log atomic.Pointer[AccessLog] }

// Swap puts another log, or nil, in the place of the one that it returns. Whoever closes that one
// afterwards loses nothing: lines that are late for it go to the new one.
func (s *Slot) Swap(l *AccessLog) *AccessLog { return s.log.Swap(l) }

// Log takes a Record, as AccessLog does.
func (s *Slot) Log(r *Record) {
	for l := s.log.Load(); l != nil; l = s.log.Load() {
		if l.accept(r) {
			return
		}
		if s.log.Load() == l { // closed for good
			l.drop()
			return
		}
	}
}

// Write takes a line, as AccessLog does.
func (s *Slot) Write(line []byte) (int, error) {
	for l := s.log.Load(); l != nil; l = s.log.Load() {
		if l.acceptLine(line) {
			break
		}
		if s.log.Load() == l { // closed for good
			l.drop()
			break
		}
	}
	return len(line), nil
}

// Current is Logs that others may replace, each in a Slot. The zero Current drops everything.
type Current struct{ all, errors Slot }

// Log takes a Record, as Logs does.
func (c *Current) Log(r *Record) {
	c.all.Log(r)
	if r.Failed {
		c.errors.Log(r)
	}
}

// Over logs an exchange that is over.
func (c *Current) Over(x *exchange.Exchange, took time.Duration) {
	var r Record
	r.Of(x, took)
	c.Log(&r)
}

// Swap puts other Logs in the place of those that it returns, which the caller closes.
func (c *Current) Swap(l Logs) Logs {
	return Logs{All: c.all.Swap(l.All), Errors: c.errors.Swap(l.Errors)}
}
