// Package redistest runs a real redis-server for tests: on a free port of the
// loopback address, with nothing kept on disk, and gone with the test.
package redistest

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to start or to end.
const patience = 10 * time.Second

// Server is a redis-server. Its address stays the same when it is started
// again. Its methods may be called by the test's goroutine only.
type Server struct {
	// Host and Port are where it listens, Address is both.
	Host    string
	Port    int
	Address string
	// Options are arguments, which Start reads each time.
	Options []string

	t      testing.TB
	cmd    *exec.Cmd
	output *bytes.Buffer
	ended  chan struct{}
}

// Start starts a server, or skips the test where redis-server is not
// installed. options are arguments such as "--requirepass", "secret".
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	s := Reserve(t, options...)
	s.Start()
	return s
}

// Reserve is Start without starting: nobody listens at the address.
func Reserve(t testing.TB, options ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed: on Debian and Ubuntu, apt-get install redis-server")
	}
	s := &Server{Host: "127.0.0.1", Port: freePort(t), Options: options, t: t}
	s.Address = net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	t.Cleanup(s.Kill)
	return s
}

// freePort returns a port that was free a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Start starts a server that was killed, with nothing in it, and waits until
// it answers.
func (s *Server) Start() {
	s.t.Helper()
	port := strconv.Itoa(s.Port)
	args := append([]string{"--bind", s.Host, "--port", port, "--save", "", "--appendonly", "no", "--loglevel", "warning"}, s.Options...)
	s.cmd, s.output, s.ended = exec.Command("redis-server", args...), new(bytes.Buffer), make(chan struct{})
	s.cmd.Dir = s.t.TempDir()
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	dieWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, ended chan struct{}) {
		defer close(ended)
		_ = cmd.Wait()
	}(s.cmd, s.ended)
	s.waitUntilUp()
}

func (s *Server) waitUntilUp() {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		select {
		case <-s.ended:
			s.t.Fatalf("redis-server on %s has ended:\n%s", s.Address, s.output)
		default:
		}
		if conn, err := net.Dial("tcp", s.Address); err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("redis-server does not listen on %s", s.Address)
		}
		time.Sleep(time.Millisecond) // nothing tells when it listens
	}
}

// Kill ends the server at once: connections are reset, what it held is lost.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended by itself
	<-s.ended
	s.cmd = nil
}

// Pause makes the server stop answering: connections stay, new ones are
// accepted by the system and hang. Resume lets it go on.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Errorf("sending %s to redis-server: %v", signal, err)
	}
}

// Do sends a command over a connection of its own and returns the answer's
// lines. It knows as little of the protocol as looking at a server from beside
// needs: arrays come as their lines, with the markers.
func (s *Server) Do(args ...string) []string {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.Address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	for _, command := range [][]string{args, {"QUIT"}} { // which ends the answer
		fmt.Fprintf(&b, "*%d\r\n", len(command))
		for _, a := range command {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
		}
	}
	if _, err := conn.Write([]byte(b.String())); err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for in := bufio.NewScanner(conn); in.Scan(); {
		lines = append(lines, in.Text())
	}
	return lines[:max(0, len(lines)-1)] // without QUIT's +OK
}
