package diff

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"yett/internal/openapi"
)

// direction is who sends a value: clients in a request, the service in a response. What may
// be sent can grow in requests and shrink in responses; the other way round breaks clients.
type direction uint8

const (
	request direction = iota
	response
)

// pair is two schemas that are compared.
type pair struct {
	old, new *openapi.Node
	d        direction
}

// step is the comparison of a pair: which changes there are in it, and which pairs are
// below.
type step struct {
	pair
	operation int // that met it first
	where     string
	changes   []int
	next      []*step
	// changed tells that there are changes in it or below, seen is the last operation that was
	// counted, from 1 on.
	changed bool
	seen    int
}

// compare has two schemas compared, as part of the operation at hand.
func (c *comparison) compare(old, new *openapi.Node, d direction, where string) {
	if s := c.step(old, new, d, where); s != nil {
		c.roots[c.index] = append(c.roots[c.index], s)
	}
}

// longest is how much is said of the way to a value.
const longest = 200

func (c *comparison) step(old, new *openapi.Node, d direction, where string) *step {
	old, new = bared(c.old, old), bared(c.new, new)
	if old == nil && new == nil {
		return nil
	}
	p := pair{old, new, d}
	if s := c.pairs[p]; s != nil {
		return s
	}
	if len(c.pairs) >= c.maxPairs {
		c.tooMuch = true
		return nil
	}
	if len(where) > longest {
		where = strings.ToValidUTF8(where[:longest/2], "") + "..." + strings.ToValidUTF8(where[len(where)-longest/3:], "")
	}
	s := &step{pair: p, operation: c.index, where: where}
	c.pairs[p] = s
	c.queue = append(c.queue, s)
	return s
}

// bared follows references that stand alone, so that the same schema is met as the same.
func bared(d *openapi.Document, n *openapi.Node) *openapi.Node {
	for range 100 {
		if len(n.Pairs()) != 1 || !n.Get("$ref").Is(openapi.String) {
			return n
		}
		target, err := d.Resolve(n.Get("$ref").Text)
		if err != nil {
			return n
		}
		n = target
	}
	return n
}

// drain compares what waits for it.
func (c *comparison) drain() {
	for len(c.queue) > 0 && !c.tooMuch {
		s := c.queue[0]
		c.queue = c.queue[1:]
		w := &work{c: c, step: s, a: c.view(c.old, s.old), b: c.view(c.new, s.new)}
		w.types()
		w.format()
		w.enum()
		w.bounds()
		w.properties()
		w.additional()
		w.items()
		w.alternatives()
		w.rest()
	}
	c.queue = nil
}

// work is the comparison of one pair.
type work struct {
	*step
	c    *comparison
	a, b *view
}

// note adds a change of this pair.
func (w *work) note(l Level, id, format string, args ...any) {
	w.noteAt(l, id, w.old, w.new, format, args...)
}

func (w *work) noteAt(l Level, id string, old, new *openapi.Node, format string, args ...any) {
	if at := w.c.note(l, id, old, new, "%s: %s", w.where, fmt.Sprintf(format, args...)); at >= 0 {
		w.changes = append(w.changes, at)
	}
}

func (w *work) below(old, new *openapi.Node, where string) {
	if s := w.c.step(old, new, w.d, where); s != nil {
		w.next = append(w.next, s)
	}
}

// narrowed notes that less is allowed than was: it breaks requests. Widened notes that more
// is: it surprises those who read responses.
func (w *work) narrowed(id, format string, args ...any) {
	w.note([]Level{request: Breaking, response: Info}[w.d], id, format, args...)
}

func (w *work) widened(id, format string, args ...any) {
	w.note([]Level{request: Info, response: Warning}[w.d], id, format, args...)
}

// lacks returns the types of one list that the other does not take.
func lacks(types, by []string) (missing []string) {
	if len(by) == 0 {
		return nil
	}
	if len(types) == 0 {
		types = []string{"any"}
	}
	for _, t := range types {
		if !slices.Contains(by, t) && (t != "integer" || !slices.Contains(by, "number")) {
			missing = append(missing, t)
		}
	}
	return missing
}

func typeWords(types []string) string {
	if len(types) == 0 {
		return "anything"
	}
	return strings.Join(types, " or ")
}

