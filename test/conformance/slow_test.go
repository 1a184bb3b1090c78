package conformance

import (
	"strings"
	"testing"
)

func TestSlowClients(t *testing.T) {
	header, body, idle := conf{timeouts: "header: 100ms"}, conf{timeouts: "body_idle: 100ms"}, conf{timeouts: "idle: 100ms"}
	play(t, []script{
		{name: "header that never ends", conf: header, log: "408 header_timeout", steps: []step{send("GET /a HTTP/1.1\r\nHost: h\r\n"), refused(408, "REQUEST_TIMEOUT"), closed}},
		{name: "request line that never ends", conf: header, log: "408 header_timeout", steps: []step{send("GET"), refused(408, "REQUEST_TIMEOUT"), closed}},
		{name: "pipelined header that never ends", conf: header, log: "200, 408 header_timeout", steps: []step{send(getA, "GET /b HTTP"), gotRequest("/a"), answer(originOK), want(ok), refused(408, "REQUEST_TIMEOUT"), closed}},
		{name: "an empty line is no request", conf: conf{timeouts: "header: 100ms\nidle: 300ms"}, steps: []step{send("\r\n"), closed}},
		{name: "an empty line behind a body is no request", conf: conf{timeouts: "header: 100ms\nidle: 300ms"}, log: "200", steps: []step{
			send(postA, "Content-Length: 2\r\n\r\nhi\r\n"), got(outA("Content-Length: 2"), "hi"), answer(originOK), want(ok), closed}},
		{name: "idle from the start", conf: idle, steps: []step{closed}},
		{name: "idle after an answer", conf: idle, log: "200", steps: []step{send(getA), gotRequest("/a"), answer(originOK), want(ok), closed}},
		{name: "idle does not count while the origin works", conf: idle, log: "200", steps: []step{send(getA), gotRequest("/a"), idleRounds(3), answer(originOK), want(ok), closed}},
		{name: "small body that never ends", conf: body, log: "408 body_timeout", cut: true, steps: []step{send(postA, "Content-Length: 5\r\n\r\nabc"), refused(408, "REQUEST_TIMEOUT"), closed}},
		{name: "large body that never ends", conf: body, log: "408 body_timeout", cut: true, steps: []step{send(postA, "Content-Length: 100003\r\n\r\nabc"), got(outA("Content-Length: 100003")), refused(408, "REQUEST_TIMEOUT"), closed}},
		{name: "chunks that never end", conf: body, log: "408 body_timeout", cut: true, steps: []step{send(postA, chunked, "\r\n\r\n3\r\nabc\r\n"), got(outA(chunked)), refused(408, "REQUEST_TIMEOUT"), closed}},
		{name: "trailers that never end", conf: body, log: "408 body_timeout", cut: true, steps: []step{send(postA, chunked, "\r\n\r\n3\r\nabc\r\n0\r\nA: b"), got(outA(chunked)), refused(408, "REQUEST_TIMEOUT"), closed}},
		{name: "body that nobody reads and never ends", conf: body, log: "400 bad_path", steps: []step{send("POST /.. HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc"), refusedKept(400, "BAD_REQUEST"), broken}},
	})
}

// flood has the origin send n bytes, or fail to.
func flood(n int) step {
	return func(st *stage) {
		piece := strings.Repeat("x", 1<<20)
		for ; n > 0 && st.origin.send(st.t, piece) == nil; n -= len(piece) {
		}
	}
}

// idleRounds shows n times, over other connections, that the gateway goes on: each
// waits for the idle close of a connection that sends nothing.
func idleRounds(n int) step {
	return func(st *stage) {
		st.t.Helper()
		first := st.client
		for range n {
			st.dial()
			closed(st)
			_ = st.client.Close()
		}
		st.client = first
	}
}
