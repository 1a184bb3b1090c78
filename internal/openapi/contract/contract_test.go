package contract

import (
	"fmt"
	"strings"
	"testing"

	"yett/internal/exchange"
)

// desk is a document as services have them.
const desk = `
openapi: 3.1.0
info: {title: Desk, version: "1"}
servers: [{url: https://desk.example.com/v1}]
paths:
  /tickets:
    parameters:
      - {name: X-Tenant, in: header, required: true, schema: {type: string, pattern: "^[a-z]{2,8}$"}}
    get:
      operationId: listTickets
      parameters:
        - {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 100}}
        - {name: status, in: query, explode: false, schema: {type: array, items: {enum: [open, closed]}, maxItems: 2}}
        - {name: tag, in: query, schema: {type: array, items: {type: string, maxLength: 5}, minItems: 1}}
        - {name: ids, in: query, style: pipeDelimited, explode: false, schema: {type: array, items: {type: integer}, uniqueItems: true}}
        - {name: words, in: query, style: spaceDelimited, explode: false, schema: {type: array, items: {type: string, minLength: 2}}}
        - {name: filter, in: query, style: deepObject, schema: {type: object, properties: {age: {type: integer}, owner: {type: object, properties: {name: {type: string, maxLength: 3}}}}, additionalProperties: false}}
        - {name: page, in: query, schema: {type: object, properties: {from: {type: integer}, to: {type: integer}}, required: [from]}}
        - {name: json, in: query, content: {application/json: {schema: {type: object, required: [a]}}}}
        - {name: verbose, in: query, allowEmptyValue: true, schema: {type: boolean}}
        - {name: since, in: query, schema: {type: string, format: date-time}}
        - {name: "größe", in: query, schema: {type: number, exclusiveMinimum: 0.5}}
        - {name: either, in: query, schema: {anyOf: [{type: integer, maximum: 9}, {enum: [all]}]}}
        - {name: session, in: cookie, schema: {type: string, minLength: 4}}
        - {name: Authorization, in: header, required: true, schema: {type: string, maxLength: 1}}
        - {name: X-Ids, in: header, schema: {type: array, items: {type: integer}, maxItems: 3}}
        - {name: X-Key, in: header, schema: {type: integer, maximum: 5}}
      responses:
        "200":
          description: ok
          headers:
            X-Total: {required: true, schema: {type: integer, minimum: 0}}
          content:
            application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Ticket"}}}
        "204": {description: none}
        4XX: {description: wrong, content: {application/problem+json: {schema: {type: object, required: [error]}}}}
    post:
      operationId: createTicket
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: "#/components/schemas/Ticket"}}
          application/x-www-form-urlencoded:
            schema: {type: object, required: [title], properties: {title: {type: string, maxLength: 10}, count: {type: integer}, tags: {type: array, items: {type: string}}, price: {type: object, required: [cents], properties: {cents: {type: integer}}}}, additionalProperties: false}
          multipart/form-data:
            schema: {type: object, required: [file], properties: {file: {type: string, maxLength: 20}, note: {type: integer}, meta: {type: object, required: [a]}}}
            encoding: {file: {contentType: "image/*, text/plain"}}
          text/plain: {schema: {type: string, maxLength: 5}}
          application/octet-stream: {}
      responses: {"201": {description: made}, default: {description: else}}
  /tickets/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer, format: int64, minimum: 1}}]
    get: {operationId: readTicket, responses: {"200": {description: ok}}}
    delete: {operationId: deleteTicket, responses: {"204": {description: gone}}}
    patch:
      operationId: changeTicket
      requestBody: {content: {application/merge-patch+json: {schema: {type: object, minProperties: 1}}}}
      responses: {"200": {description: ok}}
  /tickets/mine:
    get: {operationId: myTickets, responses: {"200": {description: ok}}}
  /tickets/{ticket}/comments/{comment}:
    parameters:
      - {name: ticket, in: path, required: true, schema: {type: integer}}
      - {name: comment, in: path, required: true, schema: {type: string, format: uuid}}
    get: {operationId: readComment, responses: {"200": {description: ok}}}
  /files/{name}.{ext}:
    parameters:
      - {name: name, in: path, required: true, schema: {type: string, maxLength: 8}}
      - {name: ext, in: path, required: true, schema: {enum: [pdf, png]}}
    get: {operationId: readFile, responses: {"200": {description: ok}}}
  /shapes/{a}/{b}/{c}/{d}:
    parameters:
      - {name: a, in: path, required: true, schema: {type: array, items: {type: integer}, maxItems: 2}}
      - {name: b, in: path, required: true, style: label, explode: true, schema: {type: array, items: {type: integer}}}
      - {name: c, in: path, required: true, style: matrix, schema: {type: integer}}
      - {name: d, in: path, required: true, explode: true, schema: {type: object, properties: {x: {type: integer}}, required: [x]}}
    get: {operationId: readShapes, responses: {"200": {description: ok}}}
components:
  schemas:
    Ticket:
      type: object
      required: [id, title, priority]
      additionalProperties: false
      properties:
        id: {type: integer, readOnly: true}
        title: {type: string, minLength: 1, maxLength: 20}
        priority: {enum: [low, high]}
        price: {type: number, minimum: 0.01, multipleOf: 0.01}
        due: {type: [string, "null"], format: date}
        owner: {$ref: "#/components/schemas/Person"}
        secret: {type: string, writeOnly: true}
        tags: {type: array, items: {type: string}, uniqueItems: true, maxItems: 3}
        parent: {$ref: "#/components/schemas/Ticket"}
        source:
          oneOf:
            - {type: object, required: [kind, mail], properties: {kind: {const: mail}, mail: {type: string, format: email}}}
            - {type: object, required: [kind, number], properties: {kind: {const: phone}, number: {type: string, pattern: "^\\+?[0-9]+$"}}}
    Person:
      type: object
      required: [name]
      properties: {name: {type: string}, mail: {type: string, format: email}}
`

