//go:build linux

package e2e

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"yett/internal/openapi"
)

// sources are how the services' documents are, by service, as the gateway's document says.
func (g *gateway) sources(client *http.Client) map[string]string {
	g.t.Helper()
	got := send(g.t, client, "GET", g.url+"/api-docs.json", "", http.Header{}).want(g.t, 200)
	doc := decode[struct {
		Sources []struct{ Service, State string } `json:"x-yett-sources"`
	}](g.t, got)
	all := make(map[string]string)
	for _, s := range doc.Sources {
		all[s.Service] = s.State
	}
	return all
}

// documented waits until the documents of all services that have one are there.
func (p *platform) documented() {
	p.t.Helper()
	eventually(p.t, "the services' documents are there", func() bool {
		all := p.sources(p.client)
		return !slices.ContainsFunc([]string{"auth", "users", "crm", "tickets"}, func(s string) bool { return all[s] != "good" })
	})
}

// docsStatus asks the endpoint docs_status about a service.
func (g *gateway) docsStatus(client *http.Client, service string) documentState {
	g.t.Helper()
	got := send(g.t, client, "GET", g.url+"/internal/docs?service="+service, "", as(tokenOf(g.t, "system_admin"))).want(g.t, 200)
	page := decode[struct{ Services []documentState }](g.t, got)
	if len(page.Services) != 1 || page.Services[0].Service != service {
		g.t.Fatalf("the status of %s is %s", service, got.body)
	}
	return page.Services[0]
}

// documentState is a service of docs_status, as far as tests go.
type documentState struct {
	Service, State, Problem, Title string
	Calls                          []struct{ Method, Path string }
}

// docsConfig has what a test adds services and routes to.
const docsConfig = `
listeners: [{address: "127.0.0.1:0"}, {name: other, address: "127.0.0.1:0"}]
issuers: {platform: {issuer: psa-platform, audience: psa-api, keys: [{secret: "${JWT_SECRET}"}]}}
roles: {system_admin: {level: 100}, technician: {level: 50}}
policies: {request_id: , jwt: , identity: }
docs: {title: Docs}
services:
  plain: {targets: ["http://127.0.0.1:1"]}
SERVICES
routes:
  - {name: ready, path: /health/ready, auth: none, endpoint: ready}
  - {name: status, path: /internal/docs, methods: GET, auth: required, endpoint: docs_status, policies: {rbac: {exact_role: system_admin}}}
  - {name: plain, path: /plain, auth: none, service: plain}
ROUTES
`

// docsRoute serves page and documents to everybody.
const docsRoute = `  - {name: docs, path: [/api-docs/**, /api-docs.json, /api-docs.yaml], methods: GET, auth: none, endpoint: docs}
`

// runDocs starts a gateway with more services and routes.
func runDocs(t *testing.T, services, routes string) (*gateway, *http.Client) {
	t.Helper()
	conf := write(t, "yett.yaml", strings.NewReplacer("SERVICES", services, "ROUTES", routes).Replace(docsConfig))
	return run(t, conf, "JWT_SECRET="+exampleSecret), newClient(t)
}

