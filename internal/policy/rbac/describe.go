package rbac

import (
	"slices"

	"yett/internal/policy"
)

// Describe implements policy.Describer.
func (p *rbac) Describe(d *policy.Description) {
	for i := range p.demands {
		p.demands[i].describe(d)
	}
	if d.Roles = p.passing(); d.Roles != nil && len(d.Roles) == 0 {
		d.Rules = append(d.Rules, "no role meets all of that")
	}
	for i := range p.demands {
		if r := p.demands[i].reason; !slices.Contains(d.Refusals, r) {
			d.Refuse(r)
		}
	}
	challenged := []int{}
	if d.Anonymous { // jwt lets everybody through, and this policy does not
		d.Anonymous = false
		d.Refuse(notAuthenticated)
		challenged = append(challenged, notAuthenticated.Status)
	}
	if slices.Contains(d.Refusals, scopeMissing) {
		challenged = append(challenged, scopeMissing.Status)
	}
	if len(challenged) > 0 {
		d.ResponseHeaders = append(d.ResponseHeaders, policy.HeaderNote{
			Name: "WWW-Authenticate", Description: "What a token has to grant (RFC 6750 section 3.1).", Only: challenged,
		})
	}
}

// passing returns the roles that pass every rule about roles alone, in the order of the
// configuration; nil where there is no such rule.
func (p *rbac) passing() []string {
	names, asked := slices.Clone(p.roles.Names()), false
	for i := range p.demands {
		r, ok := p.demands[i].rule.(*roleRule)
		if !ok {
			continue
		}
		asked = true
		names = slices.DeleteFunc(names, func(name string) bool {
			bit, _ := r.roles.Bit(name)
			return !r.pass.Has(bit)
		})
	}
	if !asked {
		return nil
	}
	return names
}

func (d *demand) describe(to *policy.Description) {
	to.Rules = append(to.Rules, d.said)
	g, ok := d.rule.(*grantRule)
	if !ok {
		return
	}
	certain := slices.Clone(g.all)
	if len(g.anyOf) == 1 && !slices.Contains(certain, g.anyOf[0]) { // no choice
		certain = append(certain, g.anyOf[0])
	}
	if g.what == "scopes" {
		to.Scopes = append(to.Scopes, certain...)
		return
	}
	to.Permissions = append(to.Permissions, certain...)
}
