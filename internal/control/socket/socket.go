// Package socket carries control between processes: an Instance served on a Unix socket, and one
// that asks there. It is HTTP with JSON, so that curl --unix-socket shows it too. Who may open the
// socket's file may change the gateway: the file is its owner's alone.
//
// Every answer is an object with a result or an error. A call that takes long gets spaces
// meanwhile, which JSON doesn't mind, so that who waits can tell work from a process that hangs.
package socket

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"yett/internal/problem"
)

// longestPath is what the kernel takes as the path of a socket, in bytes.
const longestPath = len(unix.RawSockaddrUnix{}.Path) - 1

func checkPath(path string) error {
	if len(path) <= longestPath {
		return nil
	}
	return fmt.Errorf("the path %s has %d bytes, and the path of a socket can have at most %d; choose a shorter directory with YETT_STATE, or a shorter name", path, len(path), longestPath)
}

// Listen takes the socket at path; the file of a process that is gone is replaced, that of a
// living one is not. Nobody but this user can open it. The caller holds the lock of the directory.
func Listen(path string) (net.Listener, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if err := clear(path); err != nil {
		return nil, err
	}
	// Bound under another name first, so that the file is never there with another mode, or
	// without anybody behind it.
	hidden := path + "~"
	if checkPath(hidden) != nil {
		hidden = path
	}
	_ = os.Remove(hidden)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for control: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(hidden, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for control: %w", err), l.Close())
	}
	if hidden != path {
		if err := os.Rename(hidden, path); err != nil {
			return nil, errors.Join(fmt.Errorf("listen for control: %w", err), l.Close(), os.Remove(hidden))
		}
	}
	return &listener{UnixListener: l, path: path}, nil
}

// listener knows the file's name as it is now.
type listener struct {
	*net.UnixListener
	path string
}

// clear removes the file of a process that is gone.
func clear(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen for control: %w", err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("listen for control: %s is there and is no socket; move it away", path)
	}
	c, err := net.DialTimeout("unix", path, dialTime)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("listen for control: another process answers at %s; see who with yett status", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("listen for control: who is behind %s can't be told: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("listen for control: %w", err)
	}
	return nil
}

const (
	// dialTime is how long a connection may take, which needs nothing of the other process.
	dialTime = 2 * time.Second
	// breath is how often who works on a call shows that it does.
	breath = time.Second
	// silence is how long one may show nothing before it counts as hanging.
	silence = 10 * time.Second
	// mostBody is the largest call or answer, in bytes.
	mostBody = 32 << 20
)

// Passed are listening sockets on their way from one process to another.
type Passed struct {
	// Env is what handover wrote about Files, of which the first is to become number First.
	Env   []string
	Files []*os.File
}

// First is the number that the first of Passed.Files becomes.
const First = 3

// Close closes the files.
func (p Passed) Close() error {
	var errs []error
	for _, f := range p.Files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Passer is an Instance that gives copies of its listening sockets to another process, as
// handover.Sockets.Pass(First) returns them.
type Passer interface {
	Sockets() (Passed, error)
}

// Error is an error that another process told.
type Error struct {
	Message string       `json:"message"`
	List    problem.List `json:"problems,omitempty"`
}

// Error returns what the other process said.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the problems of a configuration, where it was these.
func (e *Error) Unwrap() error { return e.List.Err() }

func tell(err error) *Error {
	e := &Error{Message: err.Error()}
	errors.As(err, &e.List)
	return e
}

// answer is what comes back.
type answer[T any] struct {
	Result T      `json:"result,omitempty"`
	Error  *Error `json:"error,omitempty"`
}

// The paths of calls.
const (
	pathStatus    = "/v1/status"
	pathStats     = "/v1/stats"
	pathPlan      = "/v1/plan"
	pathReload    = "/v1/reload"
	pathRevisions = "/v1/revisions"
	pathReopen    = "/v1/reopen"
	pathStop      = "/v1/stop"
	pathUpgrade   = "/v1/upgrade"
	pathRestart   = "/v1/restart"
	pathScale     = "/v1/scale"
	pathSockets   = "/v1/sockets"
)
