package supervisor

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
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"yett/internal/control/socket"
	"yett/internal/instance"
)

// worker is one process of the gateway.
type worker struct {
	id         int
	generation int
	handle     *instance.Handle // nil when it had ended before it could be looked at
	socket     string
	started    time.Time
	ready      time.Time
	adopted    bool

	// ended is closed when it has ended, how says in which way.
	ended chan struct{}
	how   string
	code  int // its exit code, where that is known
}

// CutOff is the exit code of a worker that has drained, but ended what took longer than it may.
const CutOff = 3

// starting is a process whose start is watched: who it is, and what it says.
type starting struct {
	cmd   *exec.Cmd
	ready *os.File
	logs  string // file of what it writes, empty where this process doesn't know
	from  int64  // where that begins
}

// process is what spawn starts.
type process struct {
	program string
	args    []string
	env     []string
	log     string // the name of its log
	serves  bool   // gets the listening sockets
}

// spawn starts a process. Nobody waits for it yet.
func (s *Supervisor) spawn(p process) (*starting, error) {
	ready, theirs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer theirs.Close()
	const first = 3
	var files []*os.File
	if p.serves {
		var sockets []string
		if files, sockets, err = s.sockets.Pass(first + 1); err != nil {
			return nil, errors.Join(err, ready.Close())
		}
		p.env = append(p.env, sockets...)
	}
	defer func() { _ = socket.Passed{Files: files}.Close() }()
	st := &starting{ready: ready}
	st.cmd = &exec.Cmd{
		Path: p.program, Args: append([]string{s.name()}, p.args...), Stdout: os.Stdout, Stderr: os.Stderr,
		ExtraFiles: append([]*os.File{theirs}, files...),
		Env:        s.environment(append(p.env, "YETT_READY="+strconv.Itoa(first))...),
		// A group of its own: what the terminal sends at Ctrl-C is for the supervisor.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if s.o.Detached {
		out, err := st.openLog(filepath.Join(s.o.Dir.Logs(), p.log+".log"))
		if err != nil {
			return nil, errors.Join(err, ready.Close())
		}
		defer out.Close()
	}
	if err := st.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start a process: %w", err), ready.Close())
	}
	return st, nil
}

// openLog has the process write into a file by itself: it goes on when this process is gone.
func (st *starting) openLog(path string) (*os.File, error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of a worker: %w", err)
	}
	st.logs = path
	if info, err := out.Stat(); err == nil {
		st.from = info.Size()
	}
	st.cmd.Stdout, st.cmd.Stderr = out, out
	return out, nil
}

// launch starts a worker and waits until it is ready; then it is put into its place. An error says why it is not, in its own
// words where it had any, and it has ended then.
func (s *Supervisor) launch(ctx context.Context, id int, program string, env ...string) (*worker, error) {
	s.mu.Lock()
	s.generation++
	w := &worker{id: id, generation: s.generation, started: time.Now(), ended: make(chan struct{})}
	w.socket = s.o.Dir.Worker(w.name())
	s.launching[w.socket] = true
	s.mu.Unlock()
	s.save("") // the number, so that the next supervisor doesn't give it again
	if err := s.run(ctx, w, program, env); err != nil {
		s.mu.Lock()
		delete(s.launching, w.socket)
		s.mu.Unlock()
		return nil, err
	}
	w.ready = time.Now()
	s.log.Info("worker is ready", "worker", id, "pid", w.pid(), "after", w.ready.Sub(w.started).String())
	return w, nil
}

// run starts the process of a worker.
func (s *Supervisor) run(ctx context.Context, w *worker, program string, env []string) error {
	if path := s.storePath(); path != "" {
		env = append(env, StoreVariable+"="+path)
	}
	if limit := s.o.MaxMemory; limit > 0 && !has(s.o.Environ, "GOMEMLIMIT") {
		env = append(env, "GOMEMLIMIT="+strconv.FormatInt(limit/10*9, 10))
	}
	st, err := s.spawn(process{
		program: program, args: append(slices.Clone(s.o.Worker), "--worker", w.name()), env: env,
		log: "worker-" + strconv.Itoa(w.id), serves: true,
	})
	if err != nil {
		return fmt.Errorf("worker %d: %w", w.id, err)
	}
	w.handle = handleOf(st.cmd.Process.Pid)
	go st.wait(w)
	err = s.awaitReady(ctx, w, st)
	if err == nil {
		err = s.awaitSocket(ctx, w)
	}
	if err != nil {
		return &StartError{Worker: w.id, Why: err}
	}
	return nil
}

