package apidocs

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"yett/internal/openapi"
)

const componentsRef = "#/components/"

// components are the sections of components of a document in the making.
type components struct {
	sections map[string]*openapi.Node
	names    map[string]counter
	alike    map[alikeKey]string // see share
	budget   *budget
}

// alikeKey is a component by a hash of what is in it.
type alikeKey struct {
	section, name string
	sum           [sha256.Size]byte
}

func newComponents(b *budget) *components {
	return &components{make(map[string]*openapi.Node), make(map[string]counter), make(map[alikeKey]string), b}
}

// add adds a component under that name, or another one if it is taken, and returns the name.
func (c *components) add(section, name string, v *openapi.Node) string {
	s := c.sections[section]
	if s == nil {
		s = openapi.NewObject()
		c.sections[section], c.names[section] = s, make(counter)
	}
	name = c.names[section].unique(name)
	s.Members = append(s.Members, openapi.Member{Name: name, Value: v})
	return name
}

// share adds a component unless there is one of that name with the same in it, and returns
// the name that it has.
func (c *components) share(section, name string, v *openapi.Node) string {
	key := alikeKey{section, name, sha256.Sum256(v.AppendJSON(nil, ""))}
	if c.alike[key] == "" {
		c.budget.charge(v)
		c.alike[key] = c.add(section, name, v)
	}
	return c.alike[key]
}

// node returns all of them in order.
func (c *components) node() *openapi.Node {
	all := openapi.NewObject()
	byName := func(a, b openapi.Member) int { return strings.Compare(a.Name, b.Name) }
	for name, section := range c.sections {
		slices.SortFunc(section.Members, byName)
		all.Members = append(all.Members, openapi.Member{Name: name, Value: section})
	}
	slices.SortFunc(all.Members, byName)
	return all
}

// importer copies parts of one document into the merged one. What they refer to comes along
// under a name with the service's in front, so that services can't clash, whichever of them is
// there; nothing else of the document does.
type importer struct {
	from   *openapi.Document
	prefix string // "" keeps names
	into   *components
	ids    counter // operationIds of the merged document
	// special are the nodes that a copy has to change.
	special map[*openapi.Node]openapi.Part
	// brought are the names of what came along, todo is what of that has to be copied yet: a
	// queue, because documents can have long chains of references.
	brought map[target]string
	todo    []pending
	// bases are the schemas with a discriminator, with those of their copies, chosen what these
	// have already; see inherit. steps counts what that has cost.
	bases  map[*openapi.Node][]*openapi.Node
	chosen map[*openapi.Node]map[string]bool
	steps  int
	// shown are the operationIds of the operations that are shown, byID those operations by
	// their operationIds in the service's document.
	shown map[*openapi.Node]string
	byID  map[string]*openapi.Node
	// schemas are those of covers, nil for one that can't be compiled; examined counts the
	// nodes in them.
	schemas  map[*openapi.Node]*jsonschema.Schema
	examined int
	// answers are the components of answers, see component; demands those of security.
	answers map[answerContent]string
	demands map[string]*demand
	// alike are nodes that stand for others with the same in them, see alikeTo.
	alike map[*openapi.Node]*openapi.Node
	bySum map[[sha256.Size]byte]*openapi.Node
}

// target is a part of a document that comes along, and the section it goes to.
type target struct {
	section string
	node    *openapi.Node
}

type pending struct{ from, to *openapi.Node }

func (m *merger) importer(from *openapi.Document, prefix string) *importer {
	return newImporter(from, prefix, m.parts, m.ids, specials(from))
}

func newImporter(from *openapi.Document, prefix string, into *components, ids counter, special map[*openapi.Node]openapi.Part) *importer {
	return &importer{
		from: from, prefix: prefix, into: into, ids: ids, special: special, brought: make(map[target]string),
		shown: make(map[*openapi.Node]string), byID: make(map[string]*openapi.Node), schemas: make(map[*openapi.Node]*jsonschema.Schema),
		bases: make(map[*openapi.Node][]*openapi.Node), chosen: make(map[*openapi.Node]map[string]bool),
		answers: make(map[answerContent]string), demands: make(map[string]*demand),
		alike: make(map[*openapi.Node]*openapi.Node), bySum: make(map[[sha256.Size]byte]*openapi.Node),
	}
}