// said writes violations in one line.
func said(list []Violation) string {
	var lines []string
	for _, v := range list {
		lines = append(lines, v.In+" "+v.Pointer+" "+v.Message)
	}
	return strings.Join(lines, "; ")
}

func TestRequests(t *testing.T) {
	c := compile(t, desk)
	const json = "Content-Type: application/json"
	const form = "Content-Type: application/x-www-form-urlencoded"
	const tenant = "X-Tenant: acme"
	const ok = `{"title":"a","priority":"low"`
	tests := []struct {
		line, head, body string
		want             string
	}{
		// parameters
		{"GET /v1/tickets", tenant, "", ""},
		{"GET /v1/tickets", "", "", "header /X-Tenant is missing"},
		{"GET /v1/tickets", "X-Tenant: Acme", "", "header /X-Tenant does not match the pattern ^[a-z]{2,8}$"},
		{"GET /v1/tickets?limit=1&other=x", tenant, "", ""},
		{"GET /v1/tickets?limit=0", tenant, "", "query /limit is 0, the least is 1"},
		{"GET /v1/tickets?limit=101", tenant, "", "query /limit is 101, the most is 100"},
		{"GET /v1/tickets?limit=ten", tenant, "", "query /limit has to be a whole number"},
		{"GET /v1/tickets?limit=", tenant, "", "query /limit has to be a whole number"},
		{"GET /v1/tickets?limit=1.5", tenant, "", "query /limit has to be a whole number"},
		{"GET /v1/tickets?limit=1.0", tenant, "", ""},
		{"GET /v1/tickets?limit=%31%30", tenant, "", ""},
		{"GET /v1/tickets?limit=%3", tenant, "", "query /limit has a wrong percent-encoding"},
		{"GET /v1/tickets?limit=1e999999", tenant, "", "query /limit has too many digits, or too large an exponent"},
		{"GET /v1/tickets?limit=1&limit=2", tenant, "", "query /limit is there more than once"},
		{"GET /v1/tickets?status=open,closed", tenant, "", ""},
		{"GET /v1/tickets?status=open,shut", tenant, "", "query /status/1 has to be one of open, closed"},
		{"GET /v1/tickets?status=open,open,open", tenant, "", "query /status has 3 items, the most is 2"},
		{"GET /v1/tickets?tag=a&tag=b%20c", tenant, "", ""},
		{"GET /v1/tickets?tag=a&tag=abcdef", tenant, "", "query /tag/1 has 6 characters, the most is 5"},
		{"GET /v1/tickets?tag=%FF", tenant, "", "query /tag is not UTF-8"},
		{"GET /v1/tickets?ids=1|2%7C3", tenant, "", ""},
		{"GET /v1/tickets?ids=1|1", tenant, "", "query /ids has the same item at 0 and 1"},
		{"GET /v1/tickets?words=ab%20cd+ef", tenant, "", ""},
		{"GET /v1/tickets?words=ab%20c", tenant, "", "query /words/1 has 1 character, the least is 2"},
		{"GET /v1/tickets?filter[age]=3&filter%5Bowner%5D[name]=ann", tenant, "", ""},
		{"GET /v1/tickets?filter[age]=x&filter[size]=1&filter[owner][name]=anna", tenant, "", "query /filter/age has to be a whole number; query /filter/owner/name has 4 characters, the most is 3; query /filter/size is not known here"},
		{"GET /v1/tickets?filter[age=3", tenant, "", "query /filter has brackets that are not closed"},
		{"GET /v1/tickets?filter[a][b][c][d][e][f]=3", tenant, "", "query /filter has more than 5 pairs of brackets"},
		{"GET /v1/tickets?from=1&to=2", tenant, "", ""},
		{"GET /v1/tickets?to=x", tenant, "", "query /page/from is missing; query /page/to has to be a whole number"},
		{"GET /v1/tickets?json=%7B%22a%22:1%7D", tenant, "", ""},
		{"GET /v1/tickets?json=%7B%7D", tenant, "", "query /json/a is missing"},
		{"GET /v1/tickets?json=%7B", tenant, "", "query /json is not JSON: it ends too early, at byte 1"},
		{"GET /v1/tickets?verbose&since=2026-01-31T13:45:00Z", tenant, "", ""},
		{"GET /v1/tickets?verbose=yes&since=today", tenant, "", "query /since is not a time of RFC 3339, such as 2026-01-31T13:45:00Z; query /verbose has to be true or false"},
		{"GET /v1/tickets?gr%C3%B6%C3%9Fe=0.51", tenant, "", ""},
		{"GET /v1/tickets?gr%C3%B6%C3%9Fe=0.50", tenant, "", "query /größe is 0.5, it has to be more than 0.5"},
		{"GET /v1/tickets?either=9", tenant, "", ""},
		{"GET /v1/tickets?either=all", tenant, "", ""},
		{"GET /v1/tickets?either=10", tenant, "", "query /either fits none of the 2 alternatives"},
		{"GET /v1/tickets", tenant + "|Cookie: a=b; session=abcd", "", ""},
		{"GET /v1/tickets", tenant + "|Cookie: session=abc", "", "cookie /session has 3 characters, the least is 4"},
		{"GET /v1/tickets", tenant + "|X-Ids: 1, 2|x-ids: 3", "", ""},
		{"GET /v1/tickets", tenant + "|X-Ids: 1, 2|x-ids: 3,x", "", "header /X-Ids has 4 items, the most is 3; header /X-Ids/3 has to be a whole number"},
		{"GET /v1/tickets", tenant + "|X-Key: 4711", "", "header /X-Key is out of range: the most is 5"},
		// paths
		{"GET /v1/tickets/1", "", "", ""},
		{"GET /v1/tickets/mine", "", "", ""},
		{"GET /v1/tickets/0", "", "", "path /id is 0, the least is 1"},
		{"GET /v1/tickets/9223372036854775808", "", "", "path /id is not a whole number of 64 bits"},
		{"GET /v1/tickets/x%2Fy", "", "", "path /id has to be a whole number"},
		{"HEAD /v1/tickets/7", "", "", ""},
		{"GET /v1/tickets/7/comments/12345678-1234-1234-1234-123456789abc", "", "", ""},
		{"GET /v1/tickets/x/comments/1", "", "", "path /comment is not a UUID; path /ticket has to be a whole number"},
		{"GET /v1/files/report.pdf", "", "", ""},
		{"GET /v1/files/reporting.exe", "", "", "path /ext has to be one of pdf, png; path /name has 9 characters, the most is 8"},
		{"GET /v1/shapes/1,2/.3.4/;c=5/x=6", "", "", ""},
		{"GET /v1/shapes/1,2,3/3/;c=y/x=z", "", "", "path /a has 3 items, the most is 2; path /b has to begin with .; path /c has to be a whole number; path /d/x has to be a whole number"},
		// bodies
		{"POST /v1/tickets", tenant + "|" + json, ok + `}`, ""},
		{"POST /v1/tickets", tenant + "|Content-Type: Application/JSON; charset=utf-8", ok + `,"due":null,"price":0.29,"id":7}`, ""},
		{"POST /v1/tickets", tenant, "", "body  is missing"},
		{"POST /v1/tickets", tenant, "{}", "header /Content-Type is missing; it can be application/json, application/x-www-form-urlencoded, multipart/form-data, text/plain or application/octet-stream"},
		{"POST /v1/tickets", tenant + "|Content-Type: application/xml", "<a/>", "header /Content-Type has to be application/json, application/x-www-form-urlencoded, multipart/form-data, text/plain or application/octet-stream"},
		{"POST /v1/tickets", tenant + "|" + json, `{"title":"","priority":"mid","more":1}`, "body /more is not known here; body /priority has to be one of low, high; body /title has 0 characters, the least is 1"},
		{"POST /v1/tickets", tenant + "|" + json, `{}`, "body /priority is missing; body /title is missing"},
		{"POST /v1/tickets", tenant + "|" + json, `[]`, "body  has to be an object, not an array"},
		{"POST /v1/tickets", tenant + "|" + json, ok + `,"price":0}`, "body /price is 0, the least is 0.01"},
		{"POST /v1/tickets", tenant + "|" + json, ok + `,"price":0.015}`, "body /price is 0.015, it has to be a multiple of 0.01"},
		{"POST /v1/tickets", tenant + "|" + json, ok + `,"due":"2026-02-30"}`, "body /due is not a date, such as 2026-01-31"},
		{"POST /v1/tickets", tenant + "|" + json, ok + `,"due":5}`, "body /due has to be null or a text"},
		{"POST /v1/tickets", tenant + "|" + json, ok + `,"owner":{"mail":"x"}}`, "body /owner/mail is not a mail address; body /owner/name is missing"},
		{"POST /v1/tickets", tenant + "|" + json, ok + `,"tags":["a","b","a"]}`, "body /tags has the same item at 0 and 2"},
		{"POST /v1/tickets", tenant + "|" + json, ok + `,"parent":` + ok + `,"parent":{"title":"x"}}}`, "body /parent/parent/priority is missing"},
		{"POST /v1/tickets", tenant + "|" + json, ok + `,"source":{"kind":"phone","number":"+49"}}`, ""},
		{"POST /v1/tickets", tenant + "|" + json, ok + `,"source":{"kind":"phone","number":"x"}}`, `body /source/number does not match the pattern ^\+?[0-9]+$`},
		{"POST /v1/tickets", tenant + "|" + json, ok + `,"source":{"kind":"fax"}}`, "body /source fits none of the 2 alternatives"},
		{"POST /v1/tickets", tenant + "|" + json, ok + `,"title":"b"}`, "body /title is there more than once"},
		{"POST /v1/tickets", tenant + "|" + json, ok, "body  is not JSON: it ends too early, at byte 29"},
		{"POST /v1/tickets", tenant + "|" + json, "{\"title\":\"\xff\"}", "body  is not JSON: it is not UTF-8, at byte 10"},
		{"POST /v1/tickets", tenant + "|" + json, `{"title":"\ud800"}`, "body  is not JSON: it has half of a surrogate pair in a text, at byte 10"},
		{"POST /v1/tickets", tenant + "|" + form, "title=a+b&count=5&tags=x&tags=y&price=%7B%22cents%22:1%7D", ""},
		{"POST /v1/tickets", tenant + "|" + form, "count=x&price=%7B%7D&z=1", "body /count has to be a whole number; body /price/cents is missing; body /title is missing; body /z is not known here"},
		{"POST /v1/tickets", tenant + "|" + form, "title=a&title=b", "body /title is there more than once"},
		{"POST /v1/tickets", tenant + "|Content-Type: text/plain", "grüße", ""},
		{"POST /v1/tickets", tenant + "|Content-Type: text/plain", "grüßen", "body  has 6 characters, the most is 5"},
		{"POST /v1/tickets", tenant + "|Content-Type: application/octet-stream", "\x00\xff", ""},
		{"POST /v1/tickets", tenant + "|Content-Type: multipart/form-data; boundary=B", parts1("file=hello", "note=5", `meta={"a":1}`), ""},
		{"POST /v1/tickets", tenant + "|Content-Type: multipart/form-data; boundary=B", parts1("note=x", `meta={}`), "body /file is missing; body /meta/a is missing; body /note has to be a whole number"},
		{"POST /v1/tickets", tenant + "|Content-Type: multipart/form-data", parts1("note=x"), "header /Content-Type lacks the boundary of the parts"},
		{"POST /v1/tickets", tenant + "|Content-Type: multipart/form-data; boundary=C", parts1("note=x"), "body  is no multipart/form-data that can be read"},
		{"PATCH /v1/tickets/1", "Content-Type: application/merge-patch+json", `{"a":1}`, ""},
		{"PATCH /v1/tickets/1", "Content-Type: application/merge-patch+json", `{}`, "body  has 0 members, the least is 1"},
		{"PATCH /v1/tickets/1", "", ``, ""},
	}
	for _, tt := range tests {
		method, target, _ := strings.Cut(tt.line, " ")
		path, query, _ := strings.Cut(target, "?")
		o, _ := c.Match(method, path)
		if o == nil {
			t.Errorf("%s: no operation", tt.line)
			continue
		}
		x := request(method, path, query, tt.body, fields(tt.head)...)
		if got := said(o.CheckRequest(x, path, bytesOf(tt.body))); got != tt.want {
			t.Errorf("%s %s\n%s\n got %s\nwant %s", tt.line, tt.head, tt.body, got, tt.want)
		}
	}
	t.Logf("%d requests", len(tests))
}

