package kit_test

import (
	"regexp"
	"strings"
	"testing"

	"yett/examples/psa/services/kit"
)

func TestIDs(t *testing.T) {
	version4 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for _, id := range []string{kit.NewID(), kit.NewID(), kit.DemoID("user", "a")} {
		if !version4.MatchString(id) || !kit.ValidID(id) {
			t.Errorf("%q is no UUID of version 4", id)
		}
	}
	if one, two := kit.NewID(), kit.NewID(); one == two || kit.DemoID("user", "a") == kit.DemoID("customer", "a") {
		t.Error("two IDs are the same")
	}
	if got := kit.DemoID("customer", "bakery"); got != "dbb9e3ce-70c2-45a2-a986-27f99bdb034d" {
		t.Errorf("the demo ID has changed to %s", got)
	}
	for _, id := range []string{"", "abc", strings.Repeat("a", 36), "g0000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-0000000000000"} {
		if kit.ValidID(id) {
			t.Errorf("%q passes as a UUID", id)
		}
	}
}

func TestRoles(t *testing.T) {
	if got := len(kit.Roles()); got != 21 {
		t.Errorf("%d roles, want 21", got)
	}
	for role, want := range map[string]int{"system_admin": 100, "technician": 50, "customer_user": 10, "Technician": 0, "": 0} {
		if got := kit.Level(role); got != want {
			t.Errorf("level of %q = %d, want %d", role, got, want)
		}
	}
	for role, want := range map[string]int{"tenant_admin": 5, "technician": 4, "technician_l1": 3, "customer_admin": 0, "nobody": 0} {
		if got := len(kit.Permissions(role)); got != want {
			t.Errorf("%q has %d permissions, want %d", role, got, want)
		}
	}
}

func TestCheckNamesEverything(t *testing.T) {
	var check kit.Check
	check.Text("a", " ", true, 10)
	check.Text("b", "éééé", false, 3)
	check.Text("fine", "ééé", true, 3)
	check.Email("c", "Name <c@example.com>", true)
	check.Email("fine", "c@example.com", true)
	check.Email("fine", "", false)
	check.ID("d", "1", false)
	check.ID("e", "", true)
	check.OneOf("f", "x", []string{"y", "z"})
	check.Range("g", 11, 1, 10)
	err := check.Err()
	want := "Not valid: a is required; b is longer than 3 characters; c is not an email address; d is not a UUID; " +
		"e is required; f must be one of y, z; g must be between 1 and 10."
	if err == nil || err.Error() != kit.CodeBadRequest+": "+want {
		t.Errorf("err = %v", err)
	}
}

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		q    string
		want bool
	}{{"", true}, {" ", true}, {"BAK", true}, {"xyz", false}} {
		if got := kit.Matches(test.q, "Hill Bakery", ""); got != test.want {
			t.Errorf("q %q: %v", test.q, got)
		}
	}
}
