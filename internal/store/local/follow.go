package local

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"yett/internal/store"
)

// Follow implements store.Store. While one server takes the place of another, nothing is lost.
func (s *Store) Follow(ctx context.Context, set string, f store.Follower) {
	lost, retry := false, firstRetry
	var until time.Time // as in keep
	for ctx.Err() == nil {
		synced, err := s.session(ctx, set, f)
		if ctx.Err() != nil {
			return
		}
		if synced {
			lost, retry = false, firstRetry
		}
		if errors.Is(err, errMoved) {
			until = time.Now().Add(settles)
			continue
		}
		if time.Now().Before(until) {
			sleep(ctx, time.Millisecond)
			continue
		}
		if !lost {
			lost = true
			f.Lost(s.failed("follow", plain(err)))
		}
		sleep(ctx, retry/2+rand.N(retry/2))
		retry = min(2*retry, lastRetry)
	}
}

// session follows over one connection, and returns when it breaks or ctx ends. synced tells
// whether the set was told as a whole.
func (s *Store) session(ctx context.Context, set string, f store.Follower) (synced bool, err error) {
	c, err := dial(ctx, s.o.Path, forFollow)
	if err != nil {
		return false, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if err := c.write(end(append(begin(nil, doAdd, 0), set...), 0), callTimeout); err != nil {
		return false, err
	}
	b := make([]byte, 0, firstBuffer)
	for {
		if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return synced, err
		}
		n, err := c.Read(b[len(b):cap(b)])
		if n == 0 || err != nil {
			return synced, ended(err)
		}
		b = b[:len(b)+n]
		rest, err := tell(ctx, b, f, &synced)
		if err != nil {
			return synced, err
		}
		b = room(b, len(b)-len(rest))
	}
}

// tell tells f what b says, and returns what is left of it.
func tell(ctx context.Context, b []byte, f store.Follower, synced *bool) (rest []byte, err error) {
	for ctx.Err() == nil {
		verb, _, said, rest, ok, err := cut(b)
		if err != nil || !ok {
			return rest, err
		}
		switch verb {
		case sayAdded:
			p := body{b: said}
			e := p.entry()
			if p.bad {
				return nil, errFrame
			}
			f.Added(e)
		case saySynced:
			*synced = true
			f.Synced()
		case sayBeat:
		case sayMoved:
			return nil, errMoved
		default:
			return nil, errFrame
		}
		b = rest
	}
	return nil, ctx.Err()
}
