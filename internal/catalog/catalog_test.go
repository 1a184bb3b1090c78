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
	if got := slices.Compact(slices.Sorted(slices.Values(names))); len(got) != len(names) {
		t.Errorf("names are %q", names)
	}
	parts := 0
	for _, name := range names {
		k := Lookup(name)
		if k == nil || k.Name != name || k.Of != nil {
			t.Fatalf("%s can't be looked up: %v", name, k)
		}
		parts += len(Parts(k))
	}
	if parts != len(Kinds()) {
		t.Errorf("the %d policies have %d parts, listed are %d", len(names), parts, len(Kinds()))
	}
	if len(Kinds()) > exchange.MaxLinks {
		t.Errorf("%d links, but an exchange has room for the notes of %d", len(Kinds()), exchange.MaxLinks)
	}
	if Lookup("no_such_policy") != nil {
		t.Error("a policy that isn't there was found")
	}
}

// The two ends of the order are promises to operators.
func TestOrder(t *testing.T) {
	names, kinds := Names(), Kinds()
	if names[0] != "request_id" || names[len(names)-1] != "respond" {
		t.Errorf("order is %q", names)
	}
	for i, k := range kinds {
		if k.Answers && !k.Instead && i < len(kinds)-1 {
			t.Errorf("%s always answers, so %d others would never run", k.Name, len(kinds)-1-i)
		}
	}
}

// What guards something stands before it, and what needs something behind it.
func TestPlacesOfRateLimits(t *testing.T) {
	var order []string
	for _, k := range Kinds() {
		switch k.Name {
		case "cors", "jwt", "rbac":
			order = append(order, k.Name)
		case "ratelimit":
			order = append(order, k.Part)
		}
	}
	want := []string{"before cors", "cors", "before jwt", "jwt", "behind jwt", "rbac"}
	if !slices.Equal(order, want) {
		t.Errorf("the order is %q, want %q", order, want)
	}
	if parts := Parts(Lookup("ratelimit")); len(parts) != 3 || parts[1] != Lookup("ratelimit") {
		t.Errorf("%d parts", len(parts))
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
	if len(files) != len(Names()) {
		t.Errorf("%d policies are listed, the folders are %q", len(Names()), files)
	}
	if _, err := os.Stat("../policy/policy.go"); err != nil {
		t.Errorf("the folders are not where this test looks: %v", err)
	}
}
