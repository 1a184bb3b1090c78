package plan

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"yett/internal/config"
)

// side is one of the two configurations, and where in its document the thing stands that is
// compared.
type side struct {
	conf *config.Config
	at   string
}

// filled tells whether a value came from a variable.
func (s side) filled(path string) bool { return s.conf.Source.Filled(join(s.at, path)) }

// missing says which side has nothing to compare with, so that only the other one is told.
type missing uint8

const (
	neither missing = iota
	missingNow
	missingNext
)

// differ walks through two values of one type and collects what is another.
type differ struct {
	now, next side
	missing   missing
	fields    []Field
}

func (d *differ) value(path string, a, b reflect.Value, s manner) {
	t := a.Type()
	switch {
	case isWord(t):
		d.word(path, a, b, s)
	case t == reflect.TypeFor[config.Policies]():
		d.policies(path, a.Interface().(config.Policies), b.Interface().(config.Policies))
	case t.Kind() == reflect.Pointer:
		d.pointer(path, a, b, s)
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			if n := name(t.Field(i)); n != "" {
				d.value(join(path, n), a.Field(i), b.Field(i), mannerOf(t, t.Field(i), s))
			}
		}
	case isMapping(t), t.Kind() == reflect.Map:
		d.mapping(path, a, b, s)
	default:
		d.list(path, a, b, s)
	}
}

func (d *differ) word(path string, a, b reflect.Value, s manner) {
	from, to := wordText(a), wordText(b)
	if from == to && reflect.DeepEqual(plainOf(a), plainOf(b)) {
		return
	}
	d.add(path, d.public(d.now, path, from, s), d.public(d.next, path, to, s))
}

// plainOf returns what two words are compared by.
func plainOf(v reflect.Value) any {
	if n, ok := v.Interface().(config.Node); ok {
		return nodeText(n)
	}
	return v.Interface()
}

// pointer compares what may be left out. What came or went as a whole is one field.
func (d *differ) pointer(path string, a, b reflect.Value, s manner) {
	switch {
	case a.IsNil() && b.IsNil():
	case !a.IsNil() && !b.IsNil():
		d.value(path, a.Elem(), b.Elem(), s)
	default:
		d.add(path, d.whole(d.now, path, a, s), d.whole(d.next, path, b, s))
	}
}

// mapping compares by names, of which the order means nothing.
func (d *differ) mapping(path string, a, b reflect.Value, s manner) {
	from, to := byName(a), byName(b)
	for _, name := range slices.Sorted(maps.Keys(union(from, to))) {
		below := join(path, name)
		x, y := from[name], to[name]
		if x.IsValid() && y.IsValid() {
			d.value(below, x, y, s.named(name))
			continue
		}
		d.add(below, d.whole(d.now, below, x, s.named(name)), d.whole(d.next, below, y, s.named(name)))
	}
}

// byName returns the values of a map or a Mapping.
func byName(v reflect.Value) map[string]reflect.Value {
	all := make(map[string]reflect.Value)
	if v.Kind() == reflect.Map {
		for _, k := range v.MapKeys() {
			all[k.String()] = v.MapIndex(k)
		}
		return all
	}
	for i := range v.Len() {
		all[v.Index(i).Field(0).String()] = v.Index(i).Field(1)
	}
	return all
}

func union[V any](a, b map[string]V) map[string]bool {
	all := make(map[string]bool)
	for name := range a {
		all[name] = true
	}
	for name := range b {
		all[name] = true
	}
	return all
}

// shortList is how many characters of a list are told as a whole.
const shortList = 60

func (d *differ) list(path string, a, b reflect.Value, s manner) {
	if reflect.DeepEqual(a.Interface(), b.Interface()) {
		return
	}
	if t := a.Type().Elem(); !isWord(t) && a.Len() == b.Len() {
		for i := range a.Len() {
			d.value(index(path, i), a.Index(i), b.Index(i), s)
		}
		return
	}
	from, to := d.items(d.now, path, a, s), d.items(d.next, path, b, s)
	if slices.Equal(raws(from), raws(to)) || s.unordered && slices.Equal(sorted(from), sorted(to)) {
		return
	}
	gone, come := without(from, to), without(to, from)
	whole := joined(from)
	if len(whole) <= shortList && len(joined(to)) <= shortList && !s.single || len(gone)+len(come) == 0 || d.missing != neither {
		d.add(path, whole, joined(to))
		return
	}
	for _, i := range gone {
		d.add(path, i.public, "")
	}
	for _, i := range come {
		d.add(path, "", i.public)
	}
}

