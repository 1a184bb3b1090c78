package contract

import "testing"

// Bytes are wanted where something is said of them, and nowhere else: they are held in memory
// for that, and too many of them are refused.
func TestLook(t *testing.T) {
	c := compile(t, `
openapi: 3.1.0
info: {title: t, version: "1"}
paths:
  /mixed:
    post:
      requestBody:
        content:
          application/json: {schema: {type: object}}
          application/octet-stream: {schema: {type: string}}
          text/plain: {}
      responses:
        "200": {description: d, content: {application/json: {schema: {type: object}}}}
        "201": {description: d}
  /upload:
    put:
      requestBody: {content: {application/octet-stream: {}}}
      responses: {default: {description: d}}
`)
	mixed, _ := c.Match("POST", "/mixed")
	upload, _ := c.Match("PUT", "/upload")
	for _, tt := range []struct {
		op     *Operation
		fields []string
		want   Look
	}{
		{mixed, []string{"Content-Type", "application/json; charset=utf-8"}, Wanted},
		{mixed, []string{"Content-Type", "application/octet-stream"}, Untouched},
		{mixed, []string{"Content-Type", "text/plain"}, Untouched},
		{mixed, []string{"Content-Type", "image/png"}, Untouched},
		{mixed, nil, Wanted},
		{mixed, []string{"Content-Type", "application/json", "Content-Encoding", "gzip"}, Hidden},
		{mixed, []string{"Content-Type", "application/json", "Content-Encoding", "identity"}, Wanted},
		{mixed, []string{"Content-Type", "application/json", "Content-Encoding", ""}, Wanted},
		{mixed, []string{"Content-Type", "application/octet-stream", "Content-Encoding", "gzip"}, Untouched},
		{upload, []string{"Content-Type", "application/json"}, Untouched},
		{upload, nil, Untouched},
	} {
		x := request("POST", "/", "", "", tt.fields...)
		if got := tt.op.RequestBody(&x.Request); got != tt.want {
			t.Errorf("%q: %d, want %d", tt.fields, got, tt.want)
		}
	}
	x := request("POST", "/", "", "", "Content-Type", "application/json")
	for status, want := range map[int]Look{200: Wanted, 201: Untouched, 404: Untouched} {
		if got := mixed.AnswerBody(status, &x.Request); got != want {
			t.Errorf("%d: %d, want %d", status, got, want)
		}
	}
	// The type of an answer is told without its bytes, as for one that streams or to HEAD.
	for contentType, want := range map[string]int{"application/json": 0, "text/html": 1} {
		x := request("GET", "/", "", "", "Content-Type", contentType)
		if got := mixed.CheckAnswer(200, &x.Request, nil); len(got) != want {
			t.Errorf("%s: %v", contentType, got)
		}
	}
}
