package http1

import (
	"strings"
	"testing"

	"yett/internal/exchange"
)

// What is left of a connection serves another client, unless somebody could still know it: a
// body is read by others too.
func TestSpare(t *testing.T) {
	seen := make(chan *conn, 1)
	r := start(t, "http://127.0.0.1:1", func(s *setup) {
		s.serve = func(x *exchange.Exchange) {
			seen <- x.Interim.(*conn)
			x.Status = 200
			x.Response.Add("X-Peer", x.Peer.String())
			x.ResponseBody.SetBytes([]byte(x.RawPath))
		}
	})
	used := make(map[*conn]int)
	const rounds = 64 // sync.Pool forgets some
	for range rounds {
		c := r.dial()
		if got := c.get("/plain"); got.body != "/plain" || got.Header.Get("X-Peer") != c.LocalAddr().String() {
			t.Fatalf("%q for %s, who is %s", got.body, got.Header.Get("X-Peer"), c.LocalAddr())
		}
		used[<-seen]++
		_ = c.Close()
		eventually(t, "the connection ends", func() bool { return r.e.Connections() == 0 })
	}
	if len(used) == rounds {
		t.Error("each client has got a new conn")
	}
	for range 5 { // Get may miss what Put has on another core
		c := r.dial()
		c.send("POST / HTTP/1.1\nHost: a\nContent-Length: 100000\n\n%s", strings.Repeat("x", 100000))
		c.answer("POST")
		known := <-seen
		_ = c.Close()
		eventually(t, "the connection ends", func() bool { return r.e.Connections() == 0 })
		for range rounds {
			if spare, _ := r.e.spare.Get().(*conn); spare == known {
				t.Fatal("reused after a body that was not there at once")
			}
		}
	}
}
