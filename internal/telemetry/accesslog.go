package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	// batch is how many bytes wait before they are written, however young. Each
	// write costs more than its bytes: it leaves a thread in the kernel, and the
	// runtime looks after it every 20 µs for a while. A smaller batch was
	// measurably dearer.
	batch = 256 << 10
	// maxWaiting bounds the bytes that wait while the output is busy with
	// others. As many may be on their way to the output: about 4 MB together.
	maxWaiting = 2 << 20
	// keepBuffer is the largest buffer that is kept for the next batch.
	keepBuffer = 2 * batch
	// closeWait is how long Close waits for an output that is stuck.
	closeWait = 2 * time.Second
)

// Opener opens the place that lines go to. AccessLog calls it at the start
// and for Reopen, and closes what it returns.
type Opener func() (io.WriteCloser, error)

// ToFile opens a file for appending, and makes it when it isn't there: its
// owner may read and write it, its group may read it.
func ToFile(path string) Opener {
	return func() (io.WriteCloser, error) {
		return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	}
}

// ToStream writes to w, which stays open: stdout and stderr belong to others
// too.
func ToStream(w io.Writer) Opener {
	return func() (io.WriteCloser, error) { return keepOpen{w}, nil }
}

type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }

// Options says how an AccessLog writes.
type Options struct {
	// Query says what lines show of a query.
	Query Query
	// Flush is the longest time that a line waits for others; 0 has each line
	// written at once.
	Flush time.Duration
	// OnError is told when writing fails, from another goroutine: once for the
	// first write that fails, and again only after one that succeeded. May be
	// nil.
	OnError func(error)
}

// AccessLog writes one line of JSON for each Record. Lines are gathered in
// memory and written by a goroutine of its own, so that no request waits for
// the output: when 2 MB wait because the output is stuck, further lines are
// dropped, counted, and the count is written as a line where they are missing.
type AccessLog struct {
	flush   time.Duration
	onError func(error)
	open    Opener

	mu      sync.Mutex // guards the fields below, never held while writing
	encoder encoder
	buf     []byte // lines that wait
	spare   []byte // an empty buffer for the next batch, or nil
	lost    uint64 // lines dropped since the last batch was taken
	lostAt  time.Time
	dropped uint64
	closed  bool
	timer   *time.Timer // runs only while something waits: an idle gateway sleeps

	wake    chan struct{} // holds one: there is a batch
	closing chan struct{}
	done    chan struct{} // the goroutine has ended

	outMu   sync.Mutex // guards the fields below, held while writing
	out     io.WriteCloser
	failing bool
	torn    bool // the last write ended within a line
}

// NewAccessLog opens the output and starts the goroutine that writes. Close
// ends it.
func NewAccessLog(open Opener, o Options) (*AccessLog, error) {
	out, err := open()
	if err != nil {
		return nil, fmt.Errorf("open access log: %w", err)
	}
	l := &AccessLog{
		flush:   o.Flush,
		onError: o.OnError,
		open:    open,
		encoder: encoder{query: o.Query},
		buf:     make([]byte, 0, batch+batch/8),
		spare:   make([]byte, 0, batch+batch/8),
		timer:   time.NewTimer(time.Hour),
		wake:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
		out:     out,
	}
	l.timer.Stop()
	go l.write()
	return l, nil
}

// Log takes a Record. It copies what it needs before it returns, and never
// waits for the output.
func (l *AccessLog) Log(r *Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full(r.Time) {
		return
	}
	before := len(l.buf)
	l.buf = l.encoder.append(l.buf, r)
	l.added(before)
}

// Write takes a line that is one already, newline included, on the same terms
// as Log. It never fails.
func (l *AccessLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full(time.Now()) {
		return len(line), nil
	}
	before := len(l.buf)
	l.buf = append(l.buf, line...)
	l.added(before)
	return len(line), nil
}

// full tells that there is no room for a line, and counts it as lost.
func (l *AccessLog) full(at time.Time) bool {
	if !l.closed && len(l.buf) < maxWaiting {
		return false
	}
	l.lost++
	l.lostAt = at
	l.dropped++
	return true
}

