package validate

import (
	"fmt"

	"yett/internal/exchange"
	"yett/internal/openapi/contract"
	"yett/internal/policy"
)

// Explain implements policy.Explainer.
func (p *validate) Explain(x *exchange.Exchange, s *exchange.Slot) []string {
	if p.source.Loaded() == nil {
		return []string{fmt.Sprintf("there is no document of %s yet, so nothing is checked", p.service)}
	}
	op, ok := s.Any.(*contract.Operation)
	switch {
	case ok:
		return []string{fmt.Sprintf("operation %s %s of %s", op.Method, op.Path, p.service)}
	case passesBy(x):
		return []string{"a CORS preflight is none of the document's operations"}
	}
	return []string{fmt.Sprintf("the document of %s does not know it", p.service)}
}

// Describe implements policy.Describer.
func (p *validate) Describe(d *policy.Description) {
	d.Refuse(Invalid, Coded)
	if p.refuses {
		d.Refuse(Undocumented, MethodUndocumented)
	}
}
