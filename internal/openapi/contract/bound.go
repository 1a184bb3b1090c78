package contract

import "reflect"

// maxInPlace is how many schemas may be about one and the same value.
const maxInPlace = 10_000

// States of a schema while bound walks.
const (
	fresh uint8 = iota
	open
	done
)

// finish makes what can be made only when all schemas are there: it takes out what refers
// to itself about the same value, or says too much about one, and finds what is required
// where.
func (b *builder) finish() {
	for _, s := range b.all {
		b.limit(s)
	}
	for _, s := range b.all {
		if s.obj != nil {
			s.demand()
		}
	}
}

// limit sets the cost of a schema, and of all that are about the same value.
func (b *builder) limit(s *schema) int {
	if s.state == done {
		return s.cost
	}
	s.state, s.cost = open, 1
	for sub := range s.inPlace {
		if sub.state == open {
			b.passOver(s, "the schema refers to itself without going into the value, so that nothing is ever good")
			break
		}
		if s.cost += b.limit(sub); s.cost > maxInPlace {
			b.passOver(s, "the schema is made of too many others that say something about the same value")
			break
		}
	}
	s.state = done
	return s.cost
}

func (b *builder) passOver(s *schema, what string) {
	s.passed, s.cost = true, 1
	b.path = b.path[:0]
	b.note(s.node, what, "it is passed over")
}

// inPlace goes over all schemas that say something about the same value.
func (s *schema) inPlace(yield func(*schema) bool) {
	stopped := false
	s.parts(func(sub *schema) bool {
		stopped = !yield(sub)
		return !stopped
	})
	for i := range s.rest {
		if stopped {
			return
		}
		if s.rest[i].inPlace() {
			stopped = !yield(s.rest[i].schema)
		}
	}
}

// demand finds out which properties are required in requests and in answers.
func (s *schema) demand() {
	o := s.obj
	if len(o.props) > 64 {
		return
	}
	for mode := range modes {
		for _, name := range s.requires(mode) {
			o.required[mode] |= 1 << o.find(name, 0)
		}
	}
}

// requires returns the names that have to be there, without those that only the other side
// sends: required counts for answers alone where a property is readOnly, and for requests
// alone where it is writeOnly (OpenAPI 3.1, see Schema Object).
func (s *schema) requires(mode int) (names []string) {
	mark := "readOnly"
	if mode == inAnswer {
		mark = "writeOnly"
	}
	for _, name := range s.obj.names {
		if !s.marked(name, mark) {
			names = append(names, name)
		}
	}
	return names
}

// marked tells whether a property is readOnly or writeOnly, by its schema or by what that
// refers to. The property may also stand beside the schema in an allOf.
func (s *schema) marked(name, mark string) bool {
	for around := s; around != nil; around = around.parent {
		if around.passed {
			return false
		}
		if p := around.whole(name); p != nil {
			return p.has(mark)
		}
	}
	return false
}

// whole returns the schema of a property that values of s have anyway.
func (s *schema) whole(name string) *schema {
	if s.passed {
		return nil
	}
	if s.obj != nil {
		if p := s.obj.property(name); p != nil {
			return p
		}
	}
	if s.ref != nil {
		if p := s.ref.whole(name); p != nil {
			return p
		}
	}
	for _, sub := range s.allOf {
		if p := sub.whole(name); p != nil {
			return p
		}
	}
	return nil
}

func (s *schema) has(mark string) bool {
	if s.passed {
		return false
	}
	if s.node.True(mark) || s.ref != nil && s.ref.has(mark) {
		return true
	}
	for _, sub := range s.allOf {
		if sub.has(mark) {
			return true
		}
	}
	return false
}

// maxWork is how many schemas the library may apply to the values of one body, which takes
// it some hundred milliseconds at most.
const maxWork = 300_000

// work reckons how many schemas the library will apply to a value: a schema with
// alternatives that contain itself takes exponentially many in the depth of the value.
type work struct {
	known map[place]int
}

type place struct {
	schema *schema
	value  any // a pointer to what an array or object has
}

// tooMuch tells whether a value is more work than the library may be given.
func tooMuch(s *schema, v any) bool {
	w := work{known: map[place]int{}}
	return w.of(s, v) > maxWork
}

func (w *work) of(s *schema, v any) int {
	if s == nil || s.passed || s.never {
		return 1
	}
	id := identity(v)
	if id == nil {
		return s.cost
	}
	at := place{s, id}
	if n, ok := w.known[at]; ok {
		return n
	}
	if len(w.known) > maxWork {
		return maxWork + 1
	}
	n := 1
	for sub := range s.inPlace {
		if n += w.of(sub, v); n > maxWork {
			break
		}
	}
	n = w.inside(s, v, n)
	w.known[at] = n
	return n
}

// inside adds what is applied to the elements of a value.
func (w *work) inside(s *schema, v any, n int) int {
	each := func(name string, element any) bool {
		for sub := range s.elements(name) {
			if n += w.of(sub, element); n > maxWork {
				return false
			}
		}
		n++
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		for name, element := range v {
			if !each(name, element) {
				break
			}
		}
	case []any:
		for _, element := range v {
			if !each("", element) {
				break
			}
		}
	}
	return n
}

// elements goes over the schemas that may be applied to an element of an array or object.
func (s *schema) elements(name string) func(func(*schema) bool) {
	return func(yield func(*schema) bool) {
		if o := s.obj; o != nil {
			if p := o.property(name); p != nil && !yield(p) || o.more != nil && !yield(o.more) {
				return
			}
		}
		if s.arr != nil && s.arr.items != nil && !yield(s.arr.items) {
			return
		}
		for i := range s.rest {
			if !s.rest[i].inPlace() && !yield(s.rest[i].schema) {
				return
			}
		}
	}
}

// identity returns something that is the same for the same array or object alone, nil for
// one without elements and for everything else.
func identity(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 {
			return reflect.ValueOf(v).UnsafePointer()
		}
	case []any:
		if len(v) > 0 {
			return &v[0]
		}
	}
	return nil
}
