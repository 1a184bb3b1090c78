package watch

import (
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sum reads a file.
func sum(path string) Sum {
	data, err := os.ReadFile(path)
	if err != nil {
		return Sum{}
	}
	return sha256.Sum256(data)
}

type fixture struct {
	*Watcher
	t       *testing.T
	dir     string
	changed chan []string
}

func start(t *testing.T, o Options, files ...string) *fixture {
	f := &fixture{t: t, dir: t.TempDir(), changed: make(chan []string, 100)}
	o.Sum, o.Log = sum, slog.New(slog.DiscardHandler)
	o.Changed = func(paths []string) { f.changed <- paths }
	f.Watcher = New(o)
	t.Cleanup(f.Close)
	for _, name := range files {
		f.put(name, "first "+name)
	}
	f.Follow(f.sums(files...))
	return f
}

func (f *fixture) path(name string) string { return filepath.Join(f.dir, name) }

func (f *fixture) sums(names ...string) map[string]Sum {
	all := make(map[string]Sum)
	for _, name := range names {
		all[f.path(name)] = sum(f.path(name))
	}
	return all
}

func (f *fixture) put(name, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) replace(name, text string) {
	f.t.Helper()
	f.put("new", text)
	if err := os.Rename(f.path("new"), f.path(name)); err != nil {
		f.t.Fatal(err)
	}
}

// want waits for files that have changed.
func (f *fixture) want(names ...string) {
	f.t.Helper()
	for i, name := range names {
		names[i] = f.path(name)
	}
	select {
	case got := <-f.changed:
		if !slices.Equal(got, names) {
			f.t.Errorf("%v have changed, want %v", got, names)
		}
	case <-time.After(20 * time.Second):
		f.t.Fatalf("nobody said that %v have changed", names)
	}
}

// quiet wants nothing to have changed after everything that was looked at.
func (f *fixture) quiet() {
	f.t.Helper()
	select {
	case got := <-f.changed:
		f.t.Errorf("%v have changed", got)
	case <-time.After(200 * time.Millisecond):
	}
}

const fast = 20 * time.Millisecond

// Files are noticed however they are written, together and once, and others are not.
func TestEvents(t *testing.T) {
	f := start(t, Options{Settle: fast, Poll: time.Hour}, "a", "b")
	f.put("other", "x")
	f.quiet()
	f.put("a", "second")
	f.want("a")
	f.replace("b", "second")
	f.want("b")
	f.put("a", "second") // the same
	f.quiet()
	f.put("a", "third")
	f.replace("b", "third")
	f.want("a", "b")
	if err := os.Remove(f.path("a")); err != nil {
		t.Fatal(err)
	}
	f.quiet()
	f.put("a", "third")
	f.quiet()
	f.put("a", "fourth")
	f.want("a")
	f.Follow(f.sums("b"))
	f.put("a", "fifth")
	f.quiet()
}

// What has changed before it was followed is noticed too, and what is followed already keeps
// its sum.
func TestSums(t *testing.T) {
	f := start(t, Options{Settle: fast, Poll: time.Hour}, "a")
	sums := f.sums("a")
	f.put("b", "first")
	sums[f.path("b")] = Sum{1}
	sums[f.path("a")] = Sum{1}
	f.Follow(sums)
	f.want("b")
	f.quiet()
}

// A folder that is put in the place of another one, and links that lead elsewhere, are seen.
func TestFolders(t *testing.T) {
	f := start(t, Options{Settle: fast, Poll: 100 * time.Millisecond}, "one/a", "two/a")
	link := func(to string) {
		t.Helper()
		if err := os.Symlink(to, f.path("tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(f.path("tmp"), f.path("current")); err != nil {
			t.Fatal(err)
		}
	}
	link("one")
	f.Follow(map[string]Sum{f.path("current/a"): sum(f.path("current/a"))})
	f.quiet()
	link("two")
	f.want("current/a")
	f.put("two/a", "second") // in its place, behind the link
	f.want("current/a")
	if err := os.Rename(f.path("two"), f.path("old")); err != nil {
		t.Fatal(err)
	}
	f.quiet()
	f.put("two/a", "third")
	f.want("current/a")
	f.replace("two/a", "fourth")
	f.want("current/a")
}

// Events without an end are no reason not to look.
func TestFlood(t *testing.T) {
	f := start(t, Options{Settle: 100 * time.Millisecond, Poll: time.Hour}, "a")
	f.put("a", "second")
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				_ = os.WriteFile(f.path("other"), nil, 0o600)
			}
		}
	}()
	f.want("a")
	close(stop)
	<-done
}

// Where there are no events, files are looked at now and then.
func TestPoll(t *testing.T) {
	f := start(t, Options{Settle: fast, Poll: 50 * time.Millisecond}, "folder/a")
	if err := os.RemoveAll(f.path("folder")); err != nil { // with the watch
		t.Fatal(err)
	}
	f.quiet()
	f.put("folder/a", "second")
	f.want("folder/a")
	f.Close()
	f.put("folder/a", "third")
	f.quiet()
	f.Follow(f.sums("folder/a"))
}