// fields takes "Name: value|Name: value" apart.
func fields(head string) (list []string) {
	for line := range strings.SplitSeq(head, "|") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			list = append(list, name, value)
		}
	}
	return list
}

// parts1 writes the parts of a form with the boundary B.
func parts1(pairs ...string) string {
	var b strings.Builder
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		fmt.Fprintf(&b, "--B\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", name, value)
	}
	return b.String() + "--B--\r\n"
}

func TestAnswers(t *testing.T) {
	c := compile(t, desk)
	list, _ := c.Match("GET", "/v1/tickets")
	create, _ := c.Match("POST", "/v1/tickets")
	const good = `[{"id":1,"title":"a","priority":"low"}]`
	tests := []struct {
		op         *Operation
		status     int
		head, body string
		want       string
	}{
		{list, 200, "X-Total: 1|Content-Type: application/json", good, ""},
		{list, 200, "X-Total: x|Content-Type: application/json", `[{"title":"a","priority":"low","secret":"s"}]`, "header /X-Total has to be a whole number; body /0/id is missing"},
		{list, 200, "Content-Type: text/html", good, "header /Content-Type has to be application/json; header /X-Total is missing"},
		{list, 200, "X-Total: 1|Content-Type: application/json", "-", "body  is missing"},
		{list, 200, "X-Total: 1", "", ""},
		{list, 204, "", "-", ""},
		{list, 404, "Content-Type: application/problem+json", `{}`, "body /error is missing"},
		{list, 503, "", "", "status  503 is not there in the document"},
		{create, 503, "", "x", ""},
	}
	for _, tt := range tests {
		var h exchange.Header
		f := fields(tt.head)
		for i := 0; i < len(f); i += 2 {
			h.Add(f[i], f[i+1])
		}
		body := bytesOf(tt.body)
		if tt.body == "-" { // read, and empty
			body = []byte{}
		}
		if got := said(tt.op.CheckAnswer(tt.status, &h, body)); got != tt.want {
			t.Errorf("%d %s %s\n got %s\nwant %s", tt.status, tt.head, tt.body, got, tt.want)
		}
	}
}

