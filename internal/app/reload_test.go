package app

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// steady is a gateway of which CHANGES are another each time.
const steady = `
name: CHANGES
listeners:
  - {name: main, address: "127.0.0.1:0", limits: {header_count: COUNT}}
EXTRA
log: {level: LEVEL, access: {output: off}}
shutdown: {grace: 1s}
limits:
  all: {limit: COUNT00000, window: 1m, by: ip}
policies: {request_id: , ratelimit: {limits: [all]}, SECURITY}
services:
  same: {targets: ["SERVICES"], connections: {idle: 0}}
  changing: {targets: ["SERVICES"], connections: {idle: 0}, timeouts: {response: COUNTs}}
  other: {targets: ["SERVICES"], connections: {idle: 0}, breaker: {mode: enforce, fallback: {service: changing}}}
routes:
  - {name: same, path: /same/**, auth: none, service: same}
  - {name: changing, path: /changing/**, auth: none, service: changing, mirror: {service: same, share: COUNT%}}
  - {name: split, path: /split/**, auth: none, service: same, split: {to: {other: COUNT%}}}
  - {name: only, path: /CHANGES, auth: none, service: same}
  - {name: health, path: /health, auth: none, endpoint: health}
`

func variant(odd bool) string {
	if odd {
		return strings.NewReplacer("CHANGES", "odd", "COUNT", "31", "LEVEL", "error", "SECURITY", "security_headers: {preset: helmet}", "EXTRA", `  - {name: extra, address: "127.0.0.1:0"}`).Replace(steady)
	}
	return strings.NewReplacer("CHANGES", "even", "COUNT", "29", "LEVEL", "warn", "SECURITY", "", "EXTRA", "").Replace(steady)
}

// traffic is clients that never stop.
type traffic struct {
	p                *platform
	stop             chan struct{}
	wg               sync.WaitGroup
	after            []func() // when all have ended
	requests, failed atomic.Int64
	first            atomic.Pointer[string] // failure
}

func (l *traffic) fail(format string, args ...any) {
	l.failed.Add(1)
	text := fmt.Sprintf(format, args...)
	l.first.CompareAndSwap(nil, &text)
}

// each runs f until the end.
func (l *traffic) each(f func() error) {
	l.wg.Go(func() {
		for {
			select {
			case <-l.stop:
				return
			default:
			}
			if err := f(); err != nil {
				l.fail("%v", err)
				return
			}
			l.requests.Add(1)
			time.Sleep(time.Millisecond) // others share the processors
		}
	})
}

// ask asks for paths, one after the other, with a body of that many bytes.
func (l *traffic) ask(keepAlive bool, size int, paths ...string) {
	transport := &http.Transport{DisableKeepAlives: !keepAlive}
	client, n := &http.Client{Transport: transport, Timeout: patience}, 0
	address := l.p.url("")
	l.each(func() error {
		path := paths[n%len(paths)]
		n++
		method, body := "GET", io.Reader(nil)
		if size > 0 {
			method, body = "POST", io.MultiReader(strings.NewReader(strings.Repeat("x", size))) // of unknown length
		}
		req, err := http.NewRequest(method, address+path, body)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if want := fmt.Sprintf("%s %d ", path, size); err != nil || resp.StatusCode != 200 || !strings.HasPrefix(string(text), want) {
			return fmt.Errorf("%s: %d %s %v", path, resp.StatusCode, text, err)
		}
		return nil
	})
	l.after = append(l.after, transport.CloseIdleConnections)
}

func (p *platform) traffic() *traffic {
	l := &traffic{p: p, stop: make(chan struct{})}
	l.ask(true, 0, "/same/a", "/changing/a", "/split/a")
	l.ask(false, 0, "/same/b", "/changing/b")
	l.ask(true, 100_000, "/same/c", "/changing/c")
	return l
}

func (l *traffic) end() {
	close(l.stop)
	l.wg.Wait()
	for _, f := range l.after {
		f()
	}
}

// resources is what a process holds.
type resources struct {
	goroutines, files int // without goroutines that rest, of which there may be as many as were needed at once
	heap              uint64
}

func hold() resources {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, _ := os.ReadDir("/proc/self/fd")
	return resources{runtime.NumGoroutine() - bytes.Count(stacks(), []byte("(*Crew[...]).rest(")), len(files), m.HeapAlloc}
}

// stacks returns those of all goroutines.
func stacks() []byte {
	b := make([]byte, 1<<20)
	return b[:runtime.Stack(b, true)]
}

// A thousand changes under load, with streams that are open all the time, fail nobody's request
// and leave nothing behind.
func TestManyReloads(t *testing.T) {
	n := 1000
	if testing.Short() || raceDetector { // which is ten times as slow
		n = 100
	}
	p := launch(t, variant(false))
	streams := []*events{p.events("/same/events"), p.events("/changing/events")}
	tunnels := []*tunnel{p.tunnel("/same/tunnel"), p.tunnel("/changing/tunnel")}
	streaming := &traffic{p: p, stop: make(chan struct{})}
	for _, e := range streams {
		streaming.each(e.next)
	}
	for _, tu := range tunnels {
		streaming.each(tu.echo)
	}
	round := func(n int) {
		l := p.traffic()
		for i := range n {
			p.reload(variant(i%2 == 0))
		}
		l.end()
		if l.failed.Load() > 0 {
			t.Fatalf("%d requests failed of %d: %s", l.failed.Load(), l.requests.Load(), *l.first.Load())
		}
		t.Logf("%d reloads, %d requests, %d events and echoes", n, l.requests.Load(), streaming.requests.Load())
	}
	round(20)
	var before, after resources
	settled := func(into *resources, same func() bool) {
		for until := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			if *into = hold(); same() {
				return
			}
			if time.Now().After(until) {
				t.Fatalf("it does not come to rest: before %+v, after %+v, %d connections\n%s", before, after, p.conns(), stacks())
			}
		}
	}
	calm := func() bool { return len(p.listeners.all()) == 1 && p.conns() <= 4 }
	settled(&before, calm)
	began := time.Now()
	round(n)
	t.Logf("%s each", time.Since(began)/time.Duration(n))
	settled(&after, func() bool {
		return calm() && after.goroutines <= before.goroutines && after.files <= before.files
	})
	const slack = 1 << 20
	if after.heap > before.heap+slack {
		t.Errorf("the heap has grown from %d to %d bytes", before.heap, after.heap)
	}
	t.Logf("before %+v, after %+v", before, after)
	streaming.end()
	if streaming.failed.Load() > 0 {
		t.Errorf("a stream has ended: %s", *streaming.first.Load())
	}
}

// conns is how many clients have connections.
func (p *platform) conns() (n int) {
	for _, s := range p.listeners.all() {
		n += s.Connections()
	}
	return n
}
