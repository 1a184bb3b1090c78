package snapshot

import (
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/policy/policytest"
)

// BenchmarkChain is what the policies of the example platform cost a call that
// passes, without wire, service and log. What is around them costs the same
// without policies: see the case none.
func BenchmarkChain(b *testing.B) {
	const top = `
listeners: [{address: "127.0.0.1:0"}]
issuers: {main: {issuer: psa-platform, audience: psa-api, keys: [{secret: 0123456789abcdef0123456789abcdef}]}}
roles: {technician: {level: 50}, technician_junior: {level: 40}}
services: {app: {targets: ["http://127.0.0.1:1"]}}
`
	for _, bench := range []struct{ name, policies, route string }{
		{"none", "", "{name: a, path: /**, auth: none, service: app}"},
		{"all", `policies: {request_id: , security_headers: , cors: {origins: "https://app.example.com"}, jwt: , identity: }`,
			"{name: a, path: /**, auth: required, service: app, policies: {rbac: {min_role: technician_junior}}}"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := compile(b, top+bench.policies+"\nroutes: ["+bench.route+"]\n", deps(b), nil)
			now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			token := ""
			if bench.name == "all" {
				id := exchange.Identity{Subject: "bbd1e0c4-284c-48b5-b7ae-477e8237382e", Email: "tech@example.com", Roles: []string{"technician"},
					Tenant: "f1f5dce2-fe0e-4503-bb00-e4873ed2f7fe", Permissions: []string{"a", "b", "c"}}
				claims, err := s.Tokens().Claims("main", id, now, time.Hour)
				if err != nil {
					b.Fatal(err)
				}
				if token, err = s.Tokens().Sign("main", claims); err != nil {
					b.Fatal(err)
				}
			}
			c := policytest.NewCall(b, "GET /api/v1/customers/7 HTTP/1.1\nHost: bench.example.com\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0)\n"+
				"Accept: application/json, text/plain, */*\nAccept-Encoding: gzip, deflate, br\nAccept-Language: en-GB,en;q=0.5\nAuthorization: Bearer "+token+
				"\nX-Custom: a value\nReferer: https://app.example.com/orders\nOrigin: https://app.example.com\n",
				"HTTP/1.1 200 OK\nContent-Type: application/json\nDate: Mon, 02 Jan 2006 15:04:05 GMT\nServer: origin\nETag: \"5f3a-1\"\nContent-Length: 2\n\nok")
			b.ReportAllocs()
			for b.Loop() {
				x := c.Start()
				s.Manners.Enter(x)
				r, _ := s.Match(x)
				if r.Chain.Request(x) != exchange.Continue {
					b.Fatal(x.Reason)
				}
				c.Answer(x)
				r.Chain.Response(x)
				r.Chain.End(x)
				c.Finish(x)
			}
		})
	}
}
