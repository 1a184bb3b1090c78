package logfile

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// writerVariable makes a process of this test one that writes lines, see write.
const writerVariable = "YETT_TEST_WRITER"

func TestMain(m *testing.M) {
	if spec := os.Getenv(writerVariable); spec != "" {
		do := write
		if strings.HasPrefix(spec, "full,") {
			do = fill
		}
		if err := do(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); c.at = c.at.Add(d); c.mu.Unlock() }

func (c *clock) line(text string) []byte {
	return fmt.Appendf(nil, `{"time":"%s","msg":"%s"}`+"\n", c.now().Format("2006-01-02T15:04:05.000Z"), text)
}

func open(t *testing.T, path string, o Options) *File {
	t.Helper()
	if o.OnError == nil {
		o.OnError = func(err error) { t.Errorf("reported: %v", err) }
	}
	f, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return f
}

func put(t *testing.T, f *File, text string) {
	t.Helper()
	if n, err := f.Write([]byte(text)); err != nil || n != len(text) {
		t.Fatalf("Write: %d %v", n, err)
	}
}

// files returns the names in the directory of a log, apart from its own.
func files(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			names = append(names, e.Name())
		}
	}
	return names
}

func read(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(text)
}

// whole returns everything that was written, the oldest first.
func whole(t *testing.T, path string) string {
	t.Helper()
	backups, err := Backups(path)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, b := range backups {
		text.WriteString(read(t, b.Path))
	}
	return text.String() + read(t, path)
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// Batches stay whole: one that doesn't fit begins a new file, one that is larger than a file has its own.
func TestSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	c := newClock()
	f := open(t, path, Options{Size: 10, Now: c.now})
	for _, batch := range []string{"1234\n", "678\n", "new\n", "a\nlarger batch\n", "last\n"} {
		put(t, f, batch)
	}
	want := []string{"app-2026-01-02T03-04-05.000.log", "app-2026-01-02T03-04-05.001.log", "app-2026-01-02T03-04-05.002.log"}
	if got := files(t, path); !slices.Equal(got, want) {
		t.Errorf("there are %q", got)
	}
	for name, want := range map[string]string{want[0]: "1234\n678\n", want[1]: "new\n", want[2]: "a\nlarger batch\n", "app.log": "last\n"} {
		if got := read(t, filepath.Join(filepath.Dir(path), name)); got != want {
			t.Errorf("%s has %q", name, got)
		}
	}
}

// The age of a file is that of its first line, also when another process has begun it, and of one that
// was emptied that of its new first line.
func TestAge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	c := newClock()
	if err := os.WriteFile(path, c.line("of an earlier process"), 0o640); err != nil {
		t.Fatal(err)
	}
	c.pass(59 * time.Minute)
	f := open(t, path, Options{Age: time.Hour, Now: c.now})
	put(t, f, string(c.line("still in")))
	c.pass(time.Minute)
	put(t, f, string(c.line("in the next")))
	if got := files(t, path); len(got) != 1 || strings.Count(read(t, path), "\n") != 1 {
		t.Fatalf("beside it: %q, in it %q", got, read(t, path))
	}
	c.pass(50 * time.Minute)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	put(t, f, string(c.line("first after it was emptied")))
	c.pass(59 * time.Minute)
	put(t, f, string(c.line("still in")))
	if got := files(t, path); len(got) != 1 {
		t.Errorf("an emptied file is taken for an old one: %q", got)
	}
	c.pass(time.Minute)
	put(t, f, string(c.line("in the next")))
	if got := files(t, path); len(got) != 2 {
		t.Errorf("beside it: %q", got)
	}
}

