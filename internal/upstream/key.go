package upstream

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"yett/internal/exchange"
	"yett/internal/problem"
)

// Keyer makes a number of what says who calls, the same on every node and in every version:
// it decides which service or target a caller gets. The nil Keyer knows nobody.
type Keyer struct {
	parts []keyPart
}

// keyKind is what a part of a key is about.
type keyKind uint8

const (
	byClient keyKind = iota
	byUser
	byHeader
	byCookie
	byPath
)

// keyPart is one thing that a key is made of.
type keyPart struct {
	kind  keyKind
	text  string       // as it was written
	name  string       // of the header, the cookie, or the value of the path
	field exchange.Key // the header's
}

// keyWords are what may be written.
func keyWords() []string {
	return []string{"client", "user", "header.NAME", "cookie.NAME", "path.NAME"}
}

// CompileKey reads what makes a key: client, user, header.NAME, cookie.NAME and path.NAME.
// params are the names of the values that the paths in question have, nil when that is not
// known. Paths of problems are the index, such as "[1]". Without parts the Keyer is nil.
func CompileKey(parts, params []string) (*Keyer, problem.List) {
	var problems problem.List
	k := &Keyer{}
	for i, text := range parts {
		at := fmt.Sprintf("[%d]", i)
		before := len(problems)
		p := compilePart(&problems, at, text)
		switch {
		case len(problems) > before:
		case slices.ContainsFunc(k.parts, p.same):
			problems.Addf(at, "remove it", "%s is there twice", text)
		case p.kind == byPath && params != nil && !slices.Contains(params, p.name):
			problems.Add(at, fmt.Sprintf("no path here has the value {%s}", p.name), pathHint(p.name, params))
		default:
			k.parts = append(k.parts, p)
		}
	}
	if len(problems) > 0 || len(parts) == 0 {
		return nil, problems
	}
	return k, nil
}

// pathHint says which values there are.
func pathHint(name string, params []string) string {
	named := slices.DeleteFunc(slices.Clone(params), func(n string) bool { return n == "**" })
	if len(named) == 0 {
		return "write one into the path, such as /users/{id}, or remove it"
	}
	for i := range named {
		named[i] = "path." + named[i]
	}
	return problem.DidYouMean("path."+name, named)
}

func compilePart(problems *problem.List, at, text string) keyPart {
	switch text {
	case "client":
		return keyPart{kind: byClient, text: text}
	case "user":
		return keyPart{kind: byUser, text: text}
	}
	word, name, dotted := strings.Cut(text, ".")
	switch {
	case word == "header" && dotted:
		return headerPart(problems, at, text, name)
	case word == "cookie" && dotted:
		return cookiePart(problems, at, text, name)
	case word == "path" && dotted:
		return pathPart(problems, at, text, name)
	}
	problems.Addf(at, keyHint(text, word), "there is no key %q", text)
	return keyPart{}
}

// keyHint knows the words that rate limits have for the same.
func keyHint(text, word string) string {
	switch text {
	case "ip":
		return "write client"
	case "api_key":
		return "write header.X-API-Key"
	}
	word, _, _ = strings.Cut(word, ":")
	for _, w := range []string{"header", "cookie", "path"} {
		if problem.Nearest(word, []string{w}) != "" {
			return "write " + w + ".NAME"
		}
	}
	return problem.DidYouMean(text, keyWords())
}

// headerPart refuses fields that never get here, or say nothing about who calls.
func headerPart(problems *problem.List, at, text, name string) keyPart {
	if !exchange.ValidName(name) {
		problems.Addf(at, "a name consists of letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 section 5.1)", "%q can't be the name of a header", name)
		return keyPart{}
	}
	key := exchange.KeyOf(name)
	switch {
	case key == exchange.KeyCookie:
		problems.Addf(at, "write cookie.NAME", "%s holds all cookies, of which any may change", name)
	case key == exchange.KeyHost:
		problems.Addf(at, "use something else", "%s says what is called, and nothing about who calls", name)
	case key == exchange.KeyForwarded, key == exchange.KeyXRealIP, strings.HasPrefix(strings.ToLower(name), "x-forwarded-"):
		problems.Addf(at, "write client, and list your proxies under trusted_proxies", "anybody can send %s, so it says nothing about who calls", name)
	case key.HopByHop():
		problems.Addf(at, "use something else", "%s concerns the connection, and is dropped when a request comes", name)
	}
	return keyPart{kind: byHeader, text: text, name: name, field: key}
}

