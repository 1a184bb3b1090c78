package sample

import (
	"fmt"
	"strings"
)

// Want says which answer of an operation is wanted.
type Want struct {
	// Status is 0 for the first 2xx in the document's order, or the default answer.
	Status int
	// Example is the name of an example, "" for the first one, or a sample of the schema
	// where there is none.
	Example string
	// Accept is the value of the request's field (RFC 9110 section 12.5.1), "" for any type.
	Accept string
	// Value returns the value of a path parameter of the request, nil for none. A property
	// at the top of an answer that is named like one gets it, if it fits the schema.
	Value func(name string) (string, bool)
}

// Reply is an answer. It may be given to many, so it must not be changed.
type Reply struct {
	Status int
	// ContentType is "" for an answer without content.
	ContentType string
	Body        []byte
	// Headers are the documented ones, each a name and a value.
	Headers [][2]string
	// Example is the name of the example that it was made of, "" for one without name or
	// for none. FromSchema tells that it was made from the schema.
	Example    string
	FromSchema bool
}

// NoStatusError is that an operation has no answer of a status.
type NoStatusError struct {
	// Documented are the statuses that it has, as the document writes them.
	Documented []string
}

func (e *NoStatusError) Error() string {
	return "there is no such status; documented are " + orNone(e.Documented)
}

// NoExampleError is that an answer has no example of a name.
type NoExampleError struct{ Documented []string }

func (e *NoExampleError) Error() string {
	return "there is no such example; documented are " + orNone(e.Documented)
}

// NotAcceptableError is that an answer has no content of an acceptable type.
type NotAcceptableError struct{ Documented []string }

func (e *NotAcceptableError) Error() string {
	return "no content is acceptable; documented are " + orNone(e.Documented)
}

// NoContentError is that no content can be made of what the document says.
type NoContentError struct {
	// ContentType is the type of the content, Err why there is none.
	ContentType string
	Err         error
}

func (e *NoContentError) Error() string {
	return fmt.Sprintf("no content of type %s can be made: %v", e.ContentType, e.Err)
}

func (e *NoContentError) Unwrap() error { return e.Err }

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
