package http1

import (
	"io"
	"testing"
	"time"

	"yett/internal/exchange"
)

// BenchmarkKeptConnection measures requests one after the other on a connection, with the client
// that asks.
func BenchmarkKeptConnection(b *testing.B) {
	r := start(b, "http://127.0.0.1:1", func(s *setup) {
		s.serve = func(x *exchange.Exchange) {
			x.Status = 200
			x.ResponseBody.SetBytes([]byte("ok"))
		}
	})
	c := r.dial()
	_ = c.SetDeadline(time.Time{})
	request := []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := c.Write(request); err != nil {
		b.Fatal(err)
	}
	answer := make([]byte, 1024)
	size, err := c.TCPConn.Read(answer)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c.TCPConn, answer[:size]); err != nil {
			b.Fatal(err)
		}
	}
}
