package openapi

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"yett/internal/problem"
)

// Limits bound what Parse takes. What is 0 has the value of DefaultLimits.
type Limits struct {
	// Bytes is how long a document may be.
	Bytes int64
	// Values is how many values it may have, each alias of YAML counted as all that it
	// stands for. As many may be in all operations, and in all their responses, when what they
	// refer to beside schemas is put in for each of them. Depth is how many may stand inside one
	// another.
	Values, Depth int
}

// DefaultLimits returns bounds that documents of ten thousand operations keep: 10 MB,
// 2 million values, 100 deep.
func DefaultLimits() Limits { return Limits{Bytes: 10 << 20, Values: 2_000_000, Depth: 100} }

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	return Limits{Bytes: cmp.Or(l.Bytes, d.Bytes), Values: cmp.Or(l.Values, d.Values), Depth: cmp.Or(l.Depth, d.Depth)}
}

// maxProblems is how many problems of one document are told.
const maxProblems = 100

// Parse reads a document in JSON or YAML, which it does not keep. File is what messages call it; where it ends
// in .json, .yaml or .yml it is that, else the first characters tell. References that
// lead out of the document are not followed but refused. An error is a problem.List with
// the places of what is wrong.
func Parse(file string, data []byte, most Limits) (*Document, error) {
	d, broken, err := Read(file, data, most)
	if err == nil {
		err = broken.Problems.Err()
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Broken is what is wrong with the references of a document.
type Broken struct {
	// Problems are at most 100, with their places.
	Problems problem.List
	// Endless tells that references go in circles, or so far that nobody who follows them from
	// one schema into the next would come to an end. Costly tells that there may be more problems
	// than those, and looking for what references lead to would take too long.
	Endless, Costly bool
}

// Read is Parse for those who tell people what is wrong with a document, and for nobody
// else: it returns the document though references in it may lead nowhere, out of it, or in
// circles. An error means that there is no document.
func Read(file string, data []byte, most Limits) (*Document, *Broken, error) {
	most = most.orDefault()
	root, problems := read(file, data, most)
	d, broken := &Document{File: file, Root: root}, new(Broken)
	if len(problems) == 0 {
		problems, broken = d.check(most)
	}
	for _, list := range []problem.List{problems, broken.Problems} {
		for i := range list {
			list[i].File = file
		}
	}
	if err := problems.Err(); err != nil {
		return nil, nil, err
	}
	return d, broken, nil
}

func read(file string, data []byte, most Limits) (*Node, problem.List) {
	if int64(len(data)) > most.Bytes {
		return nil, problem.List{{Line: 1, Column: 1, What: fmt.Sprintf("the document is larger than %s", size(most.Bytes)), Hint: "split it, or publish less of it"}}
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if p := checkUTF8(data); p != nil {
		return nil, problem.List{*p}
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, problem.List{{Line: 1, Column: 1, What: "the document is empty", Hint: "write OpenAPI 3.1 or 3.0 as JSON or YAML"}}
	}
	ext := strings.ToLower(filepath.Ext(file))
	isYAML := ext == ".yaml" || ext == ".yml"
	if ext != ".json" && !looksLikeJSON(data) {
		return readYAML(data, most)
	}
	root, p := readJSON(data, most)
	switch {
	case p == nil:
		return root, nil
	case isYAML: // in which {"a": b} is right, too
		return readYAML(data, most)
	}
	return nil, problem.List{*p}
}

// looksLikeJSON tells by the first characters: an object whose first name is in quotes,
// or which is empty.
func looksLikeJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	if data[0] != '{' {
		return false
	}
	data = bytes.TrimLeft(data[1:], " \t\r\n")
	return len(data) > 0 && (data[0] == '"' || data[0] == '}')
}

func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%dMB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%dKB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

func checkUTF8(data []byte) *problem.Problem {
	if utf8.Valid(data) {
		return nil
	}
	line, start := 1, 0
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return &problem.Problem{Line: line, Column: 1 + utf8.RuneCount(data[start:i]), What: fmt.Sprintf("byte 0x%02X is not UTF-8", data[i]), Hint: "save the document as UTF-8"}
		}
		i += n
		if r == '\n' {
			line, start = line+1, i
		}
	}
	return nil
}

// Numbers are bounded, so that nobody who computes with one can be kept busy by it.
const (
	maxDigits   = 400 // a float64 written out has at most 309 before its point
	maxExponent = 400
)

// numberTrouble says what is wrong with a number in JSON's syntax, "" if it is right.
func numberTrouble(text string) string {
	mantissa, exponent := text, ""
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent = text[:i], strings.TrimLeft(strings.TrimLeft(text[i+1:], "+-"), "0")
	}
	if len(mantissa) > maxDigits {
		return fmt.Sprintf("a number has more than %d digits", maxDigits)
	}
	if len(exponent) > 3 || len(exponent) == 3 && exponent > fmt.Sprint(maxExponent) {
		return fmt.Sprintf("a number has an exponent beyond %d", maxExponent)
	}
	return ""
}
