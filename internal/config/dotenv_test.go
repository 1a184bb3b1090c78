package config

import (
	"maps"
	"strings"
	"testing"
)

func TestDotenv(t *testing.T) {
	const text = "\uFEFF# comment\n\nA=1\n  B = two words  \nexport C=3\nD=\nE='a # \"b\" \\n ${X}'\nF=\"a\\nb\\t\\\"c\\\" \\$x \\q\" # comment\n" +
		"G=x # comment\nH=\"-----BEGIN\nKEY-----\"\nI='l1\nl2'\r\nJ=http://u:p@h/?a=b\nK= #\nL=a=b\nM=# c\nN=last"
	want := map[string]string{
		"A": "1", "B": "two words", "C": "3", "D": "", "E": "a # \"b\" \\n ${X}", "F": "a\nb\t\"c\" $x \\q", "G": "x",
		"H": "-----BEGIN\nKEY-----", "I": "l1\nl2", "J": "http://u:p@h/?a=b", "K": "", "L": "a=b", "M": "", "N": "last",
	}
	got, problems := parseDotenv(".env", text)
	if len(problems) > 0 || !maps.Equal(got, want) {
		t.Errorf("got %q\nwant %q\n%v", got, want, problems)
	}
}

func TestDotenvMistakes(t *testing.T) {
	tests := []struct{ in, want string }{
		{"A=1\nsecret\nB=2", ".env:2:1: not a line of the form KEY=VALUE, the name has letters, digits and _ only; begin a comment with #"},
		{"  1A=secret", ".env:1:3: not a line of the form KEY=VALUE, the name has letters, digits and _ only; begin a comment with #"},
		{"=secret", ".env:1:1: not a line of the form KEY=VALUE, the name has letters, digits and _ only; begin a comment with #"},
		{"A: secret", ".env:1:1: not a line of the form KEY=VALUE, the name has letters, digits and _ only; begin a comment with #"},
		{"A=1\nA=secret", ".env:2:1: A is set twice, it stands on line 1 already"},
		{"A=\"secret\nB=2", ".env:1:3: the value of A has no closing quote"},
		{"A=1\nB=\"x\ny\"\nC=1\nC=secret", ".env:5:1: C is set twice, it stands on line 4 already"},
		{"A='secret", ".env:1:3: the value of A has no closing quote"},
		{"A='secret'secret", `.env:1:11: something follows the quoted value of A, escape a quote inside as \", or use the other kind around it`},
		{"A=secret#secret", ".env:1:9: the value of A has a # without quotes, quote the value, or put a blank before a comment"},
		{"A=`secret`", ".env:1:3: the value of A begins with a backquote, use single quotes"},
		{"é=secret\nB=ü x#secret", ".env:1:1: not a line of the form KEY=VALUE, the name has letters, digits and _ only; begin a comment with #\n" +
			".env:2:6: the value of B has a # without quotes, quote the value, or put a blank before a comment"},
	}
	for _, test := range tests {
		_, problems := parseDotenv(".env", test.in)
		if got := problems.Error(); got != test.want {
			t.Errorf("%q:\ngot  %s\nwant %s", test.in, got, test.want)
		}
		if strings.Contains(problems.Error(), "secret") {
			t.Errorf("%q: a value is shown: %v", test.in, problems)
		}
	}
}

// TestDotenvBounds holds that a large file takes no longer than it must.
func TestDotenvBounds(t *testing.T) {
	var large strings.Builder
	for large.Len() < maxFile-100 {
		large.WriteString("1\nA='\n'#\n")
	}
	for name, text := range map[string]string{
		"lines":  large.String(),
		"quotes": strings.Repeat("A=\"\n", maxFile/4),
		"large":  strings.Repeat("x", maxFile+1),
	} {
		if _, problems := parseDotenv(".env", text); len(problems) == 0 {
			t.Errorf("%s: no problem", name)
		}
	}
}
