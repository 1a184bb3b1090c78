package source

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"yett/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is how long a test waits for what has to happen.
const limit = 10 * time.Second

// document is a good one with that title.
func document(title string) string {
	return fmt.Sprintf(`{"openapi": "3.1.0", "info": {"title": %q, "version": "1"}, "paths": {"/tickets": {"get": {"responses": {"200": {"description": "All."}}}}}}`, title)
}

// fixture is a Source with what it tells.
type fixture struct {
	*Source
	t       *testing.T
	changed chan struct{}
	logged  *logs
}

// logs is what was logged.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns the lines so far, and forgets them.
func (l *logs) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return strings.FieldsFunc(l.b.String(), func(c rune) bool { return c == '\n' })
}

// source makes a Source that is closed when the test ends. c has its defaults where it is zero.
func source(t *testing.T, c config.OpenAPI, change ...func(*Deps)) *fixture {
	t.Helper()
	f := &fixture{t: t, changed: make(chan struct{}, 1000), logged: &logs{}}
	deps := Deps{Log: slog.New(slog.NewTextHandler(f.logged, nil)), Changed: func() { f.changed <- struct{}{} }}
	for _, do := range change {
		do(&deps)
	}
	f.Source = New("tickets", filled(c), deps)
	t.Cleanup(f.Close)
	return f
}

func filled(c config.OpenAPI) config.OpenAPI {
	var d config.OpenAPI
	d.SetDefaults()
	if c.Refresh == 0 {
		c.Refresh = d.Refresh
	}
	if c.Timeout == 0 {
		c.Timeout = d.Timeout
	}
	if c.MaxSize == 0 {
		c.MaxSize = d.MaxSize
	}
	return c
}

// once looks once, and returns the phase, the title and the problem.
func (f *fixture) once() string {
	f.t.Helper()
	f.look(context.Background(), true)
	return f.said()
}

func (f *fixture) said() string {
	st := f.State()
	return strings.Join(strings.Fields(st.Phase+" "+st.Title+" "+st.Problem), " ")
}

func (f *fixture) want(got, want string) {
	f.t.Helper()
	if got != want {
		f.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// changes tells how often it was told that something has changed, since the last time.
func (f *fixture) changes(want int) {
	f.t.Helper()
	if got := len(f.changed); got != want {
		f.t.Errorf("%d changes were told, want %d", got, want)
	}
	for len(f.changed) > 0 {
		<-f.changed
	}
}

// receive returns what comes from a channel in time.
func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(limit):
		t.Fatal("nothing has come")
		panic("unreachable")
	}
}

// server answers on loopback until the test ends.
func server(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(handle)
	t.Cleanup(srv.Close)
	return srv.URL
}

// fixed is a server that always answers that.
func fixed(t *testing.T, status int, body string, fields ...string) string {
	t.Helper()
	return server(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}
