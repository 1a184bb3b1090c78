package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"yett/internal/store"
)

const (
	// firstRetry and lastRetry are how long Follow waits after a first and
	// after many failures. A server that comes back is found within the latter.
	firstRetry = 50 * time.Millisecond
	lastRetry  = 500 * time.Millisecond
	// page is how many members are asked for at once.
	page = 1000
)

// Follow implements store.Store. It subscribes before it reads, so that what is
// added in between is heard of.
func (s *Store) Follow(ctx context.Context, set string, f store.Follower) {
	t := &teller{f: f}
	retry := firstRetry
	for ctx.Err() == nil {
		synced, err := s.session(ctx, set, t)
		if ctx.Err() != nil {
			return
		}
		t.lose(fmt.Errorf("follow %s: %w", s.o, plain(err)))
		if synced {
			retry = firstRetry
		}
		sleep(ctx, retry/2+rand.N(retry/2))
		retry = min(2*retry, lastRetry)
	}
}

// session follows over one connection, and returns when it breaks or ctx ends.
// synced tells whether the set was told as a whole.
func (s *Store) session(ctx context.Context, set string, t *teller) (synced bool, err error) {
	client, err := s.client()
	if err != nil {
		return false, err
	}
	conn, _ := client.Dedicate()
	defer conn.Close() // it has a subscription, so it is not used for anything else
	session := t.begin()
	defer t.end()
	broken := conn.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: func(m rueidis.PubSubMessage) {
		if e, ok := parse(m.Message); ok {
			t.added(session, e)
		}
	}})
	from := rueidis.CoreClient(conn)
	if len(s.o.Cluster) > 0 {
		from = client
		if err := s.pin(ctx, conn, set); err != nil {
			return false, err
		}
	}
	if err := s.subscribe(ctx, conn, set); err != nil {
		return false, err
	}
	for {
		if err := s.readAll(ctx, from, set, func(e store.Entry) { t.added(session, e) }); err != nil {
			return synced, err
		}
		t.synced()
		synced = true
		select {
		case <-ctx.Done():
			return synced, ctx.Err()
		case err := <-broken:
			return synced, because(err)
		case <-time.After(s.o.Reread - rand.N(s.o.Reread/4)): // not all nodes at once
		}
	}
}

// because says why a connection broke, which the library doesn't always do.
func because(err error) error {
	if err == nil {
		return errors.New("the connection was closed")
	}
	return err
}

func (s *Store) subscribe(ctx context.Context, conn rueidis.DedicatedClient, set string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return conn.Do(ctx, conn.B().Subscribe().Channel(s.channel(set)).Build()).Error()
}

// pin makes a connection to a cluster one to the node that has the set, which is
// the first to hear what is added. That it has the set no longer is no harm: all
// nodes tell each other, and what there is is read from where it is.
func (s *Store) pin(ctx context.Context, conn rueidis.DedicatedClient, set string) error {
	_, _, err := s.read(ctx, conn, set, 0)
	if _, ok := rueidis.IsRedisErr(err); ok {
		return nil
	}
	return err
}

// readAll tells all that the set holds. ZSCAN finds what is there all the
// time, whatever is added and removed meanwhile.
func (s *Store) readAll(ctx context.Context, conn rueidis.CoreClient, set string, tell func(store.Entry)) error {
	for cursor := uint64(0); ; {
		next, pairs, err := s.read(ctx, conn, set, cursor)
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			if ms, err := strconv.ParseFloat(pairs[i+1], 64); err == nil {
				tell(store.Entry{Member: pairs[i], Until: time.UnixMilli(int64(ms))})
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// read returns a page as members and scores in turn.
func (s *Store) read(ctx context.Context, conn rueidis.CoreClient, set string, cursor uint64) (next uint64, pairs []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	got, err := conn.Do(ctx, conn.B().Zscan().Key(s.key(set)).Cursor(cursor).Count(page).Build()).AsScanEntry()
	return got.Cursor, got.Elements, err
}

// parse reads what addScript publishes.
func parse(message string) (store.Entry, bool) {
	until, member, found := strings.Cut(message, ":")
	ms, err := strconv.ParseInt(until, 10, 64)
	return store.Entry{Member: member, Until: time.UnixMilli(ms)}, found && err == nil
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// teller lets one goroutine at a time speak to the follower, and only those of
// the running session: a connection that is being closed may still bring
// something.
type teller struct {
	mu      sync.Mutex
	f       store.Follower
	session int
	lost    bool
}

// begin starts a session and returns its number; end ends it.
func (t *teller) begin() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.session++
	return t.session
}

func (t *teller) end() { t.begin() }

func (t *teller) added(session int, e store.Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if session == t.session {
		t.f.Added(e)
	}
}

func (t *teller) synced() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost = false
	t.f.Synced()
}

func (t *teller) lose(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.lost {
		t.lost = true
		t.f.Lost(err)
	}
}
