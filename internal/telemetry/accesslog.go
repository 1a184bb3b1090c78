package telemetry

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"yett/internal/jsontext"
	"yett/internal/telemetry/logfile"
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
	// closeWait is how long Close and Flush wait for an output that is stuck.
	closeWait = 2 * time.Second
	// retryEvery is how often an output that fails is tried again.
	retryEvery = time.Second
)

// Opener opens the place that lines go to. AccessLog calls it at the start
// and for Reopen, and closes what it returns.
type Opener func() (io.WriteCloser, error)

// ToFile appends to a file, beside other processes that do so, and moves it aside as o says.
func ToFile(path string, o logfile.Options) Opener {
	return func() (io.WriteCloser, error) { return logfile.Open(path, o) }
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
	// Name is what errors, and lines about lines that are missing, call it; "access log" when empty.
	Name string
	// Query says what lines show of a query.
	Query Query
	// Flush is the longest time that a line waits for others; 0 has each line
	// written at once.
	Flush time.Duration
	// Format appends a line as it is to be written; nil writes JSON. It is called by the goroutine
	// that writes.
	Format func(dst, line []byte) []byte
	// OnError is told when writing fails, from another goroutine: once for the
	// first write that fails, and again only after one that succeeded. May be
	// nil.
	OnError func(error)
	// OnRecover is told when writing succeeds again, and how many lines were dropped meanwhile.
	// May be nil.
	OnRecover func(dropped uint64)
}

// AccessLog writes one line of JSON for each Record, or lines that come as such. They are gathered in
// memory and written by a goroutine of its own, so that no request waits for
// the output: when 2 MB wait because the output is stuck, or fails, further lines are
// dropped, counted, and the count is written as a line where they are missing.
// What could not be written is tried again every second.
type AccessLog struct {
	name  string
	flush time.Duration

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
	flushes chan chan struct{}
	closing chan struct{}
	done    chan struct{} // the goroutine has ended

	outlet outlet

	// The rest is the goroutine's alone.
	format    func(dst, line []byte) []byte
	onError   func(error)
	onRecover func(uint64)
	batch     []byte // what the outlet has, as it was taken
	text      []byte // room for what is formatted
	failing   bool
	before    uint64 // dropped when it began to fail
}

// NewAccessLog opens the output and starts the goroutine that writes. Close
// ends it.
func NewAccessLog(open Opener, o Options) (*AccessLog, error) {
	name := cmp.Or(o.Name, "access log")
	out, err := open()
	if err != nil {
		return nil, fmt.Errorf("open the %s: %w", name, err)
	}
	l := &AccessLog{
		name:    name,
		flush:   o.Flush,
		encoder: encoder{query: o.Query},
		buf:     make([]byte, 0, batch+batch/8),
		spare:   make([]byte, 0, batch+batch/8),
		timer:   time.NewTimer(time.Hour),
		wake:    make(chan struct{}, 1),
		flushes: make(chan chan struct{}),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
		outlet:  outlet{open: open, out: out},
		format:  o.Format, onError: o.OnError, onRecover: o.OnRecover,
	}
	l.timer.Stop()
	go l.write()
	return l, nil
}

// Log takes a Record. It copies what it needs before it returns, and never
// waits for the output.
func (l *AccessLog) Log(r *Record) {
	if !l.accept(r) {
		l.drop()
	}
}

// Write takes a line that is one already, newline included, on the same terms
// as Log. It never fails.
func (l *AccessLog) Write(line []byte) (int, error) {
	if !l.acceptLine(line) {
		l.drop()
	}
	return len(line), nil
}

// accept is Log, but for a log that is closed: it returns false then, and counts nothing.
func (l *AccessLog) accept(r *Record) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.full(r.Time) {
		return !l.closed
	}
	before := len(l.buf)
	l.buf = l.encoder.append(l.buf, r)
	l.added(before)
	return true
}

// acceptLine is accept for a line.
func (l *AccessLog) acceptLine(line []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.full(time.Now()) {
		return !l.closed
	}
	before := len(l.buf)
	l.buf = append(l.buf, line...)
	l.added(before)
	return true
}

// drop counts a line that came after Close.
func (l *AccessLog) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped++
}

