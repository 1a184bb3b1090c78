package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"yett/internal/catalog"
	"yett/internal/config"
)

// folder writes files and returns where they are.
func folder(t *testing.T, files map[string]string) (path func(name string) string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(name string) string { return filepath.Join(dir, name) }
}

// feed is call with something on standard input.
func feed(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr output
	code := Main(t.Context(), Process{Args: args, Stdin: bytes.NewBufferString(stdin), Stdout: &stdout, Stderr: &stderr, Env: config.MapEnv(nil)})
	return result{code, stdout.String(), stderr.String()}
}

const explained = `
name: gate
listeners: [{name: public, address: "127.0.0.1:3000"}, {name: other, address: "127.0.0.1:3001", limits: {request_line: 64}}]
trusted_proxies: [10.0.0.0/8]
services:
  app: {targets: ["http://127.0.0.1:1", "http://127.0.0.1:2"]}
routes:
  - {name: one, path: "/app/{id}", auth: none, service: app}
  - {name: all, path: /**, methods: [GET], auth: none, service: app}
  - {name: hi, path: /hi, auth: none, policies: {respond: {text: "hello\nyou"}}}
  - {name: red, path: /red, auth: none, policies: {respond: {text: "\x1b[31m"}}}
`

func TestExplain(t *testing.T) {
	name := file(t, explained)
	got := call(t, nil, "explain", "-c", name, "GET", "http://api.example/app//7?token=abc&x=1", "--ip", "10.0.0.1",
		"-H", "X-Forwarded-For: 203.0.113.7, 10.0.0.2", "-H", "X-User-ID: root", "-H", "Accept: */*")
	want := `request    GET /app//7?token=***&x=1 HTTP/1.1
           to api.example, listener public, plain
client     203.0.113.7: X-Forwarded-For from right to left, up to the first that is not in trusted_proxies
           the other end of the connection is 10.0.0.1
dropped    X-User-ID: only the gateway may say it
route      one: any method, /app/{id}, auth none
             id = 7
           the path is matched as /app/7
           not all, /**: one is more specific
caller     nobody whom the gateway knows
answers    service app at 127.0.0.1:1, 127.0.0.1:2
guards     breaker (enforce): opens after 5 failures in a row, or when 50% of 20 requests or more within 10s have failed, for 30s
           1 further try for connect, reset, within 20% of the requests or 3 a second; balanced by least_requests
is sent    GET /app/7?token=***&x=1 HTTP/1.1
           Host: 127.0.0.1:1
           X-Forwarded-For: 203.0.113.7, 10.0.0.2, 10.0.0.1
           Accept: */*
           X-Forwarded-Proto: http
           X-Forwarded-Host: api.example
           X-Gateway: gate
answer     what the service app says, with

It passes: the service app answers.
`
	if got.code != exitOK || got.stdout != want || got.stderr != "" {
		t.Errorf("got\n%s%s\nwant\n%s", got.stdout, got.stderr, want)
	}
}

func TestExplainRefusal(t *testing.T) {
	name := file(t, explained)
	got := call(t, nil, "explain", "-c", name, "POST", "/x")
	for _, want := range []string{
		"route      none\n           not all, /**: it is for GET\n",
		"answers    gateway\nanswer     405\n",
		"           Allow: GET, HEAD\n",
		`           {"error":{"code":"METHOD_NOT_ALLOWED",`,
		"\nIt is refused by the routes with 405 METHOD_NOT_ALLOWED, reason method_not_allowed: The method is not allowed here.\nHelp: A route matches but for its methods; Allow lists them.\n",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in\n%s", want, got.stdout)
		}
	}
	if got.code != exitOK {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	got = call(t, nil, "explain", "-c", name, "GET", "/hi")
	if want := "answer     200\n           Content-Type: text/plain; charset=utf-8   (respond)\n\n           hello\n           you\n\nIt passes: the policy respond answers.\n"; !strings.HasSuffix(got.stdout, want) {
		t.Errorf("got\n%s\nwant\n%s", got.stdout, want)
	}
	got = call(t, nil, "explain", "-c", name, "GET", "/"+strings.Repeat("x", 64), "--listener", "other")
	if !strings.Contains(got.stdout, "refused by the engine with 414 URI_TOO_LONG") {
		t.Errorf("got\n%s", got.stdout)
	}
	// What a terminal would take for a command is not printed.
	got = call(t, nil, "explain", "-c", name, "GET", "/red?\u009b31m")
	if strings.ContainsAny(got.stdout, "\x1b\u009b") || strings.Count(got.stdout, "\uFFFD") != 2 {
		t.Errorf("got %q", got.stdout)
	}
}

