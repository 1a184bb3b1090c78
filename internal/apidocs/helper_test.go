package apidocs

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/goleak"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/openapi"
	"yett/internal/openapi/lint"
	"yett/internal/openapi/source"
	"yett/internal/policy"
	"yett/internal/route"
	"yett/internal/snapshot"
	"yett/internal/sweep"
	"yett/internal/upstream"
	"yett/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// page is a page of the gateway.
type page struct{}

func (page) Serve(x *exchange.Exchange) { x.Status = 200 }

// files are documents by the names of their files.
type files map[string]string

// compile returns the snapshot of a configuration, which may leave out what all have.
func compile(t testing.TB, text string, docs files) *snapshot.Snapshot {
	t.Helper()
	folder := t.TempDir()
	for name, doc := range docs {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(text, "listeners:") {
		text = "listeners: [{address: \"127.0.0.1:0\"}]\n" + text
	}
	c, err := config.Parse(filepath.Join(folder, "yett.yaml"), []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	sweeper := sweep.New()
	t.Cleanup(sweeper.Close)
	s, err := snapshot.Compile(c, snapshot.Deps{
		Policy: policy.Deps{Version: "1.2.3"}, Upstream: upstream.Deps{Buffers: &wire.Buffers{}, Sweeper: sweeper},
		Endpoints: map[string]snapshot.Endpoint{"health": page{}, "limits": page{}, "services": page{}, "docs": page{}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Retire(nil) })
	for _, src := range s.Documents().All() {
		if st := src.State(); st.Phase != source.Good {
			t.Fatalf("the document of %s: %s %v", st.Service, st.Problem, st.Problems)
		}
	}
	return s
}

const ownComponents = `{"components": {"schemas": {
  "GatewayError": {"type": "object", "required": ["error"], "properties": {"error": {"$ref": "#/components/schemas/GatewayBody"}}},
  "GatewayBody": {"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}}},
  "GatewayHealth": {"type": "object"}, "GatewayUnused": {"type": "object"}}}}`

const ownPages = `{
  "health": {"summary": "How it is", "parameters": [{"name": "deep", "in": "query", "schema": {"type": "boolean"}}],
    "get": {"operationId": "gatewayHealth", "summary": "Health", "responses": {"200": {"description": "Fine", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/GatewayHealth"}}}}}}},
  "limits": {
    "get": {"operationId": "gatewayLimits", "summary": "Limits", "responses": {"200": {"description": "Fine"}}},
    "post": {"operationId": "gatewayLimitsPost", "summary": "Set", "responses": {"200": {"description": "Fine"}}},
    "delete": {"operationId": "gatewayForget", "summary": "Forget", "responses": {"204": {"description": "Gone"}}}}}`

func value(t testing.TB, text string) *openapi.Node {
	t.Helper()
	const around = `{openapi: 3.1.0, info: {title: T, version: "1"}, paths: {}, x-value: %s}`
	d, err := openapi.Parse("value.yaml", fmt.Appendf(nil, around, text), openapi.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return d.Root.Get("x-value")
}

func hubOptions(t testing.TB) Options {
	pages, components := value(t, ownPages), &openapi.Document{Version: openapi.Version31, Root: value(t, ownComponents)}
	return Options{
		Own:        func(endpoint string) *openapi.Node { return pages.Get(endpoint).Clone() },
		Components: func() *openapi.Document { return components }, Log: slog.New(slog.DiscardHandler),
	}
}

func input(t testing.TB, s *snapshot.Snapshot) Input { return New(hubOptions(t)).input(s) }

// merge makes the document of a configuration, and checks what holds for all of them.
func merge(t testing.TB, text string, docs files) *Merged {
	t.Helper()
	s := compile(t, text, docs)
	m := Merge(input(t, s))
	check(t, s, m)
	return m
}

// check checks what holds for every merged document.
func check(t testing.TB, s *snapshot.Snapshot, m *Merged) {
	t.Helper()
	older := m.Document.Downgrade()
	valid(t, openapi.Version31, m.Document)
	valid(t, openapi.Version30, older)
	for _, d := range []*openapi.Document{m.Document, older} {
		for _, f := range lint.Lint(d) {
			if f.Severity == lint.Error {
				t.Errorf("%s: %s at %s", d.Version, f, f.Path)
			}
		}
	}
	if again := Merge(input(t, s)); jsonText(again.Document) != jsonText(m.Document) {
		t.Error("a second document of the same is another one")
	}
	reached(t, s, m)
	unused(t, m.Document)
}

func jsonText(d *openapi.Document) string { return string(d.Root.AppendJSON(nil, " ")) }

// schemas are the official ones, compiled once.
var schemas = map[string]*jsonschema.Schema{}

func valid(t testing.TB, version string, d *openapi.Document) {
	t.Helper()
	schema := schemas[version]
	if schema == nil {
		c := jsonschema.NewCompiler()
		var err error
		if schema, err = c.Compile("../openapi/lint/oas/" + version + ".json"); err != nil {
			t.Fatal(err)
		}
		schemas[version] = schema
	}
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(jsonText(d)))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(instance); err != nil {
		t.Errorf("the document is not valid as %s: %v", version, err)
	}
}

// reached sends a request to the path of each operation, and looks at what the service would
// see of it.
func reached(t testing.TB, s *snapshot.Snapshot, m *Merged) {
	t.Helper()
	for i, shown := range m.Shown {
		n := 0
		real := braces.ReplaceAllStringFunc(shown.Path, func(string) string { n++; return fmt.Sprintf("val%d-%d", i, n) })
		r := routeOf(s, shown.Route)
		x := sampleRequest(r.Config())
		x.Method, x.RawPath = shown.Method, real
		got, reason := s.Match(x)
		if reason != nil || got != r {
			t.Errorf("%+v: %s gets to %v, %v", shown, real, got.Name, reason)
			continue
		}
		there := &exchange.Exchange{RawPath: r.ServicePath(x)}
		if route.Normalize(there) != nil {
			t.Errorf("%+v: the service sees %q", shown, there.RawPath)
			continue
		}
		op, _ := s.Documents().Of(shown.Service).Loaded().Contract.Match(shown.Method, there.Path)
		if op == nil || op.Path != shown.ServicePath {
			t.Errorf("%+v: the service takes %s for %+v", shown, there.Path, op)
		}
		if operation(m, shown.Method+" "+shown.Path) == nil {
			t.Errorf("%+v is not in the document", shown)
		}
	}
}

func routeOf(s *snapshot.Snapshot, name string) *snapshot.Route {
	all := s.Routes()
	return all[slices.IndexFunc(all, func(r *snapshot.Route) bool { return r.Name == name })]
}

// unused complains of components to which nothing refers. Schemes are used by name.
func unused(t testing.TB, d *openapi.Document) {
	t.Helper()
	used := map[string]bool{}
	d.Walk(func(n *openapi.Node, p openapi.Part) bool {
		used[n.Str("$ref")] = true
		for _, m := range n.At("discriminator", "mapping").Pairs() {
			used[m.Value.Text] = true
		}
		for _, requirement := range n.Get("security").Elements() {
			for _, r := range requirement.Pairs() {
				used[componentsRef+"securitySchemes/"+r.Name] = true
			}
		}
		return true
	})
	for _, section := range d.Root.Get("components").Pairs() {
		for _, c := range section.Value.Pairs() {
			if ref := componentsRef + section.Name + "/" + c.Name; !used[ref] {
				t.Errorf("nothing refers to %s", ref)
			}
		}
	}
}

// operation returns what a document says of a method and path, such as "GET /tickets".
func operation(m *Merged, key string) *openapi.Node {
	method, path, _ := strings.Cut(key, " ")
	return m.Document.Root.At("paths", path, strings.ToLower(method))
}

// shown lists what is shown as "GET /path", by the service's own path where that is another.
func shown(m *Merged) (all []string) {
	for _, s := range m.Shown {
		line := s.Method + " " + s.Path
		if s.ServicePath != s.Path {
			line += " -> " + s.ServicePath
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

func wantShown(t *testing.T, m *Merged, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := shown(m); !slices.Equal(got, want) {
		t.Errorf("shown:\n %s\nwant:\n %s\nleft: %+v", strings.Join(got, "\n "), strings.Join(want, "\n "), m.Left)
	}
}

// at follows a path of names and numbers, and compares the value there with JSON.
func wantAt(t *testing.T, n *openapi.Node, want string, names ...string) {
	t.Helper()
	n = (&openapi.Document{Root: n}).Deref(n)
	for _, name := range names {
		if list := n.Elements(); list != nil {
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(list) {
				n = nil
				break
			}
			n = list[i]
			continue
		}
		n = n.Get(name)
	}
	switch {
	case want == "" && n != nil:
		t.Errorf("%v is there: %s", names, n.AppendJSON(nil, ""))
	case want != "" && n == nil:
		t.Errorf("%v is not there, want %s", names, want)
	case want != "" && !n.Equal(value(t, want)):
		t.Errorf("%v is %s, want %s", names, n.AppendJSON(nil, ""), want)
	}
}

// doc makes a document of paths and components, which may be "", and further members.
func doc(paths, components string, more ...string) string {
	all := map[string]json.RawMessage{"openapi": json.RawMessage(`"3.1.0"`), "info": json.RawMessage(`{"title": "T", "version": "1"}`), "paths": json.RawMessage(paths)}
	if components != "" {
		all["components"] = json.RawMessage(components)
	}
	for i := 0; i+1 < len(more); i += 2 {
		all[more[i]] = json.RawMessage(more[i+1])
	}
	text, err := json.Marshal(maps.Clone(all))
	if err != nil {
		panic(err)
	}
	return string(text)
}

// ops makes paths with operations that say nothing: "GET /tickets/{id}". Values are declared.
func ops(list ...string) string {
	paths := map[string]map[string]any{}
	for _, key := range list {
		method, path, _ := strings.Cut(key, " ")
		op := map[string]any{"responses": map[string]any{"200": map[string]any{"description": "Fine"}}}
		params := []any{}
		for _, name := range valuesOf(path) {
			params = append(params, map[string]any{"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
		}
		op["parameters"] = params
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(method)] = op
	}
	text, _ := json.Marshal(paths)
	return string(text)
}

// services names services, each with a document of its name.
func services(names ...string) string {
	text := "services:\n"
	for _, name := range names {
		text += fmt.Sprintf("  %s: {targets: [\"http://127.0.0.1:1\"], openapi: {file: %s.json}}\n", name, name)
	}
	return text
}

type node = openapi.Node
