//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"yett/examples/psa/services/kit"
)

// environ are the variables by which verbs find the gateway and its services.
func (p *platform) environ(more ...string) []string {
	_, port, _ := strings.Cut(p.addr, ":")
	env := slices.DeleteFunc(slices.Clone(p.cmd.Env), func(v string) bool { return strings.HasPrefix(v, "PORT=") })
	return append(append(env, "PORT="+port), more...)
}

// What was called, and what was not, is told after some calls.
func TestDocsCoverageVerb(t *testing.T) {
	p := startPlatform(t)
	p.documented()
	p.login("tech@example.com")
	id := decode[struct{ ID string }](t, p.call("POST", "/api/v1/tickets", `{"subject":"Fire","customerId":"`+kit.DemoID("customer", "bakery")+`"}`).want(t, 201)).ID
	p.call("GET", "/api/v1/tickets/"+id, "").want(t, 200)
	p.call("POST", "/api/v1/tickets", `{"subject":7}`).want(t, 400)
	p.call("GET", "/api/v1/tickets/"+id+"/history/2", "").want(t, 404)
	p.call("GET", "/api/v1/tickets/"+kit.NewID()+"/history/3", "").want(t, 404)
	p.login("admin@example.com")
	env := p.environ("YETT_TOKEN=" + p.token)
	code, stdout, stderr := yett(t, env, "docs", "coverage", "tickets", "-c", exampleConfig)
	words := strings.Join(strings.Fields(stdout), " ")
	for _, want := range []string{
		"tickets: 2 of 19 operations called; 2 undocumented calls, 1 bad request ",
		" POST /api/v1/tickets 2 times 1 bad request ", " DELETE /api/v1/tickets/{id} never called ", " GET /api/v1/tickets/{}/history/{} 2 times not documented",
		"1 operation is called, and all is well",
	} {
		if code != 0 || stderr != "" || !strings.Contains(words, want) {
			t.Errorf("%d %s: %q is not in\n%s", code, stderr, want, stdout)
		}
	}
	if strings.Contains(words, " GET /api/v1/tickets/{id} ") {
		t.Errorf("what is called and well is shown without --all\n%s", stdout)
	}
	code, stdout, _ = yett(t, env, "docs", "coverage", "--json", "-c", exampleConfig)
	var page struct{ Services []struct{ Service string } }
	if err := json.Unmarshal([]byte(stdout), &page); err != nil || code != 0 || len(page.Services) != 8 {
		t.Errorf("%d, %v, %s", code, err, stdout)
	}
	p.login("tech@example.com")
	for _, tt := range []struct {
		env  []string
		args []string
		want string
	}{
		{p.environ("YETT_TOKEN=" + p.token), nil, "answers 403 INSUFFICIENT_PERMISSIONS; the access token has to be of a caller whom the route's policy rbac lets pass"},
		{p.environ(), nil, "answers 401 NO_TOKEN; give an access token with --bearer or YETT_TOKEN"},
		{env, []string{"ticket"}, `there is no service "ticket", did you mean "tickets"?`},
		{env, []string{"ticket", "--url", p.url + "/internal/docs"}, `there is no service "ticket", did you mean "tickets"?`},
		{env, []string{"--url", p.url}, "such as " + p.url + "/internal/docs"},
	} {
		code, stdout, stderr := yett(t, tt.env, append([]string{"docs", "coverage", "-c", exampleConfig}, tt.args...)...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: %d, %s%s, want %q", tt.args, code, stdout, stderr, tt.want)
		}
	}
}

// What is exported is what the gateway serves, and there is nothing wrong with it.
func TestDocsExportVerb(t *testing.T) {
	p := startPlatform(t)
	p.documented()
	dir := t.TempDir()
	for name, args := range map[string][]string{"3.1.json": nil, "3.1.yaml": nil, "3.0.json": {"--openapi", "3.0"}, "3.0.yaml": {"--openapi", "3.0"}} {
		file := filepath.Join(dir, name)
		if code, _, stderr := yett(t, p.environ(), append([]string{"docs", "export", "-c", exampleConfig, "-o", file}, args...)...); code != 0 || stderr != "" {
			t.Errorf("%s: %d %s", name, code, stderr)
		}
		served := p.call("GET", "/api-docs"+filepath.Ext(name)+"?version="+name[:3], "").want(t, 200).body
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		if same := string(text) == served; filepath.Ext(name) == ".yaml" && !same || compact(t, name, text) != compact(t, name, []byte(served)) {
			t.Errorf("%s is not what the gateway serves", name)
		}
	}
	code, stdout, stderr := yett(t, p.environ(), "docs", "lint", "--strict", "-c", exampleConfig)
	if code != 0 || stderr != "" || !strings.HasSuffix(stdout, "nothing found in 5 documents") || strings.Count(stdout, "note: GET /health is not in the gateway's document") != 4 {
		t.Errorf("%d %s\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = yett(t, p.environ("CRM_SERVICE_URL="+nobody, "TICKETS_SERVICE_URL="+nobody), "docs", "export", "-c", exampleConfig)
	for _, want := range []string{"the service crm (/openapi.json) can't be had: ", "the service tickets (/openapi.json)", "because 2 documents are missing"} {
		if code != 1 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%d %s, want %q\n%.100s", code, stderr, want, stdout)
		}
	}
	code, stdout, stderr = yett(t, p.environ(), "explain", "GET", "/api/v1/tickets/"+kit.NewID(), "--as", "technician", "--documents", "-c", exampleConfig)
	if code != 0 || !strings.Contains(stdout, "operation GET /api/v1/tickets/{id} of tickets") {
		t.Errorf("%d %s\n%s", code, stderr, stdout)
	}
}

// compact is JSON without blanks, and YAML as it is.
func compact(t *testing.T, name string, text []byte) string {
	t.Helper()
	if filepath.Ext(name) == ".yaml" {
		return string(text)
	}
	var v json.RawMessage
	if err := json.Unmarshal(text, &v); err != nil {
		t.Errorf("%s: %v", name, err)
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}
