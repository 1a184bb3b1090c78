package kittest

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"yett/examples/psa/services/kit"
)

// Trial is how an operation is tried out: who calls, and what differs from the examples of the document.
type Trial struct {
	Client   Client
	Stranger string         // a token with which the operation is a 403; not tried when empty
	Path     string         // the operation's with its parameters' examples when empty
	Body     map[string]any // the example when nil
	Also     int            // a status with which a body may be refused beside 400
}

// CheckRoutes fails the test unless the document has the paths and methods that the service has, and no others.
func (c *Contract) CheckRoutes(t testing.TB, service http.Handler) {
	t.Helper()
	c.load(t, service)
	documented := map[string][]string{}
	for _, op := range c.operations {
		documented[op.Path] = append(documented[op.Path], op.Method)
	}
	served := service.(*kit.Router).Routes()
	for _, path := range slices.Sorted(maps.Keys(served)) {
		methods := slices.DeleteFunc(slices.Clone(served[path]), func(method string) bool { return method == http.MethodHead })
		slices.Sort(documented[path])
		if !slices.Equal(methods, documented[path]) {
			t.Errorf("%s: served are %v, documented %v", path, methods, documented[path])
		}
		delete(documented, path)
	}
	if len(documented) > 0 {
		t.Errorf("documented and not served: %v", documented)
	}
}

// Try calls an operation without a token, with bodies and parameters that break each constraint of the document in
// turn, and as the document's examples say.
func (op *Operation) Try(t *testing.T, trial Trial) {
	t.Helper()
	if trial.Path == "" {
		trial.Path = op.examplePath()
	}
	if trial.Body == nil {
		trial.Body = op.example
	}
	if !op.public {
		Client{Handler: trial.Client.Handler}.Do(t, op.Method, trial.Path, "").WantError(t, http.StatusUnauthorized, kit.CodeNoToken, "")
	}
	if _, documented := op.answers[http.StatusForbidden]; documented && trial.Stranger != "" {
		stranger := Client{Handler: trial.Client.Handler, Token: trial.Stranger}
		stranger.Do(t, op.Method, trial.Path, "").Want(t, http.StatusForbidden)
	}
	op.tryParameters(t, trial)
	if op.body != nil {
		op.tryOtherBodies(t, trial)
		op.tryViolations(t, trial)
		defer op.tryValues(t, trial) // they change what is tried
	}
	trial.succeeds(t, op, "the example", trial.Body)
	for _, name := range op.optional() {
		body := maps.Clone(trial.Body)
		body[name] = nil
		trial.succeeds(t, op, name+" is null", body)
	}
}

// succeeds sends a body that must not be refused; that there is already such a record is no refusal of the body.
func (trial Trial) succeeds(t *testing.T, op *Operation, what string, body map[string]any) {
	t.Helper()
	text := ""
	if body != nil {
		text = encode(t, body)
	}
	got := trial.Client.Do(t, op.Method, trial.Path, text)
	if got.Status >= 300 && (what == "the example" || got.Status != http.StatusConflict) {
		t.Errorf("%s: status %d, %s", what, got.Status, got.Body)
	}
}

