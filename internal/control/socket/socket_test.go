package socket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"yett/internal/control"
	"yett/internal/problem"
	"yett/internal/telemetry"
)

// fake is an instance whose answers a test sets.
type fake struct {
	control.Instance
	reload func(context.Context, control.Proposal) (control.Outcome, error)
	stop   func(context.Context) error
}

func (f fake) Status(context.Context) (control.Status, error) {
	return control.Status{Name: "a", PID: 7, State: control.Ready, Usage: control.Usage{Memory: 5}}, nil
}
func (f fake) Stats(context.Context) (telemetry.Stats, error) {
	return telemetry.Stats{Requests: 1 << 63}, nil
}
func (f fake) Revisions(context.Context) ([]control.Revision, error) {
	return []control.Revision{{ID: "r1"}}, nil
}
func (f fake) Reload(ctx context.Context, p control.Proposal) (control.Outcome, error) {
	return f.reload(ctx, p)
}
func (f fake) Stop(ctx context.Context) error { return f.stop(ctx) }

// cluster is one with the verbs of many.
type cluster struct {
	fake
	scaled int
}

func (c *cluster) Restart(context.Context) error        { return nil }
func (c *cluster) Scale(_ context.Context, n int) error { c.scaled = n; return nil }

func path(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "control.sock")
}

func serve(t *testing.T, i control.Instance) *Client {
	t.Helper()
	p := path(t)
	l, err := Listen(p)
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, i)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(p); err == nil {
			t.Error("the file is left behind")
		}
	})
	c, err := Dial(p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCalls(t *testing.T) {
	many := &cluster{fake: fake{
		reload: func(_ context.Context, p control.Proposal) (control.Outcome, error) {
			return control.Outcome{Refused: p.Text, Problems: problem.List{{File: "a", Line: 3, What: "no"}}}, nil
		},
		stop: func(context.Context) error { return nil },
	}}
	c, ctx := serve(t, many), t.Context()
	if s, err := c.Status(ctx); err != nil || s.Name != "a" || s.PID != 7 || s.Memory != 5 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := c.Stats(ctx); err != nil || s.Requests != 1<<63 {
		t.Errorf("%+v, %v", s, err)
	}
	if r, err := c.Revisions(ctx); err != nil || len(r) != 1 || r[0].ID != "r1" {
		t.Errorf("%+v, %v", r, err)
	}
	o, err := c.Reload(ctx, control.Proposal{Text: "x: ü"})
	if err != nil || o.Refused != "x: ü" || len(o.Problems) != 1 || o.Problems[0].Line != 3 {
		t.Errorf("%+v, %v", o, err)
	}
	if err := errors.Join(c.Restart(ctx), c.Scale(ctx, 5), c.Stop(ctx)); err != nil || many.scaled != 5 {
		t.Errorf("%v, scaled to %d", err, many.scaled)
	}
}

func TestErrorsTravel(t *testing.T) {
	c := serve(t, fake{
		stop: func(context.Context) error { return fmt.Errorf("wrapped: %w", problem.List{{What: "no"}}) },
	})
	err := c.Stop(t.Context())
	list, ok := errors.AsType[problem.List](err)
	if !ok || len(list) != 1 || err.Error() != "wrapped: no" {
		t.Errorf("%v, %v", err, list)
	}
	if err := c.Scale(t.Context(), 3); err == nil || !strings.Contains(err.Error(), "yett start") {
		t.Errorf("a verb of clusters: %v", err)
	}
	if _, err := c.Sockets(t.Context()); err == nil || !strings.Contains(err.Error(), "gives no sockets") {
		t.Errorf("sockets of one that has none: %v", err)
	}
}

// A call that takes longer than a breath arrives, whatever it ends with.
func TestLongCall(t *testing.T) {
	c := serve(t, fake{stop: func(ctx context.Context) error {
		time.Sleep(breath + 200*time.Millisecond)
		return errors.New("late")
	}})
	if err := c.Stop(t.Context()); err == nil || err.Error() != "late" {
		t.Error(err)
	}
}

// Who asks may give up, and the other side learns of it.
func TestGiveUp(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	c := serve(t, fake{stop: func(ctx context.Context) error {
		close(began)
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	if err := c.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-ended
}

func TestListen(t *testing.T) {
	p := path(t)
	first, err := Listen(p)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(p); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := Listen(p); err == nil || !strings.Contains(err.Error(), "another process answers") {
		t.Errorf("a living socket: %v", err)
	}
	_ = first.Close() // as if its process had been killed: the file stays
	if _, err := Dial(p); !errors.Is(err, ErrNobody) {
		t.Errorf("nobody there: %v", err)
	}
	second, err := Listen(p)
	if err != nil {
		t.Fatal(err)
	}
	_ = second.Close()
	if err := os.Remove(p); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(p); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file: %v", err)
	}
	long := filepath.Join(filepath.Dir(p), strings.Repeat("x", 100))
	if _, err := Listen(long); err == nil || !strings.Contains(err.Error(), "at most 107") {
		t.Errorf("a long path: %v", err)
	}
	if _, err := Dial(long); err == nil || !strings.Contains(err.Error(), "at most 107") {
		t.Errorf("a long path: %v", err)
	}
}

// One that has been replaced leaves the file of the next alone.
func TestCloseLeavesTheNext(t *testing.T) {
	p := path(t)
	l, err := Listen(p)
	if err != nil {
		t.Fatal(err)
	}
	old := Serve(l, fake{})
	if err := os.Remove(p); err != nil {
		t.Fatal(err)
	}
	next, err := Listen(p)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Dial(p); err != nil {
		t.Error(err)
	}
}

func TestCheckUser(t *testing.T) {
	for _, c := range []struct {
		peer, own uint32
		ok        bool
	}{{7, 7, true}, {0, 7, true}, {8, 7, false}, {7, 0, false}} {
		if err := checkUser(c.peer, c.own); (err == nil) != c.ok {
			t.Errorf("%d asks %d: %v", c.peer, c.own, err)
		}
	}
}

// What answers nonsense, or nothing whole, is told so.
func TestStrangers(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello": "not one of a gateway",
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello": "ended before it answered",
		"": "ended before it answered",
	} {
		p := path(t)
		l, err := Listen(p)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, text)
				_ = c.Close()
			}
		}()
		c, err := Dial(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		_ = l.Close()
	}
}

