package kittest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"yett/examples/psa/services/kit"
)

// Contract is a service's OpenAPI document, held against what the service does. It is read from the first service that
// is watched. The zero value is ready.
type Contract struct {
	// Beyond are parts of messages with which the service may refuse, as a 400, what the document's schemas allow:
	// reasons that no schema can tell.
	Beyond []string

	// Rare are documented answers that tests need not see, as "operationId status".
	Rare []string

	once       sync.Once
	err        error
	operations []*Operation
	errors     *jsonschema.Schema // what an answer that belongs to no operation must be
}

// Operation is one documented method of one path, with its schemas compiled.
type Operation struct {
	ID, Method, Path string

	public     bool
	queryToken string // the query parameter that may hold the token, or ""
	parameters []parameter
	body       *jsonschema.Schema // nil when it takes none
	written    place              // the schema of body as it is written
	example    map[string]any     // of body
	answers    map[int]*answer
}

type parameter struct {
	name, in, example string
	required          bool
	schema            *jsonschema.Schema
	written           place
}

// answer is what is documented under one status.
type answer struct {
	content map[string]*jsonschema.Schema // by media type; empty for an answer without a body
	headers map[string]*jsonschema.Schema // all of them are always sent
	events  *jsonschema.Schema            // of the data of each event of a stream

	mu   sync.Mutex
	seen int
}

// Operations returns the operations of the document that the handler serves.
func (c *Contract) Operations(t testing.TB, handler http.Handler) []*Operation {
	t.Helper()
	c.load(t, handler)
	return c.operations
}

// load reads the document once; the handler has to be the service itself, not a watched one.
func (c *Contract) load(t testing.TB, handler http.Handler) {
	t.Helper()
	c.once.Do(func() {
		text := Client{Handler: handler}.Do(t, http.MethodGet, kit.DocumentJSON, "").Want(t, http.StatusOK).Body
		c.err = c.compile(text)
	})
	if c.err != nil {
		t.Fatalf("the service's OpenAPI document: %v", c.err)
	}
}

