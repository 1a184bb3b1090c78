package sock

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// receive returns what RawConn.Read is to do to get what has come.
func receive(t *testing.T, got *string, attempts *int) func(fd uintptr) bool {
	return func(fd uintptr) bool {
		*attempts++
		b := make([]byte, 64)
		n, err := Recv(fd, b)
		if err == syscall.EAGAIN {
			return false
		}
		if err != nil {
			t.Error(err)
		}
		*got = string(b[:n])
		return true
	}
}

// bare returns a connection that nobody watches.
func bare(t *testing.T) (*Conn, *rawConn, *net.TCPConn) {
	a, ln := accepting(t, "tcp", "127.0.0.1:0")
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	_ = client.SetDeadline(time.Now().Add(limit))
	_ = a.SetDeadline(time.Now().Add(limit))
	c, err := a.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, (*rawConn)(c), client.(*net.TCPConn)
}

// What is there already is received, and answered, without the runtime.
func TestDirect(t *testing.T) {
	c, raw, client := bare(t)
	_, _ = io.WriteString(client, "ping")
	for { // until the other end of the loopback has it
		quiet := false
		if err := raw.Control(func(fd uintptr) { quiet = Quiet(fd) }); err != nil {
			t.Fatal(err)
		}
		if !quiet {
			break
		}
	}
	got, attempts := "", 0
	if err := raw.Read(receive(t, &got, &attempts)); err != nil || got != "ping" || attempts != 1 {
		t.Errorf("%q at attempt %d, %v", got, attempts, err)
	}
	err := raw.Write(func(fd uintptr) bool {
		_, err := Send(fd, []byte("pong"))
		return err == nil
	})
	if err != nil {
		t.Error(err)
	}
	if c.file != nil {
		t.Error("the runtime watches")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if all, err := io.ReadAll(client); string(all) != "pong" || err != nil {
		t.Errorf("%q, %v", all, err)
	}
}

// What comes while others have their turn needs no wait.
func TestSecondLook(t *testing.T) {
	c, raw, client := bare(t)
	attempts := 0
	err := raw.Read(func(uintptr) bool {
		if attempts++; attempts == 1 {
			_ = client.Close()
		}
		return attempts == 2
	})
	if err != nil || attempts != 2 || c.file != nil {
		t.Errorf("%d attempts, watched: %v, %v", attempts, c.file != nil, err)
	}
}

func TestWait(t *testing.T) {
	c, raw, client := bare(t)
	got, attempts, tried := "", 0, make(chan struct{}, 8)
	done := make(chan error, 1)
	go func() {
		f := receive(t, &got, &attempts)
		done <- raw.Read(func(fd uintptr) bool {
			defer func() { tried <- struct{}{} }()
			return f(fd)
		})
	}()
	for range 3 { // two directly, and the first one of the wait
		<-tried
	}
	_, _ = io.WriteString(client, "late")
	if err := <-done; err != nil || got != "late" || c.file == nil {
		t.Errorf("%q, watched: %v, %v", got, c.file != nil, err)
	}
}

// A deadline that comes during a direct call ends the wait that follows.
func TestDeadlineWhileDirect(t *testing.T) {
	c, raw, _ := bare(t)
	err := raw.Read(func(uintptr) bool {
		_ = c.SetDeadline(time.Unix(1, 0))
		return false
	})
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// The socket stays what it is until the last call that uses it is done: another connection
// would have its number.
func TestCloseWhileDirect(t *testing.T) {
	for _, watched := range []bool{false, true} {
		c, raw, client := bare(t)
		err := raw.Read(func(fd uintptr) bool {
			if watched {
				_ = c.SetDeadline(time.Time{})
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if _, err := Send(fd, []byte("still there")); err != nil {
				t.Error(err)
			}
			return true
		})
		if err != nil {
			t.Error(err)
		}
		if all, err := io.ReadAll(client); string(all) != "still there" || err != nil {
			t.Errorf("%q, %v", all, err)
		}
		if err := raw.Read(func(uintptr) bool { return true }); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
		if err := raw.Control(func(uintptr) {}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
}

// A fault in a direct call leaves nothing behind that would keep the socket.
func TestFaultWhileDirect(t *testing.T) {
	c, raw, client := bare(t)
	func() {
		defer func() { _ = recover() }()
		_ = raw.Read(func(uintptr) bool { panic("a fault") })
	}()
	_ = c.Close()
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%v", err)
	}
}

func TestCloseEndsTheWait(t *testing.T) {
	c, raw, _ := bare(t)
	attempts := 0
	err := raw.Read(func(uintptr) bool {
		if attempts++; attempts == 3 { // the wait has begun
			go c.Close()
		}
		return false
	})
	if err == nil {
		t.Error("the wait has ended with something")
	}
}

// A write that the socket does not take at once goes on when it does.
func TestWriteWaits(t *testing.T) {
	_, raw, client := bare(t)
	const all = 16 << 20
	left := all
	read := make(chan int64, 1)
	go func() {
		n, _ := io.CopyN(io.Discard, client, all)
		read <- n
	}()
	b := make([]byte, 1<<20)
	err := raw.Write(func(fd uintptr) bool {
		for left > 0 {
			n, err := Send(fd, b[:min(left, len(b))])
			if err == syscall.EAGAIN {
				return false
			}
			if err != nil {
				t.Error(err)
				return true
			}
			left -= n
		}
		return true
	})
	if n := <-read; n != all || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// What uses the watched socket may use the connection too, while Close waits for it.
func TestCloseWaitsWithoutLock(t *testing.T) {
	c, raw, _ := bare(t)
	_ = c.SetDeadline(time.Time{}) // from here on the runtime watches
	inside, done := make(chan struct{}), make(chan error, 2)
	go func() {
		done <- raw.Read(func(uintptr) bool {
			close(inside)
			for !c.isClosed() {
				runtime.Gosched()
			}
			if err := c.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%v", err)
			}
			return true
		})
	}()
	<-inside
	go func() { done <- c.Close() }()
	for range 2 {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(limit):
			t.Fatal("Close and the call wait for each other")
		}
	}
}

// A connection that rests costs the runtime nothing, and goes on as before when something comes.
func TestUnwatch(t *testing.T) {
	c, raw, client := bare(t)
	_ = c.SetDeadline(time.Time{}) // from here on the runtime watches
	before := c.fd
	c.Unwatch()
	if c.file != nil || c.watched != nil || c.fd == before {
		t.Fatalf("watched: %v, socket %d, before %d", c.file != nil, c.fd, before)
	}
	if err := raw.Control(func(fd uintptr) {
		if int(fd) != c.fd || !Quiet(fd) {
			t.Errorf("socket %d is not quiet", fd)
		}
	}); err != nil {
		t.Error(err)
	}
	_, _ = io.WriteString(client, "ping")
	got, attempts := "", 0
	if err := raw.Read(receive(t, &got, &attempts)); err != nil || got != "ping" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := c.Write([]byte("pong")); err != nil || c.file == nil { // may have to wait
		t.Errorf("watched: %v, %v", c.file != nil, err)
	}
	c.Unwatch()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	c.Unwatch() // of which nothing is left
	if all, err := io.ReadAll(client); string(all) != "pong" || err != nil {
		t.Errorf("%q, %v", all, err)
	}
}

// A deadline that somebody has set is not lost, whoever comes first: another goroutine ends
// connections in this way.
func TestUnwatchKeepsDeadline(t *testing.T) {
	past := time.Unix(1, 0)
	for name, set := range map[string]func(c *Conn){
		"both":   func(c *Conn) { _ = c.SetDeadline(past) },
		"read":   func(c *Conn) { _ = c.SetReadDeadline(past) },
		"write":  func(c *Conn) { _ = c.SetReadDeadline(past); _ = c.SetWriteDeadline(past); _ = c.SetReadDeadline(past) },
		"after":  func(c *Conn) { c.Unwatch(); _ = c.SetDeadline(past) },
		"beside": func(c *Conn) { go c.Unwatch(); _ = c.SetDeadline(past) },
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				c, raw, _ := bare(t)
				_ = c.SetDeadline(time.Time{})
				set(c)
				c.Unwatch()
				if err := raw.Read(func(uintptr) bool { return false }); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("%v", err)
				}
				if name == "write" {
					_ = c.SetReadDeadline(time.Time{})
					c.Unwatch()
					if err := raw.Write(func(uintptr) bool { return false }); !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Fatalf("write: %v", err)
					}
				}
				_ = c.SetDeadline(time.Time{})
				if c.Unwatch(); c.file != nil {
					t.Fatal("watched, and no deadline is set")
				}
			}
		})
	}
}

// Who asks about the socket meanwhile is told of it, or of nothing: never of another one.
func TestUnwatchWhileAsked(t *testing.T) {
	c, raw, _ := bare(t)
	want, ok := c.peer, make(chan bool)
	stop := make(chan struct{})
	go func() {
		good := true
		for {
			select {
			case <-stop:
				ok <- good
				return
			default:
			}
			_ = raw.Control(func(fd uintptr) {
				if sa, err := unix.Getpeername(int(fd)); err != nil || sa.(*unix.SockaddrInet4).Port != int(want.Port()) {
					good = false
				}
			})
		}
	}()
	for range 2000 {
		_ = c.SetDeadline(time.Time{})
		c.Unwatch()
	}
	close(stop)
	if !<-ok {
		t.Error("asked about another socket")
	}
	_ = c.Close()
}
