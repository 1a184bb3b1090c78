package sample

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/jsontext"
	"yett/internal/openapi"
	"yett/internal/problem"
)

// Answers are the answers of one operation. Each is made once, when it is wanted first. It
// may be used by many at the same time.
type Answers struct {
	doc      *openapi.Document
	statuses []*status
}

// status is what is documented of one status, or of several.
type status struct {
	doc *openapi.Document
	// key is how the document writes it. code is the status, or the first digit of a range,
	// 0 for default.
	key  string
	code int

	node     *openapi.Node
	contents []*content
	headers  func() [][2]string
	blank    filled // without content
	// chosen remembers what was found for Accept fields, of which clients have few.
	chosen atomic.Pointer[[]negotiated]
}

// negotiated is the content that was found for an Accept field and the name of an example.
type negotiated struct {
	accept, example string
	content         *content
	variant         *variant
	filled          *filled
}

// How much of that is remembered for each status.
const (
	maxChosen       = 16
	maxChosenLength = 512
)

// content is an answer's content of one media type.
type content struct {
	mediaType string
	node      *openapi.Node
	// examples are the named ones, with first for "": the one without name, the first of
	// those, or one of the schema.
	first    *variant
	examples []*variant
}

// variant is one answer. make is run once.
type variant struct {
	name       string
	fromSchema bool
	make       func() (*filled, error)
}

// filled is the text of an answer, and where values of the path go into it.
type filled struct {
	body  []byte
	spots []spot
	// replies are complete answers, by status: a range has several.
	replies atomic.Pointer[[]*Reply]
}

// spot is the value of a property at the top of the answer that is named like a parameter.
type spot struct {
	name       string
	start, end int // in the body
	kind       openapi.Kind
	judge      *propertyJudge
}

// Compile prepares the answers of an operation. It makes none of them yet.
func Compile(d *openapi.Document, op *openapi.Node) *Answers {
	a := &Answers{doc: d}
	for _, m := range op.Get("responses").Pairs() {
		code, ok := statusOf(m.Name)
		node := d.Deref(m.Value)
		if !ok || node == nil {
			continue
		}
		s := &status{doc: d, key: m.Name, code: code, node: node}
		s.headers = sync.OnceValue(s.makeHeaders)
		for _, c := range node.Get("content").Pairs() {
			s.contents = append(s.contents, newContent(d, c.Name, d.Deref(c.Value)))
		}
		a.statuses = append(a.statuses, s)
	}
	return a
}

// statusOf reads a status of a document: 404, 4XX or default. What comes before an answer
// (1xx) is none.
func statusOf(key string) (code int, ok bool) {
	switch {
	case key == "default":
		return 0, true
	case len(key) != 3 || key[0] < '2' || key[0] > '5':
		return 0, false
	case strings.EqualFold(key[1:], "XX"):
		return int(key[0] - '0'), true
	}
	code, err := strconv.Atoi(key)
	return code, err == nil
}

// covers tells whether it is about a status, and how exactly: 3 for itself, 2 for a range,
// 1 for default, 0 for not at all.
func (s *status) covers(code int) int {
	switch {
	case code < 100:
		return 0
	case s.code == code:
		return 3
	case s.code == code/100:
		return 2
	case s.code == 0:
		return 1
	}
	return 0
}

// usual is the status that is sent where none is wanted.
func (s *status) usual() int {
	switch {
	case s.code == 0:
		return 200
	case s.code < 10:
		return 100 * s.code
	}
	return s.code
}

// Documented returns the statuses of the operation as the document writes them.
func (a *Answers) Documented() []string {
	names := make([]string, 0, len(a.statuses))
	for _, s := range a.statuses {
		names = append(names, s.key)
	}
	return names
}

// Reply returns an answer, with the errors of Answer.
func (a *Answers) Reply(want Want) (*Reply, error) {
	s, code := a.choose(want)
	if s == nil {
		return nil, &NoStatusError{Documented: a.Documented()}
	}
	if len(s.contents) == 0 {
		return s.empty(code, want)
	}
	return s.reply(code, want)
}

