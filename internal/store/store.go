// Package store is the state that all nodes of a gateway share, as the few
// verbs that policies need. Packages below implement it: memory for a single
// node, redis for many. storetest is the suite that all pass.
package store

import (
	"context"
	"errors"
	"time"
)

// ErrBusy tells that a call was not even sent, because as many as may wait for the store's
// answers already. It says nothing about the store, which may be well: it is a burst here
// that is too large. Nothing was counted.
var ErrBusy = errors.New("too many calls wait for an answer")

// Skew is how far the clocks of nodes and store may differ. What has ended is
// kept that much longer, so that nobody with a clock ahead takes from the
// others what still counts for them.
const Skew = time.Minute

// Entry is a member of a set, and when it leaves the set by itself. Until
// counts in whole milliseconds.
type Entry struct {
	Member string
	Until  time.Time
}

// Store is shared state. Its methods may be called from many goroutines. None
// of them, other than Follow, takes longer than a second or two, whatever the
// store does.
type Store interface {
	// Name is what logs and health answers call the store, such as "memory".
	Name() string
	// Ping tells whether the store can be reached and written to.
	Ping(ctx context.Context) error
	// Add puts entries into a set, all or none. A member that is there already
	// stays until the later of both times. After an error the entries may be
	// there or not; to add them again does no harm.
	Add(ctx context.Context, set string, entries ...Entry) error
	// Follow tells f what a set holds, and then what is added to it by any
	// node, until ctx ends. It finds the store again by itself, and tells
	// everything anew then, so that nothing is missed.
	Follow(ctx context.Context, set string, f Follower)
	// Take answers takes at once, see Take. now is when it is asked; a store with a
	// clock of its own goes by that. After an error something may have been counted or
	// not; one that is context.DeadlineExceeded tells only that the answer did not come in
	// time, and one that is ErrBusy that the store was not asked. Where nodes keep parts of the state, takes whose keys differ may be counted
	// one by one; what was spent is then returned when another one is refused.
	Take(ctx context.Context, now time.Time, takes []Take) error
	// Forget lets a limit forget all that it has counted under a key.
	Forget(ctx context.Context, name, key string) error
	// Close ends all that the store has running. Every Follow has to be over.
	Close()
}

// Flights is what a Store may do besides: count what runs at this moment, on all nodes together.
// What a node holds ends with it, and is known again to a store that was lost and is back.
type Flights interface {
	// Enter counts one more that runs, unless limit do already, and tells how many more may.
	// Whoever got ok calls Leave once. Errors are those of Store.Take; nothing is held then.
	Enter(ctx context.Context, name, key string, limit int64) (ok bool, left int64, err error)
	// Leave takes back what Enter has counted. It does not wait.
	Leave(name, key string)
}

// Follower is told about a set, by one goroutine at a time. It has to be quick,
// and must not call the store.
type Follower interface {
	// Added is called for each entry, maybe more than once for the same, and
	// maybe for one that has ended.
	Added(Entry)
	// Synced is called when all that the set holds has been told: at first,
	// after each Lost, and from time to time, so that who knows more than the
	// set does can put it there.
	Synced()
	// Lost is called when the store can't be reached, once until the next
	// Synced.
	Lost(err error)
}
