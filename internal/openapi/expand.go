package openapi

import (
	"fmt"
	"slices"
)

// expansion counts what the operations of a document stand for, when all that they refer to
// beside schemas is put in for each of them.
type expansion struct {
	b        *bounds
	mappings map[*Node]int
	sizes    map[*Node]int

	operations, values, answers, compared, bytes int
}

// expanded refuses a document whose operations stand for too much.
func (b *bounds) expanded() {
	mappings := b.mappings()
	if mappings == nil {
		return
	}
	e := expansion{b: b, mappings: mappings, sizes: make(map[*Node]int)}
	d := b.c.d
	base := len(d.BasePath())
	for _, p := range d.Root.Get("paths").Pairs() {
		item := d.Deref(p.Value)
		e.values += len(item.Pairs())
		for _, m := range item.Pairs() {
			if m.Value.Is(Object) && slices.Contains(Methods(), m.Name) {
				e.bytes += base + len(p.Name)
				e.operation(m.Value, item)
			}
			if e.told(p) {
				return
			}
		}
		if e.told(p) {
			return
		}
	}
}

// told tells whether it is too much, and says so once, at the path with which it is.
func (e *expansion) told(p Member) bool {
	what, hint := "", "refer less often to what is large, make it smaller, or publish less of it"
	switch most := e.b.most.Values; {
	case e.operations > maxOperations:
		what, hint = fmt.Sprintf("there are more than %d operations, up to this path", maxOperations), "publish less of it, or split it into several services"
	case e.values > most:
		what = fmt.Sprintf("the operations have more than %d values (of 64 bytes) together when the path items, parameters and bodies that they refer to are put in, up to this path", most)
	case e.answers > most:
		what = fmt.Sprintf("the responses of all operations have more than %d values (of 64 bytes) together when what they refer to is put in, up to this path", most)
	case e.compared > maxCompared:
		what, hint = "the operations have too many alternatives of security together, up to this path", "keep what callers really use"
	case e.bytes > maxPathBytes:
		what, hint = fmt.Sprintf("the paths of all operations take more than %s together, up to this one", size(maxPathBytes)), "write shorter paths, or publish less of it"
	default:
		return false
	}
	e.b.add(p.Value, "#/paths/"+Escape(p.Name), what, hint)
	return true
}

func (e *expansion) operation(o, item *Node) {
	d := e.b.c.d
	e.operations++
	e.values += e.size(o)
	for _, p := range o.Get("parameters").Elements() {
		e.values += e.referred(p)
	}
	for _, p := range item.Get("parameters").Elements() {
		e.values += e.size(d.Deref(p))
	}
	e.values += e.referred(o.Get("requestBody"))
	if own := firstServer(o, item); own != nil {
		e.values += e.size(own) + len(own.Str("url"))
	}
	for _, r := range o.Get("responses").Pairs() {
		if e.answers > e.b.most.Values {
			return
		}
		e.response(d.Deref(r.Value))
	}
	security := o.Get("security")
	if security == nil {
		security = d.Root.Get("security")
		e.values += e.size(security)
	}
	e.compare(security)
}

func (e *expansion) response(r *Node) {
	e.answers += e.size(r)
	for _, link := range r.Get("links").Pairs() {
		e.answers += e.referred(link.Value)
	}
}

// compare counts how often names of alternatives are compared with those of others by
// somebody who looks for those that ask for more than another one does.
func (e *expansion) compare(security *Node) {
	n := 0
	for _, alternative := range security.Elements() {
		n += 1 + len(alternative.Pairs())
	}
	e.compared += n * n
}

// referred is the size of what a node refers to, 0 for one that is no reference.
func (e *expansion) referred(n *Node) int {
	if !n.Get("$ref").Is(String) {
		return 0
	}
	return e.size(e.b.c.d.Deref(n))
}

// textOfValue is how long a text may be to count as one value; a longer one counts as several.
const textOfValue = 64

// size counts the values of a node, with all that its discriminators choose from.
func (e *expansion) size(n *Node) int {
	if n == nil {
		return 0
	}
	total, known := e.sizes[n]
	if !known {
		n.Walk(func(n *Node) bool {
			total += 1 + e.mappings[n] + len(n.Text)/textOfValue
			for _, m := range n.Members {
				total += len(m.Name) / textOfValue
			}
			return true
		})
		e.sizes[n] = total
	}
	return total
}
