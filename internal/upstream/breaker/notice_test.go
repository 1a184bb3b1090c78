package breaker

import (
	"strings"
	"testing"
)

// What is written is read again, whatever the texts.
func TestNotice(t *testing.T) {
	for _, n := range []notice{
		{"users", tripped, 1_700_000_000_000, 1_700_000_030_000, "node-1", "5 failures in a row"},
		{"users", closed, 1, 0, "n", "2 probes succeeded"},
		{"a b", heldOpen, 1, 0, `no"de\`, ""},
		{"ü 日本", heldClosed, maxTime, maxTime, "n", `"`},
		{"users", reset, 5, 0, "n", "reset by hand (ann)"},
	} {
		if got, ok := parse(n.member()); !ok || got != n {
			t.Errorf("%q is read as %+v, %v", n.member(), got, ok)
		}
	}
}

func TestMalformedNotices(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for _, member := range []string{
		"", "1", " ", "\x00", "1 tripped", "1 tripped 5", "1 tripped 5 9", `1 tripped 5 9 "s"`, `1 tripped 5 9 "s" "n"`,
		`2 tripped 5 9 "s" "n" "c"`, `1 TRIPPED 5 9 "s" "n" "c"`, `1 half-open 5 9 "s" "n" "c"`, `1  5 9 "s" "n" "c"`,
		`1 tripped 5 0 "s" "n" "c"`, `1 closed 5 9 "s" "n" "c"`, `1 reset 5 9 "s" "n" "c"`,
		`1 tripped 0 9 "s" "n" "c"`, `1 tripped -5 9 "s" "n" "c"`, `1 tripped +5 9 "s" "n" "c"`, `1 tripped 05 9 "s" "n" "c"`,
		`1 tripped 5 -9 "s" "n" "c"`, `1 tripped 5 9e9 "s" "n" "c"`, `1 tripped 253402300800000 9 "s" "n" "c"`,
		`1 tripped 5 99999999999999999999 "s" "n" "c"`, `1 tripped 5 9223372036854775807 "s" "n" "c"`,
		`1 tripped 5 9 "" "n" "c"`, `1 tripped 5 9 "s" "" "c"`, `1 tripped 5 9 s n c`, `1 tripped 5 9 's' "n" "c"`, "1 tripped 5 9 `s` \"n\" \"c\"",
		`1 tripped 5 9 "s" "n" "c" `, `1 tripped 5 9 "s" "n" "c" "d"`, `1 tripped 5 9 "s"  "n" "c"`, `1 tripped 5 9 "s""n""c"`, ` 1 tripped 5 9 "s" "n" "c"`,
		`1 tripped 5 9 "s\n" "n" "c"`, `1 tripped 5 9 "\x73" "n" "c"`, `1 tripped 5 9 "\u0073" "n" "c"`, `1 tripped 5 9 "\xff" "n" "c"`, "1 tripped 5 9 \"\xff\" \"n\" \"c\"",
		`1 tripped 5 9 "s" "n" "\u202e"`, `1 tripped 5 9 "s" "n" "\x1b[2J"`, `1 tripped 5 9 "s" "n" "c`,
		`1 tripped 5 9 "` + long + `" "n" "c"`, `1 tripped 5 9 "s" "` + long + `" "c"`, `1 tripped 5 9 "s" "n" "` + long + `"`, strings.Repeat("1 ", 1<<20),
	} {
		if n, ok := parse(member); ok {
			t.Errorf("%.100q is read as %+v", member, n)
		}
	}
}

// Nothing that is read can be written in two ways, and nothing makes trouble.
func FuzzNotice(f *testing.F) {
	f.Add(`1 tripped 1700000000000 1700000030000 "users" "node-1" "5 failures in a row"`)
	f.Add(`1 held-open 5 0 "a\"b" "n" ""`)
	f.Fuzz(func(t *testing.T, member string) {
		n, ok := parse(member)
		if !ok {
			return
		}
		if n.member() != member {
			t.Errorf("%q is written as %q", member, n.member())
		}
		if n.service == "" || n.node == "" || !tellable(n.service) || !tellable(n.node) || !tellable(n.cause) || n.at <= 0 {
			t.Errorf("%+v", n)
		}
	})
}

func TestShortened(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "node-1": "node-1", "a\nb\x00": "a?b?", "\xff": "?",
		strings.Repeat("ü", maxText): strings.Repeat("ü", maxText/2), "x" + strings.Repeat("ü", maxText): "x" + strings.Repeat("ü", maxText/2-1),
	} {
		if got := shortened(text); got != want || !tellable(got) {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}
