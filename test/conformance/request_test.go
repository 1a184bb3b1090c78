package conformance

import (
	"strings"
	"testing"
)

func TestRequestLine(t *testing.T) {
	const host = "\r\nHost: h\r\n\r\n"
	line := func(name, line string) script {
		return rejected(name, line+host, 400, "BAD_REQUEST", "bad_request_line")
	}
	play(t, []script{
		forwarded("plain", "GET /a?b=c HTTP/1.1\r\nHost: h\r\nA: 1\r\na: 2\r\n\r\n",
			"GET /a?b=c HTTP/1.1\r\nHost: h\r\nA: 1\r\na: 2\r\nX-Request-ID: ID\r\n\r\n"),
		forwarded("another method", "PURGE /a HTTP/1.1"+host, "PURGE /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n\r\n"),
		forwarded("method in lower case is another one", "get /a HTTP/1.1"+host, "get /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n\r\n"),
		forwarded("empty query stays", "GET /a? HTTP/1.1"+host, "GET /a? HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n\r\n"),
		forwarded("query byte for byte", "GET /a?b=%2e%2E/../?x=%zz&\xff;' HTTP/1.1"+host, "GET /a?b=%2e%2E/../?x=%zz&\xff;' HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n\r\n"),
		forwarded("one empty line before", "\r\nGET /a HTTP/1.1"+host, "GET /a HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n\r\n"),
		forwarded("asterisk", "OPTIONS * HTTP/1.1"+host, "OPTIONS * HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n\r\n"),
		line("two empty lines before", "\r\n\r\nGET / HTTP/1.1"),
		line("blank at the front", " GET / HTTP/1.1"),
		line("blank at the end", "GET / HTTP/1.1 "),
		line("two blanks before the target", "GET  / HTTP/1.1"),
		line("two blanks before the version", "GET /  HTTP/1.1"),
		line("tab instead of a blank", "GET\t/ HTTP/1.1"),
		line("blank in the target", "GET /a b HTTP/1.1"),
		line("blank in the target before a smuggled version", "GET / HTTP/1.1 /b HTTP/1.1"),
		line("NUL in the target", "GET /\x00 HTTP/1.1"),
		line("DEL in the target", "GET /\x7f HTTP/1.1"),
		line("CR in the target", "GET /a\rb HTTP/1.1"),
		line("CR before the line end", "GET / HTTP/1.1\r"),
		line("method with a forbidden byte", "G@T / HTTP/1.1"),
		line("no method", "/ HTTP/1.1"),
		line("no target", "GET HTTP/1.1"),
		line("no version", "GET /"),
		line("version in lower case", "GET / http/1.1"),
		line("version without a dot", "GET / HTTP/11"),
		line("version with two digits", "GET / HTTP/1.10"),
		line("another protocol", "GET / ICAP/1.0"),
		line("relative target", "GET a HTTP/1.1"),
		line("asterisk without OPTIONS", "GET * HTTP/1.1"),
		line("authority without CONNECT", "GET h:80 HTTP/1.1"),
		line("another scheme", "GET ftp://h/ HTTP/1.1"),
		line("TLS on a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		rejected("LF ends the line", "GET / HTTP/1.1\nHost: h\r\n\r\n", 400, "BAD_REQUEST", "bad_header"),
		rejected("HTTP 0.9 by name", "GET / HTTP/0.9"+host, 505, "HTTP_VERSION_NOT_SUPPORTED", "bad_version"),
		rejected("HTTP 1.2", "GET / HTTP/1.2"+host, 505, "HTTP_VERSION_NOT_SUPPORTED", "bad_version"),
		rejected("HTTP 2 preface without HTTP 2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP_VERSION_NOT_SUPPORTED", "bad_version"),
		rejected("CONNECT", "CONNECT h:443 HTTP/1.1"+host, 501, "NOT_IMPLEMENTED", "not_implemented"),
		rejected("TRACE", "TRACE / HTTP/1.1"+host, 501, "NOT_IMPLEMENTED", "not_implemented"),
		{name: "cut within the head", steps: []step{send("GET / HTTP/1.1\r\nHo"), halfClose, refused(400, "BAD_REQUEST"), closed}, log: "400 bad_header"},
		{name: "nothing sent", steps: []step{halfClose, closed}},
		{name: "byte by byte", steps: []step{dribble("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"), gotRequest("/a"), answer(originOK), want(ok), kept}, log: "200"},
	})
}

func TestHost(t *testing.T) {
	host := func(name, lines string) script {
		return rejected(name, "GET / HTTP/1.1\r\n"+lines+"\r\n", 400, "BAD_REQUEST", "bad_host")
	}
	play(t, []script{
		host("none", ""),
		host("empty", "Host:\r\n"),
		host("twice", "Host: h\r\nHost: h\r\n"),
		host("twice and different", "Host: h\r\nhost: evil\r\n"),
		host("list", "Host: h, evil\r\n"),
		host("user information", "Host: user@h\r\n"),
		host("path", "Host: h/evil\r\n"),
		host("backslash", "Host: h\\evil\r\n"),
		host("percent-encoded", "Host: %68\r\n"),
		host("bytes beyond ASCII", "Host: \xc3\xbc\r\n"),
		host("port that is no number", "Host: h:8x\r\n"),
		host("port beyond 65535", "Host: h:65536\r\n"),
		host("two ports", "Host: h:80:80\r\n"),
		host("IPv6 without brackets", "Host: ::1\r\n"),
		host("IPv6 with a zone", "Host: [fe80::1%25lo]\r\n"),
		rejected("absolute form without Host", "GET http://h/ HTTP/1.1\r\n\r\n", 400, "BAD_REQUEST", "bad_host"),
		rejected("absolute form with user information", "GET http://evil@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400, "BAD_REQUEST", "bad_host"),
		rejected("absolute form without authority", "GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", 400, "BAD_REQUEST", "bad_host"),
		forwarded("port and case stay", "GET / HTTP/1.1\r\nhOsT: Example.ORG:8080\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: Example.ORG:8080\r\nX-Request-ID: ID\r\n\r\n"),
		forwarded("IPv6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1]:80\r\nX-Request-ID: ID\r\n\r\n"),
		forwarded("absolute form wins over Host", "GET http://other:81/a?b HTTP/1.1\r\nHost: evil\r\nA: 1\r\n\r\n",
			"GET /a?b HTTP/1.1\r\nHost: other:81\r\nA: 1\r\nX-Request-ID: ID\r\n\r\n"),
		forwarded("absolute form without path", "GET http://other?b HTTP/1.1\r\nHost: h\r\n\r\n",
			"GET /?b HTTP/1.1\r\nHost: other\r\nX-Request-ID: ID\r\n\r\n"),
		forwarded("OPTIONS in absolute form without path", "OPTIONS http://other HTTP/1.1\r\nHost: h\r\n\r\n",
			"OPTIONS * HTTP/1.1\r\nHost: other\r\nX-Request-ID: ID\r\n\r\n"),
		forwarded("Connection can not take Host away", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Host\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n\r\n"),
		{name: "HTTP 1.0 without Host", steps: []step{send("GET / HTTP/1.0\r\n\r\n"),
			got("GET / HTTP/1.1\r\nHost: ORIGIN\r\nX-Request-ID: ID\r\n\r\n"), answer(originOK), want(okClose), closed}, log: "200"},
	})
}

func TestFields(t *testing.T) {
	field := func(name, lines string) script {
		return rejected(name, "GET / HTTP/1.1\r\nHost: h\r\n"+lines+"\r\n", 400, "BAD_REQUEST", "bad_header")
	}
	play(t, []script{
		field("blank before the colon", "A : b\r\n"),
		field("tab before the colon", "A\t: b\r\n"),
		field("no name", ": b\r\n"),
		field("no colon", "A\r\n"),
		field("blank in the name", "A b: c\r\n"),
		field("forbidden byte in the name", "A(b): c\r\n"),
		field("byte beyond ASCII in the name", "\xc3\x84: c\r\n"),
		field("folded", "A: b\r\n c\r\n"),
		field("folded with a tab", "A: b\r\n\tc\r\n"),
		field("folded framing", "Content-Length:\r\n 5\r\n"),
		field("starts with a blank", " A: b\r\n"),
		field("LF ends a line", "A: b\nEvil: c\r\n"),
		field("CR within a value", "A: b\rEvil: c\r\n"),
		field("CR before the line end", "A: b\r\r\n"),
		field("NUL in a value", "A: b\x00c\r\n"),
		field("VT in a value", "A: b\x0bc\r\n"),
		field("ESC in a value", "A: \x1b[31m\r\n"),
		field("DEL in a value", "A: b\x7f\r\n"),
		field("NUL in a name", "A\x00: b\r\n"),
		rejected("LF ends the head", "GET / HTTP/1.1\r\nHost: h\r\n\n", 400, "BAD_REQUEST", "bad_header"),
		forwarded("order, case and duplicates stay",
			"GET / HTTP/1.1\r\nb: 1\r\nA: 2\r\nHost: h\r\nB: 3\r\na: 4\r\nCookie: x\r\ncookie: y\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: h\r\nb: 1\r\nA: 2\r\nB: 3\r\na: 4\r\nCookie: x\r\ncookie: y\r\nX-Request-ID: ID\r\n\r\n"),
		forwarded("values are trimmed and nothing more",
			"GET / HTTP/1.1\r\nHost:h\r\nA:b\r\nC: \t d  e\t \r\nF:\r\nG: \x80\xff \"x\\\" y\"\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nC: d  e\r\nF: \r\nG: \x80\xff \"x\\\" y\"\r\nX-Request-ID: ID\r\n\r\n"),
		forwarded("all token bytes in a name", "GET / HTTP/1.1\r\nHost: h\r\n!#$%&'*+-.^_`|~09azAZ: v\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: h\r\n!#$%&'*+-.^_`|~09azAZ: v\r\nX-Request-ID: ID\r\n\r\n"),
		{name: "answer with order and duplicates", steps: []step{send(getA), gotRequest("/a"),
			answer("HTTP/1.1 200 Whatever\r\nset-cookie: a\r\nB: 1\r\nSet-Cookie: b\r\nB:2\r\nE:\r\nContent-Length: 2\r\n\r\nok"),
			want("HTTP/1.1 200 OK\r\nset-cookie: a\r\nB: 1\r\nSet-Cookie: b\r\nB: 2\r\nE: \r\nX-Request-ID: ID\r\nDate: NOW\r\nContent-Length: 2\r\n\r\nok"), kept}, log: "200"},
		{name: "Date of the origin stays", steps: []step{send(getA), gotRequest("/a"),
			answer("HTTP/1.1 200 OK\r\nDate: yesterday\r\nContent-Length: 2\r\n\r\nok"),
			want("HTTP/1.1 200 OK\r\nDate: yesterday\r\nX-Request-ID: ID\r\nContent-Length: 2\r\n\r\nok"), kept}, log: "200"},
		{name: "request ID of the origin is replaced", steps: []step{send(getA), gotRequest("/a"),
			answer("HTTP/1.1 200 OK\r\nx-request-id: evil\r\nX-Request-Id: evil\r\nContent-Length: 2\r\n\r\nok"),
			want("HTTP/1.1 200 OK\r\nX-Request-ID: ID\r\nDate: NOW\r\nContent-Length: 2\r\n\r\nok"), kept}, log: "200"},
	})
}

const getA = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

// admin is a route beside the one to the origin. No spelling of its path may
// reach the origin.
const admin = `  - name: admin
    path: /admin/**
    auth: none
    policies:
      respond:
        status: 403
        text: no
`

func TestPathConfusion(t *testing.T) {
	guarded := conf{top: admin}
	const no = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nX-Request-ID: ID\r\nDate: NOW\r\nContent-Length: 2\r\n\r\nno"
	var scripts []script
	for _, path := range []string{"/admin", "/admin/", "/admin/x", "//admin/x", "/admin//x", "/./admin/x", "/a/../admin/x",
		"/%61dmin/x", "/%61%64%6d%69%6e", "/a/%2e%2e/admin", "/a/%2E./admin/x", "/a/.%2e/admin", "/x/y/../../admin", "/admin/../admin"} {
		scripts = append(scripts, script{name: "guarded " + path, conf: guarded, steps: []step{send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n"), want(no), kept}, log: "403"})
	}
	for _, path := range []string{"/admin%2fx", "/admin%2Fx", "/a%2f..%2fadmin", "/..", "/../admin", "/a/../../admin", "/%2e%2e/admin", "/a\\..\\admin", "/a%5c..%5cadmin/x",
		"/a/..;/admin", "/..;x/admin", "/admin%00", "/%zz", "/a%", "/a%4", "/a#b"} {
		scripts = append(scripts, script{name: "refused " + path, conf: guarded, steps: []step{send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n"), refusedKept(400, "BAD_REQUEST"), kept}, log: "400 bad_path"})
	}
	for in, out := range map[string]string{"/ADMIN/x": "/ADMIN/x", "/administrator": "/administrator", "/a/./b//c/": "/a/b/c/", "/a;b=c/d": "/a;b=c/d",
		"/%7Ea/%41": "/~a/A", "/a%3fb": "/a%3Fb", "/a b": "", "/gr\xc3\xbc": "/gr%C3%BC", "/%c3%bc": "/%C3%BC", "/a%25b": "/a%25b"} {
		if out != "" {
			scripts = append(scripts, forwarded("passed "+quote(in), "GET "+in+" HTTP/1.1\r\nHost: h\r\n\r\n", "GET "+out+" HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n\r\n"))
		}
	}
	scripts = append(scripts,
		script{name: "guarded in absolute form", conf: guarded, steps: []step{send("GET http://h/admin/x HTTP/1.1\r\nHost: h\r\n\r\n"), want(no), kept}, log: "403"},
		script{name: "guarded in absolute form with dots", conf: guarded, steps: []step{send("GET http://h/a/../admin/x HTTP/1.1\r\nHost: h\r\n\r\n"), want(no), kept}, log: "403"},
		script{name: "unchanged path on request", conf: conf{route: "forward:\n  path: unchanged"}, steps: []step{
			send("GET /a/./b//%7e?c HTTP/1.1\r\nHost: h\r\n\r\n"), got("GET /a/./b//%7e?c HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n\r\n"), answer(originOK), want(ok), kept}, log: "200"})
	play(t, scripts)
}

func TestLimits(t *testing.T) {
	// fill makes a request head of n bytes, its final empty line not counted.
	fill := func(n int) string {
		head := "GET /a HTTP/1.1\r\nHost: h\r\n"
		for len(head) < n {
			size := min(n-len(head), 1000)
			if rest := n - len(head) - size; rest > 0 && rest < 5 {
				size -= 5
			}
			head += "A: " + strings.Repeat("v", size-5) + "\r\n"
		}
		return head + "\r\n"
	}
	count := func(n int) string { return "GET /a HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", n-1) + "\r\n" }
	target := func(n int) string {
		return "GET /" + strings.Repeat("a", n-len("GET / HTTP/1.1")) + " HTTP/1.1\r\nHost: h\r\n\r\n"
	}
	passes := func(name string, c conf, in string) script {
		out := strings.TrimSuffix(in, "\r\n") + "X-Request-ID: ID\r\n\r\n"
		s := forwarded(name, in, out)
		s.conf = c
		return s
	}
	refuses := func(name string, c conf, in string, status int, code, reason string) script {
		s := rejected(name, in, status, code, reason)
		s.conf = c
		return s
	}
	line, header, fields := conf{limits: "request_line: 200"}, conf{limits: "header: 1000"}, conf{limits: "header_count: 10"}
	play(t, []script{
		passes("request line at the limit", line, target(200)),
		refuses("request line beyond", line, target(201), 414, "URI_TOO_LONG", "uri_too_long"),
		refuses("endless request line", line, "GET /"+strings.Repeat("a", 100_000), 414, "URI_TOO_LONG", "uri_too_long"),
		passes("header at the limit", header, fill(1000)),
		refuses("header beyond", header, fill(1001), 431, "HEADER_TOO_LARGE", "header_too_large"),
		refuses("endless header", header, "GET / HTTP/1.1\r\nHost: h\r\nA: "+strings.Repeat("a", 100_000), 431, "HEADER_TOO_LARGE", "header_too_large"),
		passes("fields at the limit", fields, count(10)),
		refuses("one field beyond", fields, count(11), 431, "HEADER_TOO_LARGE", "header_too_large"),
		passes("large header within the defaults", conf{}, fill(32<<10)),
		refuses("large header beyond the defaults", conf{}, fill(32<<10+1), 431, "HEADER_TOO_LARGE", "header_too_large"),
	})
}
