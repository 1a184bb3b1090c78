package upstream

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
)

// mirror makes a Mirror to a service, which is closed before the service is.
func (f *fixture) mirror(change ...func(*config.Mirror)) *Mirror {
	var conf config.Mirror
	conf.SetDefaults()
	for _, c := range change {
		c(&conf)
	}
	m := NewMirror(f.Service, conf, nil)
	f.t.Cleanup(m.Close)
	return m
}

// main is the service that gets the originals. It is never called.
var main = &Service{name: "main"}

// tried is a request that main has had.
func tried(x *exchange.Exchange) *exchange.Exchange {
	x.Service, x.Attempts = "main", 1
	return x
}

// copyOf has a request copied that main has had, and forgets it, as if its client had its
// answer already.
func (f *fixture) copyOf(m *Mirror, x *exchange.Exchange) {
	f.t.Helper()
	m.Copy(tried(x))
	f.pool.Put(x)
}

// settled waits until no copy is under way, and returns the counts.
func settled(t testing.TB, m *Mirror) MirrorStats {
	t.Helper()
	eventually(t, "all copies have ended", func() bool { return m.Stats().InFlight == 0 })
	return m.Stats()
}

// The service gets what the original's gets: also when the original is gone, which the tag
// poison would show.
func TestMirrorSendsTheSame(t *testing.T) {
	seen := make(chan string, 1)
	body := strings.Repeat("0123456789", 6000)
	target := origin(t, func(p *peer) {
		head := p.head()
		got := make([]byte, len(body))
		for n := 0; n < len(got); {
			m, err := p.r.Read(got[n:])
			if err != nil {
				break
			}
			n += m
		}
		seen <- head + string(got)
		p.send(ok)
		p.head()
	})
	for host, want := range map[string]string{"target": target[len("http://"):], "client": "api.example:443", "next.example": "next.example"} {
		f := service(t, target, func(s *setup) { s.conf.Host = host })
		m := f.mirror()
		x := f.exchange("POST", "")
		keep := func(s string) string { return x.Keep([]byte(s)) }
		x.Out.Path, x.Query, x.HasQuery = keep("/v2/7"), keep("q=1"), true
		x.Out.Host, x.Out.HostOfRoute, x.Authority = keep("main.example"), true, keep("api.example:443")
		x.Request.Add("X-User-ID", keep("u-1"))
		x.Request.Add("Expect", "100-continue")
		content := []byte(body)
		x.RequestBody.SetBytes(content)
		f.copyOf(m, x)
		clear(content)
		want := "POST /v2/7?q=1 HTTP/1.1\nHost: " + want + "\nX-User-ID: u-1\nContent-Length: 60000\n" + body
		if got := receive(t, seen); got != want {
			t.Errorf("%s: %.300q\nwant %.300q", host, got, want)
		}
		if got := settled(t, m); got != (MirrorStats{Sent: 1}) {
			t.Errorf("%s: %+v", host, got)
		}
		m.Close()
	}
}

