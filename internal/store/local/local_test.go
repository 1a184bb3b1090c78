package local

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"yett/internal/store"
	"yett/internal/store/memory"
	"yett/internal/store/storetest"
)

// serverVariable makes this program a server, at the path that it holds, of a process of its own.
const serverVariable = "YETT_TEST_STORE"

func TestMain(m *testing.M) {
	if path := os.Getenv(serverVariable); path != "" {
		if err := serveProcess(path, os.Getenv(serverVariable+"_SUCCEEDS") != ""); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// serveProcess serves until it is killed or succeeded.
func serveProcess(path string, succeeds bool) (err error) {
	m := memory.New(memory.Options{Keys: 10_000})
	var l *net.UnixListener
	if succeeds {
		l, err = Succeed(context.Background(), path, m)
	} else {
		l, err = Listen(path)
	}
	if err != nil {
		return err
	}
	s := Serve(l, m, slog.New(slog.NewTextHandler(os.Stdout, nil)))
	fmt.Println("ready")
	<-s.Succeeded()
	return s.Close()
}

// process is a server of its own.
type process struct {
	t    testing.TB
	path string
	cmd  *exec.Cmd
}

// start starts a server at a path, or at one of its own, and waits until it serves.
func start(t testing.TB, path string, succeeds bool) *process {
	t.Helper()
	if path == "" {
		path = socketPath(t)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverVariable+"="+path)
	if succeeds {
		cmd.Env = append(cmd.Env, serverVariable+"_SUCCEEDS=1")
	}
	cmd.SysProcAttr = dieWithParent()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, path: path, cmd: cmd}
	t.Cleanup(p.Kill)
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the server says %q", lines.Text())
	}
	return p
}

// Kill kills it, unless it has ended.
func (p *process) Kill() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() }

// Pause stops it, and returns when it has stopped.
func (p *process) Pause() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		p.t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		p.t.Fatalf("it did not stop: %v, %v", status, err)
	}
}

// Resume lets it go on.
func (p *process) Resume() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }

func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "store.sock")
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// serveHere serves in this process, until the test ends.
func serveHere(t testing.TB, clock func() time.Time) (path string, m *memory.Store, s *Server) {
	t.Helper()
	path = socketPath(t)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	m = memory.New(memory.Options{})
	s = serve(l, m, quiet(), clock)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		m.Close()
	})
	return path, m, s
}

// open opens a store whose server has to be there. It may take its time: the machine may be busy.
func open(t testing.TB, path string) *Store {
	return openWith(t, Options{Path: path, Timeout: 5 * time.Second})
}

func openWith(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if s != nil {
		t.Cleanup(s.Close)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() store.Store {
		path, _, _ := serveHere(t, time.Now)
		return func() store.Store { return open(t, path) }
	})
}

func TestStoreOfAProcess(t *testing.T) {
	p := start(t, "", false)
	set := 0
	storetest.Run(t, func(t *testing.T) func() store.Store {
		set++
		own := fmt.Sprint("test", set, " ")
		return func() store.Store { return prefixed{open(t, p.path), own} }
	})
}

// prefixed is a store of which a test has some sets for itself.
type prefixed struct {
	*Store
	prefix string
}

func (p prefixed) Add(ctx context.Context, set string, entries ...store.Entry) error {
	return p.Store.Add(ctx, p.prefix+set, entries...)
}

func (p prefixed) Follow(ctx context.Context, set string, f store.Follower) {
	p.Store.Follow(ctx, p.prefix+set, f)
}

func TestTakes(t *testing.T) {
	storetest.Takes(t, func(t *testing.T) (store.Store, func(time.Time)) {
		var now atomic.Pointer[time.Time]
		path, _, _ := serveHere(t, func() time.Time { return *now.Load() })
		return open(t, path), func(at time.Time) { now.Store(&at) }
	})
}
