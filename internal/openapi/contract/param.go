package contract

import (
	"slices"
	"strconv"
	"strings"

	"yett/internal/exchange"
	"yett/internal/openapi"
)

// style is how arrays and objects are written in a parameter (OpenAPI 3.1, see Parameter
// Object).
type style uint8

const (
	styleForm style = iota
	styleSimple
	styleLabel
	styleMatrix
	styleSpace
	stylePipe
	styleDeep
)

// param is a parameter, or a header field of an answer.
type param struct {
	name, in string
	// place is its JSON pointer, value the number of its name in the path.
	place string
	value int
	style style
	explode, required,
	allowEmpty bool
	// json tells that the text is JSON.
	json  bool
	check *check
	// kinds are what values can be. list is set for arrays of plain items.
	kinds kinds
	list  *list
}

// settle finds out what values can be.
func (p *param) settle() {
	p.kinds = p.check.schema.takes()
	if !p.json && p.kinds&^containers == 0 && p.kinds != 0 {
		p.list = asList(p.check)
	}
	p.place = pointer([]string{p.name})
}

// parameters compiles the parameters of an operation. names are those of its path.
func (b *compiler) parameters(o *Operation, op *openapi.Operation, names []string) {
	for i, n := range b.d.Parameters(op) {
		b.below(func() {
			if p := b.parameter(n, names); p != nil {
				o.params = append(o.params, p)
			}
		}, "parameters", strconv.Itoa(i))
	}
	for _, name := range names {
		if !slices.ContainsFunc(o.params, func(p *param) bool { return p.in == "path" && p.name == name }) {
			b.note(op.Node, "the path has {"+name+"}, but there is no such parameter", "add one with in: path")
		}
	}
}

func (b *compiler) parameter(n *openapi.Node, names []string) *param {
	if p := b.shared[n]; p != nil {
		return p
	}
	p := &param{name: n.Str("name"), in: n.Str("in"), required: n.True("required"), allowEmpty: n.True("allowEmptyValue")}
	switch {
	case n == nil:
		b.note(n, "a parameter refers to nothing", "it is passed over")
		return nil
	case p.name == "":
		b.note(n, "a parameter has no name", "it is passed over")
		return nil
	case p.in == "header" && ignoredHeader(p.name):
		return nil
	case p.in == "header" && !exchange.ValidName(p.name):
		b.note(n, quoted(p.name)+" can't be the name of a header field", "it is passed over")
		return nil
	case p.in == "path":
		if p.value = slices.Index(names, p.name); p.value < 0 {
			b.note(n, "the path has no {"+p.name+"}", "the parameter is passed over")
			return nil
		}
		p.required = true
	case p.in != "query" && p.in != "header" && p.in != "cookie":
		b.note(n, "in has to be path, query, header or cookie", "the parameter is passed over")
		return nil
	}
	if p.in != "path" {
		b.shared[n] = p
	}
	b.shape(p, n, inRequest)
	return p
}

// ignoredHeader takes the names that OpenAPI describes elsewhere.
func ignoredHeader(name string) bool {
	switch exchange.KeyOf(name) {
	case exchange.KeyAccept, exchange.KeyContentType, exchange.KeyAuthorization:
		return true
	}
	return false
}

// shape compiles what a parameter and a header field have in common.
func (b *compiler) shape(p *param, n *openapi.Node, mode int) {
	b.params = append(b.params, p)
	if media := n.Get("content").Pairs(); len(media) > 0 {
		p.json = mediaKindOf(media[0].Name) == jsonMedia
		var s *openapi.Node
		if p.json {
			s = media[0].Value.Get("schema")
		}
		p.check = b.check(s, mode, "content", media[0].Name, "schema")
		return
	}
	p.style, p.explode = b.style(p.in, n)
	p.check = b.check(n.Get("schema"), mode, "schema")
}

// style returns how a parameter is written; what can't be at its place is noted.
func (b *compiler) style(in string, n *openapi.Node) (s style, explode bool) {
	s = styleSimple
	if in == "query" || in == "cookie" {
		s = styleForm
	}
	if name := n.Str("style"); name != "" {
		if given, ok := styleOf(name, in); ok {
			s = given
		} else {
			b.note(n.Get("style"), "the style "+quoted(name)+" is not for in: "+in, "the usual one counts")
		}
	}
	explode = s == styleForm || s == styleDeep
	if e := n.Get("explode"); e.Is(openapi.Bool) {
		explode = e.Text == "true"
	}
	return s, explode
}

func styleOf(name, in string) (style, bool) {
	switch name {
	case "form":
		return styleForm, in == "query" || in == "cookie"
	case "simple":
		return styleSimple, in == "path" || in == "header"
	case "label":
		return styleLabel, in == "path"
	case "matrix":
		return styleMatrix, in == "path"
	case "spaceDelimited":
		return styleSpace, in == "query"
	case "pipeDelimited":
		return stylePipe, in == "query"
	case "deepObject":
		return styleDeep, in == "query"
	}
	return 0, false
}

