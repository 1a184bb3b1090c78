package admin

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"yett/internal/apidocs"
	"yett/internal/apidocs/ui"
	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/openapi"
	"yett/internal/openapi/source"
	"yett/internal/policy"
	"yett/internal/snapshot"
	"yett/internal/sweep"
	"yett/internal/upstream"
	"yett/internal/wire"
)

// docsConfig has a service of each kind: with a document, with a wrong one, with one that
// nobody has fetched yet, and with none.
const docsConfig = `
listeners: [{address: ":0"}]
policies: {validate: {mode: observe}}
services:
  desks: {targets: ["http://127.0.0.1:1"], openapi: {file: desks.yaml}}
  broken: {targets: ["http://127.0.0.1:1"], openapi: {file: broken.yaml}}
  later: {targets: ["http://127.0.0.1:1"], openapi: {path: /openapi.json}}
  plain: {targets: ["http://127.0.0.1:1"]}
routes:
  - {name: docs, path: [/api-docs/**, /api-docs.json, /api-docs.yaml], auth: none, endpoint: docs}
  - {name: desks, path: /desks/**, auth: none, service: desks}
  - {name: raw, path: /desks/raw/**, auth: none, service: desks, policies: {validate: off}}
  - {name: hidden, path: /hidden/**, auth: none, service: desks, docs: hidden, policies: {validate: off}}
  - {name: broken, path: /broken/**, auth: none, service: broken}
  - {name: later, path: /later/**, auth: none, service: later}
  - {name: plain, path: /plain/**, auth: none, service: plain}
`

const desks = `openapi: 3.0.3
info: {title: Desks, version: "1"}
paths:
  /desks:
    get: {responses: {"200": {description: All}}}
  /desks/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: string, pattern: "(?<=x)"}}]
      responses: {"200": {description: One}}
  /health:
    get: {responses: {"200": {description: Well}}}
  /hidden/desk:
    get: {responses: {"200": {description: Hidden}}}
`

