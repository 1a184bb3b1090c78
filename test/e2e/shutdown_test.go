//go:build linux

package e2e

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const sigterm = syscall.SIGTERM

// slow is a request on its way: the service has it and does not answer.
type slow struct {
	status chan int // 0 when the connection broke
}

func startSlow(t *testing.T, g *gateway, backend *app) slow {
	t.Helper()
	s := slow{status: make(chan int, 1)}
	client := newClient(t)
	go func() {
		resp, err := client.Get(g.url + "/wait/slow")
		if err != nil {
			s.status <- 0
			return
		}
		defer resp.Body.Close()
		s.status <- resp.StatusCode
	}()
	receive(t, backend.arrived, "the slow request at the service")
	return s
}

func TestSignalsDrain(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			backend := startApp(t)
			g := run(t, write(t, "yett.yaml", appConfig), "APP="+backend.URL, "DELAY=2s")
			send(t, newClient(t), "GET", g.url+"/health/ready", "", nil).want(t, 200)
			request := startSlow(t, g, backend)
			g.signal(signal)
			g.signal(signal) // some send it twice; it is still one
			client := newClient(t)
			eventually(t, "readiness turns 503", func() bool {
				return send(t, client, "GET", g.url+"/health/ready", "", nil).StatusCode == http.StatusServiceUnavailable
			})
			send(t, client, "GET", g.url+"/during", "", nil).want(t, 200) // the balancer may not have seen it yet
			eventually(t, "new connections are refused", func() bool {
				conn, err := net.Dial("tcp", g.addr)
				if err == nil {
					conn.Close()
				}
				return err != nil
			})
			close(backend.release)
			if status := receive(t, request.status, "the slow answer"); status != 200 {
				t.Errorf("the request that ran has status %d", status)
			}
			if code := g.exit(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if e := g.waitLog("/wait/slow"); e.Status != 200 || e.Reason != "" {
				t.Errorf("%+v", e)
			}
		})
	}
}

// What does not end within the grace is cut off, and the exit code says so.
func TestGraceEnds(t *testing.T) {
	backend := startApp(t)
	g := run(t, write(t, "yett.yaml", appConfig), "APP="+backend.URL, "GRACE=100ms")
	request := startSlow(t, g, backend)
	g.signal(sigterm)
	if code := g.exit(); code != 3 || !strings.Contains(g.stderr.String(), "ended were 1 request after shutdown.grace (100ms)") {
		t.Errorf("exit code %d", code)
	}
	if status := receive(t, request.status, "the end of the call"); status == 200 {
		t.Error("the request got an answer that nobody gave")
	}
	if e := g.waitLog("/wait/slow"); e.Reason != "shutting_down" {
		t.Errorf("%+v", e)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	backend := startApp(t)
	g := run(t, write(t, "yett.yaml", appConfig), "APP="+backend.URL, "GRACE=10m")
	request := startSlow(t, g, backend)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	timeout := time.After(patience)
	for running := true; running; {
		select {
		case <-again.C:
			_ = g.cmd.Process.Signal(sigterm) // an error says that it has ended
		case <-g.ended:
			running = false
		case <-timeout:
			t.Fatal("signals are not heard")
		}
	}
	if code := g.exit(); code != 1 || !strings.Contains(g.stderr.String(), "second signal") {
		t.Errorf("exit code %d, %s", code, g.stderr)
	}
	if status := receive(t, request.status, "the end of the call"); status != 0 {
		t.Errorf("the request got an answer of status %d", status)
	}
}

// After a crash the same command works again, and nothing lies about.
func TestRestartAfterKill(t *testing.T) {
	backend := startApp(t)
	config := write(t, "yett.yaml", appConfig)
	first := run(t, config, "APP="+backend.URL)
	request := startSlow(t, first, backend)
	first.signal(syscall.SIGKILL)
	if code := first.exit(); code != -1 {
		t.Errorf("exit code %d", code)
	}
	if status := receive(t, request.status, "the end of the call"); status != 0 {
		t.Errorf("status %d", status)
	}
	_, port, err := net.SplitHostPort(first.addr)
	if err != nil {
		t.Fatal(err)
	}
	second := run(t, config, "APP="+backend.URL, "PORT="+port)
	if second.addr != first.addr {
		t.Errorf("it listens on %s, before on %s", second.addr, first.addr)
	}
	send(t, newClient(t), "GET", second.url+"/again", "", nil).want(t, 200)
	entries, err := os.ReadDir(filepath.Dir(config))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the configuration: %v, %v", entries, err)
	}
}
