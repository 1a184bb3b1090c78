package cli

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/admin"
	"yett/internal/openapi"
	"yett/internal/store/redis/redistest"
)

// docsConfig has a service that serves its document, and one whose document is a file.
const docsConfig = `
listeners: [{address: "127.0.0.1:PORT"}]
issuers: {main: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}}
roles: {admin: {level: 100}}
policies: {validate: {mode: observe}}
services:
  desks: {targets: ["DESKS"], openapi: {path: /openapi.yaml, timeout: 5s}}
  chairs: {targets: ["http://127.0.0.1:1"], openapi: {file: chairs.yaml}}
routes:
  - {name: status, path: /internal/docs, methods: GET, auth: required, endpoint: docs_status, policies: {jwt: , rbac: {exact_role: admin}}}
  - {name: desks, path: /desks/**, auth: none, service: desks}
  - {name: chairs, path: /chairs/**, auth: none, service: chairs}
`

const chairsDocument = `openapi: 3.0.3
info: {title: Chairs, version: "1"}
servers: [{url: "https://chairs.example.org"}]
paths:
  /chairs:
    get:
      operationId: chairs
      summary: All chairs
      responses:
        "200": {description: Chairs}
  /health:
    get:
      operationId: health
      summary: Is it well?
      responses:
        "200": {description: Well}
`

// docsPlatform writes a configuration whose services have these documents.
func docsPlatform(t *testing.T, desks http.HandlerFunc, chairs string) (config string) {
	t.Helper()
	server := httptest.NewServer(desks)
	t.Cleanup(server.Close)
	return docsPlatformAt(t, "0", server.URL, chairs)
}

func docsPlatformAt(t *testing.T, port, desks, chairs string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"yett.yaml": strings.NewReplacer("PORT", port, "DESKS", desks).Replace(docsConfig), "chairs.yaml": chairs} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "yett.yaml")
}

// says answers with a text.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

func TestDocsExport(t *testing.T) {
	conf := docsPlatform(t, says(deskDocument), chairsDocument)
	for _, tt := range []struct {
		args []string
		want string // how the document begins
	}{
		{nil, "{\n  \"openapi\": \"3.1.0\""},
		{[]string{"--format", "yaml"}, "openapi: '3.1.0'\n"},
		{[]string{"--openapi", "3.0"}, "{\n  \"openapi\": \"3.0."},
		{[]string{"--openapi", "3.0", "--format", "yaml"}, "openapi: '3.0."},
	} {
		got := call(t, nil, append([]string{"docs", "export", "-c", conf}, tt.args...)...)
		doc, err := openapi.Parse("it", []byte(got.stdout), openapi.DefaultLimits())
		if err != nil || got.code != exitOK || got.stderr != "" || !strings.HasPrefix(got.stdout, tt.want) || !strings.HasSuffix(got.stdout, "\n") {
			t.Errorf("%q: %v, %+v", tt.args, err, got)
			continue
		}
		for _, path := range []string{"/desks", "/chairs"} {
			if doc.Root.At("paths", path, "get") == nil {
				t.Errorf("%q: %s is missing", tt.args, path)
			}
		}
		if doc.Root.At("paths", "/health") != nil {
			t.Errorf("%q: what no route leads to is there", tt.args)
		}
	}
}

// The name of the file says how it is written, and --format wins.
func TestDocsExportFile(t *testing.T) {
	conf := docsPlatform(t, says(deskDocument), chairsDocument)
	for _, tt := range []struct {
		name, begin string
		args        []string
	}{{"o.yaml", "openapi", nil}, {"o.YML", "openapi", nil}, {"o.json", "{", nil}, {"o", "{", nil}, {"o.yaml", "{", []string{"--format", "json"}}} {
		name := filepath.Join(t.TempDir(), tt.name)
		got := call(t, nil, append([]string{"docs", "export", "-c", conf, "-o", name}, tt.args...)...)
		text, err := os.ReadFile(name)
		if err != nil || got.code != exitOK || got.stdout != name+": 3 operations, OpenAPI 3.1\n" || !strings.HasPrefix(string(text), tt.begin) {
			t.Errorf("%s: %v, %+v, %.20q", tt.name, err, got, text)
		}
	}
	got := call(t, nil, "docs", "export", "-c", conf, "-o", filepath.Join(t.TempDir(), "none", "o.json"))
	expectDocs(t, "no such folder", got, exitFail, nil, []string{"yett: write the document: open "})
}

