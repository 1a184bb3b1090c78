package config

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"yett/internal/problem"
)

// decoder lays elements over Go values and collects problems.
type decoder struct {
	source   *Source
	problems problem.List
}

// add reports a problem at a place, or where the path was written when the
// place is zero.
func (d *decoder) add(at place, path, what, hint string) {
	p := problem.Problem{File: d.source.Name(), Line: at.line, Column: at.column, Path: path, What: what, Hint: hint}
	if at == (place{}) {
		p = d.source.Problem(path, what, hint)
	}
	d.problems = append(d.problems, p)
}

// mismatch reports that something else was wanted.
func (d *decoder) mismatch(e *element, path, want, hint string) {
	switch {
	case e.kind == broken:
	case e.kind == null:
		d.add(e.at, path, "is empty", "write a value or remove the key")
	case e.secret != "" && e.text == "":
		d.add(e.at, path, fmt.Sprintf("want %s, but ${%s} is empty", want, e.secret), "")
	default:
		d.add(e.at, path, fmt.Sprintf("want %s, %s", want, e.got()), hint)
	}
}

// value decodes one element. v is addressable and holds the default.
func (d *decoder) value(e *element, path string, v reflect.Value, r rules) {
	if e.kind == broken {
		return
	}
	switch into := v.Addr().Interface().(type) {
	case *Node:
		*into = Node{source: d.source, path: path, value: e}
	case *Policies:
		d.policies(e, path, into)
	case *StringList:
		d.stringList(e, path, into, r)
	case anyMapping:
		d.mapping(e, path, v, r)
	case encoding.TextUnmarshaler:
		d.text(e, path, v, into, r)
	default:
		d.plain(e, path, v, r)
	}
}

// plain decodes into Go's own kinds.
func (d *decoder) plain(e *element, path string, v reflect.Value, r rules) {
	switch v.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		setDefaults(fresh.Elem())
		d.value(e, path, fresh.Elem(), r)
		v.Set(fresh)
	case reflect.Struct:
		d.structure(e, path, v)
	case reflect.Slice:
		d.slice(e, path, v, r)
	case reflect.Map:
		if v.Type().Key().Kind() != reflect.String {
			d.undecodable(e, path, v)
			return
		}
		d.stringMap(e, path, v, r)
	case reflect.String:
		d.string(e, path, v, r)
	case reflect.Bool:
		d.bool(e, path, v)
	default:
		d.number(e, path, v, r)
	}
}

func (d *decoder) structure(e *element, path string, v reflect.Value) {
	if e.kind != mapping {
		d.mismatch(e, path, "a mapping", offHint(e, v.Type()))
		return
	}
	fields := fieldsOf(v.Type())
	for _, f := range e.fields {
		i := slices.IndexFunc(fields, func(info fieldInfo) bool { return info.name == f.name })
		if i < 0 {
			d.add(f.at, path, fmt.Sprintf("unknown key %q", clip(f.name)), keyHint(f.name, names(fields)))
			continue
		}
		d.field(f.value, join(path, f.name), v.Field(fields[i].index), fields[i])
	}
	for _, info := range fields {
		if info.rules.required && e.get(info.name) == nil {
			d.add(place{}, path, fmt.Sprintf("missing key %q%s", info.name, gist(info)), missingHint(info))
		}
	}
}

// offHint helps where something is switched off as a policy is, and has a mode for that.
func offHint(e *element, t reflect.Type) string {
	if e.kind != word || e.secret != "" || e.text != "off" && e.text != "false" {
		return ""
	}
	for _, f := range fieldsOf(t) {
		if f.name == "mode" && slices.Contains(f.rules.enum, "off") {
			return "write {mode: off}"
		}
	}
	return ""
}

// otherWords are what other gateways call some keys, where no slip of the keyboard leads to
// ours.
var otherWords = map[string][]string{
	"retry":             {"retries"},
	"hedging":           {"hedge"},
	"circuit_breaker":   {"breaker"},
	"circuit_breakers":  {"breaker", "concurrency"}, // for some they are bounds of requests
	"health_check":      {"health"},
	"health_checks":     {"health"},
	"outlier_detection": {"ejection"},
	"load_balancing":    {"balance"},
	"max_requests":      {"concurrency"},
}

// keyHint says what may be meant by a key that is unknown among these.
func keyHint(name string, known []string) string {
	var meant []string
	for _, key := range otherWords[name] {
		if slices.Contains(known, key) {
			meant = append(meant, strconv.Quote(key))
		}
	}
	if len(meant) > 0 {
		return "did you mean " + strings.Join(meant, " or ") + "?"
	}
	return problem.DidYouMean(name, known)
}