// checkParams holds all parameters of a request against the operation.
func (o *Operation) checkParams(x *exchange.Exchange, path string, f *findings) {
	var values [maxPathNames]string
	ok := o.pathValues(path, &values)
	for _, p := range o.params {
		f.at(p.in, p.place)
		switch p.in {
		case "path":
			if !ok {
				f.add("", missing)
				continue
			}
			p.path(x, values[p.value], f)
		case "query":
			p.query(x, x.Query, f)
		case "header":
			p.header(&x.Request, f)
		case "cookie":
			p.cookie(x, f)
		}
	}
}

const (
	missing  = "is missing"
	twice    = "is there more than once"
	encoding = "has a wrong percent-encoding"
	notUTF8  = "is not UTF-8"
)

func (p *param) absent(f *findings) {
	if p.required {
		f.add("", missing)
	}
}

// isScalar tells whether a value that is there once has to be read as one text.
func (p *param) isScalar() bool { return p.kinds&^containers != 0 || p.kinds == 0 }

// path checks a value of the path, raw.
func (p *param) path(x *exchange.Exchange, raw string, f *findings) {
	prefix := byte(0)
	switch p.style {
	case styleLabel:
		prefix = '.'
	case styleMatrix:
		prefix = ';'
	}
	if prefix != 0 {
		if raw[0] != prefix {
			f.add("", "has to begin with "+string(prefix))
			return
		}
		raw = raw[1:]
	}
	if p.json || p.isScalar() {
		p.one(x, p.unnamed(raw), false, f)
		return
	}
	p.composed(p.parts(raw), f)
}

// unnamed takes the name off a value of the style matrix.
func (p *param) unnamed(raw string) string {
	if p.style != styleMatrix {
		return raw
	}
	name, value, _ := cut(raw, '=')
	if name == p.name {
		return value
	}
	return raw
}

func (p *param) header(h *exchange.Header, f *findings) {
	key := exchange.KeyOf(p.name)
	fields, found := h.Fields(), false
	scalar := p.json || p.isScalar()
	for i := range fields {
		if fields[i].Key != key || key == exchange.KeyOther && !exchange.EqualFold(fields[i].Name, p.name) {
			continue
		}
		found = true
		if scalar {
			p.text(fields[i].Value, f)
		}
	}
	switch {
	case !found:
		p.absent(f)
	case !scalar:
		p.composed(p.fieldParts(h, key), f)
	}
}

func (p *param) cookie(x *exchange.Exchange, f *findings) {
	raw, n := p.cookies(&x.Request)
	switch {
	case n == 0:
		p.absent(f)
	case n > 1: // services differ in which one counts
		f.add("", twice)
	case p.json || p.isScalar():
		p.one(x, raw, false, f)
	default:
		p.composed(p.parts(raw), f)
	}
}

// cookies returns the first cookie with the parameter's name, and how many there are.
func (p *param) cookies(h *exchange.Header) (raw string, n int) {
	fields := h.Fields()
	for i := range fields {
		if fields[i].Key != exchange.KeyCookie {
			continue
		}
		for rest := fields[i].Value; rest != ""; {
			var pair string
			pair, rest, _ = cut(rest, ';')
			name, value, isPair := cut(strings.Trim(pair, " \t"), '=')
			if !isPair || name != p.name {
				continue
			}
			if n == 0 {
				raw = value
			}
			n++
		}
	}
	return raw, n
}

// query checks what a query, or a form, has under the parameter's name.
func (p *param) query(x *exchange.Exchange, query string, f *findings) {
	if !p.json && !p.isScalar() {
		if p.kinds&kindArray == 0 || !p.quickQuery(x, query, f) {
			p.queryComposed(query, f)
		}
		return
	}
	var value string
	n := 0
	for rest := query; rest != ""; {
		var name, v string
		name, v, rest = nextPair(rest)
		if sameName(name, p.name) {
			if n == 0 {
				value = v
			}
			n++
		}
	}
	switch {
	case n == 0:
		p.absent(f)
	case n > 1 && p.kinds&kindArray != 0:
		p.queryComposed(query, f)
	case n > 1:
		f.add("", twice)
	case value == "" && p.allowEmpty:
	default:
		p.one(x, value, true, f)
	}
}

// one checks a value that is one text, raw.
func (p *param) one(x *exchange.Exchange, raw string, plus bool, f *findings) {
	text, ok := decodeText(x, raw, plus)
	if !ok {
		f.add("", encoding)
		return
	}
	p.text(text, f)
}

// text checks a value that is one text.
func (p *param) text(text string, f *findings) {
	switch {
	case p.json:
		p.check.text(text, f)
	default:
		p.check.plain(text, p.kinds, f)
	}
}
