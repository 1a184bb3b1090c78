package conformance

import (
	"net"
	"strings"
	"testing"
)

// HEAD gets the header of a refusal and never its content, however little of
// the request could be read (RFC 9110 section 9.3.2).
func TestRefusedHead(t *testing.T) {
	head := func(name, in string, status int, reason string) script {
		return script{name: name, log: reason, conf: conf{limits: "request_line: 200\nheader: 1000\nheader_count: 10"},
			steps: []step{send(in, getPing), refusedHead(status), closed}}
	}
	play(t, []script{
		head("no host", "HEAD / HTTP/1.1\r\n\r\n", 400, "400 bad_host"),
		head("bad field", "HEAD / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", 400, "400 bad_header"),
		head("bad framing", "HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", 400, "400 bad_framing"),
		head("bad line", "HEAD /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400, "400 bad_request_line"),
		head("line ends in LF", "HEAD / HTTP/1.1\nHost: h\r\n\r\n", 400, "400 bad_header"),
		head("long line", "HEAD /"+strings.Repeat("a", 200)+" HTTP/1.1\r\nHost: h\r\n\r\n", 414, "414 uri_too_long"),
		head("endless line", "HEAD /"+strings.Repeat("a", 100_000), 414, "414 uri_too_long"),
		head("large header", "HEAD / HTTP/1.1\r\nHost: h\r\nA: "+strings.Repeat("a", 1000)+"\r\n\r\n", 431, "431 header_too_large"),
		head("many fields", "HEAD / HTTP/1.1\r\nHost: h\r\n"+strings.Repeat("A: b\r\n", 10)+"\r\n", 431, "431 header_too_large"),
		head("expectation", "HEAD / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n", 417, "417 bad_expectation"),
		head("version", "HEAD / HTTP/1.2\r\nHost: h\r\n\r\n", 505, "505 bad_version"),
		head("coding", "HEAD / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "501 not_implemented"),
	})
}

// A service whose connections are all in use is 503, not a wait without end.
func TestBusyService(t *testing.T) {
	play(t, []script{{name: "busy", log: "503 pool_exhausted, 200", conf: conf{service: "connections:\n  max: 1\ntimeouts:\n  queue: 20ms"},
		steps: []step{occupied, send(getA), refusedKept(503, "SERVICE_UNAVAILABLE"), kept, answer(originOK), freed}}})
}

// occupied has another client ask for something that the origin does not
// answer yet.
func occupied(st *stage) {
	st.t.Helper()
	nc, err := net.DialTimeout("tcp", st.addr, patience)
	if err != nil {
		st.t.Fatal(err)
	}
	st.t.Cleanup(func() { _ = nc.Close() })
	st.other = &socket{Conn: nc, who: "the other client"}
	if err := st.other.send(st.t, getA); err != nil {
		st.t.Fatal(err)
	}
	gotRequest("/a")(st)
}

// freed has the other client get its answer.
func freed(st *stage) {
	st.t.Helper()
	st.other.expect(st.t, ok)
	_ = st.other.Close()
}
