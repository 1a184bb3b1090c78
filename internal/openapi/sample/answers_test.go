package sample

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"yett/internal/openapi"
)

const operations = `
openapi: 3.1.0
info: {title: t, version: '1'}
paths:
  /tickets/{id}:
    get:
      responses:
        '404':
          description: none
          content: {application/problem+json: {schema: {$ref: '#/components/schemas/Problem'}, examples: {gone: {value: {title: Gone, id: x}}}}}
        '200':
          description: one
          headers:
            ETag: {schema: {type: string}, example: '"v1"'}
            X-Count: {schema: {type: integer, minimum: 3}}
            X-List: {schema: {type: array, items: {type: string}}, examples: {a: {value: [a, b]}}}
            Content-Length: {schema: {type: integer}}
            Content-Type: {schema: {type: string}}
            X-Bad: {example: "a\nb"}
            X-Ref: {$ref: '#/components/headers/Ref'}
          content:
            application/json:
              schema: {$ref: '#/components/schemas/Ticket'}
              examples:
                elsewhere: {externalValue: 'https://example.org/x'}
                open: {value: {id: t-1, number: 1, title: First}}
                closed: {$ref: '#/components/examples/Closed'}
            text/plain: {example: a ticket}
            text/csv; charset=utf-8: {schema: {type: string, example: "id,title"}}
            application/xml: {schema: {type: object, properties: {id: {type: string}}}}
        default: {$ref: '#/components/responses/Oops'}
        5XX: {description: busy}
        x-note: {}
    delete: {responses: {'204': {description: gone}}}
    put: {responses: {default: {description: any, content: {'*/*': {schema: {type: object, properties: {id: {type: integer}, ok: {type: boolean}}}}}}}}
    patch: {responses: {2XX: {description: fine, content: {application/json: {example: '{"a": 1}', schema: {type: object}}}}}}
    post: {responses: {'201': {description: made, content: {application/xml: {schema: {type: object}}, application/json: {schema: {$ref: '#/components/schemas/Endless'}}}}}}
    options: {responses: {'302': {description: moved}}}
    trace: {responses: {}}
components:
  headers: {Ref: {schema: {const: here}}}
  examples: {Closed: {value: {id: t-2, number: 2, title: Last}}}
  responses: {Oops: {description: oops, content: {application/json: {example: {error: oops}}}}}
  schemas:
    Ticket: {type: object, additionalProperties: false, properties: {id: {type: string, pattern: '^t-[0-9]+$'}, number: {type: integer, maximum: 99}, title: {type: string}, password: {type: string, writeOnly: true}}}
    Problem: {type: object, properties: {title: {type: string}, id: {type: string}}}
    Endless: {type: object, required: [a], properties: {a: {$ref: '#/components/schemas/Endless'}}}
`

func operation(d *openapi.Document, method string) *openapi.Node {
	return d.Root.At("paths", "/tickets/{id}", method)
}

