package openapi

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"yett/internal/jsontext"
)

// AppendJSON appends the value as JSON. With an indent each member and item stands on a
// line of its own, that much further in than what is around it; with "" there is no space
// at all. Numbers stand as they were written. There is no line break at the end.
func (n *Node) AppendJSON(b []byte, indent string) []byte {
	return n.appendJSON(b, indent, 0)
}

func (n *Node) appendJSON(b []byte, indent string, depth int) []byte {
	switch {
	case n == nil || n.Kind == Null:
		return append(b, "null"...)
	case n.Kind == String:
		return jsontext.AppendQuoted(b, n.Text)
	case n.Kind == Array:
		return n.appendItems(b, indent, depth)
	case n.Kind == Object:
		return n.appendMembers(b, indent, depth)
	}
	return append(b, n.Text...)
}

func (n *Node) appendItems(b []byte, indent string, depth int) []byte {
	b = append(b, '[')
	for i, item := range n.Items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendBreak(b, indent, depth+1)
		b = item.appendJSON(b, indent, depth+1)
	}
	if len(n.Items) > 0 {
		b = appendBreak(b, indent, depth)
	}
	return append(b, ']')
}

func (n *Node) appendMembers(b []byte, indent string, depth int) []byte {
	b = append(b, '{')
	for i, m := range n.Members {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendBreak(b, indent, depth+1)
		b = append(jsontext.AppendQuoted(b, m.Name), ':')
		if indent != "" {
			b = append(b, ' ')
		}
		b = m.Value.appendJSON(b, indent, depth+1)
	}
	if len(n.Members) > 0 {
		b = appendBreak(b, indent, depth)
	}
	return append(b, '}')
}

func appendBreak(b []byte, indent string, depth int) []byte {
	if indent == "" {
		return b
	}
	b = append(b, '\n')
	for range depth {
		b = append(b, indent...)
	}
	return b
}

// AppendYAML appends the value as YAML that readers of version 1.1 and 1.2 understand
// alike: in block style, a text in quotes where one of them would take it for something
// else, a text of several lines as a block where that keeps it exactly. It ends with a
// line break.
func (n *Node) AppendYAML(b []byte) []byte {
	switch {
	case n.Is(Object) && len(n.Members) > 0:
		return n.yamlMembers(b, 0)
	case n.Is(Array) && len(n.Items) > 0:
		return n.yamlItems(b, 0)
	}
	return append(n.yamlLine(b), '\n')
}

// yamlLine appends what fits into a line: a scalar, or a list or mapping of nothing.
func (n *Node) yamlLine(b []byte) []byte {
	switch {
	case n == nil || n.Kind == Null:
		return append(b, "null"...)
	case n.Kind == String:
		return appendYAMLText(b, n.Text)
	case n.Kind == Array:
		return append(b, "[]"...)
	case n.Kind == Object:
		return append(b, "{}"...)
	}
	return append(b, n.Text...)
}

// yamlItems appends a list, at whose first line's beginning b already is as far in as
// column says.
func (n *Node) yamlItems(b []byte, column int) []byte {
	for i, item := range n.Items {
		if i > 0 {
			b = appendSpaces(b, column)
		}
		b = append(b, "- "...)
		switch {
		case item.Is(Object) && len(item.Members) > 0:
			b = item.yamlMembers(b, column+2)
		case item.Is(Array) && len(item.Items) > 0:
			b = item.yamlItems(b, column+2)
		default:
			b = item.yamlScalar(b, column+2)
		}
	}
	return b
}

// maxSimpleKey is how long a key may be that stands before a colon (YAML 1.2.2 section
// 7.4.2 says 1024 characters).
const maxSimpleKey = 1000

func (n *Node) yamlMembers(b []byte, column int) []byte {
	for i, m := range n.Members {
		if i > 0 {
			b = appendSpaces(b, column)
		}
		from := len(b)
		b = append(appendYAMLText(b, m.Name), ':')
		if len(b)-from > maxSimpleKey {
			b = slices.Insert(b[:len(b)-1], from, '?', ' ')
			b = append(appendSpaces(append(b, '\n'), column), ':')
		}
		b = m.Value.yamlBelow(b, column)
	}
	return b
}

