package limit

import (
	"fmt"
	"slices"
	"strings"

	"yett/internal/exchange"
	"yett/internal/problem"
	"yett/internal/role"
)

// matcher is some callers: those whom one of its words fits. The zero matcher is nobody.
type matcher struct {
	anonymous, known       bool // all of them
	roles                  *role.Set
	mask                   role.Mask
	plans, scopes, tenants []string
	text                   string // as it was written, for people
	said                   string // for callers
}

// everybody tells whether the matcher fits all callers.
func (m *matcher) everybody() bool { return m.anonymous && m.known }

// anyKnown tells whether it fits some caller that is known.
func (m *matcher) anyKnown() bool {
	return m.known || len(m.mask) > 0 || len(m.plans) > 0 || len(m.scopes) > 0 || len(m.tenants) > 0
}

// fits tells whether the caller is one of them. It does not allocate.
func (m *matcher) fits(id *exchange.Identity) bool {
	if !id.Known() {
		return m.anonymous
	}
	return m.known ||
		len(m.mask) > 0 && m.hasRole(id) ||
		len(m.plans) > 0 && slices.Contains(m.plans, id.Plan) ||
		len(m.tenants) > 0 && slices.Contains(m.tenants, id.Tenant) ||
		len(m.scopes) > 0 && slices.ContainsFunc(id.Scopes, func(s string) bool { return slices.Contains(m.scopes, s) })
}

func (m *matcher) hasRole(id *exchange.Identity) bool {
	for _, name := range id.Roles {
		if bit, ok := m.roles.Bit(name); ok && m.mask.Has(bit) {
			return true
		}
	}
	return false
}

// add adds the callers of another matcher.
func (m *matcher) add(o *matcher) {
	m.anonymous, m.known = m.anonymous || o.anonymous, m.known || o.known
	if o.roles != nil {
		m.roles = o.roles
	}
	m.mask = union(m.mask, o.mask)
	m.plans = append(m.plans, o.plans...)
	m.scopes = append(m.scopes, o.scopes...)
	m.tenants = append(m.tenants, o.tenants...)
}

// covers tells whether each caller of o is certainly one of m.
func (m *matcher) covers(o *matcher) bool {
	if o.anonymous && !m.anonymous || o.known && !m.known {
		return false
	}
	return m.known || subset(o.mask, m.mask) && within(o.plans, m.plans) && within(o.scopes, m.scopes) && within(o.tenants, m.tenants)
}

// meets tells whether some caller may be one of both.
func (m *matcher) meets(o *matcher) bool {
	return m.anonymous && o.anonymous || m.anyKnown() && o.anyKnown()
}

func within(list, of []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !slices.Contains(of, s) })
}

func subset(a, b role.Mask) bool {
	for i, word := range a {
		if i >= len(b) && word != 0 || i < len(b) && word&^b[i] != 0 {
			return false
		}
	}
	return true
}

func union(a, b role.Mask) role.Mask {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i, word := range b {
		out[i] |= word
	}
	return out
}

// words are what may be written for callers.
func words() []string {
	return []string{"all", "anonymous", "known", "min_role:ROLE", "role:ROLE", "plan:PLAN", "scope:SCOPE", "tenant:TENANT"}
}

// who reads a list of callers. Nil is everybody. It is not ok after a problem.
func (b *builder) who(path string, list []string) (m matcher, ok bool) {
	if list == nil {
		return matcher{anonymous: true, known: true}, true
	}
	if len(list) == 0 {
		b.fail(path, "write all, or whose requests count", "is an empty list")
		return m, false
	}
	ok = true
	for i, text := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		term, good := b.term(at, text)
		switch {
		case !good:
			ok = false
		case term.everybody() && len(list) > 1:
			b.fail(at, "write all alone, or remove it", "all is everybody, so nothing can stand beside it")
			return m, false
		case m.covers(&term):
			b.fail(at, "remove it", "%s adds nobody to those before it", text)
			ok = false
		default:
			m.add(&term)
		}
	}
	m.text, m.said = either(list), sayCallers(list)
	if ok && len(list) > 1 && m.everybody() {
		b.fail(path, "write all", "those who are anonymous or known are everybody")
		ok = false
	}
	return m, ok
}

// term reads one word for callers.
func (b *builder) term(at, text string) (m matcher, ok bool) {
	word, value, hasValue := strings.Cut(text, ":")
	switch word {
	case "all", "anonymous", "known":
		if hasValue {
			b.fail(at, "write "+word, "%s takes no value", word)
			return m, false
		}
		return matcher{anonymous: word != "known", known: word != "anonymous"}, true
	case "min_role", "role", "plan", "scope", "tenant":
		if value == "" {
			b.fail(at, fmt.Sprintf("write %s:%s", word, strings.ToUpper(strings.TrimPrefix(word, "min_"))), "%s needs a value", word)
			return m, false
		}
		return b.valued(at, word, value)
	}
	b.fail(at, b.wordHint(text, word), "%q is no word for callers", text)
	return m, false
}

// valued makes the matcher of a word with a value.
func (b *builder) valued(at, word, value string) (m matcher, ok bool) {
	switch word {
	case "plan":
		return matcher{plans: []string{value}}, true
	case "scope":
		return matcher{scopes: []string{value}}, true
	case "tenant":
		return matcher{tenants: []string{value}}, true
	}
	if !b.roles.Known(value) {
		hint := "define it under roles, at the top level"
		if b.roles.Len() > 0 {
			hint = problem.DidYouMean(value, b.roles.Names())
		}
		b.fail(at, hint, "there is no role %q", value)
		return m, false
	}
	mask := b.roles.Exactly(value)
	if word == "min_role" {
		mask = union(mask, b.roles.AtLeast(value)) // AtLeast is empty while roles have problems
	}
	return matcher{roles: b.roles, mask: mask}, true
}

func (b *builder) wordHint(text, word string) string {
	if b.roles.Known(text) {
		return fmt.Sprintf("write role:%s, or min_role:%s for those above too", text, text)
	}
	var names []string
	for _, w := range words() {
		name, _, _ := strings.Cut(w, ":")
		names = append(names, name)
	}
	if near := problem.Nearest(word, names); near != "" {
		return fmt.Sprintf("did you mean %q?", words()[slices.Index(names, near)])
	}
	return problem.DidYouMean(text, words())
}

// either lists words as a sentence does: "a, b or c".
func either(list []string) string { return sentence(list, " or ") }

func sentence(list []string, last string) string {
	n := len(list) - 1
	if n <= 0 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:n], ", ") + last + list[n]
}
