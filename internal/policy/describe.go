package policy

import (
	"slices"

	"yett/internal/exchange"
	"yett/internal/openapi"
)

// Describer is a policy about which callers can be told something: what it asks of them,
// why it may refuse, what it adds to answers. The gateway's OpenAPI document says it.
type Describer interface {
	// Describe adds to what is known of a route. It is called for each route, when the
	// document is made.
	Describe(d *Description)
}

// Description is what callers of a route have to know. Texts are for people, in Markdown.
type Description struct {
	// Schemes are the ways to say who calls, of which one is enough. Anonymous tells that
	// callers may also leave it.
	Schemes   []Scheme
	Anonymous bool
	// Rules say who may call, each a phrase such as "tenant_admin or above"; all of them
	// have to be met. Roles are the names of all roles that pass, as far as roles alone
	// decide, nil where they do not. Scopes and Permissions are what a token has to grant
	// in any case; of what is a choice only the rules tell.
	Rules                      []string
	Roles, Scopes, Permissions []string
	Limits                     []LimitNote
	// RequestHeaders may be sent, ResponseHeaders may come with any answer.
	RequestHeaders, ResponseHeaders []HeaderNote
	// Refusals are the reasons for which callers may be refused.
	Refusals []*exchange.Reason
	// Notes are sentences about anything else.
	Notes []string
	// Answer is what a policy answers by itself, nil where none does.
	Answer *AnswerNote
}

// Scheme is a way to say who calls.
type Scheme struct {
	// In is header (Authorization: Bearer), cookie or query.
	In string
	// Name is that of the cookie or parameter, "" for header.
	Name string
}

// LimitNote is a limit as callers may know it.
type LimitNote struct {
	// Name is the limit's own. Rule is for people, such as "1000 in 15 minutes for each user".
	Name, Rule string
}

// HeaderNote is a header field.
type HeaderNote struct {
	Name, Description string
	// Schema is that of the value, a string where it is nil.
	Schema *openapi.Node
	// Only are the statuses of the answers that have it, none for all of them.
	Only []int
}

// AnswerNote is an answer that a policy gives.
type AnswerNote struct {
	Status int
	// ContentType is "" for an answer without content.
	ContentType string
	// Schema and Example may be nil.
	Schema, Example *openapi.Node
	Headers         []HeaderNote
}

// Refuse adds reasons for which callers may be refused.
func (d *Description) Refuse(reasons ...*exchange.Reason) {
	d.Refusals = append(d.Refusals, reasons...)
}

// Describe says what callers of a chain have to know.
func (c Chain) Describe() *Description {
	d := new(Description)
	for _, l := range c {
		inner, observes := Unwrap(l.Policy)
		own, ok := inner.(Describer)
		if !ok {
			continue
		}
		before := *d
		own.Describe(d)
		if observes {
			d.letPass(before)
		}
	}
	return d
}

// letPass takes back what a policy has said that only observes: it asks for nothing and
// refuses nobody, so that callers may also leave what it looks for. What it reads, and what
// it adds to answers that are no refusals, stays.
func (d *Description) letPass(before Description) {
	d.Rules, d.Roles, d.Scopes, d.Permissions = before.Rules, before.Roles, before.Scopes, before.Permissions
	d.Limits, d.Refusals = before.Limits, before.Refusals
	d.Anonymous = before.Anonymous || len(d.Schemes) > len(before.Schemes)
	kept := len(before.ResponseHeaders)
	d.ResponseHeaders = append(d.ResponseHeaders[:kept:kept], slices.DeleteFunc(slices.Clone(d.ResponseHeaders[kept:]), HeaderNote.ofRefusals)...)
}

// ofRefusals tells that only refusals have the header.
func (h HeaderNote) ofRefusals() bool {
	return len(h.Only) > 0 && !slices.ContainsFunc(h.Only, func(status int) bool { return status < 400 })
}
