package upstream

import (
	"io"
	"testing"
	"time"

	"yett/internal/sweep"
)

// A request that ends after the head of its answer has come does not start the
// time for that head again, while a slow client still reads the first piece.
func TestLateEndOfRequest(t *testing.T) {
	all := make(chan struct{})
	f := service(t, origin(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\nContent-Length: 6\n\nabc")
		_, _ = io.ReadFull(p.r, make([]byte, 6))
		p.send("def")
		close(all)
		<-p.over
	}), func(s *setup) { s.conf.Timeouts.Response = ms(100) })
	u := newUpload(io.EOF)
	u.pieces <- "123"
	x := f.post(u, 6)
	call := f.forward(x)
	if call.reason != nil {
		t.Fatal(call.reason)
	}
	if _, err := io.ReadFull(&x.ResponseBody, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	u.pieces <- "456"
	<-all
	start := f.first().timer.Now()
	eventually(t, "the client has taken its time", func() bool { return f.first().timer.Now() > start+6*sweep.Tick })
	if rest, err := io.ReadAll(&x.ResponseBody); err != nil || string(rest) != "def" {
		t.Errorf("got %q, %v", rest, err)
	}
	call.end()
}

// A connection that comes back between the look into the pool and the queue is
// not overlooked.
func TestConnectionComesBackBeforeTheQueue(t *testing.T) {
	f := service(t, origin(t, always(ok)), func(s *setup) {
		s.conf.Connections.Max = 1
		s.conf.Timeouts.Queue = ms(200)
	})
	target := f.target()
	c, out := target.get(f.exchange("GET", "/"), nil, false, limit)
	if out.reason != nil {
		t.Fatal(out.reason)
	}
	if target.pool.take() != nil { // the first half of get
		t.Fatal("there is a connection to spare")
	}
	target.pool.put(c)
	x := f.exchange("GET", "/")
	got, there := target.pool.reserve(x.Context(), time.Duration(ms(200))) // the second half
	if !there || got != c {
		t.Fatalf("got %p, %v", got, there)
	}
	got.discard()
}
