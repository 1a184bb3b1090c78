package history

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func open(t *testing.T, keep int) (*History, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "revisions")
	h, err := Open(dir, keep)
	if err != nil {
		t.Fatal(err)
	}
	return h, dir
}

func add(t *testing.T, h *History, text string) string {
	t.Helper()
	id := ID([]byte(text))
	if err := h.Add(Entry{ID: id, Since: time.Unix(1_700_000_000, 0).UTC(), Cause: "reload", File: "yett.yaml"}, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return id
}

// ids are those that are kept, without notes.
func ids(t *testing.T, h *History) string {
	t.Helper()
	entries, notes, err := h.Notes()
	if err != nil || len(notes) > 0 {
		t.Fatal(err, notes)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.ID)
	}
	return strings.Join(all, " ")
}

func TestAddListText(t *testing.T) {
	h, dir := open(t, 3)
	a, b := add(t, h, "name: a\n"), add(t, h, "name: b\r\n# no end")
	if got := ids(t, h); got != b+" "+a {
		t.Errorf("got %s", got)
	}
	e, text, err := h.Text(b[:5])
	if err != nil || string(text) != "name: b\r\n# no end" || e.Cause != "reload" || e.File != "yett.yaml" || e.Since.Unix() != 1_700_000_000 {
		t.Errorf("%+v %q %v", e, text, err)
	}
	add(t, h, "name: b\r\n# no end") // is there already
	if got := ids(t, h); got != b+" "+a {
		t.Errorf("got %s", got)
	}
	add(t, h, "name: a\n") // ran again
	if got := ids(t, h); got != a+" "+b {
		t.Errorf("got %s", got)
	}
	c, d := add(t, h, "c"), add(t, h, "")
	if got := ids(t, h); got != d+" "+c+" "+a {
		t.Errorf("got %s", got)
	}
	if _, text, err := h.Text(d); err != nil || len(text) != 0 {
		t.Errorf("%q %v", text, err)
	}
	if _, _, err := h.Text(b); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if e, ok := h.Holds([]byte("c")); !ok || e.ID != c {
		t.Errorf("%v %v", e, ok)
	}
	if e, ok := h.Holds([]byte("name: b")); ok {
		t.Errorf("%v", e)
	}
	if _, _, err := h.Text(""); err == nil {
		t.Error("no ID is not the beginning of any")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 4 { // and the lock
		t.Errorf("%v %v", files, err)
	}
	for _, name := range append(files, dir) {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	if got := ids(t, Read(dir)); got != d+" "+c+" "+a {
		t.Errorf("read: %s", got)
	}
}

func TestNone(t *testing.T) {
	h, err := Open(filepath.Join(t.TempDir(), "x"), 0)
	if err != nil || h != nil {
		t.Fatal(h, err)
	}
	if err := h.Add(Entry{ID: "a"}, nil); err != nil {
		t.Error(err)
	}
	if l, err := h.List(); len(l) > 0 || err != nil {
		t.Error(l, err)
	}
	if _, _, err := h.Text("a"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if l, err := Read(filepath.Join(t.TempDir(), "nowhere")).List(); len(l) > 0 || err != nil {
		t.Error(l, err)
	}
}

func TestAmbiguous(t *testing.T) {
	h, _ := open(t, 5)
	for _, id := range []string{"abc1", "abc2", "abc"} {
		if err := h.Add(Entry{ID: id}, []byte(id)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := h.Text("ab"); err == nil || !strings.Contains(err.Error(), "abc1") || !strings.Contains(err.Error(), "abc2") {
		t.Errorf("got %v", err)
	}
	if _, text, err := h.Text("abc"); err != nil || string(text) != "abc" {
		t.Errorf("%q %v", text, err)
	}
	for _, id := range []string{"", "../x", "a b", "a-b", strings.Repeat("a", 65)} {
		if err := h.Add(Entry{ID: id}, nil); err == nil {
			t.Errorf("%q is taken", id)
		}
	}
}

func TestDamaged(t *testing.T) {
	h, dir := open(t, 5)
	a, b, c := add(t, h, "a"), add(t, h, "b"), add(t, h, "c")
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(filepath.Join(dir, fileName(2, b)))
	if err != nil {
		t.Fatal(err)
	}
	put(fileName(2, b), string(old)+"x")         // its text
	put(fileName(3, c), "")                      // all of it
	put("notes.txt", "foreign")                  // none of ours
	put(fileName(9, "zz"), "# yett revision {}") // another ID
	put("1-short.yaml", "name: x")               // a name that is none
	put(temporary+"123", "left by a killed one") // swept
	if err := os.Mkdir(filepath.Join(dir, fileName(10, "dd")), 0o700); err != nil {
		t.Fatal(err)
	}
	entries, notes, err := h.Notes()
	if err != nil || len(entries) != 1 || entries[0].ID != a || len(notes) != 6 {
		t.Errorf("%v\n%s\n%v", entries, strings.Join(notes, "\n"), err)
	}
	if _, _, err := h.Text(b); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
	add(t, h, "c") // what is damaged at the front is written again
	if entries, _ := h.List(); len(entries) != 2 || entries[0].ID != c {
		t.Errorf("got %v", entries)
	}
	if _, err := os.Stat(filepath.Join(dir, temporary+"123")); err == nil {
		t.Error("what was left over is still there")
	}
	if _, err := os.Stat(filepath.Join(dir, "notes.txt")); err != nil {
		t.Error("a foreign file was removed")
	}
}

// TestFull has a limit on the size of files, as a full disk would be.
func TestFull(t *testing.T) {
	if dir := os.Getenv("YETT_TEST_FULL"); dir != "" {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: 4096}); err != nil {
			t.Fatal(err)
		}
		h, err := Open(dir, 3)
		if err != nil {
			t.Fatal(err)
		}
		err = h.Add(Entry{ID: "b"}, bytes.Repeat([]byte("b"), 10_000))
		if !errors.Is(err, syscall.EFBIG) {
			t.Errorf("got %v", err)
		}
		return
	}
	h, dir := open(t, 3)
	a := add(t, h, "a")
	cmd := exec.Command(os.Args[0], "-test.run=^TestFull$")
	cmd.Env = append(os.Environ(), "YETT_TEST_FULL="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := ids(t, h); got != a {
		t.Errorf("got %s", got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, temporary+"*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// TestProcesses has several processes and goroutines add at the same time.
func TestProcesses(t *testing.T) {
	work := func(h *History, who string) {
		for i := range 20 {
			text := fmt.Appendf(nil, "name: %s%d\n", who, i%7)
			if err := h.Add(Entry{ID: ID(text), Cause: who}, text); err != nil {
				t.Error(err)
			}
			if _, err := h.List(); err != nil {
				t.Error(err)
			}
		}
	}
	if dir := os.Getenv("YETT_TEST_HISTORY"); dir != "" {
		h, err := Open(dir, 5)
		if err != nil {
			t.Fatal(err)
		}
		work(h, "other")
		return
	}
	h, dir := open(t, 5)
	var wg sync.WaitGroup
	for range 2 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestProcesses$")
		cmd.Env = append(os.Environ(), "YETT_TEST_HISTORY="+dir)
		wg.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
		wg.Go(func() { work(h, "own") })
	}
	wg.Wait()
	if got := strings.Fields(ids(t, h)); len(got) != 5 {
		t.Errorf("got %v", got)
	}
	if files, _ := h.files(); len(files) != 5 {
		t.Errorf("%d files", len(files))
	}
}

func TestLocked(t *testing.T) {
	h, _ := open(t, 5)
	unlock, err := h.lock()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- h.Add(Entry{ID: "a"}, nil) }()
	select {
	case err := <-done:
		t.Fatal("did not wait", err)
	case <-time.After(20 * time.Millisecond):
	}
	unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
	synctest.Test(t, func(t *testing.T) {
		unlock, err := h.lock()
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		if err := h.Add(Entry{ID: "b"}, nil); err == nil || !strings.Contains(err.Error(), lockName) {
			t.Errorf("got %v", err)
		}
	})
}