// choose finds what is documented of the wanted status. An example that only another
// status has is enough to choose that one, where no status is wanted.
func (a *Answers) choose(want Want) (*status, int) {
	var best *status
	if want.Status != 0 {
		for _, s := range a.statuses {
			if s.covers(want.Status) > 0 && (best == nil || s.covers(want.Status) > best.covers(want.Status)) {
				best = s
			}
		}
		return best, want.Status
	}
	rank := 0
	for _, s := range a.statuses {
		if r := s.rank(want.Example); r > rank {
			best, rank = s, r
		}
	}
	if best == nil {
		return nil, 0
	}
	return best, best.usual()
}

// rank is how much a status is liked where none is wanted.
func (s *status) rank(example string) int {
	r := 1
	switch n := s.usual() / 100; {
	case n == 2 && s.code != 0:
		r = 3
	case s.code == 0:
		r = 2
	}
	if example != "" && slices.ContainsFunc(s.contents, func(c *content) bool { return c.variant(example) != nil }) {
		r += 3
	}
	return r
}

// noContent is the variant of answers without content.
var noContent variant

func (s *status) empty(code int, want Want) (*Reply, error) {
	if want.Example != "" {
		return nil, &NoExampleError{}
	}
	return s.blank.reply(s, "", &noContent, code), nil
}

// reply returns the content that is wanted most, and that can be made.
func (s *status) reply(code int, want Want) (*Reply, error) {
	known := s.chosen.Load()
	if known != nil {
		for i := range *known {
			if n := &(*known)[i]; n.accept == want.Accept && n.example == want.Example {
				return n.filled.with(n.filled.reply(s, n.content.mediaType, n.variant, code), want.Value), nil
			}
		}
	}
	n, err := s.negotiate(want)
	if err != nil {
		return nil, err
	}
	s.remember(known, want, n)
	return n.filled.with(n.filled.reply(s, n.content.mediaType, n.variant, code), want.Value), nil
}

func (s *status) remember(known *[]negotiated, want Want, n negotiated) {
	if len(want.Accept)+len(want.Example) > maxChosenLength {
		return
	}
	n.accept, n.example = strings.Clone(want.Accept), strings.Clone(want.Example)
	var all []negotiated
	if known != nil {
		all = *known
	}
	if len(all) < maxChosen { // whoever is late looks again
		all = append(slices.Clone(all), n)
		s.chosen.CompareAndSwap(known, &all)
	}
}

// negotiate tries one content after the other, the most wanted first.
func (s *status) negotiate(want Want) (negotiated, error) {
	var tried uint64 // contents, by their place
	var failure error
	for {
		at := s.next(want, tried)
		if at < 0 {
			break
		}
		tried |= 1 << at
		c := s.contents[at]
		v := c.variant(want.Example)
		f, err := v.make()
		if err == nil {
			return negotiated{content: c, variant: v, filled: f}, nil
		}
		if failure == nil {
			failure = &NoContentError{ContentType: c.mediaType, Err: err}
		}
	}
	switch {
	case failure != nil:
		return negotiated{}, failure
	case want.Example != "" && !slices.ContainsFunc(s.contents, func(c *content) bool { return c.variant(want.Example) != nil }):
		return negotiated{}, &NoExampleError{Documented: s.examples()}
	}
	return negotiated{}, &NotAcceptableError{Documented: s.mediaTypes()}
}

// next returns the content that is wanted most of those that were not tried, or -1.
func (s *status) next(want Want, tried uint64) int {
	best, most := -1, 0
	for i, c := range s.contents {
		if i >= 64 {
			break
		}
		if tried&(1<<i) != 0 || c.variant(want.Example) == nil {
			continue
		}
		q := quality(want.Accept, c.mediaType)
		if q > most {
			best, most = i, q
		}
		if q == 1000 {
			break
		}
	}
	return best
}

func (s *status) examples() []string {
	var names []string
	for _, c := range s.contents {
		for _, v := range c.examples {
			if !slices.Contains(names, v.name) {
				names = append(names, v.name)
			}
		}
	}
	return names
}

