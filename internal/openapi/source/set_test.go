package source

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"yett/internal/config"
	"yett/internal/sweep"
	"yett/internal/upstream"
	"yett/internal/wire"
)

// services makes services of names and where their documents are.
func services(all ...any) (m config.Mapping[config.Service]) {
	for i := 0; i < len(all); i += 2 {
		m = append(m, config.Entry[config.Service]{Name: all[i].(string), Value: config.Service{OpenAPI: filled(all[i+1].(config.OpenAPI))}})
	}
	return m
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name    string
		c       config.OpenAPI
		written string
		want    []string
	}{
		{"nothing", config.OpenAPI{}, "", nil},
		{"path", config.OpenAPI{Path: "/openapi.json?all=1"}, "path refresh timeout max_size", nil},
		{"url", config.OpenAPI{URL: "https://me:pw@docs.example:8443/a?b"}, "url refresh timeout max_size", nil},
		{"file", config.OpenAPI{File: "docs/a.yaml"}, "file refresh max_size", nil},
		{"pattern", config.OpenAPI{Path: "/docs/**"}, "", []string{`path: "/docs/**" is a pattern, and the document has one path, write a path such as /openapi.json`}},
		{"value", config.OpenAPI{Path: "/{v}/openapi.json"}, "", []string{`path: "/{v}/openapi.json" is a pattern`}},
		{"star in the query", config.OpenAPI{Path: "/openapi.json?fields=*"}, "", nil},
		{"two", config.OpenAPI{Path: "/a", URL: "http://x"}, "", []string{"url: path and url are different places"}},
		{"three", config.OpenAPI{Path: "/a", URL: "http://x", File: "x"}, "", []string{"url: path and url and file are different places"}},
		{"no slash", config.OpenAPI{Path: "openapi.json"}, "", []string{`path: "openapi.json" is no path, write a path`}},
		{"blank", config.OpenAPI{Path: "/a b"}, "", []string{`path: "/a b" is no path`}},
		{"line", config.OpenAPI{Path: "/a\r\nX: y"}, "", []string{`path: "/a\r\nX: y" is no path`}},
		{"not ASCII", config.OpenAPI{Path: "/ä"}, "", []string{`path: "/ä" is no path`}},
		{"escape", config.OpenAPI{Path: "/%zz"}, "", []string{`path: "/%zz" is no path`}},
		{"fragment", config.OpenAPI{Path: "/a#b"}, "", []string{`path: what is behind # is never sent`}},
		{"URL as path", config.OpenAPI{Path: "https://x/a"}, "", []string{`path: is an address and no path, write it as url`}},
		{"path as URL", config.OpenAPI{URL: "/a"}, "", []string{`url: is no address`}},
		{"host as URL", config.OpenAPI{URL: "docs.example:80/a"}, "", []string{`url: is no address`}},
		{"file URL", config.OpenAPI{URL: "file:///etc/passwd"}, "", []string{`url: a document is not fetched by file, write http:// or https://, or file for one on this machine`}},
		{"no host", config.OpenAPI{URL: "https:///a"}, "", []string{`url: the host is missing`}},
		{"bad URL", config.OpenAPI{URL: "https://me:secret@x:port/"}, "", []string{`url: is no address`}},
		{"URL with fragment", config.OpenAPI{URL: "https://x/#a"}, "", []string{`url: what is behind #`}},
		{"URL as file", config.OpenAPI{File: "https://x/a"}, "", []string{`file: is an address and no file, write it as url`}},
		{"timeout of a file", config.OpenAPI{File: "x"}, "file timeout", []string{"timeout: means nothing with a file"}},
		{"nowhere", config.OpenAPI{}, "refresh timeout max_size", []string{"refresh: means nothing without a document", "timeout: means nothing", "max_size: means nothing"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wrote := func(key string) bool { return slices.Contains(strings.Fields(tt.written), key) }
			got := Check(&tt.c, Written{Has: wrote, Wrote: wrote})
			if len(got) != len(tt.want) {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i].String(), tt.want[i]) || got[i].Hint == "" || strings.Contains(got[i].String(), "secret") {
					t.Errorf("got %s, want %s", got[i], tt.want[i])
				}
			}
		})
	}
	// A place that comes by a variable may be empty today.
	variable := Written{Has: func(key string) bool { return true }, Wrote: func(key string) bool { return key == "timeout" }}
	if got := Check(&config.OpenAPI{}, variable); len(got) > 0 {
		t.Error(got)
	}
}

