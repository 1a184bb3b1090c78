package diff

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"yett/internal/openapi"
)

const head = "openapi: 3.1.0\ninfo: {title: Desk, version: '1'}\npaths:\n"

// operation is a document of one operation, sends one whose body has a schema, answers one
// whose answer has it.
func operation(members string) string {
	return head + "  /desks/{id}:\n    post: {" + members + "}\n"
}

func sends(schema string) string {
	return operation("requestBody: {content: {application/json: {schema: " + schema + "}}}, responses: {'200': {description: ok}}")
}

func answers(schema string) string {
	return operation("responses: {'200': {description: ok, content: {application/json: {schema: " + schema + "}}}}")
}

func takes(parameters string) string {
	return operation("parameters: [{name: id, in: path, required: true, schema: {type: string}}" + parameters + "], responses: {'200': {description: ok}}")
}

func needs(security string) string {
	return operation("security: "+security+", responses: {'200': {description: ok}}") +
		"components: {securitySchemes: {bearer: {type: http, scheme: bearer}, key: {type: apiKey, in: header, name: k}}}\n"
}

func gives(responses string) string { return operation("responses: {" + responses + "}") }

// gated is a document of one operation with what a gateway says of it, sources one with the
// services it was made of.
func gated(members string) string { return operation("responses: {}, x-yett: {" + members + "}") }

func sources(list string) string { return head + "  {}\nx-yett-sources: [" + list + "]\n" }

// object is a schema of one property a.
func object(a string) string { return "{type: object, properties: {a: " + a + "}}" }

func version30(text string) string { return strings.Replace(text, "3.1.0", "3.0.3", 1) }