// A file whose lines have no time is as old as the file system says.
func TestAgeWithoutTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(path, []byte("no time\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	c := &clock{at: time.Now().Add(time.Minute)}
	f := open(t, path, Options{Age: time.Hour, Now: c.now})
	put(t, f, "young\n")
	if got := files(t, path); len(got) != 0 {
		t.Errorf("moved aside: %q", got)
	}
	c.pass(time.Hour)
	put(t, f, "old\n")
	if got := files(t, path); len(got) != 1 {
		t.Errorf("beside it: %q", got)
	}
}

func TestTimeOf(t *testing.T) {
	for line, want := range map[string]string{
		`{"time":"2026-01-02T03:04:05.678Z","level":"info"}`: "2026-01-02T03:04:05.678Z",
		"2026-01-02T03:04:05.678Z INFO  listening":           "2026-01-02T03:04:05.678Z",
		"2026-01-02T05:04:05.678+02:00 INFO  listening":      "2026-01-02T03:04:05.678Z",
		"goroutine 1 [running]:":                             "",
		"":                                                   "",
		`{"level":"info"}`:                                   "",
	} {
		got, ok := TimeOf([]byte(line))
		if text := got.UTC().Format("2006-01-02T15:04:05.000Z"); ok != (want != "") || ok && text != want {
			t.Errorf("%q: %s %v", line, text, ok)
		}
	}
}

func TestKeep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	for _, other := range []string{"app-error-2026-01-02T03-04-05.000.log", "app-2026.log", "app-2026-01-02T03-04-05.000.txt", "app.log.1"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), other), []byte("x\n"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	c := newClock()
	f := open(t, path, Options{Size: 1, Keep: 2, Now: c.now})
	for i := range 5 {
		c.pass(time.Second)
		put(t, f, fmt.Sprintf("%d\n", i))
	}
	eventually(t, "two old files", func() bool { b, err := Backups(path); return err == nil && len(b) == 2 })
	if got := whole(t, path); got != "2\n3\n4\n" {
		t.Errorf("kept %q", got)
	}
	if got := files(t, path); len(got) != 2+4 {
		t.Errorf("files of others are gone: %q", got)
	}
}

// Old files go when their time is over, also when nothing is written any more.
func TestKeepFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	c := newClock()
	o := Options{Size: 1, KeepFor: time.Second, Now: c.now}
	f := open(t, path, o)
	put(t, f, "1\n")
	put(t, f, "2\n")
	if got := files(t, path); len(got) != 1 {
		t.Fatalf("beside it: %q", got)
	}
	c.pass(2 * time.Second)
	eventually(t, "none", func() bool { return len(files(t, path)) == 0 })
	if got := read(t, path); got != "2\n" {
		t.Errorf("left: %q", got)
	}
}

// What is compressed keeps permissions and the time of its last line, and so does the new file.
func TestCompress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	c := newClock()
	f := open(t, path, Options{Size: 1, Compress: true, Now: c.now})
	put(t, f, "one\n")
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
	put(t, f, "two\n")
	packed := filepath.Join(filepath.Dir(path), "app-2026-01-02T03-04-05.000.log.gz")
	eventually(t, "a compressed file", func() bool { return slices.Equal(files(t, path), []string{filepath.Base(packed)}) })
	for _, name := range []string{path, packed} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o604 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
		if name == packed && !info.ModTime().Equal(at) {
			t.Errorf("%s is of %v, not %v", name, info.ModTime(), at)
		}
	}
	if got := whole(t, path); got != "one\ntwo\n" {
		t.Errorf("all of it: %q", got)
	}
}

// What a process has left half done is brought to its end by the next.
func TestHeals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	var zipped strings.Builder
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte("second\n"))
	_ = z.Close()
	for name, text := range map[string]string{
		"app-2026-01-01T00-00-00.001.log":        "first\n", // killed before and while it was compressed
		"app-2026-01-01T00-00-00.001.log.gz.tmp": "\x1f\x8b half",
		"app-2026-01-01T00-00-00.002.log":        "second\n", // killed before the source was removed
		"app-2026-01-01T00-00-00.002.log.gz":     zipped.String(),
		"app-2026-01-01T00-00-00.003.log.gz.tmp": "\x1f\x8b half", // its source was removed for being old
		"app.log":                                "third\nto",
	} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := Backups(path); err != nil || len(b) != 2 || !b[1].Compressed() {
		t.Errorf("before it is healed: %v %v", b, err)
	}
	f := open(t, path, Options{Size: 1 << 20, Compress: true})
	want := []string{"app-2026-01-01T00-00-00.001.log.gz", "app-2026-01-01T00-00-00.002.log.gz"}
	eventually(t, "only whole files", func() bool { return slices.Equal(files(t, path), want) })
	put(t, f, "fourth\n")
	if got := whole(t, path); got != "first\nsecond\nthird\nto\nfourth\n" {
		t.Errorf("all of it: %q", got)
	}
}

