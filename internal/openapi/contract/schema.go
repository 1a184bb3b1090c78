package contract

import "yett/internal/openapi"

// kinds is a set of the types of JSON. A number that is an integer has kindNumber; a
// schema that wants one has kindInteger.
type kinds uint8

const (
	kindNull kinds = 1 << iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
	kindInteger

	containers = kindArray | kindObject
	anyKind    = kindNull | kindBool | kindNumber | kindString | kindArray | kindObject
)

func kindOf(name string) (kinds, bool) {
	switch name {
	case "null":
		return kindNull, true
	case "boolean":
		return kindBool, true
	case "number":
		return kindNumber, true
	case "integer":
		return kindInteger, true
	case "string":
		return kindString, true
	case "array":
		return kindArray, true
	case "object":
		return kindObject, true
	}
	return 0, false
}

// The two ways to read a schema: what has readOnly need not be in a request, what has
// writeOnly need not be in an answer.
const (
	inRequest = iota
	inAnswer
	modes
)

// schema is a schema of the document, compiled for the quick path and for reckoning what
// the library would have to do. There is one for each node; they may refer to each other
// in circles, but never in place (see bound).
type schema struct {
	id   int
	node *openapi.Node
	// parent is the schema that has this one in its allOf.
	parent *schema
	// passed tells that the schema could not be compiled, so that it takes everything;
	// dropped are the keywords for which that is so.
	passed  bool
	dropped []string
	never   bool // the schema false
	// unsure tells that there are keywords which the quick path does not know; unsureIn
	// that they are about arrays and objects only.
	unsure, unsureIn bool

	types kinds // 0 for all
	enums []*choices
	// listed is the one of enums that enum made.
	listed *choices
	num    *numberRule
	text   *textRule
	obj    *objectRule
	arr    *arrayRule

	ref                 *schema
	allOf, anyOf, oneOf []*schema
	// rest are the schemas below keywords that the quick path does not know.
	rest []subschema
	// unique tells that items have to be, dependents which names each name needs.
	unique     bool
	dependents map[string][]string

	cost  int // how many schemas a value meets here, in place
	state uint8
}

// subschema is a schema below a keyword.
type subschema struct {
	keyword string
	name    string // below a keyword with names
	schema  *schema
	pattern *pattern // of the names that it is for
}

// inPlace tells whether the schema is about the same value.
func (s *subschema) inPlace() bool {
	switch s.keyword {
	case "not", "if", "then", "else", "dependentSchemas":
		return true
	}
	return false
}

type numberRule struct {
	min, max, above, below, multiple *decimal
	whole                            bool // int32 and int64 take integers only
	unsure                           bool // a bound is no decimal
}

type textRule struct {
	min, max int // -1 for none
	pattern  *pattern
	format   format
}

type arrayRule struct {
	items    *schema // nil for any
	min, max int
}

type objectRule struct {
	props []property
	// byName has the places in props when there are many.
	byName map[string]int
	// required has a bit for each of props, for requests and for answers, where there are no
	// more than bits; needed is how many are required.
	required [modes]uint64
	needed   [modes]int
	names    []string // of required, as written
	// closed tells that nothing else may be there; more is what everything else has to
	// be, nil for anything.
	closed   bool
	more     *schema
	min, max int
}

type property struct {
	name string
	// schema is nil for a name that is only required.
	schema *schema
	needed [modes]bool
}

// manyProps is from where on properties are looked up in a map.
const manyProps = 8

// find returns the place of a property, -1 for one that is not named.
func (o *objectRule) find(name string, hint int) int {
	if hint < len(o.props) && o.props[hint].name == name {
		return hint
	}
	if o.byName != nil {
		if i, ok := o.byName[name]; ok {
			return i
		}
		return -1
	}
	for i := range o.props {
		if o.props[i].name == name {
			return i
		}
	}
	return -1
}

// property returns the schema of a property in o, nil where it names none.
func (o *objectRule) property(name string) *schema {
	if i := o.find(name, 0); i >= 0 {
		return o.props[i].schema
	}
	return nil
}

func (s *schema) object() *objectRule {
	if s.obj == nil {
		s.obj = &objectRule{min: -1, max: -1}
	}
	return s.obj
}

func (s *schema) array() *arrayRule {
	if s.arr == nil {
		s.arr = &arrayRule{min: -1, max: -1}
	}
	return s.arr
}

func (s *schema) string() *textRule {
	if s.text == nil {
		s.text = &textRule{min: -1, max: -1}
	}
	return s.text
}

func (s *schema) number() *numberRule {
	if s.num == nil {
		s.num = new(numberRule)
	}
	return s.num
}

// trivial tells that every value is good.
func (s *schema) trivial() bool {
	return s == nil || s.passed || !s.never && !s.unsure && !s.unsureIn && s.types == 0 && s.enums == nil && s.num == nil &&
		s.text == nil && s.obj == nil && s.arr == nil && s.ref == nil && s.allOf == nil && s.anyOf == nil && s.oneOf == nil && s.rest == nil
}

// takes returns the kinds of values that can be good, as far as types say it.
func (s *schema) takes() kinds {
	if s == nil || s.passed {
		return anyKind | kindInteger
	}
	k := anyKind | kindInteger
	if s.never {
		return 0
	}
	if s.types != 0 {
		k = s.types
		if k&kindNumber != 0 {
			k |= kindInteger
		}
	}
	if s.ref != nil {
		k &= s.ref.takes()
	}
	for _, sub := range s.allOf {
		k &= sub.takes()
	}
	for _, list := range [][]*schema{s.anyOf, s.oneOf} {
		if len(list) == 0 {
			continue
		}
		var some kinds
		for _, sub := range list {
			some |= sub.takes()
		}
		k &= some
	}
	return k
}

// member returns the schema of a member of an object, nil for anything.
func (s *schema) member(name string) *schema {
	if s == nil || s.passed {
		return nil
	}
	if s.obj != nil {
		if p := s.obj.property(name); p != nil {
			return p
		}
	}
	for sub := range s.parts {
		if p := sub.member(name); p != nil {
			return p
		}
	}
	if s.obj != nil {
		return s.obj.more
	}
	return nil
}

// item returns the schema of the items of an array, nil for anything.
func (s *schema) item() *schema {
	if s == nil || s.passed {
		return nil
	}
	if s.arr != nil && s.arr.items != nil {
		return s.arr.items
	}
	for sub := range s.parts {
		if i := sub.item(); i != nil {
			return i
		}
	}
	return nil
}

// parts goes over the schemas that say more about the same value.
func (s *schema) parts(yield func(*schema) bool) {
	if s.ref != nil && !yield(s.ref) {
		return
	}
	for _, list := range [][]*schema{s.allOf, s.anyOf, s.oneOf} {
		for _, sub := range list {
			if !yield(sub) {
				return
			}
		}
	}
}

// propertyNames goes over the names of all properties that the schema and its parts have.
func (s *schema) propertyNames(yield func(string) bool) {
	s.eachName(yield)
}

func (s *schema) eachName(yield func(string) bool) bool {
	if s == nil || s.passed {
		return true
	}
	if s.obj != nil {
		for i := range s.obj.props {
			if s.obj.props[i].schema != nil && !yield(s.obj.props[i].name) {
				return false
			}
		}
	}
	for sub := range s.parts {
		if !sub.eachName(yield) {
			return false
		}
	}
	return true
}