// JSON has the same content.
func TestExplainJSON(t *testing.T) {
	name := file(t, explained)
	got := call(t, nil, "explain", "-c", name, "--json", "GET", "https://api.example/app/7")
	var e explanation
	d := json.NewDecoder(strings.NewReader(got.stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		t.Fatal(err, got)
	}
	if got := strings.Join(e.Guards, "; "); !strings.HasPrefix(got, "breaker (enforce): ") || !strings.HasSuffix(got, "balanced by least_requests") {
		t.Errorf("guards: %q", e.Guards)
	}
	if e.Config != name || e.Route.Name != "one" || e.Sent.Line != "GET /app/7 HTTP/1.1" || e.Answers.Name != "app" || e.Request.Listener != "public" ||
		len(e.Notes) != 1 || !strings.Contains(e.Notes[0], "https") {
		t.Errorf("%+v", e)
	}
}

// What guards the service is said with regard to the request, and only of a service.
func TestExplainGuards(t *testing.T) {
	name := file(t, `
listeners: [{address: "127.0.0.1:3000"}]
services:
  app:
    targets: ["http://127.0.0.1:1", "http://127.0.0.1:2"]
    balance: {algorithm: hash, hash: [header.X-Tenant, path.id], sticky: {cookie: s, secret: 0123456789abcdef}}
    hedge: {after: 20ms, percentile: 95}
    concurrency: {max: 200}
    breaker: {mode: observe, failure_ratio: 0%}
  other: {targets: ["http://127.0.0.1:3"], breaker: {mode: off}}
routes:
  - {name: other, path: /other, auth: none, service: other}
  - {name: one, path: "/app/{id}", auth: none, service: app}
  - {name: all, path: "/all", auth: none, service: app}
  - {name: app, path: "/hi", auth: none, policies: {respond: {text: hello}}}
`)
	const breaker = "guards     breaker (observe): opens after 5 failures in a row, for 30s\n"
	const same = "           1 further try for connect, reset, within 20% of the requests or 3 a second; GET and HEAD hedged when later than 95 of 100 answers, and 20ms at least; " +
		"at most 200 in flight, 100 wait for up to 100ms; balanced by hash of header.X-Tenant, path.id, "
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"/app/7"}, breaker + same + "which this request has; sticky by the cookie s, which this request does not have\n"},
		{[]string{"/all", "-H", "Cookie: a=b; s=secret"}, breaker + same + "of which this request has nothing, so by least_requests; sticky by the cookie s, which this request has\n"},
		{[]string{"/all", "-H", "X-Tenant: secret"}, breaker + same + "which this request has; sticky by"},
		{[]string{"/other"}, "guards     no breaker\n"},
		{[]string{"/hi"}, ""},
		{[]string{"/nowhere"}, ""},
	} {
		got := call(t, nil, append([]string{"explain", "-c", name, "GET"}, tt.args...)...)
		_, guards, _ := strings.Cut(got.stdout, "guards ")
		guards, _, _ = strings.Cut(guards, "is sent")
		if !strings.Contains(got.stdout, tt.want) || tt.want == "" && guards != "" || strings.Contains(guards, "secret") {
			t.Errorf("%q: got\n%s%s\nwant\n%s", tt.args, got.stdout, got.stderr, tt.want)
		}
	}
}