// Without all documents nothing is written, unless that is asked for.
func TestDocsExportMissing(t *testing.T) {
	conf := docsPlatform(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) }, "openapi: 3.1.0\npaths: 7\n")
	name := filepath.Join(t.TempDir(), "o.json")
	got := call(t, nil, "docs", "export", "-c", conf, "-o", name)
	expectDocs(t, "missing", got, exitFail, nil, []string{
		"yett: the document of the service desks (/openapi.yaml) can't be had: the answer is 404 Not Found\n",
		"yett: the document of the service chairs (chairs.yaml) can't be had: ", "chairs.yaml:2:8: ",
		"yett: nothing was written, because 2 documents are missing; start the services, or write the rest with --partial\n",
	})
	if _, err := os.Stat(name); err == nil || got.stdout != "" {
		t.Errorf("something was written: %v, %q", err, got.stdout)
	}
	got = call(t, nil, "docs", "export", "-c", conf, "-o", name, "--partial")
	expectDocs(t, "partial", got, exitOK, []string{": 1 operation, OpenAPI 3.1\n"}, []string{"the service desks"})
}

// A service that does not answer is not waited for beyond --wait.
func TestDocsExportLate(t *testing.T) {
	end := make(chan struct{})
	conf := docsPlatform(t, func(http.ResponseWriter, *http.Request) { <-end }, chairsDocument)
	defer close(end)
	begin := time.Now()
	got := call(t, nil, "docs", "export", "-c", conf, "--wait", "50ms")
	expectDocs(t, "late", got, exitFail, nil, []string{"the service desks (/openapi.yaml) can't be had: there was no answer in time; --wait says", "because 1 document is missing"})
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestDocsExportMisused(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--openapi", "3"}, exitUsage, `yett: --openapi is "3"; write 3.0 or 3.1`},
		{[]string{"--openapi", "3.1.0"}, exitUsage, `--openapi is "3.1.0"; write 3.0 or 3.1`},
		{[]string{"--openapi", "3.2"}, exitUsage, `--openapi is "3.2"; write 3.0 or 3.1`},
		{[]string{"--format", "yml"}, exitUsage, `yett: --format is "yml", did you mean "yaml"?`},
		{[]string{"--wait", "0s"}, exitUsage, "yett: --wait is not more than 0s\n"},
		{[]string{"yett.yaml"}, exitUsage, "the file is given by -c: yett docs export -c yett.yaml"},
		{[]string{"-c", "none.yaml"}, exitFail, "none.yaml"},
		{[]string{"-c", file(t, wrong)}, exitFail, "2 problems; nothing was written"},
	} {
		got := call(t, nil, append([]string{"docs", "export"}, tt.args...)...)
		if got.code != tt.code || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%q: %+v, want %q", tt.args, got, tt.want)
		}
	}
}

// Without FILE the documents of the configuration are looked at, and what is made of them.
func TestDocsLintPlatform(t *testing.T) {
	conf := docsPlatform(t, says(strings.Replace(deskDocument, "      summary: All desks\n", "", 1)), chairsDocument)
	chairs := filepath.Join(filepath.Dir(conf), "chairs.yaml")
	got := call(t, nil, "docs", "lint", "-c", conf)
	expectDocs(t, "warned", got, exitOK, []string{
		"desks/openapi.yaml:7:7: warning: GET /desks has no summary and no description",
		chairs + ":13:7: note: GET /health is not in the gateway's document: no route leads to it\n",
		"merged:", " in 3 documents\n",
	}, nil)
	if without := call(t, nil, "docs", "lint", "-c", conf, "--ignore", "summary-missing"); without.code != exitOK || strings.Contains(without.stdout, "summary-missing") || !strings.Contains(got.stdout, "merged:") {
		t.Errorf("without a rule %+v", without)
	}
	expectDocs(t, "strict", call(t, nil, "docs", "lint", "--strict", "-c", conf), exitFail, nil, []string{"in 3 documents"})
	exported := strings.Split(call(t, nil, "docs", "export", "--format", "yaml", "-c", conf).stdout, "\n")
	merged := 0
	for line := range strings.Lines(got.stdout) {
		var at, column int
		if n, _ := fmt.Sscanf(line, "merged:%d:%d:", &at, &column); n != 2 {
			continue
		}
		merged++
		if strings.Contains(line, "GET /desks has no summary") && strings.TrimSpace(exported[at-1]) != "get:" && !strings.HasPrefix(strings.TrimSpace(exported[at-1]), "tags:") {
			t.Errorf("%sis at %q in what is exported", line, exported[at-1])
		}
	}
	if merged == 0 {
		t.Errorf("nothing about the gateway's document\n%s", got.stdout)
	}
	got = call(t, nil, "docs", "lint", "--json", "-c", conf)
	var report lintReport
	if err := json.Unmarshal([]byte(strings.ReplaceAll(got.stdout, `"severity": "warning"`, `"severity": 1`)), &report); err != nil {
		t.Fatal(err, got.stdout)
	}
	if report.Documents != 3 || len(report.Notes) != 1 || report.Notes[0] != (noteRow{chairs, 13, 7, "chairs", "GET", "/health", "no route leads to it"}) {
		t.Errorf("%+v", report)
	}
}

