package source

import (
	"fmt"
	"net/url"
	"strings"

	"yett/internal/config"
	"yett/internal/problem"
)

// Written is what a whole configuration tells of one of its openapi sections, beyond the
// values. Has tells whether a key stands in the document, by its path below the section, ""
// for the section itself; Wrote whether it does so for this service alone and as a fixed value: see config.Source.
type Written struct {
	Has, Wrote func(key string) bool
}

// Check returns what is wrong with the place of a document, with paths relative to it.
// Whether the document is there, and what stands in it, is not looked at.
func Check(c *config.OpenAPI, w Written) problem.List {
	var problems problem.List
	given := givenPlaces(c)
	switch len(given) {
	case 0:
		checkNowhere(w, &problems)
	case 1:
		checkPlace(c, given[0], w, &problems)
	default:
		problems.Addf(given[1], "keep one of them", "%s are different places, and a service has one document", strings.Join(given, " and "))
	}
	return problems
}

func givenPlaces(c *config.OpenAPI) (given []string) {
	for _, p := range [][2]string{{KindPath, c.Path}, {KindURL, c.URL}, {KindFile, c.File}} {
		if p[1] != "" {
			given = append(given, p[0])
		}
	}
	return given
}

// checkNowhere complains of what is written about a document that is nowhere. A place that
// comes by a variable may be empty today.
func checkNowhere(w Written, problems *problem.List) {
	if w.Has(KindPath) || w.Has(KindURL) || w.Has(KindFile) {
		return
	}
	before := len(*problems)
	for _, key := range []string{"refresh", "timeout", "max_size"} {
		if w.Wrote(key) {
			problems.Add(key, "means nothing without a document", "write where it is, as path, url or file, or remove it")
		}
	}
	if len(*problems) == before && w.Wrote("") {
		problems.Add("", "path, url or file is missing", "write where the document is, such as path: /openapi.json, or remove openapi")
	}
}

func checkPlace(c *config.OpenAPI, kind string, w Written, problems *problem.List) {
	switch {
	case kind == KindPath:
		checkPath(c.Path, problems)
	case kind == KindURL:
		checkURL(c.URL, problems)
	case strings.Contains(c.File, "://"):
		problems.Add(KindFile, "is an address and no file", "write it as url")
	}
	if kind == KindFile && w.Wrote("timeout") {
		problems.Add("timeout", "means nothing with a file, for which nobody waits", "remove it")
	}
}

func checkPath(path string, problems *problem.List) {
	const hint = "write a path such as /openapi.json"
	_, err := url.ParseRequestURI(path)
	switch {
	case strings.Contains(path, "://") && !strings.HasPrefix(path, "/"):
		problems.Add(KindPath, "is an address and no path", "write it as url")
	case !strings.HasPrefix(path, "/") || err != nil || strings.ContainsFunc(path, notInPath):
		problems.Add(KindPath, fmt.Sprintf("%q is no path", path), hint)
	case strings.Contains(path, "#"):
		problems.Add(KindPath, "what is behind # is never sent", "leave it out: the whole document is read")
	case isPattern(path):
		problems.Add(KindPath, fmt.Sprintf("%q is a pattern, and the document has one path", path), hint)
	}
}

// isPattern tells whether a path looks like one of a route, before its query.
func isPattern(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	return strings.ContainsAny(path, "*{}")
}

// notInPath tells what can't stand in the first line of a request.
func notInPath(c rune) bool { return c <= ' ' || c > '~' }

// checkURL never repeats the URL, in which there may be a password.
func checkURL(text string, problems *problem.List) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "" || u.Opaque != "":
		problems.Add(KindURL, "is no address", "write https://host/path, or path for a document of the service itself")
	case u.Scheme != "http" && u.Scheme != "https":
		problems.Addf(KindURL, "write http:// or https://, or file for one on this machine", "a document is not fetched by %s", u.Scheme)
	case u.Hostname() == "":
		problems.Add(KindURL, "the host is missing", "write https://host/path")
	case strings.Contains(text, "#"):
		problems.Add(KindURL, "what is behind # is never sent", "leave it out: the whole document is read")
	}
}
