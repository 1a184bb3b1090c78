package apidocs

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"yett/internal/exchange"
	"yett/internal/openapi"
	"yett/internal/route"
	"yett/internal/snapshot"
)

// reach is a way by which callers get to an operation of a service.
type reach struct {
	route *snapshot.Route
	// path is the template under which callers reach it.
	path string
}

// reaches returns the ways to an operation of a service, in the order of the routes. What a
// way could be is guessed from what the route rewrites. Then a request is matched as any
// other, so that nothing is shown which a more specific route would take, or which reaches
// the service under another path.
func reaches(s *snapshot.Snapshot, service string, o *openapi.Operation) (ways []reach) {
	for _, r := range s.Routes() {
		if c := r.Config(); c.Service != service || c.Docs == "hidden" {
			continue
		}
		for _, path := range candidates(r, o.Path) {
			known := slices.ContainsFunc(ways, func(w reach) bool { return shape(w.path) == shape(path) })
			if !known && leads(s, r, o, path) {
				ways = append(ways, reach{r, path})
			}
		}
	}
	return ways
}

// candidates returns the templates under which callers might reach a template of the
// service by a route.
func candidates(r *snapshot.Route, path string) []string {
	c := r.Config()
	switch {
	case c.Forward.Replace != "":
		var all []string
		for _, pattern := range c.Path {
			if p, ok := unreplace(pattern, c.Forward.Replace, path); ok {
				all = append(all, p)
			}
		}
		return all
	case c.Forward.StripPrefix != "":
		return []string{strings.TrimRight(c.Forward.StripPrefix, "/") + path, path}
	}
	return []string{path}
}

// braces finds the values of a template.
var braces = regexp.MustCompile(`\{[^{}/]*\}`)

// unreplace returns the path under which callers reach a template of the service, if a
// route with that pattern replaces the path so.
func unreplace(pattern, replace, path string) (string, bool) {
	var names []string
	expr, last := "^", 0
	for _, at := range braces.FindAllStringIndex(replace, -1) {
		expr += regexp.QuoteMeta(replace[last:at[0]])
		name := replace[at[0]+1 : at[1]-1]
		if name == "**" {
			expr += "(.*)"
		} else {
			expr += "([^/]+)"
		}
		names, last = append(names, name), at[1]
	}
	found := regexp.MustCompile(expr + regexp.QuoteMeta(replace[last:]) + "$").FindStringSubmatch(path)
	if found == nil {
		return "", false
	}
	public := apart(pattern, names, path)
	for i, name := range names {
		if name == "**" {
			public = strings.TrimSuffix(public, "/**") + "/" + found[i+1]
			continue
		}
		public = strings.Replace(public, "{"+name+"}", found[i+1], 1)
	}
	return public, !strings.Contains(public, "**")
}

// apart renames the values of a pattern that the service does not see, where its template
// has a value of the same name.
func apart(pattern string, passed []string, path string) string {
	return braces.ReplaceAllStringFunc(pattern, func(value string) string {
		name := value[1 : len(value)-1]
		if slices.Contains(passed, name) {
			return value
		}
		for n := 2; strings.Contains(path, value) || n > 2 && strings.Contains(pattern, value); n++ {
			value = "{" + name + strconv.Itoa(n) + "}"
		}
		return value
	})
}

// shape is equal for templates that match the same paths.
func shape(template string) string { return braces.ReplaceAllString(template, "{}") }

// leads tells whether a request for the template gets to that route, and from there to the
// operation.
func leads(s *snapshot.Snapshot, r *snapshot.Route, o *openapi.Operation, path string) bool {
	x := sampleRequest(r, o.Method, path)
	got, reason := s.Match(x)
	if reason != nil || got != r {
		return false
	}
	want := &exchange.Exchange{RawPath: fill(o.Path)}
	return route.Normalize(want) == nil && got.ServicePath(x) == want.Path
}

// sampleRequest is a request that meets a route's conditions.
func sampleRequest(r *snapshot.Route, method, path string) *exchange.Exchange {
	c := r.Config()
	x := &exchange.Exchange{Method: method, RawPath: fill(path), Host: "gateway.example"}
	if len(c.Host) > 0 {
		x.Host = strings.Replace(c.Host[0], "*", "sample", 1)
	}
	for name, value := range c.Headers {
		x.Request.Add(name, anyValue(value))
	}
	for name, value := range c.Query {
		if x.Query != "" {
			x.Query += "&"
		}
		x.Query, x.HasQuery = x.Query+name+"="+anyValue(value), true
	}
	return x
}

func anyValue(wanted string) string {
	if wanted == "*" {
		return "sample"
	}
	return wanted
}

// odd is what a value of a sample must not have.
var odd = regexp.MustCompile(`[^A-Za-z0-9]`)

// fill puts something into each value of a template that no literal is likely to be.
func fill(template string) string {
	return braces.ReplaceAllStringFunc(template, func(value string) string {
		return "0sample-" + odd.ReplaceAllString(value[1:len(value)-1], "-")
	})
}