// field decodes one key of a struct; a required one must not be empty.
func (d *decoder) field(e *element, path string, v reflect.Value, info fieldInfo) {
	before := len(d.problems)
	d.value(e, path, v, info.rules)
	if !info.rules.required || e.kind == broken || len(d.problems) > before {
		return
	}
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		if v.Len() == 0 {
			d.mismatchEmpty(e, path, info)
		}
	}
}

func (d *decoder) mismatchEmpty(e *element, path string, info fieldInfo) {
	what := "is empty"
	if e.secret != "" {
		what = fmt.Sprintf("is empty, as ${%s} is", e.secret)
	}
	d.add(e.at, path, what+gist(info), missingHint(info))
}

// gist is the first words of a key's documentation, in parentheses.
func gist(info fieldInfo) string {
	sentence := strings.TrimSuffix(info.doc, ".")
	for _, end := range []string{". ", "; ", ": "} {
		sentence, _, _ = strings.Cut(sentence, end)
	}
	if sentence == "" {
		return ""
	}
	first, n := utf8.DecodeRuneInString(sentence)
	if second, _ := utf8.DecodeRuneInString(sentence[n:]); unicode.IsLower(second) {
		sentence = string(unicode.ToLower(first)) + sentence[n:]
	}
	return " (" + sentence + ")"
}

// missingHint says what to write for a key that must be there.
func missingHint(info fieldInfo) string {
	if len(info.rules.enum) > 0 {
		return fmt.Sprintf("write %s: %s", info.name, or(info.rules.enum))
	}
	return ""
}

func (d *decoder) slice(e *element, path string, v reflect.Value, r rules) {
	if e.kind != list {
		d.mismatch(e, path, "a list", "write - before each entry, or put them into [ ]")
		return
	}
	items := reflect.MakeSlice(v.Type(), len(e.items), len(e.items))
	for i, item := range e.items {
		setDefaults(items.Index(i))
		d.value(item, index(path, i), items.Index(i), r)
	}
	v.Set(items)
}

func (d *decoder) stringMap(e *element, path string, v reflect.Value, r rules) {
	if e.kind != mapping {
		d.mismatch(e, path, "a mapping", "")
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(e.fields))
	for _, f := range e.fields {
		item := reflect.New(v.Type().Elem()).Elem()
		setDefaults(item)
		d.value(f.value, join(path, f.name), item, r)
		m.SetMapIndex(reflect.ValueOf(f.name).Convert(v.Type().Key()), item)
	}
	v.Set(m)
}

// mapping decodes into a Mapping[T], whose entries are structs of a name and
// a value.
func (d *decoder) mapping(e *element, path string, v reflect.Value, r rules) {
	if e.kind != mapping {
		d.mismatch(e, path, "a mapping", "")
		return
	}
	entries := reflect.MakeSlice(v.Type(), len(e.fields), len(e.fields))
	for i, f := range e.fields {
		entry := entries.Index(i)
		entry.Field(0).SetString(f.name)
		setDefaults(entry.Field(1))
		if f.value.kind == null && optional(entry.Field(1).Type()) {
			d.add(f.value.at, join(path, f.name), "is empty", "write {} for one without settings")
			continue
		}
		d.value(f.value, join(path, f.name), entry.Field(1), r)
	}
	v.Set(entries)
}

func (d *decoder) policies(e *element, path string, into *Policies) {
	if e.kind != mapping {
		d.mismatch(e, path, "a mapping", "write the policies' names as keys")
		return
	}
	entries := Policies{}
	for _, f := range e.fields {
		below := join(path, f.name)
		entry := PolicyEntry{Name: f.name, Config: Node{source: d.source, path: below, value: f.value}}
		switch {
		case f.value.kind == word && (f.value.text == "off" || f.value.text == "false"):
			entry.Off = true
		case f.value.kind == word || f.value.kind == list:
			d.mismatch(f.value, below, "a mapping, nothing for the defaults, or off", "")
			continue
		}
		entries = append(entries, entry)
	}
	*into = entries
}

func (d *decoder) stringList(e *element, path string, into *StringList, r rules) {
	switch e.kind {
	case list:
		d.slice(e, path, reflect.ValueOf(into).Elem(), r)
	case word:
		texts := StringList{e.text}
		if e.whole {
			texts = splitList(e.text)
		}
		for _, t := range texts {
			d.checkEnum(e, t, path, r)
		}
		*into = texts
	default:
		d.mismatch(e, path, "a text or a list of texts", wordHint(e))
	}
}

func (d *decoder) string(e *element, path string, v reflect.Value, r rules) {
	if e.kind != word {
		d.mismatch(e, path, "a text", wordHint(e))
		return
	}
	if d.checkEnum(e, e.text, path, r) {
		v.SetString(e.text)
	}
}

