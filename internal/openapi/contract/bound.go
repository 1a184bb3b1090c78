package contract

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
	for mode := range modes {
		names := s.requires(mode)
		o.needed[mode] = len(names)
		for _, name := range names {
			i := o.find(name, 0)
			o.props[i].needed[mode] = true
			if len(o.props) <= 64 {
				o.required[mode] |= 1 << i
			}
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

const (
	// maxWork is how many schemas the library may apply to the values of one message, which
	// takes it a hundred milliseconds, about.
	maxWork = 200_000
	// maxTold is how many it may while it notes all that is wrong. Of values that take more,
	// only whether they are good is found out.
	maxTold = 10_000
)

// work reckons what the library will have to do for values: a schema with alternatives that
// contain itself takes exponentially many schemas in the depth of the value.
type work struct {
	units  int // schemas that are applied, and what takes as long
	names  int // that may be missing
	effort int // steps of patterns, see maxEffort
	told   int // weight of what was looked at while faults were noted
}

func (w *work) over() bool { return w.units > maxWork || w.effort > maxEffort }

// weight is how much memory faults may take, in those of schemas that are applied.
func (w *work) weight() int { return w.units + w.names/8 }

// add adds what a schema takes for a value.
func (w *work) add(s *schema, v any) {
	if w.units++; w.over() || s == nil || s.passed || s.never {
		return
	}
	for sub := range s.inPlace {
		w.add(sub, v)
	}
	switch v := v.(type) {
	case string:
		if s.text != nil {
			w.effort += s.text.pattern.effort(len(v))
		}
	case map[string]any:
		w.object(s, v)
	case []any:
		w.units += len(v) / 8
		for _, element := range v {
			w.element(s, "", element)
			if w.over() {
				return
			}
		}
	}
}

// object adds what an object takes. Names are looked up so fast that several count as one.
func (w *work) object(s *schema, members map[string]any) {
	w.units += len(members) / 8
	if s.obj != nil {
		w.lookUp(len(s.obj.names))
	}
	for name, element := range members {
		if w.over() {
			return
		}
		w.lookUp(len(s.dependents[name]))
		w.named(s, name)
		w.element(s, name, element)
	}
}

func (w *work) lookUp(names int) {
	w.units += names / 64
	w.names += names
}

// named adds what the name of a member takes.
func (w *work) named(s *schema, name string) {
	for i := range s.rest {
		sub := &s.rest[i]
		w.effort += sub.pattern.effort(len(name))
		if sub.keyword == "propertyNames" {
			w.add(sub.schema, name)
		}
	}
}

func (w *work) element(s *schema, name string, v any) {
	for sub := range s.elements(name) {
		if w.add(sub, v); w.over() {
			return
		}
	}
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
			sub := &s.rest[i]
			if !sub.inPlace() && sub.keyword != "propertyNames" && !yield(sub.schema) {
				return
			}
		}
	}
}
