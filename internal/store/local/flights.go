package local

import (
	"context"
	"encoding/binary"
	"sync"

	"yett/internal/store"
)

// flights is what runs at this moment, in all processes, by key.
type flights struct {
	mu    sync.Mutex
	total map[string]int64
}

// aboard is the part of one process, which ends with its connection. A process that connects
// anew says what it holds. Its methods are called by one goroutine at a time.
type aboard struct {
	of   *flights
	held map[string]int64
}

// enter counts one more, unless limit run already.
func (a *aboard) enter(key []byte, limit int64) (ok bool, left int64) {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	n := a.of.total[string(key)]
	if n >= limit {
		return false, 0
	}
	a.addLocked(string(key), 1)
	return true, limit - n - 1
}

// add counts n more, or less, but never less than none.
func (a *aboard) add(key []byte, n int64) {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	a.addLocked(string(key), max(n, -a.held[string(key)]))
}

func (a *aboard) addLocked(key string, n int64) {
	change(a.held, key, n)
	change(a.of.total, key, n)
}

// change adds to what is counted of a key, of which nothing is kept when that is nothing.
func change(counts map[string]int64, key string, n int64) {
	if n += counts[key]; n > 0 {
		counts[key] = n
	} else {
		delete(counts, key)
	}
}

// end takes back all.
func (a *aboard) end() {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	for key, n := range a.held {
		change(a.of.total, key, -n)
	}
	clear(a.held)
}

// do answers what is asked about what runs. silent tells that there is no answer.
func (a *aboard) do(verb byte, asked, out []byte) (answer []byte, silent bool, err error) {
	n, used := binary.Varint(asked)
	if used <= 0 || n < 1 {
		return out, false, errFrame
	}
	key := asked[used:]
	switch verb {
	case doEnter:
		ok, left := a.enter(key, n)
		return appendResults(out, []store.Take{{Fits: ok, Left: left}}), false, nil
	case doHold:
		a.add(key, n)
	default:
		a.add(key, -n)
	}
	return out, true, nil
}

// Enter implements store.Flights. It waits as Take does.
func (s *Store) Enter(ctx context.Context, name, key string, limit int64) (ok bool, left int64, err error) {
	if limit < 1 {
		return false, 0, nil
	}
	over := s.deadlines.Next()
	c := s.call()
	c.frame = flightKey(binary.AppendVarint(begin(c.frame[:0], doEnter, 0), limit), name, key)
	c.results = c.room[:1]
	if err := s.ask(ctx, c, over); err != nil {
		return false, 0, s.failed("take from", err)
	}
	ok, left = c.results[0].fits, c.results[0].left
	s.pool.Put(c)
	return ok, left, nil
}

// Leave implements store.Flights. Where the server is not there, it is told what still runs
// when it is back.
func (s *Store) Leave(name, key string) {
	c := s.call()
	c.frame = flightKey(c.frame[:0], name, key)
	s.leave(c.frame)
	s.pool.Put(c)
}

// leave says that one less of a key runs.
func (s *Store) leave(key []byte) {
	s.mu.Lock()
	change(s.held, string(key), -1)
	if s.now != up {
		s.mu.Unlock()
		return
	}
	at := len(s.out)
	s.out = end(append(binary.AppendVarint(begin(s.out, doLeave, 0), 1), key...), at)
	if s.writing {
		s.mu.Unlock()
		return
	}
	s.writing = true
	s.flush(s.conn)
}

// place returns the key of which a call was given a place.
func (c *call) place() (key []byte, ok bool) {
	if c.frame[4] != doEnter || c.err != nil || !c.results[0].fits {
		return nil, false
	}
	_, used := binary.Varint(c.frame[frameHead:])
	return c.frame[frameHead+used:], true
}

// entered notes what an answer to Enter gives. It runs before another connection is made, which
// is told all that is held.
func (s *Store) entered(c *call) {
	key, ok := c.place()
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[string(key)]++
}

// holds appends what a new server is to know, with the lock held.
func (s *Store) holds(b []byte) []byte {
	for key, n := range s.held {
		at := len(b)
		b = end(append(binary.AppendVarint(begin(b, doHold, 0), n), key...), at)
	}
	return b
}
