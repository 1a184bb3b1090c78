package supervisor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"yett/internal/control"
	"yett/internal/control/plan"
	"yett/internal/control/socket"
	"yett/internal/handover"
	"yett/internal/instance"
	"yett/internal/problem"
)

// The test binary is run again as a worker, as the process of the store, and as a supervisor.
func TestMain(m *testing.M) {
	switch os.Getenv("FAKE") {
	case "":
		os.Exit(m.Run())
	case "supervisor":
		if len(os.Args) > 1 && os.Args[1] == "worker" {
			os.Exit(fakeWorker())
		}
		if len(os.Args) > 1 && os.Args[1] == "store" {
			os.Exit(fakeStore())
		}
		os.Exit(fakeSupervisor())
	}
}

// fakeConfig is the file that fake workers read.
type fakeConfig struct {
	Address string
	// Mode is how a worker behaves: fails, hangs, silent, crashes (once it is ready), stubborn
	// (doesn't drain), cuts (ends what takes too long), lingers (drains until it is let go, or told a
	// second time).
	Mode    string
	Listen2 string
	Text    string
	// Allocate is how much memory it takes, in MB.
	Allocate int
	// RefuseFrom is the worker from which on a text is refused.
	RefuseFrom int
}

// quickExit keeps the race detector from waiting a second at the end of a process.
const quickExit = "GORACE=atexit_sleep_ms=0"

func readFake(file string) (c fakeConfig, err error) {
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// fakeGateway is a worker's control.
type fakeGateway struct {
	control.Instance
	file    string
	sockets *handover.Sockets
	id      int
	stop    chan os.Signal

	mu    sync.Mutex
	runs  fakeConfig
	state string
}

func (g *fakeGateway) Status(context.Context) (control.Status, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return control.Status{PID: os.Getpid(), State: g.state, Version: os.Getenv("FAKE_VERSION"), Revision: control.Revision{ID: g.runs.Text}}, nil
}

func (g *fakeGateway) Sockets() (p socket.Passed, err error) {
	p.Files, p.Env, err = g.sockets.Pass(socket.First)
	return p, err
}

func (g *fakeGateway) Plan(context.Context, control.Proposal) (out control.Outcome, err error) {
	c, err := readFake(g.file)
	if err != nil {
		return control.Outcome{Problems: problem.List{{File: g.file, Line: 1, What: "broken"}}}, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.Address != g.runs.Address || c.Listen2 != g.runs.Listen2 {
		out.Plan = plan.Plan{NeedsProcess: []string{"listeners"}}
	}
	return out, nil
}

func (g *fakeGateway) Reload(_ context.Context, p control.Proposal) (control.Outcome, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, err := readFake(g.file)
	if p.Revision != "" {
		c.Text, c.RefuseFrom, err = p.Revision, 0, nil
	}
	if err != nil {
		return control.Outcome{Problems: problem.List{{File: g.file, Line: 1, What: "broken"}}}, nil
	}
	if c.RefuseFrom > 0 && g.id >= c.RefuseFrom {
		return control.Outcome{Refused: "not here"}, nil
	}
	g.runs = c
	return control.Outcome{Applied: true, Revision: control.Revision{ID: c.Text}}, nil
}

// fakeWorker serves what it was given: each answer is its number.
func fakeWorker() int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	waiting, err := handover.Waiters()
	if err != nil {
		return 3
	}
	sockets, err := handover.Inherit()
	if err != nil {
		return 3
	}
	file := os.Args[2]
	c, err := readFake(file)
	if revision := os.Getenv(RevisionVariable); revision != "" {
		c, err = fakeConfig{Address: c.Address, Text: revision}, nil
	}
	if err != nil {
		waiting.Failed("the file is broken")
		return 1
	}
	name := os.Args[len(os.Args)-1]
	path := instance.Dir{Path: filepath.Join(filepath.Dir(file), "a")}.Worker(name)
	id, _, _ := strings.Cut(name, "-")
	g := &fakeGateway{file: file, sockets: sockets, runs: c, stop: signals, state: control.Ready}
	g.id, _ = strconv.Atoi(id)
	switch c.Mode {
	case "fails":
		waiting.Failed("this worker never works")
		return 1
	case "hangs":
		time.Sleep(time.Minute)
	case "silent":
		fmt.Fprintln(os.Stderr, "first line")
		fmt.Fprintln(os.Stderr, "panic: out of luck")
		return 2
	}
	return g.serve(c, path, waiting)
}

func (g *fakeGateway) serve(c fakeConfig, path string, waiting *handover.Waiting) int {
	var served door
	for _, address := range []string{c.Address, c.Listen2} {
		if address == "" {
			continue
		}
		l, err := g.sockets.Listen(context.Background(), address)
		if err != nil {
			waiting.Failed(err.Error())
			return 1
		}
		served.open(l, fmt.Sprintf("%d %d %s", os.Getpid(), g.id, os.Getenv(StoreVariable)))
	}
	_ = g.sockets.CloseUnused()
	l, err := socket.Listen(path)
	if err != nil {
		waiting.Failed(err.Error())
		return 1
	}
	own := socket.Serve(l, g)
	held := make([]byte, c.Allocate<<20)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	_ = waiting.Ready()
	if c.Mode == "crashes" {
		fmt.Fprintln(os.Stderr, "panic: crashed")
		return 2
	}
	<-g.stop
	if c.Mode == "stubborn" {
		time.Sleep(time.Minute)
	}
	served.close()
	if c.Mode == "lingers" {
		g.linger()
	}
	_ = own.Close()
	if c.Mode == "cuts" {
		return CutOff
	}
	runtime.KeepAlive(held)
	return 0
}

// linger drains until a file is there, or leaves a mark when it is told a second time.
func (g *fakeGateway) linger() {
	g.mu.Lock()
	g.state = control.Draining
	g.mu.Unlock()
	for {
		select {
		case <-g.stop:
			_ = os.WriteFile(g.file+".cut", nil, 0o600)
			return
		case <-time.After(10 * time.Millisecond):
			if _, err := os.Stat(g.file + ".go"); err == nil {
				return
			}
		}
	}
}

// door answers each connection once. Unlike http.Server, it forgets none that it has accepted
// when it is closed.
type door struct {
	listeners []net.Listener
	running   sync.WaitGroup
}

func (d *door) open(l net.Listener, body string) {
	d.listeners = append(d.listeners, l)
	d.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.running.Go(func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				}
			})
		}
	})
}

