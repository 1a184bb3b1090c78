package contract

import (
	"testing"

	"yett/internal/exchange"
)

const twofold = `
openapi: 3.1.0
info: {title: t, version: "1"}
paths:
  /a:
    post:
      parameters:
        - {name: c, in: cookie, schema: {type: integer}}
        - {name: list, in: cookie, schema: {type: array, items: {type: integer}}, explode: false}
      requestBody:
        content:
          application/octet-stream: {}
          application/json: {schema: {type: object, required: [a]}}
          text/plain: {schema: {type: string, maxLength: 3}}
          application/x-www-form-urlencoded: {schema: {type: object, required: [a]}}
          multipart/form-data: {schema: {type: object, properties: {a: {type: string}}}}
      responses:
        200: {description: d, content: {application/json: {schema: {type: object}}, text/plain: {schema: {type: string, maxLength: 3}}}}
`

// What may be read in two ways is refused, or said not to be checked.
func TestReadTwice(t *testing.T) {
	o, _ := compile(t, twofold).Match("POST", "/a")
	const charset = "header /Content-Type has a charset that JSON can't be in: it is UTF-8"
	tests := []struct {
		fields []string
		body   string
		look   Look
		want   string
	}{
		{[]string{"Content-Type", "application/json"}, `{}`, Wanted, "body /a is missing"},
		{[]string{"Content-Type", "application/octet-stream", "Content-Type", "application/json"}, `{}`, Untouched, "header /Content-Type is there more than once"},
		{[]string{"Content-Type", "application/json", "Content-Type", "application/json"}, `{"a":1}`, Untouched, "header /Content-Type is there more than once"},
		{[]string{"Content-Type", "image/png", "content-type", "application/json"}, `{}`, Untouched, "header /Content-Type is there more than once"},
		{[]string{"Content-Type", "application/octet-stream, application/json"}, `{}`, Untouched, "header /Content-Type has to be application/octet-stream, application/json, text/plain, application/x-www-form-urlencoded or multipart/form-data"},
		{[]string{"Content-Type", "application/json; charset=UTF-8"}, `{"a":1}`, Wanted, ""},
		{[]string{"Content-Type", `application/json;charset="utf-8"`}, `{"a":1}`, Wanted, ""},
		{[]string{"Content-Type", "application/json; charset=us-ascii"}, `{"a":1}`, Wanted, ""},
		{[]string{"Content-Type", "application/json; charset=utf-16"}, `{"a":1}`, Untouched, charset},
		{[]string{"Content-Type", "application/json; charset=utf-8; charset=utf-7"}, `{"a":1}`, Untouched, charset},
		{[]string{"Content-Type", "application/json; Charset = utf-16le"}, `{"a":1}`, Untouched, charset},
		{[]string{"Content-Type", "text/plain; charset=utf-8"}, "long", Wanted, "body  has 4 characters, the most is 3"},
		{[]string{"Content-Type", "text/plain; charset=iso-8859-1"}, "long", Foreign, ""},
		{[]string{"Content-Type", "text/plain; charset=iso-8859-1", "Content-Encoding", "gzip"}, "long", Foreign, ""},
		{[]string{"Content-Type", "application/x-www-form-urlencoded; charset=utf-16"}, "b=1", Foreign, ""},
		{[]string{"Content-Type", "multipart/form-data; boundary=b"}, "--b\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/plain; charset=utf-16\r\n\r\nx\r\n--b--\r\n", Wanted, "body /a has a charset that can't be read here: it has to be UTF-8"},
		{[]string{"Content-Type", "application/octet-stream", "Cookie", "c=1; d=2"}, "x", Untouched, ""},
		{[]string{"Content-Type", "application/octet-stream", "Cookie", "c=1; c=zz"}, "x", Untouched, "cookie /c is there more than once"},
		{[]string{"Content-Type", "application/octet-stream", "Cookie", "c=1", "Cookie", "c=1"}, "x", Untouched, "cookie /c is there more than once"},
		{[]string{"Content-Type", "application/octet-stream", "Cookie", "list=1,2; list=x"}, "x", Untouched, "cookie /list is there more than once"},
		{[]string{"Content-Type", "application/octet-stream", "Cookie", "C=1; c=2"}, "x", Untouched, ""},
	}
	for _, tt := range tests {
		x := request("POST", "/a", "", tt.body, tt.fields...)
		if got := o.RequestBody(&x.Request); got != tt.look {
			t.Errorf("%q: look %d, want %d", tt.fields, got, tt.look)
		}
		got := said(o.CheckRequest(x, "/a", []byte(tt.body)))
		if got != tt.want {
			t.Errorf("%q %s\n got %s\nwant %s", tt.fields, tt.body, got, tt.want)
		}
		if o.RequestPasses(x, "/a", []byte(tt.body)) && got != "" {
			t.Errorf("%q passes at a glance", tt.fields)
		}
	}
	var h exchange.Header
	h.Add("Content-Type", "application/json")
	h.Add("Content-Type", "text/plain")
	if got := said(o.CheckAnswer(200, &h, []byte("{}"))); got != "header /Content-Type is there more than once" || o.AnswerPasses(200, &h, []byte("{}")) {
		t.Error(got)
	}
	h = exchange.Header{}
	h.Add("Content-Type", "text/plain; charset=utf-16")
	if o.AnswerBody(200, &h) != Foreign || !o.AnswerPasses(200, &h, nil) {
		t.Error("a text in UTF-16 can't be read")
	}
}
