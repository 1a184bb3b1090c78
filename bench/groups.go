package main

import "strings"

// group is a part of the report: cases that are read together.
type group struct {
	Name  string // also of its chart
	Title string
	Intro string
	cases []string // names, or how they begin
}

// groups lists the parts in their order. A case that no other part claims is in
// the last one.
func groups() []group {
	return []group{
		{
			"forwarding", "Forwarding small answers", "The least that a gateway does: one request in, the same request out, the answer back.",
			[]string{"plain", "headers"},
		},
		{
			"chain", "The whole chain of policies",
			"What the example platform asks of each call: a signed token verified, the caller's role, rate limits by address and by user, CORS, security headers, " +
				"identity headers for the service, a log line. What is called plain only forwards. HAProxy and Express do the same as Yett; nginx, which can't verify tokens, does the rest.",
			[]string{"chain", "limits", "rs256", "tokens"},
		},
		{
			"refusals", "Refusing", "Calls that get no further than the gateway, beside what it costs to serve them.",
			[]string{"refused"},
		},
		{
			"bodies", "Larger bodies", "From 4 KB to 1 MB, down and up.",
			[]string{"4k", "64k", "1m", "post"},
		},
		{
			"connections", "Connections, TLS and HTTP/2", "One client and a thousand, a new connection for each request, encrypted ones, and many requests on one.",
			[]string{"close", "tls", "h2", "conns"},
		},
		{
			"guards", "Guarding services", "Breakers, retries, ejection, bounds: what they cost a request that needs none of them.",
			[]string{"guards"},
		},
		{
			"documents", "Holding requests against a document", "Requests and answers validated with OpenAPI.",
			[]string{"validate"},
		},
		{
			"routes", "Many routes", "Finding one route among many.",
			[]string{"route"},
		},
		{"more", "Further cases", "", nil},
	}
}

// groupOf returns the name of the part that a case belongs to.
func groupOf(c benchCase) string {
	if c.Protocol != keepAlive {
		return "connections"
	}
	for _, g := range groups() {
		for _, name := range g.cases {
			if strings.HasPrefix(c.Name, name) {
				return g.Name
			}
		}
	}
	return "more"
}
