package apidocs

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"yett/internal/openapi"
)

// extensions are those of services that are published: generators and pages of documentation
// know them, and they say nothing but names and words for values that are public themselves.
// All others may be about anything, such as hosts, teams or tickets, and stay out.
var extensions = []string{"x-deprecated", "x-enum-descriptions", "x-enum-varnames", "x-enumDescriptions", "x-enumNames", "x-extensible-enum"}

func isExtension(name string) bool { return strings.HasPrefix(name, "x-") }

// published returns what becomes of a member of a part of a service's document, and whether
// it is kept. The value that is returned is another node where it had to be changed.
func published(p openapi.Part, m openapi.Member) (v *openapi.Node, keep bool) {
	switch {
	case isExtension(m.Name):
		return m.Value, slices.Contains(extensions, m.Name)
	case m.Name == "description" && m.Value.Is(openapi.String):
		return harmless(m.Value), true
	case m.Name == "externalDocs" && (p == openapi.PartSchema || p == openapi.PartOperation):
		v = externalDocs(m.Value)
		return v, v != nil
	case p == openapi.PartSchema && m.Name == "xml", p == openapi.PartOperation && m.Name == "responses":
		return withoutExtensions(m.Value), true
	case p == openapi.PartExample && m.Name == "externalValue":
		return m.Value, isWebAddress(m.Value.TextOf())
	}
	return m.Value, true
}

// isPublic tells whether nothing of a part has to be left out or changed.
func isPublic(n *openapi.Node, p openapi.Part) bool {
	if p == openapi.PartSecurityScheme { // see publicScheme
		return false
	}
	return !slices.ContainsFunc(n.Pairs(), func(m openapi.Member) bool {
		v, keep := published(p, m)
		return !keep || v != m.Value
	})
}

// public returns the part as far as it is published. It is the part itself where that is all
// of it, and shares nodes with it where not.
func public(n *openapi.Node, p openapi.Part) *openapi.Node {
	c := *n
	c.Members = make([]openapi.Member, 0, len(n.Members))
	for _, m := range n.Members {
		if v, keep := published(p, m); keep {
			m.Value = v
			c.Members = append(c.Members, m)
		}
	}
	return &c
}

// withoutExtensions returns the object itself where there are none in it.
func withoutExtensions(n *openapi.Node) *openapi.Node {
	extension := func(m openapi.Member) bool { return isExtension(m.Name) }
	if !slices.ContainsFunc(n.Pairs(), extension) {
		return n
	}
	c := *n
	c.Members = slices.DeleteFunc(slices.Clone(n.Members), extension)
	return &c
}

// externalDocs returns what is said of documentation elsewhere, nil where that is no page.
func externalDocs(n *openapi.Node) *openapi.Node {
	if !n.Is(openapi.Object) || !isWebAddress(n.Str("url")) && !strings.HasPrefix(strings.ToLower(n.Str("url")), "mailto:") {
		return nil
	}
	c := withoutExtensions(n)
	if text := c.Get("description"); text.Is(openapi.String) && harmless(text) != text {
		own := *c
		own.Members = slices.Clone(c.Members)
		own.Set("description", harmless(text))
		c = &own
	}
	return c
}

// isWebAddress tells whether browsers ask a server for an address, and run nothing.
func isWebAddress(text string) bool {
	u, err := url.Parse(text)
	if err != nil || text == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' }) {
		return false
	}
	return u.Scheme == "" || u.Scheme == "http" || u.Scheme == "https"
}

// harmful finds links of Markdown and HTML that run something, or lead to files.
var harmful = regexp.MustCompile(`(?i)(\]\(\s*<?|\]:\s*<?|<|(?:href|src)\s*=\s*["']?)\s*(javascript|vbscript|data|file):`)

// harmless takes the scheme off links that do harm. It returns the node itself where there are
// none.
func harmless(text *openapi.Node) *openapi.Node {
	if !strings.Contains(text.Text, ":") || !harmful.MatchString(text.Text) {
		return text
	}
	return openapi.NewString(harmful.ReplaceAllString(text.Text, "${1}unsafe:"))
}

// publicScheme returns a security scheme without what is not published. One whose addresses
// can't be followed stays, so that callers see that something is asked for, but not how it is
// met.
func publicScheme(n *openapi.Node) *openapi.Node {
	c := public(n, openapi.PartSecurityScheme)
	switch c.Str("type") {
	case "openIdConnect":
		if !isWebAddress(c.Str("openIdConnectUrl")) {
			c.Delete("openIdConnectUrl")
			c.Set("type", openapi.NewString("oauth2"))
			c.Set("flows", openapi.NewObject())
		}
	case "oauth2":
		flows := openapi.NewObject()
		for _, f := range c.Get("flows").Pairs() {
			if !isExtension(f.Name) && canFollow(f.Value) {
				flows.Set(f.Name, withoutExtensions(f.Value))
			}
		}
		c.Set("flows", flows)
	}
	return c
}

// canFollow tells whether all addresses of an OAuth flow are those of web servers.
func canFollow(flow *openapi.Node) bool {
	return !slices.ContainsFunc([]string{"authorizationUrl", "tokenUrl", "refreshUrl", "deviceAuthorizationUrl"}, func(name string) bool {
		return flow.Get(name) != nil && !isWebAddress(flow.Str(name))
	})
}