func TestMatch(t *testing.T) {
	c := compile(t, desk)
	tests := []struct {
		method, path, id string
		known            bool
	}{
		{"GET", "/v1/tickets", "listTickets", true},
		{"HEAD", "/v1/tickets", "listTickets", true},
		{"PUT", "/v1/tickets", "", true},
		{"BREW", "/v1/tickets", "", true},
		{"GET", "/v1/tickets/", "", false},
		{"GET", "/v1/tickets/mine", "myTickets", true},
		{"DELETE", "/v1/tickets/mine", "deleteTicket", true},
		{"GET", "/v1/tickets/mine/comments/1", "readComment", true},
		{"GET", "/v1/tickets/1/comments", "", false},
		{"GET", "/tickets", "", false},
		{"GET", "/v1/files/a.b.pdf", "readFile", true},
		{"GET", "/v1/files/.pdf", "", false},
		{"GET", "/v1/files/pdf.", "", false},
		{"GET", "", "", false},
		{"GET", "*", "", false},
		{"GET", "/", "", false},
	}
	for _, tt := range tests {
		op, known := c.Match(tt.method, tt.path)
		id := ""
		if op != nil {
			id = op.ID
		}
		if id != tt.id || known != tt.known {
			t.Errorf("%s %s: %q %v, want %q %v", tt.method, tt.path, id, known, tt.id, tt.known)
		}
	}
	for i, o := range c.Operations() {
		if o.Number != i {
			t.Errorf("%s has number %d, not %d", o.ID, o.Number, i)
		}
	}
}

