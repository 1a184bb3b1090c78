// Package contract holds requests and answers against what a document says of them.
//
// Compile makes a Contract of a document of version 3.1, once. Match finds the operation of
// a request, CheckRequest and CheckAnswer tell all that is not as the document says.
//
// Where the document leaves room, or services differ:
//
//   - What the document does not name passes: parameters, header fields, parts of forms, a
//     body where it has none. Only additionalProperties and the like forbid it.
//   - A readOnly property need not be in a request and a writeOnly one need not be in an
//     answer, whatever required says. Being there all the same is no violation: clients send
//     back what they got.
//   - JSON is read strictly, because services read differently what it refuses: names that
//     are there twice, text that is not UTF-8, halves of surrogate pairs. It may go 100
//     arrays and objects deep, and numbers may have 400 digits and exponents up to 400.
//   - A parameter of one value may be there once, as may a cookie, and Content-Type.
//   - Formats are checked, also int32 and int64, but not regex and those that nobody has
//     defined. Patterns are those of RE2. A text that would take more than three million
//     steps, for each byte as many as the pattern is long, is a violation: it is too long to
//     be checked. Patterns that begin with ^, and leave no choice where a character belongs,
//     take one step for each byte. Those of more than 10,000 characters and operators, with
//     repetitions written out, are passed over.
//   - Bodies that are too large for their schema, or too far from it, are a violation without
//     much said of it: those where alternatives in each other would be more than a hundred
//     milliseconds of work, or more than some megabytes of faults.
//   - JSON is in UTF-8. Texts and forms in another charset, and bodies with a
//     Content-Encoding, are checked by their type alone: see Look.
//   - HEAD is served by GET where the document has none.
//
// Nothing is loaded from anywhere.
package contract

import (
	"strings"

	"yett/internal/exchange"
	"yett/internal/openapi"
	"yett/internal/problem"
)

// Contract is a document, compiled for looking up operations and checking messages. It is
// immutable to its users, and any number of goroutines may use it.
type Contract struct {
	// Unknown counts calls that the document does not know, if somebody tells it.
	Unknown *Unknown

	operations []*Operation
	root       *segmentNode
}

// Operation is one method of one path, compiled.
type Operation struct {
	// Number is the place in Operations.
	Number int
	// Method is in upper case. Path is the template as requests have it, Written as it
	// stands in the document. ID may be "".
	Method, Path, Written, ID string
	// Node is the operation in the document.
	Node *openapi.Node
	// Tally counts what came of its calls, if somebody tells it.
	Tally *Tally

	segments []segment
	params   []*param
	body     *content
	answers  answers
}

// Operations returns all operations that requests can reach, in the document's order. The
// slice belongs to the Contract.
func (c *Contract) Operations() []*Operation { return c.operations }

// Compile compiles a document, which Upgrade has brought to version 3.1. What can't be
// compiled is in the list with its place and is passed over; the rest works. The document
// must not be changed afterwards.
func Compile(d *openapi.Document) (*Contract, problem.List) {
	b := &compiler{builder: newBuilder(d), checks: map[checkKey]*check{}, shared: map[*openapi.Node]*param{},
		bodies: map[*openapi.Node]*content{}, responses: map[*openapi.Node]*answer{}}
	b.library = &library{patterns: b.patterns, byNode: b.byNode}
	c := &Contract{Unknown: new(Unknown), root: new(segmentNode)}
	for _, op := range d.Operations() {
		if o := b.operation(&op, c.root); o != nil {
			o.Number = len(c.operations)
			c.operations = append(c.operations, o)
		}
	}
	b.finish()
	b.library.all = b.all
	for _, p := range b.params {
		p.settle()
	}
	for _, o := range c.operations {
		o.settle()
	}
	b.problems.Sort()
	return c, b.problems
}

