package snapshot

import (
	"context"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"yett/internal/config"
	"yett/internal/openapi/source"
	"yett/internal/upstream"
)

// documents finds the documents of the services. What is wrong with one is no mistake of
// the configuration: it is shown, and tried again.
func (b *builder) documents() {
	var previous *source.Set
	if b.previous != nil {
		previous = b.previous.documents
	}
	set, problems := source.NewSet(b.c.Services, source.SetDeps{
		Log: b.deps.Log, Resolve: b.c.Source.Resolve, Changed: b.deps.DocumentsChanged,
		Get: b.out.get, Has: b.c.Source.Has, Wrote: b.c.Source.Wrote,
	}, previous)
	b.note(b.c.Source.Locate(problems))
	b.out.documents, b.deps.Policy.Documents = set, set
	if b.deps.WantFiles {
		b.wantFiles()
	}
}

// wantFiles refuses documents in files that can't be used. What is wrong in one is told with
// its place there.
func (b *builder) wantFiles() {
	for _, src := range b.out.documents.All() {
		st := src.State()
		if st.Kind != source.KindFile || st.Phase == source.Good {
			continue
		}
		at := "services." + st.Service + ".openapi.file"
		if len(st.Problems) == 0 {
			b.fail(at, "name the file of the document, relative to the configuration, or remove openapi", "the document can't be used: %s", st.Problem)
			continue
		}
		b.fail(at, "mend them, or remove openapi", "the document can't be used: it has mistakes, which are told with their places")
		b.note(st.Problems) // several services may have the same
	}
}

// anyDocument tells whether a service has a document. A place that comes by a variable may
// be empty today.
func (b *builder) anyDocument() bool {
	return slices.ContainsFunc(b.c.Services.Names(), b.hasDocument)
}

// docs checks what stands at the top of the gateway's document.
func (b *builder) docs() {
	d := &b.c.Docs
	for i, server := range d.Servers {
		if what := notServer(server); what != "" {
			b.fail("docs.servers["+strconv.Itoa(i)+"]", "write an address such as https://api.example.com, or a path such as /gateway", "%s", what)
		}
	}
	if a, err := mail.ParseAddress(d.Contact.Email); d.Contact.Email != "" && (err != nil || a.Address != d.Contact.Email) {
		b.fail("docs.contact.email", "write one such as api@example.com", "is no mail address")
	}
	for _, page := range [][2]string{{"docs.contact.url", d.Contact.URL}, {"docs.license_url", d.LicenseURL}} {
		if page[1] != "" && notAddress(page[1]) != "" {
			b.fail(page[0], "write one such as https://example.com/api", "%s", notAddress(page[1]))
		}
	}
}

// notServer says why callers can't use a server, "" where they can. There may be a password
// in it, so it is not repeated.
func notServer(text string) string {
	u, err := url.Parse(text)
	switch {
	case strings.ContainsAny(text, "{}"):
		return "is a template, and nobody says what stands for its values"
	case strings.ContainsAny(text, "?#"):
		return "paths are put behind it, so it has neither ? nor #"
	case !strings.HasPrefix(text, "/"):
		return notAddress(text)
	case err != nil || u.Host != "" || strings.HasPrefix(text, "//"):
		return "is no path"
	}
	return ""
}

// notAddress says why a text is no address of a page.
func notAddress(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "is no address that begins with http:// or https://"
	case u.User != nil:
		return "has a user in it, which everybody would read"
	case strings.ContainsFunc(text, unicode.IsSpace):
		return "has a blank in it"
	}
	return ""
}

// documented refuses a policy that goes by the document of a service on a route that has none.
func (b *builder) documented(at string, r config.Route, name string) {
	switch {
	case r.Service == "":
		b.fail(at+".policies."+name, "remove it", "%s goes by the document of the route's service, and there is no service", name)
	case !b.hasDocument(r.Service):
		b.fail(at+".policies."+name, "add openapi with path, url or file to the service", "%s goes by the document of the service, and %q has none", name, r.Service)
	}
}

// hasDocument tells whether the configuration names a document for a service, be it rightly or
// not, which is told elsewhere. Of a service that is not there that is told, too.
func (b *builder) hasDocument(service string) bool {
	sv, ok := b.c.Services.Get(service)
	return !ok || sv.OpenAPI.Named() || b.c.Source.Has("services."+service+".openapi")
}

// shownDocs checks the routes of the page of documents: it finds its files below its own
// path, and the documents beside it.
func (b *builder) shownDocs(at string, r config.Route) {
	if r.Endpoint != "docs" {
		return
	}
	if len(r.Methods) > 0 && !slices.Contains(r.Methods, http.MethodGet) {
		b.fail(at+".methods", "write methods: GET", "the page of documents answers GET and HEAD, and GET is not among these")
	}
	for _, path := range r.Path {
		page, hasPage := strings.CutSuffix(path, "/**")
		switch {
		case strings.HasSuffix(path, ".json"), strings.HasSuffix(path, ".yaml"):
		case !hasPage:
			b.fail(at+".path", "write "+strings.TrimSuffix(path, "/")+"/**, or a path that ends in .json or .yaml", "the page %s finds its files below its own path", path)
		case !b.servesDocs(page + ".json"):
			b.fail(at+".path", "add it here, or as a route of its own where only some may read it", "the page %s shows the document %s.json, which no route with endpoint: docs serves", path, page)
		}
	}
}

func (b *builder) servesDocs(path string) bool {
	return slices.ContainsFunc(b.c.Routes, func(r config.Route) bool { return r.Endpoint == "docs" && slices.Contains(r.Path, path) })
}

// Documents returns where the documents of services come from.
func (s *Snapshot) Documents() *source.Set { return s.documents }

// get asks a service for a page.
func (s *Snapshot) get(ctx context.Context, service string, ask upstream.Ask) (*upstream.Page, error) {
	for _, sv := range s.services {
		if sv.Name() == service {
			return sv.Get(ctx, ask)
		}
	}
	return nil, upstream.ErrClosed
}
