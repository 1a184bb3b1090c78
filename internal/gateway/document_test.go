package gateway

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"yett/internal/admin"
	"yett/internal/exchange"
	"yett/internal/openapi"
)

// The document says of refusals what they really are: no key that it does not name, and each
// that it names.
func TestShapeIsDocumented(t *testing.T) {
	schema := errorSchema(t)
	keys := make(map[string]bool)
	for _, r := range exchange.Reasons() {
		for _, details := range []string{"", `[{"in":"body","pointer":"/name","message":"is no text"},{"in":"query","message":"page is missing"}]`} {
			x := new(exchange.Pool).Get()
			x.RequestID, x.Details, x.RetryAfter, x.Allow = "the-request", details, 7, "GET"
			x.Refuse(r)
			shape(x)
			body, _ := x.ResponseBody.Whole()
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
			if err != nil {
				t.Fatalf("%v in %s", err, body)
			}
			if err := schema.Validate(v); err != nil {
				t.Errorf("%v in %s", err, body)
			}
			for key := range v.(map[string]any)["error"].(map[string]any) {
				keys[key] = true
			}
		}
	}
	said := admin.Components().At("schemas", "GatewayErrorBody")
	for _, p := range said.Get("properties").Pairs() {
		if !keys[p.Name] {
			t.Errorf("%s is documented, and no refusal has it", p.Name)
		}
	}
}

// errorSchema is the documented one, made to take no key that it does not name.
func errorSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	components := admin.Components()
	components.Walk(func(n *openapi.Node) bool {
		if n.Str("type") == "object" && n.Get("properties") != nil {
			n.Set("additionalProperties", openapi.NewBool(false))
		}
		return true
	})
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("mem:document", map[string]any{"components": components.Any()}); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:document#/components/schemas/GatewayError")
	if err != nil {
		t.Fatal(err)
	}
	return s
}
