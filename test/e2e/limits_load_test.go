//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// quietConfig is appConfig without a log of each request.
const quietConfig = `
log: {access: {output: "off"}}` + appConfig

// longestShot is after what a request that has no answer counts as hanging.
const longestShot = 2 * time.Second

// shot is a request of a caller: it was counted between sent and got.
type shot struct {
	node      int
	path      string
	sent, got time.Time
	status    int // 0 when there was no answer
	err       error

	// What a load notes beside. An answer without from is the gateway's own.
	method, from, code string
	id                 int
	retryAfter         string // the field
	retryIn            int    // the same, in the body
	last               bool   // the connection ends with it
}

func (s *shot) took() time.Duration { return s.got.Sub(s.sent) }

// shots are what callers have sent, from any goroutine.
type shots struct {
	mu  sync.Mutex
	all []shot
}

func (s *shots) add(one shot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, one)
}

// since are those sent from a time on, the first sent first.
func (s *shots) since(from time.Time) []shot {
	s.mu.Lock()
	defer s.mu.Unlock()
	some := slices.DeleteFunc(slices.Clone(s.all), func(one shot) bool { return one.sent.Before(from) })
	slices.SortFunc(some, func(a, b shot) int { return a.sent.Compare(b.sent) })
	return some
}

// which are those for which is holds.
func which(all []shot, is func(*shot) bool) []shot {
	var some []shot
	for i := range all {
		if is(&all[i]) {
			some = append(some, all[i])
		}
	}
	return some
}

func passed(s *shot) bool { return s.status == http.StatusOK }

// most is how many requests have passed for certain within some window, wherever it
// begins: they were sent and answered in it.
func most(all []shot, window time.Duration) (most int) {
	all = which(all, passed)
	for i := range all {
		end, n := all[i].sent.Add(window), 0
		for j := i; j < len(all) && all[j].sent.Before(end); j++ {
			if all[j].got.Before(end) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// percentile is how long p of all requests took at most.
func percentile(all []shot, p float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	took := make([]time.Duration, len(all))
	for i := range all {
		took[i] = all[i].took()
	}
	slices.Sort(took)
	return took[min(len(took)-1, int(p*float64(len(took))))]
}

// statuses counts by status.
func statuses(all []shot) map[int]int {
	n := make(map[int]int)
	for i := range all {
		n[all[i].status]++
	}
	return n
}

// caller sends requests over one connection to a gateway, which it keeps.
type caller struct {
	g    *gateway
	path string
	node int
	// every is how long after the beginning of a request the next one begins, when that is
	// answered by then.
	every time.Duration
	to    *shots
	// leaving tells that the gateway may go at any time.
	leaving *atomic.Bool

	conn net.Conn
	in   *bufio.Reader
}

// run calls until stop is closed, or the gateway that leaves has gone.
func (c *caller) run(stop <-chan struct{}) {
	defer c.hangUp()
	next := time.Now()
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Until(next)):
		}
		one := c.call()
		if one.err != nil && c.leaving != nil && c.leaving.Load() {
			return
		}
		c.to.add(one)
		if next = next.Add(c.every); next.Before(time.Now()) {
			next = time.Now()
		}
	}
}

func (c *caller) call() shot {
	one := shot{node: c.node, path: c.path, sent: time.Now()}
	one.status, one.err = c.ask()
	one.got = time.Now()
	if one.err != nil {
		c.hangUp()
	}
	return one
}

func (c *caller) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func (c *caller) ask() (int, error) {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.g.addr, longestShot)
		if err != nil {
			return 0, err
		}
		c.conn, c.in = conn, bufio.NewReader(conn)
	}
	if err := c.conn.SetDeadline(time.Now().Add(longestShot)); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: limits.test\r\n\r\n", c.path); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err = io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	if resp.Close {
		c.hangUp()
	}
	return resp.StatusCode, nil
}

// callers are some that call at the same time.
type callers struct {
	shots
	stop  chan struct{}
	once  sync.Once
	ended sync.WaitGroup
}

func startCallers(t *testing.T) *callers {
	c := &callers{stop: make(chan struct{})}
	t.Cleanup(c.end)
	return c
}

// call lets n callers send rate requests a second together.
func (c *callers) call(node int, g *gateway, path string, n int, rate float64, leaving *atomic.Bool) {
	for range n {
		one := &caller{g: g, node: node, path: path, to: &c.shots, leaving: leaving, every: time.Duration(float64(n) / rate * float64(time.Second))}
		c.ended.Go(func() { one.run(c.stop) })
	}
}

func (c *callers) end() {
	c.once.Do(func() { close(c.stop) })
	c.ended.Wait()
}

// limitsHealth is what /health/detailed says about limits.
type limitsHealth struct {
	State         string
	Nodes, Losses int64
}

func (g *gateway) limits(client *http.Client) limitsHealth {
	g.t.Helper()
	resp, err := client.Get(g.url + "/health/detailed")
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	var page struct{ Limits limitsHealth }
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		g.t.Fatal(err)
	}
	return page.Limits
}

// waitLimits waits until what a gateway says of its limits is as it should be, and returns how
// long that took. It does not ask all the time, which would be a load.
func (g *gateway) waitLimits(client *http.Client, what string, is func(limitsHealth) bool) time.Duration {
	g.t.Helper()
	begun := time.Now()
	for h := g.limits(client); !is(h); h = g.limits(client) {
		if time.Since(begun) > patience {
			g.t.Fatalf("never %s: %+v", what, h)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(begun)
}

func waitNodes(client *http.Client, gateways []*gateway, n int64) {
	for _, g := range gateways {
		g.waitLimits(client, fmt.Sprint(n, " nodes"), func(h limitsHealth) bool { return h.State == "shared" && h.Nodes == n })
	}
}

// said is how often a gateway's log has a line with all of these texts.
func (g *gateway) said(texts ...string) (n int64) {
	all, _ := g.stderr.snapshot()
	for _, line := range all {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			n++
		}
	}
	return n
}

// lastSaid is when the log had a text last, the zero time when never. It is up to a
// millisecond early.
func (g *gateway) lastSaid(text string) time.Time {
	g.t.Helper()
	var entry struct{ Time time.Time }
	all, _ := g.stderr.snapshot()
	for _, line := range all {
		if strings.Contains(line, text) {
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				g.t.Error(err)
			}
		}
	}
	return entry.Time
}

const (
	saidAlone = "limits count on this node alone"
	saidAgain = "limits count in the store again"
	saidLate  = "no answer in time"
)
