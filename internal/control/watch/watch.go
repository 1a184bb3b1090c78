// Package watch tells when files have another content.
//
// It watches the folders in which the files are, because editors, certificate tools and Kubernetes
// put another file, or another symbolic link, in the place of the one that was there. Where the file
// system tells nothing, as over a network, it looks every now and then.
package watch

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Sum is that of a file's content, zero for one that can't be read.
type Sum = [sha256.Size]byte

const (
	// Settle is how long after the last event it is quiet before files are looked at, so that
	// what is written in pieces, or several files that belong together, are one change.
	Settle = 300 * time.Millisecond
	// Poll is how often they are looked at without an event.
	Poll = 30 * time.Second
	// mostSettles times Settle is how long events may go on before files are looked at
	// all the same.
	mostSettles = 10
)

// Options is what a Watcher is made from.
type Options struct {
	// Sum reads a file.
	Sum func(path string) Sum
	// Changed is told which files are others than before, in the order of their names. It runs
	// on the Watcher's goroutine, and may call Follow, but not Close.
	Changed func(paths []string)
	// Settle and Poll, when they are not zero, are instead of the constants.
	Settle, Poll time.Duration
	Log          *slog.Logger
}

// Watcher follows files until Close.
type Watcher struct {
	o    Options
	wake chan struct{} // holds one: other files are followed
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	files   map[string]Sum // as they were seen last
	started bool
}

// New makes a Watcher that follows nothing yet. Close has to follow.
func New(o Options) *Watcher {
	if o.Settle == 0 {
		o.Settle = Settle
	}
	if o.Poll == 0 {
		o.Poll = Poll
	}
	w := &Watcher{o: o, wake: make(chan struct{}, 1), files: make(map[string]Sum)}
	w.ctx, w.stop = context.WithCancel(context.Background())
	return w
}

// Follow follows these files from now on, and no others. The sums are those of what is in use;
// of a file that is followed already the one counts that was seen last.
func (w *Watcher) Follow(files map[string]Sum) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := make(map[string]Sum, len(files))
	for path, sum := range files {
		if seen, ok := w.files[path]; ok {
			sum = seen
		}
		next[path] = sum
	}
	if maps.Equal(next, w.files) || w.ctx.Err() != nil {
		return
	}
	w.files = next
	if !w.started {
		w.started = true
		w.wg.Go(w.run)
		return
	}
	select {
	case w.wake <- struct{}{}:
	default: // it is going to look anyway
	}
}

// Close ends it, and waits for Changed where that runs.
func (w *Watcher) Close() {
	w.mu.Lock()
	w.stop()
	w.mu.Unlock()
	w.wg.Wait()
}

// run looks at the files when something has happened in their folders, and now and then.
func (w *Watcher) run() {
	f := w.newFolders()
	defer f.close()
	poll := time.NewTicker(w.o.Poll)
	defer poll.Stop()
	settled := time.NewTimer(0) // files may have changed since their sums were taken
	defer settled.Stop()
	var first time.Time // of the events that were not followed by a look
	f.watch(w.paths())
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-w.wake:
			settled.Reset(0)
		case <-poll.C:
			settled.Reset(0)
		case _, ok := <-f.events():
			if !ok {
				f.close()
				continue
			}
			now := time.Now()
			if first.IsZero() {
				first = now
			}
			settled.Reset(max(0, min(w.o.Settle, first.Add(mostSettles*w.o.Settle).Sub(now))))
		case <-f.errors(): // mostly that there were too many events
			settled.Reset(w.o.Settle)
		case <-settled.C:
			first = time.Time{}
			f.watch(w.paths()) // folders may be others under the same name
			w.look()
		}
	}
}

func (w *Watcher) paths() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.files))
}

// look tells which files are others. One that is not there, or can't be read, is as it was: it is
// about to be replaced, or what was read of it stays in use.
func (w *Watcher) look() {
	var changed []string
	for _, path := range w.paths() {
		sum := w.o.Sum(path)
		if sum == (Sum{}) {
			continue
		}
		w.mu.Lock()
		if seen, followed := w.files[path]; followed && seen != sum {
			w.files[path] = sum
			changed = append(changed, path)
		}
		w.mu.Unlock()
	}
	if len(changed) > 0 && w.ctx.Err() == nil {
		w.o.Changed(changed)
	}
}

// folders watches the folders of files, as far as the system can.
type folders struct {
	log    *slog.Logger
	notify *fsnotify.Watcher // nil: there are no events
	failed map[string]bool   // was told
}

func (w *Watcher) newFolders() *folders {
	f := &folders{log: w.o.Log, failed: make(map[string]bool)}
	var err error
	if f.notify, err = fsnotify.NewWatcher(); err != nil {
		f.notify = nil
		f.log.Warn("changed files are noticed later: the system tells of none", "every", w.o.Poll.String(), "error", err)
	}
	return f
}

func (f *folders) events() <-chan fsnotify.Event {
	if f.notify == nil {
		return nil
	}
	return f.notify.Events
}

func (f *folders) errors() <-chan error {
	if f.notify == nil {
		return nil
	}
	return f.notify.Errors
}

func (f *folders) close() {
	if f.notify != nil {
		_ = f.notify.Close() // has no errors that mean something
		f.notify = nil
	}
}

// watch watches the folders of these files, and no others. To watch one again does no harm, and
// is needed where another one has its name.
func (f *folders) watch(paths []string) {
	if f.notify == nil {
		return
	}
	wanted := make(map[string]bool)
	for _, path := range paths {
		wanted[filepath.Dir(path)] = true
		if real, err := filepath.EvalSymlinks(path); err == nil { // it may be written to in its place
			wanted[filepath.Dir(real)] = true
		}
	}
	for _, dir := range f.notify.WatchList() {
		if !wanted[dir] {
			_ = f.notify.Remove(dir) // it may be gone
		}
	}
	for dir := range wanted {
		err := f.notify.Add(dir)
		if err != nil && !f.failed[dir] {
			f.log.Warn("changed files in a folder are noticed later: it can't be watched", "folder", dir, "error", err)
		}
		f.failed[dir] = err != nil
	}
}