func TestAnswer(t *testing.T) {
	d := parse(t, "t.yaml", operations)
	const open = `200 application/json {"id":"t-1","number":1,"title":"First"}`
	tests := []struct {
		method string
		want   Want
		reply  string // or the error
	}{
		{"get", Want{}, open},
		{"get", Want{Status: 200}, open},
		{"get", Want{Example: "closed"}, `200 application/json {"id":"t-2","number":2,"title":"Last"}`},
		{"get", Want{Example: "gone"}, `404 application/problem+json {"title":"Gone","id":"x"}`},
		{"get", Want{Status: 200, Example: "gone"}, "there is no such example; documented are open, closed"},
		{"get", Want{Example: "elsewhere"}, "there is no such example; documented are open, closed"},
		{"get", Want{Status: 404}, `404 application/problem+json {"title":"Gone","id":"x"}`},
		{"get", Want{Status: 418}, `418 application/json {"error":"oops"}`},
		{"get", Want{Status: 503}, `503  `},
		{"get", Want{Status: 503, Example: "x"}, "there is no such example; documented are none"},
		{"get", Want{Accept: "text/plain"}, "200 text/plain a ticket"},
		{"get", Want{Accept: "text/*"}, "200 text/plain a ticket"},
		{"get", Want{Accept: "text/*, text/plain;q=0"}, "200 text/csv; charset=utf-8 id,title"},
		{"get", Want{Accept: "application/json;q=0.5, TEXT/CSV"}, "200 text/csv; charset=utf-8 id,title"},
		{"get", Want{Accept: "text/csv;charset=ascii"}, "no content is acceptable; documented are application/json, text/plain, text/csv; charset=utf-8, application/xml"},
		{"get", Want{Accept: "image/png"}, "no content is acceptable; documented are application/json, text/plain, text/csv; charset=utf-8, application/xml"},
		{"get", Want{Accept: "image/png, */*;q=0.1"}, open},
		{"get", Want{Accept: "text/plain", Example: "closed"}, "no content is acceptable; documented are application/json, text/plain, text/csv; charset=utf-8, application/xml"},
		{"get", Want{Accept: "application/xml"}, "no content of type application/xml can be made: there is no example that is a text"},
		{"get", Want{Accept: "application/xml, */*;q=0.1"}, open},
		{"delete", Want{}, "204  "},
		{"delete", Want{Accept: "image/png"}, "204  "},
		{"delete", Want{Status: 200}, "there is no such status; documented are 204"},
		{"put", Want{}, `200 application/json {"id":1,"ok":true}`},
		{"put", Want{Status: 409}, `409 application/json {"id":1,"ok":true}`},
		{"patch", Want{}, `200 application/json {"a": 1}`},
		{"patch", Want{Status: 202}, `202 application/json {"a": 1}`},
		{"patch", Want{Status: 302}, "there is no such status; documented are 2XX"},
		{"post", Want{}, "no content of type application/xml can be made: there is no example that is a text"},
		{"post", Want{Accept: "application/json"}, "no content of type application/json can be made: " + ErrEndless.Error()},
		{"options", Want{}, "302  "},
		{"trace", Want{}, "there is no such status; documented are none"},
		{"trace", Want{Status: 2}, "there is no such status; documented are none"},
	}
	for _, tt := range tests {
		r, err := Compile(d, operation(d, tt.method)).Reply(tt.want)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprintf("%d %s %s", r.Status, r.ContentType, r.Body)
		}
		if got != tt.reply {
			t.Errorf("%s %+v:\ngot  %s\nwant %s", tt.method, tt.want, got, tt.reply)
		}
	}
	r, err := Compile(d, operation(d, "get")).Reply(Want{})
	if want := [][2]string{{"ETag", `"v1"`}, {"X-Count", "3"}, {"X-List", "a,b"}, {"X-Ref", "here"}}; err != nil || !slices.Equal(r.Headers, want) {
		t.Errorf("headers are %q, want %q", r.Headers, want)
	}
	if r.Example != "open" || r.FromSchema {
		t.Errorf("made of %q, %v", r.Example, r.FromSchema)
	}
	var none *NoStatusError
	if _, err := Compile(d, operation(d, "delete")).Reply(Want{Status: 404}); !errors.As(err, &none) || !slices.Equal(none.Documented, []string{"204"}) {
		t.Errorf("error %#v", err)
	}
}

func TestPathValues(t *testing.T) {
	d := parse(t, "t.yaml", operations)
	for _, tt := range []struct {
		method string
		want   Want
		values map[string]string
		body   string
	}{
		{"get", Want{}, map[string]string{"id": "t-7"}, `{"id":"t-7","number":1,"title":"First"}`},
		{"get", Want{}, map[string]string{"id": "7"}, `{"id":"t-1","number":1,"title":"First"}`}, // not by the pattern
		{"get", Want{}, map[string]string{"id": "t-7", "number": "42"}, `{"id":"t-7","number":42,"title":"First"}`},
		{"get", Want{}, map[string]string{"number": "100"}, `{"id":"t-1","number":1,"title":"First"}`}, // beyond the maximum
		{"get", Want{}, map[string]string{"number": "1.5"}, `{"id":"t-1","number":1,"title":"First"}`},
		{"get", Want{}, map[string]string{"number": `1,"x":2`}, `{"id":"t-1","number":1,"title":"First"}`},
		{"get", Want{}, map[string]string{"number": " 1"}, `{"id":"t-1","number":1,"title":"First"}`},
		{"get", Want{}, map[string]string{"number": ""}, `{"id":"t-1","number":1,"title":"First"}`},
		{"get", Want{}, map[string]string{"title": "a\"b\r\n</x>"}, `{"id":"t-1","number":1,"title":"a\"b\r\n</x>"}`},
		{"get", Want{}, map[string]string{"title": "\xff"}, `{"id":"t-1","number":1,"title":"First"}`},
		{"get", Want{Status: 404}, map[string]string{"id": "t-7"}, `{"title":"Gone","id":"x"}`},
		{"put", Want{}, map[string]string{"id": "12", "ok": "false"}, `{"id":12,"ok":true}`},
	} {
		want := tt.want
		want.Value = func(name string) (string, bool) { v, ok := tt.values[name]; return v, ok }
		r, err := Compile(d, operation(d, tt.method)).Reply(want)
		if err != nil || string(r.Body) != tt.body {
			t.Errorf("%s %q: %v\ngot  %s\nwant %s", tt.method, tt.values, err, r.Body, tt.body)
		}
	}
}