func (d *door) close() {
	for _, l := range d.listeners {
		_ = l.Close()
	}
	d.running.Wait()
}

// fakeStore lives.
func fakeStore() int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	waiting, err := handover.Waiters()
	if err != nil {
		return 3
	}
	before := filepath.Join(filepath.Dir(os.Args[2]), "store.pid")
	if os.Args[len(os.Args)-1] == "--successor" {
		text, _ := os.ReadFile(before)
		if pid, err := strconv.Atoi(string(text)); err == nil {
			_ = syscall.Kill(pid, syscall.SIGTERM) // it would end when it has given everything away
		}
	}
	if err := os.WriteFile(before, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return 3
	}
	_ = waiting.Ready()
	<-signals
	return 0
}

// testOptions are those of a cluster of fakes with that file.
func testOptions(dir instance.Dir, file string, workers int) Options {
	environ := os.Environ()
	if os.Getenv("FAKE") == "" {
		environ = append(environ, "FAKE=supervisor", quickExit)
	}
	return Options{
		Dir: dir, Name: dir.Name(), Version: "1", File: file, Env: "production", Workers: workers, MaxMemory: 0,
		Check: func() (Config, error) {
			c, err := readFake(file)
			if err != nil {
				return Config{}, errors.New("the file is broken")
			}
			conf := Config{StopTime: 2 * time.Second}
			for _, a := range []string{c.Address, c.Listen2} {
				if a != "" {
					conf.Listeners = append(conf.Listeners, control.Listener{Address: a})
				}
			}
			return conf, nil
		},
		Program: os.Args[0], Running: "/proc/self/exe",
		Worker: []string{"worker", file}, Store: []string{"store", file}, Own: []string{dir.Path, file, strconv.Itoa(workers)},
		Environ: environ, Detached: true, Log: slog.New(slog.DiscardHandler),
		StartTime: 10 * time.Second, Look: 50 * time.Millisecond,
	}
}