// What is hidden on purpose is no mistake, and paths that no route sends are told once.
func TestDocsLintLeft(t *testing.T) {
	conf := docsPlatform(t, says(deskDocument), strings.ReplaceAll(chairsDocument, "/chairs:", "/items:"))
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "service: desks}", "service: desks, docs: hidden}", 1))
	if err := os.WriteFile(conf, text, 0o600); err != nil {
		t.Fatal(err)
	}
	chairs := filepath.Join(filepath.Dir(conf), "chairs.yaml")
	const why = "none of the 2 operations of chairs is reached: route chairs sends /chairs/…, the document has /items: forward.strip_prefix, or servers of the document?"
	got := call(t, nil, "docs", "lint", "-c", conf)
	if want := chairs + ":5:3: note: " + why + "\n"; got.code != exitOK || strings.Count(got.stdout, "note: ") != 1 || !strings.Contains(got.stdout, want) {
		t.Errorf("%+v, want %q", got, want)
	}
}

func TestDocsLintMissing(t *testing.T) {
	conf := docsPlatform(t, says("<!doctype html><html>"), "openapi: 3.1.0\npaths: 7\n")
	chairs := filepath.Join(filepath.Dir(conf), "chairs.yaml")
	expectDocs(t, "missing", call(t, nil, "docs", "lint", "-c", conf), exitFail, []string{
		"desks/openapi.yaml: error: the document of the service desks can't be had: it is an HTML page", " (document)\n",
		chairs + ":2:8: error: ",
	}, []string{"in 1 document\n"})
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-c", conf, chairs}, exitUsage, "--config means nothing with FILE"},
		{[]string{"--wait", "1s", chairs}, exitUsage, "--wait means nothing with FILE"},
		{[]string{"--wait", "0s"}, exitUsage, "--wait is not more than 0s"},
		{[]string{"-c", file(t, wrong)}, exitFail, "2 problems; nothing was looked at"},
	} {
		expectDocs(t, fmt.Sprint(tt.args), call(t, nil, append([]string{"docs", "lint"}, tt.args...)...), tt.code, nil, []string{tt.want})
	}
}

const coverageAnswer = `{"timestamp":"2026-01-02T03:04:00.000Z","operations":7,"bytes":900,"services":[
{"service":"desks","state":"stale","from":"/openapi.json","problem":"the answer is 502 Bad Gateway","title":"Desks","openapi":"3.1","loaded":"2026-01-02T03:00:00.000Z","checked":"2026-01-02T03:03:57.000Z","bytes":1,
 "notes":["desks/openapi.json:7:7: the pattern makes no sense"],"watched":true,"unwatchedRoutes":["raw"],"calls":[
 {"method":"GET","path":"/desks","public":["/desks"],"calls":1200,"badRequests":0,"badAnswers":0,"unchecked":0},
 {"method":"POST","path":"/desks","public":["/desks"],"calls":10,"badRequests":2,"badAnswers":1,"unchecked":3},
 {"method":"GET","path":"/desks/{id}","public":["/api/desks/{id}"],"calls":0,"badRequests":0,"badAnswers":0,"unchecked":0},
 {"method":"GET","path":"/secret","calls":1,"badRequests":0,"badAnswers":0,"unchecked":0},
 {"method":"GET","path":"/inner","hidden":true,"calls":1,"badRequests":0,"badAnswers":0,"unchecked":0},
 {"method":"GET","path":"/health","calls":0,"badRequests":0,"badAnswers":0,"unchecked":0}],
 "unknown":[{"method":"GET","path":"/desks/{}/drawers","calls":7},{"method":"GET","path":"/evil\u001b[2J","calls":1}],"moreUnknown":4},
{"service":"chairs","state":"good","from":"chairs.yaml","title":"Chairs","openapi":"3.0","watched":false,"calls":[
 {"method":"GET","path":"/chairs","public":["/chairs"],"calls":0,"badRequests":0,"badAnswers":0,"unchecked":0}]},
{"service":"later","state":"waiting","from":"/openapi.json","problem":"connection refused","watched":true},
{"service":"plain","state":"none","watched":false}],
"left":[{"service":"desks","method":"GET","path":"/health","why":"no route leads to it"},
{"service":"desks","method":"GET","path":"/inner","why":"the route inner has docs: hidden","hidden":true},
{"service":"stock","why":"none of the 3 operations of stock is reached"}]}`

