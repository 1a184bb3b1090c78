package meter

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/store"
)

const (
	// tolerated is how many calls in a row may come too late before the store counts
	// as lost: a single one may be the network's hiccup. Any other failure counts at
	// once.
	tolerated = 3
	// firstProbe and lastProbe are how often a lost store is asked whether it is back,
	// at first, and when it was lost again soon after it had come back.
	firstProbe = 100 * time.Millisecond
	lastProbe  = time.Second
	// calm is how long the store has to be there until a loss is a new one.
	calm = 10 * time.Second
)

// guard knows whether the store can be asked. It opens like a breaker: while the store is
// lost, nobody waits for it.
type guard struct {
	isLost atomic.Bool
	late   atomic.Int32

	mu      sync.Mutex // guards what follows
	since   time.Time
	losses  int64
	pause   time.Duration // between probes
	changed func(lost bool, why error, lasted time.Duration)
	probe   func(ctx context.Context, writes []store.Take) error
	ctx     context.Context
	probing sync.WaitGroup
}

func (g *guard) lost() bool { return g.isLost.Load() }

// worked is told of each call that the store has answered.
func (g *guard) worked() {
	if g.late.Load() != 0 {
		g.late.Store(0)
	}
}

// late tells that an answer did not come in time. The store may have done what it was to do.
func late(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// failed is told of each call that it has not, and what it was to take. That there are more
// calls than can be sent is no failure of the store.
func (g *guard) failed(err error, takes []store.Take) {
	if errors.Is(err, store.ErrBusy) || late(err) && g.late.Add(1) < tolerated {
		return
	}
	g.lose(err, takes)
}

// lose makes the store lost, and starts to look for it. takes are those with which that was
// noticed; their keys are views.
func (g *guard) lose(err error, takes []store.Take) {
	if lasted, now := g.open(takes); now {
		g.changed(true, err, lasted)
	}
}

// open makes the store lost, and tells for how long it was there, unless it is lost already.
func (g *guard) open(takes []store.Take) (lasted time.Duration, changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isLost.Load() || g.ctx.Err() != nil {
		return 0, false
	}
	writes := probes(takes)
	now := time.Now()
	if g.pause = min(2*g.pause, lastProbe); g.pause == 0 || now.Sub(g.since) > calm {
		g.pause = firstProbe
	}
	lasted = now.Sub(g.since)
	g.since = now
	g.losses++
	g.isLost.Store(true)
	pause := g.pause
	g.probing.Go(func() { g.look(pause, writes) })
	return lasted, true
}

// probeName is what is counted under to see whether the store can be written to. No limit
// can have that name.
const probeName = "Probe"

// probes returns takes that write where others have failed to: a part of the store may be
// lost, or full, and the others not. What has the same key is in the same part.
func probes(takes []store.Take) []store.Take {
	keys := make([]string, 0, MaxClaims)
	for i := range takes {
		if !slices.Contains(keys, takes[i].Key) {
			keys = append(keys, strings.Clone(takes[i].Key))
		}
	}
	if len(keys) == 0 {
		keys = append(keys, probeName)
	}
	probes := make([]store.Take, len(keys))
	for i, key := range keys {
		probes[i] = store.Take{Name: probeName, Key: key, Rule: store.Rule{Limit: 1, Window: time.Second}, Action: store.Charge, Cost: 1}
	}
	return probes
}

// close ends the looking for a store, and lets nothing begin any more.
func (g *guard) close(stop context.CancelFunc) {
	g.mu.Lock()
	stop()
	g.mu.Unlock()
	g.probing.Wait()
}

// look asks the store until it is back.
func (g *guard) look(pause time.Duration, writes []store.Take) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-ticker.C:
			if g.probe(g.ctx, writes) == nil {
				g.find()
				return
			}
		}
	}
}

// find ends the loss.
func (g *guard) find() {
	g.mu.Lock()
	now := time.Now()
	lasted := now.Sub(g.since)
	g.since = now
	g.late.Store(0)
	g.isLost.Store(false)
	g.mu.Unlock()
	g.changed(false, nil, lasted)
}

// state returns since when the store is lost or there, and how often it was lost.
func (g *guard) state() (lost bool, since time.Time, losses int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.isLost.Load(), g.since, g.losses
}
