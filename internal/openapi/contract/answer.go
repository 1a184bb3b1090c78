package contract

import (
	"strconv"
	"strings"

	"yett/internal/exchange"
	"yett/internal/openapi"
)

// answers are those that an operation can give.
type answers struct {
	exact   map[int]*answer
	hundred [6]*answer // of 1XX to 5XX
	rest    *answer
}

type answer struct {
	headers []*param
	content *content
}

func (b *compiler) answers(n *openapi.Node) (all answers) {
	for _, m := range n.Pairs() {
		if strings.HasPrefix(m.Name, "x-") {
			continue
		}
		b.below(func() { b.answer(&all, m.Name, m.Value) }, m.Name)
	}
	return all
}

func (b *compiler) answer(all *answers, name string, n *openapi.Node) {
	response := b.d.Deref(n)
	if response == nil {
		b.note(n, "the response refers to nothing", "it is passed over")
		return
	}
	a := b.response(response)
	status, err := strconv.Atoi(name)
	switch {
	case name == "default":
		all.rest = a
	case err == nil && len(name) == 3 && status >= 100 && status <= 599:
		if all.exact == nil {
			all.exact = make(map[int]*answer)
		}
		all.exact[status] = a
	case len(name) == 3 && strings.EqualFold(name[1:], "XX") && name[0] >= '1' && name[0] <= '5':
		all.hundred[name[0]-'0'] = a
	default:
		b.note(n, quoted(name)+" is no status of an answer", "write a status such as 404, 4XX or default; it is passed over")
	}
}

// response compiles a response, once for all operations that share it.
func (b *compiler) response(n *openapi.Node) *answer {
	a := b.responses[n]
	if a != nil {
		return a
	}
	a = &answer{content: b.content(n.Get("content"), inAnswer)}
	for _, m := range n.Get("headers").Pairs() {
		if p := b.answerHeader(m.Name, m.Value); p != nil {
			a.headers = append(a.headers, p)
		}
	}
	b.responses[n] = a
	return a
}

func (b *compiler) answerHeader(name string, n *openapi.Node) *param {
	if ignoredHeader(name) {
		return nil
	}
	h := b.d.Deref(n)
	if h == nil || !exchange.ValidName(name) {
		b.note(n, "the header "+quoted(name)+" refers to nothing, or has a name that can't be", "it is passed over")
		return nil
	}
	p := &param{name: name, in: "header", required: h.True("required")}
	b.below(func() { b.shape(p, h, inAnswer) }, "headers", name)
	return p
}

func (a *answers) settle() {
	for _, one := range a.exact {
		one.content.settle()
	}
	for _, one := range append(a.hundred[:], a.rest) {
		if one != nil {
			one.content.settle()
		}
	}
}

// find returns the answer that the document has for a status, nil for none.
func (a *answers) find(status int) *answer {
	if one := a.exact[status]; one != nil {
		return one
	}
	if h := status / 100; h >= 1 && h <= 5 && a.hundred[h] != nil {
		return a.hundred[h]
	}
	return a.rest
}

func (a *answers) check(status int, h *exchange.Header, body []byte, f *findings) {
	one := a.find(status)
	if one == nil {
		f.at("status", "").add("", strconv.Itoa(status)+" is not there in the document")
		return
	}
	for _, p := range one.headers {
		p.header(h, f.at("header", p.place))
	}
	c := one.content
	if len(c.media) == 0 {
		return
	}
	if body == nil { // its type can be told all the same
		if h.Has(exchange.KeyContentType) {
			c.check(h, nil, true, f)
		}
		return
	}
	if len(body) == 0 {
		f.at("body", "").add("", missing)
		return
	}
	c.check(h, body, true, f)
}
