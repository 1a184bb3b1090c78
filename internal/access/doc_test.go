package access

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"yett/internal/app"
	"yett/internal/config"
)

// The example of the documentation does what is said there.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/testing-access.md")
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, block := range strings.Split(string(page), "```yaml\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		first, _, _ := strings.Cut(text, "\n")
		if name, ok := strings.CutPrefix(first, "# "); ok {
			files[name] = text
		}
	}
	if len(files) != 2 {
		t.Fatalf("%d files in the page", len(files))
	}
	needTokens(t)
	play := func(t *testing.T, files map[string]string) *Report {
		table := filepath.Join(write(t, files), "access.yaml")
		f, err := Load(table, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Run(app.Options{Env: config.MapEnv(nil), Stderr: t.Output()})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := play(t, files)
	for _, row := range r.Differences() {
		t.Errorf("line %d: %s as %s: got %s, want %s: %q", row.Line, row.Request, row.Caller, row.Got, row.Expected, row.Because)
	}
	if len(r.Rows) != 64 {
		t.Errorf("%d rows", len(r.Rows))
	}
	files["yett.yaml"] = strings.Replace(files["yett.yaml"], "min_role: tenant_admin", "min_role: technician", 1)
	d := play(t, files).Differences()
	if len(d) != 2 || d[0].Line != 36 || d[0].Column != 41 || d[0].Caller != "technician" || d[0].Got != "pass route:tenants service:crm" {
		t.Errorf("%+v", d)
	}
}
