package upstream

import (
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/wire"
)

const (
	// mostCopied is the largest request body that is copied, in bytes.
	mostCopied = 64 << 10
	// mostRead is how much of an answer that nobody gets is read, in bytes, so that its
	// connection can be used again. A larger one costs its connection.
	mostRead = 1 << 20
	// mostWait is how long such an answer may pause, and how long reading it may take.
	mostWait = 10 * time.Second
)

// Mirror sends copies of requests to a service whose answers nobody gets. It starts no
// goroutine but one for each copy, of which there is a bounded number, and Close ends them.
type Mirror struct {
	to      *Service
	draw    uint64 // of all numbers, those up to it are copied
	off     bool   // none is
	methods []string
	most    int
	share   config.Share
	log     *slog.Logger
	wait    time.Duration // mostWait
	pool    exchange.Pool

	sent, leftOut, unfit, failed atomic.Int64

	mu      sync.Mutex
	running map[*exchange.Exchange]struct{}
	closed  bool
	wg      sync.WaitGroup
}

// NewMirror makes a Mirror to a service. log is told of faults in the gateway, nil for nobody.
func NewMirror(to *Service, conf config.Mirror, log *slog.Logger) *Mirror {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &Mirror{to: to, most: conf.Max, share: conf.Share, log: log, wait: mostWait, methods: slices.Clone(conf.Methods),
		draw: math.MaxUint64, off: Parts(conf.Share) == 0, running: make(map[*exchange.Exchange]struct{})}
	if slices.Contains(conf.Methods, "GET") && !slices.Contains(conf.Methods, "HEAD") {
		m.methods = append(m.methods, "HEAD")
	}
	if parts := Parts(conf.Share); parts < AllParts {
		m.draw = parts * (math.MaxUint64 / AllParts)
	}
	return m
}

// Service returns the service that gets the copies.
func (m *Mirror) Service() *Service { return m.to }

// Share returns the share of the requests that is copied.
func (m *Mirror) Share() config.Share { return m.share }

// Methods returns the methods whose requests are copied, none for all. HEAD is among them
// where GET is.
func (m *Mirror) Methods() []string { return m.methods }

// MirrorStats counts what became of the requests that a Mirror was to copy.
type MirrorStats struct {
	// Sent are copies that were handed to the service, Failed those of them that came to
	// nothing or got a status of 500 or above.
	Sent, Failed int64
	// LeftOut are those for which there was no place, Unfit those that can't be copied,
	// because their body is too large or of unknown length, or they switch the protocol.
	LeftOut, Unfit int64
	// InFlight are copies whose answer has not come to its end.
	InFlight int
}

// Stats returns what is known at this moment.
func (m *Mirror) Stats() MirrorStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return MirrorStats{Sent: m.sent.Load(), Failed: m.failed.Load(), LeftOut: m.leftOut.Load(), Unfit: m.unfit.Load(), InFlight: len(m.running)}
}

// Refuses says why a request is never copied, "" when that is left to the share. to is the
// service that gets the request itself.
func (m *Mirror) Refuses(x *exchange.Exchange, to *Service) string {
	switch {
	case m.off:
		return "the share is 0%"
	case to == m.to:
		return "it goes to that service anyway"
	case !m.copies(x.Method):
		return "the method is not copied"
	}
	return unfit(x)
}

func (m *Mirror) copies(method string) bool {
	return len(m.methods) == 0 || slices.Contains(m.methods, method)
}

// unfit says why a request can't be copied, "" when it can, as far as that is known before its
// body has come.
func unfit(x *exchange.Exchange) string {
	switch size := x.RequestBody.Size(); {
	case x.Upgrade != "":
		return "it switches the protocol"
	case size < 0 || x.Unsized && size > 0:
		return "it does not say how long its body is"
	case size > mostCopied:
		return "its body is too large"
	}
	return ""
}

// Copy sends a copy of a request that Forward has just dealt with, if it is drawn and can be
// copied. One that reached no target, because a breaker was open or there was no place, has
// no copy, and neither has one that the mirror's own service had at last. It waits for nothing.
func (m *Mirror) Copy(x *exchange.Exchange) {
	if m.off || rand.Uint64() > m.draw || x.Attempts == 0 || x.Service == m.to.name || !m.copies(x.Method) {
		return
	}
	if whole, ok := x.RequestBody.Whole(); !ok || len(whole) > mostCopied || unfit(x) != "" {
		m.unfit.Add(1)
		return
	}
	c := m.begin()
	if c == nil {
		m.leftOut.Add(1)
		return
	}
	x.CopyRequest(c)
	c.Copy = true
	m.to.SetHost(c)
	c.Out.IdleTimeout = min(m.wait, time.Duration(m.to.conf.Timeouts.Idle))
	m.sent.Add(1)
	go m.run(c)
}

// begin takes a place and returns the exchange for it, nil when there is none.
func (m *Mirror) begin() *exchange.Exchange {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || len(m.running) >= m.most {
		return nil
	}
	c := m.pool.Get()
	m.running[c] = struct{}{}
	m.wg.Add(1)
	return c
}

// run is the life of one copy.
func (m *Mirror) run(c *exchange.Exchange) {
	defer m.end(c)
	reason := m.to.Forward(c)
	if reason == nil {
		reason = m.discard(c)
	}
	if reason != exchange.ShuttingDown && (reason != nil || c.Status >= 500) {
		m.failed.Add(1)
	}
}

// discard reads the answer to its end, so that its connection can be used again, unless that
// takes too long.
func (m *Mirror) discard(c *exchange.Exchange) *exchange.Reason {
	if !c.ResponseBody.Streams() {
		return nil
	}
	buffers := m.to.deps.Buffers
	buf := buffers.Get(wire.SmallBuffer)
	defer func() { buf.Release() }()
	until := time.Now().Add(m.wait)
	for c.ResponseBody.BytesRead() < mostRead && time.Now().Before(until) {
		n, err := c.ResponseBody.Read(buf.B)
		switch {
		case err == io.EOF:
			return nil
		case err != nil && c.Aborted() != nil:
			return c.Aborted()
		case err != nil:
			return exchange.UpstreamCut
		}
		buf = buffers.Fit(buf, n)
	}
	return nil
}

// end gives everything back. A fault in here must not end the gateway.
func (m *Mirror) end(c *exchange.Exchange) {
	if fault := recover(); fault != nil {
		m.failed.Add(1)
		reportFault(m.log, m.to.name, "a copy", fault)
	}
	_ = c.ResponseBody.Close()
	m.mu.Lock()
	delete(m.running, c) // before Put: Close aborts what is in there
	m.mu.Unlock()
	m.pool.Put(c)
	m.wg.Done()
}

// Close gives up all copies that run and waits until they have ended. Copy does nothing
// afterwards.
func (m *Mirror) Close() {
	m.mu.Lock()
	m.closed = true
	for c := range m.running {
		c.Abort(exchange.ShuttingDown)
	}
	m.mu.Unlock()
	m.wg.Wait()
}
