package admin

import (
	"path"
	"strings"

	"yett/internal/apidocs"
	"yett/internal/apidocs/ui"
	"yett/internal/exchange"
	"yett/internal/openapi"
)

// Docs is the page that shows the gateway's OpenAPI document, and the document itself. What
// is asked for is known by the path: it ends in .json or .yaml for the document; below the
// page's path are its files.
type Docs struct {
	Hub *apidocs.Hub
	UI  *ui.UI
}

// Serve implements snapshot.Endpoint.
func (d *Docs) Serve(x *exchange.Exchange) {
	switch {
	case strings.HasSuffix(x.Path, ".json") && x.Param(rest) == "":
		d.document(x, false)
	case strings.HasSuffix(x.Path, ".yaml") && x.Param(rest) == "":
		d.document(x, true)
	case x.Param(rest) == "":
		d.UI.Page(x, path.Base(x.Path))
	case !d.UI.Serve(x, x.Param(rest)):
		x.Refuse(exchange.NoRoute)
	}
}

// rest is the name of what stands for ** in the route's path.
const rest = "**"

func (d *Docs) document(x *exchange.Exchange, yaml bool) {
	q, err := readQuery(x.Query, "version")
	if err != nil {
		x.RefuseWith(exchange.BadDocsQuery, err.Error())
		return
	}
	version, named := q["version"]
	if named && version != openapi.Version30 && version != openapi.Version31 {
		x.RefuseWith(exchange.BadDocsQuery, "version is neither 3.0 nor 3.1")
		return
	}
	edition := d.Hub.Edition()
	if edition == nil {
		beingMade(x)
		return
	}
	edition.File(version, yaml).Serve(x)
}

// beingMade tells callers to come back when there is a document.
func beingMade(x *exchange.Exchange) {
	x.RetryAfter = 1
	x.RefuseWith(exchange.DocsWaiting, "the first document is being made")
}
