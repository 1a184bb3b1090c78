package console

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a terminal that nobody looks at.
func terminal(t *testing.T) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { master.Close() })
	unlock := 0
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, unlock); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return tty
}

// Colours are for terminals whose users want them.
func TestStyleFor(t *testing.T) {
	tty := terminal(t)
	file, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	env := func(set map[string]string) func(string) (string, bool) {
		return func(name string) (string, bool) { v, ok := set[name]; return v, ok }
	}
	if !StyleFor(tty, env(map[string]string{"TERM": "xterm"})).Colour || !StyleFor(tty, nil).Colour {
		t.Error("a terminal has no colours")
	}
	for _, set := range []map[string]string{{"NO_COLOR": "1"}, {"TERM": "dumb"}} {
		if StyleFor(tty, env(set)).Colour {
			t.Errorf("colours with %v", set)
		}
	}
	if StyleFor(file, nil).Colour || StyleFor(&bytes.Buffer{}, nil).Colour || StyleFor(nil, nil).Colour {
		t.Error("colours in what is no terminal")
	}
}
