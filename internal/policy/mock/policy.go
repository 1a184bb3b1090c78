package mock

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"yett/internal/exchange"
	"yett/internal/jsontext"
	"yett/internal/openapi/contract"
	"yett/internal/openapi/sample"
	"yett/internal/openapi/source"
	"yett/internal/policy"
	"yett/internal/problem"
	"yett/internal/route"
)

// The reasons for which the policy refuses.
var (
	noDocument    = &exchange.Reason{Name: "no_document", Code: "SERVICE_UNAVAILABLE", Status: 503, Message: "There is no document to answer from yet", Help: "The policy mock answers from the document of the route's service, and none has been read so far. See `openapi` of the service; the endpoint docs_status and the log say what is wrong with it."}
	notDocumented = &exchange.Reason{Name: "not_documented", Code: "NOT_FOUND", Status: 404, Message: "Nothing is documented here", Help: "The policy mock found no path for the request in the document of the route's service. It looks for the path that the service would see, with `forward` of the route applied."}
	noSuchMethod  = &exchange.Reason{Name: "method_not_documented", Code: "METHOD_NOT_ALLOWED", Status: 405, Message: "The method is not documented here", Help: "The policy mock found the path in the document of the route's service, but not with this method; Allow lists those that are there."}
	unknownCode   = &exchange.Reason{Name: "mock_unknown_code", Code: "BAD_REQUEST", Status: 400, Message: "Prefer asks for a code that is not documented", Help: "The answer's `details` say which statuses the document has for the operation. `prefer: false` of the policy mock ignores what callers prefer."}
	unknownExmpl  = &exchange.Reason{Name: "mock_unknown_example", Code: "BAD_REQUEST", Status: 400, Message: "Prefer asks for an example that is not documented", Help: "The answer's `details` say which examples the document has for that answer. `prefer: false` of the policy mock ignores what callers prefer."}
	notAcceptable = &exchange.Reason{Name: "mock_not_acceptable", Code: "NOT_ACCEPTABLE", Status: 406, Message: "No documented content is acceptable", Help: "Accept takes none of the types that the document has for the answer; `details` say which those are."}
	noAnswer      = &exchange.Reason{Name: "mock_no_answer", Code: "NOT_IMPLEMENTED", Status: 501, Message: "The document has no answer for this", Help: "The document has no answer with the `status` of the policy mock for the operation, or neither an example nor a schema that an answer could be made of; the log's detail says which."}
)

// Kind describes the policy.
var Kind = policy.AnsweringInstead(policy.Define("mock", defaults, build,
	noDocument, notDocumented, noSuchMethod, unknownCode, unknownExmpl, notAcceptable, noAnswer))

// retryAfter is when those may come back who were there before the document, in seconds.
const retryAfter = 5

// mock is the policy.
type mock struct {
	policy.Base
	service string
	rewrite *route.Rewrite // nil where the service would see the normalised path
	loaded  func() *source.Loaded
	status  int
	example string
	delay   time.Duration
	prefer  bool
	answers atomic.Pointer[answers]
}

// answers are the answers from one document.
type answers struct {
	loaded *source.Loaded
	// operations has what was compiled already, by the number of the operation.
	operations []atomic.Pointer[sample.Answers]
}

func build(c Config, deps policy.Deps) (policy.Policy, problem.List) {
	p, problems := c.compile(deps)
	if len(problems) > 0 {
		return nil, problems
	}
	return p, nil
}

// Request answers.
func (p *mock) Request(x *exchange.Exchange, _ *exchange.Slot) exchange.Verdict {
	if !p.wait(x) {
		return x.Refuse(exchange.ClientGone)
	}
	a := p.current()
	if a == nil {
		x.RetryAfter = retryAfter
		return x.RefuseWith(noDocument, "the document of the service has not been read")
	}
	path := p.rewrite.Normal(x)
	op, known := a.loaded.Contract.Match(x.Method, path)
	switch {
	case op != nil:
		return p.answer(x, a.of(op), op, path)
	case known:
		x.Allow = strings.Join(a.loaded.Contract.Allowed(path), ", ")
		return x.Refuse(noSuchMethod)
	}
	return x.Refuse(notDocumented)
}

// wait lets the caller wait, and tells whether there still is one.
func (p *mock) wait(x *exchange.Exchange) bool {
	if p.delay <= 0 {
		return true
	}
	t := time.NewTimer(p.delay)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-x.Context().Done():
		return false
	}
}

// current returns the answers from the document as it is now, nil where there is none.
func (p *mock) current() *answers {
	l := p.loaded()
	if l == nil {
		return nil
	}
	a := p.answers.Load()
	if a != nil && a.loaded == l {
		return a
	}
	a = &answers{loaded: l, operations: make([]atomic.Pointer[sample.Answers], len(l.Contract.Operations()))}
	p.answers.Store(a)
	return a
}