const coverageShown = `desks: 4 of 5 operations called; 12 undocumented calls, 2 bad requests, 1 bad answer; not counted on the route raw; by the last good document, of 2026-01-02T03:00:00.000Z
  its latest document can't be used: the answer is 502 Bad Gateway
  not checked: desks/openapi.json:7:7: the pattern makes no sense
  POST  /desks             10 times      2 bad requests, 1 bad answer, 3 too large to look at
  GET   /desks/{id}        never called  for callers /api/desks/{id}
  GET   /secret            once          not in the gateway's document
  GET   /desks/{}/drawers  7 times       not documented
  GET   /evil` + "\uFFFD" + `[2J          once          not documented
  and 4 further calls not documented, of too many kinds to list
chairs: 1 operation; calls are not counted, because no route to it has the policy validate
later: no document yet, from /openapi.json
  its latest document can't be used: connection refused
plain: no document; the configuration names one by openapi of the service
documented, and not in the gateway's document:
  none of the 3 operations of stock is reached
  desks  GET  /health  no route leads to it
2 operations are called, and all is well; --all lists what was left out
`

func TestCoverageText(t *testing.T) {
	var page admin.DocsPage
	if err := json.Unmarshal([]byte(coverageAnswer), &page); err != nil {
		t.Fatal(err)
	}
	if got := coverageText(&page, false); got != coverageShown {
		t.Errorf("got\n%s\nwant\n%s", got, coverageShown)
	}
	all := coverageText(&page, true)
	for _, want := range []string{"  GET   /desks             1200 times\n", "  GET   /health            never called  not in the gateway's document\n",
		"  GET   /inner             once          hidden\n", "  desks  GET  /inner   the route inner has docs: hidden\n"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
	if strings.Contains(all, "all is well") {
		t.Errorf("something was left out\n%s", all)
	}
	if got := coverageText(&admin.DocsPage{}, false); got != "there are no services in its configuration\n" {
		t.Errorf("without services: %q", got)
	}
}

func TestCoverageAtTheGateway(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		status, code int
		want         string
	}{
		{"shown", coverageAnswer, 200, exitOK, coverageShown},
		{"not known", `{"error":{"code":"TOKEN_EXPIRED"}}`, 401, exitFail, "yett: nothing can be shown: URL answers 401 TOKEN_EXPIRED; the access token of --bearer or YETT_TOKEN is no good\n"},
		{"not allowed", `{"error":{"code":"NO"}}`, 403, exitFail, "answers 403 NO; the access token has to be of a caller"},
		{"no such page", `<html>`, 404, exitFail, "answers 404 ; there is no endpoint docs_status; --url is the address of the page itself"},
		{"limited", `{"error":{"code":"RATE_LIMIT_EXCEEDED","message":"Too many requests"}}`, 429, exitFail, "answers 429 RATE_LIMIT_EXCEEDED: Too many requests\n"},
		{"refused", `{"error":{"code":"BAD_REQUEST","message":"The query has service, once"}}`, 400, exitFail, "answers 400 BAD_REQUEST: The query has service, once\n"},
		{"another page", `{}`, 200, exitFail, "gives no answer of a gateway; --url is the address of the page itself, the path of the route that has the endpoint docs_status included, such as URL/internal/docs\n"},
		{"no gateway", `<html>`, 200, exitFail, "gives no answer of a gateway"},
	} {
		server, asked := gatewayStub(t, tt.status, tt.answer)
		server.Start()
		got := call(t, env{"YETT_TOKEN": "the-token"}, "docs", "coverage", "--url", server.URL)
		if want := strings.ReplaceAll(tt.want, "URL", server.URL); got.code != tt.code || !strings.Contains(got.stdout+got.stderr, want) {
			t.Errorf("%s: %+v, want %q", tt.name, got, want)
		}
		if !strings.Contains(asked.String(), "the-token") {
			t.Errorf("%s: asked was %q", tt.name, asked)
		}
	}
}

