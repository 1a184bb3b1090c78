// Package source has the document of each service at hand: it reads or fetches it, looks
// for a new one now and then, and keeps the last good one.
//
// Nobody waits for a document. What asks for one gets what is there, and a service that has
// none yet, or a bad one, is asked again beside all that.
package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/config"
	"yett/internal/openapi"
	"yett/internal/openapi/contract"
	"yett/internal/problem"
	"yett/internal/upstream"
)

// The kinds of places where a document can be.
const (
	KindPath = "path"
	KindURL  = "url"
	KindFile = "file"
)

// The phases of a Source.
const (
	// Waiting is that there was no good document yet.
	Waiting = "waiting"
	// Good is that the last look found a good one.
	Good = "good"
	// Stale is that the last look failed, and the last good one counts.
	Stale = "stale"
)

const (
	// firstRetry is how long after a failure the next look is, twice as long after each
	// further one, up to lastRetry or what refresh says.
	firstRetry = time.Second
	lastRetry  = time.Minute
	// longReading is from when on a document that is being read shows as a problem, patience
	// how long Close waits for it.
	longReading = 10 * time.Second
	patience    = 2 * time.Second
)

// Loaded is a document that was good. It never changes: whoever has one keeps it, whatever
// comes after it.
type Loaded struct {
	// Document has been brought to version 3.1. Written is the version that it came in.
	Document *openapi.Document
	Written  string
	Contract *contract.Contract
	// Notes are what the contract passes over, with places.
	Notes problem.List
	// Title is that of the document, Operations how many it has.
	Title      string
	Operations int
	// At is when it came, Size how large it was in bytes.
	At   time.Time
	Size int

	sum [sha256.Size]byte
}

// State is what is known about a Source, for operators: problems name addresses and files.
type State struct {
	Service string
	// From is the path, URL (without user, password and query) or file, Kind which of them.
	From, Kind string
	// Phase is Waiting, Good or Stale.
	Phase string
	// Problem says in one line why the last look failed, or that one is still reading a document
	// after 10 seconds, "" for neither. Problems are all places in the document that are wrong,
	// none where it could not be had at all.
	Problem  string
	Problems problem.List
	// Checked is when the last look ended, zero before the first.
	Checked time.Time
	// What follows is that of the document that counts, zero where there is none.
	At               time.Time
	Version, Title   string
	Operations, Size int
	Notes            problem.List
}

// Deps is what a Source needs beside its configuration.
type Deps struct {
	// Log gets a line when the document becomes bad, when it is good again, and when it is
	// another one; nil for nobody.
	Log *slog.Logger
	// Resolve returns the place of a file as it is written; nil takes it as it is.
	Resolve func(file string) string
	// Get asks the service for a page. It may be nil for a document that is elsewhere.
	Get func(ctx context.Context, ask upstream.Ask) (*upstream.Page, error)
	// Previous is the Source of the same service before this one; its document counts until
	// this one has its own, if it is at the same address. nil for none.
	Previous *Source
	// Changed is called when there is another document, or another phase, from the goroutine
	// of the Source, which it must not close. nil for nobody.
	Changed func()
	// Gate bounds by its capacity how many documents are compiled at the same time by those
	// who share it; nil for no bound.
	Gate chan struct{}
}

// Source is where the document of one service comes from. Its methods may be called from
// any goroutine.
type Source struct {
	service, from, kind string
	conf                config.OpenAPI
	file                string // resolved
	name                string // of the document in messages
	url                 *url.URL
	user                *url.Userinfo
	transport           *http.Transport // nil unless it is a URL
	deps                atomic.Pointer[Deps]
	make                func(data []byte) (*Loaded, *failure) // read, unless a test has another one
	loaded              atomic.Pointer[Loaded]
	wake                chan struct{} // of one place: to look now
	looked              chan struct{} // closed when the first look has ended

	looking sync.Mutex // held by the one who looks; guards seen
	seen    seen

	mu       sync.Mutex
	phase    string
	failure  *failure // of the last look; nil for none
	checked  time.Time
	reading  time.Time // since when a document is being read; zero for not
	told     string    // Good or Stale, as the log has it; "" for nothing yet
	own      bool      // has looked itself
	previous *Source
	stop     context.CancelFunc // nil before Start
	done     chan struct{}      // closed when the goroutine has ended
	closed   bool
}