func TestAppendViolations(t *testing.T) {
	list := []Violation{{"body", "/a~1b", `has to be one of "x y"`}, {"query", "/ü", "is missing"}}
	const want = `[{"in":"body","pointer":"/a~1b","message":"has to be one of \"x y\""},{"in":"query","pointer":"/ü","message":"is missing"}]`
	if got := string(AppendViolations([]byte("-"), list)); got != "-"+want {
		t.Errorf("got %s", got)
	}
	if got := string(AppendViolations(nil, nil)); got != "[]" {
		t.Errorf("nothing is %s", got)
	}
}

// What only one side sends is required of that side alone, whichever way it is said.
func TestReadOnlyAndWriteOnly(t *testing.T) {
	c := compile(t, `
openapi: 3.1.0
info: {title: t, version: "1"}
paths:
  /a:
    post:
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/A"}}}}
      responses: {"200": {description: x, content: {application/json: {schema: {$ref: "#/components/schemas/A"}}}}}
components:
  schemas:
    Id: {type: integer, readOnly: true}
    Base: {type: object, properties: {id: {$ref: "#/components/schemas/Id"}, pin: {type: string, writeOnly: true}, name: {type: string}}}
    A:
      allOf:
        - {$ref: "#/components/schemas/Base"}
        - {required: [id, pin, name]}
`)
	o, _ := c.Match("POST", "/a")
	var h exchange.Header
	h.Add("Content-Type", "application/json")
	for body, want := range map[string][2]string{
		`{"name":"n","pin":"1"}`:          {"", "body /id is missing"},
		`{"name":"n","id":1}`:             {"body /pin is missing", ""},
		`{"name":"n","id":1,"pin":"1"}`:   {"", ""},
		`{"id":1,"pin":"1"}`:              {"body /name is missing", "body /name is missing"},
		`{"name":"n","pin":"1","id":"x"}`: {"body /id has to be a whole number, not a text", "body /id has to be a whole number, not a text"},
	} {
		got := [2]string{
			said(o.CheckRequest(request("POST", "/a", "", body, "Content-Type", "application/json"), "/a", []byte(body))),
			said(o.CheckAnswer(200, &h, []byte(body))),
		}
		if got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
		for mode := range modes { // the quick path has to know it too
			if good := quickJSON(body, o.body.media[0].check.schema, mode) == yes; good != (want[mode] == "") {
				t.Errorf("%s: quick says %v in mode %d", body, good, mode)
			}
		}
	}
}
