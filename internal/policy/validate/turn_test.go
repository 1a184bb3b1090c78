package validate

import (
	"testing"

	"yett/internal/exchange"
	"yett/internal/policy/policytest"
)

// Only so many requests are looked into at the same time: another one waits, until there is a
// place or its caller is gone. Good ones never wait.
func TestTurns(t *testing.T) {
	p := policytest.BuildWith(t, Kind, "", deps(t, "app"))
	begin := func(body string) (*policytest.Call, *exchange.Exchange) {
		c := policytest.NewCall(t, post(body), "")
		return c, c.Start()
	}
	for range cap(turns) {
		turns <- struct{}{}
	}
	c, x := begin(good)
	if p.Request(x, x.Slot(0)); x.Reason != nil {
		t.Errorf("a good request: %v", x.Reason)
	}
	c.Finish(x)

	c, x = begin(`{"title":7}`)
	x.Abort(exchange.ClientGone)
	if p.Request(x, x.Slot(0)); x.Reason != exchange.ClientGone {
		t.Errorf("whose caller is gone: %v", x.Reason)
	}
	c.Finish(x)

	c, x = begin(`{"title":7}`)
	x.Context() // it is made before anybody waits for it
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Request(x, x.Slot(0))
	}()
	for range cap(turns) {
		endTurn()
	}
	if <-done; x.Reason != Invalid {
		t.Errorf("when there is a place: %v", x.Reason)
	}
	c.Finish(x)
	if len(turns) != 0 {
		t.Errorf("%d places were not given back", len(turns))
	}
}

// A text in a charset that nobody can read here is refused, or passes and is counted.
func TestForeignCharset(t *testing.T) {
	const request = "POST /notes HTTP/1.1\nHost: example.org\nContent-Type: text/plain; charset=utf-16\nContent-Length: 4\n\nlong"
	d := deps(t, "app")
	for mode, want := range map[string]*exchange.Reason{"enforce": Coded, "observe": nil} {
		p := policytest.BuildWith(t, Kind, "{mode: "+mode+"}", d)
		c := policytest.NewCall(t, request, "")
		x := c.Start()
		if p.Request(x, x.Slot(0)); x.Reason != want {
			t.Errorf("%s: %v, want %v", mode, x.Reason, want)
		}
		c.Finish(x)
	}
	op, _ := d.Documents.Of("app").Loaded().Contract.Match("POST", "/notes")
	if n := op.Tally.Unchecked.Load(); n != 1 {
		t.Errorf("%d unchecked", n)
	}
}