// compiler compiles operations.
type compiler struct {
	*builder
	library *library
	checks  map[checkKey]*check
	params  []*param
	// What several operations refer to is compiled once: parameters that are not of the
	// path, bodies, responses.
	shared    map[*openapi.Node]*param
	bodies    map[*openapi.Node]*content
	responses map[*openapi.Node]*answer
}

type checkKey struct {
	schema *schema
	mode   int
}

// check returns what holds values against the schema of a node, one for each schema and
// mode.
func (b *compiler) check(n *openapi.Node, mode int, names ...string) *check {
	key := checkKey{b.schema(n, names...), mode}
	c := b.checks[key]
	if c == nil {
		c = &check{library: b.library, schema: key.schema, mode: mode}
		b.checks[key] = c
	}
	return c
}

func (b *compiler) operation(op *openapi.Operation, root *segmentNode) *Operation {
	o := &Operation{Method: op.Method, Path: op.Path, Written: op.Written, ID: op.ID, Node: op.Node, Tally: new(Tally)}
	b.path = append(b.path[:0], "paths", op.Written, strings.ToLower(op.Method))
	segments, names, what := splitTemplate(op.Path)
	if what != "" {
		b.note(op.Node, what, "the operation is passed over")
		return nil
	}
	o.segments = segments
	if other := root.add(o); other != nil {
		b.note(op.Node, "requests to "+op.Path+" are those to "+other.Path+" too", "the latter counts")
		return nil
	}
	b.parameters(o, op, names)
	if n := op.Node.Get("requestBody"); n != nil {
		b.below(func() { o.body = b.requestBody(n) }, "requestBody")
	}
	b.below(func() { o.answers = b.answers(op.Node.Get("responses")) }, "responses")
	return o
}

// settle makes what needs all schemas.
func (o *Operation) settle() {
	o.body.settle()
	o.answers.settle()
}

// Match returns the operation for a method and a path without query, in the normal form of
// package route. known tells that the document has the path, maybe with other methods.
func (c *Contract) Match(method, path string) (op *Operation, known bool) {
	if path == "" || path[0] != '/' {
		return nil, false
	}
	m := methodIndex(method)
	op = c.root.match(path, m, &known)
	if op == nil && known && m == methodHEAD {
		op = c.root.match(path, methodGET, &known)
	}
	return op, known
}

// RequestPasses tells whether nothing is wrong with a request, as far as that can be seen at a
// glance: without an allocation, and in time that is in proportion to the body. What it
// doubts, CheckRequest looks into, which may take some hundred milliseconds and some ten times
// the memory of the body. The arguments are those of CheckRequest.
func (o *Operation) RequestPasses(x *exchange.Exchange, path string, body []byte) bool {
	f := findings{brief: true}
	o.request(x, path, body, &f)
	return !f.doubt
}

// CheckRequest returns all that is wrong with a request, nil for nothing. path is the one
// that Match was asked for. body is nil when it was not read, or is not there. The
// violations are no views into the exchange.
func (o *Operation) CheckRequest(x *exchange.Exchange, path string, body []byte) []Violation {
	var f findings
	o.request(x, path, body, &f)
	return f.done()
}

func (o *Operation) request(x *exchange.Exchange, path string, body []byte, f *findings) {
	if len(o.params) > 0 {
		o.checkParams(x, path, f)
	}
	if o.body != nil && !f.doubt {
		o.body.check(&x.Request, body, body != nil || !x.RequestBody.Empty(), f)
	}
}

// AnswerPasses is to CheckAnswer what RequestPasses is to CheckRequest.
func (o *Operation) AnswerPasses(status int, h *exchange.Header, body []byte) bool {
	f := findings{brief: true}
	o.answers.check(status, h, body, &f)
	return !f.doubt
}

// CheckAnswer returns all that is wrong with an answer, nil for nothing. body is nil when
// it was not read, as with answers to HEAD.
func (o *Operation) CheckAnswer(status int, h *exchange.Header, body []byte) []Violation {
	var f findings
	o.answers.check(status, h, body, &f)
	return f.done()
}
