package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"yett/internal/apidocs"
	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/openapi"
)

// platform writes documents as people have them: those of the example's services, and ones
// with bases, values, mixed rules and operations that others have too.
func platform(t *testing.T) []string {
	t.Helper()
	services, err := filepath.Abs("../../examples/psa/services")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"shop/api.yaml": shopDocument, "Gäste dienst.yaml": guestsDocument}
	names := []string{"shop/api.yaml", "Gäste dienst.yaml"}
	for _, service := range []string{"auth", "crm", "tickets"} {
		text, err := os.ReadFile(filepath.Join(services, service, "openapi.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		name := service + "/openapi.yaml"
		files[name], names = string(text), append(names, name)
	}
	inFolder(t, files)
	return names
}

const shopDocument = `
openapi: 3.1.0
info: {title: Shop API, version: '1'}
servers: [{url: /shop}]
paths:
  /products: {get: &open {responses: {'200': {description: Good}}}, post: &closed {security: [{k: []}], responses: {'200': {description: Good}}}}
  /products/{id}: {get: *open, put: *closed, delete: *closed}
  /products/{id}/reviews: {get: {security: [{}, {k: []}], responses: {'200': {description: Good}}}}
  /products/mine: {get: *closed}
  /products/{id}.pdf: {put: *open}
  /cart: {get: *closed, trace: *open}
components: {securitySchemes: {k: {type: http, scheme: bearer}}}
`

const guestsDocument = `
openapi: 3.0.3
info: {title: 'Gäste', version: '1'}
servers: [{url: 'https://{region}.example.com/{base}', variables: {region: {default: eu}, base: {default: booking/v2}}}]
security: [{key: []}]
paths:
  /guests: {get: {responses: {'200': {description: Good}}}}
  /guests/{id}: {get: {responses: {'200': {description: Good}}}}
  /a%2Fb: {get: {responses: {'200': {description: Good}}}}
components: {securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}}
`

// Each operation of the documents is either in the gateway's document, and its requests get
// to its service, or there is a note about it.
func TestInitServes(t *testing.T) {
	names := platform(t)
	for _, flags := range [][]string{nil, {"--exact"}} {
		got := call(t, nil, append(append([]string{"init", "-o", "yett.yaml", "--force", "--from-openapi"}, names...), flags...)...)
		if got.code != exitOK {
			t.Fatalf("%+v", got)
		}
		target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s", r.Method, r.URL.EscapedPath())
		}))
		defer target.Close()
		retarget(t, "yett.yaml", target.URL)
		docs, err := app.NewDocuments(t.Context(), app.Options{File: "yett.yaml", Env: config.MapEnv(secretEnv)})
		if err != nil {
			t.Fatal(err)
		}
		g := startInit(t)
		for _, name := range names {
			d := initDocument(t, name)
			for _, op := range d.Operations() {
				g.operation(t, d, &op, docs.Edition.Merged, got.stderr)
			}
		}
		g.ownPages(t)
		if claims := fmt.Sprintf("for %d of ", len(docs.Edition.Merged.Shown)); !strings.Contains(got.stderr, claims) {
			t.Errorf("what is shown, %s, is not what is claimed:\n%s", claims, got.stderr)
		}
	}
}

// retarget changes a configuration to ask that target, and to listen anywhere.
func retarget(t *testing.T, name, target string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`targets: \[.*\]`).ReplaceAll(text, []byte(`targets: ["`+target+`"]`))
	text = []byte(strings.Replace(string(text), `":8080"`, `"127.0.0.1:0"`, 1))
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// initGateway is a gateway that runs by a new configuration.
type initGateway struct{ base, token string }

func startInit(t *testing.T) *initGateway {
	t.Helper()
	a, err := app.New(app.Options{File: "yett.yaml", Env: config.MapEnv(secretEnv), Stdout: io.Discard, Stderr: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		_ = a.Stop(context.Background())
	})
	token := call(t, secretEnv, "token", "mint", "-c", "yett.yaml", "--subject", "u-1")
	return &initGateway{"http://" + a.Addr(0).String(), strings.TrimSpace(token.stdout)}
}

