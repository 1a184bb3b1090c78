package validate

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"

	"yett/internal/exchange"
	"yett/internal/openapi/contract"
	"yett/internal/openapi/source"
	"yett/internal/policy"
	"yett/internal/route"
)

// Kind describes the policy.
var Kind = policy.NeedingDocument(policy.Define("validate", defaults, build, Invalid, Undocumented, MethodUndocumented, Coded, AnswerInvalid))

// The reasons for refusals. AnswerInvalid never refuses: it is noted and counted.
var (
	Invalid            = &exchange.Reason{Name: "request_invalid", Code: "VALIDATION_FAILED", Status: 400, Message: "The request is not what the API's documentation says; see details", Help: "The policy validate holds requests against the service's OpenAPI document. The answer's `details` name each place; the log has the first. Where the request is right, the document is wrong: mend it, or write `mode: observe` until it is."}
	Undocumented       = &exchange.Reason{Name: "undocumented", Code: "NOT_FOUND", Status: 404, Message: "Nothing is here", Help: "The policy validate has `unknown: refuse`, and no operation of the service's OpenAPI document has that path. `yett docs coverage` lists such calls."}
	MethodUndocumented = &exchange.Reason{Name: "method_undocumented", Code: "METHOD_NOT_ALLOWED", Status: 405, Message: "The method is not allowed here", Help: "The policy validate has `unknown: refuse`, and the service's OpenAPI document knows the path with other methods only; Allow lists them."}
	Coded              = &exchange.Reason{Name: "body_coding", Code: "UNSUPPORTED_MEDIA_TYPE", Status: 415, Message: "The coding or charset of the body can't be read here; it can be gzip, and UTF-8", Help: "The policy validate looks into bodies as they are and into those in gzip, and into texts in UTF-8. With another Content-Encoding or charset, or where the body is not what that says, nobody could tell what the service would get."}
	AnswerInvalid      = &exchange.Reason{Name: "answer_invalid", Code: "ANSWER_INVALID", Status: 502, Message: "The answer is not what the API's documentation says", Help: "The policy validate holds answers against the service's OpenAPI document. They are never refused: the access log names the place, and `yett docs coverage` counts them."}
)

// validate is the policy on the routes to one service.
type validate struct {
	policy.Base
	source  *source.Source
	service string
	rewrite *route.Rewrite // nil where the service sees the normalised path
	most    int64          // bytes of a body that is looked at
	// enforces tells that bodies which are too large are refused, refuses that what the
	// document does not know is, answers that answers are looked at.
	enforces, refuses, answers bool
}

// passesBy tells whether a request is one of a browser's own, which no document is about.
func passesBy(x *exchange.Exchange) bool { return x.PassPreflight || policy.IsPreflight(x) }

