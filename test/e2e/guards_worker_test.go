//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A worker is a service in a process of its own, which a test can kill, stop and start
// again at the same address: this test's program, started with these variables.
const (
	workerVariable  = "YETT_E2E_WORKER"  // its name
	addressVariable = "YETT_E2E_ADDRESS" // where it listens
)

// manner is how a worker behaves. It can change while it runs.
type manner struct {
	// Delay is how long a request is worked on.
	Delay time.Duration
	// Hands is how many are worked on at once, any number when 0. Others wait.
	Hands int
	// Status of its answers, 200 when 0.
	Status int
	// Body is whole when empty. With cut the connection ends in its middle, with stall
	// nothing more comes there.
	Body string
	// Number tells the worker's report from those before. Keep asks for that alone, and
	// changes nothing.
	Number int
	Keep   bool
}

const (
	// workerBody is how long bodies are: too long to come with the head when cut.
	workerBody = 2000
	cut        = "cut"
	stall      = "stall"
)

// serveAsWorker is the worker's side. It reports on its standard output what it listens
// on, each request that reaches it, and each new manner, which come as JSON on its
// standard input. It ends with that.
func serveAsWorker(name string) int {
	w := &workerProcess{name: name}
	w.adopt(manner{})
	l, err := net.Listen("tcp", os.Getenv(addressVariable))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Printf("listening %s\n", l.Addr())
	go func() { _ = http.Serve(l, w) }()
	in := json.NewDecoder(os.Stdin)
	for {
		var m manner
		if err := in.Decode(&m); err != nil {
			return 0 // the test has ended
		}
		if !m.Keep {
			w.adopt(m)
		}
		fmt.Printf("adopted %d\n", m.Number)
	}
}

type workerProcess struct {
	name string
	now  atomic.Pointer[workerManner]
}

// workerManner is a manner with its hands.
type workerManner struct {
	manner
	hands chan struct{} // nil for any number
}

func (w *workerProcess) adopt(m manner) {
	n := &workerManner{manner: m}
	if m.Hands > 0 {
		n.hands = make(chan struct{}, m.Hands)
	}
	w.now.Store(n)
}

// ServeHTTP reports the last segment of the path, by which the test knows its request.
func (w *workerProcess) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	fmt.Printf("got %s %s %d\n", r.Method, r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], time.Now().UnixNano())
	m := w.now.Load()
	if m.hands != nil {
		m.hands <- struct{}{}
		defer func() { <-m.hands }()
	}
	time.Sleep(m.Delay)
	h := to.Header()
	h.Set("X-From", w.name)
	h.Set("Content-Length", strconv.Itoa(workerBody))
	if m.Status != 0 {
		to.WriteHeader(m.Status)
	}
	if m.Body == "" {
		_, _ = to.Write(make([]byte, workerBody))
		return
	}
	_, _ = to.Write(make([]byte, workerBody/2))
	_ = http.NewResponseController(to).Flush()
	if m.Body == stall {
		<-r.Context().Done() // the gateway has had enough
	}
	panic(http.ErrAbortHandler)
}

// arrival is a request that reached a worker.
type arrival struct {
	method string
	id     int
	at     time.Time
}

// worker is the test's side. Its address stays the same when it is started again.
type worker struct {
	t             *testing.T
	name, address string
	adopted       int
	quiet         bool // it can't report: it is stopped, or killed

	cmd   *exec.Cmd
	in    io.WriteCloser
	said  *lines
	ended chan struct{}

	mu       sync.Mutex
	arrivals []arrival // of all its processes
}

// startWorker starts a worker on a free port. It ends with the test.
func startWorker(t *testing.T, name string, m manner) *worker {
	t.Helper()
	w := &worker{t: t, name: name, address: "127.0.0.1:0"}
	w.start(m)
	t.Cleanup(w.kill)
	return w
}

func startWorkers(t *testing.T, n int, m manner) []*worker {
	t.Helper()
	all := make([]*worker, n)
	for i := range all {
		all[i] = startWorker(t, string(rune('a'+i)), m)
	}
	return all
}

// start starts it, or again after kill.
func (w *worker) start(m manner) {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	w.cmd, w.said, w.ended = exec.Command(self), newLines(), make(chan struct{})
	w.cmd.Env = []string{workerVariable + "=" + w.name, addressVariable + "=" + w.address, "GOMAXPROCS=1"}
	w.cmd.Stderr = os.Stderr
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := w.cmd.StdoutPipe()
	if err == nil {
		w.in, err = w.cmd.StdinPipe()
	}
	if err == nil {
		err = w.cmd.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, ended chan struct{}) {
		defer close(ended)
		w.listen(out)
		_ = cmd.Wait()
	}(w.cmd, w.ended)
	w.quiet = false
	line := w.said.wait(w.t, "the address of a worker", func(line string) bool { return strings.HasPrefix(line, "listening ") })
	w.address = strings.TrimPrefix(line, "listening ")
	w.behave(m)
}

// listen keeps what a process reports, to its end: a process that is killed has
// reported all that it has got.
func (w *worker) listen(out io.Reader) {
	for s := bufio.NewScanner(out); s.Scan(); {
		var a arrival
		var at int64
		if _, err := fmt.Sscanf(s.Text(), "got %s %d %d", &a.method, &a.id, &at); err != nil {
			fmt.Fprintln(w.said, s.Text())
			continue
		}
		a.at = time.Unix(0, at)
		w.mu.Lock()
		w.arrivals = append(w.arrivals, a)
		w.mu.Unlock()
	}
}

// behave changes the worker's manner, for the requests that come from when it returns.
func (w *worker) behave(m manner) {
	w.t.Helper()
	w.adopted++
	m.Number = w.adopted
	if err := json.NewEncoder(w.in).Encode(m); err != nil {
		w.t.Fatal(err)
	}
	want := fmt.Sprint("adopted ", m.Number)
	w.said.wait(w.t, "the new manner of a worker", func(line string) bool { return line == want })
}

func (w *worker) signal(s syscall.Signal) {
	w.t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		w.t.Fatalf("sending %s: %v", s, err)
	}
	w.quiet = s == syscall.SIGSTOP
}

// kill ends the process at once, and waits until all that it has reported is known.
func (w *worker) kill() {
	w.quiet = true
	if err := w.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		w.t.Errorf("killing a worker: %v", err)
	}
	<-w.ended
}

// got are the requests that have reached it within a time. None that has been answered
// is missing.
func (w *worker) got(from, to time.Time) []arrival {
	w.t.Helper()
	if !w.quiet {
		w.behave(manner{Keep: true}) // what it has reported before comes first
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.arrivals), func(a arrival) bool { return a.at.Before(from) || !a.at.Before(to) })
}

// arrivals are those of several workers.
func arrivals(all []*worker, from, to time.Time) (some []arrival) {
	for _, w := range all {
		some = append(some, w.got(from, to)...)
	}
	return some
}

// targets is the list of a configuration.
func targets(all []*worker) string {
	urls := make([]string, len(all))
	for i, w := range all {
		urls[i] = fmt.Sprintf("%q", "http://"+w.address)
	}
	return "[" + strings.Join(urls, ", ") + "]"
}
