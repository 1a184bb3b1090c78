package limit

import (
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/netip"
	"strconv"
	"strings"

	"yett/internal/ascii"
	"yett/internal/exchange"
)

// A key is the text under which a caller is counted, one part for each thing that the limit
// counts by, with | between: user:u-1|route:orders. Values come from outside, so they are
// written so that two callers never have the same key, and that it can stand in the name
// of a Redis key, in a log line and in a terminal:
//
//   - %, |, braces, blanks, control characters and all that is not ASCII are percent-encoded;
//   - one of more than 64 bytes is ~ and its hash;
//   - - is one that is missing; a value that is "-", or begins with ~, has that encoded;
//   - secrets are their hash;
//   - methods that nobody has defined are "other", all of them;
//   - where there are several issuers, the name of the caller's stands before a user and a
//     tenant, with / between: user:staff/42. A / in the name is percent-encoded.
//
// A hash is the first 128 bits of SHA-256, in base64url.

const (
	// missing stands for what a request does not have.
	missing = "-"
	// longest is how many bytes a value may have that is kept as it is.
	longest = 64
	// hashBytes of SHA-256 are kept, hashText is how long they are in base64url.
	hashBytes, hashText = 16, 22
)

// partKind is what a part of a key is about.
type partKind uint8

const (
	byEveryone partKind = iota
	byIP
	byUser
	byTenant
	byRole
	byAPIKey
	byRoute
	byService
	byHost
	byMethod
	byHeader
	byPath
)

// asksCaller tells whether it depends on who calls.
func (k partKind) asksCaller() bool { return k == byUser || k == byTenant || k == byRole }

// looksAtIP tells whether it is the client's address, or can be.
func (k partKind) looksAtIP() bool {
	return k == byIP || k == byUser || k == byTenant || k == byAPIKey
}

// part is one thing that a limit counts by.
type part struct {
	kind  partKind
	name  string       // of the header, in lower case, or of the path's value
	label string       // what stands before the value in a key: "user:"
	field exchange.Key // the header's
	// secret tells that values are likely to be secrets, and stand in keys as their hash.
	secret bool
}

// network is how much of an address makes a caller.
type network struct {
	bits   int
	suffix string // "/64", or empty for all of it
}

func newNetwork(bits, all int) network {
	if bits >= all {
		return network{bits: all}
	}
	return network{bits, "/" + strconv.Itoa(bits)}
}

func (l *Limit) countsService() bool {
	for i := range l.parts {
		if l.parts[i].kind == byService {
			return true
		}
	}
	return false
}

// appendKey appends the key of a request. It uses what is behind b as scratch.
func (l *Limit) appendKey(b []byte, x *exchange.Exchange) []byte {
	for i := range l.parts {
		if i > 0 {
			b = append(b, '|')
		}
		b = l.appendPart(b, &l.parts[i], x)
	}
	return b
}

func (l *Limit) appendPart(b []byte, p *part, x *exchange.Exchange) []byte {
	switch p.kind {
	case byEveryone:
		return append(b, p.label...)
	case byIP:
		return l.appendIP(b, x.Client)
	case byUser:
		return l.appendUser(b, x)
	case byTenant:
		if x.Identity.Tenant == "" {
			return l.appendUser(b, x)
		}
	case byAPIKey:
		if x.Request.Get(apiKeyHeader) == "" {
			return l.appendIP(b, x.Client)
		}
	}
	b = append(b, p.label...)
	if p.kind == byTenant {
		b = l.appendIssuer(b, x.Identity.Issuer)
	}
	if p.kind == byHeader || p.kind == byAPIKey {
		return appendField(b, &x.Request, p)
	}
	value := l.valueOf(p, x)
	switch {
	case value == "":
		return append(b, missing...)
	case p.secret:
		return appendHash(b, value)
	}
	return appendValue(b, value)
}

// valueOf returns the value of a part that has one.
func (l *Limit) valueOf(p *part, x *exchange.Exchange) string {
	switch p.kind {
	case byTenant:
		return x.Identity.Tenant
	case byRole:
		return x.Identity.Role
	case byRoute:
		return x.Route
	case byService:
		return l.service
	case byHost:
		return x.Host
	case byMethod:
		return methodValue(x.Method)
	}
	return x.Param(p.name) // byPath
}

// otherMethod stands for all methods that nobody has defined: a caller may make up as many as
// it likes.
const otherMethod = "other"

// methodValue is how a method stands in keys (RFC 9110 section 9, RFC 5789).
func methodValue(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "":
		return method
	}
	return otherMethod
}

func (l *Limit) appendUser(b []byte, x *exchange.Exchange) []byte {
	if !x.Identity.Known() {
		return l.appendIP(b, x.Client)
	}
	b = l.appendIssuer(append(b, "user:"...), x.Identity.Issuer)
	return appendValue(b, x.Identity.Subject)
}

// appendIssuer appends what stands before a value that only its issuer gives sense to.
func (l *Limit) appendIssuer(b []byte, name string) []byte {
	if l.issuers == nil {
		return b
	}
	for {
		head, rest, more := strings.Cut(name, "/")
		b = appendEscaped(b, head)
		if !more {
			return append(b, '/')
		}
		b, name = append(b, "%2F"...), rest
	}
}