// One answer for all is not changed by those who want another value in it.
func TestAnswersAreShared(t *testing.T) {
	d := parse(t, "t.yaml", operations)
	a := Compile(d, operation(d, "get"))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id := fmt.Sprintf("t-%d", i)
			for range 50 {
				r, err := a.Reply(Want{Value: func(string) (string, bool) { return id, true }})
				if err != nil || !strings.Contains(string(r.Body), `"`+id+`"`) {
					t.Errorf("%s, %v", r.Body, err)
				}
				if r, err := a.Reply(Want{}); err != nil || !strings.Contains(string(r.Body), `"t-1"`) {
					t.Errorf("%s, %v", r.Body, err)
				}
			}
		})
	}
	wg.Wait()
	for _, mediaType := range []string{"text/plain", "application/json", "text/plain", "text/csv; charset=utf-8"} { // what one gets is not for another
		if r, err := a.Reply(Want{Accept: mediaType}); err != nil || r.ContentType != mediaType {
			t.Errorf("%s: %v, %v", mediaType, r, err)
		}
	}
	for code := range 1000 { // each its own answer, of which not all are kept
		if r, err := a.Reply(Want{Status: 400 + code%199}); err != nil || r.Status != 400+code%199 {
			t.Fatal(r, err)
		}
	}
}

func TestQuality(t *testing.T) {
	for _, tt := range []struct {
		accept, mediaType string
		want              int
	}{
		{"", "a/b", 1000}, {"*/*", "a/b", 1000}, {"a/*", "a/b", 1000}, {"a/b", "A/B", 1000}, {"a/b", "a/c", 0}, {"b/*", "a/b", 0},
		{"a/b;q=0.5", "a/b", 500}, {"a/b;q=0.1234", "a/b", 0}, {"a/b;q=1.000", "a/b", 1000}, {"a/b;q=2", "a/b", 0}, {"a/b;q=x", "a/b", 0}, {"a/b;q=", "a/b", 0}, {"a/b;q=0.x", "a/b", 0},
		{"*/*;q=0.1, a/*;q=0.2, a/b;q=0.3", "a/b", 300}, {"a/b;q=0, */*", "a/b", 0}, {"a/b;q=0, */*", "a/c", 1000},
		{`a/b;x="1,2";q=0.4`, `a/b;x="1,2"`, 400}, {`a/b;x=1;q=0.4, a/b;q=0.2`, "a/b; X=1", 400}, {"a/b;x=2", "a/b;x=1", 0}, {"a/b ; q=0.7", "a/b", 700},
		{"a", "a/b", 0}, {",,", "a/b", 0}, {"/", "a/b", 0}, {"*", "a/b", 0}, {"/*", "a/b", 0}, {`"`, "a/b", 0}, {`"\`, "a/b", 0}, {"aa/*", "a/b", 0}, {"a/*", "aa/b", 0},
	} {
		if got := quality(tt.accept, tt.mediaType); got != tt.want {
			t.Errorf("quality(%q, %q) = %d, want %d", tt.accept, tt.mediaType, got, tt.want)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	if raceDetector {
		t.Skip("allocations can't be counted under the race detector")
	}
	d := parse(t, "t.yaml", operations)
	for method, want := range map[string]Want{
		"get": {Example: "closed", Accept: "text/html, application/json;q=0.9, */*;q=0.1"}, "delete": {}, "put": {Status: 409},
	} {
		a := Compile(d, operation(d, method))
		if n := testing.AllocsPerRun(100, func() { _, _ = a.Reply(want) }); n != 0 {
			t.Errorf("%s: %v allocations", method, n)
		}
	}
}

func BenchmarkReply(b *testing.B) {
	d := parse(b, "t.yaml", operations)
	a := Compile(d, operation(d, "get"))
	id := func(name string) (string, bool) { return "t-7", name == "id" }
	for name, want := range map[string]Want{
		"cached": {Accept: "application/json"}, "negotiated": {Accept: "text/html, application/json;q=0.9, */*;q=0.1"}, "with a path value": {Value: id},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Reply(want); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkValue(b *testing.B) {
	d := parse(b, "testdata/tickets.yaml", readFile(b, "testdata/tickets.yaml"))
	for b.Loop() {
		if _, err := Value(d, schemaOf(d, "TicketPage"), ForAnswer); err != nil {
			b.Fatal(err)
		}
	}
}
