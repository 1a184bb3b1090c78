package app

import (
	"errors"
	"strings"

	"yett/internal/config"
	"yett/internal/problem"
	"yett/internal/upstream"
)

// load reads the configuration. When it has mistakes, what could be made out
// is compiled too, so that those which show only then are reported in the same
// answer.
// What serves has no keyless.
func load(o Options, keyless *config.Keyless) (*config.Config, error) {
	if o.Source != nil {
		return parse(o, &config.Text{Name: o.File, Data: o.Source, Env: o.Env}, keyless)
	}
	t, err := config.ReadText(o.File, o.Env)
	if err != nil {
		return nil, err
	}
	return parse(o, t, keyless)
}

// parse is load for what has been read.
func parse(o Options, t *config.Text, keyless *config.Keyless) (*config.Config, error) {
	conf, err := t.Parse(keyless)
	var found, more problem.List
	if !errors.As(err, &found) {
		return conf, err
	}
	if conf != nil {
		_, err = compile(conf, nil, o, upstream.Deps{}, pages{}, nil, nil)
		errors.As(err, &more)
	}
	found = append(found, sound(more, found)...)
	found.Sort()
	return nil, found
}

// sound leaves out what only follows from a mistake that was found before: in
// the same route, service or listener, or because routes or all services could
// not be read.
func sound(more, found problem.List) problem.List {
	broken, unread := make(map[string]bool), false
	for _, p := range found {
		unread = unread || p.Path == "services"
		broken[element(p.Path)] = true
		broken[section(p.Path)] = true
	}
	var out problem.List
	for _, p := range more {
		unused := section(p.Path) == "services" && p.Path == element(p.Path) && broken["routes"]
		unknown := section(p.Path) == "routes" && strings.HasSuffix(p.Path, ".service") && unread
		if !broken[element(p.Path)] && !unused && !unknown {
			out = append(out, p)
		}
	}
	return out
}

// section is the first part of a path, such as routes.
func section(path string) string {
	if i := strings.IndexAny(path, ".["); i >= 0 {
		return path[:i]
	}
	return path
}

// element is what of a section a path is in, such as routes[2] or services.a.
func element(path string) string {
	i := len(section(path)) + 1
	if i >= len(path) {
		return path
	}
	if j := strings.IndexAny(path[i:], ".["); j >= 0 {
		return path[:i+j]
	}
	return path
}