// wordHint helps where a colon made a mapping of a text: in braces the YAML
// library takes even that of localhost:80 for one.
func wordHint(e *element) string {
	if e.kind == mapping && len(e.fields) == 1 {
		return "put a text with a colon into quotes"
	}
	return ""
}

// checkEnum tells whether a text is among the allowed words.
func (d *decoder) checkEnum(e *element, text, path string, r rules) bool {
	if len(r.enum) == 0 || slices.Contains(r.enum, text) {
		return true
	}
	hint := offPolicyHint(text, path)
	if near := problem.Nearest(text, r.enum); hint == "" && near != "" && e.secret == "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	d.mismatch(e, path, or(r.enum), hint)
	return false
}

// modeOfPolicy finds the mode of a policy by its path.
var modeOfPolicy = regexp.MustCompile(`(?:^|\.)policies\.([^.]+)\.mode$`)

// offPolicyHint helps where a policy is switched off by its mode, as a breaker is.
func offPolicyHint(text, path string) string {
	if at := modeOfPolicy.FindStringSubmatch(path); at != nil && (text == "off" || text == "false") {
		return fmt.Sprintf("to switch it off write %s: off", at[1])
	}
	return ""
}

func (d *decoder) bool(e *element, path string, v reflect.Value) {
	if e.kind == word && !e.quoted {
		switch e.text {
		case "true", "True", "TRUE":
			v.SetBool(true)
			return
		case "false", "False", "FALSE":
			v.SetBool(false)
			return
		}
	}
	d.mismatch(e, path, "true or false", unquoteHint(e))
}

// unquoteHint helps where quotes make a text of what would be right without.
func unquoteHint(e *element) string {
	if e.kind == word && e.quoted && isBare(e.text) {
		return "remove the quotes"
	}
	return ""
}

// text decodes into types that read their own notation.
func (d *decoder) text(e *element, path string, v reflect.Value, into encoding.TextUnmarshaler, r rules) {
	want := "a text that fits"
	if s, ok := into.(Shaped); ok {
		want = s.Shape().Want
	}
	if e.kind != word {
		d.mismatch(e, path, want, wordHint(e))
		return
	}
	fresh := reflect.New(v.Type())
	err := fresh.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(e.text))
	switch {
	case err == nil:
		if d.checkRange(e, path, fresh.Elem(), r) {
			v.Set(fresh.Elem())
		}
	case e.secret != "":
		d.mismatch(e, path, want, "")
	default:
		d.mismatch(e, path, want, err.Error())
	}
}

// number decodes whole numbers and fractions.
func (d *decoder) number(e *element, path string, v reflect.Value, r rules) {
	want, ok := wantNumber(v.Kind())
	if !ok {
		d.undecodable(e, path, v)
		return
	}
	fresh := reflect.New(v.Type()).Elem()
	if e.kind != word || e.quoted || !parseNumber(e.text, fresh) {
		d.mismatch(e, path, want, unquoteHint(e))
		return
	}
	if d.checkRange(e, path, fresh, r) {
		v.Set(fresh)
	}
}

// undecodable reports a configuration type that is itself wrong.
func (d *decoder) undecodable(e *element, path string, v reflect.Value) {
	d.add(e.at, path, fmt.Sprintf("can't be decoded into %s", v.Type()), "this is a fault of the gateway")
}

func wantNumber(k reflect.Kind) (want string, ok bool) {
	switch k {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number", true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number of 0 or more", true
	case reflect.Float32, reflect.Float64:
		return "a number", true
	}
	return "", false
}

// parseNumber reads decimal notation only: 010 is ten to some programs and
// eight to others.
func parseNumber(s string, into reflect.Value) bool {
	if digits := strings.TrimLeft(s, "-"); len(digits) > 1 && digits[0] == '0' && digits[1] != '.' {
		return false
	}
	bits := into.Type().Bits()
	switch {
	case into.CanInt():
		n, err := strconv.ParseInt(s, 10, bits)
		into.SetInt(n)
		return err == nil && !strings.HasPrefix(s, "+")
	case into.CanUint():
		n, err := strconv.ParseUint(s, 10, bits)
		into.SetUint(n)
		return err == nil
	}
	n, err := strconv.ParseFloat(s, bits)
	into.SetFloat(n)
	return err == nil && strings.Trim(s, "0123456789.-eE") == ""
}

// checkRange tells whether a value is within the bounds of the tags.
func (d *decoder) checkRange(e *element, path string, v reflect.Value, r rules) bool {
	for _, l := range r.limits() {
		c, err := compareBound(v, l.text)
		if err != nil {
			d.add(e.at, path, err.Error(), "this is a fault of the gateway")
			return false
		}
		if c == l.wrong {
			d.mismatch(e, path, l.words+" "+l.text, "")
			return false
		}
	}
	return true
}