func TestExplainExpect(t *testing.T) {
	name := file(t, explained)
	for _, tt := range []struct {
		url, expect string
		code        int
		stderr      string
	}{
		{"/app/7", "pass", exitOK, ""},
		{"/app/7", "pass service:app", exitOK, ""},
		{"/hi", "200", exitOK, ""},
		{"/%zz", "400 bad_path", exitOK, ""},
		{"/%zz", "pass", exitFail, "yett: expected pass, got 400 BAD_REQUEST bad_path\n"},
		{"/app/7", "404", exitFail, "yett: expected 404, got pass route:one service:app\n"},
	} {
		got := call(t, nil, "explain", "-c", name, "GET", tt.url, "--expect", tt.expect)
		if got.code != tt.code || got.stderr != tt.stderr || !strings.Contains(got.stdout, "\nIt ") {
			t.Errorf("%s, expected %s: exit code %d, %q", tt.url, tt.expect, got.code, got.stderr)
		}
	}
}

func TestExplainMisused(t *testing.T) {
	name := file(t, explained)
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"GET"}, exitUsage, "want yett explain METHOD URL, got 1 argument"},
		{[]string{"GET", "/", "--ip", "here"}, exitUsage, `--ip: "here" is not an IP address`},
		{[]string{"GET", "/", "--expect", "passes"}, exitUsage, `did you mean "pass"?`},
		{[]string{"GET", "/", "--as", "a", "--token", "b"}, exitUsage, "--token and --as both say who calls"},
		{[]string{"GET", "/", "--listener", "publik"}, exitFail, `there is no listener "publik"; did you mean "public"?`},
		{[]string{"GET", "/", "--as", "technician"}, exitFail, "--as: issuer: the configuration has no issuers"},
		{[]string{"GET", "/", "--as", "{rol: a}"}, exitFail, `unknown key "rol", did you mean "role"?`},
		{[]string{"GET", "/", "--tests", "no.yaml"}, exitFail, "there is no table no.yaml; docs/testing-access.md says"},
	} {
		got := call(t, nil, append([]string{"explain", "-c", name}, tt.args...)...)
		if got.code != tt.code || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%q: %+v, want %q", tt.args, got, tt.want)
		}
	}
	got := call(t, nil, "explain", "-c", file(t, wrong), "GET", "/")
	if got.code != exitFail || !strings.HasSuffix(got.stderr, "\n2 problems; nothing could be explained\n") {
		t.Errorf("%+v", got)
	}
}

// A token is sent and not shown.
func TestExplainToken(t *testing.T) {
	name := file(t, explained)
	for _, tt := range []struct{ flag, stdin string }{{"s3cr3t", ""}, {"-", "s3cr3t\n"}, {"-", "Bearer s3cr3t\n"}} {
		got := feed(t, tt.stdin, "explain", "-c", name, "GET", "/app/7", "--token", tt.flag)
		if got.code != exitOK || !strings.Contains(got.stdout, "Authorization: Bearer *** (6 bytes)\n") || strings.Contains(got.stdout, "s3cr3t") {
			t.Errorf("%q: %+v", tt.flag, got)
		}
	}
	if got := feed(t, " \n", "explain", "-c", name, "GET", "/app/7", "--token", "-"); got.code != exitFail || got.stderr != "yett: there is no token\n" {
		t.Errorf("%+v", got)
	}
}

const table = `
config: yett.yaml
env: {PORT: "4000"}
tests:
  - {request: GET /ready, expect: {anonymous: pass endpoint:ready}}
  - request: GET /hi/it's?loud=1
    headers: {Host: a.example.org}
    expect: {anonymous: 403}
`

