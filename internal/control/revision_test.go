package control

import (
	"strings"
	"testing"

	"yett/internal/config"
)

// An ID is the same for the same text with the same variables, however often it is made, and
// by whom.
func TestIdentifier(t *testing.T) {
	value := func(s string) *string { return &s }
	var ids identifier
	seen := make(map[string]int)
	cases := []struct {
		text string
		v    variables
	}{
		{"a", nil},
		{"b", nil},
		{"a", variables{"X": nil}},
		{"a", variables{"X": value("")}},
		{"a", variables{"X": value("1")}},
		{"a", variables{"X": value("2")}},
		{"a", variables{"Y": value("1")}},
		{"a", variables{"X": value("1"), "Y": value("1")}},
		{"aX", variables{"": value("1")}},
	}
	for i, c := range cases {
		id := ids.of([]byte(c.text), c.v)
		if other, twice := seen[id]; twice {
			t.Errorf("%d and %d are both %s", i, other, id)
		}
		seen[id] = i
		if again := ids.of([]byte(c.text), c.v); again != id {
			t.Errorf("%s is %s the next time", id, again)
		}
		if other := new(identifier).of([]byte(c.text), c.v); other != id {
			t.Errorf("%s is %s in another process", id, other)
		}
		if len(id) != 2*shortID || strings.Trim(id, "0123456789abcdef") != "" {
			t.Errorf("%q", id)
		}
	}
	for range 2 * mostIDs {
		ids.of([]byte("a"), variables{"X": value(strings.Repeat("x", len(ids.known)))})
	}
	if len(ids.known) > mostIDs {
		t.Errorf("%d are remembered", len(ids.known))
	}
}

// Variables are noted with what they were when they were asked for.
func TestVariables(t *testing.T) {
	v := make(variables)
	env := v.over(config.MapEnv(map[string]string{"A": "1", "B": "2"}))
	if a, ok := env("A"); a != "1" || !ok {
		t.Errorf("%q %v", a, ok)
	}
	if _, ok := env("C"); ok || len(v) != 2 || *v["A"] != "1" || v["C"] != nil {
		t.Errorf("%v %v", ok, v)
	}
	if _, ok := v.over(nil)("D"); ok {
		t.Error("an environment that is not there has variables")
	}
}