// specials are the parts of a document that can't be copied as they are. By going over what is
// known to be a part, examples may have a member $ref, and properties any name.
func specials(d *openapi.Document) map[*openapi.Node]openapi.Part {
	special := make(map[*openapi.Node]openapi.Part)
	d.Walk(func(n *openapi.Node, p openapi.Part) bool {
		if !isPublic(n, p) {
			special[n] = p
			return true
		}
		switch p {
		case openapi.PartOperation, openapi.PartLink:
			special[n] = p
		case openapi.PartResponse:
			if n.Get("links") != nil || n.Get("$ref") != nil {
				special[n] = p
			}
		case openapi.PartSchema:
			if n.Get("discriminator") != nil || n.Get("$ref") != nil {
				special[n] = p
			}
		case openapi.PartPathItem, openapi.PartParameter, openapi.PartHeader, openapi.PartRequestBody, openapi.PartCallback, openapi.PartExample, openapi.PartSecurityScheme:
			if n.Get("$ref") != nil {
				special[n] = p
			}
		}
		return true
	})
	return special
}

// know makes a path item that stands in no document one of this document's.
func (im *importer) know(item *openapi.Node) {
	d := &openapi.Document{Version: openapi.Version31, Root: openapi.NewObject(
		"paths", openapi.NewObject("/", item), "components", im.from.Root.Get("components"))}
	for n, part := range specials(d) {
		im.special[n] = part
	}
}

// show notes that an operation is shown under an operationId; the first one counts.
func (im *importer) show(o *openapi.Operation, id string) {
	if im.shown[o.Node] == "" {
		im.shown[o.Node] = id
	}
	if o.ID != "" && im.byID[o.ID] == nil {
		im.byID[o.ID] = o.Node
	}
}

// alikeTo returns the first node that was asked for with the same in it.
func (im *importer) alikeTo(n *openapi.Node) *openapi.Node {
	first := im.alike[n]
	if first == nil {
		sum := sha256.Sum256(n.AppendJSON(nil, ""))
		if first = im.bySum[sum]; first == nil {
			first = n
			im.bySum[sum] = n
		}
		im.alike[n] = first
	}
	return first
}

// name returns what something is called in the merged document.
func (im *importer) name(own string) string {
	if im.prefix == "" {
		return own
	}
	return im.prefix + "." + own
}

// drain copies what came along and has not been copied yet.
func (im *importer) drain() {
	for len(im.todo) > 0 {
		last := len(im.todo) - 1
		next := im.todo[last]
		im.todo = im.todo[:last]
		*next.to = *im.copy(next.from)
		im.into.budget.charge(next.to)
	}
	im.inherit()
}

// copy returns a copy of a node, with what it refers to under its new name.
func (im *importer) copy(n *openapi.Node) *openapi.Node {
	if n == nil {
		return nil
	}
	switch part, special := im.special[n]; {
	case !special:
	case n.Get("$ref").Is(openapi.String) && part != openapi.PartOperation:
		return im.refer(n, part)
	case part == openapi.PartResponse:
		return im.response(n, nil)
	case part == openapi.PartOperation:
		return im.operation(n)
	case part == openapi.PartSecurityScheme:
		return im.plain(publicScheme(n))
	case part == openapi.PartSchema:
		c := im.plain(public(n, part))
		im.discriminate(n, c)
		return c
	default:
		return im.plain(public(n, part))
	}
	return im.plain(n)
}

// plain copies a node, and what is below as copy does.
func (im *importer) plain(n *openapi.Node) *openapi.Node {
	im.into.budget.copy()
	c := *n
	if n.Items != nil {
		c.Items = make([]*openapi.Node, len(n.Items))
		for i, item := range n.Items {
			c.Items[i] = im.copy(item)
		}
	}
	if n.Members != nil {
		c.Members = slices.Clone(n.Members)
		for i := range c.Members {
			c.Members[i].Value = im.copy(c.Members[i].Value)
		}
	}
	return &c
}

