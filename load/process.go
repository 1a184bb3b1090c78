package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program of ours that logs in JSON.
type process struct {
	cmd   *exec.Cmd
	said  chan map[string]any // what it logs, until nobody listens any more
	heard chan struct{}       // closed when nobody does
	ended chan struct{}
	once  sync.Once
}

// start starts a program, with variables beside those of this process. Its warnings go to says.
func start(says io.Writer, env []string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), said: make(chan map[string]any), heard: make(chan struct{}), ended: make(chan struct{})}
	// Ctrl-C comes to us alone, so that k6 ends before the gateway does.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	p.cmd.Env = append(os.Environ(), env...)
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = write, write
	err = p.cmd.Start()
	write.Close()
	if err != nil {
		read.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go p.listen(read, says)
	return p, nil
}

func (p *process) listen(from *os.File, says io.Writer) {
	defer close(p.ended)
	defer p.cmd.Wait() // how it ended doesn't matter: it is stopped, or was missed
	defer from.Close()
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		var fields map[string]any
		if json.Unmarshal(lines.Bytes(), &fields) != nil {
			fmt.Fprintf(says, "%s: %s\n", p.cmd.Path, lines.Text())
			continue
		}
		if level, _ := fields["level"].(string); slices.Contains([]string{"warn", "error"}, strings.ToLower(level)) {
			fmt.Fprintf(says, "%s: %s\n", p.cmd.Path, lines.Text())
		}
		select {
		case p.said <- fields:
		case <-p.heard:
		}
	}
}

// hear waits for a message in what the program logs.
func (p *process) hear(ctx context.Context, message string) (map[string]any, error) {
	defer p.once.Do(func() { close(p.heard) })
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		select {
		case fields := <-p.said:
			if fields["msg"] == message {
				return fields, nil
			}
		case <-p.ended:
			return nil, fmt.Errorf("%s ended at once", p.cmd.Path)
		case <-ctx.Done():
			return nil, fmt.Errorf("wait until %s is ready: %w", p.cmd.Path, ctx.Err())
		}
	}
}

// stop drains it, and kills it when that takes long.
func (p *process) stop() error {
	p.once.Do(func() { close(p.heard) })
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended by itself: %v", p.cmd.Path, p.cmd.ProcessState)
	default:
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return nil
	case <-time.After(15 * time.Second):
		return errors.Join(fmt.Errorf("%s did not end after SIGTERM", p.cmd.Path), p.cmd.Process.Kill())
	}
}
