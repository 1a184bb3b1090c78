package main

import (
	"fmt"
	"strings"
	"time"
)

const (
	// chainPath is what the calls ask for, like one of an application for one
	// customer. The answer is as long as that of the case plain.
	chainPath = "/api/v1/customers/4711"
	// chainOrigin is the page that they come from.
	chainOrigin = "https://app.example.com"
	// minLevel is what the caller's role has to reach, that of minRole.
	minLevel = 40
	minRole  = "technician_junior"
)

// chainRequest is a call of a page by a technician, who may pass.
func chainRequest() request {
	return request{
		Method: "GET", Path: chainPath,
		Authorization: "Bearer " + technician(time.Now()).sign(tokenSecret),
		Header:        []string{"Origin: " + chainOrigin},
	}
}

// chainCase is everything that the example platform has every call pass, and
// what the same program costs without.
func chainCase() benchCase {
	plain, log := bare(), logged()
	return benchCase{
		Name: "chain", About: "a token, a role, CORS, security headers, identity headers and a log line",
		Request: chainRequest(), Want: ok(200),
		Conf: map[string]conf{"yett": yettChain(), "haproxy": haproxyChain(), "express": expressChain()},
		Variants: []variant{
			{Of: "yett", Name: "plain", Conf: plain["yett"]},
			{Of: "yett", Name: "logged", Conf: log["yett"]},
			{Of: "nginx", Name: "plain", Conf: plain["nginx"]},
			{Of: "nginx", Name: "no tokens", Conf: nginxChain()},
			{Of: "caddy", Name: "plain", Conf: plain["caddy"]},
		},
		Targets: []target{{"yett", "yett (plain)", 1.15}, {"yett", "yett (logged)", 1.15}, {"yett", "nginx (plain)", 1}, {"yett", "haproxy", 1}},
	}
}

// refusalCase is the chain met by a caller without a token, and what it costs to
// forward that request. Who attacks has to find the refusal the cheaper one.
func refusalCase() benchCase {
	r := chainRequest()
	r.Anonymous = true
	guarded := yettChain()
	guarded.Guarded = false // that it refuses is what is measured
	return benchCase{
		Name: "refused-401", About: "a flood of requests without a token, refused by the chain",
		Request: r, Want: answer{Status: 401, Body: anySize},
		Conf:     map[string]conf{"yett": guarded},
		Variants: []variant{{Of: "yett", Name: "plain", Conf: bare()["yett"], Want: ok(200)}},
		Targets:  []target{{"yett", "yett (plain)", 1}},
	}
}

// role is a role of the example platform.
type role struct {
	name  string
	level int
}

func roles() []role {
	return []role{
		{"system_admin", 100}, {"tenant_admin", 90}, {"security_admin", 85}, {"service_manager", 80},
		{"software_developer_lead", 70}, {"technician_lead", 70}, {"account_manager", 65}, {"project_manager", 65},
		{"billing_manager", 65}, {"software_developer_senior", 60}, {"technician_senior", 60}, {"technician_l3", 55},
		{"software_developer", 50}, {"technician", 50}, {"technician_l2", 45}, {"software_developer_junior", 40},
		{minRole, minLevel}, {"technician_l1", 35}, {"customer_admin", 30}, {"customer_technician", 20}, {"customer_user", 10},
	}
}

// yettChain has tokens signed with HS256.
func yettChain() conf { return yettChainOf("secret: " + tokenSecret) }

func yettChainOf(key string) conf {
	var levels []string
	for _, r := range roles() {
		levels = append(levels, fmt.Sprintf("%s: {level: %d}", r.name, r.level))
	}
	return conf{
		Guarded: true,
		Route:   "auth: required\npolicies: {rbac: {min_role: " + minRole + "}}",
		Top: `log: {access: {output: access.log}}
issuers: {platform: {issuer: ` + tokenIssuer + `, audience: ` + tokenAudience + `, keys: [{` + key + `}]}}
roles: {` + strings.Join(levels, ", ") + `}
policies:
` + yettHeaders() + `
  jwt:
  identity:`,
	}
}

// identityHeaders tell the service who calls, by the claim that each holds.
func identityHeaders() [][2]string {
	return [][2]string{{"X-User-ID", "sub"}, {"X-User-Email", "email"}, {"X-User-Role", "role"}, {"X-Tenant-ID", "tenantId"}}
}

// haproxyChain has HAProxy check and send the same as Yett.
func haproxyChain() conf { return haproxyChainWith(nil, nil) }

// haproxyChainWith has further rules: first are those before the token is
// verified, known those behind.
func haproxyChainWith(first, known []string) conf {
	return haproxyChainOf("HS256", tokenSecret, first, known)
}

// haproxyChainOf has tokens signed in a certain way; key is the secret, or the file
// of a public key.
func haproxyChainOf(algorithm, key string, first, known []string) conf {
	var may []string
	for _, r := range roles() {
		if r.level >= minLevel {
			may = append(may, r.name)
		}
	}
	lines := []string{
		"log global",
		// httplog, with the request's ID.
		`log-format "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r %ID"`,
	}
	lines = append(lines, haproxyRequestHeaders()...)
	lines = append(lines, "http-request set-var(txn.token) http_auth_bearer")
	lines = append(lines, first...)
	lines = append(lines,
		"http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')",
		"http-request deny deny_status 401 unless { var(txn.alg) -m str "+algorithm+" }",
		`http-request deny deny_status 401 unless { var(txn.token),jwt_verify(txn.alg,"`+key+`") -m int 1 }`,
		// Decoded once, which is cheaper than a jwt_payload_query for each claim.
		"http-request set-var(txn.claims) var(txn.token),word(2,.),ub64dec",
		"http-request set-var(txn.now) date()",
		"http-request deny deny_status 401 unless { var(txn.claims),json_query('$.exp','int'),sub(txn.now) -m int gt 0 }",
		"http-request deny deny_status 401 unless { var(txn.claims),json_query('$.iss') -m str "+tokenIssuer+" }",
		"http-request deny deny_status 401 unless { var(txn.claims),json_query('$.aud') -m str "+tokenAudience+" }",
		"http-request deny deny_status 403 unless { var(txn.claims),json_query('$.role') -m str "+strings.Join(may, " ")+" }",
	)
	lines = append(lines, known...)
	for _, h := range identityHeaders() { // setting removes what the client sent
		lines = append(lines, fmt.Sprintf("http-request set-header %s %%[var(txn.claims),json_query('$.%s')]", h[0], h[1]))
	}
	return conf{
		Guarded: true,
		Top:     "log stdout format raw daemon",
		Route:   strings.Join(append(lines, haproxyHeaders()...), "\n"),
	}
}

// nginxChain is what nginx can do of it: it verifies no tokens, so it knows no
// caller and no role.
func nginxChain() conf {
	lines := nginxHeaders()
	for _, h := range identityHeaders() { // at least those that clients send are dropped
		lines = append(lines, fmt.Sprintf(`proxy_set_header %s "";`, h[0]))
	}
	return conf{
		Top: nginxOrigins() + `
log_format chain '$remote_addr [$time_iso8601] "$request" $status $body_bytes_sent $request_time "$http_user_agent" $request_id';
access_log access.log chain buffer=64k flush=1s;`,
		Route: strings.Join(lines, "\n"),
	}
}
