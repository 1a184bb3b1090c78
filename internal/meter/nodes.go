package meter

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/store"
)

const (
	// nodesSet is the set of nodes that live.
	nodesSet = "nodes"
	// beat is how often a node says that it lives, and silence how long another one may
	// say nothing until it counts as gone.
	beat    = time.Second
	silence = 4 * time.Second
	// maxNodes is how many nodes are believed to be there.
	maxNodes = 1000
)

// nodes counts the nodes that share the store. What others say about time is not
// believed: a node lives when something new was heard of it lately. While the
// store is lost the number stays what it was.
type nodes struct {
	own   string
	count atomic.Int64
	// gone, unless nil, is told when the store is lost.
	gone  func(error)
	until time.Time // of the last beat, without a monotonic reading; used by who beats alone

	mu    sync.Mutex // guards what follows
	heard map[string]heartbeat
	lost  bool
	mute  bool // what this node says is not taken, and so is likely not what others say
	// steady is from when on nodes may count as gone: those that live need time to say
	// so, to a store that has come back empty.
	steady time.Time
}

// heartbeat is the last that was heard of a node.
type heartbeat struct{ until, at time.Time }

func newNodes(own string) *nodes {
	n := &nodes{own: own, heard: make(map[string]heartbeat), lost: true}
	n.count.Store(1)
	return n
}

// live returns how many nodes there are, this one included.
func (n *nodes) live() int64 { return n.count.Load() }

// follow keeps count until ctx ends.
func (n *nodes) follow(ctx context.Context, s store.Store) {
	var beating sync.WaitGroup
	beating.Go(func() {
		ticker := time.NewTicker(beat)
		defer ticker.Stop()
		for n.beat(ctx, s); ; {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				n.beat(ctx, s)
				n.recount(time.Now())
			}
		}
	})
	s.Follow(ctx, nodesSet, n)
	beating.Wait()
}

// beat says that this node lives. When the store can't be told it is told next time.
func (n *nodes) beat(ctx context.Context, s store.Store) {
	until := time.Now().Round(0).Add(silence)
	if !until.After(n.until) { // the clock was put back, and an earlier end would tell nobody anything
		until = n.until.Add(time.Millisecond)
	}
	n.until = until
	err := s.Add(ctx, nodesSet, store.Entry{Member: n.own, Until: until})
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mute && err == nil {
		n.steady = time.Now().Add(silence)
	}
	n.mute = err != nil
}

// Added implements store.Follower. What has been told before is no sign of life.
func (n *nodes) Added(e store.Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	before, known := n.heard[e.Member]
	if !e.Until.After(before.until) || !known && len(n.heard) >= maxNodes {
		return
	}
	now := time.Now()
	h := heartbeat{e.Until, now}
	if !known && e.Until.Before(now) { // it has ended, or its clock is behind: then it says more soon
		h.at = time.Time{}
	}
	n.heard[e.Member] = h
}

// Synced implements store.Follower.
func (n *nodes) Synced() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lost {
		n.lost, n.steady = false, time.Now().Add(silence)
	}
	n.countLocked(time.Now())
}

// Lost implements store.Follower.
func (n *nodes) Lost(err error) {
	n.mu.Lock()
	n.lost = true
	n.mu.Unlock()
	if n.gone != nil {
		n.gone(err)
	}
}

func (n *nodes) recount(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.countLocked(now)
}

// countLocked counts anew, unless nothing can be known. A node that was never heard of
// again after its first word, read from the set at the start, goes with the silence.
func (n *nodes) countLocked(now time.Time) {
	if n.lost || n.mute {
		return
	}
	live := int64(0)
	for name, h := range n.heard {
		switch {
		case name == n.own:
		case now.Sub(h.at) < silence:
			live++
		case !now.Before(n.steady) && now.Sub(h.until) > 2*store.Skew: // the store does not tell it any more
			delete(n.heard, name)
		}
	}
	live++
	if live >= n.count.Load() || !now.Before(n.steady) {
		n.count.Store(live)
	}
}