func TestTest(t *testing.T) {
	path := folder(t, map[string]string{"yett.yaml": small, "access.yaml": table, "good.yaml": strings.Replace(table, "403", "200", 1),
		"bad.yaml": "tests: 1", "broken.yaml": "config: wrong.yaml\n" + strings.SplitN(table, "\n", 3)[2], "wrong.yaml": wrong})
	got := call(t, nil, "test", path("access.yaml"), path("good.yaml"))
	want := path("access.yaml") + `:8:25: GET /hi/it's?loud=1 as anonymous
  expected  403
  got       pass 200 route:hi policy:respond
  try       yett explain --tests ` + path("access.yaml") + ` --as anonymous -H 'Host: a.example.org' GET '/hi/it'\''s?loud=1'

` + path("access.yaml") + `: 1 of 2 rows not as expected of ` + path("yett.yaml") + `
` + path("good.yaml") + `: ok, 2 rows as expected of ` + path("yett.yaml") + "\n"
	if got.code != exitFail || got.stdout != want || got.stderr != "yett: 1 of 4 rows not as expected\n" {
		t.Errorf("got  %s%s\nwant %s", got.stdout, got.stderr, want)
	}
	if got := call(t, nil, "test", "-v", path("good.yaml")); got.code != exitOK || !strings.HasPrefix(got.stdout, path("good.yaml")+":5:47: GET /ready as anonymous: pass route:ready endpoint:ready\n") {
		t.Errorf("%+v", got)
	}
	got = call(t, nil, "test", "--json", path("access.yaml"))
	var reports []struct {
		File string
		Rows []struct{ OK bool }
	}
	if err := json.Unmarshal([]byte(got.stdout), &reports); err != nil || len(reports) != 1 || !reports[0].Rows[0].OK || reports[0].Rows[1].OK || got.code != exitFail {
		t.Errorf("%v: %+v", err, got)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "requires at least 1 arg"},
		{[]string{path("bad.yaml")}, exitFail, "1 problem; " + path("bad.yaml") + " was not run\n"},
		{[]string{path("broken.yaml")}, exitFail, path("wrong.yaml") + `:3:5: listeners[0]: unknown key "colour"`},
		{[]string{"-c", path("wrong.yaml"), path("good.yaml")}, exitFail, path("wrong.yaml") + ":3:5: "},
	} {
		if got := call(t, nil, append([]string{"test"}, tt.args...)...); got.code != tt.code || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%q: %+v, want %q", tt.args, got, tt.want)
		}
	}
}

// The command that a difference names shows the same verdict.
func TestTestNamesWhatToTry(t *testing.T) {
	path := folder(t, map[string]string{"yett.yaml": small, "access.yaml": table})
	got := call(t, nil, "explain", "--tests", path("access.yaml"), "--as", "anonymous", "-H", "Host: a.example.org", "GET", "/hi/it's?loud=1", "--expect", "pass 200 route:hi policy:respond")
	if got.code != exitOK || !strings.Contains(got.stdout, "name = it's") {
		t.Errorf("%+v", got)
	}
}