// Each change with the verdict on it, worst first; the same for a document of the older
// version is tried too.
var verdicts = []struct{ name, old, new, want string }{
	// What is gone.
	{"path removed", operation("responses: {'200': {description: ok}}"), head + "  /other:\n    get: {responses: {'200': {description: ok}}}\n", "breaking operation-removed, info operation-added"},
	{"operation removed", operation("responses: {'200': {description: ok}}"), strings.Replace(operation("responses: {'200': {description: ok}}"), "post", "put", 1), "breaking operation-removed, info operation-added"},
	{"parameter renamed in the path", takes(""), strings.NewReplacer("{id}", "{no}", "name: id", "name: no").Replace(takes("")), ""},
	{"base path changed", head + "  {}\nservers: [{url: /v1}]\n", head + "  {}\nservers: [{url: /v2}]\n", "breaking base-path-changed"},
	{"server moved", head + "  {}\nservers: [{url: 'https://a.example/v1'}]\n", head + "  {}\nservers: [{url: 'https://b.example/v1/'}]\n", ""},
	{"base path moved into the paths", head + "  /a: {get: {responses: {}}}\nservers: [{url: /v1}]\n", head + "  /v1/a: {get: {responses: {}}}\n", ""},
	{"base path moved out of the paths", head + "  /v1/a: {get: {responses: {}}}\n", head + "  /a: {get: {responses: {}}}\nservers: [{url: 'https://a.example/v1'}]\n", ""},
	{"base path changed above operations", head + "  /a: {get: {responses: {}}}\nservers: [{url: /v1}]\n", head + "  /a: {get: {responses: {}}}\nservers: [{url: /v2}]\n", "breaking base-path-changed"},
	{"base path of one path changed", head + "  /a: {get: {responses: {}}, servers: [{url: /v1}]}\n", head + "  /a: {get: {responses: {}}, servers: [{url: /v2}]}\n", "breaking operation-removed, info operation-added"},
	// Answers.
	{"property removed from an answer", answers(object("{type: string}")), answers("{type: object}"), "warning property-removed"},
	{"required property removed from an answer", answers("{type: object, required: [a], properties: {a: {}}}"), answers("{type: object}"), "breaking property-removed"},
	{"property renamed in an answer", answers(object("{type: string}")), answers("{type: object, properties: {b: {type: string}}}"), "warning property-removed, info property-added"},
	{"property added to an answer", answers("{type: object}"), answers(object("{type: string}")), "info property-added"},
	{"type changed in an answer", answers(object("{type: string}")), answers(object("{type: integer}")), "breaking type-changed"},
	{"type widened in an answer", answers(object("{type: integer}")), answers(object("{type: number}")), "breaking type-changed"},
	{"type narrowed in an answer", answers(object("{type: number}")), answers(object("{type: integer}")), "info type-changed"},
	{"type of a nested item changed", answers("{type: array, items: " + object("{type: string}") + "}"), answers("{type: array, items: " + object("{type: boolean}") + "}"), "breaking type-changed"},
	{"nullable in an answer", answers(object("{type: string}")), answers(object("{type: [string, 'null']}")), "breaking became-nullable"},
	{"not nullable in an answer", answers(object("{type: [string, 'null']}")), answers(object("{type: string}")), "info became-not-nullable"},
	{"nullable by anyOf in an answer", answers(object("{type: string}")), answers(object("{anyOf: [{type: string}, {type: 'null'}]}")), "breaking became-nullable"},
	{"nullable in an answer of 3.0", version30(answers(object("{type: string}"))), version30(answers(object("{type: string, nullable: true}"))), "breaking became-nullable"},
	{"nullable written anew", version30(answers(object("{type: string, nullable: true}"))), answers(object("{type: [string, 'null']}")), ""},
	{"required property became optional in an answer", answers("{type: object, required: [a], properties: {a: {}}}"), answers(object("{}")), "breaking property-became-optional"},
	{"optional property became required in an answer", answers(object("{}")), answers("{type: object, required: [a], properties: {a: {}}}"), "info property-became-required"},
	{"enum value added to an answer", answers(object("{enum: [x]}")), answers(object("{enum: [x, y]}")), "warning enum-value-added"},
	{"enum value removed from an answer", answers(object("{enum: [x, y]}")), answers(object("{enum: [x]}")), "info enum-value-removed"},
	{"enum given up in an answer", answers(object("{type: string, enum: [x]}")), answers(object("{type: string}")), "warning enum-removed"},
	{"length grows in an answer", answers(object("{type: string, maxLength: 5}")), answers(object("{type: string, maxLength: 9}")), "warning constraint-relaxed"},
	{"length shrinks in an answer", answers(object("{type: string, maxLength: 9}")), answers(object("{type: string, maxLength: 5}")), "info constraint-narrowed"},
	{"format widened in an answer", answers(object("{type: integer, format: int32}")), answers(object("{type: integer, format: int64}")), "warning format-changed"},
	{"format changed in an answer", answers(object("{type: string, format: date}")), answers(object("{type: string, format: date-time}")), "breaking format-changed"},
	{"alternative added to an answer", answers("{oneOf: [{type: string}, {type: integer}]}"), answers("{oneOf: [{type: string}, {type: integer}, {type: boolean}]}"), "warning alternative-added"},
	{"property became writeOnly", answers(object("{type: string}")), answers(object("{type: string, writeOnly: true}")), "warning property-removed"},
	{"status removed", gives("'200': {description: ok}, '204': {description: no}"), gives("'200': {description: ok}"), "breaking status-removed"},
	{"error status removed", gives("'200': {description: ok}, '404': {description: no}"), gives("'200': {description: ok}"), "warning status-removed"},
	{"status became a range", gives("'200': {description: ok}"), gives("2XX: {description: ok}"), "info status-added"},
	{"status added", gives("'200': {description: ok}"), gives("'200': {description: ok}, '429': {description: later}"), "info status-added"},
	{"media type removed from an answer", gives("'200': {description: ok, content: {text/plain: {}, text/csv: {}}}"), gives("'200': {description: ok, content: {text/plain: {}}}"), "breaking media-type-removed"},
	{"media type added to an answer", gives("'200': {description: ok, content: {text/plain: {}}}"), gives("'200': {description: ok, content: {text/plain: {}, text/csv: {}}}"), "info media-type-added"},
	{"parameter of a media type", gives("'200': {description: ok, content: {text/plain: {}}}"), gives("'200': {description: ok, content: {text/plain; charset=utf-8: {}}}"), ""},
	{"required header removed", gives("'200': {description: ok, headers: {ETag: {required: true, schema: {type: string}}}}"), gives("'200': {description: ok}"), "breaking required-header-removed"},
	{"header removed", gives("'200': {description: ok, headers: {ETag: {schema: {type: string}}}}"), gives("'200': {description: ok}"), "warning header-removed"},
	{"header spelt otherwise", gives("'200': {description: ok, headers: {ETag: {schema: {type: string}}}}"), gives("'200': {description: ok, headers: {etag: {schema: {type: string}}}}"), ""},
	{"header became optional", gives("'200': {description: ok, headers: {ETag: {required: true, schema: {type: string}}}}"), gives("'200': {description: ok, headers: {ETag: {schema: {type: string}}}}"), "breaking header-became-optional"},
	// Requests.
	{"required property added to a request", sends("{type: object}"), sends("{type: object, required: [a], properties: {a: {}}}"), "breaking required-property-added"},
	{"required property with a default added", sends("{type: object}"), sends("{type: object, required: [a], properties: {a: {default: 1}}}"), "warning required-property-added"},
	{"required property that is readOnly added", sends("{type: object}"), sends("{type: object, required: [a], properties: {a: {readOnly: true}}}"), ""},
	{"optional property added to a request", sends("{type: object}"), sends(object("{}")), "info property-added"},
	{"property became required in a request", sends(object("{}")), sends("{type: object, required: [a], properties: {a: {}}}"), "breaking property-became-required"},
	{"property became optional in a request", sends("{type: object, required: [a], properties: {a: {}}}"), sends(object("{}")), "info property-became-optional"},
	{"property removed from a request", sends(object("{}")), sends("{type: object}"), "warning property-removed"},
	{"property removed from a closed request", sends("{type: object, properties: {a: {}}, additionalProperties: false}"), sends("{type: object, additionalProperties: false}"), "breaking property-removed"},
	{"request closed", sends(object("{}")), sends("{type: object, properties: {a: {}}, additionalProperties: false}"), "breaking additional-properties-closed"},
	{"type changed in a request", sends(object("{type: string}")), sends(object("{type: integer}")), "breaking type-changed"},
	{"type widened in a request", sends(object("{type: integer}")), sends(object("{type: number}")), "info type-changed"},
	{"type set in a request", sends(object("{}")), sends(object("{type: string}")), "breaking type-changed"},
	{"null refused in a request", sends(object("{type: [string, 'null']}")), sends(object("{type: string}")), "breaking became-not-nullable"},
	{"null taken in a request", sends(object("{type: string}")), sends(object("{type: [string, 'null']}")), "info became-nullable"},
	{"enum value removed from a request", sends(object("{enum: [x, y]}")), sends(object("{enum: [x]}")), "breaking enum-value-removed"},
	{"enum value added to a request", sends(object("{enum: [x]}")), sends(object("{enum: [x, y]}")), "info enum-value-added"},
	{"enum added to a request", sends(object("{type: string}")), sends(object("{type: string, enum: [x]}")), "breaking enum-added"},
	{"maximum lowered", sends(object("{type: integer, maximum: 9}")), sends(object("{type: integer, maximum: 5}")), "breaking constraint-narrowed"},
	{"maximum made exclusive", sends(object("{type: integer, maximum: 9}")), sends(object("{type: integer, exclusiveMaximum: 9}")), "breaking constraint-narrowed"},
	{"maximum raised", sends(object("{type: integer, maximum: 5}")), sends(object("{type: integer, maximum: 9}")), "info constraint-relaxed"},
	{"minLength set", sends(object("{type: string}")), sends(object("{type: string, minLength: 1}")), "breaking constraint-narrowed"},
	{"minLength 0 set", sends(object("{type: string}")), sends(object("{type: string, minLength: 0}")), ""},
	{"maxItems dropped", sends(object("{type: array, maxItems: 3}")), sends(object("{type: array}")), "info constraint-relaxed"},
	{"uniqueItems set", sends(object("{type: array}")), sends(object("{type: array, uniqueItems: true}")), "breaking constraint-narrowed"},
	{"pattern set", sends(object("{type: string}")), sends(object("{type: string, pattern: '^a'}")), "breaking pattern-added"},
	{"pattern changed", sends(object("{type: string, pattern: '^a'}")), sends(object("{type: string, pattern: '^b'}")), "warning pattern-changed"},
	{"alternative removed from a request", sends("{oneOf: [{type: string}, {type: integer}, {type: boolean}]}"), sends("{oneOf: [{type: string}, {type: integer}]}"), "breaking alternative-removed"},
	{"default changed", sends(object("{type: integer, default: 1}")), sends(object("{type: integer, default: 2}")), "warning default-changed"},
	{"multipleOf set", sends(object("{type: integer}")), sends(object("{type: integer, multipleOf: 5}")), "breaking condition-added"},
	{"body required", operation("requestBody: {content: {text/plain: {}}}, responses: {}"), operation("requestBody: {required: true, content: {text/plain: {}}}, responses: {}"), "breaking body-became-required"},
	{"required body added", operation("responses: {}"), operation("requestBody: {required: true, content: {text/plain: {}}}, responses: {}"), "breaking required-body-added"},
	{"body removed", operation("requestBody: {content: {text/plain: {}}}, responses: {}"), operation("responses: {}"), "breaking body-removed"},
	{"media type removed from a request", operation("requestBody: {content: {text/plain: {}, text/csv: {}}}, responses: {}"), operation("requestBody: {content: {text/plain: {}}}, responses: {}"), "breaking media-type-removed"},
	// Parameters.
	{"required parameter added", takes(""), takes(", {name: q, in: query, required: true, schema: {}}"), "breaking required-parameter-added"},
	{"optional parameter added", takes(""), takes(", {name: q, in: query, schema: {}}"), "info parameter-added"},
	{"parameter removed", takes(", {name: q, in: query, schema: {}}"), takes(""), "warning parameter-removed"},
	{"parameter moved", takes(", {name: q, in: query, required: true, schema: {}}"), takes(", {name: q, in: header, required: true, schema: {}}"), "breaking parameter-moved"},
	{"optional parameter moved", takes(", {name: Q, in: query, schema: {}}"), takes(", {name: q, in: header, schema: {}}"), "breaking parameter-moved"},
	{"parameter moved, of another type", takes(", {name: q, in: cookie, schema: {type: string}}"), takes(", {name: q, in: header, schema: {type: integer}}"), "breaking parameter-moved, breaking type-changed"},
	{"parameter to be had elsewhere too", takes(", {name: q, in: query, schema: {}}"), takes(", {name: q, in: query, schema: {}}, {name: q, in: header, schema: {}}"), "info parameter-added"},
	{"one of two places gone", takes(", {name: q, in: query, schema: {}}, {name: q, in: header, schema: {}}"), takes(", {name: q, in: header, schema: {}}"), "warning parameter-removed"},
	{"style of a scalar", takes(", {name: q, in: query, style: form, schema: {type: string}}"), takes(", {name: q, in: query, style: pipeDelimited, explode: false, schema: {type: string}}"), ""},
	{"style of what may be a scalar", takes(", {name: q, in: query, schema: {type: [string, array]}}"), takes(", {name: q, in: query, explode: false, schema: {type: [string, array]}}"), "breaking parameter-style-changed"},
	{"style of a scalar that is to be seen", strings.Replace(takes(""), "in: path,", "in: path, style: simple,", 1), strings.Replace(takes(""), "in: path,", "in: path, style: label,", 1), "breaking parameter-style-changed"},
	{"parameter became required", takes(", {name: q, in: query, schema: {}}"), takes(", {name: q, in: query, required: true, schema: {}}"), "breaking parameter-became-required"},
	{"parameter became optional", takes(", {name: q, in: query, required: true, schema: {}}"), takes(", {name: q, in: query, schema: {}}"), "info parameter-became-optional"},
	{"type of a parameter changed", takes(", {name: q, in: query, schema: {type: integer}}"), takes(", {name: q, in: query, schema: {type: boolean}}"), "breaking type-changed"},
	{"style of a parameter changed", takes(", {name: q, in: query, schema: {type: array}}"), takes(", {name: q, in: query, explode: false, schema: {type: array}}"), "breaking parameter-style-changed"},
	{"style of a parameter written out", takes(", {name: q, in: query, schema: {type: array}}"), takes(", {name: q, in: query, style: form, explode: true, schema: {type: array}}"), ""},
	// Security.
	{"security added", operation("responses: {'200': {description: ok}}"), needs("[{bearer: []}]"), "breaking security-added"},
	{"security removed", needs("[{bearer: []}]"), needs("[]"), "info security-relaxed"},
	{"security made optional", needs("[{bearer: []}]"), needs("[{bearer: []}, {}]"), "info security-relaxed"},
	{"scope added", needs("[{bearer: [a]}]"), needs("[{bearer: [a, b]}]"), "breaking security-narrowed"},
	{"scheme added as an alternative", needs("[{bearer: []}]"), needs("[{bearer: []}, {key: []}]"), "info security-relaxed"},
	{"scheme exchanged", needs("[{bearer: []}]"), needs("[{key: []}]"), "breaking security-narrowed"},
	{"name of a key changed", needs("[{key: []}]"), strings.Replace(needs("[{key: []}]"), "name: k", "name: x", 1), "breaking security-scheme-changed"},
	{"scheme of a key given up", needs("[{bearer: []}]"), strings.Replace(needs("[{bearer: []}]"), "type: http, scheme: bearer", "type: apiKey, in: query, name: t", 1), "breaking security-scheme-changed"},
	// The gateway.
	{"roles appear", gated("route: a"), gated("route: b, roles: [admin]"), "breaking roles-added"},
	{"roles appear without an extension", operation("responses: {}"), gated("roles: [admin]"), "breaking roles-added"},
	{"roles vanish", gated("roles: [admin]"), gated("route: a"), "info roles-removed"},
	{"a role does not pass any more", gated("roles: [agent, admin]"), gated("roles: [admin]"), "breaking roles-narrowed"},
	{"a role passes now", gated("roles: [admin]"), gated("roles: [admin, agent]"), "info roles-relaxed"},
	{"roles exchanged", gated("roles: [agent]"), gated("roles: [admin]"), "breaking roles-narrowed, info roles-relaxed"},
	{"roles in another order", gated("roles: [agent, admin]"), gated("roles: [admin, agent]"), ""},
	{"scope asked for", gated("scopes: [read]"), gated("scopes: [read, write]"), "breaking scope-added"},
	{"scope given up", gated("scopes: [read, write]"), gated("scopes: [read]"), "info scope-removed"},
	{"permission asked for", gated("route: a"), gated("permissions: [tickets.read]"), "breaking permission-added"},
	{"permission given up", gated("permissions: [tickets.read]"), operation("responses: {}"), "info permission-removed"},
	{"limit added", gated("limits: [{name: user, rule: 5 in 1 second}]"), gated("limits: [{name: user, rule: 5 in 1 second}, {name: user, rule: 9 in 1 hour}, {name: b, rule: c}]"), "warning limit-added, warning limit-added"},
	{"limit changed", gated("limits: [{name: user, rule: 5 in 1 second}]"), gated("limits: [{name: user, rule: 9 in 1 second}]"), "warning limit-changed"},
	{"limit removed", gated("limits: [{name: user, rule: 5 in 1 second}]"), gated("route: a"), "info limit-removed"},
	{"bodies bounded", gated("route: a"), gated("maxBodyBytes: 1024"), "warning body-limit-lowered"},
	{"bodies of less bytes", gated("maxBodyBytes: 2048"), gated("maxBodyBytes: 1024"), "warning body-limit-lowered"},
	{"bodies of more bytes", gated("maxBodyBytes: 1024"), gated("maxBodyBytes: 2048"), "info body-limit-raised"},
	{"bodies not bounded any more", gated("maxBodyBytes: 1024"), gated("route: a"), "info body-limit-raised"},
	{"what nobody would write", gated("roles: admin, scopes: 3, limits: [3], maxBodyBytes: many"), gated("roles: {}"), ""},
	{"document of a service lost", sources("{service: a, state: good}, {service: b, state: good}"), sources("{service: a, state: waiting}, {service: b, state: good}"), "warning source-state-changed"},
	{"document of a service there", sources("{service: a, state: stale}"), sources("{service: a, state: good}"), "info source-state-changed"},
	{"service gone and come", sources("{service: a, state: good}"), sources("{service: b, state: good}"), "info source-removed, info source-added"},
	{"services of a document that is no gateway's", head + "  {}\n", sources("{service: a, state: good}"), ""},
	// What nobody notices.
	{"descriptions", answers("{type: object, description: a}"), strings.Replace(answers("{type: object, description: b, title: c, example: {}}"), "title: Desk", "title: Disk", 1), ""},
	{"property moved into allOf", answers(object("{type: string}")), answers("{allOf: [" + object("{type: string}") + "]}"), ""},
	{"schema moved to the components", answers(object("{type: string}")), answers("{$ref: '#/components/schemas/D'}") + "components: {schemas: {D: " + object("{type: string}") + "}}\n", ""},
	{"deprecated", gives("'200': {description: ok}"), operation("deprecated: true, responses: {'200': {description: ok}}"), "info operation-deprecated"},
	{"operationId changed", operation("operationId: a, responses: {}"), operation("operationId: b, responses: {}"), "warning operation-id-changed"},
	{"circular schema changed", answers("{$ref: '#/components/schemas/D'}") + "components: {schemas: {D: {type: object, properties: {d: {$ref: '#/components/schemas/D'}, a: {type: string}}}}}\n",
		answers("{$ref: '#/components/schemas/D'}") + "components: {schemas: {D: {type: object, properties: {d: {$ref: '#/components/schemas/D'}, a: {type: integer}}}}}\n", "breaking type-changed"},
}