func cookiePart(problems *problem.List, at, text, name string) keyPart {
	if !exchange.ValidName(name) {
		problems.Addf(at, "a name consists of letters, digits and !#$%&'*+-.^_`|~ (RFC 6265 section 4.1.1)", "%q can't be the name of a cookie", name)
	}
	return keyPart{kind: byCookie, text: text, name: name}
}

func pathPart(problems *problem.List, at, text, name string) keyPart {
	letter := func(r rune) bool { return 'a' <= r|0x20 && r|0x20 <= 'z' || r == '_' }
	wrong := func(r rune) bool { return !letter(r) && (r < '0' || '9' < r) }
	switch {
	case name == "**":
		problems.Add(at, "** is any number of segments", "name a single value, such as path.id for /users/{id}")
	case name == "" || strings.ContainsFunc(name, wrong) || !letter(rune(name[0])):
		problems.Addf(at, "write the name without braces, such as path.id for /users/{id}", "%q can't be the name of a value of a path", name)
	}
	return keyPart{kind: byPath, text: text, name: name}
}

// same tells whether two parts are the same, in whatever case a header is written.
func (p keyPart) same(o keyPart) bool {
	return p.kind == o.kind && (p.name == o.name || p.kind == byHeader && exchange.EqualFold(p.name, o.name))
}

// Parts returns what the key is made of, as it was written.
func (k *Keyer) Parts() []string {
	if k == nil {
		return nil
	}
	out := make([]string, len(k.parts))
	for i, p := range k.parts {
		out[i] = p.text
	}
	return out
}

// Key returns the number of a request. ok is false when the request has none of the parts.
// All bits of the number are equally good. It does not allocate.
func (k *Keyer) Key(x *exchange.Exchange) (key uint64, ok bool) {
	if k == nil {
		return 0, false
	}
	h := uint64(keySeed)
	for i := range k.parts {
		next, has := k.parts[i].add(h, x)
		if !has {
			next = fold(h^keyMissing, keyWord)
		}
		h, ok = next, ok || has
	}
	return mix(h), ok
}

// add adds what the request has of the part to a hash. An empty value is none.
func (p *keyPart) add(h uint64, x *exchange.Exchange) (uint64, bool) {
	switch p.kind {
	case byClient:
		return addClient(h, x)
	case byUser:
		return addValue(h, x.Identity.Subject)
	case byHeader:
		return p.addFields(h, &x.Request)
	case byCookie:
		value, _ := x.Request.Cookie(p.name)
		return addValue(h, value)
	}
	return addValue(h, x.Param(p.name)) // byPath
}

// addClient adds an IPv4 address, or the /64 of an IPv6 address: a caller has all of that.
func addClient(h uint64, x *exchange.Exchange) (uint64, bool) {
	a := x.Client.Unmap()
	switch {
	case !a.IsValid():
		return h, false
	case a.Is4():
		b := a.As4()
		return fold(h^uint64(binary.LittleEndian.Uint32(b[:])), keyWord), true
	}
	b := a.As16()
	return fold(h^binary.LittleEndian.Uint64(b[:8]), keyTail), true
}

// addFields adds all values of a header field.
func (p *keyPart) addFields(h uint64, header *exchange.Header) (uint64, bool) {
	fields, ok := header.Fields(), false
	for i := range fields {
		f := &fields[i]
		if f.Key == p.field && (p.field != exchange.KeyOther || exchange.EqualFold(f.Name, p.name)) {
			next, has := addValue(h, f.Value)
			h, ok = next, ok || has
		}
	}
	return h, ok
}

// addValue adds a value that is not empty.
func addValue(h uint64, s string) (uint64, bool) {
	return addText(h, s), s != ""
}

// The numbers of the hash are fixed for good: callers would change places otherwise. They are
// fractional parts of square roots of primes, made odd.
const (
	keySeed    = 0x6a09e667f3bcc909
	keyWord    = 0xbb67ae8584caa73b
	keyTail    = 0x3c6ef372fe94f82b
	keyMissing = 0xa54ff53a5f1d36f1
)

// addText adds a text to a hash, eight bytes at a time.
func addText(h uint64, s string) uint64 {
	n := len(s)
	for len(s) >= 8 {
		h = fold(h^word(s), keyWord)
		s = s[8:]
	}
	var last uint64
	for i := range len(s) {
		last |= uint64(s[i]) << (8 * i)
	}
	return fold(h^last^uint64(n)<<56, keyTail)
}

// word is the first eight bytes of s, on every machine in the same order.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// fold multiplies to 128 bits and folds them into 64.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^keySeed, b)
	return hi ^ lo ^ bits.RotateLeft64(a, 32) // a stands for itself too, should the product be 0
}

// mix makes every bit of the result depend on every bit of h (the finish of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
