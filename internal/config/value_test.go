package config

import (
	"encoding/json"
	"reflect"
	"testing"
)

// plainValue turns what Value returns into Go's own types, with the path of
// each word, to compare.
func plainValue(v any) any {
	switch v := v.(type) {
	case []Node:
		list := []any{}
		for _, n := range v {
			list = append(list, plainValue(n.Value()))
		}
		return list
	case Mapping[Node]:
		list := [][2]any{}
		for _, e := range v {
			list = append(list, [2]any{e.Name + "@" + e.Value.Path(), plainValue(e.Value.Value())})
		}
		return list
	}
	return v
}

func TestValue(t *testing.T) {
	env := func(key string) (string, bool) { return "1.10", key == "VERSION" }
	tests := []struct {
		yaml string
		want any
	}{
		{"null", nil}, {"~", nil}, {"", nil},
		{"true", true}, {"False", false}, {`"true"`, "true"}, {"yes", "yes"},
		{"1", json.Number("1")}, {"-2.50", json.Number("-2.50")}, {"12345678901234567890", json.Number("12345678901234567890")}, {"1e3", json.Number("1e3")},
		{`"1"`, "1"}, {"010", "010"}, {"0x10", "0x10"}, {"-a", "-a"}, {"+1", "+1"}, {"1.", "1."}, {".5", ".5"},
		{"text", "text"}, {`""`, ""},
		{"${VERSION}", "1.10"}, // a variable is a text
		{"[1, [], a]", []any{json.Number("1"), []any{}, "a"}},
		{"{b: 1, a: {c: null}}", [][2]any{{"b@b", json.Number("1")}, {"a@a", [][2]any{{"c@a.c", nil}}}}},
	}
	for _, tt := range tests {
		n, err := ParseNode("test.yaml", []byte(tt.yaml), env)
		if err != nil {
			t.Errorf("%s: %v", tt.yaml, err)
			continue
		}
		if got := plainValue(n.Value()); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s is %#v, want %#v", tt.yaml, got, tt.want)
		}
	}
	if v := (Node{}).Value(); v != nil {
		t.Errorf("the zero Node is %#v", v)
	}
}
