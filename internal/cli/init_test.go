package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/openapi"
)

const ticketsDocument = `
openapi: 3.1.0
info: {title: "Tickets ${HOME}\n- name: x", version: '1'}
servers: [{url: 'https://{env}.example.org:8443/api/v1', variables: {env: {default: tickets}}}, {url: https://sandbox.example.org}]
security: [{bearer: []}]
paths:
  /tickets: {get: {responses: {}}, post: {responses: {}}}
  /tickets/search: {get: {security: [], responses: {}}}
  /tickets/{id}: {get: {responses: {}}, patch: {responses: {}}, delete: {responses: {}}, trace: {responses: {}}}
  /tickets/{id}/files/{name}.{ext}: {get: {responses: {}}}
  /queues/{queue-name}: {get: {security: [{}], responses: {}}}
  /queues/default: {get: {responses: {}}, post: {security: [{}, {bearer: []}], responses: {}}}
  /status: {get: {security: [], responses: {}}}
components: {securitySchemes: {bearer: {type: http, scheme: bearer}}}
`

const crmDocument = `{"openapi": "3.0.3", "info": {"title": "CRM", "version": "1"}, "servers": [{"url": "/"}],
"components": {"securitySchemes": {"k": {"type": "apiKey", "in": "header", "name": "X"}}},
"paths": {
 "/api/v1/customers": {"get": {"security": [{"k": []}], "responses": {}}},
 "/api/v1/customers/{id}": {"put": {"security": [{"k": []}], "responses": {}}, "options": {"responses": {}}},
 "/api/v1/tickets/{id}/customer": {"get": {"security": [{"k": []}], "responses": {}}},
 "/api/v1/{kind}:export": {"post": {"responses": {}}},
 "/api/v1": {"get": {"responses": {}}},
 "/": {"get": {"responses": {}}}
}}`

const openDocument = `{openapi: 3.1.0, info: {title: '123', version: '1'}, paths: {'/{anything}': {get: {responses: {}}}, '/open/{a}/{b}/': {get: {responses: {}}}}}`

