package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// stopTime is how long a process may take to end after SIGTERM.
const stopTime = 5 * time.Second

// startAt starts cmd in its place from its first instruction on: the Go runtime
// of a child sees one CPU.
func startAt(at place, cmd *exec.Cmd) error {
	// A group of its own keeps the terminal's Ctrl-C from it: the harness stops it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	started := make(chan error)
	go func() {
		// A child inherits affinity and priority from the thread that starts it.
		// This one is given back as it was, or ends with its goroutine.
		runtime.LockOSThread()
		restore, err := at.enter()
		if err == nil {
			err = errors.Join(cmd.Start(), restore())
		}
		if err == nil {
			runtime.UnlockOSThread()
		}
		started <- err
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return nil
}

// process is a running child.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // valid after done
}

func startProcess(at place, cmd *exec.Cmd) (*process, error) {
	if err := startAt(at, cmd); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	return p, nil
}

// stop ends the process, and what is left of its group.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTime):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// helper is the command of this program in another role.
func helper(ctx context.Context, role string) (*exec.Cmd, *bytes.Buffer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find own executable: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "-role", role)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	return cmd, &stderr, nil
}

// startOrigin starts the origin server and returns its address.
func startOrigin(ctx context.Context, at place) (*process, netip.AddrPort, error) {
	var none netip.AddrPort
	cmd, stderr, err := helper(ctx, "origin")
	if err != nil {
		return nil, none, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, none, fmt.Errorf("open pipe to origin: %w", err)
	}
	defer r.Close()
	cmd.Stdout = w
	p, err := startProcess(at, cmd)
	_ = w.Close()
	if err != nil {
		return nil, none, err
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err == nil {
		var addr netip.AddrPort
		if addr, err = netip.ParseAddrPort(strings.TrimSpace(line)); err == nil {
			return p, addr, nil
		}
	}
	p.stop()
	return nil, none, fmt.Errorf("read address of origin: %w %s", err, stderr)
}

// measure runs the load generator.
func measure(ctx context.Context, at place, spec loadSpec) (found loadResult, err error) {
	cmd, stderr, err := helper(ctx, "load")
	if err != nil {
		return found, err
	}
	input, err := json.Marshal(spec)
	if err != nil {
		return found, fmt.Errorf("encode load: %w", err)
	}
	var stdout bytes.Buffer
	cmd.Stdin, cmd.Stdout = bytes.NewReader(input), &stdout
	if err := startAt(at, cmd); err != nil {
		return found, err
	}
	if err := cmd.Wait(); err != nil {
		return found, fmt.Errorf("generate load: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	if err := json.Unmarshal(stdout.Bytes(), &found); err != nil {
		return found, fmt.Errorf("read result of load generator: %w", err)
	}
	return found, nil
}

// idleHolder is a running helper that holds idle connections.
type idleHolder struct {
	*process
	release io.Closer
	reports *json.Decoder
	output  io.Closer
}

// startIdle opens spec.Conns connections that have made one request each.
func startIdle(ctx context.Context, at place, spec idleSpec) (*idleHolder, error) {
	cmd, stderr, err := helper(ctx, "idle")
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe to idle client: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe from idle client: %w", err)
	}
	cmd.Stdout = w
	p, err := startProcess(at, cmd)
	_ = w.Close()
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	h := &idleHolder{process: p, release: in, reports: json.NewDecoder(r), output: r}
	if err = json.NewEncoder(in).Encode(spec); err == nil {
		_, err = h.report()
	}
	if err != nil {
		h.close()
		return nil, fmt.Errorf("open idle connections: %w %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return h, nil
}

// report reads the next report and fails when a connection has.
func (h *idleHolder) report() (idleReport, error) {
	var r idleReport
	if err := h.reports.Decode(&r); err != nil {
		return r, fmt.Errorf("read report of idle client: %w", err)
	}
	if r.Failures > 0 {
		return r, fmt.Errorf("%d connections failed, the first: %s", r.Failures, r.Failure)
	}
	return r, nil
}

// finish checks that all connections are still open.
func (h *idleHolder) finish() error {
	if err := h.release.Close(); err != nil {
		return fmt.Errorf("release idle connections: %w", err)
	}
	_, err := h.report()
	return err
}

func (h *idleHolder) close() {
	_ = h.release.Close()
	h.stop()
	_ = h.output.Close()
}
