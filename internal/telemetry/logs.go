package telemetry

import "errors"

// Logs is an access log, and beside it one for errors alone. Either may be nil.
type Logs struct{ All, Errors *AccessLog }

// Log takes a Record, as AccessLog does.
func (l *Logs) Log(r Record) {
	if l.All != nil {
		l.All.Log(&r)
	}
	if l.Errors != nil && r.Failed {
		l.Errors.Log(&r)
	}
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