func parse(t testing.TB, file, text string) *openapi.Document {
	t.Helper()
	d, err := openapi.Parse(file, []byte(strings.ReplaceAll(text, "paths:\n  {}", "paths: {}")), openapi.DefaultLimits())
	if err != nil {
		t.Fatalf("%v of\n%s", err, text)
	}
	return d
}

func TestVerdicts(t *testing.T) {
	for _, tt := range verdicts {
		r, err := Compare(parse(t, "old.yaml", tt.old), parse(t, "new.yaml", tt.new))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		slices.SortStableFunc(r.Changes, func(a, b Change) int { return int(b.Level) - int(a.Level) })
		var got []string
		for _, c := range r.Changes {
			got = append(got, c.Level.String()+" "+c.ID)
			if c.Text == "" || c.Old.File != "old.yaml" || c.New.File != "new.yaml" {
				t.Errorf("%s: %+v", tt.name, c)
			}
		}
		if g := strings.Join(got, ", "); g != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, g, tt.want)
		}
	}
}

// A document has not changed from itself, and is as it was afterwards.
func TestSame(t *testing.T) {
	for _, tt := range verdicts {
		d := parse(t, "d.yaml", tt.old)
		before := d.Root.Clone()
		r, err := Compare(d, parse(t, "d.yaml", tt.old))
		if err != nil || len(r.Changes) > 0 {
			t.Errorf("%s: %v %+v", tt.name, err, r)
		}
		if !d.Root.Equal(before) {
			t.Errorf("%s: the document was changed", tt.name)
		}
	}
}

