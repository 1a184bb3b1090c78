package validate

import (
	"fmt"
	"strings"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/openapi/contract"
	"yett/internal/openapi/source"
	"yett/internal/policy"
	"yett/internal/problem"
	"yett/internal/route"
)

// Config is what an operator can write.
type Config struct {
	Mode    policy.Mode `yaml:"mode" enum:"enforce,observe" doc:"enforce refuses; observe only logs and counts what would have been refused, and lets it pass."`
	Body    config.Size `yaml:"body" min:"1KB" max:"16MB" doc:"Largest request body that is checked, which is held in memory for that. With enforce a larger one is refused with 413 where the document says what it has to be; with observe it passes unchecked."`
	Unknown string      `yaml:"unknown" enum:"pass,refuse" doc:"What becomes of requests that no operation of the document is about: pass lets them reach the service and counts them, refuse answers 404, or 405 where the path is there with other methods."`
	Answers string      `yaml:"answers" enum:"observe,off" doc:"observe: answers are held against the document too, and what is wrong is logged and counted; they are never refused. Bodies whose length is not known, or is larger than body, are not looked at."`
}

// PolicyMode implements policy.Moded.
func (c Config) PolicyMode() policy.Mode { return c.Mode }

func defaults() Config {
	return Config{Mode: policy.Enforce, Body: config.MB, Unknown: "pass", Answers: "observe"}
}

// Kind describes the policy.
var Kind = policy.NeedingDocument(policy.Define("validate", defaults, build, Invalid, Undocumented, MethodUndocumented, AnswerInvalid))

// The reasons for refusals. AnswerInvalid never refuses: it is noted and counted.
var (
	Invalid            = &exchange.Reason{Name: "request_invalid", Code: "VALIDATION_FAILED", Status: 400, Message: "The request is not what the API's documentation says; see details", Help: "The policy validate holds requests against the service's OpenAPI document. The answer's `details` name each place; the log has the first. Where the request is right, the document is wrong: mend it, or write `mode: observe` until it is."}
	Undocumented       = &exchange.Reason{Name: "undocumented", Code: "NOT_FOUND", Status: 404, Message: "Nothing is here", Help: "The policy validate has `unknown: refuse`, and no operation of the service's OpenAPI document has that path. `yett docs coverage` lists such calls."}
	MethodUndocumented = &exchange.Reason{Name: "method_undocumented", Code: "METHOD_NOT_ALLOWED", Status: 405, Message: "The method is not allowed here", Help: "The policy validate has `unknown: refuse`, and the service's OpenAPI document knows the path with other methods only; Allow lists them."}
	AnswerInvalid      = &exchange.Reason{Name: "answer_invalid", Code: "ANSWER_INVALID", Status: 502, Message: "The answer is not what the API's documentation says", Help: "The policy validate holds answers against the service's OpenAPI document. They are never refused: the access log names the place, and `yett docs coverage` counts them."}
)

// validate is the policy on the routes to one service.
type validate struct {
	policy.Base
	source  *source.Source
	rewrite *route.Rewrite
	most    int64
	refuses bool // what the document does not know
	answers bool
	// enforces tells that bodies which are too large are refused.
	enforces bool
}

func build(c Config, deps policy.Deps) (policy.Policy, problem.List) {
	if deps.Documents == nil || deps.Route.Service == "" {
		return nil, nil
	}
	src := deps.Documents.Of(deps.Route.Service)
	if src == nil {
		return nil, nil
	}
	return &validate{
		source: src, rewrite: deps.Route.Rewrite, most: int64(c.Body),
		refuses: c.Unknown == "refuse", answers: c.Answers == "observe", enforces: c.Mode == policy.Enforce,
	}, nil
}