// fakeSupervisor is a cluster in a process of its own, which can be killed.
func fakeSupervisor() int {
	workers, _ := strconv.Atoi(os.Args[3])
	waiting, err := handover.Waiters()
	if err != nil {
		return 3
	}
	o := testOptions(instance.Dir{Path: os.Args[1]}, os.Args[2], workers)
	o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := Start(context.Background(), o, waiting)
	if err != nil {
		fmt.Println("failed:", err)
		return 1
	}
	fmt.Println("ready")
	<-s.Done()
	if s.Result() != nil {
		return 1
	}
	return 0
}

// cluster is a directory with a file, for tests.
type cluster struct {
	t    *testing.T
	dir  instance.Dir
	file string
	conf fakeConfig
}

func newCluster(t *testing.T, c fakeConfig) *cluster {
	t.Helper()
	root, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	d, err := instance.Make(root, "a")
	if err != nil {
		t.Fatal(err)
	}
	k := &cluster{t: t, dir: d, file: filepath.Join(root, "conf.json")}
	k.write(c)
	t.Cleanup(func() {
		found, _ := Find(context.Background(), d)
		for _, f := range found {
			if h, err := f.Process.Open(); err == nil {
				_ = h.Signal(syscall.SIGKILL)
				h.Close()
			}
		}
		_ = os.RemoveAll(root)
	})
	return k
}

func (k *cluster) write(c fakeConfig) {
	k.t.Helper()
	if c.Address == "" {
		c.Address = "127.0.0.1:0"
	}
	if c.Text == "" {
		c.Text = "one"
	}
	k.conf = c
	text, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(k.file, text, 0o600)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

// start starts a supervisor in this process.
func (k *cluster) start(workers int, change ...func(*Options)) (*Supervisor, error) {
	k.t.Helper()
	o := testOptions(k.dir, k.file, workers)
	for _, c := range change {
		c(&o)
	}
	s, err := Start(k.t.Context(), o, &handover.Waiting{})
	if err == nil {
		k.t.Cleanup(func() {
			_ = s.Stop(context.Background())
			<-s.Done()
		})
	}
	return s, err
}

func (k *cluster) mustStart(workers int, change ...func(*Options)) *Supervisor {
	k.t.Helper()
	s, err := k.start(workers, change...)
	if err != nil {
		k.t.Fatal(err)
	}
	return s
}

// fork starts a supervisor in a process of its own.
func (k *cluster) fork(workers int, env ...string) *exec.Cmd {
	k.t.Helper()
	cmd := exec.Command(os.Args[0], k.dir.Path, k.file, strconv.Itoa(workers))
	cmd.Env = append(append(os.Environ(), "FAKE=supervisor", quickExit), env...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		k.t.Fatalf("supervisor: %q", line)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return cmd
}

// dial asks the cluster over its socket.
func (k *cluster) dial() *socket.Client {
	k.t.Helper()
	c, err := socket.Dial(k.dir.Control())
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

func status(t *testing.T, i control.Instance) control.Status {
	t.Helper()
	st, err := i.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// pids are those of the workers that are ready.
func pids(t *testing.T, i control.Instance) (all []int) {
	t.Helper()
	for _, w := range status(t, i).Workers {
		if w.State == control.Ready {
			all = append(all, w.PID)
		}
	}
	return all
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// get asks the served address once, over a new connection.
func get(address string) (answer string, err error) {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	resp, err := c.Get("http://" + address + "/")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// freeAddress is one that nobody has at this moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
