package sample

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"yett/internal/openapi"
)

// texts are what a text has to keep to.
type texts struct {
	least, most int // characters; most is -1 for no bound
	format      string
	patterns    []*regexp.Regexp
}

// text makes the nth text.
func text(parts []part, nth int) (*openapi.Node, error) {
	t, err := textsOf(parts)
	if err != nil {
		return nil, err
	}
	s, ok := t.pick(nth)
	if !ok {
		return nil, ErrNone
	}
	return openapi.NewString(s), nil
}

func textsOf(parts []part) (*texts, error) {
	t := &texts{format: formatOf(parts)}
	t.least, t.most = limits(parts, "minLength", "maxLength")
	if t.least > maxText {
		return nil, ErrTooLarge
	}
	for _, p := range parts {
		pattern := p.node.Get("pattern")
		if !pattern.Is(openapi.String) {
			continue
		}
		re, err := regexp.Compile(pattern.Text)
		if err != nil {
			return nil, fmt.Errorf("no text can be made for a pattern with what RE2 does not have: %w", ErrNone)
		}
		t.patterns = append(t.patterns, re)
	}
	return t, nil
}

// formatOf returns the format of texts that the parts ask for, "" for none that is known.
func formatOf(parts []part) string {
	for _, p := range parts {
		f := p.node.Str("format")
		if f == "" && p.node.Str("contentEncoding") == "base64" {
			f = "byte"
		}
		if inFormat(f, 0, 0, -1) != "" {
			return f
		}
	}
	return ""
}

// pick returns the nth text.
func (t *texts) pick(nth int) (string, bool) {
	if t.format != "" {
		if s := inFormat(t.format, nth, t.least, t.most); t.fits(s) {
			return s, true
		}
	}
	if len(t.patterns) == 0 {
		s := words(nth, t.least, t.most)
		return s, t.format == "" && t.fits(s)
	}
	for _, re := range t.patterns {
		if s, ok := t.matching(re, nth); ok {
			return s, true
		}
	}
	return "", false
}

func (t *texts) fits(s string) bool {
	n := utf8.RuneCountInString(s)
	if n < t.least || t.most >= 0 && n > t.most {
		return false
	}
	for _, re := range t.patterns {
		if !re.MatchString(s) {
			return false
		}
	}
	return true
}

// words returns plain text of a length within bounds. Where there is no room for a number
// it counts with letters.
func words(nth, least, most int) string {
	const word = "string"
	s, suffix := word, ""
	if nth > 0 {
		suffix = strconv.Itoa(nth + 1)
	}
	if most >= 0 && len(s)+len(suffix) > most {
		if len(suffix) > most {
			return letters(nth, most)
		}
		s = s[:min(len(s), most-len(suffix))]
	}
	if missing := least - len(s) - len(suffix); missing > 0 {
		s = strings.Repeat(word+" ", missing/(len(word)+1)+1)[:missing] + s
		s = strings.Map(func(r rune) rune {
			if r == ' ' {
				return '-'
			}
			return r
		}, s)
	}
	return s + suffix
}

func letters(nth, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(nth%26)
		nth /= 26
	}
	return string(b)
}

// inFormat returns the nth text of a format, "" for a format that is unknown. Formats whose
// texts can be longer or shorter keep to the bounds where they can.
func inFormat(format string, nth, least, most int) string {
	fixed := func(long, short string, at int) string { // grows by letters at a place
		s := long
		if most >= 0 && len(s) > most {
			s, at = short, 0
		}
		if nth > 0 {
			s = s[:at] + letters(nth, 1+nth/26) + s[at:]
		}
		if missing := least - len(s); missing > 0 && missing <= maxText {
			s = s[:at] + strings.Repeat("a", missing) + s[at:]
		}
		return s
	}
	switch format {
	case "date-time":
		return fmt.Sprintf("2026-01-02T%02d:%02d:%02dZ", (3+nth/3600)%24, (4+nth/60)%60, (5+nth)%60)
	case "date":
		return fmt.Sprintf("%04d-%02d-%02d", 2026+nth/336, 1+nth/28%12, 1+(nth+1)%28)
	case "time":
		return fmt.Sprintf("%02d:%02d:%02dZ", (3+nth/3600)%24, (4+nth/60)%60, (5+nth)%60)
	case "duration":
		return fmt.Sprintf("P%dD", 1+nth)
	case "uuid":
		return fmt.Sprintf("3fa85f64-5717-4562-b3fc-%012x", 0x2c963f66afa6+nth)
	case "email", "idn-email":
		return fixed("someone@example.org", "a@b.io", 0)
	case "hostname", "idn-hostname":
		return fixed("www.example.org", "a", 0)
	case "ipv4":
		return fmt.Sprintf("192.0.%d.%d", 2+nth/254%200, 1+nth%254)
	case "ipv6":
		return fmt.Sprintf("2001:db8::%x", 1+nth%0xffff)
	case "uri", "iri", "url":
		return fixed("https://example.org/path", "a:b", len("https://example.org/path"))
	case "uri-reference", "iri-reference", "uri-template":
		return fixed("/path", "a", 5)
	case "json-pointer":
		return fixed("/path", "/a", 5)
	case "relative-json-pointer":
		return strconv.Itoa(nth)
	case "regex":
		return fixed("^[a-z]+$", "a", 0)
	case "byte":
		return base64Text(nth, least)
	case "semver":
		return fmt.Sprintf("1.%d.0", nth)
	}
	return ""
}

// base64Text returns groups of four characters, so that it is complete.
func base64Text(nth, least int) string {
	groups := max(2, (least+3)/4)
	const plain = "c2FtcGxl" // sample
	s := plain
	if groups > 2 && groups <= maxText {
		s += strings.Repeat("AAAA", groups-2)
	}
	if nth > 0 {
		s = "AA" + letters(nth, 2) + s[4:]
	}
	return s
}
