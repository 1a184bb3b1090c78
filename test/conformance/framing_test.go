package conformance

import (
	"fmt"
	"strings"
	"testing"
)

const postA = "POST /a HTTP/1.1\r\nHost: h\r\n"

// outA is what the origin gets of postA, with its framing.
func outA(framing string) string {
	return "POST /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n" + framing + "\r\n\r\n"
}

// large returns 100000 bytes, more than any buffer holds. No two pieces of it
// are alike.
func large() string {
	var b strings.Builder
	for i := range 12500 {
		fmt.Fprintf(&b, "%07d ", i)
	}
	return b.String()
}

const chunked = "Transfer-Encoding: chunked"

func TestFraming(t *testing.T) {
	framing := func(name, fields, body string) script {
		return rejected(name, postA+fields+"\r\n"+body, 400, "BAD_REQUEST", "bad_framing")
	}
	header := func(name, fields, body string) script {
		return rejected(name, postA+fields+"\r\n"+body, 400, "BAD_REQUEST", "bad_header")
	}
	const te = chunked + "\r\n"
	play(t, []script{
		framing("CL.TE", "Content-Length: 6\r\n"+te, "0\r\n\r\nG"),
		framing("TE.CL", te+"Content-Length: 4\r\n", "5c\r\nGET / HTTP/1.1\r\n\r\n0\r\n\r\n"),
		framing("CL zero and TE", te+"Content-Length: 0\r\n", "0\r\n\r\n"),
		framing("TE twice", te+te, "0\r\n\r\n"),
		framing("TE and another TE", te+"Transfer-encoding: x\r\n", "0\r\n\r\n"),
		framing("TE chunked, chunked", "Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
		framing("TE xchunked", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
		framing("TE identity", "Transfer-Encoding: identity\r\n", "0\r\n\r\n"),
		framing("TE chunked, identity", "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
		framing("TE with a parameter", "Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"),
		framing("TE in quotes", "Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
		framing("TE empty", "Transfer-Encoding:\r\n", "0\r\n\r\n"),
		framing("TE empty element", "Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n"),
		framing("TE gzip", "Transfer-Encoding: gzip\r\n", "0\r\n\r\n"),
		header("TE with VT", "Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
		header("TE with a blank before the colon", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
		header("TE folded", "Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
		header("TE behind LF", "X: y\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
		header("TE behind CR", "X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
		rejected("TE gzip, chunked", postA+"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "NOT_IMPLEMENTED", "not_implemented"),
		rejected("TE in HTTP 1.0", "POST /a HTTP/1.0\r\nHost: h\r\n"+te+"\r\n0\r\n\r\n", 400, "BAD_REQUEST", "bad_framing"),
		framing("CL twice", "Content-Length: 5\r\nContent-Length: 5\r\n", "abcde"),
		framing("CL twice and different", "Content-Length: 5\r\nContent-Length: 50\r\n", "abcde"),
		framing("CL list", "Content-Length: 5, 5\r\n", "abcde"),
		framing("CL plus", "Content-Length: +5\r\n", "abcde"),
		framing("CL minus", "Content-Length: -5\r\n", "abcde"),
		framing("CL hexadecimal", "Content-Length: 0x5\r\n", "abcde"),
		framing("CL blank inside", "Content-Length: 5 0\r\n", "abcde"),
		framing("CL empty", "Content-Length:\r\n", "abcde"),
		framing("CL overflows 64 bits", "Content-Length: 18446744073709551621\r\n", "abcde"),
		framing("CL overflows far", "Content-Length: "+strings.Repeat("9", 100)+"\r\n", "abcde"),
		header("CL with a blank before the colon", "Content-Length : 5\r\n", "abcde"),
		header("CL with NUL", "Content-Length: 5\x00\r\n", "abcde"),

		{name: "length", steps: []step{send(postA, "Content-Length: 5\r\n\r\nabcde"), got(outA("Content-Length: 5"), "abcde"), answer(originOK), want(ok), kept}, log: "200"},
		{name: "length is said anew", steps: []step{send(postA, "content-length: 005\r\n\r\nabcde"), got(outA("Content-Length: 5"), "abcde"), answer(originOK), want(ok), kept}, log: "200"},
		{name: "length zero", steps: []step{send(postA, "Content-Length: 0\r\n\r\n"), got(outA("Content-Length: 0")), answer(originOK), want(ok), kept}, log: "200"},
		{name: "no body in a POST", steps: []step{send(postA, "\r\n"), got(outA("Content-Length: 0")), answer(originOK), want(ok), kept}, log: "200"},
		{name: "body of a GET", steps: []step{send("GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
			got("GET /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\nContent-Length: 3\r\n\r\nabc"), answer(originOK), want(ok), kept}, log: "200"},
		{name: "body of a DELETE", steps: []step{send("DELETE /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
			got("DELETE /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\nContent-Length: 3\r\n\r\nabc"), answer(originOK), want(ok), kept}, log: "200"},
		{name: "small body in pieces", steps: []step{send(postA, "Content-Length: 5\r\n\r\n"), send("ab"), send("cde"), got(outA("Content-Length: 5"), "abcde"), answer(originOK), want(ok), kept}, log: "200"},
		{name: "large body in pieces", steps: []step{send(postA, "Content-Length: 100003\r\n\r\n"), got(outA("Content-Length: 100003")), send("abc"), got("abc"), send(large()), got(large()), answer(originOK), want(ok), kept}, log: "200"},
		{name: "binary body", steps: []step{send(postA, "Content-Length: 8\r\n\r\n\x00\xff\r\n\r\n0\r"), got(outA("Content-Length: 8"), "\x00\xff\r\n\r\n0\r"), answer(originOK), want(ok), kept}, log: "200"},
		{name: "small chunked body gets a length", steps: []step{send(postA, te, "\r\n3;ext=\"x\"\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), got(outA("Content-Length: 5"), "abcde"), answer(originOK), want(ok), kept}, log: "200"},
		{name: "chunks in pieces", steps: []step{send(postA, te, "\r\n"), got(outA(chunked)), send("3;x\r\nabc"), got("3\r\nabc\r\n"), send("\r\n2\r\nde\r\n"), got("2\r\nde\r\n"), send("0\r\n\r\n"), got("0\r\n\r\n"), answer(originOK), want(ok), kept}, log: "200"},
		{name: "field names of framing with underscores are dropped", steps: []step{send(postA, "Content_Length: 5\r\nTransfer_Encoding: chunked\r\n\r\n"),
			got("POST /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\nContent-Length: 0\r\n\r\n"), answer(originOK), want(ok), kept}, log: "200"},
		{name: "Connection can not take the length away", steps: []step{send(postA, "Connection: Content-Length\r\nContent-Length: 5\r\n\r\nabcde"), got(outA("Content-Length: 5"), "abcde"), answer(originOK), want(ok), kept}, log: "200"},
		{name: "Connection can not take the chunks away", steps: []step{send(postA, te, "Connection: Transfer-Encoding\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), got(outA("Content-Length: 3"), "abc"), answer(originOK), want(ok), kept}, log: "200"},
	})
}

// TestBadChunks breaks a body behind a good head: the origin must never see a
// complete request.
func TestBadChunks(t *testing.T) {
	long := strings.Repeat("e", 2000)
	var scripts []script
	for _, c := range []struct{ name, body string }{
		{"size is no number", "x\r\nabc\r\n0\r\n\r\n"},
		{"size empty", "\r\nabc\r\n0\r\n\r\n"},
		{"size with a sign", "+3\r\nabc\r\n0\r\n\r\n"},
		{"size hexadecimal prefix", "0x3\r\nabc\r\n0\r\n\r\n"},
		{"size with a blank", "3 \r\nabc\r\n0\r\n\r\n"},
		{"size with 16 digits", "0000000000000003\r\nabc\r\n0\r\n\r\n"},
		{"size overflows", "FFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n"},
		{"size wraps to 3", "10000000000000003\r\nabc\r\n0\r\n\r\n"},
		{"size line ends in LF", "3\nabc\r\n0\r\n\r\n"},
		{"extension ends in LF", "3;a\nabc\r\n0\r\n\r\n"},
		{"extension with CR", "3;a\rb\r\nabc\r\n0\r\n\r\n"},
		{"extension with NUL", "3;a\x00\r\nabc\r\n0\r\n\r\n"},
		{"line beyond the limit", "3;" + long + "\r\nabc\r\n0\r\n\r\n"},
		{"endless line", strings.Repeat("0", 20_000)},
		{"data longer than said", "3\r\nabcd\r\n0\r\n\r\n"},
		{"data shorter than said", "3\r\nab\r\n0\r\n\r\n"},
		{"data ends in LF", "3\r\nabc\n0\r\n\r\n"},
		{"data without an end", "3\r\nabc0\r\n\r\n"},
		{"last chunk ends in LF", "3\r\nabc\r\n0\n\r\n"},
		{"trailer ends in LF", "3\r\nabc\r\n0\r\nA: b\n\r\n"},
		{"trailer section ends in LF", "3\r\nabc\r\n0\r\n\n"},
		{"trailer folded", "3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n"},
		{"trailer with a blank before the colon", "3\r\nabc\r\n0\r\nA : b\r\n\r\n"},
		{"trailer without a colon", "3\r\nabc\r\n0\r\nGET / HTTP/1.1\r\n\r\n"},
	} {
		for _, way := range []string{"at once", "behind the head"} {
			s := script{name: fmt.Sprintf("%s %s", c.name, way), log: "400 bad_chunk", cut: true}
			if way == "at once" {
				s.steps = append(s.steps, send(postA, chunked, "\r\n\r\n", c.body, getPing))
			} else {
				s.steps = append(s.steps, send(postA, chunked, "\r\n\r\n"), got(outA(chunked)), send(c.body, getPing))
			}
			s.steps = append(s.steps, refused(400, "BAD_REQUEST"), closed)
			scripts = append(scripts, s)
		}
	}
	big := conf{limits: "trailer: 100"}
	scripts = append(scripts,
		script{name: "trailers beyond the limit", conf: big, cut: true, log: "431 header_too_large", steps: []step{
			send(postA, chunked, "\r\n\r\n0\r\nA: ", strings.Repeat("v", 96), "\r\n\r\n", getPing), refused(431, "HEADER_TOO_LARGE"), closed}},
		script{name: "endless trailers", conf: big, cut: true, log: "431 header_too_large", steps: []step{
			send(postA, chunked, "\r\n\r\n0\r\n"), send(strings.Repeat("A: b\r\n", 1000)), refused(431, "HEADER_TOO_LARGE"), broken}},
		script{name: "body cut by length", cut: true, log: "400 truncated_body", steps: []step{
			send(postA, "Content-Length: 5\r\n\r\nabc"), halfClose, refused(400, "BAD_REQUEST"), closed}},
		script{name: "body cut by chunks", cut: true, log: "400 truncated_body", steps: []step{
			send(postA, chunked, "\r\n\r\n3\r\nabc\r\n"), halfClose, refused(400, "BAD_REQUEST"), closed}},
		script{name: "body cut in the trailers", cut: true, log: "400 truncated_body", steps: []step{
			send(postA, chunked, "\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n"), halfClose, refused(400, "BAD_REQUEST"), closed}},
		script{name: "chunk line at the limit", conf: conf{limits: "chunk_line: 100"}, log: "200", steps: []step{
			send(postA, chunked, "\r\n\r\n3;", strings.Repeat("e", 98), "\r\nabc\r\n0\r\n\r\n"), got(outA("Content-Length: 3"), "abc"), answer(originOK), want(ok), kept}},
		script{name: "chunk line beyond the limit", conf: conf{limits: "chunk_line: 100"}, cut: true, log: "400 bad_chunk", steps: []step{
			send(postA, chunked, "\r\n\r\n3;", strings.Repeat("e", 99), "\r\nabc\r\n0\r\n\r\n"), refused(400, "BAD_REQUEST"), closed}},
	)
	play(t, scripts)
}

func TestBodyLimit(t *testing.T) {
	five := conf{limits: "body: 5"}
	own := conf{limits: "body: 1KB", route: "limits:\n  body: 5"}
	play(t, []script{
		{name: "length at the limit", conf: five, log: "200", steps: []step{send(postA, "Content-Length: 5\r\n\r\nabcde"), got(outA("Content-Length: 5"), "abcde"), answer(originOK), want(ok), kept}},
		{name: "length beyond", conf: five, log: "413 body_too_large", steps: []step{send(postA, "Content-Length: 6\r\n\r\nabcdef"), refusedKept(413, "PAYLOAD_TOO_LARGE"), kept}},
		{name: "length beyond before the body", conf: five, log: "413 body_too_large", steps: []step{send(postA, "Content-Length: 6\r\n\r\n"), refusedKept(413, "PAYLOAD_TOO_LARGE"), send("abcdef"), kept}},
		{name: "length far beyond", conf: five, log: "413 body_too_large", steps: []step{send(postA, "Content-Length: 100000000\r\n\r\nabc"), refused(413, "PAYLOAD_TOO_LARGE"), closed}},
		{name: "length beyond with Expect", conf: five, log: "413 body_too_large", steps: []step{send(postA, "Expect: 100-continue\r\nContent-Length: 6\r\n\r\n"), refused(413, "PAYLOAD_TOO_LARGE"), closed}},
		{name: "chunks at the limit", conf: five, log: "200", steps: []step{send(postA, chunked, "\r\n\r\n"), got(outA(chunked)), send("3\r\nabc\r\n"), got("3\r\nabc\r\n"), send("2\r\nde\r\n"), got("2\r\nde\r\n"), send("0\r\n\r\n"), got("0\r\n\r\n"), answer(originOK), want(ok), kept}},
		{name: "chunks beyond", conf: five, log: "413 body_too_large", cut: true, steps: []step{send(postA, chunked, "\r\n\r\n"), got(outA(chunked)), send("3\r\nabc\r\n"), got("3\r\nabc\r\n"), send("3\r\ndef\r\n"), refused(413, "PAYLOAD_TOO_LARGE"), closed}},
		{name: "chunks beyond at once", conf: five, log: "413 body_too_large", cut: true, steps: []step{send(postA, chunked, "\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n"), refusedKept(413, "PAYLOAD_TOO_LARGE"), kept}},
		{name: "route limit at", conf: own, log: "200", steps: []step{send(postA, "Content-Length: 5\r\n\r\nabcde"), got(outA("Content-Length: 5"), "abcde"), answer(originOK), want(ok), kept}},
		{name: "route limit beyond", conf: own, log: "413 body_too_large", steps: []step{send(postA, "Content-Length: 6\r\n\r\nabcdef"), refusedKept(413, "PAYLOAD_TOO_LARGE"), kept}},
		{name: "length required", conf: conf{route: "limits:\n  require_length: true"}, log: "411 length_required", steps: []step{send(postA, chunked, "\r\n\r\n"), refused(411, "LENGTH_REQUIRED"), closed}},
		{name: "length required of chunks that came at once", conf: conf{route: "limits:\n  require_length: true"}, log: "411 length_required", steps: []step{send(postA, chunked, "\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), refusedKept(411, "LENGTH_REQUIRED"), kept}},
		{name: "length required of no chunks that came at once", conf: conf{route: "limits:\n  require_length: true"}, log: "411 length_required", steps: []step{send(postA, chunked, "\r\n\r\n0\r\n\r\n"), refused(411, "LENGTH_REQUIRED"), closed}},
		{name: "length required and there", conf: conf{route: "limits:\n  require_length: true"}, log: "200", steps: []step{send(postA, "Content-Length: 3\r\n\r\nabc"), got(outA("Content-Length: 3"), "abc"), answer(originOK), want(ok), kept}},
		{name: "length required of no body", conf: conf{route: "limits:\n  require_length: true"}, log: "200", steps: []step{send(getA), gotRequest("/a"), answer(originOK), want(ok), kept}},
	})
}

func TestTrailers(t *testing.T) {
	chunkedAnswer := "HTTP/1.1 200 OK\r\n" + chunked + "\r\n\r\n"
	chunkedWant := "HTTP/1.1 200 OK\r\nX-Request-ID: ID\r\nDate: NOW\r\n" + chunked + "\r\n\r\n"
	play(t, []script{
		{name: "of a request", log: "200", steps: []step{send(postA, "Trailer: A\r\n", chunked, "\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\na: c\r\n\r\n"),
			got("POST /a HTTP/1.1\r\nHost: h\r\nTrailer: A\r\nX-Request-ID: ID\r\n", chunked, "\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\na: c\r\n\r\n"), answer(originOK), want(ok), kept}},
		{name: "forbidden ones of a request", log: "200", steps: []step{send(postA, chunked, "\r\n\r\n3\r\nabc\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nHost: evil\r\nAuthorization: x\r\nX-User-ID: root\r\nx_user_id: root\r\nX-Forwarded-For: 1.1.1.1\r\nX-Request-ID: x\r\nB: c\r\n\r\n"),
			got(outA(chunked), "3\r\nabc\r\n0\r\nB: c\r\n\r\n"), answer(originOK), want(ok), kept}},
		{name: "of an answer", log: "200", steps: []step{send(getA), gotRequest("/a"), answer(chunkedAnswer, "3\r\nabc\r\n0\r\nA: b\r\n\r\n"), want(chunkedWant, "3\r\nabc\r\n0\r\nA: b\r\n\r\n"), kept}},
		{name: "forbidden ones of an answer", log: "200", steps: []step{send(getA), gotRequest("/a"), answer(chunkedAnswer, "3\r\nabc\r\n0\r\nContent-Length: 9\r\nSet-Cookie: a\r\nB: c\r\nX-Request-ID: evil\r\n\r\n"), want(chunkedWant, "3\r\nabc\r\n0\r\nSet-Cookie: a\r\nB: c\r\n\r\n"), kept}},
		{name: "of an answer to HTTP 1.0", log: "200", steps: []step{send("GET /a HTTP/1.0\r\nHost: h\r\n\r\n"), gotRequest("/a"), answer(chunkedAnswer, "3\r\nabc\r\n0\r\nA: b\r\n\r\n"),
			want("HTTP/1.1 200 OK\r\nX-Request-ID: ID\r\nDate: NOW\r\nConnection: close\r\n\r\nabc"), closed}},
	})
}

func TestPipelining(t *testing.T) {
	post := func(path, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	}
	gotPost := func(path, body string) step {
		return got(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body))
	}
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }
	play(t, []script{
		{name: "two", log: "200, 200", steps: []step{send(get("/a"), get("/b")), gotRequest("/a"), answer(originOK), want(ok), gotRequest("/b"), answer(originOK), want(ok), kept}},
		{name: "many", steps: []step{send(strings.Repeat(getPing, 100)), want(strings.Repeat(pong, 100)), kept}},
		{name: "in pieces that do not fit", log: "200, 200", steps: []step{send(get("/a") + "GET /b HT"), gotRequest("/a"), answer(originOK), want(ok), send("TP/1.1\r\nHost: h\r\n"), send("\r\n"), gotRequest("/b"), answer(originOK), want(ok), kept}},
		{name: "empty line between", log: "200, 200", steps: []step{send(get("/a") + "\r\n" + get("/b")), gotRequest("/a"), answer(originOK), want(ok), gotRequest("/b"), answer(originOK), want(ok), kept}},
		{name: "with bodies", log: "200, 200, 200", steps: []step{send(post("/a", "abc"), post("/b", "GET /evil HTTP/1.1\r\n\r\n"), get("/c")),
			gotPost("/a", "abc"), answer(originOK), want(ok), gotPost("/b", "GET /evil HTTP/1.1\r\n\r\n"), answer(originOK), want(ok), gotRequest("/c"), answer(originOK), want(ok), kept}},
		{name: "behind chunks", log: "200, 200", steps: []step{send(postA, chunked, "\r\n\r\n3\r\nabc\r\n0\r\n\r\n", get("/b")), got(outA(chunked), "3\r\nabc\r\n0\r\n\r\n"), answer(originOK), want(ok), gotRequest("/b"), answer(originOK), want(ok), kept}},
		{name: "behind trailers", log: "200, 200", steps: []step{send(postA, chunked, "\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n", get("/b")), got(outA(chunked), "3\r\nabc\r\n0\r\nA: b\r\n\r\n"), answer(originOK), want(ok), gotRequest("/b"), answer(originOK), want(ok), kept}},
		{name: "behind a body that nobody reads", log: "400 bad_path, 200", steps: []step{send(post("/..", "GET /evil HTTP/1.1\r\n\r\n"), get("/b")), refusedKept(400, "BAD_REQUEST"), gotRequest("/b"), answer(originOK), want(ok), kept}},
		{name: "behind chunks that nobody reads", log: "400 bad_path", steps: []step{send("POST /.. HTTP/1.1\r\nHost: h\r\n", chunked, "\r\n\r\n3\r\nabc\r\n0\r\n\r\n", get("/evil")), refused(400, "BAD_REQUEST"), closed}},
		{name: "behind a good refusal", log: "400 bad_path, 200", steps: []step{send(get("/.."), get("/b")), refusedKept(400, "BAD_REQUEST"), gotRequest("/b"), answer(originOK), want(ok), kept}},
		{name: "a bad one behind a good one", log: "200, 400 bad_framing", steps: []step{send(get("/a"), postA, "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", get("/evil")), gotRequest("/a"), answer(originOK), want(ok), refused(400, "BAD_REQUEST"), closed}},
		{name: "behind Connection close", log: "200", steps: []step{send("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", get("/evil")), gotRequest("/a"), answer(originOK), want(okClose), closed}},
		{name: "behind HTTP 1.0", log: "200", steps: []step{send("GET /a HTTP/1.0\r\nHost: h\r\n\r\n", get("/evil")), gotRequest("/a"), answer(originOK), want(okClose), closed}},
		{name: "behind a 204", log: "204, 200", steps: []step{send(get("/a"), get("/b")), gotRequest("/a"), answer("HTTP/1.1 204 No Content\r\n\r\n"), want("HTTP/1.1 204 No Content\r\nX-Request-ID: ID\r\nDate: NOW\r\n\r\n"), gotRequest("/b"), answer(originOK), want(ok), kept}},
		{name: "answers do not run ahead", log: "200, 200", steps: []step{send(get("/a"), get("/b"), getPing), gotRequest("/a"), answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"), want("HTTP/1.1 200 OK\r\nX-Request-ID: ID\r\nDate: NOW\r\nContent-Length: 2\r\n\r\no"), answer("k"), want("k"), gotRequest("/b"), answer(originOK), want(ok, pong)}},
	})
}
