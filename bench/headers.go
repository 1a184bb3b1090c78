package main

import (
	"fmt"
	"strings"
)

// headersCase is what every answer of the example platform gets, with and without
// a caller: security headers, CORS and the request's ID.
func headersCase() benchCase {
	return benchCase{
		Name: "headers", About: "security headers, CORS and a request ID on a plain request; no token",
		Request: request{Method: "GET", Path: chainPath, Header: []string{"Origin: " + chainOrigin}}, Want: ok(200),
		Conf: map[string]conf{
			"yett": {
				Route: "auth: none",
				Top:   "log: {access: {output: off}}\npolicies:\n" + yettHeaders(),
			},
			"nginx": {
				Top:   "access_log off;\n" + nginxOrigins(),
				Route: strings.Join(nginxHeaders(), "\n"),
			},
			"haproxy": {Route: strings.Join(append(haproxyRequestHeaders(), haproxyHeaders()...), "\n")},
		},
		Variants: []variant{{Of: "yett", Name: "plain", Conf: bare()["yett"]}},
	}
}

func yettHeaders() string {
	return `  request_id:
  security_headers: {preset: helmet}
  cors: {origins: ["` + chainOrigin + `"]}`
}

// securityHeaders are those of Express' helmet, without the one that a
// connection without TLS must not have.
func securityHeaders() [][2]string {
	return [][2]string{
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Origin-Agent-Cluster", "?1"},
		{"Referrer-Policy", "strict-origin-when-cross-origin"},
		{"X-Content-Type-Options", "nosniff"},
		{"X-DNS-Prefetch-Control", "off"},
		{"X-Download-Options", "noopen"},
		{"X-Frame-Options", "SAMEORIGIN"},
		{"X-Permitted-Cross-Domain-Policies", "none"},
		{"X-XSS-Protection", "0"},
	}
}

// nginxOrigins is the map of origins that nginxHeaders uses.
func nginxOrigins() string {
	return `map $http_origin $allowed_origin { ` + chainOrigin + ` $http_origin; }`
}

func nginxHeaders() []string {
	lines := []string{"proxy_set_header X-Request-ID $request_id;", "proxy_hide_header X-Request-ID;", "proxy_hide_header X-Powered-By;"}
	for _, h := range securityHeaders() {
		lines = append(lines, fmt.Sprintf(`add_header %s "%s" always;`, h[0], h[1]))
	}
	return append(lines,
		"add_header X-Request-ID $request_id always;",
		"add_header Access-Control-Allow-Origin $allowed_origin always;", // none when it is empty
		`add_header Access-Control-Allow-Credentials "true" always;`,
		`add_header Access-Control-Expose-Headers "X-Request-ID" always;`,
		`add_header Vary "Origin" always;`,
	)
}

// haproxyRequestHeaders are the rules about requests, haproxyHeaders those about
// answers.
func haproxyRequestHeaders() []string {
	return []string{
		"unique-id-format %[uuid()]",
		"http-request set-header X-Request-ID %[unique-id]",
		"http-request set-var(txn.origin) req.hdr(Origin) if { req.hdr(Origin) -m str " + chainOrigin + " }",
	}
}

func haproxyHeaders() []string {
	var lines []string
	for _, h := range securityHeaders() {
		lines = append(lines, fmt.Sprintf("http-response set-header %s %s", h[0], h[1]))
	}
	return append(lines,
		"http-response del-header X-Powered-By",
		"http-response set-header X-Request-ID %[unique-id]",
		"http-response set-header Access-Control-Allow-Origin %[var(txn.origin)] if { var(txn.origin) -m found }",
		"http-response set-header Access-Control-Allow-Credentials true",
		"http-response set-header Access-Control-Expose-Headers X-Request-ID",
		"http-response add-header Vary Origin",
	)
}
