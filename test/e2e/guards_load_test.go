//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// guardsConfig is a gateway with one route to the service app, and pages that tell how
// it is. What a test adds to it are services, and routes before them.
const guardsConfig = `
listeners: [{address: "127.0.0.1:${PORT:-0}"}]
log: {access: {output: "off"}}
issuers: {main: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}}
roles: {admin: {level: 90}}
policies: {request_id: {}, jwt: {}}
routes:
  - {name: ready, path: /health/ready, auth: none, endpoint: ready}
  - {name: detailed, path: /health/detailed, auth: none, endpoint: health_detailed}
  - {name: services, path: /internal/services, methods: [GET, POST], auth: required, policies: {rbac: {exact_role: admin}}, endpoint: services}
  - {name: app, path: /app/**, auth: none, service: app}
`

// guard starts a gateway with guardsConfig and what is added to it.
func guard(t *testing.T, more string, env ...string) *gateway {
	t.Helper()
	return run(t, write(t, "yett.yaml", guardsConfig+more), env...)
}

// line is a connection of a client, which it keeps.
type line struct {
	net.Conn
	in *bufio.Reader
}

// load is what clients send to a gateway.
type load struct {
	shots
	t     *testing.T
	g     *gateway
	ids   atomic.Int64
	late  atomic.Int64 // see tooSlow
	stop  chan struct{}
	once  sync.Once
	ended sync.WaitGroup

	idle struct {
		sync.Mutex
		lines []*line
	}
}

func startLoad(t *testing.T, g *gateway) *load {
	l := &load{t: t, g: g, stop: make(chan struct{})}
	t.Cleanup(l.end)
	l.ended.Go(l.watch)
	return l
}

// longestPause is how late this process may be woken on a machine on which times say
// something about a gateway.
const longestPause = 50 * time.Millisecond

// watch notes how late this process is woken, at most.
func (l *load) watch() {
	for {
		due := time.Now().Add(5 * time.Millisecond)
		select {
		case <-l.stop:
			return
		case <-time.After(time.Until(due)):
			l.late.Store(max(l.late.Load(), int64(time.Since(due))))
		}
	}
}

// tooSlow fails the test because something took too long, unless this machine has stood
// still for so long meanwhile that it would have anyway.
func (l *load) tooSlow(format string, args ...any) {
	l.t.Helper()
	if late := time.Duration(l.late.Load()); late > longestPause {
		l.t.Logf("the machine stood still for %v: %s", late.Round(time.Millisecond), fmt.Sprintf(format, args...))
		return
	}
	l.t.Errorf(format, args...)
}

// offer sends so many requests a second, whether they are answered or not. What they took
// counts from when they were due, so that a machine that is too slow shows.
func (l *load) offer(rate float64, method, path string) {
	every := time.Duration(float64(time.Second) / rate)
	l.ended.Go(func() {
		for due := time.Now(); ; due = due.Add(every) {
			select {
			case <-l.stop:
				return
			case <-time.After(time.Until(due)):
			}
			l.ended.Go(func() { l.add(l.send(due, method, path)) })
		}
	})
}

// call lets n clients send one request after the other.
func (l *load) call(n int, method, path string) {
	for range n {
		l.ended.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
					l.add(l.send(time.Now(), method, path))
				}
			}
		})
	}
}

// end stops sending, and waits for the last answers.
func (l *load) end() {
	l.once.Do(func() { close(l.stop) })
	l.ended.Wait()
	for _, c := range l.idle.lines {
		c.Close()
	}
	l.idle.lines = nil
}

// one sends one request now.
func (l *load) one(method, path string) shot { return l.send(time.Now(), method, path) }

func (l *load) send(due time.Time, method, path string) shot {
	one := shot{path: path, sent: due, method: method, id: int(l.ids.Add(1))}
	c, err := l.take()
	if err == nil {
		err = c.ask(l.g.addr, &one)
	}
	one.err, one.got = err, time.Now()
	switch {
	case c == nil:
	case err != nil || one.last:
		c.Close()
	default:
		l.put(c)
	}
	return one
}

// take returns a connection that was idle, or a new one.
func (l *load) take() (*line, error) {
	l.idle.Lock()
	if n := len(l.idle.lines); n > 0 {
		c := l.idle.lines[n-1]
		l.idle.lines = l.idle.lines[:n-1]
		l.idle.Unlock()
		return c, nil
	}
	l.idle.Unlock()
	conn, err := net.DialTimeout("tcp", l.g.addr, longestShot)
	if err != nil {
		return nil, err
	}
	return &line{conn, bufio.NewReader(conn)}, nil
}

func (l *load) put(c *line) {
	l.idle.Lock()
	defer l.idle.Unlock()
	l.idle.lines = append(l.idle.lines, c)
}