// refer copies a reference.
func (im *importer) refer(n *openapi.Node, part openapi.Part) *openapi.Node {
	c := im.plain(public(n, part))
	c.Set("$ref", openapi.NewString(im.reference(n.Str("$ref"), part)))
	return c
}

// reference brings along what a reference stands for, and returns the new one.
func (im *importer) reference(ref string, part openapi.Part) string {
	node, err := im.from.Resolve(ref)
	if err != nil {
		return ref // Parse has seen that there is one
	}
	section := part.Section()
	key := target{section, node}
	name, known := im.brought[key]
	if !known {
		to := &openapi.Node{}
		name = im.into.add(section, im.name(ownName(section, ref)), to)
		im.brought[key] = name
		im.todo = append(im.todo, pending{node, to})
	}
	return componentsRef + section + "/" + name
}

// schema brings a schema along, and returns the reference to it.
func (im *importer) schema(name string) string {
	return im.reference(componentsRef+"schemas/"+openapi.Escape(name), openapi.PartSchema)
}

// ownName makes a name of the place of what is referred to. That of a part of an operation
// says nothing about its path, which need not be shown.
func ownName(section, ref string) string {
	own, ok := strings.CutPrefix(ref, componentsRef+section+"/")
	if !ok {
		sum := sha256.Sum256([]byte(ref))
		return "inline_" + hex.EncodeToString(sum[:4])
	}
	words := strings.FieldsFunc(openapi.Unescape(own), func(r rune) bool { return r == '/' || r == '.' })
	for i, w := range words {
		words[i] = componentName(w)
	}
	return strings.Join(words, ".")
}

// response copies a response without the fields for which replaced is true, and without
// links to operations that are not shown.
func (im *importer) response(n *openapi.Node, replaced func(header string) bool) *openapi.Node {
	n = public(n, openapi.PartResponse)
	c := *n
	c.Members = make([]openapi.Member, 0, len(n.Members)+1)
	for _, m := range n.Members {
		switch {
		case m.Name == "links":
			m.Value = im.links(m.Value)
		case m.Name == "headers" && replaced != nil && m.Value.Is(openapi.Object):
			kept := *m.Value
			kept.Members = slices.DeleteFunc(slices.Clone(kept.Members), func(h openapi.Member) bool { return replaced(h.Name) })
			m.Value = im.plain(&kept)
		default:
			m.Value = im.copy(m.Value)
		}
		c.Members = append(c.Members, m)
	}
	return &c
}

func (im *importer) links(n *openapi.Node) *openapi.Node {
	c := openapi.NewObject()
	for _, m := range n.Pairs() {
		if link := im.link(im.from.Deref(m.Value)); link != nil {
			c.Members = append(c.Members, openapi.Member{Name: m.Name, Value: link})
		}
	}
	return c
}

// link copies a link, nil for one to an operation that is not shown.
func (im *importer) link(n *openapi.Node) *openapi.Node {
	to := im.byID[n.Str("operationId")]
	if ref := n.Str("operationRef"); strings.HasPrefix(ref, "#") {
		to, _ = im.from.Resolve(ref)
	}
	id := im.shown[to]
	if id == "" || to == nil {
		return nil
	}
	im.into.budget.copy()
	c := public(n, openapi.PartLink).Clone() // its values are data
	c.Delete("operationRef")
	c.Delete("server") // where the service would be without the gateway
	c.Set("operationId", openapi.NewString(id))
	return c
}

// operation copies an operation of a callback, which the service calls.
func (im *importer) operation(n *openapi.Node) *openapi.Node {
	bare := public(n, openapi.PartOperation)
	bare.Members = slices.DeleteFunc(bare.Members, func(m openapi.Member) bool {
		return m.Name == "tags" || m.Name == "security" || m.Name == "operationId"
	})
	c := im.plain(bare)
	if id := n.Str("operationId"); id != "" {
		c.Set("operationId", openapi.NewString(im.ids.unique(im.name(id))))
	}
	if own := n.Get("security"); own.Is(openapi.Array) {
		c.Set("security", im.requirements(own))
	}
	return c
}

