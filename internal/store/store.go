// Package store is the state that all nodes of a gateway share, as the few
// verbs that policies need. Packages below implement it: memory for a single
// node, redis for many. storetest is the suite that all pass.
package store

import (
	"context"
	"time"
)

// Entry is a member of a set, and when it leaves the set by itself.
type Entry struct {
	Member string
	Until  time.Time
}

// Store is shared state. Its methods may be called from many goroutines.
type Store interface {
	// Name is what logs and health answers call the store, such as "memory".
	Name() string
	// Ping tells whether the store can be reached.
	Ping(ctx context.Context) error
	// Add puts entries into a set, all or none. A member that is there already
	// stays until the later of both times.
	Add(ctx context.Context, set string, entries ...Entry) error
	// Follow tells f what a set holds, and then what is added to it by any
	// node, until ctx ends. It finds the store again by itself, and tells
	// everything anew then, so that nothing is missed.
	Follow(ctx context.Context, set string, f Follower)
	// Close ends all that the store has running.
	Close()
}

// Follower is told about a set by one goroutine.
type Follower interface {
	// Added is called for each entry, maybe more than once for the same.
	Added(Entry)
	// Synced is called when all that the set held has been told.
	Synced()
	// Lost is called when the store can't be reached any more, once until the
	// next Synced.
	Lost(err error)
}
