package apidocs

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"yett/internal/openapi"
	"yett/internal/snapshot"
)

// made counts the documents that a Hub makes.
type made struct {
	slog.Handler
	mu     sync.Mutex
	n      int
	faults int
}

func (m *made) Enabled(context.Context, slog.Level) bool { return true }

func (m *made) Handle(_ context.Context, r slog.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if strings.HasPrefix(r.Message, "made ") {
		m.n++
	} else {
		m.faults++
	}
	return nil
}

func (m *made) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.n
}

func hub(t *testing.T) (*Hub, *made, *snapshot.Snapshot) {
	t.Helper()
	s := compile(t, services("app")+all, files{"app.json": doc(ops("GET /t"), "")})
	log := &made{}
	o := hubOptions(t)
	o.Log = slog.New(log)
	return New(o), log, s
}

func TestEditionBeforeStart(t *testing.T) {
	h, log, s := hub(t)
	if n := h.Edition().Operations(); n != 0 {
		t.Errorf("%d operations before there is a snapshot", n)
	}
	h.Use(s)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if n := h.Edition().Operations(); n != 1 {
				t.Errorf("%d operations", n)
			}
		})
	}
	wg.Wait()
	if n := log.count(); n != 1 {
		t.Errorf("%d documents were made for those who waited for the first", n)
	}
	for version, want := range map[string]string{"": `"openapi":"3.1.`, "3.1": `"openapi":"3.1.`, "3.0": `"openapi":"3.0.`} {
		if text := string(h.Edition().File(version, false).Content()); !strings.Contains(text, want) {
			t.Errorf("%s: %.40s", version, text)
		}
		if text := string(h.Edition().File(version, true).Content()); !strings.HasPrefix(text, "openapi:") {
			t.Errorf("%s: %.40s", version, text)
		}
	}
	h.Close()
}

// A burst of changes makes one document, and what changes meanwhile makes another.
func TestBurst(t *testing.T) {
	h, log, s := hub(t)
	synctest.Test(t, func(t *testing.T) {
		inBubble(h)
		h.Start()
		for range 100 {
			h.Use(s)
			h.Changed()
			time.Sleep(quiet / 200)
		}
		time.Sleep(2 * quiet)
		synctest.Wait()
		if n := log.count(); n == 0 || n > 2 {
			t.Errorf("%d documents of one burst", n)
		}
		before := log.count()
		h.Changed()
		time.Sleep(2 * quiet)
		synctest.Wait()
		if n := log.count() - before; n != 1 {
			t.Errorf("%d documents of a change", n)
		}
		h.Close()
		h.Close()
	})
}

// Once there is a document nobody waits for the next one, and one that fails leaves it in place.
func TestNobodyWaits(t *testing.T) {
	h, log, s := hub(t)
	h.Use(s)
	first := h.Edition()
	begun, release := make(chan struct{}), make(chan struct{})
	h.o.Components = nil
	h.o.Own = func(string) *openapi.Node { panic("never asked") }
	page := compile(t, "routes: [{name: a, path: /h, auth: none, endpoint: health}]\n", nil)
	h.o.Own = func(string) *openapi.Node {
		close(begun)
		<-release
		panic("a fault")
	}
	h.Start()
	h.Use(page)
	<-begun
	if h.Edition() != first {
		t.Error("the document changed while another one is made")
	}
	close(release)
	h.Close()
	if h.Edition() != first || log.faults != 1 {
		t.Errorf("after a fault: %v, %d faults", h.Edition() == first, log.faults)
	}
}

// That nothing of a service is reached is told once, as long as it is so.
func TestUnreachedIsLogged(t *testing.T) {
	stray := compile(t, services("app")+"routes: [{name: a, path: /stock/**, auth: none, service: app}]\n", files{"app.json": doc(ops("GET /t"), "")})
	h, _, good := hub(t)
	var logged strings.Builder
	h.o.Log = slog.New(slog.NewTextHandler(&logged, nil))
	for i, want := range []int{1, 1, 1, 2} {
		h.snap.Store(stray)
		if i == 2 {
			h.snap.Store(good)
		}
		h.make(false)
		if n := strings.Count(logged.String(), "route a sends /stock/…"); n != want {
			t.Errorf("%d: told %d times, want %d\n%s", i, n, want, logged.String())
		}
	}
}

