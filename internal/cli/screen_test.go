//go:build linux

package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"yett/internal/config"
)

// terminal returns both ends of a terminal with so many rows and columns.
func terminal(t *testing.T, rows, columns uint16) (inside, outside *os.File) {
	t.Helper()
	outside, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = outside.Close() })
	fd := int(outside.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	inside, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inside.Close() })
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		t.Fatal(err)
	}
	return inside, outside
}

// What is shown takes the place of what was there, line by line, as far as there is room.
func TestScreen(t *testing.T) {
	inside, outside := terminal(t, 5, 10)
	s := Process{Stdout: inside, Env: config.MapEnv(nil)}.screen()
	if !s.redraws() {
		t.Fatal("a terminal is taken for none")
	}
	for _, tt := range []struct{ text, want string }{
		{"one\ntwo\n", "one\ntwo\n"},
		{"0123456789\n0123456789a\n", "0123456789\n012345678…\n"},
		{"1\n2\n3\n4\n", "1\n2\n3\n4\n"},
		{"1\n2\n3\n4\n5\n", "1\n2\n3\n… and 2 l…\n"},
	} {
		if err := s.show(tt.text); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1000)
		n, err := outside.Read(b)
		want := "\x1b[H\x1b[K" + strings.ReplaceAll(tt.want, "\n", "\r\n\x1b[K") + "\x1b[J"
		if got := string(b[:n]); err != nil || got != want {
			t.Errorf("%q: %q, want %q, %v", tt.text, got, want, err)
		}
	}
	if (Process{Stdout: inside, Env: config.MapEnv(map[string]string{"TERM": "dumb"})}).screen().redraws() {
		t.Error("a terminal without a cursor is drawn over")
	}
}

// What goes into a file stays there.
func TestScreenIsNone(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if (Process{Stdout: f, Env: config.MapEnv(nil)}).screen().redraws() {
		t.Error("a file is taken for a terminal")
	}
}
