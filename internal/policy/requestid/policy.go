package requestid

import (
	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/problem"
)

// Kind describes the policy. It refuses nothing.
var Kind = policy.Dressing(policy.Define("request_id", defaults, build))

type requestID struct {
	policy.NoEnd
	header string
	key    exchange.Key
	trust  bool
}

func build(c Config, _ policy.Deps) (policy.Policy, problem.List) {
	if problems := c.check(); len(problems) > 0 {
		return nil, problems
	}
	return &requestID{header: c.Header, key: exchange.KeyOf(c.Header), trust: c.TrustInbound}, nil
}

// Request settles the ID and tells it to the service. An ID that the gateway
// gave the exchange earlier stays, so that all log lines name the same.
func (p *requestID) Request(x *exchange.Exchange, _ *exchange.Slot) exchange.Verdict {
	if p.trust && x.PeerTrusted {
		if id := x.Request.Get(p.header); wellFormed(id) {
			x.RequestID = id
		}
	}
	if x.RequestID == "" {
		x.NewRequestID()
	}
	x.Request.SetField(exchange.Field{Name: p.header, Value: x.RequestID, Key: p.key})
	return exchange.Continue
}

// Response tells the ID to the caller, in place of what the service said.
func (p *requestID) Response(x *exchange.Exchange, _ *exchange.Slot) {
	x.Response.SetField(exchange.Field{Name: p.header, Value: x.RequestID, Key: p.key})
}

// wellFormed tells whether an ID from outside is harmless wherever it is
// shown: in headers, logs and pages.
func wellFormed(id string) bool {
	if len(id) < 8 || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
