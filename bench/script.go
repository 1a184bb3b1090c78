package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
)

// script is what HTTP/1.1 sends: the same request again and again, or one with
// the next token each time.
type script struct {
	whole         []byte
	before, after []byte // of the token
	tokens        [][]byte
	at            int
}

func newScript(t traffic) (script, error) {
	s := script{whole: t.Request}
	if t.Tokens == "" {
		return s, nil
	}
	data, err := os.ReadFile(t.Tokens)
	if err != nil {
		return s, fmt.Errorf("read tokens: %w", err)
	}
	s.tokens = bytes.Fields(data)
	const field = "\r\nAuthorization: Bearer "
	before, rest, found := bytes.Cut(t.Request, []byte(field))
	if _, after, ended := bytes.Cut(rest, []byte("\r\n")); found && ended && len(s.tokens) > 0 {
		s.before = append(bytes.Clone(before), field...)
		s.after = append([]byte("\r\n"), after...)
		return s, nil
	}
	return s, errors.New("a request without a bearer token, or no tokens for it")
}

// next returns the next request. One that is not like the last is written to buf.
func (s *script) next(buf *[]byte) []byte {
	if s.tokens == nil {
		return s.whole
	}
	token := s.tokens[s.at]
	s.at = (s.at + 1) % len(s.tokens)
	*buf = append(append(append((*buf)[:0], s.before...), token...), s.after...)
	return *buf
}
