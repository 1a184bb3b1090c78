package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// idleBatch is how many of the connections are active at a time while they are
// opened.
const idleBatch = 64

// idleSpec says which connections to open, and the request to make on each.
type idleSpec struct {
	traffic
	Address netip.AddrPort `json:"address"`
	Want    answer         `json:"want"`
	Conns   int            `json:"conns"`
}

// idleReport says how the connections of the idle role fare.
type idleReport struct {
	Conns    int    `json:"conns"`
	Failures int64  `json:"failures"`
	Failure  string `json:"failure,omitempty"`
}

// holdIdle opens connections, makes one request on each and writes a report.
// It then holds them until release ends, and reports again: a connection that
// was closed in the meantime counts as a failure.
func holdIdle(spec idleSpec, release io.Reader, w io.Writer) error {
	l, err := newLoader(spec.Address, spec.traffic, spec.Want)
	if err != nil {
		return err
	}
	defer l.close()
	if err := l.openIdle(spec.Conns); err != nil {
		return err
	}
	reports := json.NewEncoder(w)
	if err := reports.Encode(l.idleReport()); err != nil {
		return fmt.Errorf("report open connections: %w", err)
	}
	if _, err := io.Copy(io.Discard, release); err != nil {
		return fmt.Errorf("wait for release: %w", err)
	}
	// Closed connections have been ready for long: this takes no time to see.
	if err := l.runUntil(time.Since(l.start) + 100*time.Millisecond); err != nil {
		return err
	}
	if err := reports.Encode(l.idleReport()); err != nil {
		return fmt.Errorf("report held connections: %w", err)
	}
	return nil
}

// openIdle opens n connections and makes one request on each.
func (l *loader) openIdle(n int) error {
	for len(l.conns) < n {
		batch := min(idleBatch, n-len(l.conns))
		if err := l.connect(batch); err != nil {
			return err
		}
		for _, c := range l.conns[len(l.conns)-batch:] {
			l.begin(c, 1)
		}
		if err := l.drain(); err != nil { // no second request follows
			return err
		}
	}
	return nil
}

func (l *loader) idleReport() idleReport {
	r := idleReport{Conns: l.open, Failures: l.failures}
	if l.failure != nil {
		r.Failure = l.failure.Error()
	}
	return r
}