// What is made up needs no secret of an issuer; what serves or verifies does, and
// so does all else that is not set.
func TestNoSecretIsNeeded(t *testing.T) {
	needTokens(t)
	text := strings.Replace(issued, "secret: 0123456789abcdef0123456789abcdef", `secret: "${JWT_SECRET}"`, 1)
	path := folder(t, map[string]string{
		"yett.yaml": text, "target.yaml": strings.Replace(text, "127.0.0.1:1", "${TARGET}", 1),
		"access.yaml": "config: yett.yaml\ncallers: {tech: {role: technician}}\ntests: [{request: GET /admin, expect: {tech: 403, anonymous: 401}}]",
	})
	const note = "${JWT_SECRET} is not set: something made up stood in, because no issuer's key is asked\n"
	if got := call(t, nil, "explain", "-c", path("yett.yaml"), "GET", "/admin", "--as", "tenant_admin", "--expect", "pass"); got.code != exitOK || !strings.Contains(got.stdout, "note       "+note) {
		t.Errorf("%+v", got)
	}
	want := path("access.yaml") + ": " + note + path("access.yaml") + ": ok, 2 rows as expected of " + path("yett.yaml") + "\n"
	if got := call(t, nil, "test", path("access.yaml")); got.code != exitOK || got.stdout != want {
		t.Errorf("%+v", got)
	}
	secret := env{"JWT_SECRET": "0123456789abcdef0123456789abcdef"}
	if got := call(t, secret, "test", path("access.yaml")); got.code != exitOK || strings.Contains(got.stdout, "JWT_SECRET") {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{
		{"check", "-c", path("yett.yaml")}, {"routes", "-c", path("yett.yaml")}, {"token", "mint", "-c", path("yett.yaml")},
		{"explain", "-c", path("yett.yaml"), "GET", "/admin"}, {"explain", "-c", path("yett.yaml"), "GET", "/admin", "--token", "a.b.c"},
	} {
		if got := call(t, nil, args...); got.code != exitFail || !strings.Contains(got.stderr, "${JWT_SECRET} is not set") {
			t.Errorf("%q: %+v", args, got)
		}
	}
	var out output
	if code := Main(cancelled(t), Process{Args: []string{"run", "-c", path("yett.yaml")}, Stdout: &out, Stderr: &out, Env: config.MapEnv(nil)}); code != exitFail {
		t.Errorf("run: exit code %d: %s", code, out.String())
	}
	got := call(t, nil, "explain", "-c", path("target.yaml"), "GET", "/admin", "--as", "technician")
	if got.code != exitFail || !strings.Contains(got.stderr, "${TARGET} is not set") || strings.Contains(got.stderr, "JWT_SECRET") {
		t.Errorf("%+v", got)
	}
}

func TestTestNeedsATable(t *testing.T) {
	got := call(t, nil, "test", "nope.yaml")
	if got.code != exitFail || got.stderr != "yett: there is no table nope.yaml; docs/testing-access.md says how one is written, a small one is "+smallTable+"\n" {
		t.Errorf("%+v", got)
	}
	if _, err := loadTable(folder(t, map[string]string{"a.yaml": smallTable})("a.yaml"), nil); err != nil {
		t.Error(err)
	}
	// Of a table that is there, the configuration is missing.
	path := folder(t, map[string]string{"access.yaml": table})
	if got := call(t, nil, "test", path("access.yaml")); got.code != exitFail || !strings.Contains(got.stderr, "name the file with --config") {
		t.Errorf("%+v", got)
	}
}

// A table without a configuration of its own takes the usual one.
func TestTestWithoutConfig(t *testing.T) {
	path := folder(t, map[string]string{"other.yaml": small, "access.yaml": strings.Replace(table, "config: yett.yaml", "", 1)})
	got := call(t, env{"YETT_CONFIG": path("other.yaml")}, "test", path("access.yaml"))
	if !strings.HasSuffix(got.stdout, "rows not as expected of "+path("other.yaml")+"\n") {
		t.Errorf("%+v", got)
	}
}

// Every verb, those below others too, has words and an example, and takes
// arguments strictly.
func TestSubcommands(t *testing.T) {
	for _, args := range [][]string{{"token", "mnt"}, {"token", "mint", "x"}, {"token", "decode", "a", "b"}, {"token", "mint", "--rol", "a"}} {
		if got := call(t, nil, args...); got.code != exitUsage || !strings.Contains(got.stderr, "yett token") {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if got := call(t, nil, "token", "mnt"); !strings.Contains(got.stderr, `there is no command "mnt"; did you mean "mint"?`) {
		t.Errorf("%+v", got)
	}
	if got := call(t, nil, "token"); got.code != exitOK || !strings.Contains(got.stdout, "decode") {
		t.Errorf("%+v", got)
	}
}

func TestCompletionOfNames(t *testing.T) {
	path := folder(t, map[string]string{"yett.yaml": `
listeners: [{name: public, address: ":1"}, {address: ":2"}]
issuers: {auth: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}}
roles: {admin: {level: 2}, user: {level: 1}}
routes: [{name: a, path: /, auth: none, policies: {respond: {text: a}}}]
`})
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"explain", ""}, "GET\nHEAD\nPOST\nPUT\nPATCH\nDELETE\nOPTIONS\n:4\n"},
		{[]string{"explain", "GET", ""}, ":4\n"},
		{[]string{"explain", "-c", path("yett.yaml"), "--listener", ""}, "public\n:4\n"},
		{[]string{"explain", "-c", path("yett.yaml"), "--as", ""}, "admin\nuser\nanonymous\n:4\n"},
		{[]string{"explain", "--tests", ""}, "yaml\nyml\n:8\n"},
		{[]string{"explain", "-c", path("no.yaml"), "--as", ""}, ":4\n"},
		{[]string{"test", ""}, "yaml\nyml\n:8\n"},
		{[]string{"token", "mint", "-c", path("yett.yaml"), "--issuer", ""}, "auth\n:4\n"},
		{[]string{"token", "mint", "-c", path("yett.yaml"), "--role", ""}, "admin\nuser\n:4\n"},
		{[]string{"token", "decode", ""}, ":4\n"},
	} {
		if got := call(t, nil, append([]string{cobra.ShellCompRequestCmd}, tt.args...)...); got.stdout != tt.want {
			t.Errorf("%q completes to %q, want %q", tt.args, got.stdout, tt.want)
		}
	}
}

