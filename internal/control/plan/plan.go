// Package plan compares two configurations: what was added, removed, changed and kept. What is
// compared is what they mean. Where something stands in the file, comments, and a default that is
// written out are no difference; a value that came from a variable counts as what it is.
package plan

import (
	"reflect"
	"strings"

	"yett/internal/config"
)

// What becomes of a Change.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// Plan is what one configuration changes against another.
type Plan struct {
	Changes []Change `json:"changes"`
	// Kept counts what stays as it is, by kind.
	Kept map[string]int `json:"kept"`
	// NeedsProcess names settings which only a new process takes, such as the store.
	NeedsProcess []string `json:"needs_process,omitempty"`
}

// Change is one thing that is another.
type Change struct {
	Kind string `json:"kind"` // listener, route, service, limit, policy, issuer, role, ...
	Name string `json:"name,omitempty"`
	What string `json:"what"` // Added, Removed or Changed
	// Fields are the settings that changed, with secrets hidden. Of what was added or removed
	// they are those that are not the default.
	Fields []Field `json:"fields,omitempty"`
	// Effect says what it means for what runs, such as "keeps its connections".
	Effect string `json:"effect,omitempty"`
	// Weaker tells that something may pass which was refused before. Effect says what.
	Weaker bool `json:"weaker,omitempty"`
}

// Attrs are those of a line in the log.
func (c Change) Attrs() []any {
	attrs := []any{"kind", c.Kind}
	if c.Name != "" {
		attrs = append(attrs, "name", c.Name)
	}
	if c.Effect != "" {
		attrs = append(attrs, "effect", c.Effect)
	}
	return attrs
}

// Field is a setting that changed. From or To is empty where it isn't written. Of a long list there is
// a Field for each item that came or went.
type Field struct {
	Path string `json:"path"` // below the thing, such as timeouts.response
	From string `json:"from"`
	To   string `json:"to"`
}

// Same tells that nothing is another.
func (p Plan) Same() bool { return len(p.Changes) == 0 }

// Compare tells what next changes against now. Both are as config.Load returns them without an
// error.
func Compare(now, next *config.Config) Plan {
	c := comparison{now: orDefaults(now), next: orDefaults(next), plan: Plan{Changes: []Change{}, Kept: map[string]int{}}}
	c.gateway()
	sections := reflect.TypeFor[config.Config]()
	for i := range sections.NumField() {
		c.section(sections.Field(i), i)
	}
	return c.plan
}

func orDefaults(c *config.Config) *config.Config {
	if c != nil {
		return c
	}
	d := config.Defaults()
	return &d
}

// NeedsProcesses names settings which the workers of a cluster take only as new processes: those of
// NeedsProcess, and addresses of listeners, which are bound by whoever starts the workers.
func (p Plan) NeedsProcesses() []string {
	all := append([]string(nil), p.NeedsProcess...)
	for _, c := range p.Changes {
		if c.Kind == "listener" && (c.What != Changed || hasField(c.Fields, "address")) {
			all = append(all, "listeners."+c.Name)
		}
	}
	return all
}

func hasField(fields []Field, path string) bool {
	for _, f := range fields {
		if f.Path == path || strings.HasPrefix(f.Path, path+".") {
			return true
		}
	}
	return false
}
