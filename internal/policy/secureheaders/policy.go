package secureheaders

import (
	"slices"

	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/problem"
)

// Kind describes the policy. It refuses nothing.
var Kind = policy.Dressing(policy.Define("security_headers", defaults, build))

// headers is the policy. All is settled when it is built: an answer costs one
// pass over what the service sent, and one copy of ready-made fields.
type headers struct {
	policy.ResponseOnly
	secure, plain []exchange.Field // what is sent over TLS, and without
	ours          names            // what a service can't send
	// The same without a content security policy, for answers of the gateway that bring
	// their own; nil where none is sent.
	secureOwn, plainOwn []exchange.Field
}

const cspName = "Content-Security-Policy"

func build(c Config, _ policy.Deps) (policy.Policy, problem.List) {
	if problems := c.check(); len(problems) > 0 {
		return nil, problems
	}
	send := preset(c.Preset)
	for _, f := range c.sets() {
		if i := find(send, f.Name); i >= 0 {
			send[i] = f
		} else {
			send = append(send, f)
		}
	}
	remove := c.Remove
	if c.HSTS == "off" {
		remove = append(slices.Clone(remove), hstsName)
	}
	send = slices.DeleteFunc(send, func(f exchange.Field) bool {
		return slices.ContainsFunc(remove, func(name string) bool { return exchange.EqualFold(f.Name, name) })
	})
	p := &headers{secure: send, plain: send}
	if c.HSTS == "secure" {
		p.plain = without(send, hstsName)
	}
	if find(send, cspName) >= 0 {
		p.secureOwn, p.plainOwn = without(p.secure, cspName), without(p.plain, cspName)
	}
	for _, f := range send {
		p.ours.add(f.Name)
	}
	for _, name := range remove {
		p.ours.add(name)
	}
	return p, nil
}

// without returns a copy of a list that has no field of that name.
func without(list []exchange.Field, name string) []exchange.Field {
	return slices.DeleteFunc(slices.Clone(list), func(f exchange.Field) bool { return exchange.EqualFold(f.Name, name) })
}

// Response replaces the service's headers by the gateway's.
func (p *headers) Response(x *exchange.Exchange, _ *exchange.Slot) {
	secure, plain, keep := p.secure, p.plain, ""
	if p.plainOwn != nil && bringsPolicy(x) {
		secure, plain, keep = p.secureOwn, p.plainOwn, cspName
	}
	x.Response.Filter(func(f *exchange.Field) bool {
		return !p.ours.has(f.Name) || keep != "" && exchange.EqualFold(f.Name, keep)
	})
	if x.Secure {
		x.Response.AddFields(secure)
	} else {
		x.Response.AddFields(plain)
	}
}

// bringsPolicy tells whether the gateway has answered by itself, and said what the answer
// may do: a page knows better what it needs than what is written for all answers.
func bringsPolicy(x *exchange.Exchange) bool {
	if x.Service != "" {
		return false
	}
	_, brings := x.Response.Lookup(cspName)
	return brings
}

// names is a set of field names. Most names of an answer are told from those
// in the set by their length and first character alone.
type names struct {
	firsts [64]uint32 // by length: a bit for each first character, whatever its case
	list   []string
}

func (n *names) add(name string) {
	n.firsts[len(name)%64] |= 1 << (name[0] % 32)
	n.list = append(n.list, name)
}

func (n *names) has(name string) bool {
	return name != "" && n.firsts[len(name)%64]>>(name[0]%32)&1 == 1 && n.lists(name)
}

func (n *names) lists(name string) bool {
	for _, one := range n.list {
		if exchange.EqualFold(one, name) {
			return true
		}
	}
	return false
}
