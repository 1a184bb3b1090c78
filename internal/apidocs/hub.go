package apidocs

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/apidocs/ui"
	"yett/internal/openapi"
	"yett/internal/openapi/source"
	"yett/internal/snapshot"
)

// Options are what a Hub needs to know.
type Options struct {
	// Version is that of the API where the configuration names none.
	Version string
	// Own and Components describe the gateway's own pages, see Input.
	Own        func(endpoint string) *openapi.Node
	Components *openapi.Document
	// Log is told how long it took to make a document, nil for nobody.
	Log *slog.Logger
}

// Hub holds the gateway's document and makes a new one when the snapshot or a service's
// document has changed. Its methods may be called from any goroutine.
type Hub struct {
	o    Options
	snap atomic.Pointer[snapshot.Snapshot]
	// stale tells that a document has to be made, wake that it is to be done now.
	wake    chan struct{}
	done    chan struct{}
	close   sync.Once
	wg      sync.WaitGroup
	current atomic.Pointer[Edition]
	mu      sync.Mutex // held while a document is made
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
			h.make()
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

// make makes the document of what is known now.
func (h *Hub) make() *Edition {
	h.mu.Lock()
	defer h.mu.Unlock()
	begin := time.Now()
	e := newEdition(Merge(h.input()))
	h.current.Store(e)
	h.o.Log.Debug("made the OpenAPI document", "operations", len(e.Merged.Shown), "bytes", len(e.json31().Content()), "took", time.Since(begin).String())
	return e
}

func (h *Hub) input() Input {
	s := h.snap.Load()
	docs := s.Documents()
	return Input{
		Snapshot: s, Version: h.o.Version, Own: h.o.Own, Components: h.o.Components,
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

// Edition returns the latest document. Only the very first one is waited for.
func (h *Hub) Edition() *Edition {
	if e := h.current.Load(); e != nil {
		return e
	}
	return h.make()
}

// Edition is one document in all its forms. What is seldom asked for is written when it is
// asked for the first time.
type Edition struct {
	Merged                         *Merged
	json31, yaml31, json30, yaml30 func() *ui.File
}

// The content types of documents (RFC 9512 for the latter).
const (
	typeJSON = "application/json; charset=utf-8"
	typeYAML = "application/yaml; charset=utf-8"
)

func newEdition(m *Merged) *Edition {
	older := sync.OnceValue(func() *openapi.Node { return m.Document.Downgrade().Root })
	file := func(write func() []byte, contentType string) func() *ui.File {
		return sync.OnceValue(func() *ui.File { return ui.NewFile(write(), contentType) })
	}
	return &Edition{
		Merged: m,
		json31: file(func() []byte { return m.Document.Root.AppendJSON(nil, "") }, typeJSON),
		yaml31: file(func() []byte { return m.Document.Root.AppendYAML(nil) }, typeYAML),
		json30: file(func() []byte { return older().AppendJSON(nil, "") }, typeJSON),
		yaml30: file(func() []byte { return older().AppendYAML(nil) }, typeYAML),
	}
}

// Operations returns how many operations the document has.
func (e *Edition) Operations() int { return len(e.Merged.Document.Operations()) }

// File returns the document as callers get it: version is 3.0 or 3.1, "" for the latter.
func (e *Edition) File(version string, yaml bool) *ui.File {
	switch {
	case version == openapi.Version30 && yaml:
		return e.yaml30()
	case version == openapi.Version30:
		return e.json30()
	case yaml:
		return e.yaml31()
	}
	return e.json31()
}