// seen is the content that was looked at last.
type seen struct {
	stamp   stamp
	sum     [sha256.Size]byte
	any     bool
	failure *failure // what was wrong with it, nil for nothing
}

// failure is why a look failed.
type failure struct {
	text     string
	problems problem.List
}

// Error returns the reason in one line.
func (f *failure) Error() string { return f.text }

// New makes a Source that does nothing before Start. The configuration has passed Check.
func New(service string, c config.OpenAPI, deps Deps) *Source {
	s := &Source{service: service, conf: c, phase: Waiting, wake: make(chan struct{}, 1), looked: make(chan struct{})}
	s.make = s.read
	switch {
	case c.File != "":
		s.kind, s.from, s.file = KindFile, c.File, c.File
		if deps.Resolve != nil {
			s.file = deps.Resolve(c.File)
		}
		s.name = s.file
	case c.URL != "":
		s.kind = KindURL
		s.address(c.URL)
		s.name = s.from
	default:
		s.kind = KindPath
		s.from, _, _ = strings.Cut(c.Path, "?")
		s.name = service + s.from
	}
	if old := deps.Previous; old != nil && s.sameAddress(old) {
		s.previous = old
	}
	deps.Previous = nil
	s.deps.Store(&deps)
	s.takeOver(false)
	return s
}

// address takes a URL apart.
func (s *Source) address(text string) {
	u, err := url.Parse(text)
	if err != nil { // Check has looked at it
		u = &url.URL{}
	}
	s.user, u.User = u.User, nil
	s.url, s.from, s.transport = u, shown(u), newTransport()
}

// shown is a URL without what may be secret.
func shown(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// sameAddress tells whether another Source looks at the same place.
func (s *Source) sameAddress(other *Source) bool {
	return s.service == other.service && s.conf.Path == other.conf.Path && s.conf.URL == other.conf.URL && s.file == other.file
}

// same tells whether another Source would do the same.
func (s *Source) same(other *Source) bool { return s.conf == other.conf && s.sameAddress(other) }

// takeOver begins with the document of the Source before this one, as it is by now. The
// last time lets go of that.
func (s *Source) takeOver(last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.previous
	if last {
		s.previous = nil // which could hold on to all before it
	}
	if old == nil || s.own {
		return
	}
	old.mu.Lock()
	defer old.mu.Unlock()
	s.loaded.Store(old.loaded.Load())
	s.phase, s.failure, s.checked = old.phase, old.failure, old.checked
}

// Service returns the name of the service.
func (s *Source) Service() string { return s.service }

// Loaded returns the last good document, nil as long as there was none.
func (s *Source) Loaded() *Loaded { return s.loaded.Load() }

// State returns what is known at this moment.
func (s *Source) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{Service: s.service, From: s.from, Kind: s.kind, Phase: s.phase, Checked: s.checked}
	if f := s.failure; f != nil {
		st.Problem, st.Problems = f.text, f.problems
	}
	if !s.reading.IsZero() && time.Since(s.reading) >= longReading {
		st.Problem, st.Problems = "it is being read since "+s.reading.UTC().Format(time.RFC3339)+", which takes too long", nil
	}
	if l := s.loaded.Load(); l != nil {
		st.At, st.Version, st.Title = l.At, l.Written, l.Title
		st.Operations, st.Size, st.Notes = l.Operations, l.Size, l.Notes
	}
	return st
}

// Wait waits until it was looked once, however that went, or ctx ends.
func (s *Source) Wait(ctx context.Context) {
	select {
	case <-s.looked:
	case <-ctx.Done():
	}
}

// Start begins to look for the document, in a goroutine, and does not wait for it. When that
// runs already, it looks now. Close ends it.
func (s *Source) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
	case s.stop != nil:
		select {
		case s.wake <- struct{}{}:
		default:
		}
	default:
		var ctx context.Context
		ctx, s.stop = context.WithCancel(context.Background())
		s.done = make(chan struct{})
		go s.run(ctx)
	}
}

// Close ends the goroutine and waits for that, but no longer than 2 seconds: one that is
// reading a document can't be stopped, and ends by itself when it has read it, which nobody
// gets to see any more. What was loaded stays.
func (s *Source) Close() {
	s.mu.Lock()
	s.closed = true
	stop, done := s.stop, s.done
	s.mu.Unlock()
	if stop != nil {
		stop()
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
		}
	}
}

