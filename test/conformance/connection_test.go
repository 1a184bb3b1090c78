package conformance

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// head of answers as a client gets them, up to their framing.
const (
	head200    = "HTTP/1.1 200 OK\r\nX-Request-ID: ID\r\nDate: NOW\r\n"
	originHead = "HTTP/1.1 200 OK\r\n"
	oldA       = "GET /a HTTP/1.0\r\nHost: h\r\n"
)

func TestPersistence(t *testing.T) {
	with := func(line string) string { return "GET /a HTTP/1.1\r\nHost: h\r\n" + line + "\r\n\r\n" }
	closes := func(name, in string) script {
		return script{name: name, log: "200", steps: []step{send(in), gotRequest("/a"), answer(originOK), want(okClose), closed}}
	}
	keeps := func(name, in string) script {
		return script{name: name, log: "200", steps: []step{send(in), gotRequest("/a"), answer(originOK), want(ok), kept}}
	}
	play(t, []script{
		keeps("HTTP 1.1", getA),
		keeps("keep-alive", with("Connection: keep-alive")),
		keeps("Connection of something else", with("Connection: closed, \"close\", x")),
		keeps("Proxy-Connection means nothing", with("Proxy-Connection: close")),
		closes("close", with("Connection: close")),
		closes("close in another case", with("connection: ClOsE")),
		closes("close in a list", with("Connection: x,\tclose ,y")),
		closes("close in a second field", with("Connection: keep-alive\r\nConnection: close")),
		closes("close beside keep-alive", with("Connection: keep-alive, close")),
		closes("HTTP 1.0", oldA+"\r\n"),
		closes("HTTP 1.0 with Keep-Alive alone", oldA+"Keep-Alive: timeout=5\r\n\r\n"),
		{name: "HTTP 1.0 with keep-alive", log: "200", steps: []step{send(oldA, "Connection: Keep-Alive\r\n\r\n"), gotRequest("/a"), answer(originOK),
			want(head200, "Content-Length: 2\r\nConnection: keep-alive\r\n\r\nok"), kept}},
		{name: "close of the origin does not concern the client", log: "200, 200", steps: []step{send(getA), gotRequest("/a"),
			answer("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"), want(ok), originLeft, kept,
			send(getA), accept, gotRequest("/a"), answer(originOK), want(ok)}},
		{name: "HTTP 1.0 origin", log: "200, 200", steps: []step{send(getA), gotRequest("/a"),
			answer("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), want(ok), originLeft, send(getA), accept, gotRequest("/a"), answer(originOK), want(ok), kept}},
		{name: "HTTP 1.0 origin with keep-alive", log: "200, 200", steps: []step{send(getA), gotRequest("/a"),
			answer("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"), want(ok), send(getA), gotRequest("/a"), answer(originOK), want(ok), kept}},
		{name: "origin that ends by closing", log: "200", steps: []step{send(getA), gotRequest("/a"), answer(originHead, "\r\nab"), want(head200, chunked, "\r\n\r\n2\r\nab\r\n"),
			answer("cd"), want("2\r\ncd\r\n"), originCloses, want("0\r\n\r\n"), kept}},
		{name: "origin that ends by closing, HTTP 1.0 client", log: "200", steps: []step{send(oldA, "Connection: keep-alive\r\n\r\n"), gotRequest("/a"), answer(originHead, "\r\nab"),
			want(head200, "Connection: close\r\n\r\nab"), answer("cd"), want("cd"), originCloses, closed}},
		{name: "chunks to an HTTP 1.0 client", log: "200", steps: []step{send(oldA, "Connection: keep-alive\r\n\r\n"), gotRequest("/a"), answer(originHead, chunked, "\r\n\r\n2\r\nab\r\n"),
			want(head200, "Connection: close\r\n\r\nab"), answer("2\r\ncd\r\n0\r\n\r\n"), want("cd"), closed}},
		{name: "connection to the origin is used again", log: "200, 200, 200", steps: []step{
			send(getA), gotRequest("/a"), answer(originOK), want(ok), again,
			send(postA, "Content-Length: 2\r\n\r\nhi"), got(outA("Content-Length: 2"), "hi"), answer(originHead, chunked, "\r\n\r\n2\r\nok\r\n0\r\n\r\n"), want(ok), again,
			send(getA), gotRequest("/a"), answer(originOK), want(ok), kept}},
	})
}

func TestHeadAndEmptyAnswers(t *testing.T) {
	const headA, gotHeadA = "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n\r\n"
	answered := func(name, in, out, origin, client, log string) script {
		return script{name: name, log: log + ", 200", steps: []step{send(in), got(out), answer(origin), want(client),
			send(getA), gotRequest("/a"), answer(originOK), want(ok), kept}}
	}
	gotA := "GET /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n\r\n"
	const both = "X-Request-ID: ID\r\nDate: NOW\r\n"
	play(t, []script{
		answered("HEAD with a length", headA, gotHeadA, originHead+"Content-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"+both+"\r\n", "200"),
		answered("HEAD with length zero", headA, gotHeadA, originHead+"Content-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"+both+"\r\n", "200"),
		answered("HEAD with chunks", headA, gotHeadA, originHead+chunked+"\r\n\r\n", head200+"\r\n", "200"),
		answered("HEAD without framing", headA, gotHeadA, originHead+"\r\n", head200+"\r\n", "200"),
		answered("HEAD of what is not there", headA, gotHeadA, "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n"+both+"\r\n", "404"),
		answered("204", getA, gotA, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\n"+both+"\r\n", "204"),
		answered("204 with a length", getA, gotA, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 No Content\r\n"+both+"\r\n", "204"),
		answered("204 with chunks", getA, gotA, "HTTP/1.1 204 No Content\r\n"+chunked+"\r\n\r\n", "HTTP/1.1 204 No Content\r\n"+both+"\r\n", "204"),
		answered("304", getA, gotA, "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n"+both+"\r\n", "304"),
		answered("304 with a length", getA, gotA, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n"+both+"\r\n", "304"),
		answered("304 with chunks", getA, gotA, "HTTP/1.1 304 Not Modified\r\n"+chunked+"\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n"+both+"\r\n", "304"),
		answered("empty 200", getA, gotA, originHead+"Content-Length: 0\r\n\r\n", head200+"Content-Length: 0\r\n\r\n", "200"),
		answered("empty chunks", getA, gotA, originHead+chunked+"\r\n\r\n0\r\n\r\n", head200+chunked+"\r\n\r\n0\r\n\r\n", "200"),
		answered("205", getA, gotA, "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 205 Reset Content\r\n"+both+"Content-Length: 0\r\n\r\n", "205"),
		{name: "content of a HEAD is not passed on", log: "200, 200", steps: []step{send(headA), got(gotHeadA), answer(originHead + "Content-Length: 5\r\n\r\nabcde"),
			want("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + both + "\r\n"), originLeft, send(getA), accept, gotRequest("/a"), answer(originOK), want(ok), kept}},
		{name: "content of a 304 is not passed on", log: "304, 200", steps: []step{send(getA), gotRequest("/a"), answer("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nabcde"),
			want("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n" + both + "\r\n"), originLeft, send(getA), accept, gotRequest("/a"), answer(originOK), want(ok), kept}},
		{name: "HEAD of a page of the gateway", steps: []step{send("HEAD /ping HTTP/1.1\r\nHost: h\r\n\r\n"), want(strings.TrimSuffix(pong, "pong")), kept}},
		{name: "HEAD refused", log: "400 bad_path", steps: []step{send("HEAD /.. HTTP/1.1\r\nHost: h\r\n\r\n"), refusedHead(400), kept}},
		{name: "HEAD refused for its framing", log: "400 bad_header", steps: []step{send("HEAD / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n"), refusedHead(400), closed}},
		{name: "HEAD with a dead origin", log: "502 upstream_reset", steps: []step{send(headA), got(gotHeadA), originCloses, refusedHead(502), kept}},
	})
}

// refusedHead has the client get the head of a refusal and no content.
func refusedHead(status int) step {
	return func(st *stage) {
		st.t.Helper()
		head := st.client.head(st.t)
		f := fieldsOf(st.t, head)
		if n, err := strconv.Atoi(f["Content-Length"]); !strings.HasPrefix(head, fmt.Sprintf("HTTP/1.1 %d ", status)) || err != nil || n < 100 {
			st.t.Fatalf("client gets\n%s", show(head))
		}
		checkRefusalFields(st.t, status, f)
	}
}

func TestExpectAndInterim(t *testing.T) {
	const expect, goOn = "Expect: 100-continue\r\n", "HTTP/1.1 100 Continue\r\n\r\n"
	const gotExpect = "POST /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
	play(t, []script{
		{name: "relayed", log: "200", steps: []step{send(postA, expect, "Content-Length: 3\r\n\r\n"), got(gotExpect), answer(goOn), want(goOn), send("abc"), got("abc"), answer(originOK), want(ok), kept}},
		{name: "relayed with chunks", log: "200", steps: []step{send(postA, expect, chunked, "\r\n\r\n"), got("POST /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\nExpect: 100-continue\r\n", chunked, "\r\n\r\n"),
			answer(goOn), want(goOn), send("3\r\nabc\r\n0\r\n\r\n"), got("3\r\nabc\r\n0\r\n\r\n"), answer(originOK), want(ok), kept}},
		{name: "in any case", log: "200", steps: []step{send(postA, "eXPECT: 100-CONTINUE\r\nContent-Length: 3\r\n\r\n"), got(gotExpect), answer(goOn), want(goOn), send("abc"), got("abc"), answer(originOK), want(ok), kept}},
		{name: "refused by the origin", log: "401", steps: []step{send(postA, expect, "Content-Length: 3\r\n\r\n"), got(gotExpect), answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"),
			want("HTTP/1.1 401 Unauthorized\r\nX-Request-ID: ID\r\nDate: NOW\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"), closed, originLeft}},
		{name: "origin says nothing and the client goes on", log: "200", steps: []step{send(postA, expect, "Content-Length: 3\r\n\r\n"), got(gotExpect), send("abc"), got("abc"), answer(originOK), want(ok), kept}},
		{name: "body came along", log: "200", steps: []step{send(postA, expect, "Content-Length: 3\r\n\r\nabc"), got(outA("Content-Length: 3"), "abc"), answer(originOK), want(ok), kept}},
		{name: "origin says 100 although the body came along", log: "200", steps: []step{send(postA, expect, "Content-Length: 3\r\n\r\nabc"), got(outA("Content-Length: 3"), "abc"), answer(goOn, originOK), want(goOn, ok), kept}},
		{name: "without a body", log: "200", steps: []step{send("GET /a HTTP/1.1\r\nHost: h\r\n", expect, "\r\n"), gotRequest("/a"), answer(originOK), want(ok), kept}},
		{name: "HTTP 1.0 knows none", log: "200", steps: []step{send("POST /a HTTP/1.0\r\nHost: h\r\n", expect, "Content-Length: 3\r\n\r\nabc"), got(outA("Content-Length: 3"), "abc"), answer(originOK), want(okClose), closed}},
		rejected("unknown", postA+"Expect: something\r\nContent-Length: 3\r\n\r\nabc", 417, "EXPECTATION_FAILED", "bad_expectation"),
		rejected("known and unknown", postA+"Expect: 100-continue, something\r\nContent-Length: 3\r\n\r\nabc", 417, "EXPECTATION_FAILED", "bad_expectation"),
		{name: "page of the gateway", steps: []step{send("POST /ping HTTP/1.1\r\nHost: h\r\n", expect, "Content-Length: 3\r\n\r\n"), want(strings.Replace(pong, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)), closed}},
		{name: "refused by the gateway", log: "400 bad_path", steps: []step{send("POST /.. HTTP/1.1\r\nHost: h\r\n", expect, "Content-Length: 3\r\n\r\n"), refused(400, "BAD_REQUEST"), closed}},
		{name: "103", log: "200", steps: []step{send(getA), gotRequest("/a"), answer(hints), want(hints), answer(originOK), want(ok), kept}},
		{name: "103 and the answer at once", log: "200", steps: []step{send(getA), gotRequest("/a"), answer(hints, originOK), want(hints, ok), kept}},
		{name: "several", log: "200", steps: []step{send(getA), gotRequest("/a"), answer("HTTP/1.1 102 Processing\r\n\r\n", hints, hints, originOK), want("HTTP/1.1 102 Processing\r\n\r\n", hints, hints, ok), kept}},
		{name: "103 loses fields of one connection", log: "200", steps: []step{send(getA), gotRequest("/a"), answer("HTTP/1.1 103 Early Hints\r\nConnection: X\r\nX: y\r\nKeep-Alive: 5\r\nLink: </a.css>; rel=preload\r\n\r\n", originOK), want(hints, ok), kept}},
		{name: "103 to HTTP 1.0", log: "200", steps: []step{send(oldA, "\r\n"), gotRequest("/a"), answer(hints, originOK), want(okClose), closed}},
		{name: "103 and then nothing", log: "502 upstream_reset", steps: []step{send(getA), gotRequest("/a"), answer(hints), want(hints), originCloses, refusedKept(502, "BAD_GATEWAY"), kept}},
		{name: "pipelined behind an expectation that was met", log: "200, 200", steps: []step{send(postA, expect, "Content-Length: 3\r\n\r\n"), got(gotExpect), answer(goOn), want(goOn), send("abc", getA), got("abc"), answer(originOK), want(ok), gotRequest("/a"), answer(originOK), want(ok), kept}},
	})
}

func TestUpgrade(t *testing.T) {
	const ask = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
	const gotAsk = "GET /ws HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: k\r\nX-Request-ID: ID\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
	const yes = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n"
	const wantYes = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: a\r\nX-Request-ID: ID\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
	plain := func(name, fields string) script {
		return forwarded(name, "GET /a HTTP/1.1\r\nHost: h\r\n"+fields+"\r\n", "GET /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n\r\n")
	}
	play(t, []script{
		{name: "both ways", log: "101", steps: []step{send(ask), got(gotAsk), answer(yes), want(wantYes), send("ping\x00"), got("ping\x00"), answer("\x81pong"), want("\x81pong"), send(large()), got(large()), answer(large()), want(large()), gone, originLeft}},
		{name: "client ends its direction", log: "101", steps: []step{send(ask), got(gotAsk), answer(yes), want(wantYes), send("last"), halfClose, got("last"), originEnded, answer("more"), want("more"), originCloses, closed}},
		{name: "origin ends its direction", log: "101", steps: []step{send(ask), got(gotAsk), answer(yes), want(wantYes), answer("last"), originHalfCloses, want("last"), closed, send("more"), got("more"), gone, originEnded}},
		{name: "bytes right behind the request", log: "101", steps: []step{send(ask, "early"), got(gotAsk), answer(yes), want(wantYes), got("early"), gone, originLeft}},
		{name: "bytes right behind the answer", log: "101", steps: []step{send(ask), got(gotAsk), answer(yes, "early"), want(wantYes, "early"), gone, originLeft}},
		{name: "origin closes at once", log: "101", steps: []step{send(ask), got(gotAsk), answer(yes, "bye"), originCloses, want(wantYes, "bye"), closed}},
		{name: "refused with an answer", log: "400", steps: []step{send(ask), got(gotAsk), answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno"),
			want("HTTP/1.1 400 Bad Request\r\nX-Request-ID: ID\r\nDate: NOW\r\nContent-Length: 2\r\n\r\nno"), kept}},
		{name: "ignored", log: "200", steps: []step{send(ask), got(gotAsk), answer(originOK), want(ok), kept}},
		{name: "426 of the origin", log: "426", steps: []step{send(getA), gotRequest("/a"), answer("HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n"),
			want("HTTP/1.1 426 Upgrade Required\r\nX-Request-ID: ID\r\nDate: NOW\r\nContent-Length: 0\r\n\r\n"), kept}},
		{name: "unasked", log: "502 upgrade_refused", steps: []step{send(getA), gotRequest("/a"), answer(yes), refusedKept(502, "BAD_GATEWAY"), originLeft, kept}},
		{name: "to another protocol", log: "502 upgrade_refused", steps: []step{send(ask), got(gotAsk), answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"), refusedKept(502, "BAD_GATEWAY"), originLeft, kept}},
		{name: "to none", log: "502 upgrade_refused", steps: []step{send(ask), got(gotAsk), answer("HTTP/1.1 101 Switching Protocols\r\n\r\n"), refusedKept(502, "BAD_GATEWAY"), originLeft, kept}},
		{name: "unasked to HTTP 1.0", log: "502 upgrade_refused", steps: []step{send(oldA, "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"), gotRequest("/a"), answer(yes), refused(502, "BAD_GATEWAY"), closed, originLeft}},
		plain("h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"),
		plain("h2c with a version", "Connection: Upgrade\r\nUpgrade: h2c/2.0\r\n"),
		plain("h2c in another case", "Connection: Upgrade\r\nUpgrade: H2C\r\n"),
		plain("h2c in a list", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"),
		plain("h2c in a second field", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n"),
		plain("Upgrade without Connection", "Upgrade: websocket\r\n"),
		plain("Connection without Upgrade", "Connection: upgrade\r\n"),
		{name: "with a body", log: "200", steps: []step{send(postA, "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc"), got(outA("Content-Length: 3"), "abc"), answer(originOK), want(ok), kept}},
		{name: "idle tunnel", conf: conf{timeouts: "tunnel_idle: 100ms"}, log: "101 tunnel_idle", steps: []step{send(ask), got(gotAsk), answer(yes), want(wantYes), broken, originLeft}},
	})
}
