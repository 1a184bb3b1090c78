package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// redisProgram is also the name of the package that holds it.
const redisProgram = "redis-server"

// redisServer is a running redis-server that began empty and keeps nothing on
// disk.
type redisServer struct {
	*process
	port int
}

// startRedis starts a redis-server in its place, on a free port, and returns when
// it answers.
func startRedis(ctx context.Context, at place, dir string) (*redisServer, error) {
	path, err := lookProgram(redisProgram)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, redisProgram)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, fmt.Errorf("prepare folder of %s: %w", redisProgram, err)
	}
	output, err := os.Create(filepath.Join(home, "output.log"))
	if err != nil {
		return nil, fmt.Errorf("create log of %s: %w", redisProgram, err)
	}
	defer output.Close()
	cmd := exec.CommandContext(ctx, path, "--bind", "127.0.0.1", "--port", strconv.Itoa(port),
		"--save", "", "--appendonly", "no", "--loglevel", "warning")
	cmd.Dir, cmd.Stdout, cmd.Stderr = home, output, output
	p, err := startProcess(at, cmd)
	if err != nil {
		return nil, err
	}
	s := &redisServer{process: p, port: port}
	if err := s.waitUntilUp(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("start %s: %w\n%s", redisProgram, err, tail(output.Name()))
	}
	return s, nil
}

func (s *redisServer) waitUntilUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.ping()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.done:
			return errors.Join(errors.New("it has ended"), s.err)
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w", err)
		}
	}
}

func (s *redisServer) ping() error {
	answer, err := s.ask("PING")
	if err == nil && answer != "+PONG" {
		err = fmt.Errorf("PING is answered %q", answer)
	}
	return err
}

// ask sends a command over a connection of its own and returns the first line of the
// answer.
func (s *redisServer) ask(command string) (string, error) {
	conn, err := net.Dial("tcp", loopback(s.port).String())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

// pids is the process of a server, none of one that is not there.
func (s *redisServer) pids() []int {
	if s == nil {
		return nil
	}
	return []int{s.cmd.Process.Pid}
}

// wantsRedis tells whether a case that is to be measured has somebody with a store there.
func (o options) wantsRedis() bool {
	return slices.ContainsFunc(cases(), func(c benchCase) bool {
		return o.wants(c) && slices.Contains(o.subjects, "yett") &&
			(c.Conf["yett"].Redis || slices.ContainsFunc(c.Variants, func(v variant) bool { return v.Conf.Redis }))
	})
}

// withStore starts the server that entrants have their store at, if any has. Without
// redis-server they are left out.
func (b *bench) withStore(ctx context.Context, c benchCase, all []entrant) ([]entrant, *redisServer, error) {
	inRedis := func(e entrant) bool { return e.conf.Redis }
	if !slices.ContainsFunc(all, inRedis) {
		return all, nil, nil
	}
	if _, err := lookProgram(redisProgram); err != nil {
		fmt.Fprintf(b.log, "%s: who has a store in Redis is left out: %v\n", c.Name, err)
		return slices.DeleteFunc(all, inRedis), nil, nil
	}
	s, err := startRedis(ctx, b.places.load, filepath.Join(b.dir, c.Name))
	return all, s, err
}

// checkStore fails when what was measured had no store in Redis, though it was to have
// one: counting without is cheaper.
func (b *bench) checkStore(r *running) error {
	if !r.redis {
		return nil
	}
	answer, err := b.redis.ask(fmt.Sprintf("KEYS bench-%d:limit:*", r.addr.Port()))
	if err != nil {
		return fmt.Errorf("look at the store of %s: %w", r.subject.label, err)
	}
	if answer == "*0" {
		return fmt.Errorf("%s has counted nothing in its store", r.subject.label)
	}
	return r.keptStore()
}

// keptStore fails when Yett has said that it lost its store meanwhile.
func (r *running) keptStore() error {
	const lost = "limits count on this node alone"
	data, err := os.ReadFile(r.output)
	if err != nil {
		return fmt.Errorf("read log of %s: %w", r.subject.label, err)
	}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, lost) {
			return fmt.Errorf("%s has lost its store meanwhile: %s", r.subject.label, strings.TrimSpace(line))
		}
	}
	return nil
}