// pathsOf are the operations of the gateway's document, as METHOD /path.
func (g *gateway) pathsOf(client *http.Client) (all []string) {
	g.t.Helper()
	doc := decode[struct{ Paths map[string]map[string]any }](g.t, send(g.t, client, "GET", g.url+"/api-docs.json", "", http.Header{}).want(g.t, 200))
	for path, item := range doc.Paths {
		for method := range item {
			all = append(all, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(all)
	return all
}

func TestDocsOverHTTP(t *testing.T) {
	p := startPlatform(t)
	p.documented()
	get := func(method, path string, fields ...string) answer {
		t.Helper()
		h := http.Header{}
		for pair := range slices.Chunk(fields, 2) {
			h.Add(pair[0], pair[1])
		}
		return send(t, p.client, method, p.url+path, "", h)
	}
	for path, want := range map[string]struct{ contentType, version string }{
		"/api-docs.json":             {"application/json; charset=utf-8", "3.1.0"},
		"/api-docs.json?version=3.1": {"application/json; charset=utf-8", "3.1.0"},
		"/api-docs.json?version=3.0": {"application/json; charset=utf-8", "3.0.3"},
		"/api-docs.yaml":             {"application/yaml; charset=utf-8", "3.1.0"},
		"/api-docs.yaml?version=3.0": {"application/yaml; charset=utf-8", "3.0.3"},
	} {
		got := get("GET", path).want(t, 200)
		name := path[:len("/api-docs.json")]
		doc, err := openapi.Parse(name, []byte(got.body), openapi.DefaultLimits())
		if err != nil || doc.Root.Str("openapi") != want.version || got.Header.Get("Content-Type") != want.contentType {
			t.Errorf("%s: %v, %v, %q", path, err, got.Header, got.body[:100])
			continue
		}
		if doc.Root.At("paths", "/api/v1/tickets/{id}", "get", "operationId").TextOf() != "tickets.getTicket" {
			t.Errorf("%s lacks operations", path)
		}
		p.cached(t, path, got)
	}
	for _, query := range []string{"version=2.0", "version=", "version=3.0&version=3.0", "format=yaml", "%zz"} {
		refused(t, get("GET", "/api-docs.json?"+query), 400, "BAD_REQUEST")
	}
	refused(t, get("POST", "/api-docs.json"), 405, "METHOD_NOT_ALLOWED")
	refused(t, get("GET", "/api-docs/none.js"), 404, "NOT_FOUND")
	refused(t, get("GET", "/api-docs/../internal/docs"), 401, "NO_TOKEN")
	page := get("GET", "/api-docs").want(t, 200)
	if ct := page.Header.Get("Content-Type"); ct != "text/html; charset=utf-8" || !strings.HasPrefix(page.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("the page has %v", page.Header)
	}
}

// cached checks what clients that keep a document get.
func (p *platform) cached(t *testing.T, path string, whole answer) {
	t.Helper()
	etag := whole.Header.Get("ETag")
	for _, tt := range []struct {
		method string
		header http.Header
		status int
	}{
		{"HEAD", http.Header{}, 200},
		{"GET", http.Header{"If-None-Match": {etag}}, 304},
		{"HEAD", http.Header{"If-None-Match": {etag}}, 304},
		{"GET", http.Header{"If-None-Match": {`"other", W/` + etag}}, 304},
	} {
		got := send(t, p.client, tt.method, p.url+path, "", tt.header)
		if got.StatusCode != tt.status || got.body != "" || got.Header.Get("ETag") != etag || etag == "" {
			t.Errorf("%s %s with %v: %d with %d bytes, %v", tt.method, path, tt.header, got.StatusCode, len(got.body), got.Header)
		}
		if length := got.Header.Get("Content-Length"); tt.status == 200 && length != strconv.Itoa(len(whole.body)) {
			t.Errorf("HEAD %s: the length is %q, want %d", path, length, len(whole.body))
		}
	}
	zipped := send(t, p.client, "GET", p.url+path, "", http.Header{"Accept-Encoding": {"gzip"}}).want(t, 200)
	r, err := gzip.NewReader(strings.NewReader(zipped.body))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != whole.body || zipped.Header.Get("Content-Encoding") != "gzip" || zipped.Header.Get("ETag") == etag || zipped.Header.Get("Vary") == "" {
		t.Errorf("%s in gzip: %v, %v", path, err, zipped.Header)
	}
	again := send(t, p.client, "GET", p.url+path, "", http.Header{"Accept-Encoding": {"gzip"}, "If-None-Match": {zipped.Header.Get("ETag")}})
	if again.StatusCode != 304 {
		t.Errorf("%s in gzip again: %d", path, again.StatusCode)
	}
}

// Two gateways of one configuration, and two listeners of one gateway, have the same document
// to the byte, so that whoever is balanced between them can keep it.
func TestDocsAreTheSameEverywhere(t *testing.T) {
	file := write(t, "desks.yaml", documentOf("Desks", "/desks", "/desks/{id}"))
	services := fmt.Sprintf("  desks: {targets: [\"http://127.0.0.1:1\"], openapi: {file: %q}}", file)
	routes := docsRoute + "  - {name: desks, path: /desks/**, auth: none, service: desks}"
	var etags []string
	for range 2 {
		g, client := runDocs(t, services, routes)
		other := g.stderr.wait(t, "the second listener", func(line string) bool { return strings.Contains(line, `"listener":"other"`) })
		var at struct{ Address string }
		if err := json.Unmarshal([]byte(other), &at); err != nil {
			t.Fatal(err)
		}
		for _, base := range []string{g.url, "http://" + at.Address} {
			got := send(t, client, "GET", base+"/api-docs.json", "", http.Header{}).want(t, 200)
			etags = append(etags, got.Header.Get("ETag"))
		}
	}
	if slices.Sort(etags); etags[0] == "" || etags[0] != etags[3] {
		t.Errorf("the ETags are %q", etags)
	}
}

// documentOf is a document with GET for some paths.
func documentOf(title string, paths ...string) string {
	text := "openapi: 3.1.0\ninfo: {title: " + title + ", version: \"1\"}\npaths:\n"
	for _, p := range paths {
		text += "  " + p + ": {get: {responses: {\"200\": {description: Good}}}}\n"
	}
	return text
}

// Who may read what is up to the routes.
func TestDocsAccess(t *testing.T) {
	file := write(t, "desks.yaml", documentOf("Desks", "/desks", "/desks/secret"))
	services := fmt.Sprintf("  desks: {targets: [\"http://127.0.0.1:1\"], openapi: {file: %q}}", file)
	g, client := runDocs(t, services, `
  - {name: page, path: /api-docs/**, auth: none, endpoint: docs}
  - {name: document, path: [/api-docs.json, /api-docs.yaml], auth: required, endpoint: docs, policies: {rbac: {min_role: technician}}}
  - {name: desks, path: /desks, auth: none, service: desks}
  - {name: secret, path: /desks/secret, auth: none, service: desks, docs: hidden}`)
	ask := func(path, role string) answer {
		h := http.Header{}
		if role != "" {
			h = as(tokenWith(t, claims{"role": role}))
		}
		return send(t, client, "GET", g.url+path, "", h)
	}
	ask("/api-docs", "").want(t, 200)
	for _, path := range []string{"/api-docs.json", "/api-docs.yaml"} {
		refused(t, ask(path, ""), 401, "NO_TOKEN")
		refused(t, ask(path, "stranger"), 403, "INSUFFICIENT_PERMISSIONS")
		got := ask(path, "technician").want(t, 200)
		if !strings.Contains(got.body, "/desks") || strings.Contains(got.body, "secret") {
			t.Errorf("%s shows what is hidden, or not what isn't: %s", path, got.body)
		}
	}
	if got := ask("/desks/secret", ""); got.StatusCode != 502 {
		t.Errorf("what is hidden is not served: %d", got.StatusCode)
	}
}

func TestDocsOff(t *testing.T) {
	g, client := runDocs(t, "", "")
	for _, path := range []string{"/api-docs", "/api-docs/", "/api-docs.json", "/api-docs.yaml", "/api-docs/start.js"} {
		refused(t, send(t, client, "GET", g.url+path, "", http.Header{}), 404, "NOT_FOUND")
	}
}

// A service that starts after the gateway appears; one that ends keeps its operations, and
// operators see why; when it is back all is well.
func TestDocsFollowServices(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close() // nobody is there
	serve := func(document string) (stop func()) {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, document) })}
		go func() { _ = s.Serve(l) }()
		t.Cleanup(func() { _ = s.Close() })
		return func() { _ = s.Close() }
	}
	g, client := runDocs(t, `  desks: {targets: ["http://`+address+`"], openapi: {path: /openapi.yaml, refresh: 1s}}`,
		docsRoute+"  - {name: desks, path: /desks/**, auth: none, service: desks}")
	if got := g.sources(client)["desks"]; got != "waiting" {
		t.Errorf("before it runs it is %s", got)
	}
	is := func(state string, paths ...string) {
		t.Helper()
		begin := time.Now()
		eventually(t, "the service is "+state, func() bool {
			all := g.pathsOf(client)
			return g.sources(client)["desks"] == state && !slices.ContainsFunc(paths, func(p string) bool { return !slices.Contains(all, "GET "+p) })
		})
		t.Logf("%s after %s", state, time.Since(begin).Round(time.Millisecond))
	}
	stop := serve(documentOf("Desks", "/desks"))
	is("good", "/desks")
	stop()
	is("stale", "/desks")
	if s := g.docsStatus(client, "desks"); s.State != "stale" || !strings.Contains(s.Problem, "connection refused") || len(s.Calls) != 1 {
		t.Errorf("docs_status says %+v", s)
	}
	serve(documentOf("Desks", "/desks", "/desks/{id}"))
	is("good", "/desks", "/desks/{id}")
}