func (w *work) types() {
	gone, come := lacks(w.a.types, w.b.types), lacks(w.b.types, w.a.types)
	null := []string{"null"}
	breaks, fine := gone, come
	if w.d == response {
		breaks, fine = come, gone
	}
	switch {
	case slices.Equal(breaks, null) && w.d == request:
		w.note(Breaking, "became-not-nullable", "null is not taken any more")
	case slices.Equal(breaks, null):
		w.note(Breaking, "became-nullable", "it may be null now")
	case len(breaks) > 0:
		w.note(Breaking, "type-changed", "the type was %s and is %s", typeWords(w.a.types), typeWords(w.b.types))
	case slices.Equal(fine, null) && w.d == request:
		w.note(Info, "became-nullable", "null is taken now")
	case slices.Equal(fine, null):
		w.note(Info, "became-not-nullable", "it is never null now")
	case len(fine) > 0:
		w.note(Info, "type-changed", "the type was %s and is %s", typeWords(w.a.types), typeWords(w.b.types))
	}
}

// wider are formats that take all that another does.
var wider = map[string]string{"int32": "int64", "float": "double"}

func (w *work) format() {
	was, is := w.a.format, w.b.format
	switch {
	case was == is:
	case was == "":
		if w.d == request {
			w.note(Warning, "format-changed", "it has to be of the format %s now", is)
		} else {
			w.note(Info, "format-changed", "it is of the format %s now", is)
		}
	case is == "":
		w.widened("format-changed", "the format was %s, and there is none now", was)
	case wider[was] == is:
		w.widened("format-changed", "the format was %s and is %s", was, is)
	case wider[is] == was:
		w.narrowed("format-changed", "the format was %s and is %s", was, is)
	default:
		w.note(Breaking, "format-changed", "the format was %s and is %s", was, is)
	}
}

func (w *work) enum() {
	switch {
	case !w.a.hasEnum && !w.b.hasEnum:
		return
	case !w.a.hasEnum:
		w.narrowed("enum-added", "only some values are allowed now: %s", list(w.b.enum))
		return
	case !w.b.hasEnum:
		w.widened("enum-removed", "other values than those known are possible now")
		return
	}
	if gone := without(w.a.enum, w.b.enum); len(gone) > 0 {
		w.narrowed("enum-value-removed", "the value %s is not there any more", list(gone))
	}
	if come := without(w.b.enum, w.a.enum); len(come) > 0 {
		w.widened("enum-value-added", "the value %s is new", list(come))
	}
}

// without returns the values that are not among others.
func without(values, others []*openapi.Node) (rest []*openapi.Node) {
	known := make(map[string]bool, len(others))
	for _, v := range others {
		known[string(v.AppendJSON(nil, ""))] = true
	}
	for _, v := range values {
		if !known[string(v.AppendJSON(nil, ""))] {
			rest = append(rest, v)
		}
	}
	return rest
}

// mostListed is how many values a text names.
const mostListed = 5