// discriminate keeps the values of a discriminator, which are names of schemas where no
// others are given.
func (im *importer) discriminate(n, c *openapi.Node) {
	d := c.Get("discriminator")
	if !d.Is(openapi.Object) || d.Str("propertyName") == "" {
		return
	}
	mapping := im.mapping(n)
	if len(mapping.Members) > 0 {
		d.Set("mapping", mapping)
	}
	im.bases[n] = append(im.bases[n], d)
}

// mapping is what a schema itself says of the schemas that its discriminator chooses from.
func (im *importer) mapping(n *openapi.Node) *openapi.Node {
	mapping := openapi.NewObject()
	values := make(map[string]bool)
	mapped := make(map[*openapi.Node]bool)
	add := func(value, ref string) {
		node, err := im.from.Resolve(ref)
		if err == nil && !values[value] {
			values[value], mapped[node] = true, true
			mapping.Members = append(mapping.Members, openapi.Member{Name: value, Value: openapi.NewString(im.reference(ref, openapi.PartSchema))})
		}
	}
	for _, m := range n.At("discriminator", "mapping").Pairs() {
		ref := m.Value.TextOf()
		if !strings.HasPrefix(ref, "#") {
			ref = componentsRef + "schemas/" + openapi.Escape(ref)
		}
		add(m.Name, ref)
	}
	for _, list := range []string{"oneOf", "anyOf"} {
		for _, item := range n.Get(list).Elements() {
			own, isComponent := strings.CutPrefix(item.Str("$ref"), componentsRef+"schemas/")
			if node, err := im.from.Resolve(item.Str("$ref")); err == nil && isComponent && !strings.Contains(own, "/") && !mapped[node] {
				add(openapi.Unescape(own), item.Str("$ref"))
			}
		}
	}
	return mapping
}

// inherit adds to discriminators the schemas that extend theirs by allOf, as far as they have
// come along: nothing but being an heir brings a schema along, because it may belong to what
// is not shown.
func (im *importer) inherit() {
	if len(im.bases) == 0 {
		return
	}
	for _, m := range im.from.Root.At("components", "schemas").Pairs() {
		name, shown := im.brought[target{"schemas", m.Value}]
		if shown && im.steps < mostSteps {
			im.bequeath(m.Value, m.Name, componentsRef+"schemas/"+name, map[*openapi.Node]bool{m.Value: true})
		}
	}
}

// mostSteps is how many ways from schemas to what they extend are followed in a document. No
// document that people have written has as many.
const mostSteps = 200_000

// bequeath tells all that a schema extends about it.
func (im *importer) bequeath(n *openapi.Node, value, ref string, seen map[*openapi.Node]bool) {
	for _, item := range n.Get("allOf").Elements() {
		base := im.from.Deref(item)
		if item.Str("$ref") == "" || seen[base] || im.steps >= mostSteps {
			continue
		}
		im.steps++
		seen[base] = true
		for _, d := range im.bases[base] {
			im.choose(d, value, ref)
		}
		im.bequeath(base, value, ref, seen)
	}
}

// choose adds an heir to a discriminator, unless it is there already.
func (im *importer) choose(d *openapi.Node, value, ref string) {
	mapping := d.Get("mapping")
	if mapping == nil {
		mapping = openapi.NewObject()
		d.Set("mapping", mapping)
	}
	known := im.chosen[d]
	if known == nil {
		known = make(map[string]bool)
		for _, m := range mapping.Members {
			known["value "+m.Name], known["ref "+m.Value.Text] = true, true
		}
		im.chosen[d] = known
	}
	if known["value "+value] || known["ref "+ref] {
		return
	}
	known["value "+value], known["ref "+ref] = true, true
	mapping.Members = append(mapping.Members, openapi.Member{Name: value, Value: openapi.NewString(ref)})
}
