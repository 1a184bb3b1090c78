// Package plan compares two configurations: what was added, removed, changed and kept.
package plan

import "yett/internal/config"

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
	// Fields are the settings that changed, with secrets hidden.
	Fields []Field `json:"fields,omitempty"`
	// Effect says what it means for what runs, such as "keeps its connections".
	Effect string `json:"effect,omitempty"`
}

// Field is a setting that changed. From or To is empty where it isn't written.
type Field struct {
	Path string `json:"path"` // below the thing, such as timeouts.response
	From string `json:"from"`
	To   string `json:"to"`
}

// Compare tells what next changes against now.
func Compare(now, next *config.Config) Plan { return Plan{} }
