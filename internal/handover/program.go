package handover

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Program is how this process was started, so that another can be started in the same way.
type Program struct {
	// Path is where the program was found. What lies there later is the new program.
	Path string
	Args []string // with the program's name
}

// Started tells how this process was started. It has to be called before anything changes the
// working directory.
func Started(args []string) (Program, error) {
	if len(args) == 0 {
		return Program{}, errors.New("this process has no name")
	}
	path, err := exec.LookPath(args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		path, err = os.Executable() // whoever started it has given it another name
	}
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return Program{}, fmt.Errorf("finding the program that runs: %w", err)
	}
	path, err = filepath.Abs(path)
	return Program{Path: path, Args: args}, err
}

// Successor is a process that was started to take the place of this one. Its owner calls Wait,
// and Heir at most once.
type Successor struct {
	cmd   *exec.Cmd
	ready *os.File // what it says
	heir  *os.File // our end of the pair by which it inherits
	ended chan struct{}
	err   error // how it ended, valid after ended
}

// Start starts the program with the arguments, environment, working directory and standard files
// of this process, and hands it all sockets.
func (p Program) Start(s *Sockets, w *Waiting) (*Successor, error) {
	files, env, err := s.Pass(firstFD)
	if err != nil {
		return nil, err
	}
	defer func() { closeAll(files) }() // the process has duplicates
	ready, ours, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for the new process: %w", err)
	}
	files = append(files, ours)
	heir, theirs, err := pair()
	if err != nil {
		_ = ready.Close()
		return nil, err
	}
	files = append(files, theirs)
	n := &Successor{ready: ready, heir: heir, ended: make(chan struct{})}
	n.cmd = &exec.Cmd{
		Path: p.Path, Args: p.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, ExtraFiles: files,
		Env: append(append(os.Environ(), env...), w.systemd.pass()...),
	}
	n.cmd.Env = append(n.cmd.Env,
		readyVariable+"="+strconv.Itoa(firstFD+len(files)-2), heirVariable+"="+strconv.Itoa(firstFD+len(files)-1))
	if err := n.cmd.Start(); err != nil {
		_ = ready.Close()
		_ = heir.Close()
		return nil, fmt.Errorf("starting %s: %w", p.Path, err)
	}
	go n.wait()
	return n, nil
}

// pair returns two sockets that are connected.
func pair() (ours, theirs *os.File, err error) {
	syscall.ForkLock.RLock() // a process that is started meanwhile must not get them
	defer syscall.ForkLock.RUnlock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making sockets for the new process: %w", err)
	}
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
	}
	_ = syscall.SetNonblock(fds[0], true) // else reading ties up a thread
	return os.NewFile(uintptr(fds[0]), "heir"), os.NewFile(uintptr(fds[1]), "heir"), nil
}

func (n *Successor) wait() {
	n.err = n.cmd.Wait()
	close(n.ended)
}

// PID is its number.
func (n *Successor) PID() int { return n.cmd.Process.Pid }

// Heir is where it asks for what this process keeps in memory, and gets it. The caller closes it.
func (n *Successor) Heir() io.ReadWriteCloser { return n.heir }

// Ended is closed when the process has ended.
func (n *Successor) Ended() <-chan struct{} { return n.ended }

// Wait waits until the process says that it is ready. Else it ends it, and the error says why
// the process, or ctx, has failed. It takes what ctx is given up for as the reason.
func (n *Successor) Wait(ctx context.Context) error {
	said := make(chan error, 1)
	go func() { said <- listenTo(n.ready) }()
	var err error
	select {
	case err = <-said:
		if err == nil {
			return n.ready.Close()
		}
		err = n.explain(err)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	n.Kill()
	_ = n.ready.Close() // ends listenTo, too
	return err
}

// errSilent is of a process that has closed its pipe and said nothing.
var errSilent = errors.New("it ended before it was ready")

// mostSaid bounds what a process may say.
const mostSaid = 64 << 10

// listenTo reads the line of a process that has been started.
func listenTo(pipe io.Reader) error {
	line, err := bufio.NewReader(io.LimitReader(pipe, mostSaid)).ReadBytes('\n')
	if err != nil {
		return errSilent
	}
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return fmt.Errorf("it said something else than that it is ready: %q", line)
	}
	if !m.Ready {
		return errors.New(m.Failed)
	}
	return nil
}

// explain adds how a process that said nothing has ended, if it has.
func (n *Successor) explain(err error) error {
	if !errors.Is(err, errSilent) {
		return err
	}
	select {
	case <-n.ended:
		if n.err != nil {
			return fmt.Errorf("%w (%w); see what it wrote", err, n.err)
		}
		return fmt.Errorf("%w (exit status 0); see what it wrote", err)
	case <-time.After(lastWords):
		return errors.New("it closed the pipe by which it should have said that it is ready: it is no program that knows of handing over")
	}
}

// lastWords is how long a process gets to end by itself.
const lastWords = time.Second

// Stop tells the process to stop, when it serves already.
func (n *Successor) Stop() { _ = n.cmd.Process.Signal(syscall.SIGTERM) } // an error says that it has ended

// Kill ends the process: with SIGTERM, and a second later with SIGKILL. It returns when it has
// ended.
func (n *Successor) Kill() {
	_ = n.cmd.Process.Signal(syscall.SIGTERM) // an error says that it has ended
	select {
	case <-n.ended:
		return
	case <-time.After(lastWords):
	}
	_ = n.cmd.Process.Kill()
	<-n.ended
}

// Predecessor returns where the process before this one tells what it keeps in memory, or nil
// when there is none. The caller closes it.
func Predecessor() (io.ReadWriteCloser, error) {
	f, err := inheritedFile(heirVariable)
	if f == nil {
		return nil, err
	}
	return f, nil
}