// item is one of a list: what it is, and what may be shown of it.
type item struct{ raw, public string }

func (d *differ) items(on side, path string, v reflect.Value, s manner) (all []item) {
	for i := range v.Len() {
		below := index(path, i)
		all = append(all, item{raw: render(v.Index(i), func(_, text string, _ manner) string { return text }, below, plain), public: d.whole(on, below, v.Index(i), s)})
	}
	return all
}

func raws(items []item) (all []string) {
	for _, i := range items {
		all = append(all, i.raw)
	}
	return all
}

func sorted(items []item) []string { return slices.Sorted(slices.Values(raws(items))) }

func joined(items []item) string {
	texts := make([]string, len(items))
	for i := range items {
		texts[i] = items[i].public
	}
	return strings.Join(texts, ", ")
}

// without returns the items that have no equal among others.
func without(items, others []item) (rest []item) {
	left := raws(others)
	for _, i := range items {
		if at := slices.Index(left, i.raw); at >= 0 {
			left = slices.Delete(left, at, at+1)
		} else {
			rest = append(rest, i)
		}
	}
	return rest
}

// whole returns a value in one line, as it could be written, with secrets hidden and what is the
// default left out. It is empty for what isn't there.
func (d *differ) whole(on side, path string, v reflect.Value, s manner) string {
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return ""
	}
	return render(v, d.shown(on), path, s)
}

// shown is public for one side.
func (d *differ) shown(on side) func(path, text string, s manner) string {
	return func(path, text string, s manner) string { return d.public(on, path, text, s) }
}

// render writes a value in one line. show makes the text of a word what may be shown.
func render(v reflect.Value, show func(path, text string, s manner) string, path string, s manner) string {
	t := v.Type()
	if v.Kind() == reflect.Pointer {
		return render(v.Elem(), show, path, s)
	}
	switch {
	case isWord(t):
		return show(path, wordText(v), s)
	case t.Kind() == reflect.Struct:
		usual := reflect.New(t)
		config.SetDefaults(usual.Interface())
		return renderStruct(v, usual.Elem(), show, path, s)
	case isMapping(t), t.Kind() == reflect.Map:
		all := byName(v)
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(all)) {
			parts = append(parts, name+": "+render(all[name], show, join(path, name), s.named(name)))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	parts := make([]string, v.Len())
	for i := range parts {
		parts[i] = render(v.Index(i), show, index(path, i), s)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// renderStruct leaves out what is as usual.
func renderStruct(v, usual reflect.Value, show func(path, text string, s manner) string, path string, s manner) string {
	t := v.Type()
	var parts []string
	for i := range t.NumField() {
		n := name(t.Field(i))
		if n == "" || reflect.DeepEqual(v.Field(i).Interface(), usual.Field(i).Interface()) {
			continue
		}
		parts = append(parts, n+": "+render(v.Field(i), show, join(path, n), mannerOf(t, t.Field(i), s)))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// add notes a field.
func (d *differ) add(path, from, to string) {
	switch d.missing {
	case missingNow:
		from = ""
	case missingNext:
		to = ""
	}
	from, to = shorten(from, to)
	d.fields = append(d.fields, Field{Path: path, From: from, To: to})
}

// name returns the key of a field, "" for one that an operator can't write.
func name(f reflect.StructField) string {
	if n := f.Tag.Get("yaml"); n != "-" && f.IsExported() {
		return n
	}
	return ""
}

// isWord tells whether a type is written as a single word, or is taken for one here.
func isWord(t reflect.Type) bool {
	if t == reflect.TypeFor[config.Node]() || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Map, reflect.Pointer:
		return false
	}
	return true
}

// isMapping tells whether a type is a config.Mapping of something.
func isMapping(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && strings.HasPrefix(t.Name(), "Mapping[")
}

// join returns the path of a key below a path, index that of a list's item.
func join(path, key string) string {
	switch {
	case path == "":
		return key
	case key == "" || key[0] == '[':
		return path + key
	}
	return path + "." + key
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