func (a *answers) of(op *contract.Operation) *sample.Answers {
	at := &a.operations[op.Number]
	if known := at.Load(); known != nil {
		return known
	}
	at.CompareAndSwap(nil, sample.Compile(a.loaded.Document, op.Node))
	return at.Load()
}

// answer sends what the caller wants, or else what the operator wants.
func (p *mock) answer(x *exchange.Exchange, a *sample.Answers, op *contract.Operation, path string) exchange.Verdict {
	var wish preference
	if p.prefer {
		wish = preferred(&x.Request)
	}
	if wish.hasCode && wish.code < 200 {
		return refuseWith(x, unknownCode, "Prefer", "codes", a.Documented())
	}
	want := sample.Want{Status: p.status, Example: p.example, Accept: accept(x)}
	want.Value = func(name string) (string, bool) { return op.PathValue(path, name) }
	if wish.hasCode {
		want.Status, want.Example = wish.code, ""
	}
	if wish.hasExample {
		want.Example = wish.example
		if !wish.hasCode {
			want.Status = p.status
		}
	}
	r, err := a.Reply(want)
	if err != nil && !wish.hasExample && want.Example != "" {
		want.Example = "" // the operator's is for those operations that have it
		r, err = a.Reply(want)
	}
	if err != nil {
		return refuse(x, wish, err)
	}
	send(x, r, wish)
	return exchange.Reply
}

// accept returns the value of all Accept fields together.
func accept(x *exchange.Exchange) string {
	first, n, size := "", 0, 0
	for _, f := range x.Request.Fields() {
		if strings.EqualFold(f.Name, "Accept") {
			if n == 0 {
				first = f.Value
			}
			n++
			size += len(f.Value) + 1
		}
	}
	if n < 2 {
		return first
	}
	b := x.Bytes(size)[:0]
	for _, f := range x.Request.Fields() {
		if strings.EqualFold(f.Name, "Accept") {
			b = append(append(b, f.Value...), ',')
		}
	}
	return exchange.View(b)
}

// refuse says why there is no answer: to the caller, who asked for something else, or in
// the log, where the document or the configuration has to be changed.
func refuse(x *exchange.Exchange, wish preference, err error) exchange.Verdict {
	var status *sample.NoStatusError
	var example *sample.NoExampleError
	var acceptable *sample.NotAcceptableError
	switch {
	case errors.As(err, &status) && wish.hasCode:
		return refuseWith(x, unknownCode, "Prefer", "codes", status.Documented)
	case errors.As(err, &example) && wish.hasExample:
		return refuseWith(x, unknownExmpl, "Prefer", "examples", example.Documented)
	case errors.As(err, &acceptable):
		return refuseWith(x, notAcceptable, "Accept", "types", acceptable.Documented)
	}
	return x.RefuseWith(noAnswer, err.Error())
}

// refuseWith refuses with what is documented instead. Nothing that the caller has sent is in it.
func refuseWith(x *exchange.Exchange, r *exchange.Reason, header, what string, documented []string) exchange.Verdict {
	text := header + ": documented " + what + " are " + strings.Join(documented, ", ")
	if len(documented) == 0 {
		text = header + ": there are no documented " + what
	}
	b := append([]byte(nil), `[{"in":"header","message":`...)
	b = append(jsontext.AppendQuoted(b, text), "}]"...)
	x.Details = string(b)
	return x.Refuse(r)
}

// send makes the reply the answer.
func send(x *exchange.Exchange, r *sample.Reply, wish preference) {
	x.Status = r.Status
	content := r.Status != http.StatusNoContent && r.Status != http.StatusResetContent && r.Status != http.StatusNotModified
	if r.ContentType != "" && content {
		x.Response.AddField(exchange.Field{Name: "Content-Type", Value: r.ContentType, Key: exchange.KeyContentType})
	}
	active := content && isActive(r.ContentType)
	for _, h := range r.Headers {
		if !strings.EqualFold(h[0], "Set-Cookie") && !(active && strings.EqualFold(h[0], policyField)) {
			x.Response.Add(h[0], h[1])
		}
	}
	if active {
		x.Response.Add(policyField, "sandbox; default-src 'none'")
	}
	x.Response.Add(Header, madeOf(r))
	wish.applied(x, r)
	if content {
		x.ResponseBody.SetBytes(r.Body)
	}
}

// policyField is the field that says what a page may do in a browser.
const policyField = "Content-Security-Policy"

// isActive tells whether browsers run scripts in content of a type. That stands in a document
// of a service, and would run as if the gateway's other pages had it.
func isActive(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "text/html" || kind == "text/xml" || kind == "application/xml" || strings.HasSuffix(kind, "+xml")
}

// Header is the field that every answer of the policy has.
const Header = "X-Mock"

// madeOf tells what an answer was made of.
func madeOf(r *sample.Reply) string {
	switch {
	case r.ContentType == "":
		return "empty"
	case r.FromSchema:
		return "schema"
	}
	return "example"
}
