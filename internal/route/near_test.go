package route

import (
	"strings"
	"testing"
)

func TestNear(t *testing.T) {
	table, problems := Compile(rules(
		Rule{Name: "host", Hosts: []string{"other.io"}, Paths: []string{"/a/{id}"}},
		Rule{Name: "asked", Paths: []string{"/a/{id}"}, Query: map[string]string{"debug": "1"}},
		Rule{Name: "put", Paths: []string{"/a/{id}"}, Methods: []string{"PUT", "DELETE"}},
		Rule{Name: "one", Paths: []string{"/a/{id}"}},
		Rule{Name: "all", Paths: []string{"/**"}},
		Rule{Name: "far", Paths: []string{"/b"}},
	))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	x := request("GET a.io/a/7?debug=2")
	if r := Normalize(x); r != nil {
		t.Fatal(r)
	}
	var got []string
	for _, n := range table.Near(x) {
		got = append(got, n.Name+": "+n.Miss)
	}
	want := []string{
		"host: it is for the host other.io",
		"asked: it wants query debug=1",
		"put: it is for DELETE, PUT",
		"one: ",
		"all: one is more specific",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What Near says takes a request is what Match gives it to.
func TestNearAgreesWithMatch(t *testing.T) {
	for seed := range uint64(500) {
		d := newDice(seed)
		table, list := d.accepted(t, d.rules())
		for range 20 {
			x := d.request()
			if Normalize(x) != nil {
				continue
			}
			took := "" // by the request's own path alone
			for _, n := range table.Near(x) {
				if n.Miss == "" {
					took += list[n.Index].Name
				}
			}
			res, want := table.Match(x), ""
			if res.Reason == nil {
				want = list[res.Index].Name
			}
			if took != want {
				t.Fatalf("seed %d, %s %s%s: Near says %q takes it, Match says %q", seed, x.Method, x.Host, x.Path, took, want)
			}
		}
	}
}
