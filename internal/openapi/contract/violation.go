package contract

import (
	"cmp"
	"slices"

	"yett/internal/jsontext"
)

// Violation is one point in which a message is not what the document says.
type Violation struct {
	// In is where: path, query, header, cookie, body, or status for an answer that the
	// document does not have.
	In string
	// Pointer is a JSON pointer (RFC 6901): into the body, or to a parameter by its name,
	// such as "/limit". Names that a caller made up are cut.
	Pointer string
	// Message says what is wrong, as the end of a sentence about what Pointer stands for.
	// It repeats no value of the caller but numbers, and those neither of headers nor of
	// cookies.
	Message string
}

// MaxViolations is how many are told of one message.
const MaxViolations = 50

// AppendViolations appends a JSON array of objects with in, pointer and message.
func AppendViolations(b []byte, list []Violation) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"in":`...)
		b = jsontext.AppendQuoted(b, v.In)
		b = append(b, `,"pointer":`...)
		b = jsontext.AppendQuoted(b, v.Pointer)
		b = append(b, `,"message":`...)
		b = jsontext.AppendQuoted(b, v.Message)
		b = append(b, '}')
	}
	return append(b, ']')
}

// findings collects violations. base stands before pointers.
type findings struct {
	in, base string
	// json tells that values have types of their own, and are no texts.
	json bool
	list []Violation
	// brief tells that nothing is to be found but whether there is doubt: see Pass.
	brief, doubt bool
	// spent is what the library has had to do.
	spent work
	// room is how much memory the library may take, in bytes, 0 for the usual.
	room int
	// tried is the effort of patterns of texts on the quick path, see maxEffort.
	tried int
}

// maxFound is how many are collected, of which the first are told.
const maxFound = 200

func (f *findings) add(pointer, message string) {
	switch {
	case f.brief:
		f.doubt = true
	case len(f.list) < maxFound:
		f.list = append(f.list, Violation{In: f.in, Pointer: f.base + pointer, Message: clip(message, maxMessage)})
	}
}

// maxMessage is how long a message may be in bytes.
const maxMessage = 300

// at sets where the next findings are.
func (f *findings) at(in, base string) *findings {
	f.in, f.base, f.json = in, base, false
	return f
}

// quiet tells that values must not be repeated.
func (f *findings) quiet() bool { return f.in == "header" || f.in == "cookie" }

// done returns what was found, each once, in the order of places.
func (f *findings) done() []Violation {
	if len(f.list) < 2 {
		return f.list
	}
	slices.SortStableFunc(f.list, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(rank(a.In), rank(b.In)), cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Message, b.Message))
	})
	f.list = slices.Compact(f.list)
	return f.list[:min(len(f.list), MaxViolations)]
}

func rank(in string) int {
	return slices.Index([]string{"status", "path", "query", "header", "cookie", "body"}, in)
}
