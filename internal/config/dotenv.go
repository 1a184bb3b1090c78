package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"yett/internal/problem"
)

// ParseDotenv reads the text of a .env file as Load does. name is what problems call it; they never hold
// values.
func ParseDotenv(name, text string) (map[string]string, problem.List) { return parseDotenv(name, text) }

// parseDotenv reads a .env file:
//
//	# comment
//	KEY=value            up to the end of the line, or to " #"
//	export KEY='value'   as it stands, over several lines if need be
//	KEY="value"          with \n \r \t \\ \" and \$, over several lines too
//
// Values are never part of a problem.
func parseDotenv(name, text string) (map[string]string, problem.List) {
	if len(text) > maxFile {
		return nil, problem.List{{File: name, Line: 1, Column: 1, What: "the file is larger than 1MB"}}
	}
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\uFEFF"), "\r\n", "\n")
	p := dotenv{name: name, text: text, number: 1, lines: make(map[string]int)}
	variables := make(map[string]string)
	for p.at < len(p.text) {
		if key, value, ok := p.line(); ok {
			variables[key] = value
		}
	}
	return variables, p.problems
}

// dotenv is the state of reading one file.
type dotenv struct {
	name, text string
	at         int
	// number and start are of the line that was last asked for by place.
	number, start int
	lines         map[string]int // where each key was set
	problems      problem.List
}

// place returns the line and column of an offset, which must not be before the
// line of the last one.
func (p *dotenv) place(offset int) place {
	passed := p.text[p.start:offset]
	if i := strings.LastIndexByte(passed, '\n'); i >= 0 {
		p.number += strings.Count(passed, "\n")
		p.start += i + 1
	}
	return place{line: p.number, column: 1 + utf8.RuneCountInString(p.text[p.start:offset])}
}

// fail reports a problem at an offset and skips the rest of the line.
func (p *dotenv) fail(offset int, what, hint string) {
	at := p.place(offset)
	p.problems = append(p.problems, problem.Problem{File: p.name, Line: at.line, Column: at.column, What: what, Hint: hint})
	p.skip()
}

// skip goes to the next line.
func (p *dotenv) skip() {
	if i := strings.IndexByte(p.text[p.at:], '\n'); i >= 0 {
		p.at += i + 1
	} else {
		p.at = len(p.text)
	}
}

func (p *dotenv) blanks() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

// peek returns the byte at the current offset; a line's end ends the file too.
func (p *dotenv) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return '\n'
}

// line reads one line, or more when the value is quoted. ok is false for a
// line that sets nothing.
func (p *dotenv) line() (key, value string, ok bool) {
	p.blanks()
	if c := p.peek(); c == '\n' || c == '#' {
		p.skip()
		return "", "", false
	}
	start := p.at
	key, ok = p.key()
	if !ok {
		p.fail(start, "not a line of the form KEY=VALUE", "the name has letters, digits and _ only; begin a comment with #")
		return "", "", false
	}
	if first, twice := p.lines[key]; twice {
		p.fail(start, fmt.Sprintf("%s is set twice", key), fmt.Sprintf("it stands on line %d already", first))
		return "", "", false
	}
	p.lines[key] = p.place(start).line
	value, ok = p.value(key)
	return key, value, ok
}

// key reads up to the equals sign.
func (p *dotenv) key() (string, bool) {
	rest, _, _ := strings.Cut(p.text[p.at:], "\n")
	name, _, found := strings.Cut(rest, "=")
	p.at += len(name) + 1
	name = strings.TrimSpace(name)
	if after, ok := strings.CutPrefix(name, "export "); ok {
		name = strings.TrimSpace(after)
	}
	if !found || !isName(name) {
		p.at = min(p.at-1, len(p.text))
		return "", false
	}
	return name, true
}

func (p *dotenv) value(key string) (string, bool) {
	p.blanks()
	switch p.peek() {
	case '"', '\'':
		return p.quoted(key)
	case '`':
		p.fail(p.at, fmt.Sprintf("the value of %s begins with a backquote", key), "use single quotes")
		return "", false
	}
	return p.bare(key)
}

// bare reads an unquoted value. A # inside begins a comment for some programs
// and not for others, so that it has to be quoted.
func (p *dotenv) bare(key string) (string, bool) {
	start := p.at
	line, _, _ := strings.Cut(p.text[p.at:], "\n")
	for i := range len(line) {
		if line[i] != '#' {
			continue
		}
		if i > 0 && line[i-1] != ' ' && line[i-1] != '\t' {
			p.fail(start+i, fmt.Sprintf("the value of %s has a # without quotes", key), "quote the value, or put a blank before a comment")
			return "", false
		}
		line = line[:i]
		break
	}
	p.skip()
	return strings.TrimSpace(line), true
}

// quoted reads up to the closing quote, after which only a comment may stand.
// Without one, nothing of the rest of the file can be trusted.
func (p *dotenv) quoted(key string) (string, bool) {
	start, quote := p.at, p.text[p.at]
	var value strings.Builder
	for p.at++; p.at < len(p.text) && p.text[p.at] != quote; p.at++ {
		c := p.text[p.at]
		if c == '\\' && quote == '"' && p.at+1 < len(p.text) {
			if u, ok := unescape(p.text[p.at+1]); ok {
				c = u
				p.at++
			}
		}
		value.WriteByte(c)
	}
	if p.at >= len(p.text) {
		p.fail(start, fmt.Sprintf("the value of %s has no closing quote", key), "")
		return "", false
	}
	p.at++
	p.blanks()
	if c := p.peek(); c != '\n' && c != '#' {
		p.fail(p.at, fmt.Sprintf("something follows the quoted value of %s", key), `escape a quote inside as \", or use the other kind around it`)
		return "", false
	}
	p.skip()
	return value.String(), true
}

// unescape returns what a backslash and c stand for inside double quotes. Other
// pairs stay as they are.
func unescape(c byte) (byte, bool) {
	switch c {
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case '\\', '"', '$':
		return c, true
	}
	return 0, false
}
