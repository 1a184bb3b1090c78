package apidocs

import (
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/openapi"
	"yett/internal/openapi/source"
	"yett/internal/snapshot"
)

// Options are what a Hub needs to know.
type Options struct {
	// Own and Components describe the gateway's own pages, see Input.
	Own        func(endpoint string) *openapi.Node
	Components *openapi.Document
	// Log is told how long it took to make a document, and of services of which nothing is
	// reached; nil for nobody.
	Log *slog.Logger
}

// Hub holds the gateway's document and makes a new one when the snapshot or a service's
// document has changed. Its methods may be called from any goroutine.
type Hub struct {
	o    Options
	snap atomic.Pointer[snapshot.Snapshot]
	// wake tells that a document has to be made, done that no more are.
	wake    chan struct{}
	done    chan struct{}
	close   sync.Once
	wg      sync.WaitGroup
	current atomic.Pointer[Edition]
	mu      sync.Mutex // held while a document is made; guards warned
	warned  map[string]string
}

// New makes a Hub. It makes nothing before Use, and nothing in the background before Start.
func New(o Options) *Hub {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Hub{o: o, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// Use makes a snapshot the one that the document is about.
func (h *Hub) Use(s *snapshot.Snapshot) {
	h.snap.Store(s)
	h.Changed()
}

// Changed says that a service's document may be another one.
func (h *Hub) Changed() {
	select {
	case h.wake <- struct{}{}:
	default: // it will be seen
	}
}

// quiet is how long it is waited for further changes, so that the documents of many services
// that come at once make one document.
const quiet = 50 * time.Millisecond

// Start makes documents in the background from here on. Close ends it.
func (h *Hub) Start() {
	h.wg.Go(func() {
		for {
			select {
			case <-h.done:
				return
			case <-h.wake:
			}
			select {
			case <-h.done:
				return
			case <-time.After(quiet):
			}
			h.make(false)
		}
	})
}

// Close ends what Start began.
func (h *Hub) Close() {
	h.close.Do(func() { close(h.done) })
	h.wg.Wait()
}

// Snapshot returns what the document is about.
func (h *Hub) Snapshot() *snapshot.Snapshot { return h.snap.Load() }

// make makes the document of what is known now, or only the very first one. A fault in that is logged, and the document
// before it stays: whoever looks at the documentation must not end the gateway.
func (h *Hub) make(first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if first && h.current.Load() != nil {
		return
	}
	defer func() {
		if fault := recover(); fault != nil {
			h.o.Log.Error("a fault in the gateway ended making the OpenAPI document", "fault", fault, "stack", string(debug.Stack()))
			h.current.CompareAndSwap(nil, newEdition(nowhere()))
		}
	}()
	s := h.snap.Load()
	if s == nil {
		return
	}
	begin := time.Now()
	e := newEdition(Merge(h.input(s)))
	size := len(e.json31().Content()) // so that nobody has to wait for it
	h.current.Store(e)
	h.warn(e.Merged)
	h.o.Log.Debug("made the OpenAPI document", "operations", len(e.Merged.Shown), "bytes", size, "took", time.Since(begin).String())
}

// warn tells the log of services of which nothing is reached, once for each.
func (h *Hub) warn(m *Merged) {
	now := make(map[string]string)
	for _, l := range m.Left {
		if l.Method != "" {
			continue
		}
		if now[l.Service] = l.Why; h.warned[l.Service] != l.Why {
			h.o.Log.Warn("no operation of a service's OpenAPI document is reached", "service", l.Service, "cause", l.Why)
		}
	}
	h.warned = now
}

// nowhere is a document about nothing.
func nowhere() *Merged {
	root := openapi.NewObject("openapi", "3.1.0", "info", openapi.NewObject("title", "", "version", "0"), "paths", openapi.NewObject())
	return &Merged{Document: &openapi.Document{File: "the gateway's document", Version: openapi.Version31, Root: root}}
}

func (h *Hub) input(s *snapshot.Snapshot) Input {
	docs := s.Documents()
	return Input{
		Snapshot: s, Own: h.o.Own, Components: h.o.Components,
		Loaded: func(service string) *source.Loaded {
			if src := docs.Of(service); src != nil {
				return src.Loaded()
			}
			return nil
		},
		State: func(service string) string {
			src := docs.Of(service)
			if src == nil {
				return StateNone
			}
			return src.State().Phase
		},
	}
}

// Edition returns the latest document. Only the very first one is waited for, by those who
// come before it is there; before Use it is about nothing.
func (h *Hub) Edition() *Edition {
	if e := h.current.Load(); e != nil {
		return e
	}
	h.make(true)
	if e := h.current.Load(); e != nil {
		return e
	}
	return newEdition(nowhere())
}
