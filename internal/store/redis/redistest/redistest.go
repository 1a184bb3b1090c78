// Package redistest runs a real redis-server for tests: on a free port of the
// loopback address, with nothing kept on disk, and gone with the test.
package redistest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
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

	// login and tls are what Do needs to be heard.
	login []string
	tls   *tls.Config

	t      testing.TB
	dir    string   // stays the same
	socket string   // the Unix socket, "" for none
	args   []string // instead of Options and all else, unless nil
	cmd    *exec.Cmd
	paused bool
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
	return reserveAt(t, freePort(t), options...)
}

func reserveAt(t testing.TB, port int, options ...string) *Server {
	t.Helper()
	s := &Server{Host: "127.0.0.1", Port: port, Options: options, t: t, dir: t.TempDir()}
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
	args := s.args
	if args == nil {
		args = append([]string{"--bind", s.Host, "--port", strconv.Itoa(s.Port), "--save", "", "--appendonly", "no", "--loglevel", "warning"}, s.Options...)
	}
	s.cmd, s.output, s.ended = exec.Command("redis-server", args...), new(bytes.Buffer), make(chan struct{})
	s.cmd.Dir = s.dir
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	dieWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, ended chan struct{}) {
		defer close(ended)
		_ = cmd.Wait()
	}(s.cmd, s.ended)
	s.waitUntilUp("tcp", s.Address)
	if s.socket != "" {
		s.waitUntilUp("unix", s.socket)
	}
}

func (s *Server) waitUntilUp(network, address string) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		select {
		case <-s.ended:
			s.t.Fatalf("redis-server on %s has ended:\n%s", address, s.output)
		default:
		}
		if conn, err := net.Dial(network, address); err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("redis-server does not listen on %s", address)
		}
		time.Sleep(time.Millisecond) // nothing tells when it listens
	}
}

// Login makes Do log in, as a user, or the default one when there is a password only.
func (s *Server) Login(userAndPassword ...string) { s.login = userAndPassword }

// Kill ends the server at once: connections are reset, what it held is lost.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended by itself
	<-s.ended
	s.cmd, s.paused = nil, false
}

// PID is the process of the server, which has to run.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Pause makes the server stop answering: connections stay, new ones are
// accepted by the system and hang. Resume lets it go on.
func (s *Server) Pause() {
	s.paused = true
	s.signal(syscall.SIGSTOP)
}

// Resume ends a Pause.
func (s *Server) Resume() {
	s.paused = false
	s.signal(syscall.SIGCONT)
}

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
	lines, err := s.do(args)
	if err != nil {
		s.t.Fatalf("%s to %s: %v", args[0], s.Address, err)
	}
	return lines
}

// do is Do for a server that may not be there.
func (s *Server) do(args []string) ([]string, error) {
	conn, err := s.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	if s.login != nil {
		if _, err := ask(conn, in, append([]string{"AUTH"}, s.login...)); err != nil {
			return nil, err
		}
	}
	return ask(conn, in, args)
}

// ask sends a command and returns the answer's lines.
func ask(conn net.Conn, in *bufio.Reader, command []string) ([]string, error) {
	b := fmt.Appendf(nil, "*%d\r\n", len(command))
	for _, a := range command {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := conn.Write(b); err != nil {
		return nil, err
	}
	return readAnswer(in, nil)
}

// readAnswer appends the lines of an answer.
func readAnswer(in *bufio.Reader, lines []string) ([]string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	lines = append(lines, line)
	n, err := strconv.Atoi(line[1:])
	if err != nil || n < 0 || !strings.ContainsAny(line[:1], "*$") {
		return lines, nil
	}
	if line[0] == '$' {
		text := make([]byte, n+2)
		if _, err := io.ReadFull(in, text); err != nil {
			return nil, err
		}
		return append(lines, strings.Split(strings.TrimSuffix(string(text[:n]), "\r\n"), "\r\n")...), nil
	}
	for range n {
		if lines, err = readAnswer(in, lines); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

func (s *Server) dial() (net.Conn, error) {
	if s.tls != nil {
		return tls.Dial("tcp", s.Address, s.tls)
	}
	return net.Dial("tcp", s.Address)
}

// values are the texts of an answer, without the markers of the protocol.
func values(lines []string) []string {
	var texts []string
	for _, l := range lines {
		if !strings.HasPrefix(l, "*") && !strings.HasPrefix(l, "$") {
			texts = append(texts, l)
		}
	}
	return texts
}

// wait waits until something holds, and ends the test when it does not.
func wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * patience); !holds(); time.Sleep(5 * time.Millisecond) { // servers tell nobody
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
