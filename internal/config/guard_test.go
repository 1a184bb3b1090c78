package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// repeated returns the text about n bytes long.
func repeated(text string, n int) string { return strings.Repeat(text, n/len(text)) }

// TestBounds feeds what would take the YAML library minutes or gigabytes, or
// the process its stack.
func TestBounds(t *testing.T) {
	const large = 900 << 10
	var flat strings.Builder
	for i := range maxKeys + 2 {
		fmt.Fprintf(&flat, "k%d: v\n", i)
	}
	tests := []struct{ name, input, want string }{
		{"larger than allowed", "# " + strings.Repeat("x", maxFile), "f:1:1: the file is larger than 1MB, split what it serves over several gateways"},
		{"many values", repeated("- a\n", large), "f:150001:1: the file has too many values, split what it serves over several gateways"},
		{"many keys", flat.String(), "f:4097:1: more than 4096 keys in one mapping"},
		{"many keys in braces", "{" + repeated("a: b, ", 60<<10) + "}", "f:1:24578: more than 4096 keys in one mapping"},
		{"one key many times", repeated("a: b\n", large/4), "f:4097:1: more than 4096 keys in one mapping"},
		{"values left out of a list", repeated("-\n", large/4), "f:2001:1: more than 2000 keys or list entries without a value"},
		{"values left out of a mapping", repeated("a:\n", large/4), "f:2001:2: more than 2000 keys or list entries without a value"},
		{"values left out in braces", "{" + repeated("a,", large/4) + "}", "f:1:4002: more than 2000 keys or list entries without a value"},
		{"long key", "k" + strings.Repeat("x", large/2) + ":\n" + repeated("  - a\n", large/4), "f:73:5: too many values below long keys, shorten the keys"},
		{"brackets", repeated("[", large/4), "f:1:65: values stand more than 64 deep inside one another"},
		{"dashes", repeated("- ", large/4), "f:1:129: values stand more than 64 deep inside one another"},
		{"steps", steps(80), "f:65:65: values stand more than 64 deep inside one another"},
		{"anchors", repeated("&a\n", large/4), "f:2:1: an anchor follows an anchor, name a value once"},
		{"anchors with comments", repeated("&a #\n", large/4), "f:2:1: an anchor follows an anchor, name a value once"},
		{"angles", "a: " + repeated("<", large), "f:1:4: more than 100 < in a row, remove some"},
		{"empty lines in a text", "a: |\n" + repeated("\n", large), "f:2:1: more than 100 empty lines in a row, remove some"},
		{"blank lines in a text", "a: |\n" + repeated("\n \n", large), "f:2:1: more than 100 empty lines in a row, remove some"},
		{"tabs in quotes", "a: " + repeated("\"\t", large), fmt.Sprintf(`f:1:5: tab character, the first of %d, indent with spaces; in a text, write \t inside double quotes`, large/2)},
		{"reserved", repeated("@", large/8), "f:1:1: not valid YAML: '@' is a reserved character, put the text into double quotes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			begin := time.Now()
			_, err := Parse("f", []byte(test.input), nil)
			if err == nil || err.Error() != test.want {
				t.Errorf("got %.200v, want %s", err, test.want)
			}
			if took := time.Since(begin); took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

// steps returns n mappings inside one another.
func steps(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// TestExpansionBound holds that variables can't make a small file large.
func TestExpansionBound(t *testing.T) {
	env := MapEnv(map[string]string{"A": strings.Repeat("s", 1<<19)})
	for name, test := range map[string]struct{ input, want string }{
		"in one text":   {`name: "` + strings.Repeat("${A}", 100) + `"`, "f:1:7: name: the text grows too long, at most 1MB after variables are put in"},
		"in many texts": {"trusted_proxies: [" + repeated(`"${A}", `, 1000) + "]", "the texts grow too long, at most 16MB together after variables are put in"},
	} {
		_, err := Parse("f", []byte(test.input), env)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %.300v, want %s", name, err, test.want)
		}
	}
}

// TestGuardPasses holds that ordinary large files and unusual shapes are not
// taken for attacks.
func TestGuardPasses(t *testing.T) {
	var routes strings.Builder
	routes.WriteString("listeners: [{address: \":0\"}]\nroutes:\n")
	for i := range 10_000 {
		fmt.Fprintf(&routes, "- {name: r%d, path: /api/v1/r%d/**, auth: required, service: app}\n", i, i)
	}
	for name, input := range map[string]string{
		"ten thousand routes": routes.String(),
		"list below its key":  "listeners:\n- address: \":0\"\n  name: a\n- address: \":1\"\nroutes:\n- name: a\n  path:\n  - /\n  auth: none\n",
		"braces over lines":   "{\nlisteners: [\n{address: \":0\"},\n],\nroutes: [{name: a, path: [/, /b], auth: none,}]\n}\n",
		"one document":        "---\nlisteners: [{address: \":0\"}] # here\n\nroutes: [{name: a, path: /, auth: none}]\n...\n",
		"carriage returns":    "\uFEFFlisteners: [{address: \":0\"}]\r\nroutes:\r\n  - name: a\r\n    path: /\r\n    auth: none\r\n",
	} {
		if _, err := Parse("f", []byte(input), nil); err != nil {
			t.Errorf("%s: %.500v", name, err)
		}
	}
}
