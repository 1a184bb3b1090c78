package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

const deskDocument = `openapi: 3.1.0
info: {title: Desk, version: "1"}
servers: [{url: "https://desk.example.org"}]
paths:
  /desks:
    get:
      operationId: desks
      summary: All desks
      responses:
        "200": {description: Desks, content: {application/json: {schema: {type: array, items: {type: string}}}}}
`

// document writes an OpenAPI document.
func document(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDocsLint(t *testing.T) {
	good := document(t, "good.yaml", deskDocument)
	warned := document(t, "warned.yaml", strings.Replace(deskDocument, "      summary: All desks\n", "", 1))
	bad := document(t, "bad.yaml", strings.Replace(deskDocument, "summary", "sumary", 1))
	unread := document(t, "unread.yaml", "openapi: 3.1.0\npaths: {/x: {$ref: 'other.yaml'}}\n")
	missing := filepath.Join(t.TempDir(), "missing.yaml")
	for _, tt := range []struct {
		name, stdin string
		args        []string
		code        int
		out, err    []string
	}{
		{"good", "", []string{good}, exitOK, []string{"nothing found in 1 document\n"}, nil},
		{"standard input", deskDocument, []string{"-", good}, exitOK, []string{"nothing found in 2 documents\n"}, nil},
		{"a warning", "", []string{warned}, exitOK, []string{warned + ":7:7: warning: GET /desks has no summary and no description, say in a few words what it does (summary-missing)\n", "1 warning in 1 document\n"}, nil},
		{"a warning that counts", "", []string{"--strict", warned}, exitFail, []string{"(summary-missing)"}, []string{"yett: 1 warning in 1 document\n"}},
		{"an error", "", []string{bad}, exitFail, []string{bad + ":8:7: error: unknown key \"sumary\", did you mean \"summary\"? (structure)\n"}, []string{"yett: 1 error, 1 warning in 1 document\n"}},
		{"a reference out of it", "", []string{unread}, exitFail, []string{unread + ":2:", "leads out of the document", "(reference)", `has no "info"`}, []string{"yett: 2 errors, 1 warning in 1 document\n"}},
		{"no document", "", []string{document(t, "none.yaml", "a: 1")}, exitFail, []string{"(document)"}, []string{"yett: 1 error in 1 document\n"}},
		{"a rule that is not wanted", "", []string{"--strict", "--ignore", "summary-missing", warned}, exitOK, []string{"nothing found in 1 document\n"}, nil},
		{"two rules that are not wanted", "", []string{"--ignore=summary-missing", "--ignore=structure", "--strict", bad}, exitOK, []string{"nothing found in 1 document\n"}, nil},
		{"a rule that is misspelt", "", []string{"--ignore", "sumary-missing", warned}, exitUsage, nil, []string{`yett: --ignore is "sumary-missing", and there is no such rule; did you mean "summary-missing"?`}},
		{"a rule that is not there", "", []string{"--ignore", "x", warned}, exitUsage, nil, []string{`--ignore is "x", and there is no such rule; see --rules`}},
		{"rules", "", []string{"--rules"}, exitOK, []string{"summary-missing (warning)\n  finds:  operations without summary and description\n  remedy: say in a few words what it does\n", "structure (error)\n"}, nil},
		{"rules as JSON", "", []string{"--rules", "--json"}, exitOK, []string{`"rule": "servers"`, `"severity": "warning"`, `"remedy": "`}, nil},
		{"rules of a file", "", []string{"--rules", good}, exitUsage, nil, []string{"FILE means nothing with --rules"}},
		{"rules and a flag", "", []string{"--rules", "--strict"}, exitUsage, nil, []string{"--strict means nothing with --rules"}},
		{"no such file", "", []string{missing}, exitFail, nil, []string{"reading the document: open " + missing}},
		{"no file and no configuration", "", []string{"-c", missing}, exitFail, nil, []string{"read the configuration: open " + missing}},
		{"standard input twice", "", []string{"-", "-"}, exitUsage, nil, []string{"standard input can be read only once"}},
	} {
		got := callWith(t, tt.stdin, nil, append([]string{"docs", "lint"}, tt.args...)...)
		expectDocs(t, tt.name, got, tt.code, tt.out, tt.err)
	}
}

// Shells complete the names of rules.
func TestDocsLintCompletes(t *testing.T) {
	got := call(t, nil, cobra.ShellCompRequestCmd, "docs", "lint", "--ignore", "")
	if !strings.Contains(got.stdout, "servers\ta document without servers") || !strings.HasSuffix(got.stdout, ":4\n") {
		t.Errorf("%+v", got)
	}
}

// A role that does not pass any more is found in what gateways serve.
func TestDocsDiffRoles(t *testing.T) {
	old := document(t, "old.yaml", deskDocument+"      x-yett: {route: desks, roles: [agent, admin]}\n")
	narrowed := document(t, "new.yaml", deskDocument+"      x-yett: {route: desks, roles: [admin]}\n")
	expectDocs(t, "narrowed", call(t, nil, "docs", "diff", old, narrowed), exitFail,
		[]string{"breaking: callers of the role agent do not pass any more (roles-narrowed)\n    " + old + ":11:15 -> " + narrowed + ":11:15\n"}, []string{"yett: 1 breaking change\n"})
}

func expectDocs(t *testing.T, name string, got result, code int, out, err []string) {
	t.Helper()
	if got.code != code {
		t.Errorf("%s: exit code %d, want %d", name, got.code, code)
	}
	for _, want := range out {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%s: %q is not in\n%s", name, want, got.stdout)
		}
	}
	for _, want := range err {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %q is not in the errors\n%s", name, want, got.stderr)
		}
	}
	if len(err) == 0 && got.stderr != "" {
		t.Errorf("%s: errors\n%s", name, got.stderr)
	}
}

