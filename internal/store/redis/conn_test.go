package redis

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// pair is both ends of a connection, the first of which is ours.
func pair(t *testing.T) (ours, theirs net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if ours, err = dialPlain("tcp")(t.Context(), l.Addr().String(), new(net.Dialer), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	if _, ok := ours.(*conn); !ok {
		t.Fatalf("it is a %T", ours)
	}
	if theirs, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	return ours, theirs
}

// More than sockets hold arrives whole both ways at the same time, and then the end.
func TestConnCarriesAll(t *testing.T) {
	ours, theirs := pair(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	var echoed, written sync.WaitGroup
	echoed.Go(func() {
		_, _ = io.Copy(struct{ io.Writer }{theirs}, struct{ io.Reader }{theirs})
		theirs.Close()
	})
	written.Go(func() {
		if n, err := ours.Write(sent); n != len(sent) || err != nil {
			t.Errorf("%d are written, %v", n, err)
		}
		if err := ours.(*conn).Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Error(err)
		}
	})
	got, err := io.ReadAll(ours)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d came back, %v", len(got), len(sent), err)
	}
	written.Wait()
	echoed.Wait()
}

// A deadline ends what waits, as does closing, and what was written until then is told.
func TestConnGivesUp(t *testing.T) {
	ours, theirs := pair(t)
	late := func(n int, err error) int {
		if known, ok := err.(net.Error); !ok || !known.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		return n
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if n := late(ours.Write(make([]byte, 64<<20))); n == 0 || n == 64<<20 {
			t.Errorf("%d are written", n)
		}
	})
	if _, err := theirs.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := ours.SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	waiting.Wait()
	late(ours.Read(make([]byte, 1)))
	if n, err := ours.Read(nil); n != 0 || err != nil {
		t.Errorf("nothing reads %d, %v", n, err)
	}
	if n, err := ours.Write(nil); n != 0 || err != nil {
		t.Errorf("nothing writes %d, %v", n, err)
	}
	if err := ours.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	waiting.Go(func() {
		if _, err := ours.Read(make([]byte, 1)); err == nil {
			t.Error("something is read from what is closed")
		}
	})
	ours.Close()
	waiting.Wait()
}

// What is not the system's is left as it is.
func TestConnOfAnotherKind(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if direct(a) != a {
		t.Error("a pipe has no socket")
	}
	if _, err := dialPlain("unix")(context.Background(), "/nowhere", new(net.Dialer), nil); err == nil {
		t.Error("it is connected to nothing")
	}
}
