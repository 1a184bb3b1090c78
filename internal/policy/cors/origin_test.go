package cors

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/problem"
)

// allowed tells whether a list lets an origin pass, without the gateway's own.
func (l *origins) allows(text string) bool {
	var x exchange.Exchange
	o, ok := split(lower(&x, text))
	return ok && l.find(&o) != ""
}

func read(t testing.TB, list ...string) origins {
	t.Helper()
	var problems problem.List
	l := readOrigins(config.StringList(list), &problems)
	if len(problems) > 0 {
		t.Fatalf("%q: %v", list, problems)
	}
	return l
}

func TestOrigins(t *testing.T) {
	tests := []struct {
		listed string
		yes    []string
		no     []string
	}{
		{"https://example.org",
			[]string{"https://example.org", "https://example.org:443", "HTTPS://Example.ORG"},
			[]string{"", "null", "NULL", "http://example.org", "https://example.org:80", "https://example.org:8443", "https://www.example.org",
				"https://example.org.", "https://example.org/", "https://example.org?", "https://example.org#", "https://example.org:", "https://example.org:0443",
				"https://example.org.evil.org", "https://evil.org/example.org", "https://evil.org#example.org", "https://evil-example.org", "https://example.orgevil",
				"https://user@example.org", "https://example.org@evil.org", "https://user:pw@example.org", "https://example.org:443@evil.org", "https://evil.org\\@example.org",
				"https:/example.org", "https:example.org", "//example.org", "example.org", "https://", "https://example", "https://example.org\x00", " https://example.org",
				"https://example.org https://evil.org", "https://example.org,https://evil.org", "https://%65xample.org", "https://exa\u202emple.org", "https://еxample.org"}},
		{"http://example.org", []string{"http://example.org:80"}, []string{"http://example.org:443", "https://example.org", "https://example.org:80"}},
		{"https://example.org:8443", []string{"https://example.org:8443"}, []string{"https://example.org", "https://example.org:443", "https://example.org:84430", "https://example.org:08443"}},
		{"https://example.org:443", []string{"https://example.org"}, []string{"http://example.org:443"}},
		{"https://xn--bcher-kva.example", []string{"https://xn--bcher-kva.example"}, []string{"https://bücher.example", "https://xn--bcher-kva.example.evil.org"}},
		{"http://127.0.0.1:3000", []string{"http://127.0.0.1:3000"}, []string{"http://127.0.0.1", "http://127.1:3000", "http://0x7f000001:3000", "http://2130706433:3000", "http://localhost:3000"}},
		{"http://[::1]:3000", []string{"http://[::1]:3000"}, []string{"http://[::1]", "http://::1:3000", "http://[0:0:0:0:0:0:0:1]:3000", "http://[::1%25lo]:3000", "http://[::1:3000", "http://[]:3000", "http://[::1]3000", "http://[::1].evil.org:3000"}},
		{"http://[::1]:*", []string{"http://[::1]", "http://[::1]:1", "http://[::1]:65535"}, []string{"https://[::1]", "http://[::2]", "http://[::1]:65536", "http://[::1]:0", "http://[::1].evil.org", "http://[::1]:x"}},
		{"capacitor://localhost", []string{"capacitor://localhost"}, []string{"http://localhost", "capacitor://localhost:80", "xcapacitor://localhost"}},
		{"chrome-extension://abcdef", []string{"chrome-extension://abcdef"}, []string{"chrome-extension://abcdefg", "moz-extension://abcdef"}},
		{"https://*.example.org",
			[]string{"https://a.example.org", "https://a.b.c.example.org", "https://A.Example.Org", "https://a.example.org:443", "https://xn--bcher-kva.example.org", "https://a_b.example.org", "https://1.example.org"},
			[]string{"https://example.org", "https://.example.org", "https://..example.org", "https://a..example.org", "https://evil-example.org", "https://evilexample.org", "https://example.org.evil.org",
				"https://a.example.org.evil.org", "https://a.example.org.", "https://a.example.org:8443", "http://a.example.org", "https://evil.org/.example.org", "https://evil.org#.example.org",
				"https://evil.org?.example.org", "https://evil.org:443.example.org", "https://evil.org\\.example.org", "https://user@a.example.org", "https://evil.org@a.example.org", "https://*.example.org",
				"https://a b.example.org", "https://a%00.example.org", "https://[::1].example.org", "https://ü.example.org", "https://a.example.com", "https://a.example.org/", "https://a.Example.org.evil.ORG", "null", "https://null"}},
		{"https://*.example.org:*", []string{"https://a.example.org", "https://a.example.org:8443"}, []string{"https://example.org:8443", "https://a.example.org:", "https://a.example.org:99999"}},
		{"http://localhost:*", []string{"http://localhost", "http://localhost:80", "http://localhost:3000"}, []string{"https://localhost:3000", "http://localhost.evil.org:3000", "http://localhost:3000.evil.org", "http://a.localhost", "http://localhost:", "http://localhost:+80", "http://localhost:3000/"}},
		{"http://*.localhost:3000", []string{"http://a.localhost:3000"}, []string{"http://localhost:3000", "http://a.localhost"}},
		{"https://pr-*.preview.example.org",
			[]string{"https://pr-1.preview.example.org", "https://pr-fix-the-login.preview.example.org", "https://pr--.preview.example.org"},
			[]string{"https://pr-.preview.example.org", "https://pr.preview.example.org", "https://pr-1.x.preview.example.org", "https://pr-1.evil.org/.preview.example.org", "https://pr-1.preview.example.org.evil.org",
				"https://xpr-1.preview.example.org", "https://pr-1.previewxexample.org", "https://pr-1_2.preview.example.org", "https://pr-1@x.preview.example.org", "https://a.pr-1.preview.example.org"}},
		{"https://app-*-team.example.org", []string{"https://app-1-team.example.org", "https://app---team.example.org"}, []string{"https://app-team.example.org", "https://app--team.example.org", "https://app-1-teams.example.org"}},
		{"https://a*b*c.example.org", []string{"https://a1b2c.example.org", "https://abbbc.example.org", "https://aXbXc.example.org"}, []string{"https://abc.example.org", "https://a1bc.example.org", "https://ab2c.example.org", "https://abbc.example.org", "https://a1b2.example.org"}},
		{"https://a.*.example.org", []string{"https://a.b.example.org"}, []string{"https://a.example.org", "https://a.b.c.example.org", "https://b.b.example.org", "https://a..example.org"}},
		{"https://*.pr-*.example.org", []string{"https://a.pr-1.example.org", "https://a.b.pr-1.example.org"}, []string{"https://pr-1.example.org", "https://a.b.example.org"}},
		{"*", []string{"https://example.org", "http://[::1]:80", "app://x", "https://example.org."}, []string{"", "null", "nonsense", "https://user@example.org", "https://a/b", "https://", "://a", "https://a,https://b"}},
	}
	pairs := 0
	for _, tt := range tests {
		l := read(t, tt.listed)
		for _, o := range tt.yes {
			if !l.allows(o) {
				t.Errorf("%s does not allow %q", tt.listed, o)
			}
		}
		for _, o := range tt.no {
			if l.allows(o) {
				t.Errorf("%s allows %q", tt.listed, o)
			}
		}
		pairs += len(tt.yes) + len(tt.no)
	}
	t.Logf("%d pairs", pairs)
}

