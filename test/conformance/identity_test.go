package conformance

import (
	"path/filepath"
	"strings"
	"testing"
)

// teller is a gateway that tells its service who calls. Its clients are
// nobody, so of all these fields only the assertion is there, which says so.
func teller(t *testing.T, top string) conf {
	t.Helper()
	key, err := filepath.Abs("../../internal/policy/identity/testdata/assertion.pem")
	if err != nil {
		t.Fatal(err)
	}
	return conf{
		top:   top + "assertion: {key: " + key + "}\n" + quiet,
		route: "policies: {identity: {headers: {X-Caller: subject, X-Caller-Scopes: scopes}, assertion: X-Proof}}",
	}
}

// forgery is what only the gateway may say, as a client may try it.
const forgery = "X-User-ID: root\r\nX-User-ID: ada\r\nx-user-role: system_admin\r\nX-USER-ROLE: system_admin\r\nX_User_Email: root@example.com\r\n" +
	"X.Tenant.ID: 1\r\nX-Tenant-ID:\r\nX-Caller: root\r\nx_caller: root\r\nX~CALLER: root\r\nX-Caller-Scopes: admin\r\nX-Caller_Scopes: \xc3\xa9\x80\r\n" +
	"X-Proof: forged\r\nx-proof: eyJhbGciOiJFZERTQSJ9.e30.forged\r\nX_Proof: forged\r\nX`Proof: forged\r\n"

// signed is what the service gets instead.
const signed = "X-Proof: ASSERTION\r\n"

// No client can speak for the gateway, in whatever way it writes (D26, D27).
func TestForgery(t *testing.T) {
	for _, from := range []struct{ name, top string }{
		{"a stranger", ""},
		{"a listed proxy", "trusted_proxies: [127.0.0.1]\n"},
	} {
		t.Run(strings.ReplaceAll(from.name, " ", "_"), func(t *testing.T) { forge(t, teller(t, from.top)) })
	}
}

func forge(t *testing.T, c conf) {
	const get, post = "GET /a HTTP/1.1\r\nHost: h\r\n", "POST /a HTTP/1.1\r\nHost: h\r\n"
	const gotGet, gotPost = get + "X-Request-ID: ID\r\n" + signed, post + "X-Request-ID: ID\r\n" + signed
	const goOn = "HTTP/1.1 100 Continue\r\n\r\n"
	const trailers = "3\r\nabc\r\n0\r\n" + forgery + "X-Sum: 1\r\n\r\n"
	scripts := []script{
		forwarded("plain", get+forgery+"\r\n", gotGet+"\r\n"),
		forwarded("behind many fields", get+strings.Repeat("A: b\r\n", 70)+forgery+"\r\n", get+strings.Repeat("A: b\r\n", 70)+"X-Request-ID: ID\r\n"+signed+"\r\n"),
		forwarded("absolute form", "GET http://h/a HTTP/1.1\r\nHost: h\r\n"+forgery+"\r\n", gotGet+"\r\n"),
		forwarded("Connection names it", get+"Connection: X-Proof, x-caller, X_PROOF\r\n"+forgery+"Connection: X-User-Role\r\nConnection: X-Proof\r\n\r\n", gotGet+"\r\n"),
		forwarded("Connection names what was not sent", get+"Connection: keep-alive, X-Proof, X-Caller\r\n\r\n", gotGet+"\r\n"),
		{name: "HTTP 1.0", log: "200", steps: []step{send("GET /a HTTP/1.0\r\nHost: h\r\n" + forgery + "\r\n"), got(gotGet, "\r\n"), answer(originOK), want(okClose), closed}},
		{name: "pipelined", log: "200, 200", steps: []step{send(get+forgery+"\r\n", get+forgery+"\r\n"), got(gotGet, "\r\n"), answer(originOK), want(ok), got(gotGet, "\r\n"), answer(originOK), want(ok), kept}},
		{name: "Expect", log: "200", steps: []step{send(post, "Expect: 100-continue\r\nContent-Length: 3\r\n", forgery, "\r\n"),
			got(gotPost, "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"), answer(goOn), want(goOn), send("abc"), got("abc"), answer(originOK), want(ok), kept}},
		{name: "Expect with chunks", log: "200", steps: []step{send(post, forgery, "Expect: 100-continue\r\n", chunked, "\r\n\r\n"),
			got(gotPost, "Expect: 100-continue\r\n", chunked, "\r\n\r\n"), answer(goOn), want(goOn), send(trailers), got("3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"), answer(originOK), want(ok), kept}},
		{name: "trailers", log: "200", steps: []step{send(post, chunked, "\r\nTrailer: X-Proof\r\n\r\n", trailers),
			got(post, "Trailer: X-Proof\r\nX-Request-ID: ID\r\n", signed, chunked, "\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"), answer(originOK), want(ok), kept}},
		{name: "upgrade", log: "101", steps: []step{send(get, "Connection: Upgrade, X-Proof, X-Caller\r\nUpgrade: websocket\r\n", forgery, "\r\n"),
			got(gotGet, "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"), answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
			want("HTTP/1.1 101 Switching Protocols\r\nX-Request-ID: ID\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), send("ping"), got("ping"), gone, originLeft}},
		forwarded("upgrade to h2c, behind which nobody would look", get+"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"+forgery+"\r\n", gotGet+"\r\n"),
		{name: "sent again on a new connection", log: "200, 200", steps: []step{send(get, "\r\n"), got(gotGet, "\r\n"), answer(originOK), want(ok), // the second dies on a reused connection
			send(get, forgery, "\r\n"), got(gotGet, "\r\n"), originCloses, accept, got(gotGet, "\r\n"), answer(originOK), want(ok), kept}},
		rejected("blank before the colon", get+"X-Caller : root\r\n\r\n", 400, "BAD_REQUEST", "bad_header"),
		rejected("folded", get+"A: b\r\n X-Caller: root\r\n\r\n", 400, "BAD_REQUEST", "bad_header"),
		rejected("behind a bare LF", get+"A: b\nX-Caller: root\r\n\r\n", 400, "BAD_REQUEST", "bad_header"),
		rejected("behind a bare CR", get+"A: b\rX-Caller: root\r\n\r\n", 400, "BAD_REQUEST", "bad_header"),
		rejected("letters beyond ASCII", get+"X-Caller\xc3\xa9: root\r\n\r\n", 400, "BAD_REQUEST", "bad_header"),
		rejected("a NUL behind the name", get+"X-Caller\x00: root\r\n\r\n", 400, "BAD_REQUEST", "bad_header"),
	}
	for i := range scripts {
		scripts[i].conf = c
	}
	play(t, scripts)
}