// yamlBelow appends the value of a key that stands at column.
func (n *Node) yamlBelow(b []byte, column int) []byte {
	switch {
	case n.Is(Object) && len(n.Members) > 0:
		return n.yamlMembers(appendSpaces(append(b, '\n'), column+2), column+2)
	case n.Is(Array) && len(n.Items) > 0:
		return n.yamlItems(appendSpaces(append(b, '\n'), column+2), column+2)
	}
	return n.yamlScalar(append(b, ' '), column+2)
}

// yamlScalar appends a value and the end of its line. The lines of a block stand at column.
func (n *Node) yamlScalar(b []byte, column int) []byte {
	if !n.Is(String) || !fitsBlock(n.Text) {
		return append(n.yamlLine(b), '\n')
	}
	text, ended := strings.CutSuffix(n.Text, "\n")
	if b = append(b, '|'); !ended {
		b = append(b, '-')
	}
	for line := range strings.SplitSeq(text, "\n") {
		b = append(b, '\n')
		if line != "" {
			b = append(appendSpaces(b, column), line...)
		}
	}
	return append(b, '\n')
}

// fitsBlock tells whether a text of several lines can stand as a block: each character
// printable, no space at the beginning of it, at most one line break at its end, no line of
// blanks alone.
func fitsBlock(s string) bool {
	body, _ := strings.CutSuffix(s, "\n")
	if !strings.Contains(s, "\n") || body == "" || strings.HasSuffix(body, "\n") || strings.ContainsAny(body[:1], " \t\n") {
		return false
	}
	for line := range strings.SplitSeq(body, "\n") {
		if line != "" && strings.Trim(line, " \t") == "" || !printable(line, true) {
			return false
		}
	}
	return true
}

func appendSpaces(b []byte, n int) []byte {
	for range n {
		b = append(b, ' ')
	}
	return b
}

func appendYAMLText(b []byte, s string) []byte {
	switch {
	case isPlain(s):
		return append(b, s...)
	case printable(s, false):
		b = append(b, '\'')
		b = append(b, strings.ReplaceAll(s, "'", "''")...)
		return append(b, '\'')
	}
	return appendDoubleQuoted(b, s)
}

// appendDoubleQuoted escapes as JSON does, and what YAML doesn't want to see as well.
func appendDoubleQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i, r := range s {
		if r < 0x7F || isPrintable(r) {
			continue
		}
		width := utf8.RuneLen(r)
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			continue // a broken byte, for which the other one puts U+FFFD
		}
		b = jsontext.AppendEscaped(b, s[from:i])
		from = i + width
		const hex = "0123456789ABCDEF"
		b = append(b, '\\', 'U')
		for shift := 28; shift >= 0; shift -= 4 {
			b = append(b, hex[r>>shift&0xF])
		}
	}
	return append(jsontext.AppendEscaped(b, s[from:]), '"')
}

// isPrintable tells whether readers of both versions take a character as it is, and not
// for a line break or something invisible.
func isPrintable(r rune) bool {
	switch {
	case r < 0x20 || r >= 0x7F && r < 0xA0 || r == 0x2028 || r == 0x2029 || r == 0xFEFF || r == utf8.RuneError:
		return false
	case r >= 0xD800 && r < 0xE000 || r == 0xFFFE || r == 0xFFFF:
		return false
	}
	return true
}

func printable(s string, tabs bool) bool {
	for _, r := range s {
		if !isPrintable(r) && (r != '\t' || !tabs) {
			return false
		}
	}
	return true
}

// isPlain tells whether a text can stand without quotes and still is a text to all.
func isPlain(s string) bool {
	if s == "" || !plainStart(s) || s[len(s)-1] == ' ' || s[len(s)-1] == ':' || !printable(s, false) {
		return false
	}
	if strings.Contains(s, ": ") || strings.Contains(s, " #") || strings.Contains(s, "<<") { // some see a merge key everywhere
		return false
	}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return false
	}
	return !looksLikeNumber(s)
}

// plainStart allows few characters at the beginning, none of which YAML has a use for.
func plainStart(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(r) || r >= '0' && r <= '9' || r == '_' || r == '/' || r == '$' || r == '('
}

// looksLikeNumber tells whether a text may be a number, a date or a time: it begins with
// a digit, and has nothing that none of them has.
func looksLikeNumber(s string) bool {
	if s[0] != '_' && (s[0] < '0' || s[0] > '9') {
		return false
	}
	return strings.Trim(s, "0123456789abcdefABCDEFxXoO_:.+- tTzZ") == ""
}
