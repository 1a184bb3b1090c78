package console

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Field is a value of a line.
type Field struct {
	Key string
	// Raw is the value as it stands there: JSON, or a word or quoted text in a line for people.
	Raw []byte
	// person tells that it comes out of a line for people.
	person bool
}

// Line is a line that was read. It lives as long as the bytes that it was read from.
type Line struct{ Fields []Field }

// Parse reads a line of either form, into the room that fields has. ok is false for a line that is
// neither.
func Parse(line []byte, fields []Field) (l Line, ok bool) {
	line = bytes.TrimRight(line, "\r\n")
	if fields, ok := readJSON(line, fields[:0]); ok {
		return Line{fields}, true
	}
	fields, ok = readText(line, fields[:0])
	return Line{fields}, ok
}

// Text returns the first value with that key, without quotes, and nothing where there is none.
func (l Line) Text(key string) string {
	for _, f := range l.Fields {
		if f.Key == key {
			return f.text()
		}
	}
	return ""
}

// IsRequest tells a line of the access log.
func (l Line) IsRequest() bool { return l.Text("msg") == "request" && l.Text("status") != "" }

func (f Field) text() string {
	if len(f.Raw) == 0 || f.Raw[0] != '"' {
		return string(f.Raw)
	}
	if inner := f.Raw[1 : len(f.Raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	if f.person {
		if text, err := strconv.Unquote(string(f.Raw)); err == nil {
			return text
		}
		return string(f.Raw)
	}
	var text string
	if err := json.Unmarshal(f.Raw, &text); err != nil {
		return string(f.Raw)
	}
	return text
}

// appendValue shows the value of a line of JSON.
func (f Field) appendValue(dst []byte) []byte {
	if len(f.Raw) > 0 && (f.Raw[0] == '{' || f.Raw[0] == '[') {
		return appendClean(dst, string(f.Raw)) // it is seen where it ends
	}
	return appendValue(dst, f.text())
}

// readJSON reads the keys and values of an object.
func readJSON(line []byte, fields []Field) ([]Field, bool) {
	if len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}' {
		return nil, false
	}
	rest := line[1:]
	if rest[0] == '}' {
		return fields, len(rest) == 1
	}
	for {
		key, ok := value(rest)
		if !ok || key[0] != '"' || len(rest) <= len(key) || rest[len(key)] != ':' {
			return nil, false
		}
		rest = rest[len(key)+1:]
		raw, ok := value(rest)
		if !ok || len(rest) <= len(raw) {
			return nil, false
		}
		fields = append(fields, Field{Key: Field{Raw: key}.text(), Raw: raw})
		end := rest[len(raw)]
		rest = rest[len(raw)+1:]
		switch {
		case end == '}' && len(rest) == 0:
			return fields, true
		case end != ',' || len(rest) == 0:
			return nil, false
		}
	}
}

// value returns the JSON value at the front, as far as its end can be seen without reading it.
func value(b []byte) ([]byte, bool) {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			n, ok := quoted(b[i:])
			if !ok {
				return nil, false
			}
			i += n - 1
			if depth == 0 && i == n-1 {
				return b[:n], true
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return b[:i], i > 0
			}
			if depth--; depth == 0 {
				return b[:i+1], true
			}
		case ',', ':':
			if depth == 0 {
				return b[:i], i > 0
			}
		}
	}
	return nil, false
}

// quoted returns the length of the quoted text at the front.
func quoted(b []byte) (int, bool) {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1, true
		}
	}
	return 0, false
}

// readText reads a line for people: the time, the level, the words of a request or of a message, and
// keys with values. What is between is left out.
func readText(line []byte, fields []Field) ([]Field, bool) {
	if len(line) < len("2006-01-02T15:04:05Z") || line[4] != '-' || line[10] != 'T' {
		return nil, false
	}
	var words [][]byte
	for rest := line; ; {
		rest = bytes.TrimLeft(rest, " ")
		if len(rest) == 0 {
			break
		}
		w := word(rest)
		words = append(words, w)
		rest = rest[len(w):]
	}
	if len(words) < 2 {
		return nil, false
	}
	add := func(key string, raw []byte) { fields = append(fields, Field{Key: key, Raw: raw, person: true}) }
	add("time", words[0])
	add("level", bytes.ToLower(words[1]))
	words = words[2:]
	if len(words) >= 4 && isNumber(words[0]) && bytes.HasSuffix(words[3], []byte("ms")) {
		add("msg", []byte("request"))
		add("status", words[0])
		add("method", words[1])
		path, query, _ := bytes.Cut(words[2], []byte{'?'})
		add("path", path)
		add("query", query)
		add("duration_ms", bytes.TrimSuffix(words[3], []byte("ms")))
		words = words[4:]
	}
	for _, w := range words {
		if key, raw, ok := bytes.Cut(w, []byte{'='}); ok {
			add(string(key), raw)
		}
	}
	return fields, true
}

// word returns what is before the next space that is in no quotes.
func word(b []byte) []byte {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case ' ':
			return b[:i]
		case '"':
			n, ok := quoted(b[i:])
			if !ok {
				return b
			}
			i += n - 1
		}
	}
	return b
}

func isNumber(b []byte) bool {
	_, err := strconv.Atoi(string(b))
	return err == nil
}
