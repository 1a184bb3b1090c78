package apidocs

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// large is a document of so many operations, with schemas, errors and links of their own, behind 50 routes.
func large(n int) (conf string, docs files) {
	var paths, parts strings.Builder
	answer := func(schema string) string {
		return fmt.Sprintf(`{"description": "D", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/%s"}}}}`, schema)
	}
	for i := range n / 2 {
		at := fmt.Sprintf("/g%d/r%d/{id}", i%50, i)
		responses := fmt.Sprintf(`{"200": %s, "404": %s, "502": %s, "default": %s}`, answer(fmt.Sprintf("S%d", i)), answer("Error"), answer("Error"), answer("Error"))
		fmt.Fprintf(&paths, `"%s": {"parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
		  "get": {"operationId": "get%d", "summary": "S", "description": "D", "security": [{"token": []}], "parameters": [{"name": "q", "in": "query", "schema": {"type": "integer"}}], "responses": %s},
		  "put": {"operationId": "put%d", "summary": "S", "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S%d"}}}}, "responses": %s}}, `, at, i, responses, i, i, responses)
		fmt.Fprintf(&parts, `"S%d": {"type": "object", "properties": {"id": {"type": "string"}, "name": {"type": "string", "maxLength": 100}, "next": {"$ref": "#/components/schemas/S%d"}}}, `, i, (i+1)%(n/2))
	}
	parts.WriteString(`"Error": {"type": "object", "required": ["mine"]}`)
	docs = files{"app.json": doc("{"+strings.TrimSuffix(paths.String(), ", ")+"}", `{"schemas": {`+parts.String()+`}, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}`)}
	var routes strings.Builder
	for i := range 50 {
		fmt.Fprintf(&routes, "  - {name: r%d, path: /api/g%d/**, auth: required, service: app, forward: {strip_prefix: /api}}\n", i, i)
	}
	return tokens + services("app") + "routes:\n" + routes.String(), docs
}

func BenchmarkMerge(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		conf, docs := large(n)
		in := input(b, compile(b, conf, docs))
		b.Run(fmt.Sprintf("merge/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Merge(in)
			}
		})
		m := Merge(in)
		b.Run(fmt.Sprintf("json/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.SetBytes(int64(len(m.Document.Root.AppendJSON(nil, ""))))
			}
		})
		b.Run(fmt.Sprintf("edition/%d", n), func(b *testing.B) {
			for b.Loop() {
				newEdition(Merge(in)).json31()
			}
		})
	}
}

// Twice as many operations take about twice as long: nothing walks over all for each.
func TestNothingIsQuadratic(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	took := func(n int) time.Duration {
		conf, docs := large(n)
		in := input(t, compile(t, conf, docs))
		best := time.Hour
		for range 3 {
			runtime.GC()
			begin := time.Now()
			if m := Merge(in); len(m.Shown) != n {
				t.Fatalf("%d of %d are shown", len(m.Shown), n)
			}
			best = min(best, time.Since(begin))
		}
		return best
	}
	small, big := took(1000), took(8000)
	if big > 24*small {
		t.Errorf("1000 operations take %s, 8000 take %s", small, big)
	}
}