// inBubble makes what is waited for part of the bubble.
func inBubble(h *Hub) {
	h.wake, h.done, h.ready = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
}

// slowHub is a Hub that calls slow for each document.
func slowHub(t *testing.T, slow func()) (*Hub, *made) {
	t.Helper()
	s := compile(t, "routes: [{name: a, path: /h.json, auth: none, endpoint: docs}]\n", nil)
	log := &made{}
	o := hubOptions(t)
	o.Log = slog.New(log)
	o.Own = func(page string) *openapi.Node {
		if page == "docs" {
			slow()
		}
		return nil
	}
	h := New(o)
	h.Use(s)
	return h, log
}

// Where making a document takes long, changes without end take a small part of the time.
func TestRest(t *testing.T) {
	h, log := slowHub(t, func() { time.Sleep(time.Second) })
	synctest.Test(t, func(t *testing.T) {
		inBubble(h)
		h.Start()
		for range 600 {
			h.Changed()
			time.Sleep(100 * time.Millisecond)
		}
		if n := log.count(); n < 8 || n > 10 {
			t.Errorf("%d documents that take a second were made in a minute", n)
		}
		h.Close()
	})
}

// A document that is being made for somebody who asked is not the last one, when what it is
// about changes meanwhile.
func TestChangeWhileFirstIsMade(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	h, _ := slowHub(t, func() { close(begun); <-release })
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		h.Wait(t.Context())
	}()
	<-begun
	h.Use(compile(t, "routes: [{name: a, path: /h, auth: none, endpoint: health}]\n", nil))
	if !h.wanted() {
		t.Error("the change makes no document")
	}
	close(release)
	<-asked
	h.Close()
}

// What nobody can ask for is not made, until somebody does.
func TestNotWanted(t *testing.T) {
	for text, want := range map[string]int{
		"routes: [{name: a, path: /h, auth: none, endpoint: health}]\n":    0,
		"routes: [{name: a, path: /h.json, auth: none, endpoint: docs}]\n": 1,
		services("app") + all: 1,
	} {
		s := compile(t, text, files{"app.json": doc(ops("GET /t"), "")})
		log := &made{}
		o := hubOptions(t)
		o.Log = slog.New(log)
		o.Own = func(string) *openapi.Node { return nil }
		h := New(o)
		synctest.Test(t, func(t *testing.T) {
			inBubble(h)
			h.Start()
			h.Use(s)
			time.Sleep(time.Second)
			if n := log.count(); n != want {
				t.Errorf("%s: %d documents, want %d", text, n, want)
			}
			e := h.Edition()
			synctest.Wait() // the log is told a moment after it is there
			if e == nil || log.count() != 1 {
				t.Errorf("%s: asked for, %d documents", text, log.count())
			}
			h.Close()
		})
	}
}

// Nobody waits for the first document without end, and a Hub ends though one is being made.
func TestFirstIsWaitedForOnly(t *testing.T) {
	release := make(chan struct{})
	h, log := slowHub(t, func() { <-release })
	synctest.Test(t, func(t *testing.T) {
		inBubble(h)
		release = make(chan struct{})
		begin := time.Now()
		if e, took := h.Edition(), time.Since(begin); e != nil || took != 2*time.Second {
			t.Errorf("%v after %s", e, took)
		}
		begin = time.Now()
		h.Close()
		if took := time.Since(begin); took != time.Second || log.faults != 1 {
			t.Errorf("it closed after %s, and told %d times", took, log.faults)
		}
		if h.Edition() != nil {
			t.Error("there is a document of a Hub that is closed")
		}
		close(release)
	})
	if log.count() != 0 {
		t.Error("a document was made that nobody wants")
	}
}

// A document that nobody wants any more is given up at once.
func TestStop(t *testing.T) {
	conf, docs := large(2000)
	in := input(t, compile(t, conf, docs))
	for _, after := range []int{0, 1, 100, 1500} {
		asked := 0
		in.Stop = func() bool { asked++; return asked > after }
		if Merge(in) != nil || asked != after+1 {
			t.Errorf("after %d: it was asked %d times, and went on", after, asked)
		}
	}
}