// ask returns the status and the body of an answer.
func (g *initGateway) ask(t *testing.T, method, path, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, g.base+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

var values = regexp.MustCompile(`\{[^{}]*\}`)

func (g *initGateway) operation(t *testing.T, d *openapi.Document, op *openapi.Operation, merged *apidocs.Merged, notes string) {
	t.Helper()
	shown := false
	for _, s := range merged.Shown {
		shown = shown || s.Method == op.Method && s.ServicePath == op.Path
	}
	told := strings.Contains(notes, "note: "+op.Method+" "+op.Path+" ")
	if shown == told {
		t.Errorf("%s %s is shown: %v, and a note says that it is not: %v", op.Method, op.Path, shown, told)
	}
	if told {
		return
	}
	path := values.ReplaceAllString(op.Path, "0x")
	status, body := g.ask(t, op.Method, path, g.token)
	if status != 200 || body != op.Method+" "+path {
		t.Errorf("%s %s with a token: %d %s", op.Method, path, status, body)
	}
	want := 200
	if authOf(d, op.Node) == "required" || strings.HasSuffix(path, "0x.pdf") { // which is as PUT /products/{id} is
		want = 401
	}
	if status, body := g.ask(t, op.Method, path, ""); status != want {
		t.Errorf("%s %s without a token: %d %s", op.Method, path, status, body)
	}
}

func (g *initGateway) ownPages(t *testing.T) {
	t.Helper()
	for path, want := range map[string]string{"/health": `"status"`, "/api-docs": "<!", "/api-docs.json": `"title":"My platform"`, "/api-docs.yaml": "title: My platform"} {
		if status, body := g.ask(t, "GET", path, ""); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.200s", path, status, body)
		}
	}
}

// An operation of two documents has no route, also none of a prefix. All around it have.
func TestInitContested(t *testing.T) {
	const frame = "openapi: 3.1.0\ninfo: {title: %s, version: '1'}\npaths:\n%s"
	inFolder(t, map[string]string{
		"a.yaml": fmt.Sprintf(frame, "A", "  /api/v1/customers: {get: {responses: {}}, post: {responses: {}}}\n  /api/v1/customers/{id}: {get: {responses: {}}}\n  /api/v1/customers/{id}/orders: {get: {responses: {}}}\n  /health: {get: {responses: {}}}\n"),
		"b.yaml": fmt.Sprintf(frame, "B", "  /health: {get: {responses: {}}, post: {responses: {}}}\n  /api/v1/customers/{key}: {get: {responses: {}}}\n  /b: {get: {responses: {}}}\n"),
	})
	got := call(t, nil, "init", "-o", "yett.yaml", "--from-openapi", "a.yaml", "--from-openapi", "b.yaml")
	text, err := os.ReadFile("yett.yaml")
	if err != nil {
		t.Fatalf("%+v", got)
	}
	for _, note := range []string{
		"GET /health is in a.yaml:7:18 and b.yaml:4:18, so it has no route: write one by hand, or leave it out of all documents but one",
		"GET /api/v1/customers/{id} is in a.yaml:5:33 and b.yaml:5:34, so it has no route: write one by hand, or leave it out of all documents but one",
	} {
		if !strings.Contains(got.stderr, "note: "+note+"\n") || !strings.Contains(string(text), "# NOTE: "+note+".\n") {
			t.Errorf("no note %s", note)
		}
	}
	if !strings.Contains(got.stderr, "wrote yett.yaml: 4 routes to 2 services for 5 of 9 operations; the gateway itself answers /gateway/health and /api-docs\n") ||
		!strings.Contains(got.stderr, "change the targets, which are made up, of a, b\n") {
		t.Error(got.stderr)
	}
	snap, err := app.Check(app.Options{File: "yett.yaml", Env: config.MapEnv(nil)})
	if err != nil {
		t.Fatal(err)
	}
	for request, want := range map[string]string{
		"GET /health": "", "POST /health": "b", "GET /api/v1/customers/7": "", "GET /api/v1/customers": "a", "POST /api/v1/customers": "a",
		"GET /api/v1/customers/7/orders": "a", "GET /b": "b", "GET /gateway/health": "health",
	} {
		method, path, _ := strings.Cut(request, " ")
		x := exchange.Exchange{Method: method, Host: "example.org", RawPath: path}
		r, reason := snap.Match(&x)
		name := ""
		switch {
		case reason == nil && r.Service != nil:
			name = r.Service.Name()
		case reason == nil:
			name = r.Name
		}
		if name != want {
			t.Errorf("%s goes to %q, want %q", request, name, want)
		}
	}
	if t.Failed() {
		t.Logf("%s%s", got.stderr, text)
	}
}