func TestPlaces(t *testing.T) {
	r, err := Compare(parse(t, "old.yaml", answers(object("{type: string}"))), parse(t, "new.yaml", "\n"+answers(object("{type: integer}"))))
	if err != nil || len(r.Changes) != 1 {
		t.Fatal(err, r)
	}
	c := r.Changes[0]
	if c.Old.String() != "old.yaml:5:117" || c.New.String() != "new.yaml:6:117" || c.Operation != "POST /desks/{id}" ||
		c.Text != "answer 200 at a: the type was string and is integer" {
		t.Errorf("%+v", c)
	}
}

// Texts say what was and what is, and name no key whose value is nothing.
func TestTexts(t *testing.T) {
	basic := needs("[{bearer: []}]")
	for _, tt := range []struct{ old, new, want string }{
		{basic, strings.Replace(basic, "scheme: bearer", "scheme: basic", 1), `the security scheme "bearer" had scheme "bearer" and has scheme "basic"`},
		{strings.Replace(basic, ", scheme: bearer", "", 1), strings.Replace(basic, "scheme: bearer", "scheme: basic", 1), `the security scheme "bearer" had no scheme and has scheme "basic"`},
		{sends(object("{type: string}")), sends(object("{type: string, format: email}")), "request body at a: it has to be of the format email now"},
		{answers(object("{type: string, format: email}")), answers(object("{type: string}")), "answer 200 at a: the format was email, and there is none now"},
		{gated("roles: [agent, admin]"), gated("roles: [admin]"), "callers of the role agent do not pass any more"},
		{gated("maxBodyBytes: 2048"), gated("maxBodyBytes: 1024"), "bodies could have at most 2048 bytes, and can have at most 1024 bytes now"},
		{gated("maxBodyBytes: 2048"), gated("route: a"), "bodies could have at most 2048 bytes, and can have any number of bytes now"},
		{gated("limits: [{name: user, rule: 5 in 1 second}]"), gated("limits: [{name: user, rule: 9 in 1 second}]"), `the limit "user" was 5 in 1 second and is 9 in 1 second`},
	} {
		r, err := Compare(parse(t, "old.yaml", tt.old), parse(t, "new.yaml", tt.new))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Text == tt.want }) {
			t.Errorf("%q is not in %+v", tt.want, r.Changes)
		}
	}
}