func (c *Contract) compile(text []byte) error {
	w, err := newWriting(text)
	if err != nil {
		return err
	}
	for path, item := range w.root().get("paths").members() {
		for method, node := range item.members() {
			if method == "parameters" {
				continue
			}
			op, err := w.operation(strings.ToUpper(method), path, item, node)
			if err != nil {
				return fmt.Errorf("%s %s: %w", method, path, err)
			}
			c.operations = append(c.operations, op)
		}
	}
	slices.SortFunc(c.operations, func(a, b *Operation) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
	c.errors, err = w.answers.Compile("document.json#/components/schemas/Error")
	return err
}

func (w *writing) operation(method, path string, item, node place) (*Operation, error) {
	op := &Operation{ID: node.text("operationId"), Method: method, Path: path, answers: map[int]*answer{}}
	w.security(op, node)
	for _, of := range []place{item, node} {
		for _, p := range of.get("parameters").elements() {
			if err := w.parameter(op, p); err != nil {
				return nil, err
			}
		}
	}
	if err := w.requestBody(op, node.get("requestBody")); err != nil {
		return nil, err
	}
	for status, response := range node.get("responses").members() {
		number, err := strconv.Atoi(status)
		if err != nil {
			return nil, fmt.Errorf("responses %q is no status", status)
		}
		if op.answers[number], err = w.answer(response); err != nil {
			return nil, fmt.Errorf("%s: %w", status, err)
		}
	}
	return op, nil
}

// security reads who may call: nobody without a token, unless the operation says otherwise.
func (w *writing) security(op *Operation, node place) {
	wanted := node.get("security")
	if wanted.value == nil {
		wanted = w.root().get("security")
	}
	op.public = len(wanted.elements()) == 0
	for _, requirement := range wanted.elements() {
		for name := range requirement.members() {
			if scheme := w.root().get("components").get("securitySchemes").get(name); scheme.text("in") == "query" {
				op.queryToken = scheme.text("name")
			}
		}
	}
}

func (w *writing) parameter(op *Operation, node place) error {
	schema, err := w.requests.Compile(node.get("schema").location())
	if err != nil {
		return err
	}
	example := node.get("example").value
	if err := schema.Validate(example); err != nil {
		return fmt.Errorf("the example of the parameter %s: %w", node.text("name"), err)
	}
	op.parameters = append(op.parameters, parameter{
		name: node.text("name"), in: node.text("in"), example: fmt.Sprint(example),
		required: node.get("required").value == true, schema: schema, written: node.get("schema"),
	})
	return nil
}

func (w *writing) requestBody(op *Operation, node place) error {
	if node.value == nil {
		return nil
	}
	if node.get("required").value != true {
		return fmt.Errorf("the request body must be required: the services answer 400 without one")
	}
	media := node.get("content").get("application/json")
	var err error
	if op.body, err = w.requests.Compile(media.get("schema").location()); err != nil {
		return err
	}
	op.written = media.get("schema")
	op.example, _ = media.get("example").value.(map[string]any)
	if err := op.body.Validate(media.get("example").value); err != nil {
		return fmt.Errorf("the example of the request body: %w", err)
	}
	return nil
}

func (w *writing) answer(node place) (*answer, error) {
	a := &answer{content: map[string]*jsonschema.Schema{}, headers: map[string]*jsonschema.Schema{}}
	for media, content := range node.get("content").members() {
		schema, err := w.answers.Compile(content.here("schema"))
		if err != nil {
			return nil, err
		}
		if err := schema.Validate(content.get("example").value); err != nil {
			return nil, fmt.Errorf("the example: %w", err)
		}
		a.content[media] = schema
		if media == "text/event-stream" {
			if a.events, err = w.answers.Compile("document.json#/components/schemas/" + content.text("x-event-data")); err != nil {
				return nil, err
			}
		}
	}
	for name, header := range node.get("headers").members() {
		schema, err := w.answers.Compile(header.get("schema").location())
		if err != nil {
			return nil, err
		}
		if err := schema.Validate(header.get("example").value); err != nil {
			return nil, fmt.Errorf("the example of the header %s: %w", name, err)
		}
		a.headers[name] = schema
	}
	return a, nil
}

// find returns the documented methods of a path, and the path's template.
func (c *Contract) find(path string) (methods map[string]*Operation, template string) {
	for _, op := range c.operations {
		if _, ok := match(op.Path, path); ok && (template == "" || strings.Count(op.Path, "{") < strings.Count(template, "{")) {
			template = op.Path
		}
	}
	methods = map[string]*Operation{}
	for _, op := range c.operations {
		if op.Path == template {
			methods[op.Method] = op
		}
	}
	return methods, template
}

// match reports whether a path is of a template, and with which values.
func match(template, path string) (map[string]string, bool) {
	wanted, given := strings.Split(template, "/"), strings.Split(path, "/")
	if len(wanted) != len(given) {
		return nil, false
	}
	values := map[string]string{}
	for i, segment := range wanted {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			values[strings.TrimSuffix(name, "}")] = given[i]
		} else if segment != given[i] {
			return nil, false
		}
	}
	return values, true
}

// refusals returns why the document does not allow the request.
func (op *Operation) refusals(e *exchange) []string {
	var all []string
	refuse := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	query := e.request.URL.Query()
	hasToken := e.request.Header.Get("Authorization") != "" || op.queryToken != "" && query.Get(op.queryToken) != ""
	if !op.public && !hasToken {
		refuse("there is no token")
	}
	inPath, _ := match(op.Path, e.request.URL.Path)
	known := []string{op.queryToken}
	for _, p := range op.parameters {
		given, found := inPath[p.name], true
		if p.in == "query" {
			given, found = query.Get(p.name), query.Has(p.name)
			known = append(known, p.name)
		}
		if !found && p.required {
			refuse("the parameter %s is missing", p.name)
		} else if found {
			if err := p.schema.Validate(p.read(given)); err != nil {
				refuse("the parameter %s: %v", p.name, err)
			}
		}
	}
	for name := range query {
		if !slices.Contains(known, name) {
			refuse("the query parameter %s is not documented", name)
		}
	}
	if op.body != nil {
		if err := e.checkRequestBody(op.body); err != nil {
			refuse("the body: %v", err)
		}
	}
	return all
}

// read gives a parameter's text the type of its schema.
func (p parameter) read(text string) any {
	if p.written.text("type") == "integer" {
		if number, err := strconv.Atoi(text); err == nil {
			return number
		}
	}
	return text
}

// examplePath is the path with the examples of its parameters in it.
func (op *Operation) examplePath() string {
	path := op.Path
	for _, p := range op.parameters {
		if p.in == "path" {
			path = strings.ReplaceAll(path, "{"+p.name+"}", url.PathEscape(p.example))
		}
	}
	return path
}

func parseJSON(text []byte) (any, error) { return jsonschema.UnmarshalJSON(bytes.NewReader(text)) }
