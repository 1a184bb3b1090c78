package main

import (
	"fmt"
	"strings"
)

// resources are what the routes of a large platform are about, each of them in
// every module.
var resources = []string{
	"customers", "contacts", "tickets", "comments", "invoices", "payments", "contracts", "assets", "locations", "projects",
}

// platformRoute is one of the routes of a platform: four in a row are about one
// resource.
type platformRoute int

// base is the beginning of its path, which is as long in every platform.
func (i platformRoute) base() string {
	resource := int(i) / 4
	return fmt.Sprintf("/v1/m%03d/%s", resource/len(resources), resources[resource%len(resources)])
}

// line is the route in Yett's configuration. Names are short, as a configuration
// may have 1 MB.
func (i platformRoute) line(service string) string {
	path, methods := i.base(), "GET, POST"
	switch i % 4 {
	case 1:
		path, methods = path+"/{id}", "GET, PUT"
	case 2:
		path, methods = path+"/{id}/notes", "GET, POST"
	case 3:
		path, methods = path+"/{id}/notes/{note}", "GET, DELETE"
	}
	return fmt.Sprintf("- {name: r%d, path: '%s', methods: [%s], auth: none, service: %s}\n", i, path, methods, service)
}

// middle is the route that requests are for, of so many. Its path has two values.
func middle(n int) platformRoute { return platformRoute(n/2/4*4 + 3) }

// middlePath fits the route in the middle.
func middlePath(n int) string { return middle(n).base() + "/4711/notes/17" }

// routesOf returns the routes of a platform with so many. The one in the middle is
// the only one that leads to the service: another one would answer 502.
func routesOf(n int) string {
	var b strings.Builder
	for i := range platformRoute(n) {
		if i == middle(n) {
			b.WriteString(i.line("bench"))
		} else {
			b.WriteString(i.line("rest"))
		}
	}
	return b.String()
}

// withRoutes is Yett with so many routes.
func withRoutes(n int) conf {
	return conf{
		Top:      bare()["yett"].Top,
		Routes:   func() string { return routesOf(n) },
		Services: "rest: {targets: [\"http://127.0.0.1:9\"]}", // discard: nobody listens
	}
}

// routeCounts are the platforms of the case routes.
func routeCounts() []int { return []int{10, 1_000, 10_000} }

// routesCase is what many routes cost one request.
func routesCase() benchCase {
	get := func(n int) request { return request{Method: "GET", Path: middlePath(n)} }
	c := benchCase{
		Name: "routes", About: "10, 1,000 and 10,000 routes with values in their paths, and a request for the one in the middle",
		Request: get(10), Want: ok(200),
		Targets: []target{{"yett (10000)", "yett (10)", 1.03}},
	}
	for _, n := range routeCounts() {
		r := get(n)
		c.Variants = append(c.Variants, variant{Of: "yett", Name: fmt.Sprint(n), Conf: withRoutes(n), Request: &r})
	}
	return c
}
