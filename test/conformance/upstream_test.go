package conformance

import (
	"strings"
	"testing"
	"time"
)

func TestOriginWithoutAnswer(t *testing.T) {
	hang := conf{service: "timeouts:\n  response: 100ms"}
	post := send(postA, "Content-Length: 2\r\n\r\nhi")
	gotPost := got(outA("Content-Length: 2"), "hi")
	first := []step{send(getA), gotRequest("/a"), answer(originOK), want(ok)}
	behind := func(steps ...step) []step { return append(append([]step{}, first...), steps...) }
	play(t, []script{
		{name: "refuses", log: "502 connect_failed", steps: []step{originLeaves, send(getA), refusedKept(502, "BAD_GATEWAY"), kept}},
		{name: "refuses a body", log: "502 connect_failed", steps: []step{originLeaves, post, refusedKept(502, "BAD_GATEWAY"), kept}},
		{name: "hangs", conf: hang, log: "504 upstream_timeout", steps: []step{send(getA), gotRequest("/a"), refusedKept(504, "GATEWAY_TIMEOUT"), originLeft, kept}},
		{name: "hangs with a body", conf: hang, log: "504 upstream_timeout", steps: []step{post, gotPost, refusedKept(504, "GATEWAY_TIMEOUT"), originLeft, kept}},
		{name: "hangs within the head", conf: hang, log: "504 upstream_timeout", steps: []step{send(getA), gotRequest("/a"), answer("HTTP/1.1 200 OK\r\nA: "), refusedKept(504, "GATEWAY_TIMEOUT"), originLeft, kept}},
		{name: "hangs behind a 100", conf: hang, log: "504 upstream_timeout", steps: []step{send(getA), gotRequest("/a"), answer("HTTP/1.1 100 Continue\r\n\r\n"), want("HTTP/1.1 100 Continue\r\n\r\n"), refusedKept(504, "GATEWAY_TIMEOUT"), originLeft, kept}},
		{name: "closes", log: "502 upstream_reset", steps: []step{send(getA), gotRequest("/a"), originCloses, refusedKept(502, "BAD_GATEWAY"), kept}},
		{name: "resets", log: "502 upstream_reset", steps: []step{send(getA), gotRequest("/a"), originResets, refusedKept(502, "BAD_GATEWAY"), kept}},
		{name: "closes within the head", log: "502 upstream_reset", steps: []step{send(getA), gotRequest("/a"), answer("HTTP/1.1 200 OK\r\nContent-Le"), originCloses, refusedKept(502, "BAD_GATEWAY"), kept}},
		{name: "closes behind a full head line", log: "502 upstream_reset", steps: []step{send(getA), gotRequest("/a"), answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"), originCloses, refusedKept(502, "BAD_GATEWAY"), kept}},
		{name: "closes without reading a body", log: "502 upstream_reset", steps: []step{send(postA, "Content-Length: 1000000\r\n\r\n"), got(outA("Content-Length: 1000000")), originResets, pour(1_000_000, "x"), refused(502, "BAD_GATEWAY"), gone}},

		{name: "dies on a used connection, GET", log: "200, 200", steps: behind(send(getA), gotRequest("/a"), originCloses, accept, gotRequest("/a"), answer(originOK), want(ok), kept)},
		{name: "resets a used connection, GET", log: "200, 200", steps: behind(send(getA), gotRequest("/a"), originResets, accept, gotRequest("/a"), answer(originOK), want(ok), kept)},
		{name: "dies twice, GET", log: "200, 502 upstream_reset", steps: behind(send(getA), gotRequest("/a"), originCloses, accept, gotRequest("/a"), originCloses, refusedKept(502, "BAD_GATEWAY"), kept)},
		{name: "dies on a new connection, GET", log: "502 upstream_reset", steps: []step{send(getA), gotRequest("/a"), originCloses, refusedKept(502, "BAD_GATEWAY"), kept}},
		{name: "dies on a used connection, POST", log: "200, 502 upstream_reset", steps: behind(post, gotPost, originCloses, refusedKept(502, "BAD_GATEWAY"), kept)},
		{name: "dies on a used connection, empty POST", log: "200, 502 upstream_reset", steps: behind(send(postA, "\r\n"), got(outA("Content-Length: 0")), originCloses, refusedKept(502, "BAD_GATEWAY"), kept)},
		{name: "dies on a used connection, PATCH", log: "200, 502 upstream_reset", steps: behind(send("PATCH /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"), got("PATCH /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\nContent-Length: 2\r\n\r\nhi"), originCloses, refusedKept(502, "BAD_GATEWAY"), kept)},
		{name: "dies on a used connection, unknown method", log: "200, 502 upstream_reset", steps: behind(send("get /a HTTP/1.1\r\nHost: h\r\n\r\n"), got("get /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n\r\n"), originCloses, refusedKept(502, "BAD_GATEWAY"), kept)},
		{name: "dies on a used connection, PUT", log: "200, 200", steps: behind(send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"), got("PUT /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\nContent-Length: 2\r\n\r\nhi"), originCloses,
			accept, got("PUT /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\nContent-Length: 2\r\n\r\nhi"), answer(originOK), want(ok), kept)},
		{name: "dies on a used connection, streamed PUT", log: "200, 502 upstream_reset", steps: behind(send("PUT /a HTTP/1.1\r\nHost: h\r\n", chunked, "\r\n\r\n3\r\nabc\r\n"), got("PUT /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n", chunked, "\r\n\r\n3\r\nabc\r\n"), originCloses, refused(502, "BAD_GATEWAY"), closed)},
		{name: "dies within an answer on a used connection, GET", log: "200, 502 upstream_reset", steps: behind(send(getA), gotRequest("/a"), answer("HTTP/1.1 2"), originCloses, refusedKept(502, "BAD_GATEWAY"), kept)},
		{name: "hangs on a used connection, GET", conf: hang, log: "200, 504 upstream_timeout", steps: behind(send(getA), gotRequest("/a"), refusedKept(504, "GATEWAY_TIMEOUT"), originLeft, kept)},
		{name: "closed a resting connection, POST", log: "200, 200", steps: behind(originCloses, post, accept, gotPost, answer(originOK), want(ok), kept)},
		{name: "closed a resting connection, GET", log: "200, 200", steps: behind(originCloses, send(getA), accept, gotRequest("/a"), answer(originOK), want(ok), kept)},
	})
}

func TestOriginWithBadHead(t *testing.T) {
	bad := func(name, answered string) script {
		return script{name: name, log: "502 upstream_malformed", steps: []step{send(getA), gotRequest("/a"), answer(answered), refusedKept(502, "BAD_GATEWAY"), originLeft, kept}}
	}
	limited := func(name, service, answered string) script {
		s := bad(name, answered)
		s.conf.service = service
		return s
	}
	good := func(name, service, answered string) script {
		return script{name: name, conf: conf{service: service}, log: "200", steps: []step{send(getA), gotRequest("/a"), answer(answered), want(strings.Replace(answered, "Content-Length: 2", "X-Request-ID: ID\r\nDate: NOW\r\nContent-Length: 2", 1)), kept}}
	}
	fields := func(n int) string {
		return originHead + strings.Repeat("A: b\r\n", n-1) + "Content-Length: 2\r\n\r\nok"
	}
	filled := func(n int) string {
		return originHead + "A: " + strings.Repeat("v", n-len(originHead)-len("A: \r\nContent-Length: 2\r\n")) + "\r\nContent-Length: 2\r\n\r\nok"
	}
	play(t, []script{
		bad("garbage", "SSH-2.0-OpenSSH_9.6\r\n\r\n"),
		bad("binary garbage", "\x00\x01\x02\x03\r\n\r\n"),
		bad("HTTP 2", "HTTP/2.0 200 OK\r\n\r\n"),
		bad("HTTP 1.2", "HTTP/1.2 200 OK\r\n\r\n"),
		bad("body without a head", "<html></html>\r\n\r\n"),
		bad("status with two digits", "HTTP/1.1 20 OK\r\n\r\n"),
		bad("status with four digits", "HTTP/1.1 2000 OK\r\n\r\n"),
		bad("status beyond", "HTTP/1.1 600 OK\r\n\r\n"),
		bad("status that is no number", "HTTP/1.1 2x0 OK\r\n\r\n"),
		bad("CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n"),
		bad("lines end in LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
		bad("one line ends in LF", "HTTP/1.1 200 OK\r\nA: b\nContent-Length: 2\r\n\r\nok"),
		bad("blank before the colon", "HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 2\r\n\r\nok"),
		bad("folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok"),
		bad("NUL in a value", "HTTP/1.1 200 OK\r\nA: b\x00\r\nContent-Length: 2\r\n\r\nok"),
		bad("CR in a value", "HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: c\r\nContent-Length: 2\r\n\r\nok"),
		bad("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
		bad("two different lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
		bad("length list", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"),
		bad("length with a sign", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"),
		bad("length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"+chunked+"\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
		bad("chunks in HTTP 1.0", "HTTP/1.0 200 OK\r\n"+chunked+"\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
		bad("gzip as transfer coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
		bad("chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"),
		bad("unknown transfer coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n"),
		limited("header beyond the limit", "limits:\n  header: 1000", filled(1001)),
		good("header at the limit", "limits:\n  header: 1000", filled(1000)),
		limited("endless header", "limits:\n  header: 1000", originHead+strings.Repeat("A: b\r\n", 1000)),
		limited("fields beyond the limit", "limits:\n  header_count: 10", fields(11)),
		good("fields at the limit", "limits:\n  header_count: 10", fields(10)),
		{name: "head byte by byte", log: "200", steps: []step{send(getA), gotRequest("/a"), answerBytewise(originOK), want(ok), kept}},
	})
}

// answerBytewise has the origin send byte by byte.
func answerBytewise(text string) step {
	return func(st *stage) {
		st.t.Helper()
		for i := range len(text) {
			answer(text[i : i+1])(st)
		}
	}
}

func TestOriginWithBadBody(t *testing.T) {
	slow := conf{service: "timeouts:\n  idle: 100ms"}
	lengthHead, chunkHead := originHead+"Content-Length: 10\r\n\r\n", originHead+chunked+"\r\n\r\n"
	wantLength, wantChunks := head200+"Content-Length: 10\r\n\r\n", head200+chunked+"\r\n\r\n"
	const wantOld = head200 + "Connection: close\r\n\r\n"
	badChunk := func(name, body string) script {
		return script{name: name, log: "200 upstream_cut", steps: []step{send(getA), gotRequest("/a"), answer(chunkHead, "2\r\nok\r\n"), want(wantChunks, "2\r\nok\r\n"), answer(body), broken, originLeft}}
	}
	play(t, []script{
		{name: "cut by length", log: "200 upstream_cut", steps: []step{send(getA), gotRequest("/a"), answer(lengthHead, "hello"), want(wantLength, "hello"), originCloses, broken}},
		{name: "cut by length at once", log: "200 upstream_cut", steps: []step{send(getA), gotRequest("/a"), answer(lengthHead, "hello"), originCloses, want(wantLength, "hello"), broken}},
		{name: "cut by length before the first byte", log: "200 upstream_cut", steps: []step{send(getA), gotRequest("/a"), answer(lengthHead), originCloses, want(wantLength), broken}},
		{name: "reset by length", log: "200 upstream_cut", steps: []step{send(getA), gotRequest("/a"), answer(lengthHead, "hello"), want(wantLength, "hello"), originResets, broken}},
		{name: "cut by length, HTTP 1.0 client", log: "200 upstream_cut", steps: []step{send(oldA, "\r\n"), gotRequest("/a"), answer(lengthHead, "hello"), want(head200, "Content-Length: 10\r\nConnection: close\r\n\r\nhello"), originCloses, broken}},
		{name: "cut between chunks", log: "200 upstream_cut", steps: []step{send(getA), gotRequest("/a"), answer(chunkHead, "2\r\nok\r\n"), want(wantChunks, "2\r\nok\r\n"), originCloses, broken}},
		{name: "cut within a chunk", log: "200 upstream_cut", steps: []step{send(getA), gotRequest("/a"), answer(chunkHead, "5\r\nok"), want(wantChunks, "2\r\nok\r\n"), originCloses, broken}},
		{name: "cut before the last empty line", log: "200 upstream_cut", steps: []step{send(getA), gotRequest("/a"), answer(chunkHead, "2\r\nok\r\n0\r\n"), want(wantChunks, "2\r\nok\r\n"), originCloses, broken}},
		{name: "cut within the trailers", log: "200 upstream_cut", steps: []step{send(getA), gotRequest("/a"), answer(chunkHead, "2\r\nok\r\n0\r\nA: b\r\n"), want(wantChunks, "2\r\nok\r\n"), originCloses, broken}},
		{name: "cut chunks, HTTP 1.0 client", log: "200 upstream_cut", steps: []step{send(oldA, "\r\n"), gotRequest("/a"), answer(chunkHead, "2\r\nok\r\n"), want(wantOld, "ok"), originCloses, reset}},
		{name: "reset until close", log: "200 upstream_cut", steps: []step{send(getA), gotRequest("/a"), answer(originHead, "\r\nok"), want(wantChunks, "2\r\nok\r\n"), originResets, broken}},
		{name: "reset until close, HTTP 1.0 client", log: "200 upstream_cut", steps: []step{send(oldA, "\r\n"), gotRequest("/a"), answer(originHead, "\r\nok"), want(wantOld, "ok"), originResets, reset}},
		{name: "stalls by length", conf: slow, log: "200 upstream_cut", steps: []step{send(getA), gotRequest("/a"), answer(lengthHead, "hello"), want(wantLength, "hello"), broken, originLeft}},
		{name: "stalls between chunks", conf: slow, log: "200 upstream_cut", steps: []step{send(getA), gotRequest("/a"), answer(chunkHead, "2\r\nok\r\n"), want(wantChunks, "2\r\nok\r\n"), broken, originLeft}},
		badChunk("chunk size is no number", "x\r\nok\r\n0\r\n\r\n"),
		badChunk("chunk line ends in LF", "2\nok\r\n0\r\n\r\n"),
		badChunk("chunk size overflows", "FFFFFFFFFFFFFFFFF\r\nok\r\n0\r\n\r\n"),
		badChunk("chunk line is endless", strings.Repeat("0", 5000)),
		badChunk("bad trailer", "0\r\nA : b\r\n\r\n"),
		badChunk("trailer ends in LF", "0\r\nA: b\n\r\n"),
		{name: "chunk data without an end", log: "200 upstream_cut", steps: []step{send(getA), gotRequest("/a"), answer(chunkHead, "2\r\nok0\r\n\r\n"), want(wantChunks, "2\r\nok\r\n"), broken, originLeft}},
		{name: "pieces are passed on as they come", log: "200", steps: []step{send(getA), gotRequest("/a"), answer(chunkHead), want(wantChunks), answer("2\r\nab\r\n"), want("2\r\nab\r\n"), answer("1;x\r\nc\r\n"), want("1\r\nc\r\n"), answer("5\r\nde"), want("2\r\nde\r\n"), answer("fgh\r\n0\r\n\r\n"), want("3\r\nfgh\r\n0\r\n\r\n"), kept}},
		{name: "large answer", log: "200", steps: []step{send(getA), gotRequest("/a"), answer(originHead, "Content-Length: 100000\r\n\r\n", large()), want(head200, "Content-Length: 100000\r\n\r\n", large()), kept}},
		{name: "large request", log: "200", steps: []step{send(postA, "Content-Length: 100000\r\n\r\n", large()), got(outA("Content-Length: 100000"), large()), answer(originOK), want(ok), kept}},
	})
}

func TestOriginOutOfStep(t *testing.T) {
	const early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"
	const wantEarly = "HTTP/1.1 413 Request Entity Too Large\r\nX-Request-ID: ID\r\nDate: NOW\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
	big := send(postA, "Content-Length: 10000000\r\n\r\n")
	gotBig := got(outA("Content-Length: 10000000"))
	evil := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	next := []step{send(getA), accept, gotRequest("/a"), answer(originOK), want(ok), kept}
	then := func(steps ...step) []step { return append(steps, next...) }
	play(t, []script{
		{name: "answers while 10 MB come", log: "413", cut: true, steps: []step{big, gotBig, pour(10_000_000, large()), originTakes(100_000), answer(early), want(wantEarly), originLeftMidway, gone}},
		{name: "answers and closes while 10 MB come", log: "413", cut: true, steps: []step{big, gotBig, pour(10_000_000, large()), originTakes(100_000), answer(early), originHalfCloses, want(wantEarly), originLeftMidway, gone}},
		{name: "answers before any of 10 MB", log: "413", cut: true, steps: []step{big, gotBig, answer(early), want(wantEarly), closed}},
		{name: "answers before the end of chunks", log: "413", cut: true, steps: []step{send(postA, chunked, "\r\n\r\n3\r\nabc\r\n"), got(outA(chunked), "3\r\nabc\r\n"), answer(early), want(wantEarly), closed}},
		{name: "takes 10 MB", log: "200", steps: []step{big, gotBig, pour(10_000_000, large()), originTakes(10_000_000), answer(originOK), want(ok), kept}},
		{name: "sends more than its length", log: "200, 200", steps: then(send(getA), gotRequest("/a"), answer(originOK, evil), want(ok), originLeft)},
		{name: "sends more behind its last chunk", log: "200, 200", steps: then(send(getA), gotRequest("/a"), answer(originHead, chunked, "\r\n\r\n2\r\nok\r\n0\r\n\r\n", evil), want(head200, chunked, "\r\n\r\n2\r\nok\r\n0\r\n\r\n"), originLeft)},
		{name: "sends more behind a 204", log: "204, 200", steps: then(send(getA), gotRequest("/a"), answer("HTTP/1.1 204 No Content\r\n\r\n", evil), want("HTTP/1.1 204 No Content\r\nX-Request-ID: ID\r\nDate: NOW\r\n\r\n"), originLeft)},
		{name: "sends more later", log: "200, 200", steps: then(send(getA), gotRequest("/a"), answer(originOK), want(ok), answerAnyway(evil), originLeft)},
		{name: "sends more just before the next request", log: "200, 200", steps: then(send(getA), gotRequest("/a"), answer(originOK), want(ok), answerAnyway(evil), aMomentLater)},
		{name: "ends its direction just before the next request", conf: conf{service: "timeouts:\n  response: 1s"}, log: "200, 200", steps: then(send(getA), gotRequest("/a"), answer(originOK), want(ok), originHalfCloses)},
		{name: "sends an empty line later", log: "200, 200", steps: then(send(getA), gotRequest("/a"), answer(originOK), want(ok), answerAnyway("\r\n"), originLeft)},
	})
}

// aMomentLater lets more time go by than that within which a connection is used again
// without a look.
func aMomentLater(*stage) { time.Sleep(5 * time.Millisecond) }

// originLeftMidway has the origin see that its connection ends, whatever came
// of the request until then.
func originLeftMidway(st *stage) {
	st.t.Helper()
	for st.origin.fill(st.t) == nil {
	}
}

func TestClientLeaves(t *testing.T) {
	play(t, []script{
		{name: "closes while the origin works", log: "499 client_gone", steps: []step{send(getA), gotRequest("/a"), gone, originLeft}},
		{name: "resets while the origin works", log: "499 client_gone", steps: []step{send(getA), gotRequest("/a"), goneHard, originLeft}},
		{name: "closes behind a body while the origin works", log: "499 client_gone", steps: []step{send(postA, "Content-Length: 2\r\n\r\nhi"), got(outA("Content-Length: 2"), "hi"), gone, originLeft}},
		{name: "resets within its body", log: "499 client_gone", cut: true, steps: []step{send(postA, chunked, "\r\n\r\n3\r\nabc\r\n"), got(outA(chunked), "3\r\nabc\r\n"), goneHard, originLeft}},
		{name: "closes with another request behind", log: "499 client_gone", steps: []step{send(getA, getA), gotRequest("/a"), gone, originLeft}},
		{name: "closes within an answer", log: "200 client_gone", steps: []step{send(getA), gotRequest("/a"), answer(originHead, chunked, "\r\n\r\n2\r\nok\r\n"), want(head200, chunked, "\r\n\r\n2\r\nok\r\n"), gone, originLeft}},
		{name: "resets within a long answer", log: "200 client_gone", steps: []step{send(getA), gotRequest("/a"), answer(originHead, "Content-Length: 100000000\r\n\r\nx"), want(head200, "Content-Length: 100000000\r\n\r\nx"), goneHard, flood(100_000_000), originLeft}},
		{name: "only ends its direction", log: "200", steps: []step{send(getA), halfClose, gotRequest("/a"), answer(originOK), want(ok), closed}},
		{name: "between requests", log: "200, 200", steps: []step{send(getA), gotRequest("/a"), answer(originOK), want(ok), again, send(getA), gotRequest("/a"), answer(originOK), want(ok), goneHard}},
	})
}