func (s *status) mediaTypes() []string {
	var names []string
	for _, c := range s.contents {
		names = append(names, c.mediaType)
	}
	return names
}

// newContent finds the examples of a content. Values that are elsewhere (externalValue)
// are not fetched.
func newContent(d *openapi.Document, key string, node *openapi.Node) *content {
	c := &content{mediaType: concrete(key), node: node}
	schema := node.Get("schema")
	add := func(name string, value *openapi.Node) *variant {
		v := &variant{name: name, fromSchema: value == nil}
		v.make = sync.OnceValues(func() (*filled, error) { return fill(d, c.mediaType, schema, value) })
		return v
	}
	for _, m := range node.Get("examples").Pairs() {
		if value := d.Deref(m.Value).Get("value"); value != nil {
			c.examples = append(c.examples, add(m.Name, value))
		}
	}
	switch value := node.Get("example"); {
	case value != nil:
		c.first = add("", value)
	case len(c.examples) > 0:
		c.first = c.examples[0]
	default:
		c.first = add("", nil)
	}
	return c
}

// concrete returns the type that is sent where a document only names a range.
func concrete(mediaType string) string {
	essence, _ := exchange.CutUnquoted(mediaType, ';')
	switch strings.ToLower(trim(essence)) {
	case "*/*", "application/*":
		return "application/json"
	case "text/*":
		return "text/plain"
	}
	return mediaType
}

func (c *content) variant(name string) *variant {
	if name == "" {
		return c.first
	}
	for _, v := range c.examples {
		if v.name == name {
			return v
		}
	}
	return nil
}

// errNotText is for content that only an example could show.
var errNotText = errors.New("there is no example that is a text")

// fill makes the text of a content: of an example, or of the schema where that is nil.
func fill(d *openapi.Document, mediaType string, schema, example *openapi.Node) (*filled, error) {
	var g *generator
	v := example
	switch {
	case v == nil && schema == nil:
		return new(filled), nil
	case v == nil:
		var err error
		if v, g, err = make1(d, schema, ForAnswer); err != nil {
			return nil, err
		}
	case schema != nil:
		g, _ = newGenerator(d, schema, ForAnswer) // an example counts whatever its schema is
	}
	if openapi.IsJSON(mediaType) {
		return fillJSON(g, schema, v, example != nil), nil
	}
	switch {
	case v.Kind == openapi.String:
		return &filled{body: []byte(v.Text)}, nil
	case strings.HasPrefix(strings.ToLower(mediaType), "text/") && (v.Kind == openapi.Number || v.Kind == openapi.Bool):
		return &filled{body: []byte(v.Text)}, nil
	}
	return nil, errNotText
}

// fillJSON writes a value, and notes where those of the path can go.
func fillJSON(g *generator, schema, v *openapi.Node, written bool) *filled {
	if written && v.Kind == openapi.String && json.Valid([]byte(v.Text)) && g != nil && !slices.Contains(typesOf(g.parts(schema, rootAt)), "string") {
		return &filled{body: bytes.TrimSpace([]byte(v.Text))} // JSON as a text, as YAML has it with a bar
	}
	f := new(filled)
	if v.Kind != openapi.Object {
		f.body = v.AppendJSON(nil, "")
		return f
	}
	judge := &propertyJudge{g: g}
	if g != nil {
		judge.parts = g.parts(schema, rootAt)
	}
	f.body = append(f.body, '{')
	for i, m := range v.Members {
		if i > 0 {
			f.body = append(f.body, ',')
		}
		f.body = append(jsontext.AppendQuoted(f.body, m.Name), ':')
		start := len(f.body)
		f.body = m.Value.AppendJSON(f.body, "")
		if m.Value.Kind == openapi.String || m.Value.Kind == openapi.Number {
			f.spots = append(f.spots, spot{name: m.Name, start: start, end: len(f.body), kind: m.Value.Kind, judge: judge})
		}
	}
	f.body = append(f.body, '}')
	return f
}

