package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/store"
	"yett/internal/store/deadline"
)

// Options says how a server is asked.
type Options struct {
	// Path is its socket.
	Path string
	// Timeout is how long Take may take, up to an eighth of it less; 25 ms when zero.
	Timeout time.Duration
	// Patience is how long Open waits for a server; a second when zero.
	Patience time.Duration
}

// Store implements store.Store.
type Store struct {
	o         Options
	deadlines *deadline.Deadlines
	stop      context.CancelFunc
	ended     chan struct{}
	first     chan struct{} // closed when a server was there for the first time
	// owed is since when the server owes an answer for which somebody did not wait, in
	// nanoseconds since begun; 0 when it does not.
	owed  atomic.Int64
	begun time.Time

	// pool has calls that nobody uses.
	pool sync.Pool

	mu   sync.Mutex // guards what follows
	now  phase
	why  error // why it is down
	conn *conn // while it is up
	// out is what is to be written, spare another buffer, and writing tells that somebody
	// writes, who goes on until nothing is left.
	out, spare []byte
	writing    bool
	// calls are those that wait, by their tags; free are tags below len(calls) that are not
	// used.
	calls []*call
	free  []uint32
	// held is what was entered and not left, by flightKey.
	held map[string]int64
}

// phase is how a Store is.
type phase uint8

const (
	down   phase = iota // calls fail
	moving              // calls wait: the server has said that another one takes its place
	up
	closed
)

// call is a call on its way. Who asked may be gone before it is answered.
type call struct {
	frame []byte
	tag   uint32
	// results are of takes, as many as the call has.
	results []result
	room    [maxTakes]result
	err     error
	// answered gets a value when results or err are there.
	answered chan struct{}
	state    atomic.Uint32
}

// What a call can be.
const (
	waiting = iota
	answered
	gone
)

// maxTakes is how many takes a call may have.
const maxTakes = 16

// Open returns a store that asks the server of a path, and finds it again by itself after it
// was gone. With an error it is as good as any that has lost its server; it is nil only when the
// options make no sense.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := checkPath(o.Path); err != nil {
		return nil, err
	}
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	s := &Store{
		o: o, deadlines: deadline.New(o.Timeout), begun: time.Now(), why: errors.New("it was not looked for as yet"),
		ended: make(chan struct{}), first: make(chan struct{}), held: make(map[string]int64),
	}
	keeping, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.keep(keeping)
	patience := time.NewTimer(cmp.Or(o.Patience, time.Second))
	defer patience.Stop()
	select {
	case <-s.first:
		return s, nil
	case <-patience.C:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, s.failed("reach", s.why)
}

func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("a store that processes share has a socket: its path is empty")
	case len(path) > maxPath:
		return fmt.Errorf("%s can't be a socket: the path has %d bytes, at most %d are possible; choose a shorter directory", path, len(path), maxPath)
	}
	return nil
}

// failed says what did not work.
func (s *Store) failed(what string, err error) error {
	return fmt.Errorf("%s the store at %s: %w", what, s.o.Path, err)
}

// Name implements store.Store.
func (s *Store) Name() string { return "memory (shared)" }

// Close implements store.Store.
func (s *Store) Close() {
	s.mu.Lock()
	if s.now != closed {
		s.stop()
		s.failAll(errors.New("the store is closed"))
		s.now = closed
		if s.conn != nil {
			_ = s.conn.Close()
		}
	}
	s.mu.Unlock()
	<-s.ended
}

// Take implements store.Store. It returns within Options.Timeout, or up to an eighth of
// that sooner. The server goes by its own clock.
func (s *Store) Take(ctx context.Context, _ time.Time, takes []store.Take) error {
	if len(takes) == 0 {
		return nil
	}
	if len(takes) > maxTakes {
		return fmt.Errorf("a call has %d takes, at most %d can be counted at once", len(takes), maxTakes)
	}
	over := s.deadlines.Next()
	c := s.call()
	c.frame = appendTakes(begin(c.frame[:0], doTake, 0), takes)
	c.results = c.room[:len(takes)]
	if err := s.ask(ctx, c, over); err != nil {
		return s.failed("take from", err)
	}
	for i := range takes {
		c.results[i].into(&takes[i])
	}
	s.pool.Put(c)
	return nil
}

// Add implements store.Store.
func (s *Store) Add(ctx context.Context, set string, entries ...store.Entry) error {
	body, err := appendAdd(nil, set, entries)
	if err != nil {
		return s.failed("write to", err)
	}
	return s.within(ctx, doAdd, body)
}

// Forget implements store.Store.
func (s *Store) Forget(ctx context.Context, name, key string) error {
	return s.within(ctx, doForget, appendText(appendText(nil, name), key))
}