// shared is a document of many operations whose answers have a ring of schemas.
func shared(operations, schemas int, kind string) string {
	var b strings.Builder
	b.WriteString(head)
	for i := range operations {
		fmt.Fprintf(&b, "  /p%d: {get: {responses: {'200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/S%d'}}}}}}}\n", i, i%schemas)
	}
	b.WriteString("components:\n  schemas:\n")
	for i := range schemas {
		fmt.Fprintf(&b, "    S%d: {type: object, properties: {next: {$ref: '#/components/schemas/S%d'}, a: {type: string}, b: {type: string}}}\n", i, (i+1)%schemas)
	}
	return strings.Replace(b.String(), "a: {type: string}", "a: {type: "+kind+"}", 1)
}

// What is shared is told once, with how many operations have it.
func TestShared(t *testing.T) {
	r, err := Compare(parse(t, "a", shared(20, 5, "string")), parse(t, "b", shared(20, 5, "integer")))
	if err != nil || len(r.Changes) != 1 {
		t.Fatalf("%v %+v", err, r)
	}
	if c := r.Changes[0]; c.Operation != "GET /p0" || c.More != 19 {
		t.Errorf("%+v", c)
	}
}

// The changes are bounded, the counts are not.
func TestBounded(t *testing.T) {
	r, err := Compare(parse(t, "a", shared(Most+5, 1, "string")), parse(t, "b", head+"  /x: {}\n"))
	if err != nil || len(r.Changes) != Most || r.Counts[Breaking] != Most+5 {
		t.Fatalf("%v %d changes, counts %v", err, len(r.Changes), r.Counts)
	}
}

