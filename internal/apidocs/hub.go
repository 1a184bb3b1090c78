package apidocs

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/openapi"
	"yett/internal/openapi/source"
	"yett/internal/snapshot"
)

// Options are what a Hub needs to know.
type Options struct {
	// Own and Components describe the gateway's own pages, see Input. They are not called before
	// a document is made.
	Own        func(endpoint string) *openapi.Node
	Components func() *openapi.Document
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
	wake  chan struct{}
	done  chan struct{}
	close sync.Once
	wg    sync.WaitGroup
	// life guards begun, which tells that the first document is being made because somebody
	// waits for it; ready is closed when there is one.
	life    sync.Mutex
	begun   bool
	ready   chan struct{}
	current atomic.Pointer[Edition]
	mu      sync.Mutex // held while a document is made; guards warned
	warned  map[string]string
}

// New makes a Hub. It makes nothing before Use, and nothing in the background before Start.
func New(o Options) *Hub {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Hub{o: o, wake: make(chan struct{}, 1), done: make(chan struct{}), ready: make(chan struct{})}
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

// share is how many times as long as it took to make a document no other one is made, so that
// changes without end cost a small part of a processor, and longestRest is the longest that is.
const (
	share       = 5
	longestRest = time.Minute
)

// Start makes documents in the background from here on. Close ends it.
func (h *Hub) Start() {
	h.background(func() {
		rest := time.Duration(0)
		for h.pause(rest) {
			select {
			case <-h.done:
				return
			case <-h.wake:
			}
			if !h.pause(quiet) {
				return
			}
			if !h.wanted() {
				continue
			}
			begin := time.Now()
			h.make(false)
			rest = min(share*time.Since(begin), longestRest)
		}
	})
}

// wanted tells whether the document is to be there before anybody asks for it: there is a page
// for it, or a service's document to be looked at, or somebody has asked.
func (h *Hub) wanted() bool {
	h.life.Lock()
	asked := h.begun
	h.life.Unlock()
	s := h.snap.Load()
	return asked || h.current.Load() != nil || s != nil && (len(s.Documents().All()) > 0 || slices.ContainsFunc(s.Routes(), func(r *snapshot.Route) bool {
		return r.Config().Endpoint == "docs" || r.Config().Endpoint == "docs_status"
	}))
}

// pause waits, and tells whether work goes on.
func (h *Hub) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-h.done:
		return false
	case <-t.C:
		return true
	}
}

// background runs f, unless the Hub is closed.
func (h *Hub) background(f func()) {
	h.life.Lock()
	defer h.life.Unlock()
	if !h.closed() {
		h.wg.Go(f)
	}
}

func (h *Hub) closed() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// longestClose is how long Close waits for a document that is being made.
const longestClose = time.Second

// Close ends what is done in the background. A document that is being made is given up; what
// does not see that within a second is not waited for.
func (h *Hub) Close() {
	h.close.Do(func() {
		h.life.Lock()
		defer h.life.Unlock()
		close(h.done)
	})
	ended := make(chan struct{})
	go func() {
		h.wg.Wait()
		close(ended)
	}()
	t := time.NewTimer(longestClose)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
		h.o.Log.Warn("an OpenAPI document is still being made while the gateway ends")
	}
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
			if h.current.Load() == nil {
				h.publish(newEdition(nowhere()))
			}
		}
	}()
	s := h.snap.Load()
	if s == nil {
		return
	}
	begin := time.Now()
	merged := Merge(h.input(s))
	if merged == nil {
		return // closed
	}
	e := newEdition(merged)
	size := len(e.json31().Content()) // so that nobody has to wait for it
	h.publish(e)
	h.warn(e.Merged)
	h.o.Log.Debug("made the OpenAPI document", "operations", len(e.Merged.Shown), "bytes", size, "took", time.Since(begin).String())
}

// publish makes an edition the latest one. It is called with mu held.
func (h *Hub) publish(e *Edition) {
	if h.current.Swap(e) == nil {
		close(h.ready)
	}
}

// warn tells the log of services of which nothing is reached, once for each.
func (h *Hub) warn(m *Merged) {
	now := make(map[string]string)
	for _, l := range m.Left {
		if l.Method != "" {
			continue
		}
		if now[l.Service] = l.Why; h.warned[l.Service] == l.Why {
			continue
		}
		text := "no operation of a service's OpenAPI document is reached"
		if l.tooLarge {
			text = "a service is left out of the OpenAPI document"
		}
		h.o.Log.Warn(text, "service", l.Service, "cause", l.Why)
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
	var components *openapi.Document
	if h.o.Components != nil {
		components = h.o.Components()
	}
	return Input{
		Snapshot: s, Own: h.o.Own, Components: components,
		Stop: h.closed,
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

// longestWait is how long Edition waits for the first document.
const longestWait = 2 * time.Second

// Edition returns the latest document. Only the very first one is waited for, by those who
// come before it is there, for two seconds: then it returns nil. Before Use the document is
// about nothing.
func (h *Hub) Edition() *Edition {
	if e := h.current.Load(); e != nil {
		return e
	}
	ctx, cancel := context.WithTimeout(context.Background(), longestWait)
	defer cancel()
	return h.Wait(ctx)
}

// Wait returns the latest document, and waits for the first one until ctx ends or the Hub is
// closed: then it returns nil.
func (h *Hub) Wait(ctx context.Context) *Edition {
	if h.snap.Load() == nil {
		return newEdition(nowhere())
	}
	h.begin()
	select {
	case <-h.ready:
	case <-ctx.Done():
	case <-h.done:
	}
	return h.current.Load()
}

// begin makes the first document in the background, once.
func (h *Hub) begin() {
	h.life.Lock()
	begun := h.begun
	h.begun = true
	h.life.Unlock()
	if !begun {
		h.background(func() { h.make(true) })
	}
}
