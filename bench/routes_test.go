package main

import (
	"strings"
	"testing"

	"yett/internal/app"
	"yett/internal/exchange"
)

// The request of the case routes is for the one in the middle, and no other route
// leads to the service.
func TestRoutesRequestIsForTheMiddle(t *testing.T) {
	wanted := map[string]string{"yett (10)": "r7", "yett (1000)": "r503", "yett (10000)": "r5003"}
	seen := 0
	everyone(func(c benchCase, e entrant) {
		name, ok := wanted[e.label]
		if !ok || c.Name != "routes" {
			return
		}
		seen++
		t.Run(e.label, func(t *testing.T) {
			snap, err := app.Check(app.Options{File: render(t, c, e)})
			if err != nil {
				t.Fatal(err)
			}
			x := new(exchange.Pool).Get()
			x.Method, x.Host, x.RawPath = e.request.Method, benchHost, e.request.Path
			if r, reason := snap.Match(x); reason != nil || r.Name != name {
				t.Errorf("%s is for %q (%v), want %q", e.request.Path, r.Name, reason, name)
			}
			for _, r := range snap.Routes() {
				if leads := r.Service.Name() == "bench"; leads != (r.Name == name) {
					t.Errorf("route %s leads to %q", r.Name, r.Service.Name())
				}
			}
		})
	})
	if seen != len(wanted) {
		t.Errorf("%d platforms, want %d", seen, len(wanted))
	}
}

func TestRoutesAreAsManyAsSaid(t *testing.T) {
	for _, n := range routeCounts() {
		if got := strings.Count(routesOf(n), "\n"); got != n {
			t.Errorf("%d routes, want %d", got, n)
		}
	}
}
