package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"
)

// strict decodes base64url without padding, and refuses what has more than
// one spelling: stray bits at the end (RFC 4648 section 3.5).
var strict = base64.RawURLEncoding.Strict()

var errSegments = errors.New("there are not three segments")

// parsed is a token taken apart. Nothing of it has been verified.
type parsed struct {
	raw    string
	signed string // header and payload as they are signed
	sig    []byte
	header header
	claims map[string]any
}

// header is what counts of a token's header (RFC 7515 section 4.1). What
// would lead somewhere else, jku, x5u, jwk and x5c, is not among it.
type header struct {
	Algorithm string
	KeyID     string
	Type      string
}

// parse takes a token apart.
func parse(raw string) (*parsed, error) {
	head, rest, ok := strings.Cut(raw, ".")
	body, sig, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.Contains(sig, ".") {
		return nil, errSegments
	}
	p := &parsed{raw: raw, signed: raw[:len(head)+1+len(body)]}
	fields, err := decodeObject(head)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if p.header, err = readHeader(fields); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if p.claims, err = decodeObject(body); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	if iss, there := p.claims["iss"]; there {
		if _, isText := iss.(string); !isText {
			return nil, errors.New("iss is no text")
		}
	}
	if p.sig, err = decodeSegment(sig); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	return p, nil
}

func (p *parsed) iss() string {
	s, _ := p.claims["iss"].(string)
	return s
}

func decodeSegment(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") { // which the decoder passes over
		return nil, errors.New("a line end stands in it")
	}
	b, err := strict.DecodeString(s)
	if err != nil {
		return nil, errors.New("it is no base64url without padding")
	}
	return b, nil
}

// decodeObject reads a segment that is a JSON object. The decoder refuses
// names that occur twice, which two readers could understand differently.
func decodeObject(segment string) (map[string]any, error) {
	b, err := decodeSegment(segment)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(b) {
		return nil, errors.New("it is no UTF-8")
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, errors.New("it is no JSON, or has a name twice")
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("it is no JSON object")
	}
	return object, nil
}

// readHeader takes out what counts. An extension that a reader has to
// understand (crit) is refused: there is none here. So is b64 (RFC 7797), which
// changes what is signed.
func readHeader(fields map[string]any) (header, error) {
	var h header
	for name, into := range map[string]*string{"alg": &h.Algorithm, "kid": &h.KeyID, "typ": &h.Type} {
		value, there := fields[name]
		text, isText := value.(string)
		if there && !isText {
			return h, fmt.Errorf("%s is no text", name)
		}
		*into = text
	}
	for _, name := range []string{"crit", "b64", "enc", "zip"} {
		if _, there := fields[name]; there {
			return h, fmt.Errorf("%s is not supported", name)
		}
	}
	if h.Algorithm == "" {
		return h, errors.New("alg is missing")
	}
	return h, nil
}

// Decode takes a token apart without verifying anything.
func Decode(raw string) (header, claims map[string]any, err error) {
	p, err := parse(raw)
	if err != nil {
		return nil, nil, err
	}
	head, _, _ := strings.Cut(raw, ".")
	header, err = decodeObject(head)
	return header, p.claims, err
}