// run looks again and again until ctx ends.
func (s *Source) run(ctx context.Context) {
	defer close(s.done)
	s.takeOver(true)
	retry := firstRetry
	for ctx.Err() == nil {
		wait := time.Duration(s.conf.Refresh)
		if s.look(ctx, true) {
			retry = firstRetry
		} else {
			wait = min(retry, wait)
			retry = min(2*retry, lastRetry)
		}
		timer := time.NewTimer(wait*9/10 + rand.N(wait/5+1))
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// look looks once, and tells whether there is a good document. aloud tells the log and
// whoever wants to know of changes.
func (s *Source) look(ctx context.Context, aloud bool) bool {
	s.looking.Lock()
	defer s.looking.Unlock()
	fresh, err := s.find(ctx)
	var f *failure
	switch {
	case ctx.Err() != nil || errors.Is(err, upstream.ErrClosed):
		return false // which says nothing about the document
	case err != nil && !errors.As(err, &f):
		f = &failure{text: line(err.Error())}
	}
	changed := s.note(fresh, f)
	if aloud {
		s.tell(f, changed)
	}
	return f == nil
}

// find returns the document as it is now, the one that counts where it is still that.
func (s *Source) find(ctx context.Context) (*Loaded, error) {
	got, err := s.ask(ctx)
	if err != nil {
		return nil, err
	}
	sum := s.seen.sum
	if !got.same {
		sum = sha256.Sum256(got.data)
	}
	if last := s.seen; last.any && last.sum == sum && last.failure != nil {
		s.seen.stamp = got.stamp
		return nil, last.failure
	}
	if l := s.loaded.Load(); l != nil && l.sum == sum {
		s.seen = seen{stamp: got.stamp, sum: sum, any: true}
		return l, nil
	}
	return s.compile(ctx, got, sum)
}

// compile makes a document of what has come, when it is its turn.
func (s *Source) compile(ctx context.Context, got answer, sum [sha256.Size]byte) (*Loaded, error) {
	if gate := s.deps.Load().Gate; gate != nil {
		select {
		case gate <- struct{}{}:
			defer func() { <-gate }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	l, f := s.readNoting(got.data)
	s.seen = seen{stamp: got.stamp, sum: sum, any: true, failure: f}
	if f != nil {
		return nil, f
	}
	l.sum = sum
	if last := s.loaded.Load(); last != nil {
		l.Contract.Inherit(last.Contract)
	}
	return l, nil
}

// readNoting reads a document, and notes since when.
func (s *Source) readNoting(data []byte) (*Loaded, *failure) {
	note := func(since time.Time) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reading = since
	}
	note(time.Now())
	defer note(time.Time{})
	return s.make(data)
}

// note takes over what a look has found, and tells whether that changes the document or the
// phase.
func (s *Source) note(fresh *Loaded, f *failure) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, last := s.phase, s.loaded.Load()
	if !s.own {
		defer close(s.looked) // when what was found is there
	}
	s.own, s.checked, s.failure = true, time.Now(), f
	switch {
	case f == nil:
		s.phase = Good
		s.loaded.Store(fresh)
		return before != Good || fresh != last
	case last != nil:
		s.phase = Stale
	}
	return before != s.phase
}

// tell tells the log, and whoever wants to know.
func (s *Source) tell(f *failure, changed bool) {
	deps := s.deps.Load()
	s.mu.Lock()
	before := s.told
	if s.told = Good; f != nil {
		s.told = Stale
	}
	again := before == s.told && !(f == nil && changed)
	s.mu.Unlock()
	if deps.Log != nil && !again {
		s.log(deps.Log, f, before)
	}
	if deps.Changed != nil && changed {
		deps.Changed()
	}
}

func (s *Source) log(log *slog.Logger, f *failure, before string) {
	log = log.With("service", s.service, "from", s.from)
	l := s.loaded.Load()
	switch {
	case f != nil && l == nil:
		log.Warn("the OpenAPI document of a service can't be had", "error", f.text)
	case f != nil:
		log.Warn("the OpenAPI document of a service can't be had any more; the last good one counts", "error", f.text, "since", l.At)
	case before == Stale:
		log.Info("the OpenAPI document of a service is good again", "operations", l.Operations, "bytes", l.Size)
	default:
		log.Info("the OpenAPI document of a service was loaded", "operations", l.Operations, "bytes", l.Size)
	}
}
