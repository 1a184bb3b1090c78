package contract

import (
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// lazyDependents is the keyword that stands for dependentRequired in what the library gets,
// which would go through all names of the document for each object.
const lazyDependents = scheme + "dependentRequired"

// dependents has the names that each name needs.
type dependents map[string][]string

// compileDependents implements the keyword lazyDependents. It is called with the lock held.
func (l *library) compileDependents(_ *jsonschema.CompilerContext, schema map[string]any) (jsonschema.SchemaExt, error) {
	address, ok := schema[lazyDependents].(string)
	if !ok {
		return nil, nil
	}
	s, _, err := l.at(address)
	if err != nil {
		return nil, err
	}
	return dependents(s.dependents), nil
}

// Validate implements jsonschema.SchemaExt.
func (d dependents) Validate(ctx *jsonschema.ValidatorContext, v any) {
	members, _ := v.(map[string]any)
	for name := range members {
		var missing []string
		for _, other := range d[name] {
			if _, there := members[other]; !there {
				missing = append(missing, other)
			}
		}
		if missing != nil {
			ctx.AddError(&kind.DependentRequired{Prop: name, Missing: missing})
		}
	}
}
