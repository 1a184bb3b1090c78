package apidocs

import (
	"fmt"
	"strings"
	"testing"
)

// A service with which the document would be too large is left out, and those behind it.
func TestBounds(t *testing.T) {
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("GET /m%d", i))
	}
	s := compile(t, services("a", "b", "c")+`
routes:
  - {name: a, path: /a/**, auth: none, service: a, forward: {strip_prefix: /a}}
  - {name: b, path: /b/**, auth: none, service: b, forward: {strip_prefix: /b}}
  - {name: c, path: /c/**, auth: none, service: c, forward: {strip_prefix: /c}}
`, files{"a.json": doc(ops("GET /t"), ""), "b.json": doc(ops(many...), ""), "c.json": doc(ops("GET /u"), "")})
	whole := len(Merge(input(t, s)).Shown)
	if whole != 302 {
		t.Fatalf("%d operations without bounds", whole)
	}
	for _, most := range []bounds{{nodes: 3000, bytes: 1 << 30}, {nodes: 1 << 30, bytes: 60_000}} {
		in := input(t, s)
		in.most = most
		m := Merge(in)
		wantShown(t, m, "GET /a/t -> /t")
		if len(m.Left) != 2 || m.Left[0].Service != "b" || m.Left[1].Service != "c" || !strings.Contains(m.Left[0].Why, "more than") {
			t.Errorf("%v: left is %+v", most, m.Left)
		}
		wantAt(t, m.Document.Root, `[{service: a, state: good}, {service: b, state: good}, {service: c, state: good}]`, "x-yett-sources")
		if size := len(m.Document.Root.AppendJSON(nil, "")); size > most.bytes {
			t.Errorf("%d bytes", size)
		}
	}
	in := input(t, s)
	in.most = bounds{nodes: 1, bytes: 1} // less than the gateway's own pages
	if m := Merge(in); len(m.Shown) != 0 || len(m.Left) != 3 {
		t.Errorf("%d shown, %+v", len(m.Shown), m.Left)
	}
}

// An answer that is used everywhere is there once for all that the gateway adds.
func TestAnswersAreShared(t *testing.T) {
	var headers, paths []string
	for i := range 150 {
		headers = append(headers, fmt.Sprintf(`"X-%d": {"schema": {"type": "string"}}`, i))
	}
	for i := range 1000 {
		paths = append(paths, fmt.Sprintf(`"/p%d": {"get": {"responses": {"200": {"$ref": "#/components/responses/R"}, "404": {"$ref": "#/components/responses/R"}, "503": {"$ref": "#/components/responses/R"}}}}`, i))
	}
	s := compile(t, services("app")+`
routes:
  - {name: a, path: /**, auth: none, service: app}
  - {name: b, path: /b/**, auth: none, service: app, forward: {strip_prefix: /b}}
`, files{"app.json": doc("{"+strings.Join(paths, ",")+"}", `{"responses": {"R": {"description": "R", "headers": {`+strings.Join(headers, ",")+`}}}}`)})
	m := Merge(input(t, s))
	if len(m.Shown) != 2000 {
		t.Fatalf("%d operations are shown: %+v", len(m.Shown), m.Left)
	}
	if size := len(m.Document.Root.AppendJSON(nil, "")); size > 2<<20 {
		t.Errorf("the document has %d bytes", size)
	}
	own := 0
	for _, c := range m.Document.Root.At("components", "responses").Pairs() {
		if strings.HasPrefix(c.Name, "app.") {
			own++
		}
	}
	if own != 2 { // alone, and where the gateway may refuse as well
		t.Errorf("%d components of one answer", own)
	}
	wantAt(t, operation(m, "GET /p7"), `{$ref: "#/components/responses/app.R"}`, "responses", "200")
	wantAt(t, operation(m, "GET /b/p7"), `{$ref: "#/components/responses/app.R"}`, "responses", "404")
}

// No document makes more alternatives of security than anybody can look at, nor takes long.
func TestManyAlternatives(t *testing.T) {
	var schemes, all []string
	for i := range 90 {
		schemes = append(schemes, fmt.Sprintf(`"k%d": {"type": "apiKey", "in": "header", "name": "X-%d"}`, i, i))
		all = append(all, fmt.Sprintf(`{"k%d": []}`, i))
	}
	m := merge(t, tokens+services("app")+"routes: [{name: a, path: /t, auth: optional, service: app, policies: {jwt: {cookie: sid, query: access_token}}}]\n",
		files{"app.json": doc(guarded("["+strings.Join(all, ",")+"]"), `{"securitySchemes": {`+strings.Join(schemes, ",")+`}}`)})
	if n := len(operation(m, "GET /t").Get("security").Elements()); n != mostCombined {
		t.Errorf("%d alternatives, want %d", n, mostCombined)
	}
}
