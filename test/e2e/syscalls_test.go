//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A request that is passed on costs two sends and two receives; a look at the service's
// connection may come before. How often the program sleeps and wakes, and looks in vain for an
// answer, depends on what else the machine does: the best of some rounds counts, which what a
// change adds to every request is part of too.
func TestSystemCalls(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		g := run(t, write(t, "yett.yaml", appConfig), "GOMAXPROCS=1", "APP="+startApp(t).URL)
		g.callsAtMost(32, 20, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n", map[string]float64{
			"sendto":        2,
			"recvfrom":      3.1,
			"write":         0.05,
			"clock_gettime": 0.05, // the kernel is not asked for the time
			"epoll_pwait":   4,    // a look and a wait, for the request and for the answer
			all:             5.2,
		})
	})
	t.Run("whole chain", func(t *testing.T) {
		p := startPlatform(t, "GOMAXPROCS=1")
		p.login("tech@example.com")
		p.callsAtMost(8, 5, "GET /api/v1/tickets HTTP/1.1\r\nHost: a\r\nOrigin: http://localhost:3000\r\nAuthorization: Bearer "+p.token+"\r\n\r\n", map[string]float64{
			"sendto":   2.05,
			"recvfrom": 3.1,
			"write":    0.1, // of log lines, many at a time
			all:        5.6,
		})
	})
}

// all stands for all system calls together, without those that wait: how many those are is a
// matter of how requests and answers come, one by one or together.
const all = ""

// callsAtMost traces the gateway until a round needs no more system calls of each name, for each
// request, than it may.
func (g *gateway) callsAtMost(conns, waves int, request string, most map[string]float64) {
	g.t.Helper()
	var tried []string
	for range 6 {
		counts := g.trace(conns, waves, request)
		sum := 0.0
		for name, n := range counts {
			if name != "nanosleep" && name != "futex" && name != "epoll_pwait" {
				sum += n
			}
		}
		counts[all] = sum
		over := ""
		for name, limit := range most {
			if counts[name] > limit {
				over += fmt.Sprintf("%.2f calls of %q for each request, more than %.2f. ", counts[name], name, limit)
			}
		}
		if over == "" {
			g.t.Logf("round %d, for each request: %v", len(tried)+1, counts)
			return
		}
		tried = append(tried, fmt.Sprintf("%s\n%v", over, counts))
	}
	g.t.Errorf("none of %d rounds:\n%s", len(tried), strings.Join(tried, "\n"))
}

// trace counts the system calls of the gateway while each of some connections sends a
// request, and all again when all have their answer.
func (g *gateway) trace(conns, waves int, request string) map[string]float64 {
	g.t.Helper()
	clients := make([]*bufio.Reader, conns)
	sockets := make([]net.Conn, conns)
	for i := range sockets {
		c, err := net.Dial("tcp", g.addr)
		if err != nil {
			g.t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(2 * patience))
		sockets[i], clients[i] = c, bufio.NewReader(c)
	}
	wave := func() {
		for _, c := range sockets {
			if _, err := io.WriteString(c, request); err != nil {
				g.t.Fatal(err)
			}
		}
		for _, c := range clients {
			answer, err := http.ReadResponse(c, nil)
			if err != nil {
				g.t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != 200 {
				g.t.Fatal(answer.Status, err)
			}
		}
	}
	wave() // opens the connections to the service
	stop := g.strace()
	for range waves {
		wave()
	}
	counts := stop()
	for name := range counts {
		counts[name] /= float64(conns * waves)
	}
	return counts
}

// strace counts system calls until stop is called.
func (g *gateway) strace() (stop func() map[string]float64) {
	g.t.Helper()
	program, err := exec.LookPath("strace")
	if err != nil {
		g.t.Skip("strace is not installed")
	}
	table, told := filepath.Join(g.t.TempDir(), "table"), newLines()
	cmd := exec.Command(program, "-f", "-c", "-U", "calls,name", "-o", table, "-p", strconv.Itoa(g.cmd.Process.Pid))
	cmd.Stderr = told
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // what matters is the table
	}()
	end := sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		<-ended
	})
	g.t.Cleanup(end)
	line := told.wait(g.t, "strace", func(line string) bool { return strings.Contains(line, "strace: ") })
	if !strings.Contains(line, " attached") {
		g.t.Skip("processes can't be traced here: " + line)
	}
	return func() map[string]float64 {
		g.t.Helper()
		end()
		return readTable(g.t, table)
	}
}

// readTable reads lines with a number and a name.
func readTable(t *testing.T, name string) map[string]float64 {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]float64)
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 2 || f[1] == "total" {
			continue
		}
		if n, err := strconv.ParseFloat(f[0], 64); err == nil {
			counts[f[1]] = n
		}
	}
	if len(counts) == 0 {
		t.Fatalf("no counts in %q", text)
	}
	return counts
}
