package cli

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"yett/internal/control/socket"
	"yett/internal/instance"
)

// A process that runs an instance and doesn't answer is not taken for one that is gone: yett start would
// refuse.
func TestStatusOfOneThatHangs(t *testing.T) {
	root, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	dir, err := instance.Make(root, "a")
	if err != nil {
		t.Fatal(err)
	}
	lock, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Unlock() }()
	l, err := net.Listen("unix", dir.Control())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	defer func() { _ = l.Close(); <-done }()
	go func() {
		defer close(done)
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			_ = c.Close()
		}
	}()
	c, err := socket.Dial(dir.Control())
	if err != nil {
		t.Fatal(err)
	}
	s := look(t.Context(), neighbour{dir: dir, ask: c})
	if want := fmt.Sprintf("process %d runs it, but can't be asked", os.Getpid()); !strings.HasPrefix(s.Remedy, want) || !s.silent {
		t.Errorf("%+v", s)
	}
}