// What is copied, and what is not.
func TestMirrorChooses(t *testing.T) {
	stream := func(size int64) func(*exchange.Exchange) {
		return func(x *exchange.Exchange) { x.RequestBody.SetSource(newUpload(nil), size) }
	}
	whole := func(n int) func(*exchange.Exchange) {
		return func(x *exchange.Exchange) { x.RequestBody.SetBytes(make([]byte, n)) }
	}
	plain := func(*exchange.Exchange) {}
	writes, reads := []string{"POST", "PUT"}, []string{"GET"}
	for _, tt := range []struct {
		name, method string
		methods      []string
		share        config.Share
		change       func(*exchange.Exchange)
		refuses      string
		sent, unfit  int64
	}{
		{"plain", "GET", nil, 1, plain, "", 1, 0},
		{"nothing is", "GET", nil, 0, plain, "the share is 0%", 0, 0},
		{"method", "POST", writes, 1, plain, "", 1, 0},
		{"other method", "GET", writes, 1, plain, "the method is not copied", 0, 0},
		{"GET is HEAD too", "HEAD", reads, 1, plain, "", 1, 0},
		{"HEAD is not POST", "HEAD", writes, 1, plain, "the method is not copied", 0, 0},
		{"upgrade", "GET", nil, 1, func(x *exchange.Exchange) { x.Upgrade = "websocket" }, "it switches the protocol", 0, 1},
		{"largest", "POST", nil, 1, whole(mostCopied), "", 1, 0},
		{"too large", "POST", nil, 1, whole(mostCopied + 1), "its body is too large", 0, 1},
		{"large stream", "POST", nil, 1, stream(1 << 20), "its body is too large", 0, 1},
		{"stream", "POST", nil, 1, stream(100), "", 0, 1}, // nobody has gathered it
		{"unknown length", "POST", nil, 1, stream(-1), "it does not say how long its body is", 0, 1},
		{"unknown length, all there", "POST", nil, 1, func(x *exchange.Exchange) { whole(9)(x); x.Unsized = true }, "it does not say how long its body is", 0, 1},
		{"unsized, without a body", "POST", nil, 1, func(x *exchange.Exchange) { x.Unsized = true }, "", 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := service(t, origin(t, always("HTTP/1.1 204 No Content\n\n")))
			m := f.mirror(func(c *config.Mirror) { c.Methods, c.Share = tt.methods, tt.share })
			x := f.exchange(tt.method, "/")
			tt.change(x)
			if got := m.Refuses(x, main); got != tt.refuses {
				t.Errorf("it refuses: %q", got)
			}
			f.copyOf(m, x)
			if got := settled(t, m); got.Sent != tt.sent || got.Unfit != tt.unfit || got.LeftOut != 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Only what a service has really been asked is copied, and not what the mirror's own has had
// at last: by a split, or because it answered for another one.
func TestMirrorCopiesWhatWasTried(t *testing.T) {
	f := service(t, origin(t, always(ok)))
	m := f.mirror()
	for _, tt := range []struct {
		name, service string
		attempts      int
		sent          int64
	}{
		{"refused", "main", 0, 0}, {"tried", "main", 1, 1}, {"tried again", "main", 2, 1},
		{"by another one", "spare", 1, 1}, {"by the mirror's own", f.name, 1, 0},
	} {
		before := m.Stats().Sent
		x := f.exchange("POST", "/")
		x.Service, x.Attempts = tt.service, tt.attempts
		m.Copy(x)
		f.pool.Put(x)
		if got := settled(t, m); got.Sent-before != tt.sent || got.Unfit != 0 || got.LeftOut != 0 {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	if m.Refuses(f.exchange("GET", "/"), f.Service) == "" {
		t.Error("a walk says that it is copied")
	}
}

func TestMirrorShare(t *testing.T) {
	f := service(t, origin(t, always(ok)))
	m := f.mirror(func(c *config.Mirror) { c.Share, c.Max = 0.1, 100000 })
	x := f.exchange("GET", "/")
	x.Upgrade = "websocket" // counted as drawn, and not sent
	for range 20000 {
		m.Copy(tried(x))
	}
	if n := m.Stats().Unfit; math.Abs(float64(n)-2000) > 260 { // six deviations
		t.Errorf("%d of 20000 were drawn", n)
	}
	f.pool.Put(x)
}

// A service that hangs gets no more than the bound, and nobody waits for it. Close gives the
// copies up, and nothing begins behind it.
func TestMirrorIsBounded(t *testing.T) {
	var waiting atomic.Int32
	f := service(t, origin(t, func(p *peer) {
		p.head()
		waiting.Add(1)
		<-p.over
	}), func(s *setup) { s.conf.Connections.Max = 0 })
	m := f.mirror(func(c *config.Mirror) { c.Max = 10 })
	before := runtime.NumGoroutine()
	body := make([]byte, mostCopied)
	for range 1000 {
		x := f.exchange("POST", "/")
		x.RequestBody.SetBytes(body)
		f.copyOf(m, x)
	}
	if got := m.Stats(); got != (MirrorStats{Sent: 10, LeftOut: 990, InFlight: 10}) {
		t.Errorf("%+v", got)
	}
	m.mu.Lock()
	for c := range m.running {
		if !c.Copy { // or a fallback would get it
			t.Error("the copy is none")
		}
	}
	m.mu.Unlock()
	if n := runtime.NumGoroutine() - before; n > 40 { // the peer's are among them
		t.Errorf("%d goroutines more", n)
	}
	eventually(t, "all of them wait", func() bool { return waiting.Load() == 10 })
	m.Close()
	f.copyOf(m, f.exchange("GET", "/"))
	if got := m.Stats(); got != (MirrorStats{Sent: 10, LeftOut: 991}) {
		t.Errorf("after Close: %+v", got)
	}
}

// What fails is counted, and concerns nobody.
func TestMirrorFails(t *testing.T) {
	for name, tt := range map[string]struct {
		answer func(*peer)
		failed int64
	}{
		"well":       {always(ok), 0},
		"not found":  {always("HTTP/1.1 404 Not Found\nContent-Length: 0\n\n"), 0},
		"error":      {always("HTTP/1.1 500 Oh\nContent-Length: 2\n\noh"), 1},
		"nothing":    {once(""), 1},
		"cut short":  {once("HTTP/1.1 200 OK\nContent-Length: 9000\n\nabc"), 1},
		"no HTTP":    {once("hello\n\n"), 1},
		"unasked":    {once("HTTP/1.1 101 Switching\nUpgrade: websocket\nConnection: upgrade\n\n"), 1},
		"with a 100": {always("HTTP/1.1 100 Continue\n\n" + ok), 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := service(t, origin(t, tt.answer))
			m := f.mirror()
			f.copyOf(m, f.exchange("GET", "/"))
			if got := settled(t, m); got != (MirrorStats{Sent: 1, Failed: tt.failed}) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// An answer is read up to a bound, and its connection used again when that was all of it.
func TestMirrorReadsAnswers(t *testing.T) {
	chunks := func(p *peer) { // without an end
		p.head()
		p.send("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n")
		for {
			if _, err := fmt.Fprintf(p, "%x\r\n%s\r\n", 1<<10, strings.Repeat("x", 1<<10)); err != nil {
				return
			}
		}
	}
	for _, tt := range []struct {
		name   string
		answer func(*peer)
		wait   time.Duration
		idle   int
		failed int64
	}{
		{"none", always("HTTP/1.1 204 No Content\n\n"), mostWait, 1, 0},
		{"small", always(ok), mostWait, 1, 0},
		{"large", always("HTTP/1.1 200 OK\nContent-Length: 900000\n\n" + strings.Repeat("x", 900000)), mostWait, 1, 0},
		{"too large", always("HTTP/1.1 200 OK\nContent-Length: 9000000\n\n" + strings.Repeat("x", 9000000)), mostWait, 0, 0},
		{"endless", chunks, mostWait, 0, 0},
		{"slow", func(p *peer) {
			p.head()
			p.send("HTTP/1.1 200 OK\nContent-Length: 9\n\nabc")
			<-p.over
		}, 100 * time.Millisecond, 0, 1},
		{"trickling", func(p *peer) {
			p.head()
			p.send("HTTP/1.1 200 OK\n\n")
			for {
				if _, err := p.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(time.Millisecond) // which is what the service does
			}
		}, 100 * time.Millisecond, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := service(t, origin(t, tt.answer))
			m := f.mirror()
			m.wait = tt.wait
			f.copyOf(m, f.exchange("GET", "/"))
			if got := settled(t, m); got != (MirrorStats{Sent: 1, Failed: tt.failed}) {
				t.Errorf("%+v", got)
			}
			m.Close() // the connection is back
			if got := f.Idle(); got != tt.idle {
				t.Errorf("%d idle connections", got)
			}
		})
	}
}

// A fault ends the copy, and nothing else.
func TestMirrorFault(t *testing.T) {
	var text bytes.Buffer
	f := service(t, origin(t, always(ok)))
	m := NewMirror(f.Service, config.Mirror{Share: 1, Max: 1}, slog.New(slog.NewTextHandler(&text, nil)))
	c := m.begin()
	c.Method = "POST"
	c.RequestBody.SetSource(faulty{}, 3)
	m.run(c)
	if got := m.Stats(); got.Failed != 1 || got.InFlight != 0 || !strings.Contains(text.String(), "a fault of the test") {
		t.Errorf("%+v, logged %s", got, text.String())
	}
	m.Close()
}

type faulty struct{}

func (faulty) Read([]byte) (int, error)      { panic("a fault of the test") }
func (faulty) Gather() ([]byte, bool, error) { panic("a fault of the test") }
func (faulty) Close() error                  { return nil }

// Nobody answers a copy in place of the mirror's service: it could be the one that got the
// original.
func TestCopyHasNoFallback(t *testing.T) {
	a, b := &Service{name: "a", conf: config.Service{Host: "client"}}, &Service{name: "b", conf: config.Service{Host: "b.example"}}
	x := &exchange.Exchange{Authority: "api.example"}
	if got := a.FallsBackTo(x); got != nil {
		t.Errorf("it falls back to %s", got.name)
	}
	a.FallBackTo(b)
	if got := a.FallsBackTo(x); got != b {
		t.Errorf("it falls back to %v", got)
	}
	for _, want := range []string{"api.example", "b.example"} {
		if want == "b.example" {
			b.SetHost(x)
		} else {
			a.SetHost(x)
		}
		if x.Out.Host != want {
			t.Errorf("the host is %q, want %q", x.Out.Host, want)
		}
	}
	x.Out.HostOfRoute = true
	if a.SetHost(x); x.Out.Host != "b.example" {
		t.Errorf("the route's host has become %q", x.Out.Host)
	}
	x.Copy = true
	if got := a.FallsBackTo(x); got != nil {
		t.Errorf("a copy falls back to %s", got.name)
	}
	a.FallBackTo(nil)
	x.Copy = false
	if a.FallsBackTo(x) != nil {
		t.Error("it still falls back")
	}
}

// What is not drawn costs a number, and no memory.
func TestMirrorAllocatesNothing(t *testing.T) {
	f := service(t, origin(t, always(ok)))
	x := f.exchange("GET", "/")
	rare := f.mirror(func(c *config.Mirror) { c.Share = 1e-9 })
	full := f.mirror()
	full.most = 0
	tried(x)
	if n := testing.AllocsPerRun(1000, func() { rare.Copy(x); full.Copy(x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	f.pool.Put(x)
}

func BenchmarkMirror(b *testing.B) {
	f := service(b, origin(b, always(ok)))
	x := tried(f.exchange("GET", "/"))
	for name, conf := range map[string]config.Mirror{"not drawn": {Share: 1e-9, Max: 1}, "drawn": {Share: 1, Max: 100000}} {
		b.Run(name, func(b *testing.B) {
			m := NewMirror(f.Service, conf, nil)
			b.ReportAllocs()
			for b.Loop() {
				m.Copy(x)
			}
			b.StopTimer()
			m.Close()
		})
	}
	// What the client's side waits for: the copy itself.
	b.Run("copy", func(b *testing.B) {
		var pool exchange.Pool
		for range 12 {
			x.Request.Add("X-Some-Field", "a value of a usual length")
		}
		x.RequestBody.SetBytes(make([]byte, 500))
		b.ReportAllocs()
		for b.Loop() {
			c := pool.Get()
			x.CopyRequest(c)
			pool.Put(c)
		}
	})
	f.pool.Put(x)
}