// A clock that is set back makes no old file the newest, nor the first to be removed.
func TestClockSetBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	c := newClock()
	f := open(t, path, Options{Size: 1, Now: c.now})
	for i := range 4 {
		put(t, f, fmt.Sprintf("%d\n", i))
		c.pass(-time.Hour)
	}
	if got := whole(t, path); got != "0\n1\n2\n3\n" {
		t.Errorf("in order of names: %q", got)
	}
}

// Somebody else may move the file, with a new one in its place or without, or empty it.
func TestMovedByOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	f := open(t, path, Options{Size: 1 << 20})
	put(t, f, "1\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	put(t, f, "2\n")
	if err := errors.Join(os.Rename(path, path+".2"), os.WriteFile(path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	put(t, f, "3\n")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	put(t, f, "4\n")
	for name, want := range map[string]string{path + ".1": "1\n", path + ".2": "2\n", path: "4\n"} {
		if got := read(t, name); got != want {
			t.Errorf("%s has %q", name, got)
		}
	}
}

// Lines go on into a directory that was moved, and say so once. They wait when the file is gone for
// good, or is a backup.
func TestDirectoryMoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	path := filepath.Join(dir, "app.log")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var reports []string
	f := open(t, path, Options{Size: 1 << 20, OnError: func(err error) { reports = append(reports, err.Error()) }})
	if err := os.Rename(dir, dir+".1"); err != nil {
		t.Fatal(err)
	}
	put(t, f, "1\n")
	put(t, f, "2\n")
	moved := filepath.Join(dir+".1", "app.log")
	if got := read(t, moved); got != "1\n2\n" || len(reports) != 1 || !strings.Contains(reports[0], moved) {
		t.Errorf("it has %q; reported: %q", got, reports)
	}
	if err := os.Rename(moved, filepath.Join(dir+".1", "app-2026-01-02T03-04-05.000.log")); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("3\n")); n != 0 || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("into a backup: %d %v", n, err)
	}
	if err := os.RemoveAll(dir + ".1"); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("3\n")); n != 0 || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("into a removed file: %d %v", n, err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, f, "3\n")
	if got := read(t, path); got != "3\n" {
		t.Errorf("it has %q", got)
	}
}

// A file that can't be moved aside goes on growing, is reported once, and tried again after a while.
func TestCantRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("x", 250)) // the name of what is moved aside would be too long
	var reports []error
	c := newClock()
	f := open(t, path, Options{Size: 2, Now: c.now, OnError: func(err error) { reports = append(reports, err) }})
	for range 3 {
		put(t, f, "1\n")
		c.pass(time.Second)
	}
	c.pass(time.Hour)
	put(t, f, "2\n")
	if got := read(t, path); got != "1\n1\n1\n2\n" || len(reports) != 1 || !errors.Is(reports[0], syscall.ENAMETOOLONG) {
		t.Errorf("it has %q; reported: %v", got, reports)
	}
}

// A symbolic link stays one, and what it leads to is moved aside.
func TestSymbolicLink(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real.log"), filepath.Join(dir, "link.log")
	if err := errors.Join(os.WriteFile(real, []byte("1\n"), 0o640), os.Symlink(real, link)); err != nil {
		t.Fatal(err)
	}
	f := open(t, link, Options{Size: 2})
	put(t, f, "2\n")
	if got := whole(t, real); got != "1\n2\n" {
		t.Errorf("behind the link: %q", got)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v %v", info, err)
	}
}

// A named pipe needs no reader to be opened, and nothing is done to it but writing.
func TestNamedPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe.log")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f := open(t, path, Options{Size: 1, Age: time.Nanosecond, Compress: true})
	put(t, f, "1\n")
	put(t, f, "2\n")
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	in := bufio.NewReader(r)
	for _, want := range []string{"1\n", "2\n"} {
		if got, err := in.ReadString('\n'); got != want {
			t.Errorf("read %q %v", got, err)
		}
	}
	if got := files(t, path); len(got) != 0 {
		t.Errorf("beside it: %q", got)
	}
}

// A line that somebody was killed in ends where the file is moved aside: the next file's first line
// does not go on behind it.
func TestTornLineEndsWithItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(path, []byte("whole\ntor"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := open(t, path, Options{Size: 10})
	put(t, f, "next\n")
	if text := whole(t, path); text != "whole\ntor\nnext\n" {
		t.Errorf("%q", text)
	}
}
