package contract

import (
	"testing"

	"yett/internal/openapi"
)

func TestPathValue(t *testing.T) {
	const text = `{openapi: 3.1.0, info: {title: t, version: '1'}, servers: [{url: /api}], paths: {'/a/{id}/{file}.{ext}': {get: {responses: {}}}}}`
	d, err := openapi.Parse("t.yaml", []byte(text), openapi.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	c, _ := Compile(d)
	const path = "/api/a/b%20c/x.y"
	op, _ := c.Match("GET", path)
	if op == nil {
		t.Fatal("the operation is not found")
	}
	for name, want := range map[string]string{"id": "b c", "file": "x", "ext": "y", "a": "", "": ""} {
		if got, ok := op.PathValue(path, name); got != want || ok != (want != "") {
			t.Errorf("%s is %q, %v", name, got, ok)
		}
	}
	if _, ok := op.PathValue("/api/a", "id"); ok {
		t.Error("another path has a value")
	}
	if _, ok := op.PathValue("/api/a/%zz/x.y", "id"); ok {
		t.Error("what can't be decoded is a value")
	}
}