func list(values []*openapi.Node) string {
	var texts []string
	for i, v := range values {
		if i == mostListed {
			texts = append(texts, fmt.Sprintf("and %d more", len(values)-i))
			break
		}
		text := string(v.AppendJSON(nil, ""))
		if len(text) > longest/2 {
			text = strings.ToValidUTF8(text[:longest/2], "") + "..."
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

func (w *work) bounds() {
	for _, name := range slices.Sorted(maps.Keys(upper)) {
		w.bound(name, 1)
	}
	for _, name := range slices.Sorted(maps.Keys(lower)) {
		w.bound(name, -1)
	}
	switch was, is := w.a.pattern, w.b.pattern; {
	case was == is:
	case was == "":
		w.narrowed("pattern-added", "it has to match %s now", is)
	case is == "":
		w.widened("pattern-removed", "it need not match %s any more", was)
	default:
		w.note(Warning, "pattern-changed", "it matched %s and has to match %s", was, is)
	}
	switch {
	case !w.a.unique && w.b.unique:
		w.narrowed("constraint-narrowed", "items have to be different now")
	case w.a.unique && !w.b.unique:
		w.widened("constraint-relaxed", "items may be the same now")
	}
}

func (w *work) bound(name string, sign float64) {
	was, had := w.a.bounds[name]
	is, has := w.b.bounds[name]
	switch {
	case !had && !has, had && has && was == is:
	case !had && zero(name, is), !has && zero(name, was):
	case !had:
		w.narrowed("constraint-narrowed", "%s is %v now, there was none", name, is.at)
	case !has:
		w.widened("constraint-relaxed", "%s was %v, there is none now", name, was.at)
	case tighter(is, was, sign):
		w.narrowed("constraint-narrowed", "%s was %s and is %s", name, was, is)
	default:
		w.widened("constraint-relaxed", "%s was %s and is %s", name, was, is)
	}
}

// zero tells whether a bound says nothing: lengths are never below zero.
func zero(name string, b bound) bool {
	return b.at <= 0 && strings.HasPrefix(name, "min") && name != "minimum"
}

// String is the bound in words.
func (b bound) String() string {
	if b.exclusive {
		return fmt.Sprintf("%v, exclusive", b.at)
	}
	return fmt.Sprint(b.at)
}

// sent tells whether a property is sent in a direction.
func (w *work) sent(d *openapi.Document, n *openapi.Node) bool {
	flag := []string{request: "readOnly", response: "writeOnly"}[w.d]
	return n != nil && !n.True(flag) && !d.Deref(n).True(flag)
}

func (w *work) properties() {
	for _, name := range w.a.names {
		was, is := w.a.property[name], w.b.property[name]
		if !w.sent(w.c.old, was) {
			continue
		}
		if !w.sent(w.c.new, is) {
			w.removed(name, was, is)
			continue
		}
		w.required(name, was, is)
		w.below(was, is, join(w.where, name))
	}
	for _, name := range w.b.names {
		if is := w.b.property[name]; w.sent(w.c.new, is) && !w.sent(w.c.old, w.a.property[name]) {
			w.added(name, is)
		}
	}
}

// join adds a name to the way to a value.
func join(where, name string) string {
	if strings.HasSuffix(where, "]") || strings.Contains(where, " at ") {
		return where + "." + name
	}
	return where + " at " + name
}

func (w *work) removed(name string, was, is *openapi.Node) {
	if is == nil {
		is = w.new
	}
	switch {
	case w.d == response && w.a.required[name]:
		w.noteAt(Breaking, "property-removed", was, is, "the property %q, which was always there, is not there any more", name)
	case w.d == response: // whoever did as told has to do without it
		w.noteAt(Warning, "property-removed", was, is, "the property %q, which might be missing, is not there any more", name)
	case w.b.closed:
		w.noteAt(Breaking, "property-removed", was, is, "the property %q is refused now", name)
	default:
		w.noteAt(Warning, "property-removed", was, is, "the property %q is not known any more: it may be ignored", name)
	}
}

func (w *work) added(name string, is *openapi.Node) {
	if w.d == request && w.b.required[name] {
		level := Breaking
		if w.c.new.Deref(is).Get("default") != nil {
			level = Warning
		}
		w.noteAt(level, "required-property-added", w.old, is, "the property %q is new, and required", name)
		return
	}
	w.noteAt(Info, "property-added", w.old, is, "the property %q is new", name)
}

func (w *work) required(name string, was, is *openapi.Node) {
	before, now := w.a.required[name], w.b.required[name]
	switch {
	case before == now:
	case now && w.d == response:
		w.noteAt(Info, "property-became-required", was, is, "the property %q is always there now", name)
	case now && w.c.new.Deref(is).Get("default") != nil:
		w.noteAt(Warning, "property-became-required", was, is, "the property %q is required now, and has a default", name)
	case now:
		w.noteAt(Breaking, "property-became-required", was, is, "the property %q is required now", name)
	case w.d == response:
		w.noteAt(Breaking, "property-became-optional", was, is, "the property %q may be missing now", name)
	default:
		w.noteAt(Info, "property-became-optional", was, is, "the property %q is optional now", name)
	}
}

func (w *work) additional() {
	switch {
	case !w.a.closed && w.b.closed && w.a.isObject():
		w.narrowed("additional-properties-closed", "properties that are not described are refused now")
	case w.a.closed && !w.b.closed:
		w.note(Info, "additional-properties-opened", "there may be properties that are not described now")
	case !w.b.closed && (w.a.additional != nil || w.b.additional != nil):
		w.below(w.a.additional, w.b.additional, w.where+"[any name]")
	}
}

// isObject tells whether a schema says anything about objects.
func (v *view) isObject() bool {
	return len(v.types) == 0 || slices.Contains(v.types, "object")
}

func (w *work) items() {
	w.below(w.a.items, w.b.items, w.where+"[]")
	for i := range max(len(w.a.prefix), len(w.b.prefix)) {
		w.below(w.a.prefixItem(i), w.b.prefixItem(i), fmt.Sprintf("%s[%d]", w.where, i))
	}
}

// prefixItem is the schema of an item: behind those that are described one by one, all are
// alike.
func (v *view) prefixItem(i int) *openapi.Node {
	if i < len(v.prefix) {
		return v.prefix[i]
	}
	return v.items
}

func (w *work) alternatives() {
	a, b := w.a.alternatives, w.b.alternatives
	switch {
	case len(a) == 0 && len(b) == 0:
		return
	case len(a) == 0:
		w.narrowed("alternatives-added", "it has to be one of some alternatives (%s) now", w.b.keyword)
		return
	case len(b) == 0:
		w.widened("alternatives-removed", "it need not be one of the alternatives (%s) any more", w.a.keyword)
		return
	}
	before, after := alternativesByName(a), alternativesByName(b)
	var gone, come []string
	for _, name := range before.names {
		if n := after.node[name]; n != nil {
			w.below(before.node[name], n, w.where)
		} else {
			gone = append(gone, name)
		}
	}
	for _, name := range after.names {
		if before.node[name] == nil {
			come = append(come, name)
		}
	}
	w.unmatched(before, after, gone, come)
}

// unmatched compares alternatives that have changed in their order where there are as many
// as before and they have no names.
func (w *work) unmatched(before, after alternatives, gone, come []string) {
	if len(gone) == len(come) && !slices.ContainsFunc(slices.Concat(gone, come), func(name string) bool { return strings.HasPrefix(name, "#") }) {
		for i := range gone {
			w.below(before.node[gone[i]], after.node[come[i]], w.where)
		}
		return
	}
	for _, name := range gone {
		w.noteAlternative(request, "alternative-removed", before.node[name], w.new, "the alternative %s is not there any more", name)
	}
	for _, name := range come {
		w.noteAlternative(response, "alternative-added", w.old, after.node[name], "the alternative %s is new", name)
	}
}

// noteAlternative notes a change that matters in one direction only.
func (w *work) noteAlternative(matters direction, id string, old, new *openapi.Node, format, name string) {
	level := Info
	if w.d == matters {
		level = []Level{request: Breaking, response: Warning}[w.d]
	}
	if len(name) > longest/2 {
		name = strings.ToValidUTF8(name[:longest/2], "") + "..."
	}
	w.noteAt(level, id, old, new, format, name)
}

// alternatives are those of a schema by what tells them apart.
type alternatives struct {
	names []string
	node  map[string]*openapi.Node
}

func alternativesByName(list []*openapi.Node) alternatives {
	a := alternatives{node: make(map[string]*openapi.Node)}
	for _, n := range list {
		name := n.Str("$ref")
		if name == "" {
			name = string(n.AppendJSON(nil, ""))
		}
		if a.node[name] == nil {
			a.names = append(a.names, name)
			a.node[name] = n
		}
	}
	return a
}

// rest looks at what can't be told to be narrower or wider, and at defaults.
func (w *work) rest() {
	keywords := slices.Sorted(maps.Keys(w.a.rest))
	for name := range w.b.rest {
		if w.a.rest[name] == nil {
			keywords = append(keywords, name)
		}
	}
	slices.Sort(keywords)
	for _, name := range keywords {
		was, is := w.a.rest[name], w.b.rest[name]
		switch {
		case was.Equal(is):
		case name == "discriminator" && was != nil && is != nil && was.Str("propertyName") != is.Str("propertyName"):
			w.note(Breaking, "discriminator-changed", "alternatives were told apart by %q and are by %q", was.Str("propertyName"), is.Str("propertyName"))
		case name == "discriminator":
		case was == nil:
			w.narrowed("condition-added", "there is %s now", name)
		case is == nil:
			w.widened("condition-removed", "there is no %s any more", name)
		default:
			w.note(Warning, "condition-changed", "%s is another", name)
		}
	}
	if w.d == request && w.a.value != nil && !w.a.value.Equal(w.b.value) {
		is := "none"
		if w.b.value != nil {
			is = list([]*openapi.Node{w.b.value})
		}
		w.note(Warning, "default-changed", "the default was %s and is %s", list([]*openapi.Node{w.a.value}), is)
	}
}