// full tells that there is no room for a line, and counts it as lost.
func (l *AccessLog) full(at time.Time) bool {
	if len(l.buf) < maxWaiting {
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

// Reopen opens the output again, for a file that was moved away: what comes from now on goes there.
// When that fails, the old output stays. It doesn't wait for a write that is under way.
func (l *AccessLog) Reopen() error {
	if err := l.outlet.reopen(); err != nil {
		return fmt.Errorf("reopen the %s: %w", l.name, err)
	}
	l.wakeWriter()
	return nil
}

// Flush waits until what was taken before is written, or can't be: the output fails, or takes nothing
// for closeWait.
func (l *AccessLog) Flush() error {
	late := time.NewTimer(closeWait)
	defer late.Stop()
	flushed := make(chan struct{})
	select {
	case l.flushes <- flushed:
	case <-l.done:
		return nil
	case <-late.C:
		return l.stuck("flush")
	}
	select {
	case <-flushed:
		return nil
	case <-late.C:
		return l.stuck("flush")
	}
}

func (l *AccessLog) stuck(doing string) error {
	return fmt.Errorf("%s the %s: the output takes nothing for %v", doing, l.name, closeWait)
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
	late := time.NewTimer(closeWait)
	defer late.Stop()
	select {
	case <-l.done:
	case <-late.C:
		return l.stuck("close")
	}
	if !first {
		return nil
	}
	if err := l.outlet.close(); err != nil {
		return fmt.Errorf("close the %s: %w", l.name, err)
	}
	return nil
}

// write is the goroutine. It takes what waits once for each signal: what
// comes while it is writing has armed the timer or left a signal of its own.
func (l *AccessLog) write() {
	defer close(l.done)
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	retry.Stop()
	for works, last := true, false; !last; {
		var flushed chan struct{}
		select {
		case <-l.timer.C:
		case <-l.wake:
		case <-retry.C:
			works = true // perhaps
		case flushed = <-l.flushes:
			works = true
		case <-l.closing:
			works, last = true, true
		}
		if works = l.turn() || works; works {
			if works = l.writeAll(); !works {
				retry.Reset(retryEvery)
			}
		}
		if flushed != nil {
			close(flushed)
		}
	}
	l.giveUp()
}

// turn goes over to a new output, and tells whether there is one.
func (l *AccessLog) turn() bool {
	turned, err := l.outlet.turn()
	if err != nil && l.onError != nil {
		l.onError(fmt.Errorf("close the old output of the %s: %w", l.name, err))
	}
	return turned
}

// writeAll writes what could not be written before, and what waits. It returns false when the output fails.
func (l *AccessLog) writeAll() bool {
	if len(l.batch) > 0 && !l.send() {
		return false
	}
	l.batch = l.take()
	if len(l.batch) == 0 {
		return true
	}
	l.outlet.put(l.formatted(l.batch))
	return l.send()
}

// formatted returns lines as they are to be written.
func (l *AccessLog) formatted(lines []byte) []byte {
	if l.format == nil {
		return lines
	}
	l.text = l.text[:0]
	for line := range bytes.Lines(lines) {
		l.text = l.format(l.text, line)
	}
	return l.text
}

// send writes the batch, and accounts for what becomes of it.
func (l *AccessLog) send() bool {
	err := l.outlet.send()
	failed := l.failing
	l.failing = err != nil
	switch {
	case err != nil && !failed:
		l.before = l.Dropped()
		if l.onError != nil {
			l.onError(fmt.Errorf("write the %s: %w", l.name, err))
		}
	case err == nil && failed && l.onRecover != nil:
		l.onRecover(l.Dropped() - l.before)
	}
	if err != nil {
		return false
	}
	l.giveBack(l.batch)
	l.batch = nil
	return true
}

// giveUp counts what was never written.
func (l *AccessLog) giveUp() {
	n := l.outlet.unsent()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped += uint64(n + bytes.Count(l.buf, []byte{'\n'}))
	l.buf = l.buf[:0]
}

// take hands out what waits and puts the spare buffer in its place.
func (l *AccessLog) take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer.Stop()
	lines := l.buf
	if l.lost > 0 { // they were dropped after all of these lines
		lines = l.encoder.appendLost(lines, l.lostAt, l.lost, l.name)
		l.lost = 0
	}
	if len(lines) > 0 {
		l.buf, l.spare = l.spare[:0], nil
	}
	return lines
}

// appendLost appends the line that stands for n lines that are missing.
func (e *encoder) appendLost(dst []byte, at time.Time, n uint64, name string) []byte {
	dst = append(dst, `{"time":"`...)
	dst = e.clock.append(dst, at)
	dst = append(dst, `","level":"warn","msg":`...)
	dst = jsontext.AppendQuoted(dst, name+" lines dropped")
	dst = append(dst, `,"dropped":`...)
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
