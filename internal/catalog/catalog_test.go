package catalog

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"yett/internal/exchange"
)

func TestNamesAreUnique(t *testing.T) {
	names := Names()
	if got := slices.Compact(slices.Sorted(slices.Values(names))); len(got) != len(names) || len(names) != len(Kinds()) {
		t.Errorf("names are %q", names)
	}
	for _, k := range Kinds() {
		if Lookup(k.Name) != k {
			t.Errorf("%s can't be looked up", k.Name)
		}
	}
	if len(names) > exchange.MaxLinks {
		t.Errorf("%d policies, but an exchange has room for the notes of %d", len(names), exchange.MaxLinks)
	}
	if Lookup("no_such_policy") != nil {
		t.Error("a policy that isn't there was found")
	}
}

// The two ends of the order are promises to operators.
func TestOrder(t *testing.T) {
	names := Names()
	if names[0] != "request_id" || names[len(names)-1] != "respond" {
		t.Errorf("order is %q", names)
	}
	for i, k := range Kinds() {
		if k.Answers && i < len(names)-1 {
			t.Errorf("%s always answers, so %q would never run", k.Name, names[i+1:])
		}
	}
}

func TestReasonsAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range Reasons() {
		if seen[r.Name] {
			t.Errorf("reason %s is there twice", r.Name)
		}
		seen[r.Name] = true
	}
	if !seen["no_route"] {
		t.Error("the gateway's own reasons are missing")
	}
}

func TestConfigs(t *testing.T) {
	for name, c := range Configs() {
		if v := reflect.ValueOf(c); v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
			t.Errorf("%s: a %T is no pointer to a configuration", name, c)
		}
	}
}

// A folder that the catalogue forgets would be a policy that nobody can use.
func TestEveryFolderIsListed(t *testing.T) {
	files, err := filepath.Glob("../policy/*/policy.go")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(Kinds()) {
		t.Errorf("%d policies are listed, the folders are %q", len(Kinds()), files)
	}
	if _, err := os.Stat("../policy/policy.go"); err != nil {
		t.Errorf("the folders are not where this test looks: %v", err)
	}
}
