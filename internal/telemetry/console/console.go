// Package console writes the lines of the logs for people, and reads lines of both forms.
//
//	{"time":"2026-01-02T03:04:05.678Z","level":"info","msg":"listening","address":"127.0.0.1:8080"}
//	2026-01-02T03:04:05.678Z INFO  listening address=127.0.0.1:8080
//
// A line of the access log has its status, method, path and duration in front:
//
//	2026-01-02T03:04:05.678Z INFO  200 GET /orders?page=*** 12.345ms route=orders client=127.0.0.1
//
// Nothing in a line reaches a terminal as a control character.
package console

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Style says how lines look.
type Style struct {
	// Colour is for terminals.
	Colour bool
}

// Append appends a line for people, made of one of JSON; newlines included. A line that is none of JSON
// stays what it is, without control characters.
func (s Style) Append(dst, line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	var room [32]Field
	fields, ok := readJSON(line, room[:0])
	if !ok {
		return append(appendClean(dst, string(line)), '\n')
	}
	l := Line{fields}
	request := l.IsRequest()
	dst = s.paint(dst, dim, l.Text("time"))
	dst = append(dst, ' ')
	level := strings.ToUpper(l.Text("level"))
	dst = s.paint(dst, colourOf(level), level)
	dst = append(dst, "      "[min(len(level), 5):]...)
	if request {
		dst = s.appendRequest(dst, l)
	} else {
		dst = appendClean(dst, l.Text("msg"))
	}
	for _, f := range fields {
		if !shown(f.Key, request) {
			continue
		}
		dst = append(dst, ' ')
		dst = s.paint(dst, dim, f.Key)
		dst = append(dst, '=')
		dst = f.appendValue(dst)
	}
	return append(dst, '\n')
}

// shown tells whether a field stands among those with their keys.
func shown(key string, request bool) bool {
	switch key {
	case "time", "level", "msg":
		return false
	case "status", "method", "path", "query", "duration_ms":
		return !request
	}
	return true
}

func (s Style) appendRequest(dst []byte, l Line) []byte {
	status := l.Text("status")
	dst = s.paint(dst, colourOfStatus(status), status)
	dst = append(dst, ' ')
	dst = appendWord(dst, l.Text("method"))
	dst = append(dst, ' ')
	url := l.Text("path")
	if q := l.Text("query"); q != "" {
		url += "?" + q
	}
	dst = appendWord(dst, url)
	dst = append(dst, ' ')
	dst = appendWord(dst, l.Text("duration_ms"))
	return append(dst, "ms"...)
}

// appendWord is a value that has its place, empty or not.
func appendWord(dst []byte, text string) []byte {
	if text == "" {
		return append(dst, '-')
	}
	return appendValue(dst, text)
}

// Colours, as numbers of the terminal's.
const (
	none   = 0
	dim    = 2
	red    = 31
	green  = 32
	yellow = 33
	cyan   = 36
)

func colourOf(level string) int {
	switch level {
	case "ERROR":
		return red
	case "WARN":
		return yellow
	case "INFO":
		return green
	}
	return dim
}

func colourOfStatus(status string) int {
	switch {
	case strings.HasPrefix(status, "2"), strings.HasPrefix(status, "1"):
		return green
	case strings.HasPrefix(status, "3"):
		return cyan
	case strings.HasPrefix(status, "4"):
		return yellow
	}
	return red
}

// paint appends a text that comes from anywhere, in a colour where there are some.
func (s Style) paint(dst []byte, colour int, text string) []byte {
	if !s.Colour || colour == none {
		return appendClean(dst, text)
	}
	dst = append(dst, "\x1b["...)
	dst = strconv.AppendInt(dst, int64(colour), 10)
	dst = append(dst, 'm')
	dst = appendClean(dst, text)
	return append(dst, "\x1b[0m"...)
}

// appendValue appends a text so that it is seen where it ends: in quotes unless it is one word.
func appendValue(dst []byte, text string) []byte {
	if text != "" && plain(text, '!') { // most are
		return append(dst, text...)
	}
	for _, r := range text {
		if r == ' ' || r == '"' || r == '\\' || !unicode.IsPrint(r) || r == utf8.RuneError {
			return strconv.AppendQuote(dst, text)
		}
	}
	if text == "" {
		return append(dst, `""`...)
	}
	return append(dst, text...)
}

// plain tells that a text is of ASCII characters that need no escape, least among them the one given.
func plain(text string, least byte) bool {
	for i := range len(text) {
		if c := text[i]; c < least || c > '~' || c == '"' && least > ' ' || c == '\\' && least > ' ' {
			return false
		}
	}
	return true
}

// appendClean appends a text in which what can't be printed is escaped.
func appendClean(dst []byte, text string) []byte {
	if plain(text, ' ') {
		return append(dst, text...)
	}
	for i, r := range text {
		switch {
		case r == '\t' || unicode.IsPrint(r) && r != utf8.RuneError:
			dst = utf8.AppendRune(dst, r)
		case r == utf8.RuneError:
			_, n := utf8.DecodeRuneInString(text[i:])
			dst = append(dst, strings.Trim(strconv.QuoteToASCII(text[i:i+n]), `"`)...)
		default:
			dst = append(dst, strings.Trim(strconv.QuoteRune(r), "'")...)
		}
	}
	return dst
}
