package apidocs

import (
	"fmt"
	"strings"
	"testing"
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
