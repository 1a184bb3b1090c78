package config

import "encoding/json"

// Value returns what the node holds, for the places where any value may stand:
// nil, bool, json.Number, string, []Node or Mapping[Node]. The zero Node holds
// nil. A number is what JSON takes for one; what came from a variable is a
// text, so that a version 1.10 stays one.
func (n Node) Value() any {
	if n.value == nil {
		return nil
	}
	switch e := n.value; e.kind {
	case list:
		items := make([]Node, len(e.items))
		for i, item := range e.items {
			items[i] = Node{source: n.source, path: index(n.path, i), value: item}
		}
		return items
	case mapping:
		entries := make(Mapping[Node], len(e.fields))
		for i, f := range e.fields {
			entries[i] = Entry[Node]{Name: f.name, Value: Node{source: n.source, path: join(n.path, f.name), value: f.value}}
		}
		return entries
	case word:
		return wordValue(e)
	}
	return nil
}

func wordValue(e *element) any {
	if e.quoted || e.secret != "" {
		return e.text
	}
	switch e.text {
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	}
	if c := e.text; c != "" && (c[0] == '-' || '0' <= c[0] && c[0] <= '9') && json.Valid([]byte(c)) {
		return json.Number(c)
	}
	return e.text
}
