package contract

import "yett/internal/exchange"

// Look says what is to be done about the bytes of one body.
type Look uint8

const (
	// Untouched is for bytes of which the document says nothing, or whose type is wrong
	// already: no check looks at them.
	Untouched Look = iota
	// Wanted is for bytes that have to be seen.
	Wanted
	// Hidden is for bytes of which the document says something, but which are compressed, so
	// that no check can see them.
	Hidden
	// Foreign is for texts of which the document says something, but which are said to be in
	// another charset than UTF-8, so that no check can read them.
	Foreign
)

// RequestBody tells whether CheckRequest wants to see the body of a request with these fields.
func (o *Operation) RequestBody(h *exchange.Header) Look { return o.body.look(h) }

// AnswerBody tells whether CheckAnswer wants to see the body of an answer with that status and
// these fields.
func (o *Operation) AnswerBody(status int, h *exchange.Header) Look {
	a := o.answers.find(status)
	if a == nil {
		return Untouched
	}
	return a.content.look(h)
}

func (c *content) look(h *exchange.Header) Look {
	if c == nil || !c.reads {
		return Untouched
	}
	given, has := h.LookupKey(exchange.KeyContentType)
	if !has {
		return Wanted // a body without bytes needs no type
	}
	m := c.find(given)
	if m == nil || isTwice(h) {
		return Untouched
	}
	kind := mediaKindOf(given)
	text := kind == textMedia || kind == formMedia
	switch {
	case kind == opaqueMedia, text && m.check.trivial(), kind == jsonMedia && otherCharset(given):
		return Untouched
	case text && otherCharset(given):
		return Foreign
	case isEncoded(h):
		return Hidden
	}
	return Wanted
}
