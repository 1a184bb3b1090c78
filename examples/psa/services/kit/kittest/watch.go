package kittest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"yett/examples/psa/services/kit"
)

// Watch returns handler with every request and answer held against its document: the test fails when the service
// accepts what the document does not allow, refuses what it allows, or answers what it does not know.
func (c *Contract) Watch(t testing.TB, handler http.Handler) http.Handler {
	t.Helper()
	c.load(t, handler)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := &exchange{request: r, status: http.StatusOK}
		if err := e.readBody(); err != nil {
			t.Errorf("read the request: %v", err)
			return
		}
		handler.ServeHTTP(&tee{ResponseWriter: w, exchange: e}, r)
		if r.URL.Path == kit.DocumentJSON || r.URL.Path == kit.DocumentYAML {
			return
		}
		for _, problem := range c.judge(e) {
			t.Errorf("%s %s -> %d: %s\nrequest %.300s\nanswer %.300s", r.Method, r.URL, e.status, problem, e.body, e.text.Bytes())
		}
	})
}

// exchange is one request and its answer.
type exchange struct {
	request *http.Request
	body    []byte
	status  int
	header  http.Header // of the answer
	text    bytes.Buffer
}

// readBody reads the body ahead of the service, which then reads the same.
func (e *exchange) readBody() error {
	body, err := io.ReadAll(e.request.Body)
	if err != nil {
		return err
	}
	e.body, e.request.Body = body, io.NopCloser(bytes.NewReader(body))
	return nil
}

// tee notes the answer as it goes out.
type tee struct {
	http.ResponseWriter
	exchange *exchange
}

func (t *tee) WriteHeader(status int) {
	t.exchange.status, t.exchange.header = status, t.Header().Clone()
	t.ResponseWriter.WriteHeader(status)
}

func (t *tee) Write(p []byte) (int, error) {
	t.exchange.text.Write(p)
	return t.ResponseWriter.Write(p)
}

// Unwrap lets an http.ResponseController reach the real one.
func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (c *Contract) judge(e *exchange) []string {
	methods, template := c.find(e.request.URL.Path)
	method := e.request.Method
	if method == http.MethodHead && !strings.HasSuffix(template, "/events") {
		method = http.MethodGet
	}
	op, found := methods[method]
	switch {
	case template == "":
		return c.judgeStray(e, http.StatusNotFound)
	case !found:
		return append(c.judgeStray(e, http.StatusMethodNotAllowed), judgeAllow(e, methods)...)
	}
	return append(c.judgeRequest(op, e), op.judgeAnswer(e)...)
}

// judgeStray is for a path or a method that the document does not have.
func (c *Contract) judgeStray(e *exchange, want int) []string {
	if e.status != want {
		return []string{fmt.Sprintf("it is not documented, so it should be a %d", want)}
	}
	return judgeJSON(c.errors, e.text.Bytes())
}

func judgeAllow(e *exchange, methods map[string]*Operation) []string {
	var want []string
	for method := range methods {
		want = append(want, method)
		if method == http.MethodGet && !strings.HasSuffix(methods[method].Path, "/events") {
			want = append(want, http.MethodHead)
		}
	}
	slices.Sort(want)
	if got := e.header.Get("Allow"); got != strings.Join(want, ", ") {
		return []string{fmt.Sprintf("Allow is %q, and documented is %q", got, want)}
	}
	return nil
}

// judgeRequest compares what the service and what the document say of the request.
func (c *Contract) judgeRequest(op *Operation, e *exchange) []string {
	refusals := op.refusals(e)
	beyond := slices.ContainsFunc(c.Beyond, func(text string) bool { return strings.Contains(e.text.String(), text) })
	switch {
	case e.status < 300 && len(refusals) > 0:
		return []string{"the service accepts what the document refuses: " + strings.Join(refusals, "; ")}
	case e.status == http.StatusBadRequest && len(refusals) == 0 && !beyond:
		return []string{"the service refuses what the document allows"}
	case op.public && strings.Contains(e.text.String(), kit.CodeNoToken):
		return []string{"the document says that it needs no token"}
	}
	return nil
}

func (op *Operation) judgeAnswer(e *exchange) []string {
	documented, found := op.answers[e.status]
	if !found {
		return []string{"the status is not documented"}
	}
	documented.mu.Lock()
	documented.seen++
	documented.mu.Unlock()
	var problems []string
	for name, schema := range documented.headers {
		if err := schema.Validate(e.header.Get(name)); err != nil || e.header.Get(name) == "" {
			problems = append(problems, fmt.Sprintf("the header %s is %q: %v", name, e.header.Get(name), err))
		}
	}
	for _, name := range []string{"Location", "WWW-Authenticate", "Retry-After", "Allow"} {
		if _, found := documented.headers[name]; !found && e.header.Get(name) != "" {
			problems = append(problems, fmt.Sprintf("the header %s is not documented", name))
		}
	}
	return append(problems, documented.judgeBody(e)...)
}

func (a *answer) judgeBody(e *exchange) []string {
	if len(a.content) == 0 {
		if e.text.Len() > 0 {
			return []string{"a body is not documented"}
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(e.header.Get("Content-Type"))
	schema, found := a.content[media]
	if err != nil || !found {
		return []string{fmt.Sprintf("the type %q is not documented", e.header.Get("Content-Type"))}
	}
	if media == "text/event-stream" {
		return a.judgeEvents(e)
	}
	return judgeJSON(schema, e.text.Bytes())
}

// judgeEvents holds the data of every event against the schema that the document names for it.
func (a *answer) judgeEvents(e *exchange) []string {
	var problems []string
	for line := range strings.Lines(e.text.String()) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			problems = append(problems, judgeJSON(a.events, []byte(data))...)
		}
	}
	return problems
}

func judgeJSON(schema *jsonschema.Schema, text []byte) []string {
	value, err := parseJSON(text)
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		return []string{"the answer: " + err.Error()}
	}
	return nil
}

func (e *exchange) checkRequestBody(schema *jsonschema.Schema) error {
	if media := e.request.Header.Get("Content-Type"); media != "application/json" {
		return fmt.Errorf("the type %q is not documented", media)
	}
	if len(e.body) == 0 {
		return errors.New("it is missing")
	}
	value, err := parseJSON(e.body)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}