// ask sends a request, whose number is the last segment of its path, and notes what came.
func (c *line) ask(host string, one *shot) error {
	if err := c.SetDeadline(time.Now().Add(longestShot)); err != nil {
		return err
	}
	body := ""
	if one.method == http.MethodPost {
		body = "Content-Length: 5\r\n\r\nhello"
	} else {
		body = "\r\n"
	}
	if _, err := fmt.Fprintf(c, "%s %s/%d HTTP/1.1\r\nHost: %s\r\n%s", one.method, one.path, one.id, host, body); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	one.status, one.last = resp.StatusCode, resp.Close
	one.from, one.retryAfter = resp.Header.Get("X-From"), resp.Header.Get("Retry-After")
	text, err := io.ReadAll(resp.Body)
	if err == nil && one.from == "" && one.status >= 400 { // the gateway's own
		var r refusal
		if err = json.Unmarshal(text, &r); err == nil {
			one.code, one.retryIn = r.Error.Code, r.Error.RetryAfter
		}
	}
	return err
}

// well tells whether a request got the whole of a good answer.
func well(s *shot) bool { return s.err == nil && s.status < 400 }

// badly is the contrary.
func badly(s *shot) bool { return !well(s) }

// outcomes counts what became of requests, in words.
func outcomes(all []shot) map[string]int {
	n := make(map[string]int)
	for i := range all {
		s := &all[i]
		switch {
		case s.err != nil && s.status != 0:
			n[fmt.Sprint(s.status, " broken")]++
		case s.err != nil:
			n["no answer"]++
		default:
			n[strings.TrimSpace(fmt.Sprint(s.status, " ", s.code))]++
		}
	}
	return n
}

// sentWithin are the requests that were sent within a time.
func sentWithin(all []shot, from, to time.Time) []shot {
	return which(all, func(s *shot) bool { return !s.sent.Before(from) && s.sent.Before(to) })
}

// gotWithin are the requests that were answered within a time.
func gotWithin(all []shot, from, to time.Time) []shot {
	return which(all, func(s *shot) bool { return !s.got.Before(from) && s.got.Before(to) })
}

// byMethod are the requests with that method.
func byMethod(all []shot, method string) []shot {
	return which(all, func(s *shot) bool { return s.method == method })
}

// show logs how requests fared that were sent within a time.
func (l *load) show(when string, all []shot) {
	l.t.Helper()
	l.t.Logf("%-28s %5d requests, p50 %8v, p99 %8v, %v", when, len(all), percentile(all, 0.5).Round(10*time.Microsecond), percentile(all, 0.99).Round(10*time.Microsecond), outcomes(all))
}

// turned is a line of the log that says what a breaker or a target has become.
type turned struct {
	Time                                  time.Time
	Msg, Service, Target, From, To, Cause string
	Failures                              int
	Until                                 time.Time
}

// turns are those that a gateway has logged.
func (g *gateway) turns() (some []turned) {
	all, _ := g.stderr.snapshot()
	for _, text := range all {
		if one, ok := readTurn(text); ok {
			some = append(some, one)
		}
	}
	return some
}

func readTurn(text string) (one turned, ok bool) {
	if !strings.Contains(text, `"msg":"circuit breaker"`) && !strings.Contains(text, `"msg":"target"`) {
		return one, false
	}
	return one, json.Unmarshal([]byte(text), &one) == nil
}

// waitTarget waits until a worker has become something, at that time or later. The log
// has no more than milliseconds.
func (g *gateway) waitTarget(w *worker, to string, from time.Time) turned {
	g.t.Helper()
	return g.waitTurn(w.name+" is "+to, func(o turned) bool {
		return o.Target == w.address && o.To == to && !o.Time.Before(from.Truncate(time.Millisecond))
	})
}

// waitBreaker waits until the breaker of a service has become something.
func (g *gateway) waitBreaker(service, to string, from time.Time) turned {
	g.t.Helper()
	return g.waitTurn(service+" is "+to, func(o turned) bool {
		return o.Msg == "circuit breaker" && o.Service == service && o.To == to && !o.Time.Before(from.Truncate(time.Millisecond))
	})
}

func (g *gateway) waitTurn(what string, is func(turned) bool) (one turned) {
	g.t.Helper()
	g.stderr.wait(g.t, what, func(text string) bool {
		var ok bool
		one, ok = readTurn(text)
		return ok && is(one)
	})
	return one
}

// circuit is what /health/detailed says of a breaker.
type circuit struct {
	State           string
	Failures        int
	Successes       int
	TotalRequests   int64
	LastFailureTime *string
	LastSuccessTime *string
	NextAttempt     *string
}

// healthPage is what /health/detailed says of services.
type healthPage struct {
	code            int
	Status          string
	CircuitBreakers map[string]circuit
	Summary         struct{ TotalCircuits, OpenCircuits, HalfOpenCircuits, ClosedCircuits int }
	Services        map[string]struct{ Requests, Failures, Refused, Retries, Hedges int64 }
}

func (g *gateway) services(client *http.Client) healthPage {
	g.t.Helper()
	got := send(g.t, client, "GET", g.url+"/health/detailed", "", nil)
	h := decode[healthPage](g.t, got)
	h.code = got.StatusCode
	return h
}