// inFolder writes documents into a folder of their own, which becomes the working one.
func inFolder(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

var secretEnv = env{"JWT_SECRET": "0123456789abcdef0123456789abcdef"}

// What init writes is right as it is, and brings each documented operation to its service, by
// its own rule of who may call.
func TestInitFromDocuments(t *testing.T) {
	documents := map[string]string{"docs/tickets.yaml": ticketsDocument, "crm.json": crmDocument, "open.yaml": openDocument}
	for name, args := range map[string][]string{
		"one": {"docs/tickets.yaml"}, "another": {"crm.json"}, "open": {"open.yaml"}, "all": {"docs/tickets.yaml", "crm.json", "open.yaml"},
		"all, other order": {"open.yaml", "crm.json", "docs/tickets.yaml"}, "exact": {"docs/tickets.yaml", "crm.json", "open.yaml", "--exact"},
	} {
		t.Run(name, func(t *testing.T) {
			inFolder(t, documents)
			got := call(t, nil, append([]string{"init", "-o", "docs/yett.yaml", "--from-openapi"}, args...)...)
			if got.code != exitOK {
				t.Fatalf("%+v", got)
			}
			text, err := os.ReadFile("docs/yett.yaml")
			if err != nil {
				t.Fatal(err)
			}
			if checked := call(t, secretEnv, "check", "-c", "docs/yett.yaml"); checked.code != exitOK {
				t.Fatalf("%+v\n%s", checked, text)
			}
			c, err := config.Load("docs/yett.yaml", config.MapEnv(secretEnv))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range c.Services {
				file := c.Source.Resolve(e.Value.OpenAPI.File)
				checkOperations(t, e.Name, file)
			}
			if t.Failed() {
				t.Logf("%s", text)
			}
		})
	}
}

// checkOperations asks the gateway of the configuration where requests go.
func checkOperations(t *testing.T, service, file string) {
	t.Helper()
	snap, err := app.Check(app.Options{File: "docs/yett.yaml", Env: config.MapEnv(secretEnv)})
	if err != nil {
		t.Fatal(err)
	}
	d := initDocument(t, file)
	for _, op := range d.Operations() {
		if op.Method == "TRACE" {
			continue
		}
		path := strings.NewReplacer("{id}", "a-1", "{name}", "b", "{ext}", "c", "{queue-name}", "q", "{kind}:export", "k:export", "{anything}", "zz", "{a}", "1", "{b}", "2").Replace(op.Path)
		x := exchange.Exchange{Method: op.Method, Host: "example.org", RawPath: path}
		r, reason := snap.Match(&x)
		if reason != nil || r.Service == nil || r.Service.Name() != service {
			t.Errorf("%s %s goes to %v, %v, want %s", op.Method, path, r.Name, reason, service)
			continue
		}
		i := slices.IndexFunc(snap.Config.Routes, func(c config.Route) bool { return c.Name == r.Name })
		if got, want := snap.Config.Routes[i].Auth, authOf(d, op.Node); got != want {
			t.Errorf("%s %s has auth: %s, want %s", op.Method, path, got, want)
		}
	}
}

func initDocument(t *testing.T, file string) *openapi.Document {
	t.Helper()
	d, err := readDocument(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.Upgrade()
	return d
}

func TestInitText(t *testing.T) {
	inFolder(t, map[string]string{"tickets.yaml": ticketsDocument})
	got := call(t, nil, "init", "--from-openapi", "tickets.yaml")
	for _, want := range []string{
		`targets: ["https://tickets.example.org:8443"] # the first server of the document`,
		"# another server of the document: https://sandbox.example.org",
		"openapi: {file: tickets.yaml}", "${JWT_SECRET:?", `- address: ":8080"`, "  jwt: #", "  validate: {mode: observe} #", "docs:\n  title: \"Tickets $${HOME}",
		"path: /api/v1/tickets/**\n    methods: [GET, POST, PATCH, DELETE]\n    auth: required\n",
		"path: /api/v1/tickets/search\n    methods: [GET]\n    auth: none",
		"path: /api/v1/status\n    methods: [GET]\n    auth: none",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if t.Failed() {
		t.Log(got.stdout)
	}
	inFolder(t, map[string]string{"open.yaml": openDocument})
	if got := call(t, nil, "init", "--from-openapi", "open.yaml"); got.code != exitOK || strings.Contains(got.stdout, "JWT_SECRET") ||
		!strings.Contains(got.stdout, `["http://localhost:8081"] # change this`) {
		t.Errorf("%+v", got)
	}
}

// Who has to bring something that the gateway can't check is told so.
func TestInitWithoutTokens(t *testing.T) {
	inFolder(t, map[string]string{"crm.json": crmDocument, "tickets.yaml": ticketsDocument})
	got := call(t, nil, "init", "--from-openapi", "crm.json", "tickets.yaml")
	const note = "crm.json wants an API key (header X), which the gateway does not check; it asks for tokens there (crm-customers and 1 more): where the service checks that itself, write auth: none"
	if strings.Count(got.stderr, "note: "+note+"\n") != 1 || strings.Count(got.stdout, "# NOTE: "+note) != 1 || strings.Contains(got.stderr, "tickets.yaml wants") ||
		strings.Count(got.stdout, "auth: required # a token; the document wants an API key (header X)\n") != 2 {
		t.Errorf("%s%s", got.stderr, got.stdout)
	}
}

func TestInitStarter(t *testing.T) {
	inFolder(t, nil)
	if got := call(t, nil, "init", "-o", "yett.yaml"); got.code != exitOK || got.stdout != "" || !strings.HasPrefix(got.stderr, "wrote yett.yaml: ") || strings.Count(got.stderr, "\n") != 3 {
		t.Fatalf("%+v", got)
	}
	if got := call(t, nil, "check"); got.code != exitOK {
		t.Errorf("%+v", got)
	}
	if err := os.WriteFile("yett.yaml", []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := call(t, nil, "init", "-o", "yett.yaml")
	if text, _ := os.ReadFile("yett.yaml"); got.code != exitFail || !strings.Contains(got.stderr, "--force") || string(text) != "mine" {
		t.Errorf("%+v, %s", got, text)
	}
	if got := call(t, nil, "init", "-o", "yett.yaml", "--force"); got.code != exitOK {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{{"init"}, {"init", "-o", "-"}} {
		if got := call(t, nil, args...); got.code != exitOK || got.stdout != starter || !strings.HasPrefix(got.stderr, "wrote a configuration: ") {
			t.Errorf("%+v", got)
		}
	}
	if _, err := os.Stat("-"); err == nil {
		t.Error("- has become a file")
	}
}

// What the starter has behind a # is right without it.
func TestInitStarterUncommented(t *testing.T) {
	inFolder(t, nil)
	all := regexp.MustCompile(`(?m)^( *)#([a-z]| {2,}[a-z-])`).ReplaceAllString(starter, "$1$2")
	if err := os.WriteFile("yett.yaml", []byte(all), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := call(t, nil, "run"); got.code != exitFail || !strings.Contains(got.stderr, "${JWT_SECRET} is not set, the secret that tokens are signed with") {
		t.Errorf("%+v", got)
	}
	c, err := config.Load("yett.yaml", config.MapEnv(secretEnv))
	if err != nil {
		t.Fatal(err)
	}
	if got := call(t, secretEnv, "check"); got.code != exitOK || len(c.Issuers) != 1 || len(c.Policies) != 4 || c.Services[0].Value.OpenAPI.Path == "" || c.Services[0].Value.Health.Path == "" {
		t.Errorf("%+v\n%s", got, all)
	}
}

func TestInitMistakes(t *testing.T) {
	inFolder(t, map[string]string{
		"tickets.yaml": ticketsDocument, "crm.json": crmDocument, "wrong.yaml": "openapi: 3.1.0\npaths: []\n",
		"other.yaml": `{openapi: 3.1.0, info: {title: Other, version: '1'}, paths: {'/tickets/{key}': {get: {responses: {}}}}}`,
		"same.yaml":  `{openapi: 3.1.0, info: {title: Same, version: '1'}, paths: {'/tickets/{id}': {get: {responses: {}}}}}`,
		"empty.yaml": `{openapi: 3.1.0, info: {title: Empty, version: '1'}, paths: {}}`,
		"hooks.yaml": `{openapi: 3.1.0, info: {title: Hooks, version: '1'}, webhooks: {a: {post: {responses: {}}}}}`,
		"old.json":   `{"swagger": "2.0", "paths": {}}`, "text.txt": "hello\n", "folder/a": "", "huge.yaml": hugeDocument(),
	})
	for _, tt := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"--from-openapi", "same.yaml", "other.yaml"}, exitFail,
			[]string{"no operation is left", "GET /tickets/{id} is in same.yaml:1:", "and other.yaml:1:", "no configuration was written"}},
		{[]string{"--from-openapi", "hooks.yaml", "--from-openapi", "empty.yaml"}, exitFail, []string{"no operation is documented below paths in hooks.yaml, empty.yaml"}},
		{[]string{"--from-openapi", "old.json"}, exitFail, []string{"old.json:1:", "Swagger 2.0"}},
		{[]string{"--from-openapi", "text.txt"}, exitFail, []string{"text.txt:1:1", "no configuration was written"}},
		{[]string{"--from-openapi", "folder"}, exitFail, []string{"folder"}},
		{[]string{"--from-openapi", "huge.yaml"}, exitFail, []string{"for 1200 operations would be longer"}},
		{[]string{"--from-openapi", "-"}, exitUsage, []string{"standard input has no name"}},
		{[]string{"--from-openapi", ""}, exitUsage, []string{"is empty"}},
		{[]string{"--from-openapi", "same.yaml", "./same.yaml"}, exitUsage, []string{"./same.yaml is named twice"}},
		{[]string{"--from-openapi", "same.yaml", "-o", "./same.yaml", "--force"}, exitUsage, []string{"would be overwritten"}},
		{[]string{"--from-openapi", "same.yaml", "-o", "-", "--force"}, exitUsage, []string{"--force"}},
		{[]string{"-o", "folder"}, exitFail, []string{"folder is a folder"}},
		{[]string{"--from-openapi", "wrong.yaml"}, exitFail, []string{"wrong.yaml:", "no configuration was written"}},
		{[]string{"--from-openapi", "no thing.yaml"}, exitFail, []string{"there is no file 'no thing.yaml'; no configuration was written\n"}},
		{[]string{"--from-openapi", "empty.yaml"}, exitFail, []string{"no operation is documented below paths in empty.yaml"}},
		{[]string{"--from-openapi", "https://example.org/openapi.json"}, exitUsage, []string{"nothing is fetched"}},
		{[]string{"tickets.yaml"}, exitUsage, []string{"yett init --from-openapi tickets.yaml"}},
		{[]string{"--exact"}, exitUsage, []string{"--from-openapi"}},
		{[]string{"--force"}, exitUsage, []string{"-o"}},
		{[]string{"-o", "no/such/folder.yaml"}, exitFail, []string{"there is no folder no/such", "mkdir -p no/such"}},
	} {
		got := call(t, nil, append([]string{"init"}, tt.args...)...)
		if got.code != tt.code || got.stdout != "" {
			t.Errorf("%q: %+v", tt.args, got)
		}
		for _, want := range tt.want {
			if !strings.Contains(got.stderr, want) {
				t.Errorf("%q: %s\nwant %q", tt.args, got.stderr, want)
			}
		}
	}
}

// hugeDocument has more operations than a configuration takes.
func hugeDocument() string {
	var b strings.Builder
	b.WriteString("openapi: 3.1.0\ninfo: {title: Huge, version: '1'}\npaths:\n")
	for i := range 1200 {
		fmt.Fprintf(&b, "  /%s%d: {get: {responses: {}}}\n", strings.Repeat("x", 900), i)
	}
	return b.String()
}

func TestScalar(t *testing.T) {
	for text, want := range map[string]string{
		"/api/**": "/api/**", "crm": "crm", "/a/{id}": `"/a/{id}"`, "123": `"123"`, "true": `"true"`, "": `""`, "a: b": `"a: b"`, "a${B}": `"a$${B}"`, "-": `"-"`, "é": `"é"`,
	} {
		if got := scalar(text); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}