// docsOf makes the gateway's document of a configuration that serves nobody, and the pages
// about it.
func docsOf(t *testing.T) (*Docs, *DocsStatus) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"yett.yaml": docsConfig, "desks.yaml": desks, "broken.yaml": "openapi: 3.1.0\npaths: 7\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf, err := config.Load(filepath.Join(dir, "yett.yaml"), config.MapEnv(nil))
	if err != nil {
		t.Fatal(err)
	}
	sweeper := sweep.New()
	t.Cleanup(sweeper.Close)
	docs, status := new(Docs), new(DocsStatus)
	snap, err := snapshot.Compile(conf, snapshot.Deps{
		Policy: policy.Deps{}, Upstream: upstream.Deps{Buffers: new(wire.Buffers), Sweeper: sweeper},
		Endpoints: map[string]snapshot.Endpoint{"docs": docs},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	own := &openapi.Document{Version: openapi.Version31, Root: openapi.NewObject("components", Components())}
	hub := apidocs.New(apidocs.Options{Own: Operations, Components: func() *openapi.Document { return own }})
	hub.Use(snap)
	docs.Hub, status.Hub = hub, hub
	if docs.UI, err = ui.New(ui.Options{Title: "Desks"}); err != nil {
		t.Fatal(err)
	}
	return docs, status
}

// askDocs asks for what is under a path, with fields in pairs.
func askDocs(d *Docs, method, path, query string, fields ...string) *exchange.Exchange {
	x := new(exchange.Pool).Get()
	x.Method, x.Path, x.RawPath, x.Query, x.HasQuery = method, path, path, query, query != ""
	for i := 0; i < len(fields); i += 2 {
		x.Request.Add(fields[i], fields[i+1])
	}
	d.Serve(x)
	return x
}

// docs asks for the page and the documents, in all ways.
func (d *told) docs(t *testing.T) {
	docs, _ := docsOf(t)
	for name, path := range map[string]string{"docs": "/api-docs", "docs.json": "/api-docs.json", "docs.yaml": "/api-docs.yaml"} {
		x := askDocs(docs, "GET", path, "")
		d.answered(t, name, x)
		again := askDocs(docs, "GET", path, "", "If-None-Match", x.Response.Get("ETag"))
		if again.Status != http.StatusNotModified {
			t.Errorf("%s: who has it gets %d", path, again.Status)
		}
		d.answered(t, name, again)
		if name == "docs" {
			continue
		}
		for _, query := range []string{"version=3.0", "version=3.1", "version=2.0", "version=", "vers=3.0", "version=3.0&version=3.1"} {
			x := askDocs(docs, "HEAD", path, query)
			if good := query == "version=3.0" || query == "version=3.1"; good != (x.Reason == nil) {
				t.Errorf("%s?%s: %v", path, query, x.Reason)
			}
			d.answered(t, name, x)
		}
	}
	d.waiting(t)
}

// waiting asks for what there is before the first document: callers are told to come back.
func (d *told) waiting(t *testing.T) {
	docs, status := docsOf(t)
	docs.Hub.Close() // before anything was made
	told := serve(status, "GET", "", "", nil)
	d.answered(t, "docs_status", told)
	all := []*exchange.Exchange{told}
	for name, path := range map[string]string{"docs.json": "/api-docs.json", "docs.yaml": "/api-docs.yaml"} {
		x := askDocs(docs, "GET", path, "")
		d.answered(t, name, x)
		all = append(all, x)
	}
	for _, x := range all {
		if x.Reason != exchange.DocsWaiting || x.RetryAfter != 1 {
			t.Errorf("%s: %v, again after %d", x.Path, x.Reason, x.RetryAfter)
		}
	}
}

// fromYAML writes a document as JSON.
func fromYAML(t *testing.T, text []byte) []byte {
	t.Helper()
	doc, err := openapi.Parse("it", text, openapi.DefaultLimits())
	if err != nil {
		t.Errorf("the YAML: %v", err)
		return nil
	}
	return doc.Root.AppendJSON(nil, "")
}

func (d *told) docsStatus(t *testing.T) {
	_, page := docsOf(t)
	contract := page.Hub.Snapshot().Documents().Of("desks").Loaded().Contract
	contract.Operations()[0].Tally.Calls.Add(1)
	contract.Unknown.Add("GET", "/desks/7/drawers")
	for _, query := range []string{"", "service=desks", "service=broken", "service=later", "service=plain", "service=none", "service=" + strings.Repeat("x", 1000), "servce=desks"} {
		d.answered(t, "docs_status", serve(page, "GET", query, "", nil))
		d.answered(t, "docs_status", serve(page, "HEAD", query, "", nil))
	}
}

// What is documented and called, and how each service stands, is told as it is.
func TestDocsStatus(t *testing.T) {
	_, page := docsOf(t)
	loaded := page.Hub.Snapshot().Documents().Of("desks").Loaded()
	for _, op := range loaded.Contract.Operations() {
		if op.Path == "/desks" {
			op.Tally.Calls.Add(3)
			op.Tally.BadRequests.Add(2)
			op.Tally.BadAnswers.Add(1)
			op.Tally.UncheckedAnswers.Add(1)
		}
	}
	loaded.Contract.Unknown.Add("GET", "/desks/7/drawers")
	got := page.page(page.Hub.Edition(), "")
	if len(got.Services) != 4 || got.Operations != 6 || got.Bytes == 0 {
		t.Fatalf("%+v", got)
	}
	one := got.Services[0]
	if one.State != source.Good || one.Title != "Desks" || one.Version != "3.0" || !one.Watched || len(one.UnwatchedRoutes) != 2 || one.UnwatchedRoutes[0] != "raw" || len(one.Notes) == 0 {
		t.Errorf("%+v", one)
	}
	text, err := json.Marshal(one.Calls)
	if want := `[{"method":"GET","path":"/desks","public":["/desks"],"calls":3,"badRequests":2,"badAnswers":1,"unchecked":1},` +
		`{"method":"GET","path":"/desks/{id}","public":["/desks/{id}","/desks/raw"],"calls":0,"badRequests":0,"badAnswers":0,"unchecked":0},` +
		`{"method":"GET","path":"/health","calls":0,"badRequests":0,"badAnswers":0,"unchecked":0},` +
		`{"method":"GET","path":"/hidden/desk","hidden":true,"calls":0,"badRequests":0,"badAnswers":0,"unchecked":0}]`; err != nil || string(text) != want {
		t.Errorf("the calls are %s, want %s", text, want)
	}
	if len(one.Unknown) != 1 || one.Unknown[0].Calls != 1 {
		t.Errorf("unknown: %+v", one.Unknown)
	}
	if broken := got.Services[1]; broken.State != source.Waiting || !strings.Contains(broken.Problem, "paths") {
		t.Errorf("%+v", broken)
	}
	if later := got.Services[2]; later.State != source.Waiting || later.From != "/openapi.json" || later.Problem != "" || later.Checked != "" {
		t.Errorf("%+v", later)
	}
	if got.Services[3].State != apidocs.StateNone {
		t.Errorf("%+v", got.Services[3])
	}
	if len(got.Left) != 2 || got.Left[0].Path != "/health" || got.Left[0].Hidden || got.Left[0].Service != "desks" || !got.Left[1].Hidden || got.Left[1].Why != "the route hidden has docs: hidden" {
		t.Errorf("left: %+v", got.Left)
	}
	if only := page.page(page.Hub.Edition(), "plain"); len(only.Services) != 1 || len(only.Left) != 0 {
		t.Errorf("one service: %+v", only)
	}
	x := serve(page, "DELETE", "", "", nil)
	if x.Reason != exchange.MethodNotAllowed || x.Allow != "GET, HEAD" {
		t.Errorf("DELETE: %v, %q", x.Reason, x.Allow)
	}
}

// The gateway's document says of the docs what they are under each path.
func TestDocsDescribeThemselves(t *testing.T) {
	docs, _ := docsOf(t)
	root := docs.Hub.Edition().Merged.Document.Root
	for path, media := range map[string]string{"/api-docs": "text/html", "/api-docs.json": "application/json", "/api-docs.yaml": "application/yaml"} {
		content := root.At("paths", path, "get", "responses", "200", "content").Pairs()
		if len(content) != 1 || content[0].Name != media {
			t.Errorf("%s: %v", path, content)
		}
	}
}