func TestSeveralOrigins(t *testing.T) {
	l := read(t, "https://a.example", "", "https://*.b.example", "https://*.c.example")
	for o, want := range map[string]bool{"https://a.example": true, "https://x.c.example": true, "https://x.a.example": false, "": false} {
		if l.allows(o) != want {
			t.Errorf("%q: want %v", o, want)
		}
	}
}

func TestBadOrigins(t *testing.T) {
	tests := map[string]string{
		"null":                      "null is what anybody's page can send",
		"Null":                      "null is what anybody's page can send",
		"example.org":               `"example.org" has no scheme, write https://app.example.org`,
		"//example.org":             "has no scheme",
		"https:/example.org":        "has no scheme",
		"https://example.org/":      "has something behind host and port, write https://example.org",
		"https://example.org/a?b":   "has something behind host and port, write https://example.org",
		"https://example.org?b":     "has something behind host and port, write https://example.org",
		"https://example.org#b":     "has something behind host and port, write https://example.org",
		`https://example.org\a`:     "has something behind host and port, write https://example.org",
		"https://user:pw@a.example": "a user has no place in an origin",
		"user:pw@a.example":         "a user has no place in an origin",
		"https://Example.org":       "has upper case, and browsers send lower case, write https://example.org",
		"HTTPS://example.org":       "write https://example.org",
		"https://bücher.example":    "others as punycode",
		"https://a b.example":       "has characters that are in no origin",
		"https://a.example\x01":     "has characters that are in no origin",
		"https://a!.example":        `the label "a!" has characters`,
		"https://":                  "is no host",
		"https://:80":               "is no host",
		"https://a..example":        "an empty label",
		"https://.a.example":        "an empty label",
		"https://a.example.":        "an empty label",
		"https://a.example:":        `"" is no port, write 1 to 65535`,
		"https://a.example:0":       `"0" is no port`,
		"https://a.example:080":     "is no port",
		"https://a.example:65536":   "is no port",
		"https://a.example:80:80":   "is no port",
		"https://a.example:8*":      "is no port",
		"http://127.1":              "is no IPv4 address",
		"http://0x7f.0.0.1":         "is no IPv4 address",
		"http://a.0x7f":             "is no IPv4 address",
		"http://127.0.0.256":        "is no IPv4 address",
		"http://127.0.*.1":          "is no IPv4 address",
		"http://[::1":               "is no host",
		"http://[::1]x80":           `"x80" is no port`,
		"http://[1.2.3.4]":          "is no host",
		"http://[fe80::1%25lo]":     "is no host",
		"http://[0::1]":             "write [::1]",
		"http://::1":                "is no host",
		"ws://a.example":            "the origin of a WebSocket is that of its page",
		"file://a":                  "browsers send null",
		"*://a.example":             `"*" is no scheme`,
		"http*://a.example":         `is no scheme`,
		"1http://a.example":         `is no scheme`,
		"https://*":                 "anybody can register",
		"https://a.*":               "anybody can register",
		"https://a*":                "anybody can register",
		"https://*.org":             "anybody can register",
		"https://*.co.uk":           "anybody can register",
		"https://*.uk":              "anybody can register",
		"https://app-*.org":         "anybody can register",
		"https://a.*.co.uk":         "anybody can register",
		"https://**.example.org":    "two stars",
		"https://a_*.example.org":   "an underscore and a *",
		"https://" + strings.Repeat("a", 64) + ".example": "longer than 63",
	}
	for text, want := range tests {
		var problems problem.List
		l := readOrigins(config.StringList{text}, &problems)
		if len(problems) != 1 || !strings.Contains(problems[0].String(), want) || problems[0].Path != "origins[0]" {
			t.Errorf("%q: %v, want %q", text, problems, want)
		}
		if strings.Contains(problems.Error(), "pw") {
			t.Errorf("a password is shown: %v", problems)
		}
		if l.all || len(l.exact) > 0 || len(l.patterns) > 0 {
			t.Errorf("%q was taken", text)
		}
	}
}

