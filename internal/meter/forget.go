package meter

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"yett/internal/store"
)

const (
	// forgottenSet is the set of what was forgotten lately.
	forgottenSet = "forgotten"
	// toldFor is how long it is told, so that nodes hear of it which could not at once.
	toldFor = 10 * time.Second
	// maxForgotten is how much is remembered to be forgotten already.
	maxForgotten = 10_000
)

// Forget lets a limit forget in the store what it has counted under a key, and tells the
// nodes that share it to do so too with what they hold. Names and keys of limits hold
// no blanks.
func Forget(ctx context.Context, s store.Store, name, key string) error {
	if err := s.Forget(ctx, name, key); err != nil {
		return fmt.Errorf("forget what limit %s has counted under %s: %w", name, key, err)
	}
	e := store.Entry{Member: rand.Text() + " " + name + " " + key, Until: time.Now().Add(toldFor)}
	if err := s.Add(ctx, forgottenSet, e); err != nil {
		return fmt.Errorf("tell the nodes to forget what limit %s has counted under %s: %w", name, key, err)
	}
	return nil
}

// forgetter hears what other nodes have forgotten.
type forgetter struct {
	forget func(name, key string)
	done   map[string]bool // what was done: it is told again and again
}

// Added implements store.Follower. The set is told again and again.
func (f *forgetter) Added(e store.Entry) {
	if f.done[e.Member] {
		return
	}
	if len(f.done) >= maxForgotten {
		clear(f.done) // to forget twice does no harm
	}
	f.done[e.Member] = true
	if _, what, ok := strings.Cut(e.Member, " "); ok {
		if name, key, ok := strings.Cut(what, " "); ok {
			f.forget(name, key)
		}
	}
}

// Synced implements store.Follower.
func (*forgetter) Synced() {}

// Lost implements store.Follower.
func (*forgetter) Lost(error) {}
