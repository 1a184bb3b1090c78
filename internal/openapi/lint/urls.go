package lint

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"yett/internal/openapi"
	"yett/internal/problem"
)

// checkServerURLs looks at the servers of the document, of paths and of operations.
func checkServerURLs(l *linter) {
	for _, part := range []openapi.Part{openapi.PartDocument, openapi.PartPathItem, openapi.PartOperation} {
		for _, n := range l.of[part] {
			for _, s := range n.Get("servers").Elements() {
				l.serverURL(s)
			}
		}
	}
}

func (l *linter) serverURL(server *openapi.Node) {
	at := server.Get("url")
	if !at.Is(openapi.String) || l.refused(at) {
		return
	}
	variables := server.Get("variables")
	var known []string
	for _, v := range variables.Pairs() {
		known = append(known, v.Name)
		if allowed := v.Value.Get("enum").Strings(); len(allowed) > 0 && !slices.Contains(allowed, v.Value.Str("default")) {
			l.add(v.Value, "make one of the enum the default", "the default of the server variable %q is %q, which is not in its enum", v.Name, v.Value.Str("default"))
		}
	}
	filled, whole := at.Text, true
	for _, name := range templateNames(at.Text) {
		if variables.Get(name) == nil {
			hint := "describe it in variables, with a default"
			if near := problem.Nearest(name, known); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			l.add(at, hint, "the server %q has a variable {%s} that is not described", at.Text, name)
			whole = false
			continue
		}
		filled = strings.ReplaceAll(filled, "{"+name+"}", variables.Get(name).Str("default"))
	}
	if !whole {
		return // what it stands for is not known
	}
	if what, hint := serverTrouble(filled); what != "" {
		l.add(at, hint, "the server %q %s", at.Text, what)
	}
}

// serverTrouble says what is wrong with the address of a server, "" for nothing. It may leave
// out the host, or be a path below the address of the document.
func serverTrouble(text string) (what, hint string) {
	u, err := url.Parse(text)
	if err == nil && u.Scheme != "" && u.Host == "" && !schemeOfServers(u.Scheme) { // host:port is taken for a scheme
		return "has no host of http or https", "write https:// before the host"
	}
	switch {
	case err != nil || strings.ContainsAny(text, " \t\r\n{}"):
		return "is no URL", "write it as https://api.example.com/v1, or as a path such as /v1"
	case u.Scheme == "" && u.Host == "" && hostLike(u.Path):
		return "is a path below the address of the document, not a host", "write https:// before it, or ./ if it is one"
	case u.Scheme != "" && !schemeOfServers(u.Scheme):
		return fmt.Sprintf("has the scheme %q, by which no API is called", u.Scheme), "write https or http"
	case u.Scheme != "" && u.Host == "":
		return "has no host", "write it as https://api.example.com/v1"
	}
	return "", ""
}

func schemeOfServers(scheme string) bool {
	return slices.Contains([]string{"http", "https", "ws", "wss"}, scheme)
}

// hostLike tells whether the first part of a relative path looks like a host.
func hostLike(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(strings.TrimLeft(first, "."), ".")
}

// checkLinks looks at the addresses of pages for people.
func checkLinks(l *linter) {
	info := l.d.Root.Get("info")
	l.link(info.Get("termsOfService"), "info.termsOfService")
	l.link(info.At("contact", "url"), "info.contact.url")
	l.link(info.At("license", "url"), "info.license.url")
	around := append([]*openapi.Node{l.d.Root}, l.d.Root.Get("tags").Elements()...)
	for _, part := range []openapi.Part{openapi.PartOperation, openapi.PartSchema} {
		around = append(around, l.of[part]...)
	}
	for _, n := range around {
		l.link(n.At("externalDocs", "url"), "externalDocs.url")
	}
}

// link reports an address that leads to no page. A relative one is right where it says so by
// how it begins.
func (l *linter) link(at *openapi.Node, name string) {
	if !at.Is(openapi.String) || l.refused(at) {
		return
	}
	u, err := url.Parse(at.Text)
	absolute := err == nil && (u.Host != "" || u.Scheme != "" && u.Opaque != "")
	relative := err == nil && strings.HasPrefix(at.Text, "/") || strings.HasPrefix(at.Text, ".") || strings.HasPrefix(at.Text, "#")
	if strings.ContainsAny(at.Text, " \t\r\n") || !absolute && !relative {
		l.add(at, "", "%s is %q, which is no URL", name, at.Text)
	}
}

// refused tells whether the structure is wrong at a node, which says enough.
func (l *linter) refused(n *openapi.Node) bool {
	return slices.ContainsFunc(l.found, func(f found) bool { return f.node == n && f.rule == structure })
}