// What the gateway answers itself goes out of the way of what is documented.
func TestInitMovesItsOwn(t *testing.T) {
	for _, tt := range []struct{ paths, health, page string }{
		{"/things", "/health", "/api-docs"},
		{"/health", "/gateway/health", "/api-docs"},
		{"/health/live", "/health", "/api-docs"},
		{"/healthy", "/health", "/api-docs"},
		{"/{slug}", "/gateway/health", "/gateway/api-docs"},
		{"/{a}/{b}", "/health", "/gateway/api-docs"},
		{"/api-docs.json", "/health", "/gateway/api-docs"},
		{"/api-docs/{group}", "/health", "/gateway/api-docs"},
		{"/api-docsets", "/health", "/api-docs"},
		{"/gateway/health /health", "/yett/health", "/api-docs"},
		{"/health /gateway/health /yett/health", "/gateway-2/health", "/api-docs"},
		{"/{a}/{b} /health", "/gateway/health", "/gateway/api-docs"},
	} {
		text := "openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths:\n"
		for _, path := range strings.Fields(tt.paths) {
			text += "  '" + path + "': {get: {responses: {'200': {description: Good}}}}\n"
		}
		inFolder(t, map[string]string{"t.yaml": text})
		got := call(t, nil, "init", "--from-openapi", "t.yaml", "-o", "yett.yaml")
		want := "the gateway itself answers " + tt.health + " and " + tt.page + "\n"
		if got.code != exitOK || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v, want %s", tt.paths, got, want)
		}
		written, _ := os.ReadFile("yett.yaml")
		if moved := strings.Contains(string(written), "# not /health, which"); moved != (tt.health != "/health") {
			t.Errorf("%s:\n%s", tt.paths, written)
		}
		if got := call(t, nil, "check"); got.code != exitOK {
			t.Errorf("%s: %+v", tt.paths, got)
		}
	}
}

// Neither the gateway nor a made up target takes a port of this machine that a document names.
func TestInitPorts(t *testing.T) {
	inFolder(t, map[string]string{
		"a.yaml": "openapi: 3.1.0\ninfo: {title: A, version: '1'}\nservers: [{url: 'http://localhost:8080/a'}, {url: 'http://[::1]:8000'}]\npaths: {/a: {get: {responses: {}}}}\n",
		"b.yaml": "openapi: 3.1.0\ninfo: {title: B, version: '1'}\nservers: [{url: 'http://127.0.0.1:8081'}]\npaths: {/b: {get: {responses: {}}}}\n",
		"c.yaml": "openapi: 3.1.0\ninfo: {title: C, version: '1'}\nservers: [{url: 'http://example.org:8082'}, {url: /c}]\npaths: {/c: {get: {servers: [{url: 'https://else.example.org/x'}], responses: {}}}}\n",
		"d.yaml": "openapi: 3.1.0\ninfo: {title: D, version: '1'}\npaths: {/d: {get: {responses: {}}}}\n",
	})
	got := call(t, nil, "init", "--from-openapi", "a.yaml", "b.yaml", "c.yaml", "d.yaml")
	for _, want := range []string{`- address: ":8001"`, `["http://localhost:8080"]`, "another server of the document: http://[::1]:8000", `["http://127.0.0.1:8081"]`, `["http://example.org:8082"]`, `["http://localhost:8082"] # change this`} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %s in\n%s", want, got.stdout)
		}
	}
	for _, want := range []string{"http://localhost:8001/api-docs\n", "next: change the targets, which are made up, of d\n", "GET /x/c of c.yaml:4:19 goes to service c, but has a server of its own, https://else.example.org"} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("no %s in\n%s", want, got.stderr)
		}
	}
}

func TestServiceNames(t *testing.T) {
	for _, tt := range []struct{ title, file, want string }{
		{"Auth service", "a/openapi.yaml", "auth"}, {"Tickets REST API", "x.yaml", "tickets-rest"}, {"Straße für Gäste", "x.yaml", "strasse-fur-gaste"},
		{"東京", "tokyo.json", "tokyo"}, {"", "crm/openapi.yaml", "crm"}, {"API", "./swagger.json", "service"}, {"Ünïted  (v2)!", "x", "united-v2"},
	} {
		d := &openapi.Document{Root: openapi.NewObject("info", openapi.NewObject("title", tt.title))}
		if got := serviceName(d, tt.file); got != tt.want {
			t.Errorf("%q in %s is %q, want %q", tt.title, tt.file, got, tt.want)
		}
	}
}
