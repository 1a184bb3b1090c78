package jwt

import (
	"slices"

	"yett/internal/openapi"
	"yett/internal/policy"
	"yett/internal/token"
)

// Describe implements policy.Describer.
func (p *jwt) Describe(d *policy.Description) {
	d.Schemes = append(d.Schemes, policy.Scheme{In: "header"})
	if p.finder.cookie != "" {
		d.Schemes = append(d.Schemes, policy.Scheme{In: "cookie", Name: p.finder.cookie})
	}
	if p.finder.query != "" {
		d.Schemes = append(d.Schemes, policy.Scheme{In: "query", Name: p.finder.query})
	}
	d.Anonymous = !p.required
	if p.required {
		d.Refuse(noToken)
	}
	d.Refuse(ambiguous)
	reasons := p.tokens.Reasons()
	if slices.Contains(p.believed, false) && !slices.Contains(reasons, token.Issuer) {
		reasons = append(reasons, token.Issuer) // of an issuer that is known, and not believed here
	}
	d.Refuse(reasons...)
	d.ResponseHeaders = append(d.ResponseHeaders, policy.HeaderNote{
		Name: "WWW-Authenticate", Description: "How to say who calls, and what is wrong with the token (RFC 6750 section 3).", Only: []int{401},
	})
	if slices.Contains(reasons, token.Unavailable) {
		d.ResponseHeaders = append(d.ResponseHeaders, policy.HeaderNote{
			Name: "Retry-After", Description: "Seconds after which to try again.",
			Schema: openapi.NewObject("type", "integer", "minimum", 1), Only: []int{token.Unavailable.Status},
		})
	}
}