// Which services there are is asked where the name is not one of them.
func TestCoverageNoSuchService(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("service") == "" {
			fmt.Fprint(w, coverageAnswer)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":{"code":"BAD_REQUEST","message":"There is no service of that name"}}`)
	}))
	t.Cleanup(server.Close)
	got := call(t, nil, "docs", "coverage", "chair", "--url", server.URL)
	expectDocs(t, "misspelt", got, exitFail, nil, []string{"yett: nothing can be shown: " + server.URL + `: there is no service "chair", did you mean "chairs"?`})
	got = call(t, nil, "docs", "coverage", "desks", "--url", server.URL)
	expectDocs(t, "known", got, exitFail, nil, []string{"answers 400 BAD_REQUEST: There is no service of that name"})
}

func TestCoverageJSON(t *testing.T) {
	server, _ := gatewayStub(t, 200, coverageAnswer)
	server.Start()
	got := call(t, nil, "docs", "coverage", "--json", "--url", server.URL)
	var page admin.DocsPage
	if err := json.Unmarshal([]byte(got.stdout), &page); err != nil {
		t.Fatal(err)
	}
	if got.code != exitOK || !strings.HasPrefix(got.stdout, "{\n  \"timestamp\"") || coverageText(&page, false) != coverageShown {
		t.Errorf("%+v", got)
	}
}

func TestCoverageMisused(t *testing.T) {
	nobody := redistest.Reserve(t)
	_, port, err := net.SplitHostPort(nobody.Address)
	if err != nil {
		t.Fatal(err)
	}
	at := docsPlatformAt(t, port, "http://127.0.0.1:1", chairsDocument)
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"a", "b"}, exitUsage, "one service is shown, or all of them"},
		{[]string{"-c", at}, exitFail, "nothing can be shown: nobody was asked: nobody listens at http://" + nobody.Address + "/internal/docs; start the gateway"},
		{[]string{"chair", "-c", at}, exitFail, `there is no service "chair", did you mean "chairs"?`},
		{[]string{"-c", file(t, small)}, exitFail, "only a running gateway knows what is called, and no route of the gateway has the endpoint docs_status for GET; add one"},
		{[]string{"-c", file(t, wrong)}, exitFail, "1 problem; nobody was asked"},
		{[]string{"--url", "ftp://x"}, exitFail, "nobody was asked: ftp://x is no address of a page: it has to begin with http:// or https:// and a host; --url is the address of the page itself, the path of the route that has the endpoint docs_status included, such as http://x/internal/docs\n"},
		{[]string{"--url", "localhost:3000"}, exitFail, "localhost:3000 is no address of a page"},
		{[]string{"--url", "http:///x"}, exitFail, "http:///x is no address of a page"},
	} {
		got := call(t, nil, append([]string{"docs", "coverage"}, tt.args...)...)
		if got.code != tt.code || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%q: %+v, want %q", tt.args, got, tt.want)
		}
	}
	if got := call(t, nil, cobra.ShellCompRequestCmd, "docs", "coverage", "-c", at, ""); got.stdout != "desks\nchairs\n:4\n" {
		t.Errorf("completion: %+v", got)
	}
}

// The operation is known by a file at once, and by the service's own document when it is
// asked for.
func TestExplainShowsOperation(t *testing.T) {
	conf := docsPlatform(t, says(deskDocument), chairsDocument)
	broken := docsPlatform(t, says("<html>"), chairsDocument)
	for _, tt := range []struct {
		args       []string
		want, none string
	}{
		{[]string{"-c", conf, "GET", "/chairs"}, "operation GET /chairs of chairs", "note"},
		{[]string{"-c", conf, "GET", "/chairs/7"}, "the document of chairs does not know it", "note"},
		{[]string{"-c", conf, "GET", "/desks"}, "the document of the service desks is its own to give; --documents asks for it", "operation GET"},
		{[]string{"-c", conf, "GET", "/desks", "--documents"}, "operation GET /desks of desks", "note"},
		{[]string{"-c", broken, "GET", "/desks", "--documents"}, "the document of the service desks (/openapi.yaml) can't be had: it is an HTML page", "operation GET"},
	} {
		got := call(t, nil, append([]string{"explain"}, tt.args...)...)
		if got.code != exitOK || !strings.Contains(got.stdout, tt.want) || strings.Contains(got.stdout, tt.none) {
			t.Errorf("%q: %+v", tt.args, got)
		}
	}
}
