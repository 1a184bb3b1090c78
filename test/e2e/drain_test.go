//go:build linux

package e2e

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// wireClient is a connection that a test looks at closely.
type wireClient struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dialWire(t *testing.T, addr string) *wireClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &wireClient{t: t, Conn: conn, r: bufio.NewReader(conn)}
}

func (c *wireClient) ask(path string) {
	c.t.Helper()
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads one. last tells whether it says that the connection ends.
func (c *wireClient) answer() (status int, last bool) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, resp.Close
}

func (c *wireClient) want(path string, status int, last bool) {
	c.t.Helper()
	c.ask(path)
	if s, l := c.answer(); s != status || l != last {
		c.t.Errorf("%s: status %d, Connection: close %v", path, s, l)
	}
}

func (c *wireClient) wantEnd() {
	c.t.Helper()
	if _, err := c.r.ReadByte(); err != io.EOF {
		c.t.Errorf("the connection ends with %v", err)
	}
}

// Each step of draining, as clients see it.
func TestDrainStepByStep(t *testing.T) {
	backend := startApp(t)
	g := run(t, write(t, "yett.yaml", appConfig), "APP="+backend.URL, "DELAY=1s")
	idle, kept, slow := dialWire(t, g.addr), dialWire(t, g.addr), dialWire(t, g.addr)
	idle.want("/before", 200, false)
	kept.want("/before", 200, false)
	slow.ask("/wait/slow")
	receive(t, backend.arrived, "the slow request at the service")
	begun := time.Now()
	g.signal(sigterm)
	g.stderr.wait(t, "draining", func(line string) bool { return strings.Contains(line, `"draining"`) })

	// Within the delay everything is served, but nobody is to come again.
	dialWire(t, g.addr).want("/health/ready", 503, true)
	fresh := dialWire(t, g.addr)
	fresh.want("/during", 200, true)
	fresh.wantEnd()
	kept.want("/during", 200, true)
	kept.wantEnd()

	idle.wantEnd() // when the listener has closed
	if took := time.Since(begun); took < time.Second {
		t.Errorf("idle connections are closed after %s, within the delay", took)
	}
	if conn, err := net.Dial("tcp", g.addr); err == nil {
		conn.Close()
		t.Error("the listener is still open")
	}
	close(backend.release)
	if status, last := slow.answer(); status != 200 || !last {
		t.Errorf("the slow request: status %d, Connection: close %v", status, last)
	}
	if code := g.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A request that is slower than the grace is cut, a tunnel that lasts longer than its time too, and
// the exit code, the log and the last line tell how many of each.
func TestDrainTellsWhatItCuts(t *testing.T) {
	backend := everything(t)
	waiting := startApp(t)
	config := strings.Replace(loadConfig, "  - {name: app,", "  - {name: wait, path: /wait/**, auth: none, service: wait}\n  - {name: app,", 1)
	config = strings.Replace(config, "services:\n", "services:\n  wait: {targets: [\""+waiting.URL+"\"]}\n", 1)
	g := run(t, write(t, "yett.yaml", strings.Replace(config, "tunnels: 1s", "tunnels: 100ms", 1)), "APP="+backend.URL, "GRACE=200ms")
	slow, events := dialWire(t, g.addr), dialWire(t, g.addr)
	slow.ask("/wait/slow")
	receive(t, waiting.arrived, "the slow request at the service")
	events.ask("/events")
	for line := ""; line != "data: 1\n"; {
		var err error
		if line, err = events.r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	g.signal(sigterm)
	if code := g.exit(); code != 3 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		`"msg":"drained, but some had to be cut","requests":1,"tunnels":1`,
		"ended were 1 request after shutdown.grace (200ms), 1 tunnel or event stream after shutdown.tunnels (100ms)",
	} {
		if !strings.Contains(g.stderr.String(), want) {
			t.Errorf("it does not say %q", want)
		}
	}
}
