package policytest

import (
	"strings"
	"testing"

	"yett/internal/exchange"
	"yett/internal/policy"
)

// probe is a policy that does what a test wants.
type probe struct {
	policy.Base
	request  func(*exchange.Exchange) exchange.Verdict
	response func(*exchange.Exchange)
}

func (p *probe) Request(x *exchange.Exchange, _ *exchange.Slot) exchange.Verdict {
	if p.request == nil {
		return exchange.Continue
	}
	return p.request(x)
}

func (p *probe) Response(x *exchange.Exchange, _ *exchange.Slot) {
	if p.response != nil {
		p.response(x)
	}
}

const (
	request = "POST /a/b?c=d HTTP/1.1\nHost: Example.org:8080\nX-A: 1\n\nbody"
	answer  = "HTTP/1.1 201 Created\nX-B: 2\n\ndone"
)

func TestCall(t *testing.T) {
	c := NewCall(t, request, answer)
	p := &probe{request: func(x *exchange.Exchange) exchange.Verdict {
		if x.Method != "POST" || x.Path != "/a/b" || x.RawPath != "/a/b" || x.Query != "c=d" || x.Host != "Example.org" ||
			x.Authority != "Example.org:8080" || x.Client.String() != "192.0.2.1" || x.Now.IsZero() {
			t.Errorf("exchange is %s", describe(x))
		}
		if body, _ := x.RequestBody.Whole(); string(body) != "body" {
			t.Errorf("body is %q", body)
		}
		x.RequestID = "made-here"
		return exchange.Continue
	}}
	want := "POST Example.org/a/b?c=d id=<request id>\nHost: Example.org:8080\nX-A: 1\n" +
		"-> 201  \"\" retry=0\nX-B: 2\ndone"
	if got := c.Outcome(p); got != want {
		t.Errorf("outcome:\n%s\nwant:\n%s", got, want)
	}
}

func TestReplyNeedsNoService(t *testing.T) {
	c := NewCall(t, request, answer)
	p := &probe{request: func(x *exchange.Exchange) exchange.Verdict { return x.RefuseWith(exchange.NoTarget, "why") }}
	got := c.Outcome(p)
	if !strings.Contains(got, "-> 503 no_target \"why\"") || strings.Contains(got, "X-B") {
		t.Errorf("outcome:\n%s", got)
	}
}

// What the suite relies on: a view that outlives its exchange is overwritten.
func TestFinishOverwrites(t *testing.T) {
	c := NewCall(t, request, answer)
	var kept string
	c.Run(&probe{response: func(x *exchange.Exchange) { kept = x.Request.Get("X-A") + x.Response.Get("X-B") + x.Path }})
	if kept != "12"+"/a/b" { // + copies
		t.Errorf("copied %q", kept)
	}
	var view string
	c.Run(&probe{response: func(x *exchange.Exchange) { view = x.Path }})
	if view != "!!!!" {
		t.Errorf("a kept view reads %q", view)
	}
}

func TestAllocs(t *testing.T) {
	c := NewCall(t, request, answer)
	if n := c.Allocs(t, &probe{}); n != 0 {
		t.Errorf("%v allocations by the exchange itself", n)
	}
	var sink []byte
	if n := c.Allocs(t, &probe{response: func(*exchange.Exchange) { sink = make([]byte, 100) }}); n != 1 {
		t.Errorf("%v allocations, want 1", n)
	}
	_ = sink
}

func TestMalformedMessages(t *testing.T) {
	var x exchange.Exchange
	for _, text := range []string{"", "GET / HTTP/1.0\n", "GET a HTTP/1.1\n", "GET / HTTP/1.1\nno field\n", "GET / HTTP/1.1\nA B: c\n"} {
		if err := fillRequest(&x, text); err == nil {
			t.Errorf("request %q is right", text)
		}
	}
	for _, text := range []string{"", "200 OK", "HTTP/1.1 abc\n", "HTTP/1.1 200 OK\nno field\n"} {
		if err := fillAnswer(&x, text); err == nil {
			t.Errorf("answer %q is right", text)
		}
	}
}