// reference is the slow way: one regular expression takes the origin apart, and
// another stands for the pattern.
func reference(listed, text string) bool {
	form := regexp.MustCompile(`^([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|(?:[a-z0-9_-]+\.)*[a-z0-9_-]+\.?)(?::([1-9][0-9]{0,4}))?$`)
	parts := form.FindStringSubmatch(asciiLower(text))
	if parts == nil {
		return false
	}
	if port, _ := strconv.Atoi(parts[3]); port > 65535 {
		return false
	}
	if listed == "*" {
		return true
	}
	own := map[string]string{"http": "80", "https": "443"}
	port := func(scheme, port string) string {
		if port == "" {
			return own[scheme]
		}
		return port
	}
	scheme, rest, _ := strings.Cut(listed, "://")
	host, wanted := rest, ""
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, ']') {
		host, wanted = rest[:i], rest[i+1:]
	}
	expr := regexp.QuoteMeta(host)
	if below, ok := strings.CutPrefix(expr, `\*\.`); ok {
		expr = `([a-z0-9_-]+\.)+` + below
	}
	var labels []string
	for _, l := range strings.Split(expr, `\.`) {
		if strings.Contains(l, `\*`) {
			l = strings.ReplaceAll(l, `\*`, `[a-z0-9-]+`)
		}
		labels = append(labels, l)
	}
	if !regexp.MustCompile(`^` + strings.Join(labels, `\.`) + `$`).MatchString(parts[2]) {
		return false
	}
	return parts[1] == scheme && (wanted == "*" || port(scheme, parts[3]) == port(scheme, wanted))
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// What the matcher says about an origin is what the reference says, whatever
// is listed.
func FuzzOrigin(f *testing.F) {
	for _, listed := range []string{"https://example.org", "https://*.example.org", "https://pr-*.preview.example.org", "http://localhost:*", "http://[::1]:*", "https://a*b*c.*.example.org:8443", "*"} {
		for _, o := range []string{"https://example.org", "https://a.example.org", "https://pr-1.preview.example.org", "http://localhost:80", "http://[::1]:1", "https://axbxc.d.example.org:8443", "HTTPS://A.example.org:443", "https://u@a.example.org", "null"} {
			f.Add(listed, o)
		}
	}
	f.Fuzz(func(t *testing.T, listed, text string) {
		var problems problem.List
		l := readOrigins(config.StringList{listed}, &problems)
		if len(problems) > 0 || listed == "" {
			return
		}
		if got, want := l.allows(text), reference(listed, text); got != want {
			t.Errorf("%q for %q: %v, the reference says %v", listed, text, got, want)
		}
		// What can be written down, a browser can send, but for stars.
		if !strings.Contains(listed, "*") && !l.allows(listed) {
			t.Errorf("%q does not allow itself", listed)
		}
	})
}

func BenchmarkOrigins(b *testing.B) {
	l := read(b, "https://app.example.org", "https://*.example.com", "https://pr-*.preview.example.org", "http://localhost:*")
	for name, text := range map[string]string{
		"exact": "https://app.example.org", "below": "https://a.b.example.com", "pattern": "https://pr-17.preview.example.org", "none": "https://app.example.net",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				o, _ := split(text)
				l.find(&o)
			}
		})
	}
}