func encode(t *testing.T, body map[string]any) string {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (op *Operation) tryParameters(t *testing.T, trial Trial) {
	t.Helper()
	for _, p := range op.parameters {
		if p.in != "query" {
			continue
		}
		for _, value := range p.written.violations() {
			if p.written.text("type") != "integer" {
				continue
			}
			path := fmt.Sprintf("%s?%s=%v", trial.Path, p.name, value.value)
			trial.Client.Do(t, op.Method, path, "").WantError(t, http.StatusBadRequest, kit.CodeBadRequest, p.name)
		}
		trial.Client.Do(t, op.Method, trial.Path+"?"+p.name+"="+p.example, "").Want(t, http.StatusOK)
	}
}

// tryOtherBodies sends none, one of another type, and one that is too large.
func (op *Operation) tryOtherBodies(t *testing.T, trial Trial) {
	t.Helper()
	trial.Client.Do(t, op.Method, trial.Path, "").WantError(t, http.StatusBadRequest, kit.CodeBadRequest, "JSON object")
	large := `{"x":"` + strings.Repeat("x", 1<<20) + `"}`
	trial.Client.Do(t, op.Method, trial.Path, large).WantError(t, http.StatusRequestEntityTooLarge, kit.CodeTooLarge, "")
	request := httptest.NewRequest(op.Method, trial.Path, strings.NewReader("x"))
	request.Header.Set("Content-Type", "text/plain")
	request.Header.Set("Authorization", "Bearer "+trial.Client.Token)
	Send(trial.Client.Handler, request).WantError(t, http.StatusUnsupportedMediaType, kit.CodeMediaType, "")
}

func (op *Operation) tryViolations(t *testing.T, trial Trial) {
	t.Helper()
	refused := func(what string, body map[string]any) {
		t.Helper()
		value, err := parseJSON([]byte(encode(t, body)))
		if err != nil || op.body.Validate(value) == nil {
			t.Errorf("%s: the document allows it (%v)", what, err)
		}
		got := trial.Client.Do(t, op.Method, trial.Path, encode(t, body))
		if got.Status != http.StatusBadRequest && (trial.Also == 0 || got.Status != trial.Also) {
			t.Errorf("%s: status %d, want 400; %s", what, got.Status, got.Body)
		}
	}
	with := func(name string, value any) map[string]any {
		body := maps.Clone(trial.Body)
		body[name] = value
		return body
	}
	refused("a member that is not documented", with("unknownMember", "x"))
	for _, name := range op.written.get("required").elements() {
		name := name.value.(string)
		body := maps.Clone(trial.Body)
		delete(body, name)
		refused(name+" is missing", body)
		refused(name+" is null", with(name, nil))
	}
	for name, schema := range op.written.get("properties").members() {
		for _, v := range schema.violations() {
			refused(name+" breaks "+v.keyword, with(name, v.value))
		}
	}
}

// tryValues sends values at the bounds of each member's schema, and others, whatever the schema says. Watch judges
// whether the service takes those that the document allows, and no others.
func (op *Operation) tryValues(t *testing.T, trial Trial) {
	t.Helper()
	for name, schema := range op.written.get("properties").members() {
		for _, value := range append(schema.edges(), oddValues()...) {
			if value == nil && schema.get("enum").value != nil {
				continue // taken as left out, and not documented: generators make worse types of enums that may be null
			}
			body := maps.Clone(trial.Body)
			body[name] = value
			if got := trial.Client.Do(t, op.Method, trial.Path, encode(t, body)); got.Status >= http.StatusInternalServerError {
				t.Errorf("%s = %v: status %d", name, value, got.Status)
			}
		}
	}
}

func oddValues() []any {
	return []any{
		nil, true, 0, -1, 1, 1.5, 1_000_000_000, "", "   ", "x", "no such thing", "a@example.com", "a@b@example.com",
		"A <a@example.com>", "2025-01-31", "2025-02-30", "11111111-1111-4111-8111-111111111111", strings.Repeat("x", 20_000),
		[]any{}, map[string]any{},
	}
}

// edges returns values that a schema just allows.
func (p place) edges() []any {
	var all []any
	for _, word := range p.get("enum").elements() {
		all = append(all, word.value)
	}
	for _, bound := range []string{"minimum", "maximum"} {
		if number, ok := p.number(bound); ok {
			all = append(all, number)
		}
	}
	for _, bound := range []string{"minLength", "maxLength"} {
		if length, ok := p.number(bound); ok {
			all = append(all, p.textOf(length))
		}
	}
	return all
}

// textOf makes a text of a length, an email address where that is wanted and fits.
func (p place) textOf(length int) string {
	const host = "@example.com"
	if wanted := p.text("format") == "email" || strings.Contains(p.text("pattern"), "@"); wanted && length > len(host) {
		return strings.Repeat("x", length-len(host)) + host
	}
	return strings.Repeat("x", length)
}

// optional returns the members of the body that may be null.
func (op *Operation) optional() []string {
	var names []string
	for name, schema := range op.written.get("properties").members() {
		if schema.mayBeNull() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (p place) mayBeNull() bool {
	return slices.ContainsFunc(p.get("type").elements(), func(kind place) bool { return kind.value == "null" })
}

// violation is a value that breaks one keyword of a schema, and no other where that can be.
type violation struct {
	keyword string
	value   any
}

func (p place) violations() []violation {
	kind := p.text("type")
	if kinds := p.get("type").elements(); len(kinds) > 0 {
		kind, _ = kinds[0].value.(string)
	}
	switch kind {
	case "string":
		return append([]violation{{"type", 17}}, p.textViolations()...)
	case "integer":
		return append([]violation{{"type", "x"}, {"type", 1.5}}, p.numberViolations()...)
	default:
		return []violation{{"type", "x"}}
	}
}

func (p place) numberViolations() []violation {
	var all []violation
	if low, ok := p.number("minimum"); ok {
		all = append(all, violation{"minimum", low - 1})
	}
	if high, ok := p.number("maximum"); ok {
		all = append(all, violation{"maximum", high + 1})
	}
	return all
}

func (p place) textViolations() []violation {
	var all []violation
	if p.get("enum").value != nil {
		all = append(all, violation{"enum", "no-such-word"})
	}
	if p.get("format").value != nil && p.text("format") != "password" {
		all = append(all, violation{"format", "no such thing"})
	}
	if least, ok := p.number("minLength"); ok {
		all = append(all, violation{"minLength", strings.Repeat("x", least-1)})
	}
	if most, ok := p.number("maxLength"); ok {
		all = append(all, violation{"maxLength", p.textOf(most + 1)})
	}
	if pattern := p.text("pattern"); pattern != "" {
		for _, text := range []string{"   ", "not one"} {
			if !regexp.MustCompile(pattern).MatchString(text) {
				all = append(all, violation{"pattern", text})
			}
		}
	}
	return all
}

// Main runs the tests of a package and then asks for every documented answer to have been seen, except 500 and what is
// Rare. It asks only when all tests ran.
func Main(m *testing.M, c *Contract) {
	status := m.Run()
	if status == 0 && ranAll() {
		if unseen := c.unseen(); len(unseen) > 0 {
			fmt.Printf("FAIL: no test has seen these documented answers: %s\n", strings.Join(unseen, ", "))
			status = 1
		}
	}
	os.Exit(status)
}

func ranAll() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

func (c *Contract) unseen() []string {
	var all []string
	for _, op := range c.operations {
		for status, answer := range op.answers {
			name := op.ID + " " + strconv.Itoa(status)
			if answer.seen == 0 && status != http.StatusInternalServerError && !slices.Contains(c.Rare, name) {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return all
}
