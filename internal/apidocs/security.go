package apidocs

import (
	"slices"
	"strings"

	"yett/internal/openapi"
	"yett/internal/policy"
)

// demand is a scheme that callers have to meet: one of the gateway's, or one of the service's
// by its own name.
type demand struct {
	policy.Scheme
	own string
}

// alternative is what has to be met together.
type alternative struct {
	demands []demand
	scopes  []*openapi.Node // of each, nil for none
	known   bool            // by a token for the gateway
}

// security says what callers have to bring: what the gateway asks for, and what the service
// asks for beside that.
func (m *merger) security(im *importer, o *openapi.Operation, f *facts) *openapi.Node {
	out := openapi.NewArray()
	all := f.combined(im.asks(o))
	if len(all) == 1 && len(all[0].demands) == 0 {
		return out
	}
	for _, a := range all {
		requirement := openapi.NewObject()
		for i, d := range a.demands {
			scopes := openapi.NewArray()
			if a.scopes[i] != nil {
				scopes = a.scopes[i].Clone()
			}
			requirement.Set(im.scheme(d), scopes)
		}
		out.Append(requirement)
	}
	return out
}

// asks returns what the service asks for: one alternative that is empty for nothing.
func (im *importer) asks(o *openapi.Operation) []alternative {
	own := o.Node.Get("security")
	if own == nil {
		own = im.from.Root.Get("security")
	}
	var all []alternative
	for _, requirement := range first(own.Elements(), mostAlternatives) {
		var a alternative
		for _, r := range first(requirement.Pairs(), mostDemands) {
			if d := im.demand(r.Name); d != nil {
				a.demands, a.scopes = append(a.demands, *d), append(a.scopes, r.Value)
			}
		}
		all = append(all, a)
	}
	if len(all) == 0 {
		return []alternative{{}}
	}
	return all
}

// Alternatives of a service and schemes of each are shown as far as somebody may look at them:
// each alternative is held against each.
const (
	mostAlternatives = 100
	mostDemands      = 20
	mostCombined     = 200
)

func first[T any](list []T, most int) []T { return list[:min(len(list), most)] }

// demand returns a scheme of the service, nil for one that is not there.
func (im *importer) demand(own string) *demand {
	d, known := im.demands[own]
	if !known {
		d = im.findDemand(own)
		im.demands[own] = d
	}
	return d
}

// findDemand finds a scheme of the service. A bearer token is the one that the gateway looks at.
func (im *importer) findDemand(own string) *demand {
	node := im.from.Deref(im.from.Root.At("components", "securitySchemes", own))
	switch {
	case node == nil:
		return nil // nobody could say how to meet it
	case node.Str("type") == "http" && strings.EqualFold(node.Str("scheme"), "bearer"):
		return &demand{Scheme: policy.Scheme{In: "header"}}
	case node.Str("type") == "apiKey":
		return &demand{Scheme: policy.Scheme{In: node.Str("in"), Name: node.Str("name")}, own: own}
	}
	return &demand{own: own}
}

// combined is each alternative of the gateway with each of the service, without those that ask
// for more than another one does.
func (f *facts) combined(service []alternative) []alternative {
	var all []alternative
	for _, s := range service {
		for i, d := range s.demands {
			if slices.Contains(f.Schemes, d.Scheme) {
				s.demands[i].own = "" // a token in the same place is the same
			}
		}
	}
	for _, g := range f.alternatives() {
		for _, s := range service {
			both := alternative{slices.Clone(g.demands), slices.Clone(g.scopes), g.known}
			for i, d := range s.demands {
				if at := slices.Index(both.demands, d); at >= 0 {
					both.scopes[at] = s.scopes[i]
					continue
				}
				both.demands, both.scopes = append(both.demands, d), append(both.scopes, s.scopes[i])
			}
			all = append(all, both)
		}
	}
	return least(first(all, mostCombined))
}

// alternatives are what the gateway asks for.
func (f *facts) alternatives() (all []alternative) {
	for _, s := range f.Schemes {
		all = append(all, alternative{[]demand{{Scheme: s}}, []*openapi.Node{nil}, true})
	}
	if f.Anonymous || len(all) == 0 {
		all = append(all, alternative{})
	}
	return all
}

// least leaves out alternatives that are there already, and those that ask for all that
// another one does, and more. What need not be said, but may be, stays.
func least(all []alternative) (kept []alternative) {
	for i, a := range all {
		superfluous := false
		for j, other := range all {
			switch {
			case i == j || !a.includes(other):
			case len(other.demands) == len(a.demands):
				superfluous = superfluous || j < i
			case len(other.demands) > 0 && other.known == a.known:
				superfluous = true
			}
		}
		if !superfluous {
			kept = append(kept, a)
		}
	}
	return kept
}

func (a alternative) includes(other alternative) bool {
	return !slices.ContainsFunc(other.demands, func(d demand) bool { return !slices.Contains(a.demands, d) })
}

// bearerScheme is the name of the scheme that nearly everybody uses.
const bearerScheme = "bearerAuth"

// scheme makes a component of a way to say who calls, and returns its name.
func (im *importer) scheme(d demand) string {
	switch {
	case d.own != "":
		ref := im.reference(componentsRef+"securitySchemes/"+openapi.Escape(d.own), openapi.PartSecurityScheme)
		return strings.TrimPrefix(ref, componentsRef+"securitySchemes/")
	case d.In == "header":
		return im.into.share("securitySchemes", bearerScheme, openapi.NewObject("type", "http", "scheme", "bearer", "bearerFormat", "JWT"))
	}
	return im.into.share("securitySchemes", d.In+"_"+componentName(d.Name),
		openapi.NewObject("type", "apiKey", "in", d.In, "name", d.Name, "description", "The access token."))
}

// requirements are those of an operation that the service itself calls.
func (im *importer) requirements(own *openapi.Node) *openapi.Node {
	out := openapi.NewArray()
	for _, requirement := range first(own.Elements(), mostAlternatives) {
		c := openapi.NewObject()
		for _, r := range first(requirement.Pairs(), mostDemands) {
			if im.demand(r.Name) != nil {
				c.Set(im.scheme(demand{own: r.Name}), r.Value.Clone())
			}
		}
		out.Append(c)
	}
	return out
}
