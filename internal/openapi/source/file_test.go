package source

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/openapi"
)

// write makes a file as an editor does: by a rename, or in place.
func write(t *testing.T, name, text string, inPlace bool) {
	t.Helper()
	to := name
	if !inPlace {
		to += ".new"
	}
	if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(to, name); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "tickets.json")
	f := source(t, config.OpenAPI{File: "tickets.json"}, func(d *Deps) {
		d.Resolve = func(file string) string { return filepath.Join(dir, file) }
	})
	f.want(f.once(), "waiting stat "+name+": no such file or directory")
	write(t, name, document("One"), false)
	f.want(f.once(), "good One")
	f.changes(1)
	first := f.Loaded()
	f.want(f.once(), "good One")
	if f.Loaded() != first {
		t.Error("the same document was compiled again")
	}
	// All of these have the same size, and come within the same tick of the clock.
	for i, title := range []string{"Two", "Six", "Ten"} {
		write(t, name, document(title), i%2 == 0)
		f.want(f.once(), "good "+title)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	f.want(f.once(), "stale Ten stat "+name+": no such file or directory")
	write(t, name, "{\n", false)
	if got := f.once(); !strings.HasPrefix(got, "stale Ten "+name+":") {
		t.Error(got)
	}
	if st := f.State(); st.From != "tickets.json" || st.Kind != KindFile || len(st.Problems) != 1 || st.Problems[0].File != name {
		t.Errorf("%+v", st)
	}
}

func TestFileAsYAML(t *testing.T) {
	name := filepath.Join(t.TempDir(), "tickets.yaml")
	write(t, name, "openapi: 3.0.3\ninfo: {title: YAML, version: '1'}\npaths: {}\n", false)
	f := source(t, config.OpenAPI{File: name})
	f.want(f.once(), "good YAML")
	if st, l := f.State(), f.Loaded(); st.Version != openapi.Version30 || l.Document.Version != openapi.Version31 {
		t.Errorf("%+v, now %s", st, l.Document.Version)
	}
}

// A file that has not changed for a while is not read again, and what has changed is.
func TestFileStamp(t *testing.T) {
	name := filepath.Join(t.TempDir(), "tickets.json")
	write(t, name, document("One"), false)
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if st := stampOf(info); st != (fileStamp{}) {
		t.Errorf("the stamp of a new file is believed: %+v", st)
	}
	f := source(t, config.OpenAPI{File: name})
	f.once()
	settle(t, name)
	f.once() // with a stamp that is believed
	got, err := f.readFile()
	if err != nil || !got.same || got.data != nil {
		t.Errorf("%v %v", got.same, err)
	}
	write(t, name, document("Two"), true)
	f.want(f.once(), "good Two")
}

func stampOfNow(t *testing.T, name string) fileStamp {
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return stampOf(info)
}

// settle waits until a file is so old that its stamp is believed. Nothing but the kernel's
// clock says when that is.
func settle(t *testing.T, name string) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(limit)
	for stampOfNow(t, name) == (fileStamp{}) {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatal("the stamp is never believed")
		}
	}
}

// What is no regular file neither hangs nor fills the memory.
func TestNoRegularFile(t *testing.T) {
	dir := t.TempDir()
	fifo, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", link); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{fifo: " is no regular file", "/dev/zero": " is no regular file", link: " is no regular file", dir: " is a folder"} {
		f := source(t, config.OpenAPI{File: name})
		done := make(chan string, 1)
		go func() { done <- f.once() }()
		f.want(receive(t, done), "waiting "+name+want)
	}
}

func TestFileTooLarge(t *testing.T) {
	name := filepath.Join(t.TempDir(), "tickets.json")
	write(t, name, document("One")+strings.Repeat(" ", 2<<20), false)
	f := source(t, config.OpenAPI{File: name, MaxSize: config.MB})
	f.want(f.once(), fmt.Sprintf("waiting the file has %d bytes, more than 1MB", 2<<20+len(document("One"))))
	if _, err := readBounded(endless{}, 0, 1<<10); err == nil || err.Error() != "the file has more than 1KB" {
		t.Errorf("one that grows: %v", err)
	}
	may := source(t, config.OpenAPI{File: name, MaxSize: 4 * config.MB})
	may.want(may.once(), "good One")
}

// What readers have is theirs, while document after document comes.
func TestReaders(t *testing.T) {
	name := filepath.Join(t.TempDir(), "tickets.json")
	write(t, name, document("Title 0"), false)
	f := source(t, config.OpenAPI{File: name})
	f.once()
	stop, done := make(chan struct{}), make(chan int)
	for range 4 {
		go func() {
			n := 0
			defer func() { done <- n }()
			for {
				select {
				case <-stop:
					return
				default:
				}
				l := f.Loaded()
				if title := l.Document.Root.At("info").Str("title"); title != l.Title || len(l.Document.Operations()) != l.Operations {
					t.Errorf("%s and %s", title, l.Title)
					return
				}
				if st := f.State(); st.Phase != Good || st.Title == "" {
					t.Errorf("%+v", st)
					return
				}
				n++
			}
		}()
	}
	for i := 1; i <= 50; i++ {
		write(t, name, document(fmt.Sprintf("Title %d", i)), false)
		if !f.look(context.Background(), true) {
			t.Error(f.said())
		}
	}
	close(stop)
	for range 4 {
		if <-done == 0 {
			t.Error("a reader has read nothing")
		}
	}
	f.want(f.said(), "good Title 50")
}
