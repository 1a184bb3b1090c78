package http1

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
)

// TestNoAllocation counts what whole requests cost, from socket to socket:
// client and service of this test do not allocate either.
func TestNoAllocation(t *testing.T) {
	if raceDetector {
		t.Skip("allocations can't be counted under the race detector")
	}
	const fields = "Host: a\r\nUser-Agent: test\r\nAccept: */*\r\nX-Long: 0123456789012345678901234567890123456789\r\n"
	tests := []struct{ name, request, answer string }{
		{"GET", "GET /a/b?c=d HTTP/1.1\r\n" + fields + "\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"},
		{"POST", "POST /a HTTP/1.1\r\n" + fields + "Content-Length: 100\r\n\r\n" + strings.Repeat("x", 100), "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"},
		{"large answer", "GET /a HTTP/1.1\r\n" + fields + "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("y", 100000)},
		{"chunked answer", "GET /a HTTP/1.1\r\n" + fields + "\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	}
	for _, tt := range tests {
		for _, how := range []struct {
			name   string
			change func(*setup)
		}{{"", func(*setup) {}}, {", guarded", guarded}} {
			t.Run(tt.name+how.name, func(t *testing.T) {
				if n := allocations(t, []byte(tt.request), []byte(tt.answer), how.change); n > few {
					t.Errorf("%.3f allocations a request", n)
				}
			})
		}
	}
}

// few is how many allocations a request may have on average: when the collector runs, it
// empties the pools of buffers.
const few = 0.05

// guarded gives the service all that guards one.
func guarded(st *setup) {
	s := &st.service
	s.Targets = append(s.Targets, strings.Replace(s.Targets[0], "127.0.0.1", "localhost", 1)) // the same one, under another name
	s.Balance.SetDefaults()
	s.Balance.Algorithm, s.Balance.Hash = "hash", config.StringList{"client", "header.User-Agent"}
	s.Breaker.SetDefaults()
	s.Breaker.SlowCall = config.Duration(10 * time.Second)
	s.Ejection.SetDefaults()
	s.Ejection.SlowerThan = 100
	s.Retries.SetDefaults()
	s.Retries.On = append(s.Retries.On, "502-504")
	s.Hedge = config.Hedge{After: config.Duration(5 * time.Second), Percentile: 99}
	s.Concurrency.SetDefaults()
	s.Concurrency.Max, s.Concurrency.Adaptive = 1000, true
}

// allocations returns how many allocations a request takes on average.
func allocations(t *testing.T, request, answer []byte, change func(*setup)) float64 {
	const warm, rounds = 500, 2000
	r := start(t, origin(t, func(p *peer) { sameAnswer(p.TCPConn, len(request), answer) }), change)
	r.core.done = nil
	c := r.dial()
	buf := make([]byte, len(answer)+4096)
	// The first answer tells how long all are: the date is always as long.
	mustWrite(t, c, request)
	size := 0
	for size < length(buf[:size]) {
		n, err := c.TCPConn.Read(buf[size:])
		if err != nil {
			t.Fatal(err)
		}
		size += n
	}
	turn := func(n int) {
		for range n {
			mustWrite(t, c, request)
			if _, err := io.ReadFull(c.TCPConn, buf[:size]); err != nil {
				t.Fatal(err)
			}
		}
	}
	turn(warm)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	turn(rounds)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / rounds
}

func mustWrite(t *testing.T, c *client, p []byte) {
	if _, err := c.TCPConn.Write(p); err != nil {
		t.Fatal(err)
	}
}

// length returns how long an answer is, as far as it is there: one byte more
// than there is while its head is incomplete.
func length(got []byte) int {
	r := bufio.NewReader(bytes.NewReader(got))
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return len(got) + 1
	}
	head := bytes.Index(got, []byte("\r\n\r\n")) + 4
	return head + int(resp.ContentLength)
}

// sameAnswer answers requests whose size is at least known.
func sameAnswer(c net.Conn, least int, answer []byte) {
	buf := make([]byte, 64<<10)
	for have := 0; ; {
		n, err := c.Read(buf[have:])
		if err != nil {
			return
		}
		have += n
		if have < least || !bytes.Contains(buf[:have], []byte("\r\n\r\n")) {
			continue
		}
		have = 0
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}
