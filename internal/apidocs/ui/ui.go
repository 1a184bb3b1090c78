package ui

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/swaggest/swgui/v5/static"

	"yett/internal/exchange"
)

//go:embed assets
var own embed.FS

// Policy is the page's Content-Security-Policy. Pictures may be data, because the style
// sheet of Swagger UI has its symbols in it.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Options is what a UI is made from.
type Options struct {
	// Title is what the page is called until it knows the document's title.
	Title string
}

// UI is the page with all that belongs to it. It is made once, and serves many exchanges
// at the same time.
type UI struct {
	title  string
	page   *template.Template
	assets map[string]*asset
}

// New makes the page. The error is that of an embedded file which is broken.
func New(o Options) (*UI, error) {
	page, err := template.ParseFS(own, "assets/page.html")
	if err != nil {
		return nil, fmt.Errorf("page of Swagger UI: %w", err)
	}
	u := &UI{title: o.Title, page: page, assets: make(map[string]*asset)}
	for _, f := range []struct {
		from interface {
			ReadFile(name string) ([]byte, error)
		}
		file, name, contentType string
	}{
		{static.FS, "swagger-ui-bundle.js.gz", "swagger-ui-bundle.js", "text/javascript; charset=utf-8"},
		{static.FS, "swagger-ui.css.gz", "swagger-ui.css", "text/css; charset=utf-8"},
		{static.FS, "favicon-32x32.png", "favicon.png", "image/png"},
		{own, "assets/start.js", "start.js", "text/javascript; charset=utf-8"},
		{own, "assets/page.css", "page.css", "text/css; charset=utf-8"},
	} {
		content, err := f.from.ReadFile(f.file)
		if err != nil {
			return nil, fmt.Errorf("asset of Swagger UI: %w", err)
		}
		u.assets[f.name] = newAsset(content, strings.HasSuffix(f.file, ".gz"), f.contentType)
	}
	return u, nil
}

// Titled returns the same page under another title.
func (u *UI) Titled(title string) *UI {
	c := *u
	c.title = title
	return &c
}

// Serve answers with the file of that name which the page asks for below its own path.
// It returns false, and leaves the exchange alone, when there is none.
func (u *UI) Serve(x *exchange.Exchange, name string) bool {
	a := u.assets[name]
	if a == nil {
		return false
	}
	if readable(x) {
		a.serve(x)
	}
	return true
}

// Page answers with the page. doc is the name of the documents beside it, to which .json
// and .yaml are added: with api-docs, the page at /api-docs, and at /api-docs/, loads
// /api-docs.json. Its files are asked for below its own path. All addresses in it are
// relative, so that it works behind a proxy that has taken a part of the path away.
func (u *UI) Page(x *exchange.Exchange, doc string) {
	if !readable(x) {
		return
	}
	var b bytes.Buffer
	if err := u.page.Execute(&b, u.viewAt(x.Path, doc)); err != nil {
		x.RefuseWith(exchange.Internal, err.Error())
		return
	}
	etag := tag(b.Bytes(), "")
	x.Response.Add("Content-Type", "text/html; charset=utf-8")
	x.Response.Add("Content-Security-Policy", Policy)
	x.Response.Add("Cache-Control", "no-cache")
	x.Response.Add("ETag", etag)
	answer(x, etag, b.Bytes())
}

// view is what the page is filled in with.
type view struct {
	Title string
	// Docs is the address of the documents without .json, Root that of the gateway,
	// both relative to the page.
	Docs, Root string
	below      string // where the files are
	assets     map[string]*asset
}

// viewAt makes addresses for a page at a normalised path.
func (u *UI) viewAt(path, doc string) view {
	v := view{Title: u.title, Docs: "./" + doc, below: "./", Root: "./", assets: u.assets}
	last := path[strings.LastIndexByte(path, '/')+1:]
	if up := strings.Count(path, "/") - 1; up > 0 {
		v.Root = strings.Repeat("../", up)
	}
	switch {
	case last != "":
		v.below = "./" + last + "/"
	case path != "/":
		v.Docs = "../" + doc
	}
	return v
}

// Asset returns the address of a file, which changes with its content.
func (v view) Asset(name string) string { return v.below + name + "?" + v.assets[name].version }

// readable refuses what would write.
func readable(x *exchange.Exchange) bool {
	if x.Method == http.MethodGet || x.Method == http.MethodHead {
		return true
	}
	x.Allow = "GET, HEAD"
	x.Refuse(exchange.MethodNotAllowed)
	return false
}