// Request holds the request against its operation, which Response finds in the slot: it goes
// by the same document, whatever has come since.
func (p *validate) Request(x *exchange.Exchange, s *exchange.Slot) exchange.Verdict {
	loaded := p.source.Loaded()
	if loaded == nil || passesBy(x) {
		return exchange.Continue
	}
	path := p.rewrite.Normal(x)
	op, known := loaded.Contract.Match(x.Method, path)
	if op == nil {
		return p.unknown(x, loaded.Contract, path, known)
	}
	s.Any = op
	op.Tally.Calls.Add(1)
	body, reason := p.requestBody(x, op)
	if reason != nil {
		return x.Refuse(reason)
	}
	if op.RequestPasses(x, path, body) {
		return exchange.Continue
	}
	if !takeTurn(x) {
		return x.Refuse(exchange.ClientGone)
	}
	violations := op.CheckRequest(x, path, body)
	endTurn()
	if len(violations) == 0 {
		return exchange.Continue
	}
	op.Tally.BadRequests.Add(1)
	x.Details = exchange.View(contract.AppendViolations(x.Bytes(96 * len(violations))[:0], violations))
	return x.RefuseWith(Invalid, words(violations))
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

// requestBody returns the body as far as it has to be looked at, nil for not. It stays where
// it is for the service. What is larger than the route takes is refused by the route.
func (p *validate) requestBody(x *exchange.Exchange, op *contract.Operation) ([]byte, *exchange.Reason) {
	if x.RequestBody.Empty() {
		return nil, nil
	}
	switch op.RequestBody(&x.Request) {
	case contract.Untouched:
		return nil, nil
	case contract.Foreign:
		return nil, p.unchecked(op, Coded)
	case contract.Hidden:
		if !isGzip(&x.Request) {
			return nil, p.unchecked(op, Coded)
		}
	}
	most := p.most
	if x.BodyLimit > 0 {
		most = min(most, x.BodyLimit)
	}
	body, whole, err := x.RequestBody.Peek(most)
	switch {
	case err != nil:
		return nil, p.unchecked(op, exchange.BodyReason(err)) // or whoever sends it on meets the error
	case !whole:
		return nil, p.unchecked(op, exchange.BodyTooLarge)
	case isGzip(&x.Request):
		return p.unzip(body, op)
	}
	return body, nil
}

// unchecked is what becomes of a body that can't be looked at: it is refused, or passes and is
// counted.
func (p *validate) unchecked(op *contract.Operation, why *exchange.Reason) *exchange.Reason {
	if p.enforces {
		return why
	}
	op.Tally.Unchecked.Add(1)
	return nil
}

// isGzip tells whether a body is in gzip and nothing else (RFC 9110 section 8.4.1.3).
func isGzip(h *exchange.Header) bool {
	coding, _ := h.Lookup("Content-Encoding")
	return exchange.EqualFold(coding, "gzip") || exchange.EqualFold(coding, "x-gzip")
}

// unzip returns what is in a body, which may be no larger than any other.
func (p *validate) unzip(zipped []byte, op *contract.Operation) ([]byte, *exchange.Reason) {
	r, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, p.unchecked(op, Coded)
	}
	body, err := io.ReadAll(io.LimitReader(r, p.most+1))
	switch {
	case err != nil:
		return nil, p.unchecked(op, Coded)
	case int64(len(body)) > p.most:
		return nil, p.unchecked(op, exchange.BodyTooLarge)
	}
	return body, nil
}

// Response holds the service's answer against the operation.
func (p *validate) Response(x *exchange.Exchange, s *exchange.Slot) {
	op, ok := s.Any.(*contract.Operation)
	if !ok || !p.answers || !p.answered(x) {
		return
	}
	body := p.answerBody(x, op)
	if op.AnswerPasses(x.Status, &x.Response, body) || !takeTurn(x) {
		return
	}
	violations := op.CheckAnswer(x.Status, &x.Response, body)
	endTurn()
	if len(violations) > 0 {
		op.Tally.BadAnswers.Add(1)
		x.Note(AnswerInvalid, words(violations))
	}
}

// answered tells whether the answer is one that the document can be about: the service's own,
// and no fallback's. That a client has the content already is HTTP's business.
func (p *validate) answered(x *exchange.Exchange) bool {
	return x.Reason == nil && x.Service == p.service && x.Attempts > 0 && x.Tunnel == nil && x.Status != http.StatusNotModified
}

// answerBody returns the body of an answer as far as it is looked at, nil for not. It stays
// where it is for the client. Nobody waits for what need not end, nor for what may end only
// when the client has sent the rest of its request.
func (p *validate) answerBody(x *exchange.Exchange, op *contract.Operation) []byte {
	if x.Method == http.MethodHead || x.Status == http.StatusNoContent {
		return nil
	}
	look, size := op.AnswerBody(x.Status, &x.Response), x.ResponseBody.Size()
	switch {
	case look == contract.Untouched:
		return nil
	case look == contract.Hidden, look == contract.Foreign, size < 0, size > p.most, x.CloseClient && x.ResponseBody.Streams():
		op.Tally.UncheckedAnswers.Add(1)
		return nil
	}
	body, whole, _ := x.ResponseBody.Peek(p.most)
	switch {
	case !whole: // whoever reads it meets the error
		op.Tally.UncheckedAnswers.Add(1)
	case body == nil:
		body = []byte{} // it was looked at, and there is nothing
	}
	return body
}

// words is what the log says of violations.
func words(all []contract.Violation) string {
	text := all[0].In + " " + all[0].Pointer + ": " + all[0].Message
	if more := len(all) - 1; more > 0 {
		text += ", and " + strconv.Itoa(more) + " more"
	}
	return text
}
