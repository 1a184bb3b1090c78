package conformance

import "testing"

func TestHopByHop(t *testing.T) {
	pass := func(name, fields, rest string) script {
		return forwarded(name, "GET /a HTTP/1.1\r\nHost: h\r\n"+fields+"\r\n", "GET /a HTTP/1.1\r\nHost: h\r\n"+rest+"X-Request-ID: ID\r\n\r\n")
	}
	play(t, []script{
		pass("all fields of one connection", "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nUpgrade: x\r\nProxy-Authorization: x\r\nProxy-Authenticate: y\r\nHTTP2-Settings: z\r\nA: b\r\n", "A: b\r\n"),
		pass("named ones", "A: b\r\nConnection: A, c\r\nC: d\r\nE: f\r\n", "E: f\r\n"),
		pass("named by two fields", "Connection: A\r\nA: b\r\nConnection: C\r\nC: d\r\nE: f\r\n", "E: f\r\n"),
		pass("the request ID can not be taken away", "Connection: X-Request-ID\r\n", ""),
		pass("identity can not come in", "X-User-ID: root\r\nX-USER-EMAIL: a@b\r\nx-user-role: system_admin\r\nX-Tenant-Id: 1\r\nX-User: me\r\n", "X-User: me\r\n"),
		pass("identity can not come in with underscores", "X_User_ID: root\r\nx_user_id: root\r\nX-User_ID: root\r\nX_Tenant-ID: 1\r\n", ""),
		pass("what only the gateway says can not come in", "X-Gateway: me\r\nX_Gateway: me\r\nX-Request-ID: 00000000-0000-4000-8000-000000000000\r\nX_Request_ID: evil\r\n", ""),
		pass("claims of a stranger are dropped", "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\nX_Forwarded_For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\n", ""),
		{name: "fields of one connection in an answer", log: "200", steps: []step{send(getA), gotRequest("/a"),
			answer("HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Secret\r\nKeep-Alive: timeout=5\r\nX-Secret: s\r\nProxy-Authenticate: p\r\nUpgrade: u\r\nContent-Length: 2\r\nA: b\r\n\r\nok"),
			want("HTTP/1.1 200 OK\r\nA: b\r\nX-Request-ID: ID\r\nDate: NOW\r\nContent-Length: 2\r\n\r\nok"), kept}},
		{name: "Connection of an answer can not take the length away", log: "200", steps: []step{send(getA), gotRequest("/a"),
			answer("HTTP/1.1 200 OK\r\nConnection: Content-Length\r\nContent-Length: 2\r\n\r\nok"), want(ok), kept}},
	})
}

func TestForwardedFields(t *testing.T) {
	tell := conf{top: "forwarded:\n  x_forwarded: true\n  standard: true\n  via: true\n  gateway: true\n"}
	trust := conf{top: tell.top + "trusted_proxies: [\"127.0.0.1\"]\n"}
	with := func(s script, c conf) script {
		s.conf = c
		return s
	}
	const told = "X-Request-ID: ID\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h:80\r\nForwarded: for=127.0.0.1;proto=http;host=\"h:80\"\r\nVia: 1.1 yett\r\nX-Gateway: yett\r\n\r\n"
	play(t, []script{
		with(forwarded("told", "GET /a HTTP/1.1\r\nHost: h:80\r\n\r\n", "GET /a HTTP/1.1\r\nHost: h:80\r\n"+told), tell),
		with(forwarded("claims are replaced", "GET /a HTTP/1.1\r\nHost: h:80\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=1.1.1.1\r\nX-Gateway: evil\r\n\r\n",
			"GET /a HTTP/1.1\r\nHost: h:80\r\n"+told), tell),
		with(forwarded("Connection can not take them away", "GET /a HTTP/1.1\r\nHost: h:80\r\nConnection: X-Forwarded-For, X-Forwarded-Host, Forwarded, Via, X-Gateway, X-Request-ID\r\n\r\n",
			"GET /a HTTP/1.1\r\nHost: h:80\r\n"+told), tell),
		with(forwarded("a listed proxy is believed", "GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: public\r\nX-User-ID: root\r\nX_Forwarded_For: 3.3.3.3\r\n\r\n",
			"GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 127.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: public\r\nX-Request-ID: ID\r\nForwarded: for=127.0.0.1;proto=https;host=\"h\"\r\nVia: 1.1 yett\r\nX-Gateway: yett\r\n\r\n"), trust),
		{name: "the authority of the absolute form is told", conf: conf{top: "forwarded:\n  x_forwarded: true\n  gateway: false\n"}, log: "200", steps: []step{
			send("GET http://other/a HTTP/1.1\r\nHost: evil\r\n\r\n"),
			got("GET /a HTTP/1.1\r\nHost: other\r\nX-Request-ID: ID\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: other\r\n\r\n"), answer(originOK), want(ok), kept}},
	})
}
