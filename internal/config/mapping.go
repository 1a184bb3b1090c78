package config

// Mapping is what an operator writes as a mapping from names of their own
// choice, in the order written.
type Mapping[T any] []Entry[T]

// Entry is one name of a Mapping and what it stands for.
type Entry[T any] struct {
	Name  string
	Value T
}

// Get returns the value of a name. It searches from the front; whoever looks
// up often builds a map.
func (m Mapping[T]) Get(name string) (value *T, ok bool) {
	for i := range m {
		if m[i].Name == name {
			return &m[i].Value, true
		}
	}
	return nil, false
}

// Names returns the names in order.
func (m Mapping[T]) Names() []string {
	names := make([]string, len(m))
	for i := range m {
		names[i] = m[i].Name
	}
	return names
}

// isMapping marks every instance for the decoder, which can't name T.
func (Mapping[T]) isMapping() {}

type anyMapping interface{ isMapping() }

// Policies is a list of policies in the order written, from a mapping whose
// values are a policy's configuration, nothing (its defaults), or off.
type Policies []PolicyEntry

// PolicyEntry is one policy as it was written.
type PolicyEntry struct {
	Name string
	// Off tells that the policy was switched off by "off" or "false"; Config
	// then has nothing to decode.
	Off bool
	// Config is what the policy decodes.
	Config Node
}

// Get returns the entry of a name.
func (p Policies) Get(name string) (PolicyEntry, bool) {
	for _, e := range p {
		if e.Name == name {
			return e, true
		}
	}
	return PolicyEntry{}, false
}