// name is what tells a worker apart from the others that have its place before and after it.
func (w *worker) name() string { return fmt.Sprintf("%d-%d", w.id, w.generation) }

// name is what processes are called: a program looks by it where its file is.
func (s *Supervisor) name() string {
	if _, err := os.Stat(s.o.Program); err == nil {
		return s.o.Program
	}
	return s.o.Running // the file is gone
}

// socketTime is how long a worker that serves may take to open its own socket.
const socketTime = 2 * time.Second

// awaitSocket waits until a worker can be asked. One that serves and can't is of no use: nobody
// could tell it anything, or take it over.
func (s *Supervisor) awaitSocket(ctx context.Context, w *worker) error {
	for until := time.Now().Add(socketTime); ; time.Sleep(2 * time.Millisecond) {
		_, err := w.call()
		if err == nil {
			return nil
		}
		if time.Now().After(until) || ctx.Err() != nil || !w.alive() {
			w.signal(syscall.SIGTERM)
			return fmt.Errorf("it serves, but can't be asked: %w", err)
		}
	}
}

// handleOf returns nil for a child that has ended.
func handleOf(pid int) *instance.Handle {
	p, err := instance.Find(pid)
	if err != nil {
		return nil
	}
	h, err := p.Open()
	if err != nil {
		return nil
	}
	return h
}

// wait waits for the end of a child.
func (st *starting) wait(w *worker) {
	err := st.cmd.Wait()
	w.how, w.code = st.ending(err), st.cmd.ProcessState.ExitCode()
	_ = os.Remove(w.socket) // one that was killed could not
	close(w.ended)
}

// ending says how a child has ended, with its last lines.
func (st *starting) ending(err error) string {
	how := "it ended by itself"
	if err != nil {
		how = "it ended with " + err.Error()
	}
	if words := lastLines(st.logs, st.from); words != "" && err != nil {
		how += ": " + words
	}
	return how
}

// What of a log is shown.
const (
	mostTail  = 4 << 10
	tailLines = 5
)

// lastLines returns the last lines of a file behind a place.
func lastLines(path string, from int64) string {
	if path == "" {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() <= from { // or it was rotated away
		return ""
	}
	from = max(from, info.Size()-mostTail)
	text, err := io.ReadAll(io.NewSectionReader(f, from, info.Size()-from))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// awaitReady waits for what a process says, and ends one that can't serve.
func (s *Supervisor) awaitReady(ctx context.Context, w *worker, st *starting) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.StartTime, fmt.Errorf("it was not ready within %v", s.o.StartTime))
	defer cancel()
	said := make(chan error, 1)
	go func() { said <- readReady(st.ready) }()
	defer st.ready.Close()
	var err error
	select {
	case err = <-said:
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-s.stopping:
		err = errStopping
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, errSilent) {
		err = w.lastWords()
	}
	w.kill()
	<-w.ended
	return err
}

// StartError is a worker that could not serve.
type StartError struct {
	Worker int
	Why    error
}

// Error says which worker, and why.
func (e *StartError) Error() string {
	return fmt.Sprintf("worker %d did not start: %v", e.Worker, e.Why)
}

// Unwrap returns why.
func (e *StartError) Unwrap() error { return e.Why }

// errSilent is a process that has closed its pipe without a word.
var errSilent = errors.New("it said nothing")

// readReady reads the one line that a process says.
func readReady(pipe io.Reader) error {
	line, err := bufio.NewReader(io.LimitReader(pipe, 1<<20)).ReadBytes('\n')
	if err != nil {
		return errSilent
	}
	var m struct {
		Ready  bool
		Failed string
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return fmt.Errorf("it said %.100q instead of whether it is ready", line)
	}
	if !m.Ready {
		return errors.New(m.Failed)
	}
	return nil
}

// dying is how long a process that has closed its pipe may take to end.
const dying = time.Second

// lastWords is why a worker that said nothing is not ready.
func (w *worker) lastWords() error {
	select {
	case <-w.ended:
		return errors.New(w.how)
	case <-time.After(dying):
		return errors.New("it closed the pipe by which it should have said that it is ready")
	}
}

func (w *worker) pid() int {
	if w.handle == nil {
		return 0
	}
	return w.handle.PID
}

// signal is for this process and no other, whoever has its number by now.
func (w *worker) signal(sig syscall.Signal) {
	if w.handle != nil {
		_ = w.handle.Signal(sig) // an error says that it has ended
	}
}

func (w *worker) kill() { w.signal(syscall.SIGKILL) }

// call returns who answers for the worker.
func (w *worker) call() (*socket.Client, error) { return socket.Dial(w.socket) }