func TestNewSet(t *testing.T) {
	name := filepath.Join(t.TempDir(), "tickets.json")
	write(t, name, document("Tickets"), false)
	wrote := func(path string) bool {
		return path == "services.late.openapi" || path == "services.late.openapi.timeout" || path == "services.empty.openapi"
	}
	var logged logs
	set, problems := NewSet(services(
		"tickets", config.OpenAPI{File: name},
		"plain", config.OpenAPI{},
		"late", config.OpenAPI{},
		"empty", config.OpenAPI{},
		"bad", config.OpenAPI{Path: "bad"},
		"missing", config.OpenAPI{File: name + ".not"},
		"customers", config.OpenAPI{Path: "/openapi.json"},
	), SetDeps{Log: slog.New(slog.NewTextHandler(&logged, nil)), Wrote: wrote, Changed: func() { t.Error("changed") }}, nil)
	var paths, names []string
	for _, p := range problems {
		paths = append(paths, p.Path)
	}
	if want := []string{"services.late.openapi.timeout", "services.empty.openapi", "services.bad.openapi.path"}; !slices.Equal(paths, want) {
		t.Errorf("got %q, want %q", paths, want)
	}
	for _, s := range set.All() {
		names = append(names, s.Service())
		if set.Of(s.Service()) != s {
			t.Error(s.Service())
		}
	}
	if want := []string{"tickets", "missing", "customers"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if set.Of("plain") != nil || set.Of("bad") != nil {
		t.Error("a service without a document has a source")
	}
	// What is on this machine is there at once, and nobody is told before it is started.
	if l := set.Of("tickets").Loaded(); l == nil || l.Title != "Tickets" {
		t.Errorf("%+v", l)
	}
	if st := set.Of("missing").State(); st.Phase != Waiting || !strings.Contains(st.Problem, "no such file") {
		t.Errorf("%+v", st)
	}
	if lines := logged.take(); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
	set.Retire(nil) // though it was never started
}

// Nothing is a set without sources.
func TestNoSet(t *testing.T) {
	var set *Set
	if set.Of("x") != nil || set.All() != nil {
		t.Error("there is something")
	}
	set.Start()
	set.Retire(nil)
}

// A configuration that is loaded again keeps what has stayed the same, and begins with what
// is known of the rest.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var asked []string
		deps := func(title string) SetDeps {
			return SetDeps{Get: func(_ context.Context, service string, ask upstream.Ask) (*upstream.Page, error) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, title+" "+service+ask.Path)
				return &upstream.Page{Status: 200, Body: []byte(document(title))}, nil
			}}
		}
		take := func(want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			slices.Sort(asked)
			if !slices.Equal(asked, want) {
				t.Errorf("asked %q, want %q", asked, want)
			}
			asked = nil
		}
		old, _ := NewSet(services("same", config.OpenAPI{Path: "/a"}, "slower", config.OpenAPI{Path: "/a"}, "moved", config.OpenAPI{Path: "/a"}, "gone", config.OpenAPI{Path: "/a"}), deps("old"), nil)
		old.Start()
		synctest.Wait()
		take("old gone/a", "old moved/a", "old same/a", "old slower/a")

		next, _ := NewSet(services("slower", config.OpenAPI{Path: "/a", Refresh: config.Duration(time.Hour)}, "moved", config.OpenAPI{Path: "/b"}, "same", config.OpenAPI{Path: "/a"}), deps("new"), old)
		if next.Of("same") != old.Of("same") {
			t.Error("a source with the same settings is another one")
		}
		if l := next.Of("slower").Loaded(); l == nil || l != old.Of("slower").Loaded() || next.Of("slower").State().Phase != Good {
			t.Errorf("%+v", next.Of("slower").State())
		}
		if st := next.Of("moved").State(); st.Phase != Waiting || next.Of("moved").Loaded() != nil {
			t.Errorf("the document of another place counts: %+v", st)
		}
		pass(6 * time.Minute)
		take("old gone/a", "old moved/a", "old same/a", "old slower/a") // nothing has happened yet
		next.Start()
		old.Retire(next)
		synctest.Wait()
		take("new moved/b", "new same/a", "new slower/a")
		for _, s := range next.All() {
			if st := s.State(); st.Phase != Good || st.Title != "new" {
				t.Errorf("%+v", st)
			}
		}
		pass(6 * time.Minute)
		take("new moved/b", "new same/a")
		next.Retire(nil)
		pass(time.Hour)
		take()
	})
}