// passer gives away copies of its listeners.
type passer struct {
	fake
	listeners []*net.TCPListener
}

func (p passer) Sockets() (out Passed, err error) {
	for _, l := range p.listeners {
		raw, err := l.SyscallConn()
		if err != nil {
			return out, err
		}
		_ = raw.Control(func(fd uintptr) {
			n, dupErr := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
			err = dupErr
			out.Files = append(out.Files, os.NewFile(uintptr(n), "l"))
		})
		if err != nil {
			return out, err
		}
	}
	out.Env = []string{"YETT_SOCKETS=anything"}
	return out, nil
}

func TestSocketsArePassed(t *testing.T) {
	for _, n := range []int{0, 1, atOnce, 2*atOnce + 3} {
		var p passer
		for range n {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			p.listeners = append(p.listeners, l.(*net.TCPListener))
		}
		got, err := serve(t, p).Sockets(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		if len(got.Files) != n || len(got.Env) != 1 {
			t.Fatalf("%d files of %d, %v", len(got.Files), n, got.Env)
		}
		for i, f := range got.Files {
			l, err := net.FileListener(f)
			if err != nil {
				t.Fatal(err)
			}
			if l.Addr().String() != p.listeners[i].Addr().String() {
				t.Errorf("%d of %d is %s, want %s", i, n, l.Addr(), p.listeners[i].Addr())
			}
			_ = l.Close()
		}
		for _, l := range p.listeners {
			if !nonblocking(t, l) {
				t.Fatal("passing a socket has made it blocking")
			}
		}
	}
}

func nonblocking(t *testing.T, c syscall.Conn) (is bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		is = err == nil && flags&unix.O_NONBLOCK != 0
	})
	return is
}

// Of one that is stopped for long, as many wait as may.
func TestNobodyAccepts(t *testing.T) {
	dir, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err = Dial(path); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "hangs or is stopped") {
		t.Error(err)
	}
}

func TestMend(t *testing.T) {
	p := path(t)
	l, err := Listen(p)
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, fake{})
	defer s.Close()
	if mended, err := s.Mend(); mended || err != nil {
		t.Errorf("nothing was wrong: %v, %v", mended, err)
	}
	if err := os.Remove(p); err != nil {
		t.Fatal(err)
	}
	if mended, err := s.Mend(); !mended || err != nil {
		t.Fatalf("%v, %v", mended, err)
	}
	c, err := Dial(p)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := c.Status(t.Context()); err != nil || st.PID != 7 {
		t.Errorf("%+v, %v", st, err)
	}
	if s.Replaced() {
		t.Error("it is its own")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(p); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it left its file: %v", err)
	}
	if err := os.WriteFile(p, nil, 0o600); err != nil || !s.Replaced() {
		t.Errorf("it is another's: %v", err)
	}
}
