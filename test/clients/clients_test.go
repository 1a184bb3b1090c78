//go:build linux

package clients

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Independent tools find nothing wrong with the document, in none of its forms.
func TestDocument(t *testing.T) {
	t.Parallel()
	gateway := startDemo(t)
	files := make(map[string]string)
	dir := t.TempDir()
	for _, form := range []string{"3.1 json", "3.1 yaml", "3.0 json", "3.0 yaml"} {
		files[form] = save(t, gateway, form, dir)
	}
	t.Run("YAML says the same", func(t *testing.T) {
		for _, version := range []string{"3.1", "3.0"} {
			j, y := readJSON(t, filepath.Join(dir, files[version+" json"])), readYAML(t, filepath.Join(dir, files[version+" yaml"]))
			if !reflect.DeepEqual(j, y) {
				t.Errorf("%s: JSON and YAML differ", version)
			}
		}
	})
	work := workspace(t, modules(t), "ts/validate.mjs")
	run := command{dir: work, timeout: patience, env: []string{"REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true"}}
	tool := func(name string) string { return filepath.Join(work, "node_modules", ".bin", name) }
	for _, name := range files {
		copyInto(t, work, filepath.Join(dir, name))
	}
	t.Run("validator", func(t *testing.T) {
		run.must(t, "node", "validate.mjs", files["3.1 json"], files["3.1 yaml"], files["3.0 json"], files["3.0 yaml"])
	})
	// What is the same in JSON and in YAML is looked at once.
	t.Run("redocly", func(t *testing.T) {
		out, log, err := run.run(t, tool("redocly"), "lint", "--extends=recommended-strict", "--format=json", files["3.1 json"], files["3.0 yaml"])
		redoclyFoundNothing(t, 2, out, log, err)
	})
	t.Run("spectral", func(t *testing.T) {
		put(t, filepath.Join(work, "rules.yaml"), []byte("extends: ['spectral:oas']\n"))
		out, log, err := run.run(t, tool("spectral"), "lint", "--quiet", "--ruleset=rules.yaml", "--format=json", "--fail-severity=hint", files["3.1 json"], files["3.0 yaml"])
		if err != nil || strings.TrimSpace(out) != "[]" {
			t.Errorf("%v\n%s%s", err, out, log)
		}
	})
}

// redoclyReport is what redocly says of a file.
type redoclyReport struct {
	Totals   *struct{ Errors, Warnings, Ignored int }
	Problems []struct {
		RuleID, Severity, Message string
		Location                  []struct{ Pointer string }
	}
}

// redoclyFoundNothing reads the reports, one for each file: warnings do not show
// in the exit code.
func redoclyFoundNothing(t *testing.T, files int, out, log string, err error) {
	t.Helper()
	reports := json.NewDecoder(strings.NewReader(out))
	for range files {
		var report redoclyReport
		if bad := reports.Decode(&report); bad != nil || report.Totals == nil {
			t.Fatalf("%v, %v\n%s%s", err, bad, out, log)
		}
		for _, p := range report.Problems {
			t.Errorf("%s %s: %s at %v", p.Severity, p.RuleID, p.Message, p.Location)
		}
		if report.Totals.Ignored != 0 {
			t.Errorf("%+v", *report.Totals)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

func readJSON(t *testing.T, file string) (v any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// readYAML returns a document as JSON would have it.
func readYAML(t *testing.T, file string) (v any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if text, err = json.Marshal(v); err != nil {
		t.Fatal(err)
	}
	v = nil
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// aroundTypes are ways to say to the compiler of TypeScript that one knows
// better.
var aroundTypes = regexp.MustCompile(`\bas \w|\bany\b|[\w)\]]![^=]|@ts-(ignore|nocheck)`)

// comment is a line that is no code, nor tells the compiler anything.
var comment = regexp.MustCompile(`^\s*// [^@]`)

// A client in TypeScript knows what is answered, refusals too.
func TestTypeScript(t *testing.T) {
	t.Parallel()
	work := workspace(t, modules(t), "ts/main.ts", "ts/tsconfig.json", "ts/openapi-ts.config.mjs")
	program, err := os.ReadFile("ts/main.ts")
	if err != nil {
		t.Fatal(err)
	}
	for n, line := range strings.Split(string(program), "\n") {
		if !comment.MatchString(line) && aroundTypes.MatchString(line) {
			t.Errorf("main.ts:%d goes around the types: %s", n+1, line)
		}
	}
	gateway := startDemo(t)
	name := save(t, gateway, "3.1 json", work)
	run := command{dir: work, timeout: patience}
	run.must(t, filepath.Join(work, "node_modules/.bin/openapi-ts"), "-f", "openapi-ts.config.mjs", "-i", name)
	run.must(t, filepath.Join(work, "node_modules/.bin/tsc"), "--strict", "-p", ".")
	if out := run.must(t, "node", append([]string{"out/main.js"}, technician(gateway)...)...); out != steps {
		t.Errorf("it did\n%swant\n%s", out, steps)
	}
}

// A client in Go has each answer, refusals too, in a field of its type.
func TestGo(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	for _, name := range []string{"main.go", "go.mod", "go.sum", "oapi-codegen.yaml"} {
		copyInto(t, work, filepath.Join("testdata/go", name))
	}
	if err := os.Mkdir(filepath.Join(work, "api"), 0o755); err != nil {
		t.Fatal(err)
	}
	// The flags of `make build`, so that the standard library is not compiled anew.
	run := command{dir: work, timeout: 2 * patience, env: []string{"GOFLAGS=-mod=mod -trimpath", "CGO_ENABLED=0", "GOWORK=off"}}
	generator := filepath.Join(work, "oapi-codegen")
	_, log, err := run.run(t, "go", "build", "-o", generator, "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen")
	skipWithout(t, "oapi-codegen", log, err)
	gateway := startDemo(t)
	run.must(t, generator, "-config", "oapi-codegen.yaml", save(t, gateway, "3.0 json", work))
	_, log, err = run.run(t, "go", "build", "-o", "client", ".")
	skipWithout(t, "what generated clients need", log, err)
	if out := run.must(t, filepath.Join(work, "client"), technician(gateway)...); out != steps {
		t.Errorf("it did\n%swant\n%s", out, steps)
	}
}