// Request holds the request against its operation, which Response finds in the slot.
func (p *validate) Request(x *exchange.Exchange, s *exchange.Slot) exchange.Verdict {
	loaded := p.source.Loaded()
	if loaded == nil || x.PassPreflight {
		return exchange.Continue
	}
	path := p.servicePath(x)
	op, known := loaded.Contract.Match(x.Method, path)
	if op == nil {
		return p.unknown(x, loaded.Contract, path, known)
	}
	s.Any = op
	op.Tally.Calls.Add(1)
	body, reason := p.body(x, op)
	if reason != nil {
		return x.Refuse(reason)
	}
	violations := op.CheckRequest(x, path, body)
	if len(violations) == 0 {
		return exchange.Continue
	}
	op.Tally.BadRequests.Add(1)
	x.Details = exchange.View(contract.AppendViolations(x.Bytes(96 * len(violations))[:0], violations))
	return x.RefuseWith(Invalid, words(violations))
}

func (p *validate) servicePath(x *exchange.Exchange) string {
	if p.rewrite == nil {
		return x.Path
	}
	return exchange.View(p.rewrite.Append(x.Bytes(len(x.Path) + 64)[:0], x))
}

// unknown notes a request that no operation is about. known tells that the path is there
// with other methods.
func (p *validate) unknown(x *exchange.Exchange, c *contract.Contract, path string, known bool) exchange.Verdict {
	c.Unknown.Add(x.Method, path)
	switch {
	case !p.refuses:
		return exchange.Continue
	case known:
		x.Allow = strings.Join(c.Allowed(path), ", ")
		return x.Refuse(MethodUndocumented)
	}
	return x.Refuse(Undocumented)
}

// body returns the body as far as it has to be looked at. It stays where it is for the
// service.
func (p *validate) body(x *exchange.Exchange, op *contract.Operation) ([]byte, *exchange.Reason) {
	if x.RequestBody.Empty() || !op.ReadsBody() {
		return nil, nil
	}
	body, whole, err := x.RequestBody.Peek(p.most)
	switch {
	case err != nil:
		return nil, exchange.BodyReason(err)
	case !whole && p.enforces:
		return nil, exchange.BodyTooLarge
	case !whole:
		op.Tally.Unchecked.Add(1)
	}
	return body, nil
}

// Response holds the service's answer against the operation.
func (p *validate) Response(x *exchange.Exchange, s *exchange.Slot) {
	op, ok := s.Any.(*contract.Operation)
	if !ok || !p.answers || x.Reason != nil || x.Service == "" || x.Tunnel != nil {
		return
	}
	body := p.answerBody(x, op)
	if violations := op.CheckAnswer(x.Status, &x.Response, body); len(violations) > 0 {
		op.Tally.BadAnswers.Add(1)
		x.Note(AnswerInvalid, words(violations))
	}
}

// answerBody returns the body of an answer as far as it is looked at, nil for not. It stays
// where it is for the client.
func (p *validate) answerBody(x *exchange.Exchange, op *contract.Operation) []byte {
	if x.Method == "HEAD" || !op.ReadsAnswer(x.Status) {
		return nil
	}
	size := x.ResponseBody.Size()
	if size < 0 || size > p.most {
		op.Tally.UncheckedAnswers.Add(1)
		return nil
	}
	body, whole, err := x.ResponseBody.Peek(p.most)
	if err != nil || !whole { // whoever reads it gets the error once more
		return nil
	}
	if body == nil {
		body = []byte{}
	}
	return body
}

// words is what the log says of violations.
func words(all []contract.Violation) string {
	first := all[0]
	text := fmt.Sprintf("%s %s: %s", first.In, first.Pointer, first.Message)
	if len(all) > 1 {
		text += fmt.Sprintf(", and %d more", len(all)-1)
	}
	return text
}

// Explain implements policy.Explainer.
func (p *validate) Explain(x *exchange.Exchange, s *exchange.Slot) []string {
	loaded := p.source.Loaded()
	if loaded == nil {
		return []string{fmt.Sprintf("there is no document of %s yet, so nothing is checked", p.source.Service())}
	}
	op, ok := s.Any.(*contract.Operation)
	if !ok {
		return []string{fmt.Sprintf("the document of %s does not know it", p.source.Service())}
	}
	return []string{fmt.Sprintf("operation %s %s of %s", op.Method, op.Path, p.source.Service())}
}

// Describe implements policy.Describer.
func (p *validate) Describe(d *policy.Description) {
	d.Refuse(Invalid)
	if p.refuses {
		d.Refuse(Undocumented, MethodUndocumented)
	}
}