// Between making a source and starting it the one before it may have found another document.
func TestTakeOverAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{body: document("One")}
		old := scripted(t, s, config.OpenAPI{})
		old.Start()
		synctest.Wait()
		hangs := &script{hold: make(chan struct{})}
		c := filled(config.OpenAPI{Path: "/openapi.json", Timeout: config.Duration(time.Minute)})
		next := New("tickets", c, Deps{Get: hangs.get, Previous: old.Source})
		s.say(document("Two"), nil)
		old.Start()
		synctest.Wait()
		next.Start()
		old.Close()
		synctest.Wait()
		if l := next.Loaded(); l == nil || l.Title != "Two" || next.previous != nil {
			t.Errorf("%+v", next.State())
		}
		next.Close()
	})
}

// A file has been read when its source starts, and that counts, not what was before.
func TestFileCountsAtStart(t *testing.T) {
	name := filepath.Join(t.TempDir(), "tickets.json")
	write(t, name, document("One"), false)
	old, _ := NewSet(services("tickets", config.OpenAPI{File: name}), SetDeps{}, nil)
	write(t, name, document("Two"), false)
	next, _ := NewSet(services("tickets", config.OpenAPI{File: name, Refresh: config.Duration(time.Hour)}), SetDeps{}, old)
	s := next.Of("tickets")
	s.takeOver(true)
	if old.Of("tickets").Loaded().Title != "One" || s.Loaded().Title != "Two" {
		t.Errorf("%+v", s.State())
	}
}

// The document of a service comes the way of its requests.
func TestThroughAService(t *testing.T) {
	var conf config.Service
	conf.Targets = []string{fixed(t, 200, document("Served"))}
	conf.Timeouts.SetDefaults()
	conf.Connections.SetDefaults()
	conf.Limits.SetDefaults()
	conf.SetDefaults()
	sweeper := sweep.New()
	defer sweeper.Close()
	service, err := upstream.New("tickets", conf, upstream.Deps{Buffers: &wire.Buffers{}, Sweeper: sweeper})
	if err != nil {
		t.Fatal(err)
	}
	service.Start()
	defer service.Close()
	changed := make(chan struct{}, 1)
	set, problems := NewSet(services("tickets", config.OpenAPI{Path: "/openapi.json?x=1"}), SetDeps{
		Get: func(ctx context.Context, _ string, ask upstream.Ask) (*upstream.Page, error) {
			return service.Get(ctx, ask)
		},
		Changed: func() { changed <- struct{}{} },
	}, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	set.Start()
	defer set.Retire(nil)
	receive(t, changed)
	if st := set.Of("tickets").State(); st.Phase != Good || st.Title != "Served" || st.From != "/openapi.json" || st.Kind != KindPath {
		t.Errorf("%+v", st)
	}
}