// Ping implements store.Store.
func (s *Store) Ping(ctx context.Context) error { return s.within(ctx, doPing, nil) }

// within makes a call that may take callTimeout.
func (s *Store) within(ctx context.Context, verb byte, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c := s.call()
	c.frame, c.results = append(begin(c.frame[:0], verb, 0), body...), nil
	if err := s.ask(ctx, c, nil); err != nil {
		return s.failed("write to", err)
	}
	s.pool.Put(c)
	return nil
}

// call returns a call that is to be filled.
func (s *Store) call() *call {
	c, ok := s.pool.Get().(*call)
	if !ok || cap(c.frame) > firstBuffer {
		c = &call{answered: make(chan struct{}, 1)}
	}
	c.err = nil
	c.state.Store(waiting)
	return c
}

// ask sends a call and waits for its answer. After an error the call is not the caller's
// any more.
func (s *Store) ask(ctx context.Context, c *call, over <-chan struct{}) error {
	end(c.frame, 0)
	if err := s.submit(c); err != nil {
		s.pool.Put(c)
		return err
	}
	if s.wait(ctx, c, over) {
		if err := c.err; err != nil {
			s.pool.Put(c)
			return err
		}
		return nil
	}
	s.suspect()
	if err := ctx.Err(); err != nil {
		return err
	}
	return deadline.ErrLate
}

// wait waits for the answer, and tells whether it is there. A call that has none by then is
// left to whoever answers it.
func (s *Store) wait(ctx context.Context, c *call, over <-chan struct{}) bool {
	select {
	case <-c.answered:
		return true
	case <-over:
	case <-ctx.Done():
	}
	if c.state.CompareAndSwap(waiting, gone) {
		return false
	}
	<-c.answered
	return true
}

// suspect gives up a connection whose server has owed answers for long. It may be stopped.
func (s *Store) suspect() {
	now := int64(time.Since(s.begun))
	since := s.owed.Load()
	if since == 0 {
		s.owed.CompareAndSwap(0, now)
		return
	}
	if now-since < int64(hung) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		_ = s.conn.Close()
	}
}

// submit has a call sent.
func (s *Store) submit(c *call) error {
	s.mu.Lock()
	switch {
	case s.now == down || s.now == closed:
		defer s.mu.Unlock()
		return s.why
	case !s.book(c):
		s.mu.Unlock()
		return store.ErrBusy
	}
	if s.now == moving { // it is sent with all that wait
		s.mu.Unlock()
		return nil
	}
	s.out = append(s.out, c.frame...)
	if s.writing {
		s.mu.Unlock()
		return nil
	}
	s.writing = true
	to := s.conn
	if len(s.calls)-len(s.free) > 1 { // others are at it: let them leave their frames too
		s.mu.Unlock()
		runtime.Gosched()
		s.mu.Lock()
	}
	s.flush(to)
	return nil
}

// book gives a call a tag, if there is one left.
func (s *Store) book(c *call) bool {
	switch {
	case len(s.free) > 0:
		c.tag = s.free[len(s.free)-1]
		s.free = s.free[:len(s.free)-1]
		s.calls[c.tag] = c
	case len(s.calls) < queued:
		c.tag = uint32(len(s.calls))
		s.calls = append(s.calls, c)
	default:
		return false
	}
	setTag(c.frame, c.tag)
	return true
}

// flush writes until nothing is left, or the connection is another one. mu is locked, and
// unlocked when it returns. What the socket does not take at once is left to a goroutine: the
// server does not read, and nobody waits for it here.
func (s *Store) flush(to *conn) {
	for len(s.out) > 0 && s.conn == to {
		b := s.out
		s.out, s.spare = s.spare[:0], nil
		s.mu.Unlock()
		rest, err := to.try(b)
		switch {
		case err != nil:
			_ = to.Close() // which keep notices
		case len(rest) > 0:
			go s.push(to, b, rest)
			return
		}
		s.mu.Lock()
		s.reuse(b)
	}
	s.stopWriting(to)
	s.mu.Unlock()
}

// push waits until the socket takes the rest of b, and goes on as flush.
func (s *Store) push(to *conn, b, rest []byte) {
	if err := to.write(rest, 2*hung); err != nil {
		_ = to.Close()
	}
	s.mu.Lock()
	s.reuse(b)
	s.flush(to)
}

func (s *Store) reuse(b []byte) {
	if s.spare == nil && cap(b) <= 16*firstBuffer {
		s.spare = b[:0]
	}
}

// stopWriting lets others write, unless they do so to another connection already.
func (s *Store) stopWriting(to *conn) {
	if s.conn == to {
		s.writing = false
	}
}
