package mock

import (
	"yett/internal/openapi"
	"yett/internal/policy"
)

// Describe implements policy.Describer. The answers are those that the service's document
// has anyway.
func (p *mock) Describe(d *policy.Description) {
	d.Notes = append(d.Notes, "Answers come from the document, not from the service.")
	d.ResponseHeaders = append(d.ResponseHeaders, policy.HeaderNote{
		Name: Header, Description: "What the answer was made of: an example of the document, its schema, or nothing.",
		Schema: openapi.NewObject("type", "string", "enum", openapi.NewStrings("example", "schema", "empty")),
	})
	d.Refuse(noDocument, notDocumented, noSuchMethod, notAcceptable, noAnswer)
	if !p.prefer {
		return
	}
	d.Refuse(unknownCode, unknownExmpl)
	d.RequestHeaders = append(d.RequestHeaders, policy.HeaderNote{
		Name: "Prefer", Description: "Which documented answer is wanted: `code=404`, `example=NAME`, or both with a comma between (RFC 7240).",
	})
	d.ResponseHeaders = append(d.ResponseHeaders, policy.HeaderNote{
		Name: "Preference-Applied", Description: "What of Prefer was honoured.",
	})
}