func TestDocsLintJSON(t *testing.T) {
	bad := document(t, "bad.yaml", strings.Replace(deskDocument, "summary", "sumary", 1))
	got := call(t, nil, "docs", "lint", "--json", bad)
	var report struct{ Documents, Errors, Warnings int }
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if got.code != exitFail || report.Documents != 1 || report.Errors != 1 || report.Warnings != 1 {
		t.Errorf("%+v", got)
	}
	for _, want := range []string{`"severity": "error"`, `"path": "#/paths/~1desks/get/sumary"`, `"line": 8`} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%s is not in\n%s", want, got.stdout)
		}
	}
}

func TestDocsDiff(t *testing.T) {
	old := document(t, "old.yaml", deskDocument)
	broken := document(t, "new.yaml", strings.Replace(deskDocument, "items: {type: string}", "items: {type: integer}", 1))
	warned := document(t, "new.yaml", strings.Replace(deskDocument, "operationId: desks", "operationId: listDesks", 1))
	more := document(t, "new.yaml", deskDocument+`        "404": {description: None}`+"\n")
	none := document(t, "none.yaml", "a: 1")
	for _, tt := range []struct {
		name     string
		args     []string
		code     int
		out, err []string
	}{
		{"the same", []string{old, old}, exitOK, []string{"no changes\n"}, nil},
		{"broken", []string{old, broken}, exitFail, []string{"GET /desks\n  breaking: answer 200[]: the type was string and is integer (type-changed)\n    " + old + ":10:", " -> " + broken + ":10:", "1 breaking change\n"}, []string{"yett: 1 breaking change\n"}},
		{"broken, which is fine", []string{"--fail-on", "none", old, broken}, exitOK, []string{"1 breaking change\n"}, nil},
		{"a warning", []string{old, warned}, exitOK, []string{"warning: the operationId was", "1 warning\n"}, nil},
		{"a warning that counts", []string{"--fail-on", "warning", old, warned}, exitFail, nil, []string{"yett: 1 warning\n"}},
		{"an addition", []string{"-v", "--fail-on=warning", old, more}, exitOK, []string{"info: the answer 404 is new (status-added)", "1 other change\n"}, nil},
		{"from standard input", []string{"-", broken}, exitFail, []string{"stdin:10:"}, []string{"1 breaking change"}},
		{"JSON", []string{"--json", old, broken}, exitFail, []string{`"breaking": 1`, `"level": "breaking"`, `"operation": "GET /desks"`, `"line": 10`}, []string{"1 breaking change"}},
		{"standard input twice", []string{"-", "-"}, exitUsage, nil, []string{"standard input can be read only once"}},
		{"no document", []string{old, none}, exitUsage, nil, []string{none + ":1:1:"}},
		{"no file", []string{old, none + "x"}, exitUsage, nil, []string{"reading the document"}},
		{"one file", []string{old}, exitUsage, nil, []string{"yett: two documents are compared, and only " + old + " is named: name the old one and the new one\n"}},
		{"none", nil, exitUsage, nil, []string{"yett: two documents are compared: name the old one and the new one\n"}},
		{"three", []string{old, old, old}, exitUsage, nil, []string{"yett: two documents are compared, and 3 are named"}},
		{"no such level", []string{"--fail-on", "warnin", old, old}, exitUsage, nil, []string{`did you mean "warning"?`}},
	} {
		got := callWith(t, deskDocument, nil, append([]string{"docs", "diff"}, tt.args...)...)
		expectDocs(t, tt.name, got, tt.code, tt.out, tt.err)
	}
}