func (l *Limit) appendIP(b []byte, a netip.Addr) []byte {
	b = append(b, "ip:"...)
	a = a.Unmap()
	n := &l.ip6
	switch {
	case !a.IsValid():
		return append(b, missing...)
	case a.Is4():
		n = &l.ip4
	}
	if n.suffix == "" {
		return a.WithZone("").AppendTo(b)
	}
	masked, _ := a.Prefix(n.bits) // which an address of that length has
	return append(masked.Addr().AppendTo(b), n.suffix...)
}

// appendField appends the value of a header field. Several are one, as RFC 9110 section 5.3
// reads them.
func appendField(b []byte, h *exchange.Header, p *part) []byte {
	n, size, only := 0, 0, ""
	fields := h.Fields()
	for i := range fields {
		if f := &fields[i]; p.isOf(f) {
			n, size, only = n+1, size+len(f.Value)+1, f.Value
		}
	}
	switch {
	case n == 0:
		return append(b, missing...)
	case n > 1 && size > scratch:
		return appendLong(b, h, p)
	case n > 1:
		at := len(b)
		return finish(p.join(b, h), at, p.secret)
	case p.secret:
		return appendHash(b, only)
	}
	return appendValue(b, only)
}

// isOf tells whether a header field is what the part counts by.
func (p *part) isOf(f *exchange.Field) bool {
	return f.Key == p.field && (p.field != exchange.KeyOther || exchange.EqualFold(f.Name, p.name))
}

// join appends all values of the header field.
func (p *part) join(b []byte, h *exchange.Header) []byte {
	fields, between := h.Fields(), ""
	for i := range fields {
		if f := &fields[i]; p.isOf(f) {
			b = append(append(b, between...), f.Value...)
			between = separator(p.field)
		}
	}
	return b
}

// appendLong appends the hash of all values of a header field that are together more than
// memory for keys is to grow by.
func appendLong(b []byte, h *exchange.Header, p *part) []byte {
	if !p.secret {
		b = append(b, '~')
	}
	d, at, between := sha256.New(), len(b), ""
	fields := h.Fields()
	for i := range fields {
		if f := &fields[i]; p.isOf(f) {
			b = digest(d, digest(d, b, at, between), at, f.Value)
			between = separator(p.field)
		}
	}
	return appendSum(b, d)
}

// separator stands between the values of several fields of one name. Cookies have their
// own (RFC 9113 section 8.2.3).
func separator(k exchange.Key) string {
	if k == exchange.KeyCookie {
		return "; "
	}
	return ","
}

// finish turns the plain value at the end of b into what stands in a key.
func finish(b []byte, at int, secret bool) []byte {
	switch n := len(b) - at; {
	case secret:
		return hashed(b, at)
	case n > longest:
		b = append(b, 0)
		copy(b[at+1:], b[at:])
		b[at] = '~'
		return hashed(b, at+1)
	default:
		var plain [longest]byte
		copy(plain[:], b[at:])
		return appendValue(b[:at], exchange.View(plain[:n]))
	}
}

// appendValue appends a plain value as it stands in a key.
func appendValue(b []byte, value string) []byte {
	switch {
	case len(value) > longest:
		return appendHash(append(b, '~'), value)
	case value == missing:
		return append(b, "%2D"...)
	case value != "" && value[0] == '~':
		b, value = append(b, "%7E"...), value[1:]
	}
	return appendEscaped(b, value)
}

// appendEscaped percent-encodes what can't stand in a key.
func appendEscaped(b []byte, value string) []byte {
	if ascii.Simple(value, '%') {
		return append(b, value...)
	}
	const digits = "0123456789ABCDEF"
	from := 0
	for i := range len(value) {
		if c := value[i]; special[c] {
			b = append(append(b, value[from:i]...), '%', digits[c>>4], digits[c&15])
			from = i + 1
		}
	}
	return append(b, value[from:]...)
}

// special has the bytes that can't stand in a key.
var special = func() (set [256]bool) {
	for c := range set {
		set[c] = c <= ' ' || c >= 0x7f
	}
	for _, c := range []byte("%{|}") {
		set[c] = true
	}
	return set
}()

// scratch is up to how many bytes of what is to be hashed are copied behind the keys, so that
// their memory, which is kept for other requests, stays small.
const scratch = 4 << 10

// appendHash appends the hash of a value. It allocates for one that is above scratch.
func appendHash(b []byte, value string) []byte {
	at := len(b)
	if len(value) <= scratch {
		return hashed(append(b, value...), at)
	}
	d := sha256.New()
	return appendSum(digest(d, b, at, value), d)
}

// digest adds a value to a hash, by way of what is behind at in b.
func digest(d hash.Hash, b []byte, at int, value string) []byte {
	for len(value) > 0 {
		n := min(len(value), scratch)
		b = append(b[:at], value[:n]...)
		d.Write(b[at:])
		value = value[n:]
	}
	return b[:at]
}

func appendSum(b []byte, d hash.Hash) []byte {
	var sum [sha256.Size]byte
	return base64.RawURLEncoding.AppendEncode(b, d.Sum(sum[:0])[:hashBytes])
}

// hashed replaces the end of b by its hash.
func hashed(b []byte, at int) []byte {
	sum := sha256.Sum256(b[at:])
	return base64.RawURLEncoding.AppendEncode(b[:at], sum[:hashBytes])
}

const apiKeyHeader = "x-api-key"

// secretField tells whether a header field of that name, in lower case, is likely to hold
// a secret.
func secretField(name string) bool {
	return strings.Contains(name, "cookie") || exchange.SecretName(name)
}
