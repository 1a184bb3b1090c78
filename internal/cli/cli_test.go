package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"yett/internal/catalog"
	"yett/internal/config"
	"yett/internal/control"
	"yett/internal/problem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output takes what a verb writes while the test reads it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

type env map[string]string

// result is how a command ended.
type result struct {
	code           int
	stdout, stderr string
}

func call(t *testing.T, variables env, args ...string) result {
	t.Helper()
	var stdout, stderr output
	code := Main(t.Context(), Process{Args: args, Stdout: &stdout, Stderr: &stderr, Env: config.MapEnv(variables), Version: "v1.2.3"})
	return result{code, stdout.String(), stderr.String()}
}

// file writes a configuration.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "yett.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const small = `
listeners:
  - address: "127.0.0.1:${PORT:-0}"
services:
  app: {targets: ["http://127.0.0.1:1"]}
routes:
  - {name: app, path: /**, auth: none, service: app}
  - {name: ready, path: /ready, methods: [GET], auth: none, endpoint: ready}
  - {name: hi, path: "/hi/{name}", host: "*.example.org", query: {loud: "*"}, auth: none, policies: {respond: {text: hi}}}
`

const wrong = `listeners:
  - address: ":3000"
    colour: blue
routes:
  - name: app
    path: /**
    auth: none
    service: app
`

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want []string
	}{
		{"no such verb", []string{"chekc"}, []string{`there is no command "chekc"`, `did you mean "check"?`, "yett --help"}},
		{"no such flag", []string{"check", "--colour"}, []string{"unknown flag: --colour", "yett check --help"}},
		{"a file to run", []string{"run", "my gate.yaml"}, []string{"the file is given by -c: yett run -c 'my gate.yaml'\n", "yett run --help"}},
		{"a file to check", []string{"check", "gate.yaml"}, []string{"the file is given by -c: yett check -c gate.yaml\n"}},
		{"a file with routes", []string{"routes", "gate.yaml"}, []string{"the file is given by -c: yett routes -c gate.yaml\n"}},
		{"a file to show", []string{"demo", "gate.yaml"}, []string{"the file is given by -c: yett demo -c gate.yaml\n"}},
		{"a role to mint", []string{"token", "mint", "technician"}, []string{"a role is given by --role\n", "yett token mint --help"}},
		{"a verb of another program", []string{"ls"}, []string{`there is no command "ls"; did you mean "status"?`}},
		{"too few words", []string{"scale"}, []string{"want yett scale N [NAME], got 0 arguments", "yett scale --help"}},
		{"no number", []string{"scale", "many"}, []string{"many is no number of workers", "yett scale --help"}},
		{"a number that looks like a flag", []string{"scale", "-1"}, []string{"write -- before the number: yett scale -- -1"}},
		{"a flag of another program", []string{"start", "--watch"}, []string{"unknown flag: --watch", "reload.watch"}},
		{"a flag of another type", []string{"health", "--timeout", "soon"}, []string{"--timeout soon: want a duration such as", "yett health --help"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := call(t, nil, test.args...)
			if got.code != exitUsage || got.stdout != "" {
				t.Errorf("exit code %d, want %d, stdout %q", got.code, exitUsage, got.stdout)
			}
			for _, want := range test.want {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("stderr %q does not say %q", got.stderr, want)
				}
			}
		})
	}
}

// A token in the wrong place is not repeated.
func TestUsageHidesTokens(t *testing.T) {
	const token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
	name := file(t, issued)
	for _, args := range [][]string{
		{token}, {"check", token}, {"run", token}, {"version", token}, {"token", token}, {"token", "mint", token}, {"token", "mint", "--expires", token},
		{"token", "mint", "--claim", token}, {"token", "mint", "-c", name, "--issuer", token}, {"explain", "-c", name, "GET", "/", "--as", token},
		{"explain", "-c", name, "GET", "/", "--ip", token}, {"test", token},
	} {
		got := call(t, nil, args...)
		if got.code == exitOK || got.stderr == "" || strings.Contains(got.stdout+got.stderr, "eyJ") {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

func TestHelp(t *testing.T) {
	root := Process{Env: config.MapEnv(nil)}.root()
	all := append(root.Commands(), root)
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" && cmd.Name() != "help" { // they are cobra's
			all = append(all, cmd.Commands()...)
		}
	}
	for _, cmd := range all {
		if cmd.Short == "" || cmd.Example == "" {
			t.Errorf("%s has no words or no example", cmd.CommandPath())
		}
	}
	got := call(t, nil)
	if got.code != exitOK || !strings.Contains(got.stdout, "yett demo") || !strings.Contains(got.stdout, "completion") {
		t.Errorf("exit code %d, stdout %q", got.code, got.stdout)
	}
	if strings.Contains(got.stdout, "reference") {
		t.Error("the hidden verb is shown")
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if got := call(t, nil, "completion", shell); got.code != exitOK || !strings.Contains(got.stdout, "yett") {
			t.Errorf("%s: exit code %d, stderr %q, %d bytes", shell, got.code, got.stderr, len(got.stdout))
		}
	}
	got := call(t, nil, cobra.ShellCompRequestCmd, "check", "--config", "")
	if want := "yaml\nyml\n:8\n"; got.stdout != want { // 8: only files that end so
		t.Errorf("--config completes to %q, want %q", got.stdout, want)
	}
}

func TestVersion(t *testing.T) {
	if got := call(t, nil, "version"); got.code != exitOK || !strings.HasPrefix(got.stdout, "yett v1.2.3 (") {
		t.Errorf("%+v", got)
	}
	b := build{version: "v2", commit: "0123456789abcdef", modified: true, date: "2025-01-31T09:30:00Z"}
	if got, want := b.String(), "yett v2 (commit 0123456789ab with changes, 2025-01-31T09:30:00Z, go"; !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q...", got, want)
	}
	if got := (build{}).short(); got != "dev" {
		t.Errorf("a build that nobody named is %q", got)
	}
}

func TestCheck(t *testing.T) {
	good, bad := file(t, small), file(t, wrong)
	for _, test := range []struct {
		name string
		env  env
		args []string
		want result
	}{
		{"good", nil, []string{"-c", good}, result{0, good + ": ok, 3 routes, 1 service, 1 listener\n", ""}},
		{"named by the environment", env{"YETT_CONFIG": good}, nil, result{0, good + ": ok, 3 routes, 1 service, 1 listener\n", ""}},
		{"the flag wins", env{"YETT_CONFIG": bad}, []string{"-c", good}, result{0, good + ": ok, 3 routes, 1 service, 1 listener\n", ""}},
		{"bad", nil, []string{"-c", bad}, result{1, "",
			bad + `:3:5: listeners[0]: unknown key "colour"`},
		},
		{"a variable of another type", env{"PORT": "http"}, []string{"-c", good}, result{1, "", good + ":3:14: listeners[0].address: "}},
		{"not there", nil, []string{"-c", "no/yett.yaml"}, result{1, "",
			"yett: read the configuration: open no/yett.yaml: no such file or directory; name the file with --config or YETT_CONFIG, or see how one works: yett demo\n"}},
		{"nothing named", nil, nil, result{1, "", "yett: read the configuration: open yett.yaml: "}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := call(t, test.env, append([]string{"check"}, test.args...)...)
			if got.code != test.want.code || got.stdout != test.want.stdout || !strings.HasPrefix(got.stderr, test.want.stderr) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// A document in a file is a part of what was written, though the gateway starts without it.
func TestCheckDocuments(t *testing.T) {
	const good = "openapi: 3.1.0\ninfo: {title: Stock, version: '1'}\npaths: {}\n"
	for _, tt := range []struct {
		name, document, more string // "" for no document
		want                 []string
		last                 string
	}{
		{"good", good, "", nil, ""},
		{"missing", "", "", []string{"/yett.yaml:3:66: services.stock.openapi.file: the document can't be used: stat ", "stock.yaml: no such file or directory, name the file of the document, relative to the configuration, or remove openapi\n"}, "1 problem; the gateway would start, without these documents\n"},
		{"a page", "<html></html>", "", []string{"/yett.yaml:3:66: services.stock.openapi.file: the document can't be used: it is an HTML page"}, "1 problem; the gateway would start, without these documents\n"},
		{"wrong", "openapi: 3.1.0\ninfo: {title: Stock, version: '1'}\npaths: 7\n", "", []string{"/yett.yaml:3:66: services.stock.openapi.file: the document can't be used: it has mistakes, which are told with their places, mend them", "/stock.yaml:3:8: #/paths: paths is"}, "2 problems; the gateway would start, without these documents\n"},
		{"with another mistake", "", "lgo: {}\n", []string{"services.stock.openapi.file: ", "yett.yaml:6:1: unknown key"}, "2 problems; this configuration would not start\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conf := file(t, `listeners: [{address: "127.0.0.1:0"}]
services:
  stock: {targets: ["http://127.0.0.1:1"], openapi: {      file: stock.yaml}}
routes:
  - {name: stock, path: /**, auth: none, service: stock}
`+tt.more)
			if tt.document != "" {
				if err := os.WriteFile(filepath.Join(filepath.Dir(conf), "stock.yaml"), []byte(tt.document), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got := call(t, nil, "check", "-c", conf)
			if (got.code == exitOK) != (tt.want == nil) || !strings.HasSuffix(got.stderr, tt.last) {
				t.Errorf("%+v", got)
			}
			for _, want := range tt.want {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("%q is not in %s", want, got.stderr)
				}
			}
			if tt.more != "" {
				return
			}
			if routes := call(t, nil, "routes", "-c", conf); routes.code != exitOK {
				t.Errorf("a document keeps a gateway from starting: %+v", routes)
			}
		})
	}
}

// Problems that the decoder finds and those that compiling finds are counted
// the same way.
func TestProblemsAreCounted(t *testing.T) {
	undeclared := file(t, strings.Replace(wrong, "    colour: blue\n", "", 1))
	for _, test := range []struct{ verb, name, last string }{
		{"check", file(t, wrong), "2 problems; this configuration would not start\n"},
		{"run", file(t, wrong), "2 problems; nothing was started\n"},
		{"run", undeclared, "1 problem; nothing was started\n"},
		{"routes", undeclared, "1 problem; there are no routes to list\n"},
		{"run", file(t, strings.Replace(wrong, "auth", "author", 1)), "3 problems; nothing was started\n"},
	} {
		got := call(t, nil, test.verb, "-c", test.name)
		if got.code != exitFail || got.stdout != "" || !strings.HasSuffix(got.stderr, "\n"+test.last) {
			t.Errorf("%s: %+v, want %q at the end", test.verb, got, test.last)
		}
	}
}

func TestRoutes(t *testing.T) {
	name := file(t, small)
	want := `HOST           METHODS  PATH        CONDITIONS    AUTH  ANSWERS         NAME
*.example.org  *        /hi/{name}  query loud=*  none  policy respond  hi
*              GET      /ready      -             none  endpoint ready  ready
*              *        /**         -             none  service app     app
`
	if got := call(t, nil, "routes", "-c", name); got.code != exitOK || got.stdout != want {
		t.Errorf("got\n%s%s\nwant\n%s", got.stdout, got.stderr, want)
	}
	var rows []routeRow
	got := call(t, nil, "routes", "-c", name, "--json")
	if err := json.Unmarshal([]byte(got.stdout), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 || rows[0].Answers.Policy != "respond" || rows[1].Answers.Endpoint != "ready" || rows[2].Answers.Service != "app" ||
		rows[0].Host != "*.example.org" || !slices.Equal(rows[1].Methods, []string{"GET"}) {
		t.Errorf("%+v", rows)
	}
}

// A policy of a route stands for the global one of its name, also when it is
// switched off.
func TestAnswering(t *testing.T) {
	on, off := config.PolicyEntry{Name: "respond"}, config.PolicyEntry{Name: "respond", Off: true}
	other := config.PolicyEntry{Name: "request_id"}
	for _, test := range []struct {
		own, global config.Policies
		want        string
	}{
		{nil, nil, ""},
		{config.Policies{other}, nil, ""},
		{config.Policies{other, on}, nil, "respond"},
		{nil, config.Policies{on}, "respond"},
		{config.Policies{off}, config.Policies{on}, ""},
		{config.Policies{on}, config.Policies{off}, "respond"},
	} {
		if got := answering(test.own, test.global); got != test.want {
			t.Errorf("own %v, global %v: %q, want %q", test.own, test.global, got, test.want)
		}
	}
}

func TestExamples(t *testing.T) {
	examples, err := filepath.Glob("../../examples/*/yett.yaml")
	if err != nil || len(examples) < 2 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	text, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	schema := compileSchema(t, text)
	for _, name := range examples {
		if got := call(t, env{"JWT_SECRET": strings.Repeat("0123", 16)}, "check", "-c", name); got.code != exitOK {
			t.Errorf("%s", got.stderr)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := yaml.Unmarshal(data, &value); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(throughJSON(t, value)); err != nil {
			t.Errorf("an editor marks %s: %v", name, err)
		}
	}
}

func compileSchema(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("yett.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("yett.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func throughJSON(t *testing.T, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSchemaIsPrinted(t *testing.T) {
	got := call(t, nil, "schema")
	if got.code != exitOK || !json.Valid([]byte(got.stdout)) {
		t.Errorf("exit code %d, stderr %q, %d bytes", got.code, got.stderr, len(got.stdout))
	}
}

// The generated pages are in the repository, so that they can be read there.
func TestReferenceIsCurrent(t *testing.T) {
	dir := t.TempDir()
	if got := call(t, nil, "reference", "--dir", dir); got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	for _, name := range []string{"configuration.md", "errors.md", "yett.schema.json"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("../../docs/reference", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("docs/reference/%s is not what `make docs` writes (%v)", name, err)
		}
	}
}

func TestErrorsPageHasEveryReason(t *testing.T) {
	page := errorsPage(catalog.Reasons())
	for _, r := range catalog.Reasons() {
		if !strings.Contains(page, "| `"+r.Name+"` | ") || r.Help == "" {
			t.Errorf("%s is not there, or nobody says what to do", r.Name)
		}
	}
}

// cancelled is a context that has ended.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// TestExplainMissing has two kinds of files that aren't there: one that is read, one that is to be written.
func TestExplainMissing(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "logs")
	_, err := os.OpenFile(filepath.Join(folder, "app.log"), os.O_CREATE|os.O_WRONLY, 0o600)
	if got := explain(fmt.Errorf("open the access log: %w", err), "").Error(); !strings.HasSuffix(got, "; make its folder: mkdir -p "+folder) {
		t.Error(got)
	}
	_, err = os.ReadFile(filepath.Join(folder, "yett.yaml"))
	if got := explain(fmt.Errorf("read the configuration: %w", err), "").Error(); !strings.Contains(got, "name the file with --config") {
		t.Error(got)
	}
}

func TestOutcomeJSON(t *testing.T) {
	var out strings.Builder
	refused := control.Outcome{Problems: problem.List{{File: "a.yaml", Line: 1, Column: 2, What: "wrong"}}}
	_ = Process{Stdout: &out, Stderr: io.Discard}.showOutcome(refused, true)
	for _, want := range []string{`"changes": []`, `"kept": {}`, `"line": 1`, `"what": "wrong"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "0001-01-01") {
		t.Errorf("a time that there is not: %s", out.String())
	}
}
