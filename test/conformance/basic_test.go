package conformance

import "testing"

// ok is what a client gets of an answer "ok" with a length.
const ok = "HTTP/1.1 200 OK\r\nX-Request-ID: ID\r\nDate: NOW\r\nContent-Length: 2\r\n\r\nok"

// originOK is the origin's side of it.
const originOK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestBasic(t *testing.T) {
	play(t, []script{
		{name: "get", steps: []step{
			send(msg("GET /a?b=c HTTP/1.1", "Host: h", "A: 1", "a: 2")),
			got(msg("GET /a?b=c HTTP/1.1", "Host: h", "A: 1", "a: 2", "X-Request-ID: ID")),
			answer(originOK), want(ok), kept}, log: "200"},
	})
}
