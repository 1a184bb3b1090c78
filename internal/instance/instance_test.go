package instance

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestRoot(t *testing.T) {
	for _, c := range []struct {
		name, explicit string
		uid            int
		env            map[string]string
		want           string
	}{
		{"explicit wins", "/x", 0, map[string]string{"YETT_STATE": "/y"}, "/x"},
		{"variable", "", 0, map[string]string{"YETT_STATE": "/y", "RUNTIME_DIRECTORY": "/run/a"}, "/y"},
		{"systemd", "", 7, map[string]string{"RUNTIME_DIRECTORY": "/run/a:/run/b", "HOME": "/h"}, "/run/a"},
		{"root", "", 0, map[string]string{"HOME": "/root"}, "/var/lib/yett"},
		{"user", "", 7, map[string]string{"XDG_RUNTIME_DIR": os.TempDir(), "HOME": "/h"}, "/h/.local/state/yett"},
		{"user with a directory for state", "", 7, map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/yett"},
		{"relative directory for state", "", 7, map[string]string{"XDG_STATE_HOME": "s", "HOME": "/h"}, "/h/.local/state/yett"},
		{"nothing", "", 7, nil, ""},
	} {
		got, err := rootFor(c.uid, c.explicit, func(k string) (string, bool) { v, ok := c.env[k]; return v, ok })
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, good := range []string{"a", "gateway", "psa-2.eu_west", "9"} {
		if err := CheckName(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", ".", "..", "-a", "a/b", "a b", "ä", "a\x00", strings.Repeat("a", 41)} {
		if CheckName(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestMakeIsForItsOwnerAlone(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := Make(root, "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{d.Path, d.Logs(), d.Revisions()} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if err := os.Symlink(d.Path, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(root, "link"); err == nil {
		t.Error("a link is taken for a directory")
	}
	if err := os.Chmod(root, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(root, "b"); err == nil || !strings.Contains(err.Error(), "chmod go-w") {
		t.Errorf("a root that everybody writes to: %v", err)
	}
}

func TestState(t *testing.T) {
	d, err := Make(t.TempDir(), "a")
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ N int }
	if err := d.LoadState(&got); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing saved: %v", err)
	}
	for n := range 3 {
		if err := d.SaveState(struct{ N int }{n}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.LoadState(&got); err != nil || got.N != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	entries, _ := os.ReadDir(d.Path)
	if len(entries) != 3 { // state.json, logs, revisions
		t.Errorf("left behind: %v", entries)
	}
}

func TestLockTellsItsHolder(t *testing.T) {
	d, err := Make(t.TempDir(), "a")
	if err != nil {
		t.Fatal(err)
	}
	cmd, line := again(t, "lock", "INSTANCE_DIR="+d.Path)
	if line != "held\n" {
		t.Fatal(line)
	}
	_, err = d.Lock()
	held, ok := errors.AsType[*Held](err)
	if !ok || held.By.PID != cmd.Process.Pid {
		t.Fatalf("%v", err)
	}
	if by, ok := d.Holder(); !ok || by != held.By {
		t.Errorf("holder %v, %v", by, ok)
	}
	if names, err := List(filepath.Dir(d.Path)); err != nil || len(names) != 1 || names[0] != "a" {
		t.Errorf("%v, %v", names, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if by, ok := d.Holder(); ok {
		t.Errorf("a dead holder %v", by)
	}
	l, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
	if by, ok := d.Holder(); ok {
		t.Errorf("given up, and still held by %v", by)
	}
}

// Of many that start at once one wins, and the others know who.
func TestLockRace(t *testing.T) {
	d, err := Make(t.TempDir(), "a")
	if err != nil {
		t.Fatal(err)
	}
	lines := make([]string, 20)
	var wg sync.WaitGroup
	for i := range lines {
		wg.Go(func() { _, lines[i] = again(t, "lock", "INSTANCE_DIR="+d.Path) })
	}
	wg.Wait()
	won := 0
	for _, line := range lines {
		switch {
		case line == "held\n":
			won++
		case !strings.HasPrefix(line, "refused: the instance a is run by process "):
			t.Error(line)
		}
	}
	if won != 1 {
		t.Errorf("%d of 20 hold the lock", won)
	}
}

// One who locks a directory that is deleted at that moment holds nothing.
func TestLockOfDeletedDirectory(t *testing.T) {
	root := t.TempDir()
	d, err := Make(root, "a")
	if err != nil {
		t.Fatal(err)
	}
	first, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(d.Path, lockName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := d.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(root, "a"); err != nil {
		t.Fatal(err)
	}
	second, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if same(f, filepath.Join(d.Path, lockName)) {
		t.Error("the old lock is taken for the new one")
	}
	if _, err := d.Inherit(f); err == nil {
		t.Error("the old lock is inherited")
	}
	_ = first.Unlock()
	if _, ok := d.Holder(); !ok {
		t.Error("nobody holds the new lock")
	}
	_ = second.Unlock()
}

func TestHandle(t *testing.T) {
	cmd, _ := again(t, "live")
	p, err := Find(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	h, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for range 3 { // a wait that was given up is no trouble for the next
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := h.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("it lives: %v", err)
		}
		cancel()
	}
	if err := h.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := h.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Alive() { // nobody has waited for it yet
		t.Error("a process that has ended is alive")
	}
	_ = cmd.Wait()
	if err := h.Signal(syscall.SIGTERM); !errors.Is(err, ErrGone) {
		t.Errorf("signal to one that has ended: %v", err)
	}
	if _, err := p.Open(); !errors.Is(err, ErrGone) {
		t.Errorf("open one that has ended: %v", err)
	}
}

// The number of a process is not the process.
func TestReusedNumber(t *testing.T) {
	cmd, _ := again(t, "live")
	p, err := Find(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []Process{
		{PID: p.PID, Start: p.Start - 1, Boot: p.Boot},
		{PID: p.PID, Start: p.Start, Boot: "another"},
		{PID: p.PID}, {PID: 0}, {PID: -1, Start: p.Start, Boot: p.Boot},
	} {
		if _, err := other.Open(); !errors.Is(err, ErrGone) {
			t.Errorf("%+v is taken for %+v: %v", other, p, err)
		}
	}
	// Without pidfd too.
	if err := (&Handle{Process: Process{PID: p.PID, Start: p.Start - 1, Boot: p.Boot}}).Signal(syscall.SIGKILL); !errors.Is(err, ErrGone) {
		t.Errorf("signalled: %v", err)
	}
	if !p.Alive() {
		t.Error("it was killed")
	}
}

func TestParseStat(t *testing.T) {
	got, err := parseStat([]byte("7 (a) Z (b)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 123 45\n"))
	if err != nil || got != 4711 {
		t.Errorf("%d, %v", got, err)
	}
	if _, err := parseStat([]byte("7 (a) Z 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 123 45\n")); !errors.Is(err, ErrGone) {
		t.Errorf("zombie: %v", err)
	}
	for _, bad := range []string{"", "7", "7 (a", "7 (a) S 1 2"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestMend(t *testing.T) {
	root := filepath.Join(t.TempDir(), "r")
	d, err := Make(root, "a")
	if err != nil {
		t.Fatal(err)
	}
	l, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Unlock() }()
	if mended, err := d.Mend(l); mended || err != nil {
		t.Errorf("nothing was wrong: %v, %v", mended, err)
	}
	for _, gone := range []string{filepath.Join(d.Path, lockName), d.Path, root} {
		if err := os.RemoveAll(gone); err != nil {
			t.Fatal(err)
		}
		if mended, err := d.Mend(l); !mended || err != nil {
			t.Errorf("%s: %v, %v", gone, mended, err)
		}
		if by, held := d.Holder(); !held || by.PID != os.Getpid() {
			t.Errorf("%s: %v %v", gone, by, held)
		}
		var held *Held
		if _, err := d.Lock(); !errors.As(err, &held) {
			t.Errorf("%s: another could take it: %v", gone, err)
		}
	}

	// Somebody was faster.
	if err := os.Remove(filepath.Join(d.Path, lockName)); err != nil {
		t.Fatal(err)
	}
	other, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Unlock() }()
	var held *Held
	if _, err := d.Mend(l); !errors.As(err, &held) {
		t.Errorf("%v", err)
	}
}

// What others have put there stays, whatever it is called, and links are not followed.
func TestRemoveLeavesWhatIsForeign(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "yett.log"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, put := range map[string]func(d Dir) error{
		"thesis.txt":      func(d Dir) error { return os.WriteFile(filepath.Join(d.Path, "thesis.txt"), nil, 0o600) },
		"logs/notes":      func(d Dir) error { return os.WriteFile(filepath.Join(d.Logs(), "notes"), nil, 0o600) },
		"state.json":      func(d Dir) error { return os.Mkdir(filepath.Join(d.Path, stateName), 0o700) },
		"logs":            func(d Dir) error { return errors.Join(os.Remove(d.Logs()), os.Symlink(outside, d.Logs())) },
		"revisions/a.yml": func(d Dir) error { return os.WriteFile(filepath.Join(d.Revisions(), "a.yml"), nil, 0o600) },
	} {
		d, err := Make(t.TempDir(), "a")
		if err == nil {
			_, err = d.Lock()
		}
		if err := errors.Join(err, put(d)); err != nil {
			t.Fatal(err)
		}
		err = d.Remove()
		if f, ok := errors.AsType[*Foreign](err); !ok || !slices.Equal(f.Names, []string{name}) {
			t.Errorf("%s: %v", name, err)
		}
		if !exists(filepath.Join(d.Path, name)) {
			t.Errorf("%s is removed", name)
		}
	}
	if !exists(filepath.Join(outside, "yett.log")) {
		t.Error("a link was followed")
	}
}

func TestRemoveLeavesNothingOfOurs(t *testing.T) {
	d, err := Make(t.TempDir(), "a")
	if err == nil {
		_, err = d.Lock()
	}
	for _, path := range []string{
		d.Control() + "~", d.Worker("12-345"), d.Store(), d.Path + "/.state.json-123", d.Logs() + "/yett.log", d.Logs() + "/worker-1.log",
		d.Logs() + "/yett-2026-01-02T03-04-05.000.log.gz.tmp", d.Revisions() + "/.lock", d.Revisions() + "/00000001-20912b0fbe43.yaml",
	} {
		err = errors.Join(err, os.WriteFile(path, nil, 0o600))
	}
	if err := errors.Join(err, d.SaveState(1), d.Remove()); err != nil {
		t.Error(err)
	}
	if exists(d.Path) {
		t.Error("it is still there")
	}
}

func TestMakeLeavesOtherDirectories(t *testing.T) {
	root := t.TempDir()
	sources := filepath.Join(root, "a")
	if err := errors.Join(os.Mkdir(sources, 0o755), os.WriteFile(filepath.Join(sources, "main.go"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(root, "a"); err == nil || !strings.Contains(err.Error(), "main.go") {
		t.Error(err)
	}
	if info, err := os.Stat(sources); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// After a reboot the numbers of processes, and the moments of their starts, come again.
func TestProcessOfAnotherBoot(t *testing.T) {
	self, err := Self()
	if err != nil || self.Boot == "" {
		t.Fatalf("%+v, %v", self, err)
	}
	if !self.Alive() {
		t.Error("this process does not run")
	}
	self.Boot = "another"
	if self.Alive() {
		t.Error("a process of another boot runs")
	}
}