// Rings of lengths without a common divisor have each schema meet each: that ends.
func TestEntangled(t *testing.T) {
	if _, err := Compare(parse(t, "a", shared(1, 1201, "string")), parse(t, "b", shared(1, 1202, "string"))); err == nil {
		t.Error("two rings were compared in a million ways")
	}
}

func FuzzCompare(f *testing.F) {
	for _, tt := range verdicts {
		f.Add([]byte(tt.old), []byte(tt.new))
	}
	f.Add([]byte(sends("{$ref: '#'}")), []byte(answers("{allOf: 1, required: a, enum: {}, properties: [1], type: {}, oneOf: [1, null]}")))
	f.Fuzz(func(t *testing.T, old, new []byte) {
		most := openapi.Limits{Bytes: 1 << 16, Values: 5000, Depth: 50}
		a, err := openapi.Parse("a", old, most)
		if err != nil {
			return
		}
		if r, err := Compare(a, a); err == nil && len(r.Changes) > 0 {
			t.Errorf("it differs from itself: %+v", r.Changes[0])
		}
		if b, err := openapi.Parse("b", new, most); err == nil {
			_, _ = Compare(a, b)
		}
	})
}

func BenchmarkCompare(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		old, new := parse(b, "a", shared(n, 500, "string")), parse(b, "b", shared(n, 500, "integer"))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if r, err := Compare(old, new); err != nil || len(r.Changes) != 1 {
					b.Fatal(err)
				}
			}
		})
	}
}