const issued = `
listeners: [{name: public, address: ":3000"}]
issuers:
  auth: {issuer: https://auth.example, audience: api, max_lifetime: 1h, keys: [{secret: 0123456789abcdef0123456789abcdef}]}
roles: {tenant_admin: {level: 90}, technician: {level: 50}}
policies: {jwt: }
services: {app: {targets: ["http://127.0.0.1:1"]}}
routes:
  - {name: admin, path: /admin, auth: required, service: app, policies: {rbac: {min_role: tenant_admin}}}
`

func needTokens(t *testing.T) {
	t.Helper()
	if catalog.Lookup("jwt") == nil || catalog.Lookup("rbac") == nil {
		t.Skip("there is no policy jwt or rbac in the catalogue")
	}
}

// explain --as needs no secret, and shows who calls and what decides.
func TestExplainAs(t *testing.T) {
	needTokens(t)
	name := file(t, issued)
	for _, tt := range []struct {
		as, expect, want string
	}{
		{"technician", "403 INSUFFICIENT_PERMISSIONS policy:rbac", "caller     technician, by issuer auth\n             roles: technician\n"},
		{"{role: tenant_admin, tenant: t-1, subject: u-1}", "pass service:app", "             tenant: t-1\n"},
		{"{role: tenant_admin, plan: gold}", "pass service:app", "             plan: gold\n"},
		{"{role: tenant_admin, expires: -1m}", "401 TOKEN_EXPIRED policy:jwt", "nobody whom the gateway knows"},
		{"{role: tenant_admin, forged: true}", "401 INVALID_TOKEN", "was made up"},
		{"anonymous", "401 NO_TOKEN", "nobody whom the gateway knows"},
	} {
		got := call(t, nil, "explain", "-c", name, "GET", "/admin", "--as", tt.as, "--expect", tt.expect)
		if got.code != exitOK || !strings.Contains(got.stdout, tt.want) || strings.Contains(got.stdout, "eyJ") {
			t.Errorf("--as %s: %+v, want %q", tt.as, got, tt.want)
		}
	}
	if got := call(t, nil, "explain", "-c", name, "GET", "/admin", "--as", "tecnician"); got.code != exitFail || !strings.Contains(got.stderr, `did you mean "technician"?`) {
		t.Errorf("%+v", got)
	}
}
