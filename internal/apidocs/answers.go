package apidocs

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"yett/internal/exchange"
	"yett/internal/openapi"
	"yett/internal/policy"
)

// errorRef refers to the shape of the gateway's refusals, which comes along with the first
// reference to it.
func (m *merger) errorRef() *openapi.Node {
	return openapi.NewObject("$ref", m.own.schema("GatewayError"))
}

// others is the key of answers that stand for all statuses that have none of their own.
const others = "default"

// responses are those of the service and the refusals of the gateway, with the fields that
// the gateway adds.
func (m *merger) responses(im *importer, o *openapi.Operation, f *facts) *openapi.Node {
	out := openapi.NewObject()
	refusals := f.refusalsOf(o)
	written := writtenAnswers(im.from, o)
	for _, w := range written {
		reasons := otherRefusals(w.key)
		if status, err := strconv.Atoi(w.key); err == nil {
			reasons = refusals[status]
			delete(refusals, status)
		}
		if w.ref == "" {
			out.Set(w.key, m.answer(im, w.node, f, w.key, reasons))
			continue
		}
		out.Set(w.key, openapi.NewObject("$ref", componentsRef+"responses/"+m.component(im, w, f, reasons)))
	}
	for _, status := range sortedStatuses(refusals) {
		out.Set(strconv.Itoa(status), m.refusedBeside(im, written, f, status, refusals[status]))
	}
	if out.Get(others) == nil {
		out.Set(others, m.refusal(f, 0, nil))
	}
	slices.SortStableFunc(out.Members, func(a, b openapi.Member) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// writtenAnswer is an answer of the service: its status, range ("4XX") or default, what it
// refers to by ref, "" for none, and the answer.
type writtenAnswer struct {
	key, ref string
	node     *openapi.Node
}

// writtenAnswers are those of an operation.
func writtenAnswers(d *openapi.Document, o *openapi.Operation) (all []writtenAnswer) {
	for _, r := range o.Node.Get("responses").Pairs() {
		key := r.Name
		if len(key) == 3 {
			key = strings.ToUpper(key)
		}
		if !isAnswer(key) || slices.ContainsFunc(all, func(a writtenAnswer) bool { return a.key == key }) {
			continue
		}
		if node := d.Deref(r.Value); node.Is(openapi.Object) {
			all = append(all, writtenAnswer{key, r.Value.Str("$ref"), node})
		}
	}
	return all
}

// isAnswer tells statuses and the like from extensions.
func isAnswer(key string) bool {
	if key == others {
		return true
	}
	return len(key) == 3 && '1' <= key[0] && key[0] <= '5' &&
		(key[1:] == "XX" || strings.Trim(key[1:], "0123456789") == "")
}

// otherRefusals are examples of the refusals that come under a range or default: those that
// every request can meet, such as of a path that can't be read.
func otherRefusals(key string) []*exchange.Reason {
	switch key {
	case others, "4XX":
		return []*exchange.Reason{exchange.BadPath}
	case "5XX":
		return []*exchange.Reason{exchange.Internal}
	}
	return nil
}

// component makes a component of an answer that is one of the service's document, once for
// all operations to which the gateway adds the same, and returns its name.
func (m *merger) component(im *importer, w writtenAnswer, f *facts, reasons []*exchange.Reason) string {
	key := answerKey{w.key, len(reasons), w.node}
	name := f.answers[key]
	if name != "" {
		return name
	}
	content := answerContent{w.node, m.additions(im, w, f, reasons)}
	if name = im.answers[content]; name == "" {
		node := m.answer(im, w.node, f, w.key, reasons)
		m.budget.charge(node)
		name = m.parts.add("responses", im.name(ownName("responses", w.ref)), node)
		im.answers[content] = name
	}
	f.answers[key] = name
	return name
}

// answerKey is an answer of the service with what a route adds to it, see refusalKey.
type answerKey struct {
	key     string
	reasons int
	node    *openapi.Node
}

// answerContent is an answer of the service with all that the gateway adds to it.
type answerContent struct {
	node  *openapi.Node
	added string
}

// additions is what tells what answer adds, for comparing.
func (m *merger) additions(im *importer, w writtenAnswer, f *facts, reasons []*exchange.Reason) string {
	var b strings.Builder
	for i, h := range f.ResponseHeaders {
		if comesWith(h, w.key) {
			fmt.Fprintln(&b, h.Name, f.headerRef(m.parts, i))
		}
	}
	if len(reasons) > 0 {
		fmt.Fprintln(&b, m.covers(im, w.node, reasons), f.joinedWords(w.key, reasons))
	}
	return b.String()
}

// joinedWords are what an answer of the service says of the gateway's refusals.
func (f *facts) joinedWords(key string, reasons []*exchange.Reason) string {
	if status, err := strconv.Atoi(key); err == nil {
		return f.wordsOf(status, reasons)
	}
	return refusalWords(nil)
}

// answer is one of the service, which may be the gateway's as well if there are reasons.
func (m *merger) answer(im *importer, written *openapi.Node, f *facts, key string, reasons []*exchange.Reason) *openapi.Node {
	c := im.response(written, func(header string) bool {
		return slices.ContainsFunc(f.ResponseHeaders, func(h policy.HeaderNote) bool { return strings.EqualFold(h.Name, header) && comesWith(h, key) })
	})
	if c.Get("description") == nil {
		c.Set("description", openapi.NewString(""))
	}
	m.dress(c, f, key)
	if len(reasons) > 0 {
		m.joinRefusal(im, c, written, reasons, f.joinedWords(key, reasons))
	}
	return c
}

// refusedBeside is a refusal where the service may answer with the same status by what it says
// of a whole range.
func (m *merger) refusedBeside(im *importer, written []writtenAnswer, f *facts, status int, reasons []*exchange.Reason) *openapi.Node {
	for _, key := range []string{strconv.Itoa(status/100) + "XX", others} {
		i := slices.IndexFunc(written, func(w writtenAnswer) bool { return w.key == key })
		if i < 0 {
			continue
		}
		if own := written[i].node; own.Get("content") != nil && !m.covers(im, own, reasons) {
			return openapi.NewObject("$ref", componentsRef+"responses/"+m.joined(im, own, f, status, reasons))
		}
		break
	}
	return m.refusal(f, status, reasons)
}

// joined makes a component of an answer of the service that may be the gateway's as well, once
// for all operations that say the same, and returns its name.
func (m *merger) joined(im *importer, own *openapi.Node, f *facts, status int, reasons []*exchange.Reason) string {
	key := joinedKey{refusalKey{status, len(reasons)}, im, im.alikeTo(own)}
	if f.joined[key] == "" {
		both := m.answer(im, own, f, strconv.Itoa(status), reasons)
		f.joined[key] = im.into.share("responses", im.name("Gateway"+strconv.Itoa(status)), both)
	}
	return f.joined[key]
}

// joinedKey is what an answer is made of.
type joinedKey struct {
	refusalKey
	im  *importer
	own *openapi.Node
}

// refusalsOf are the refusals that an operation can meet, by status. What bodies are refused
// for is for those that take one.
func (f *facts) refusalsOf(o *openapi.Operation) map[int][]*exchange.Reason {
	all := make(map[int][]*exchange.Reason, len(f.refusals)+2)
	for status, reasons := range f.refusals {
		all[status] = reasons
	}
	if o.Node.Get("requestBody") == nil {
		return all
	}
	for _, r := range f.ofBodies {
		if !slices.Contains(all[r.Status], r) {
			all[r.Status] = append(slices.Clone(all[r.Status]), r)
		}
	}
	return all
}

func sortedStatuses(m map[int][]*exchange.Reason) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// comesWith tells whether answers of a status have a field.
func comesWith(h policy.HeaderNote, status string) bool {
	return len(h.Only) == 0 || slices.ContainsFunc(h.Only, func(s int) bool { return strconv.Itoa(s) == status })
}

// dress adds the fields that the gateway sets on an answer.
func (m *merger) dress(response *openapi.Node, f *facts, status string) {
	for i, h := range f.ResponseHeaders {
		if !comesWith(h, status) {
			continue
		}
		headers := response.Get("headers")
		if headers == nil {
			headers = openapi.NewObject()
			response.Set("headers", headers)
		}
		headers.Set(h.Name, openapi.NewObject("$ref", f.headerRef(m.parts, i)))
	}
}

// headerRef makes a component of a field, and returns the reference to it.
func (f *facts) headerRef(parts *components, i int) string {
	if f.headerRefs[i] == "" {
		h := f.ResponseHeaders[i]
		name := parts.share("headers", componentName(h.Name), openapi.NewObject("description", h.Description, "schema", schemaOf(h)))
		f.headerRefs[i] = componentsRef + "headers/" + name
	}
	return f.headerRefs[i]
}

// refusal is the answer of the gateway itself with a status, 0 for any other.
func (m *merger) refusal(f *facts, status int, reasons []*exchange.Reason) *openapi.Node {
	key := refusalKey{status, len(reasons)} // reasons are those of the route, and maybe of bodies
	if f.refused[key] == "" {
		f.refused[key] = m.makeRefusal(f, status, reasons)
	}
	return openapi.NewObject("$ref", componentsRef+"responses/"+f.refused[key])
}

type refusalKey struct{ status, reasons int }

func (m *merger) makeRefusal(f *facts, status int, reasons []*exchange.Reason) string {
	node := openapi.NewObject("description", refusalWords(reasons))
	m.dress(node, f, strconv.Itoa(status))
	content := openapi.NewObject("schema", m.errorRef())
	if len(reasons) > 0 {
		content.Set("examples", refusalExamples(reasons))
	}
	node.Set("content", openapi.NewObject("application/json", content))
	name := "Gateway" + strconv.Itoa(status)
	if status == 0 {
		name = "GatewayDefault"
	}
	return m.parts.share("responses", name, node)
}

// wordsOf is refusalWords, made once for each status of a route.
func (f *facts) wordsOf(status int, reasons []*exchange.Reason) string {
	key := refusalKey{status, len(reasons)}
	if f.said[key] == "" {
		f.said[key] = refusalWords(reasons)
	}
	return f.said[key]
}

// refusalWords says what codes there are. What is behind one that stands for several reasons
// is for the message to say.
func refusalWords(reasons []*exchange.Reason) string {
	if len(reasons) == 0 {
		return "Any other refusal of the gateway."
	}
	var words []string
	for _, r := range reasons {
		same := func(other *exchange.Reason) bool { return other.Code == r.Code && other.Message != r.Message }
		text := fmt.Sprintf("`%s`: %s.", r.Code, strings.TrimSuffix(r.Message, "."))
		if slices.ContainsFunc(reasons, same) {
			text = fmt.Sprintf("`%s`: the message says why.", r.Code)
		}
		if !slices.Contains(words, text) {
			words = append(words, text)
		}
	}
	return strings.Join(words, " ")
}

// refusalExamples has an error of each code.
func refusalExamples(reasons []*exchange.Reason) *openapi.Node {
	n := openapi.NewObject()
	for _, r := range reasons {
		if n.Get(r.Code) == nil {
			n.Set(r.Code, openapi.NewObject("summary", r.Message, "value", errorExample(r)))
		}
	}
	return n
}

func errorExample(r *exchange.Reason) *openapi.Node {
	e := openapi.NewObject("code", r.Code, "message", r.Message, "status", r.Status,
		"timestamp", "2026-01-31T09:30:00.000Z", "request_id", "6f1d1f0e-4b7c-4f6e-9d2a-1c3b5a7e9f00")
	if r.Status == http.StatusServiceUnavailable {
		e.Set("retryAfter", openapi.NewInt(30))
	}
	return openapi.NewObject("error", e)
}

// joinRefusal says that an answer which the service documents may be the gateway's as well.
func (m *merger) joinRefusal(im *importer, response, written *openapi.Node, reasons []*exchange.Reason, words string) {
	text := strings.TrimSpace(response.Str("description"))
	response.Set("description", openapi.NewString(strings.TrimSpace(text+" From the gateway: "+words)))
	content := response.Get("content")
	if content == nil {
		content = openapi.NewObject()
		response.Set("content", content)
	}
	own := jsonOf(content)
	if own == nil {
		content.Set("application/json", openapi.NewObject("schema", m.errorRef()))
		return
	}
	schema := own.Get("schema")
	if schema == nil || m.covers(im, written, reasons) {
		return // it may be anything, or that
	}
	own.Set("schema", openapi.NewObject("anyOf", openapi.NewArray(schema, m.errorRef())))
}

// jsonOf returns what a content says of JSON.
func jsonOf(content *openapi.Node) *openapi.Node {
	for _, m := range content.Pairs() {
		name, _, _ := strings.Cut(m.Name, ";")
		if strings.EqualFold(strings.TrimSpace(name), "application/json") {
			return m.Value
		}
	}
	return nil
}

func schemaOf(h policy.HeaderNote) *openapi.Node {
	return cmp.Or(h.Schema.Clone(), openapi.NewObject("type", "string"))
}

func headersOf(notes []policy.HeaderNote) *openapi.Node {
	n := openapi.NewObject()
	for _, h := range notes {
		n.Set(h.Name, openapi.NewObject("description", h.Description, "schema", schemaOf(h)))
	}
	return n
}
