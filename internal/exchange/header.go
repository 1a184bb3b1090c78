package exchange

import (
	"slices"
	"strings"
)

// Field is one line of a header section. Key is KeyOf(Name).
type Field struct {
	Name, Value string
	Key         Key
}

// Header is an ordered list of fields. It keeps duplicates, order and the
// case in which names were written.
type Header struct{ fields []Field }

// Fields returns the fields in order. The slice belongs to the Header.
func (h *Header) Fields() []Field { return h.fields }

// Len returns the number of fields.
func (h *Header) Len() int { return len(h.fields) }

// Reset removes all fields and keeps the memory.
func (h *Header) Reset() {
	clear(h.fields)
	h.fields = h.fields[:0]
}

// Add appends a field.
func (h *Header) Add(name, value string) {
	h.AddField(Field{Name: name, Value: value, Key: KeyOf(name)})
}

// AddField appends a field whose Key is known. It copies word by word: copying
// a Field that has just been put together as a whole makes the processor wait
// until all its parts are written.
func (h *Header) AddField(f Field) {
	n := len(h.fields)
	if n == cap(h.fields) {
		h.fields = slices.Grow(h.fields, 1)
	}
	h.fields = h.fields[:n+1]
	to := &h.fields[n]
	to.Name, to.Value, to.Key = f.Name, f.Value, f.Key
}

// AddFields appends fields whose Keys are known. It copies them at once, which
// is cheaper than one by one.
func (h *Header) AddFields(list []Field) { h.fields = append(h.fields, list...) }

// Get returns the first value of a field, or "".
func (h *Header) Get(name string) string {
	v, _ := h.Lookup(name)
	return v
}

// Lookup returns the first value of a field and whether there is one.
func (h *Header) Lookup(name string) (string, bool) {
	k := KeyOf(name)
	if k != KeyOther {
		return h.LookupKey(k)
	}
	for i := range h.fields {
		if f := &h.fields[i]; f.Key == KeyOther && EqualFold(f.Name, name) {
			return f.Value, true
		}
	}
	return "", false
}

// LookupKey returns the first value of a known field and whether there is one.
func (h *Header) LookupKey(k Key) (string, bool) {
	for i := range h.fields {
		if h.fields[i].Key == k {
			return h.fields[i].Value, true
		}
	}
	return "", false
}

// GetKey returns the first value of a known field, or "".
func (h *Header) GetKey(k Key) string {
	v, _ := h.LookupKey(k)
	return v
}

// Has tells whether a known field is there.
func (h *Header) Has(k Key) bool {
	_, ok := h.LookupKey(k)
	return ok
}

// Set replaces all fields of that name by one, at the place of the first.
func (h *Header) Set(name, value string) {
	h.SetField(Field{Name: name, Value: value, Key: KeyOf(name)})
}

// SetField is Set for a field whose Key is known.
func (h *Header) SetField(f Field) {
	for i := range h.fields {
		if to := &h.fields[i]; to.is(f.Key, f.Name) {
			to.Name, to.Value, to.Key = f.Name, f.Value, f.Key // as AddField does
			h.deleteFrom(i+1, f.Key, f.Name)
			return
		}
	}
	h.AddField(f)
}

// Del removes all fields of that name.
func (h *Header) Del(name string) { h.deleteFrom(0, KeyOf(name), name) }

// Filter keeps the fields for which keep is true, in order.
func (h *Header) Filter(keep func(*Field) bool) {
	n := 0
	for i := range h.fields {
		if keep(&h.fields[i]) {
			if n != i {
				h.fields[n] = h.fields[i]
			}
			n++
		}
	}
	clear(h.fields[n:])
	h.fields = h.fields[:n]
}

func (h *Header) deleteFrom(start int, k Key, name string) {
	n := start
	for i := start; i < len(h.fields); i++ {
		if !h.fields[i].is(k, name) {
			h.fields[n] = h.fields[i]
			n++
		}
	}
	if n < len(h.fields) {
		clear(h.fields[n:])
		h.fields = h.fields[:n]
	}
}

func (f *Field) is(k Key, name string) bool {
	return f.Key == k && (k != KeyOther || EqualFold(f.Name, name))
}

// StripHopByHop removes the fields that concern one connection only, and
// those that the Connection field names (RFC 9110 section 7.6.1). It has to
// run before the gateway adds fields of its own, so that a client can't have
// them removed by naming them.
func (h *Header) StripHopByHop() {
	named := false
	for i := range h.fields {
		f := &h.fields[i]
		if f.Key == KeyConnection && !EqualFold(f.Value, "keep-alive") && !EqualFold(f.Value, "close") {
			named = true
		}
	}
	if named {
		h.stripNamed()
	}
	h.Filter(func(f *Field) bool { return !f.Key.HopByHop() })
}

// stripNamed removes what Connection names. Content-Length and Host stay:
// they are framing and routing, whatever a client says about them. Connection
// fields stay too, so the list of them can be walked while others go.
func (h *Header) stripNamed() {
	for n := 0; ; n++ {
		value, ok := h.nth(KeyConnection, n)
		if !ok {
			return
		}
		for name := range strings.SplitSeq(value, ",") {
			name = strings.Trim(name, " \t")
			switch KeyOf(name) {
			case KeyConnection, KeyContentLength, KeyHost:
			default:
				h.Del(name)
			}
		}
	}
}

// nth returns the value of the field number n with that Key, from 0.
func (h *Header) nth(k Key, n int) (string, bool) {
	for i := range h.fields {
		if h.fields[i].Key != k {
			continue
		}
		if n == 0 {
			return h.fields[i].Value, true
		}
		n--
	}
	return "", false
}

// CutUnquoted cuts a field's value at the first separator outside of quoted strings (RFC
// 9110 section 5.6.4).
func CutUnquoted(s string, sep byte) (before, after string) {
	if strings.IndexByte(s, '"') < 0 {
		if i := strings.IndexByte(s, sep); i >= 0 {
			return s[:i], s[i+1:]
		}
		return s, ""
	}
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == sep && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// HasToken tells whether a comma separated list value has the token, in any
// case (RFC 9110 section 5.6.1).
func HasToken(list, token string) bool {
	for len(list) > 0 {
		item, rest, _ := strings.Cut(list, ",")
		if EqualFold(strings.Trim(item, " \t"), token) {
			return true
		}
		list = rest
	}
	return false
}

// Cookie returns the value of the first cookie of that name as it stands in the request, and
// whether there is one (RFC 6265 section 5.4). Case matters. HTTP/2 may send several
// Cookie fields.
func (h *Header) Cookie(name string) (string, bool) {
	for i := range h.fields {
		if h.fields[i].Key != KeyCookie {
			continue
		}
		for rest := h.fields[i].Value; rest != ""; {
			var pair string
			pair, rest, _ = strings.Cut(rest, ";")
			got, value, hasValue := strings.Cut(strings.Trim(pair, " \t"), "=")
			if hasValue && got == name {
				return value, true
			}
		}
	}
	return "", false
}