// propertyJudge tells whether a value fits a property of a schema.
type propertyJudge struct {
	mu    sync.Mutex // schemas are compiled on demand
	g     *generator // nil where there is no schema
	parts []part
}

func (j *propertyJudge) fits(name string, v *openapi.Node) bool {
	if j.g == nil {
		return true
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.g.steps, j.g.fatal = 0, nil
	asked, allowed := j.g.property(j.parts, name)
	return allowed && j.g.fits(asked, v)
}

// reply returns the complete answer for a status, which is made once.
func (f *filled) reply(s *status, mediaType string, v *variant, code int) *Reply {
	known := f.replies.Load()
	if known != nil {
		for _, r := range *known {
			if r.Status == code {
				return r
			}
		}
	}
	r := &Reply{Status: code, ContentType: mediaType, Body: f.body, Headers: s.headers(), Example: v.name, FromSchema: v.fromSchema}
	switch {
	case known == nil:
		f.replies.CompareAndSwap(nil, &[]*Reply{r})
	case len(*known) < maxReplies: // whoever is late makes it once more
		more := append(slices.Clone(*known), r)
		f.replies.CompareAndSwap(known, &more)
	}
	return r
}

// maxReplies is how many answers of one content are kept, each for another status.
const maxReplies = 8

// with returns an answer with values of the path. Only what went well is about the resource
// that the path names.
func (f *filled) with(r *Reply, value func(string) (string, bool)) *Reply {
	if value == nil || len(f.spots) == 0 || r.Status >= 300 {
		return r
	}
	var body []byte
	done := 0
	for i := range f.spots {
		s := &f.spots[i]
		text, ok := value(s.name)
		if !ok {
			continue
		}
		v := s.valueOf(text)
		if v == nil {
			continue
		}
		body = v.AppendJSON(append(body, f.body[done:s.start]...), "")
		done = s.end
	}
	if done == 0 {
		return r
	}
	own := *r
	own.Body = append(body, f.body[done:]...)
	return &own
}

// valueOf returns a caller's value as one of the kind that stands there, nil where it does
// not fit.
func (s *spot) valueOf(text string) *openapi.Node {
	v := &openapi.Node{Kind: s.kind, Text: text}
	if s.kind == openapi.Number && (len(text) > 40 || !json.Valid([]byte(text)) || text[0] != '-' && (text[0] < '0' || text[0] > '9')) {
		return nil
	}
	if strings.ToValidUTF8(text, "") != text || !s.judge.fits(s.name, v) {
		return nil
	}
	return v
}

// makeHeaders makes the documented header fields that can be sent.
func (s *status) makeHeaders() [][2]string {
	var all [][2]string
	for _, m := range s.node.Get("headers").Pairs() {
		value, ok := headerValue(s.doc, s.doc.Deref(m.Value))
		var problems problem.List
		config.CheckField(&problems, m.Name, m.Name, value)
		if ok && len(problems) == 0 && !strings.EqualFold(m.Name, "Content-Type") {
			all = append(all, [2]string{m.Name, value})
		}
	}
	return all
}

func headerValue(d *openapi.Document, h *openapi.Node) (string, bool) {
	v := h.Get("example")
	for _, m := range h.Get("examples").Pairs() {
		if v == nil {
			v = d.Deref(m.Value).Get("value")
		}
	}
	if v == nil {
		schema := h.Get("schema")
		if schema == nil {
			return "", false
		}
		var err error
		if v, err = Value(d, schema, ForAnswer); err != nil {
			return "", false
		}
	}
	return simple(v), true
}

// simple writes a value in the style simple (RFC 6570 section 3.2.2), not exploded.
func simple(v *openapi.Node) string {
	var pieces []string
	switch v.Kind {
	case openapi.Array:
		for _, item := range v.Items {
			pieces = append(pieces, simple(item))
		}
	case openapi.Object:
		for _, m := range v.Members {
			pieces = append(pieces, m.Name, simple(m.Value))
		}
	default:
		return v.Text
	}
	return strings.Join(pieces, ",")
}
