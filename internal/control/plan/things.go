package plan

import (
	"reflect"
	"slices"
	"strings"

	"yett/internal/catalog"
	"yett/internal/config"
)

// comparison is the state of one Compare.
type comparison struct {
	now, next *config.Config
	plan      Plan
}

// thing is what has a name of its own in a configuration, such as a route.
type thing struct {
	name  string
	at    string // where it stands in its document
	value reflect.Value
	// also is another name by which it is found again when none has this one.
	also string
}

// effect completes a Change by what it means. Of an added thing a is invalid, of a removed one b.
type effect func(c *Change, a, b reflect.Value)

// things compares all things of one kind, in the order of the new file, what is gone at the end.
func (c *comparison) things(kind string, now, next []thing, say effect) {
	partner := pair(now, next)
	of := make(map[int]int)
	for i, j := range partner {
		of[j] = i
	}
	for j, t := range next {
		if i, ok := of[j]; ok {
			c.changed(kind, now[i], t, say)
		} else {
			c.alone(kind, Added, t, say)
		}
	}
	for i, t := range now {
		if partner[i] < 0 {
			c.alone(kind, Removed, t, say)
		}
	}
}

// pair returns for each of now which of next it has become, -1 for none.
func pair(now, next []thing) []int {
	partner := make([]int, len(now))
	for i := range partner {
		partner[i] = -1
	}
	free := make(map[int]bool)
	for j := range next {
		free[j] = true
	}
	match := func(key func(thing) string) {
		by := make(map[string]int)
		for j := range next {
			if free[j] && key(next[j]) != "" {
				by[key(next[j])] = j
			}
		}
		for i := range now {
			if j, ok := by[key(now[i])]; ok && partner[i] < 0 && free[j] {
				partner[i], free[j] = j, false
			}
		}
	}
	match(func(t thing) string { return "=" + t.name }) // sections have none
	match(func(t thing) string { return t.also })
	return partner
}

func (c *comparison) changed(kind string, a, b thing, say effect) {
	d := differ{now: side{c.now, a.at}, next: side{c.next, b.at}}
	d.value("", a.value, b.value, plain)
	if len(d.fields) == 0 {
		c.plan.Kept[kind]++
		return
	}
	c.add(Change{Kind: kind, Name: b.name, What: Changed, Fields: d.fields}, a.value, b.value, say)
}

// alone notes a thing that only one of the configurations has. Its fields are those that differ
// from the defaults.
func (c *comparison) alone(kind, what string, t thing, say effect) {
	usual := reflect.New(t.value.Type())
	config.SetDefaults(usual.Interface())
	if kind == "policy" {
		usual = reflect.ValueOf(catalog.Lookup(t.name).Defaults())
	}
	if what == Added {
		d := differ{now: side{c.next, t.at}, next: side{c.next, t.at}, missing: missingNow}
		d.value("", usual.Elem(), t.value, plain)
		c.add(Change{Kind: kind, Name: t.name, What: what, Fields: unnamed(d.fields)}, reflect.Value{}, t.value, say)
		return
	}
	d := differ{now: side{c.now, t.at}, next: side{c.now, t.at}, missing: missingNext}
	d.value("", t.value, usual.Elem(), plain)
	c.add(Change{Kind: kind, Name: t.name, What: what, Fields: unnamed(d.fields)}, t.value, reflect.Value{}, say)
}

// unnamed leaves out the name, which the Change has.
func unnamed(fields []Field) []Field {
	return slices.DeleteFunc(fields, func(f Field) bool { return f.Path == "name" })
}

func (c *comparison) add(change Change, a, b reflect.Value, say effect) {
	if say != nil {
		say(&change, a, b)
	}
	c.plan.Changes = append(c.plan.Changes, change)
}

// gateway compares what stands at the top of a configuration by itself.
func (c *comparison) gateway() {
	d := differ{now: side{c.now, ""}, next: side{c.next, ""}}
	t := reflect.TypeFor[config.Config]()
	a, b := reflect.ValueOf(*c.now), reflect.ValueOf(*c.next)
	for i := range t.NumField() {
		if f := t.Field(i); name(f) != "" && isSingle(f.Type) {
			d.value(name(f), a.Field(i), b.Field(i), plain)
		}
	}
	if len(d.fields) > 0 {
		c.add(Change{Kind: "gateway", What: Changed, Fields: d.fields}, reflect.Value{}, reflect.Value{}, nil)
	}
}

// isSingle tells whether a key at the top is a value, and no section or collection of things.
func isSingle(t reflect.Type) bool {
	if t.Kind() == reflect.Slice {
		return isWord(t.Elem())
	}
	return isWord(t)
}

// section compares one key at the top that is a section or a collection of things.
func (c *comparison) section(f reflect.StructField, i int) {
	a, b := reflect.ValueOf(*c.now).Field(i), reflect.ValueOf(*c.next).Field(i)
	switch name := name(f); {
	case name == "" || isSingle(f.Type):
	case name == "listeners":
		c.things("listener", listeners(c.now), listeners(c.next), c.listener)
	case name == "policies":
		c.things("policy", policies(c.now), policies(c.next), c.policy)
	case name == "routes":
		c.things("route", routes(c.now), routes(c.next), c.route)
	case isMapping(f.Type):
		say := map[string]effect{"services": c.service, "limits": c.limit, "issuers": c.issuer}[name]
		c.things(strings.TrimSuffix(name, "s"), entries(name, a), entries(name, b), say)
	case f.Type.Kind() == reflect.Pointer:
		c.things(name, optional(name, a), optional(name, b), nil)
		delete(c.plan.Kept, name)
	default:
		c.things(name, []thing{{at: name, value: a}}, []thing{{at: name, value: b}}, c.sectionEffect)
		delete(c.plan.Kept, name)
	}
}

// optional is a section that may be left out.
func optional(at string, v reflect.Value) []thing {
	if v.IsNil() {
		return nil
	}
	return []thing{{at: at, value: v.Elem()}}
}

// entries are the things of a config.Mapping.
func entries(at string, m reflect.Value) (all []thing) {
	for i := range m.Len() {
		e := m.Index(i)
		all = append(all, thing{name: e.Field(0).String(), at: join(at, e.Field(0).String()), value: e.Field(1)})
	}
	return all
}

// listeners are known by their name, one without by its address. One that has got another name is
// found by its address.
func listeners(c *config.Config) (all []thing) {
	for i, l := range c.Listeners {
		t := thing{name: l.Name, at: index("listeners", i), value: reflect.ValueOf(l), also: l.Address}
		if t.name == "" {
			t.name = l.Address
		}
		all = append(all, t)
	}
	return all
}

func routes(c *config.Config) (all []thing) {
	for i, r := range c.Routes {
		all = append(all, thing{name: r.Name, at: index("routes", i), value: reflect.ValueOf(r)})
	}
	return all
}

// policies are those of all routes. One that is off is as one that isn't there.
func policies(c *config.Config) (all []thing) {
	for _, e := range c.Policies {
		if v, ok := decoded(e); ok {
			all = append(all, thing{name: e.Name, at: e.Config.Path(), value: v})
		}
	}
	return all
}

// decoded returns the configuration of a policy, unless it is off or nobody knows it.
func decoded(e config.PolicyEntry) (v reflect.Value, ok bool) {
	kind := catalog.Lookup(e.Name)
	if kind == nil || e.Off {
		return v, false
	}
	into := kind.Defaults()
	if problems := e.Config.Decode(into); len(problems) > 0 {
		return v, false // the configuration has been checked
	}
	return reflect.ValueOf(into).Elem(), true
}
