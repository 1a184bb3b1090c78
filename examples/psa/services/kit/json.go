package kit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
)

// Decode reads the request's body as one JSON object. Unknown fields, other types and text behind the object are 400,
// a body over the Router's limit is 413, a declared type other than JSON is 415.
func Decode[T any](c *Call) (T, error) {
	var value T
	body, err := readBody(c.Request)
	if err != nil {
		return value, err
	}
	return value, decode(body, &value)
}

// Edit is a change to a record, read from the network before any lock is taken.
type Edit struct {
	body    []byte
	replace bool
}

// ReadEdit reads the body of a PUT, which replaces all fields, or of a PATCH, which leaves absent ones as they are.
func ReadEdit(c *Call) (Edit, error) {
	body, err := readBody(c.Request)
	return Edit{body: body, replace: c.Method == http.MethodPut}, err
}

// Apply changes fields as the edit says. On error fields may be half changed, so it is called on a copy.
func Apply[T any](edit Edit, fields *T) error {
	if edit.replace {
		*fields = *new(T)
	}
	return decode(edit.body, fields)
}

func readBody(r *http.Request) ([]byte, error) {
	if declared := r.Header.Get("Content-Type"); declared != "" {
		media, _, err := mime.ParseMediaType(declared)
		if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
			return nil, &Problem{
				Status: http.StatusUnsupportedMediaType, Code: CodeMediaType,
				Message: fmt.Sprintf("The body is %q; send application/json.", declared),
			}
		}
	}
	body, err := io.ReadAll(r.Body)
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, fmt.Errorf("read the request body: %w", err)
	}
	if err != nil {
		return nil, BadRequest("The body ended before it was complete.")
	}
	return body, nil
}

func decode(body []byte, into any) error {
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return BadRequest("The body must be a JSON object.")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return explain(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return BadRequest("There is more after the JSON object.")
	}
	return nil
}

// explain turns a decoder's error into what the sender can mend, without Go's words for types.
func explain(err error) error {
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return BadRequest("Field %q must be %s, not %s.", mismatch.Field, jsonWord(mismatch.Type), mismatch.Value)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return BadRequest("The body is not valid JSON at byte %d.", syntax.Offset)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return BadRequest("The body is not valid JSON: it ends too early.")
	}
	return BadRequest("The body is refused: %s.", strings.TrimPrefix(err.Error(), "json: "))
}

func jsonWord(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	default:
		return "of another type"
	}
}
