package limit

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Keys returns the key that an operator means: that of one caller, as commands show it, such as
// user:u-1 or ip:203.0.113.7 (user:staff/u-1, where there are several issuers), with | between the parts of a mix. Behind a : stands what is
// shown, percent-encoded where that is; what can't stand in a key as it is gets encoded. Behind
// a = stands a plain value, of whatever characters: user=100%, api_key=SECRET, whose
// hash is the key. An address stands for the network that is counted together. Only the
// last part of a mix may have a | in it. The error says what would be right.
func (l *Limit) Keys(text string) (key string, err error) {
	pieces := strings.SplitN(text, "|", len(l.parts))
	if len(pieces) != len(l.parts) {
		return "", fmt.Errorf("limit %q counts by %d things: write %s", l.name, len(l.parts), l.wanted())
	}
	var b []byte
	for i, piece := range pieces {
		if i > 0 {
			b = append(b, '|')
		}
		if b, err = l.typedPart(b, &l.parts[i], piece); err != nil {
			return "", err
		}
	}
	return string(b), nil
}

// wanted shows how a key of the limit is written.
func (l *Limit) wanted() string {
	var shapes []string
	for i := range l.parts {
		p := &l.parts[i]
		shape := p.label
		if p.kind != byEveryone {
			shape += l.issuerShape(shape) + "VALUE"
		}
		shapes = append(shapes, shape)
	}
	return strings.Join(shapes, "|")
}

// accepts returns the labels that a part can have in a key, its own first.
func (p *part) accepts() []string {
	switch p.kind {
	case byUser, byAPIKey:
		return []string{p.label, "ip:"}
	case byTenant:
		return []string{p.label, "user:", "ip:"}
	}
	return []string{p.label}
}

func (l *Limit) typedPart(b []byte, p *part, piece string) ([]byte, error) {
	if p.kind == byEveryone && piece == p.label {
		return append(b, piece...), nil
	}
	// Behind the first of them is the value: no name has one.
	at := strings.IndexAny(piece, ":=")
	for _, label := range p.accepts() {
		if at < 0 || !strings.EqualFold(piece[:at], strings.TrimSuffix(label, ":")) {
			continue
		}
		b = append(b, label...)
		plain, value := piece[at] == '=', piece[at+1:]
		if value == "" && p.kind != byHeader {
			return nil, fmt.Errorf("limit %q: %q has no value", l.name, piece)
		}
		if label == "ip:" {
			return l.typedIP(b, value)
		}
		if l.issuerShape(label) != "" {
			var err error
			if b, value, err = l.typedIssuer(b, label, value, plain); err != nil {
				return nil, err
			}
		}
		if p.kind == byMethod && value != missing {
			return append(b, methodValue(value)...), nil
		}
		secret := p.secret && label == p.label
		if plain {
			return typedPlain(b, value, secret), nil
		}
		return typedShown(b, value, secret)
	}
	return nil, l.otherPart(p, piece, at)
}

// issuerShape is what stands before a value of that label: "ISSUER/", or nothing.
func (l *Limit) issuerShape(label string) string {
	if l.issuers != nil && (label == "user:" || label == "tenant:") {
		return "ISSUER/"
	}
	return ""
}

// typedIssuer appends the issuer that a value begins with, and returns the rest of it.
func (l *Limit) typedIssuer(b []byte, label, value string, plain bool) (key []byte, rest string, err error) {
	longest := ""
	for _, name := range l.issuers {
		head := name + "/"
		if !plain {
			head = string(l.appendIssuer(nil, name))
		}
		if strings.HasPrefix(value, head) && len(value) > len(head) && len(head) > len(longest) {
			key, rest, longest = l.appendIssuer(b, name), value[len(head):], head
		}
	}
	if longest != "" {
		return key, rest, nil
	}
	word := strings.TrimSuffix(label, ":")
	return nil, "", fmt.Errorf("there are several issuers, each with %ss of its own: write %sISSUER/VALUE, or %s=ISSUER/VALUE for a plain value, where ISSUER is %s",
		word, label, word, either(l.issuers))
}

// otherPart is the error of a piece that is not the part. It shows no value, which may be
// a secret.
func (l *Limit) otherPart(p *part, piece string, at int) error {
	name, given := strings.TrimSuffix(p.label, ":"), "that"
	if at > 0 {
		given = piece[:at]
	}
	if p.kind == byEveryone {
		return fmt.Errorf("limit %q counts everyone together: write everyone", l.name)
	}
	var shapes []string
	for _, label := range p.accepts() {
		shapes = append(shapes, label+l.issuerShape(label)+"VALUE")
	}
	return fmt.Errorf("limit %q counts by %s, not by %s: write %s as commands show it, or %s=%sVALUE for a plain value", l.name,
		name, given, strings.Join(shapes, " or "), name, l.issuerShape(p.label))
}

// typedIP appends an address, or the network that it is in.
func (l *Limit) typedIP(b []byte, value string) ([]byte, error) {
	if value == missing {
		return append(b, value...), nil
	}
	text, bits, isNetwork := strings.Cut(value, "/")
	a, err := netip.ParseAddr(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no address: write one such as ip:203.0.113.7", value)
	}
	a = a.Unmap()
	n := l.ip6
	if a.Is4() {
		n = l.ip4
	}
	if isNetwork && "/"+bits != n.suffix {
		return nil, fmt.Errorf("%q: limit %q counts networks of /%d: write an address alone", value, l.name, n.bits)
	}
	return l.appendIP(b[:len(b)-len("ip:")], a), nil
}

// typedPlain appends a value that was given as it is.
func typedPlain(b []byte, value string, secret bool) []byte {
	if secret {
		return appendHash(b, value)
	}
	return appendValue(b, value)
}

// typedShown appends a value that was given as keys show it.
func typedShown(b []byte, value string, secret bool) ([]byte, error) {
	hash, marked := strings.CutPrefix(value, "~")
	switch {
	case value == missing:
		return append(b, value...), nil
	case secret && isHash(value), marked && !secret && isHash(hash):
		return append(b, value...), nil
	case secret:
		return nil, fmt.Errorf("secrets are shown as %d characters that stand for them: write = and not :, for one as it is", hashText)
	case marked:
		return nil, fmt.Errorf("%q begins with ~, which stands before %d characters: write = and not :, for a plain value", value, hashText)
	}
	plain, err := url.PathUnescape(value)
	if err != nil {
		return nil, fmt.Errorf("%q has a %% without two hexadecimal digits: write = and not :, for a plain value", value)
	}
	if plain == "" {
		return b, nil
	}
	return appendValue(b, plain), nil
}

// isHash tells whether a text is one that hashed makes.
func isHash(text string) bool {
	for i := range len(text) {
		c := text[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return len(text) == hashText
}
