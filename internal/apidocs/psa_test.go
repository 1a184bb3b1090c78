package apidocs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"yett/internal/apidocs"
	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/openapi"
	"yett/internal/openapi/lint"
)

// The example platform with the services' own documents, as `yett docs export` makes it.
func TestExamplePlatform(t *testing.T) {
	conf, err := os.ReadFile("../../examples/psa/yett.yaml")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	services := map[string]string{"auth": "auth", "users": "auth", "crm": "crm", "tickets": "tickets"}
	for name, own := range services {
		data, err := os.ReadFile(filepath.Join("../../examples/psa/services", own, "openapi.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name+".yaml"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		at := regexp.MustCompile(`(?ms)^  ` + name + `:.*?^    openapi: .*?\n(      path: .*?\n)?`)
		conf = at.ReplaceAllFunc(conf, func(found []byte) []byte {
			head, _, _ := bytes.Cut(found, []byte("    openapi: "))
			return []byte(string(head) + "    openapi: {file: " + name + ".yaml}\n")
		})
	}
	file := filepath.Join(folder, "yett.yaml")
	if err := os.WriteFile(file, conf, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JWT_SECRET", "0123456789abcdef0123456789abcdef")
	d, err := app.NewDocuments(t.Context(), app.Options{File: file, Env: config.OSEnv(), Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range d.Sources {
		if s.Problem != "" {
			t.Fatalf("%s: %s", s.Service, s.Problem)
		}
	}
	examine(t, d.Edition.Merged)
}

func examine(t *testing.T, m *apidocs.Merged) {
	t.Helper()
	older := m.Document.Downgrade()
	apidocs.Valid(t, openapi.Version31, m.Document)
	apidocs.Valid(t, openapi.Version30, older)
	for _, f := range append(lint.Lint(m.Document), lint.Lint(older)...) {
		if f.Severity == lint.Error {
			t.Errorf("%s at %s", f, f.Path)
		}
	}
	byService := map[string]int{}
	for _, s := range m.Shown {
		byService[s.Service]++
	}
	for _, name := range []string{"auth", "users", "crm", "tickets"} {
		if byService[name] == 0 {
			t.Errorf("nothing of %s is shown: %v", name, byService)
		}
	}
	for _, l := range m.Left {
		t.Logf("left: %s %s %s: %s", l.Service, l.Method, l.Path, l.Why)
	}
	paths := m.Document.Root.Get("paths")
	for path, method := range map[string]string{"/api/v1/auth/login": "post", "/api/v1/tickets": "post", "/api/v1/customers": "get", "/internal/limits": "delete", "/health": "get"} {
		if paths.At(path, method) == nil {
			t.Errorf("there is no %s %s", method, path)
		}
	}
	if login := paths.At("/api/v1/auth/login", "post"); len(login.Get("security").Elements()) != 0 || login.At("responses", "413") == nil {
		t.Errorf("login: %s", login.AppendJSON(nil, ""))
	}
	if ticket := paths.At("/api/v1/tickets", "post", "responses", "429"); ticket == nil {
		t.Error("a ticket knows no limit")
	}
	if strings.Contains(string(m.Document.Root.AppendJSON(nil, "")), "localhost:300") {
		t.Error("an address of a service is named")
	}
}