// added sees to it that a new line gets written. before is how many bytes were
// waiting without it.
func (l *AccessLog) added(before int) {
	switch {
	case l.flush == 0 || before < batch && len(l.buf) >= batch:
		l.wakeWriter()
	case before == 0:
		l.timer.Reset(l.flush)
	}
}

// wakeWriter has the goroutine look for a batch now.
func (l *AccessLog) wakeWriter() {
	select {
	case l.wake <- struct{}{}:
	default: // it is going to look anyway
	}
}

// Dropped returns how many lines never reached the output, because it was
// stuck, failed, or closed.
func (l *AccessLog) Dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Reopen opens the output again, for a file that was rotated away. When that
// fails, the old output stays. It waits for a write that is under way.
func (l *AccessLog) Reopen() error {
	out, err := l.open()
	if err != nil {
		return fmt.Errorf("reopen access log: %w", err)
	}
	l.outMu.Lock()
	old := l.out
	l.out, l.torn = out, false
	l.outMu.Unlock()
	if err := old.Close(); err != nil {
		return fmt.Errorf("close the old access log: %w", err)
	}
	return nil
}

// Close writes what waits and closes the output. When the output is stuck, it
// gives up after closeWait. Records that come later are dropped. A second
// Close only waits for the first.
func (l *AccessLog) Close() error {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	if first {
		close(l.closing)
	}
	select {
	case <-l.done:
	case <-time.After(closeWait):
		return fmt.Errorf("close access log: the output takes nothing for %v", closeWait)
	}
	if !first {
		return nil
	}
	l.outMu.Lock()
	defer l.outMu.Unlock()
	if err := l.out.Close(); err != nil {
		return fmt.Errorf("close access log: %w", err)
	}
	return nil
}

// write is the goroutine. It takes what waits once for each signal: what
// comes while it is writing has armed the timer or left a signal of its own.
func (l *AccessLog) write() {
	defer close(l.done)
	for last := false; !last; {
		select {
		case <-l.timer.C:
		case <-l.wake:
		case <-l.closing:
			last = true
		}
		if lines := l.take(); len(lines) > 0 {
			l.send(lines)
			l.giveBack(lines)
		}
	}
}

// take hands out what waits and puts the spare buffer in its place.
func (l *AccessLog) take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer.Stop()
	lines := l.buf
	if l.lost > 0 { // they were dropped after all of these lines
		lines = l.encoder.appendLost(lines, l.lostAt, l.lost)
		l.lost = 0
	}
	if len(lines) > 0 {
		l.buf, l.spare = l.spare[:0], nil
	}
	return lines
}

// appendLost appends the line that stands for n lines that are missing.
func (e *encoder) appendLost(dst []byte, at time.Time, n uint64) []byte {
	dst = append(dst, `{"time":"`...)
	dst = e.clock.append(dst, at)
	dst = append(dst, `","level":"warn","msg":"access log lines dropped","dropped":`...)
	dst = strconv.AppendUint(dst, n, 10)
	return append(dst, "}\n"...)
}

// giveBack keeps a buffer for the next batch, unless it grew large.
func (l *AccessLog) giveBack(lines []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cap(lines) > keepBuffer {
		lines = make([]byte, 0, batch+batch/8)
	}
	l.spare = lines[:0]
}

// send writes lines to the output and accounts for a failure.
func (l *AccessLog) send(lines []byte) {
	l.outMu.Lock()
	if l.torn { // end the line that an earlier failure cut
		if _, err := l.out.Write([]byte{'\n'}); err == nil {
			l.torn = false
		}
	}
	n, err := l.out.Write(lines)
	if n > 0 {
		l.torn = lines[n-1] != '\n'
	}
	report := err != nil && !l.failing
	l.failing = err != nil
	l.outMu.Unlock()
	if err == nil {
		return
	}
	l.mu.Lock()
	l.dropped += uint64(bytes.Count(lines[n:], []byte{'\n'}))
	l.mu.Unlock()
	if report && l.onError != nil {
		l.onError(fmt.Errorf("write access log: %w", err))
	}
}
