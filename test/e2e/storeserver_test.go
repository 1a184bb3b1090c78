//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"yett/internal/store"
	"yett/internal/store/local"
)

// The process that workers share ends on SIGTERM alone, gives all it knows to a successor, and leaves
// nothing behind.
func TestStoreServer(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "store.sock")
	first := start(t, nil, "store-server", "--socket", path, "--keys", "5000")
	s, err := local.Open(t.Context(), local.Options{Path: path, Timeout: 5 * time.Second, Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	take := func(want int64) {
		t.Helper()
		takes := []store.Take{{Name: "limit", Key: "key", Rule: store.Rule{Limit: 100, Window: time.Hour}, Cost: 1}}
		if err := s.Take(t.Context(), time.Now(), takes); err != nil || takes[0].Left != want {
			t.Errorf("%v, %d are left, want %d", err, takes[0].Left, want)
		}
	}
	take(99)
	for _, ignored := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2} {
		first.signal(ignored)
	}
	take(98)
	if code, _, stderr := yett(t, nil, "store-server", "--socket", path); code != 1 || !strings.Contains(stderr, "is served at "+path+" already; take its place with --successor") {
		t.Errorf("a second one ends with %d: %s", code, stderr)
	}
	second := start(t, nil, "store-server", "--socket", path, "--successor")
	if code := first.exit(); code != 0 {
		t.Errorf("the first ends with %d", code)
	}
	take(97)
	second.signal(syscall.SIGTERM)
	if code := second.exit(); code != 0 {
		t.Errorf("the second ends with %d", code)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Error(left)
	}
	for _, wrong := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{}, 2, "--socket says where"},
		{[]string{"--socket", path, "--successor"}, 1, "take over the store at " + path + ": connect: no such file or directory"},
		{[]string{"--socket", "/" + strings.Repeat("long", 40)}, 1, "choose a shorter directory"},
	} {
		code, _, stderr := yett(t, nil, append([]string{"store-server"}, wrong.args...)...)
		if code != wrong.code || !strings.Contains(stderr, wrong.want) {
			t.Errorf("%v ends with %d: %s", wrong.args, code, stderr)
		}
	}
}
