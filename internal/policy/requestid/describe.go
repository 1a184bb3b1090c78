package requestid

import (
	"yett/internal/openapi"
	"yett/internal/policy"
)

// Describe implements policy.Describer.
func (p *requestID) Describe(d *policy.Description) {
	answer := policy.HeaderNote{
		Name: p.header, Description: "ID of the request, by which logs know it. Errors have it as `request_id` too.",
		Schema: openapi.NewObject("type", "string", "format", "uuid"),
	}
	if p.trust {
		answer.Schema = idSchema()
	}
	d.ResponseHeaders = append(d.ResponseHeaders, answer)
}

// idSchema is what wellFormed lets pass. The gateway's own are UUIDs.
func idSchema() *openapi.Node {
	return openapi.NewObject("type", "string", "pattern", "^[A-Za-z0-9._-]{8,128}$")
}
