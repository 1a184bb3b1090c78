package policytest

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"yett/internal/exchange"
	"yett/internal/policy"
)

// Call is a request and the answer that its service gives. Exchanges made
// from it live as in the gateway: their strings are views into a buffer that
// is overwritten when they end, in every build.
type Call struct {
	request, answer string
	pool            exchange.Pool
	buffers         sync.Pool
}

// NewCall makes a Call from two messages as HTTP/1.1 writes them, with LF for
// CRLF. The header's empty line may be missing when there is no body. An
// empty answer is one without any header field.
func NewCall(tb testing.TB, request, answer string) *Call {
	tb.Helper()
	c := &Call{request: request, answer: answer}
	if answer == "" {
		c.answer = "HTTP/1.1 200 OK\n"
	}
	x := c.pool.Get()
	defer c.pool.Put(x)
	if err := fillRequest(x, c.request); err != nil {
		tb.Fatalf("request of the test: %v", err)
	}
	if err := fillAnswer(x, c.answer); err != nil {
		tb.Fatalf("answer of the test: %v", err)
	}
	return c
}

// Start makes an exchange as a policy's Request finds it: it came from
// 192.0.2.1, which is trusted, at 2026-01-02T03:04:05.678Z.
func (c *Call) Start() *exchange.Exchange {
	x := c.pool.Get()
	// NewCall has seen that there is no error.
	_ = fillRequest(x, c.view(x, c.request))
	x.Peer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 4711)
	x.PeerTrusted = true
	x.Client = x.Peer.Addr()
	x.Now = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	return x
}

// Answer gives the exchange the service's answer, unless it was refused or
// answered.
func (c *Call) Answer(x *exchange.Exchange) {
	if x.Status == 0 {
		_ = fillAnswer(x, c.view(x, c.answer)) // NewCall has seen that there is no error
	}
}

// Finish releases the exchange.
func (c *Call) Finish(x *exchange.Exchange) { c.pool.Put(x) }

// Pass takes an exchange through a policy up to its answer's head, as a chain
// of one does.
func (c *Call) Pass(p policy.Policy, x *exchange.Exchange) {
	x.SetRan(1)
	if p.Request(x, x.Slot(0)) == exchange.Continue {
		c.Answer(x)
	}
	p.Response(x, x.Slot(0))
}

// Run takes an exchange through its whole life.
func (c *Call) Run(p policy.Policy) {
	x := c.Start()
	c.Pass(p, x)
	p.End(x, x.Slot(0))
	c.Finish(x)
}

// Allocs returns how many allocations a life takes, on average of many. Under
// the race detector it skips the test, because they can't be counted there.
func (c *Call) Allocs(t testing.TB, p policy.Policy) float64 {
	t.Helper()
	if raceDetector {
		t.Skip("allocations can't be counted under the race detector")
	}
	return testing.AllocsPerRun(500, func() { c.Run(p) })
}

// Outcome takes an exchange through a policy and returns what has become of
// it as text: verdict, request and answer.
func (c *Call) Outcome(p policy.Policy) string {
	x := c.Start()
	defer c.Finish(x)
	c.Pass(p, x)
	text := describe(x)
	p.End(x, x.Slot(0))
	return text
}

// view copies a text into a buffer that is overwritten when x ends.
func (c *Call) view(x *exchange.Exchange, text string) string {
	b, _ := c.buffers.Get().(*buffer)
	if b == nil {
		b = &buffer{home: &c.buffers}
	}
	b.bytes = append(b.bytes[:0], text...)
	x.Hold(b)
	return exchange.View(b.bytes)
}

// buffer is what an engine would have read into.
type buffer struct {
	bytes []byte
	home  *sync.Pool
}

func (b *buffer) Release() {
	for i := range b.bytes {
		b.bytes[i] = '!'
	}
	b.home.Put(b)
}

func fillRequest(x *exchange.Exchange, text string) error {
	line, rest, _ := strings.Cut(text, "\n")
	var target, version string
	x.Method, target, _ = strings.Cut(line, " ")
	target, version, _ = strings.Cut(target, " ")
	if version != "HTTP/1.1" || !strings.HasPrefix(target, "/") {
		return fmt.Errorf("%q is no request line", line)
	}
	x.RawPath, x.Query, x.HasQuery = strings.Cut(target, "?")
	x.Path = x.RawPath
	body, err := fillHeader(&x.Request, rest)
	if err != nil {
		return err
	}
	x.Authority = x.Request.GetKey(exchange.KeyHost)
	x.Host, _, _ = strings.Cut(x.Authority, ":")
	x.RequestBody.SetBytes(bytesOf(body))
	return nil
}

func fillAnswer(x *exchange.Exchange, text string) error {
	line, rest, _ := strings.Cut(text, "\n")
	status, isAnswer := strings.CutPrefix(line, "HTTP/1.1 ")
	status, _, _ = strings.Cut(status, " ")
	n, err := strconv.Atoi(status)
	if err != nil || !isAnswer {
		return fmt.Errorf("%q is no status line", line)
	}
	x.Status = n
	body, err := fillHeader(&x.Response, rest)
	x.ResponseBody.SetBytes(bytesOf(body))
	return err
}

// fillHeader adds the fields of a header section and returns what follows it.
func fillHeader(h *exchange.Header, text string) (string, error) {
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if line == "" {
			return text, nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !exchange.ValidName(name) {
			return "", fmt.Errorf("%q is no header field", line)
		}
		h.Add(name, strings.TrimSpace(value))
	}
	return "", nil
}

// bytesOf returns s as bytes without copying, nil when it is empty.
func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// describe returns everything that a policy can change, as text.
func describe(x *exchange.Exchange) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%s?%s id=%s\n", x.Method, x.Host, x.Path, x.Query, x.RequestID)
	if x.Identity.Known() {
		fmt.Fprintf(&b, "identity %+v\n", x.Identity)
	}
	describeHeader(&b, &x.Request)
	reason := ""
	if x.Reason != nil {
		reason = x.Reason.Name
	}
	fmt.Fprintf(&b, "-> %d %s %q retry=%d\n", x.Status, reason, x.Detail, x.RetryAfter)
	if x.Challenge != "" {
		fmt.Fprintf(&b, "challenge %s\n", x.Challenge)
	}
	for _, o := range x.Observed() {
		fmt.Fprintf(&b, "observed %s %q\n", o.Reason.Name, o.Detail)
	}
	describeHeader(&b, &x.Response)
	if body, whole := x.ResponseBody.Whole(); whole {
		b.Write(body)
	}
	text := b.String()
	if x.RequestID != "" {
		text = strings.ReplaceAll(text, x.RequestID, "<request id>")
	}
	return text
}

func describeHeader(b *strings.Builder, h *exchange.Header) {
	for _, f := range h.Fields() {
		fmt.Fprintf(b, "%s: %s\n", f.Name, f.Value)
	}
}
