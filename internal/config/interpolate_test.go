package config

import (
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	env := MapEnv(map[string]string{"A": "a", "B_2": "b", "EMPTY": "", "TRICKY": "${A} } $${A} x: [1]"})
	tests := []struct {
		in, out, secret string
		whole           bool
	}{
		{"plain", "plain", "", false},
		{"$", "$", "", false},
		{"$A costs 5$", "$A costs 5$", "", false},
		{"${A}", "a", "A", true},
		{"x${A}", "xa", "A", false},
		{"${A}x", "ax", "A", false},
		{"${A}${B_2}", "ab", "A", false},
		{"${A}${A}", "aa", "A", false},
		{"${EMPTY}", "", "EMPTY", true},
		{"${A:-d}", "a", "A", true},
		{"${EMPTY:-d}", "d", "", true},
		{"${NONE:-d}", "d", "", true},
		{"${NONE:-}", "", "", true},
		{"${NONE:-${A}}", "a", "A", true},
		{"${NONE:-x${NONE:-${B_2}}y}z", "xbyz", "B_2", false},
		{"${A:-${NONE}}", "a", "A", true},
		{"${A:-${NONE:?never}}", "a", "A", true},
		{"${A:?must be set}", "a", "A", true},
		{"$${A}", "${A}", "", false},
		{"$$${A}", "$${A}", "", false},
		{"${NONE:-$${A}}", "${A}", "", false}, // the first brace ends the default
		{"}", "}", "", false},
		{"${TRICKY}", "${A} } $${A} x: [1]", "TRICKY", true},
		{"${NONE:-http://[::1]:80/?a=b&c}", "http://[::1]:80/?a=b&c", "", true},
		{"ü${NONE:-ö}ß", "üöß", "", false},
	}
	for _, test := range tests {
		x := expand(test.in, env)
		if len(x.mistakes) > 0 || x.out.String() != test.out || x.secret != test.secret || x.whole != test.whole {
			t.Errorf("%s: got %q, secret %q, whole %v, mistakes %v", test.in, x.out.String(), x.secret, x.whole, x.mistakes)
		}
	}
}

func TestExpandMistakes(t *testing.T) {
	for in, want := range map[string]string{
		"${NONE}":           "${NONE} is not set",
		"${NONE:?say why}":  "${NONE} is not set|say why",
		"${EMPTY:?say why}": "${EMPTY} is not set|say why",
		"${":                "a variable without a name",
		"${1}":              "a variable without a name",
		"${A":               "${A has no closing brace",
		"${A:-b":            "${A:- has no closing brace",
		"${A:?b":            "${A:? has no closing brace",
		"${A-b}":            "${A is not followed by }, :- or :?",
		"${A:=b}":           "${A is not followed by }, :- or :?",
		"${A:-${}}":         "a variable without a name",
		strings.Repeat("${X:-", 20) + strings.Repeat("}", 20): "variables stand too deep inside one another",
	} {
		x := expand(in, MapEnv(map[string]string{"A": "a", "EMPTY": ""}))
		if len(x.mistakes) != 1 || !strings.HasPrefix(x.mistakes[0].what+"|"+x.mistakes[0].hint, want) {
			t.Errorf("%s: got %v, want %s", in, x.mistakes, want)
		}
	}
}

// TestNoInjection holds that a value is one scalar whatever is in it.
func TestNoInjection(t *testing.T) {
	const input = "name: ${NAME}\nlisteners: [{address: \":0\"}]\nroutes: [{name: a, path: \"${P}\", auth: none}]\n"
	c, err := Parse("f", []byte(input), MapEnv(map[string]string{"NAME": "x\nversion: 9 # ${P}", "P": "/a, /b ,/c]"}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "x\nversion: 9 # ${P}" || c.Version != "" {
		t.Errorf("name %q, version %q", c.Name, c.Version)
	}
	if got := strings.Join(c.Routes[0].Path, "|"); got != "/a|/b|/c]" {
		t.Errorf("path %q", got)
	}
}
