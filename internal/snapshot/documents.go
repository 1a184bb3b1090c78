package snapshot

import (
	"context"
	"slices"
	"strings"

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
}

// documented refuses a policy that goes by the document of a service on a route that has none.
func (b *builder) documented(at string, r config.Route, name string) {
	switch {
	case r.Service == "":
		b.fail(at+".policies."+name, "remove it", "%s goes by the document of the route's service, and there is no service", name)
	case b.out.documents.Of(r.Service) == nil:
		b.fail(at+".policies."+name, "add openapi with path, url or file to the service", "%s goes by the document of the service, and %q has none", name, r.Service)
	}
}

// shownDocs checks the routes of the page of documents: it finds its files below its own
// path, and the documents beside it.
func (b *builder) shownDocs(at string, r config.Route) {
	if r.Endpoint != "docs" {
		return
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
