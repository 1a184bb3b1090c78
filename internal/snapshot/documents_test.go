package snapshot

import (
	"errors"
	"strings"
	"testing"

	"yett/internal/problem"
)

// documented is a configuration that is well, and what a test puts into it.
const documented = `
listeners: [{address: ":0"}]
roles: {admin: {level: 90}}
TOP
services:
  app: {targets: ["http://10.0.0.1:1"], SERVICE}
routes:
  - {name: app, path: /**, auth: none, service: app, ROUTE}
  - {name: docs, path: [/api-docs/**, /api-docs.json], auth: none, endpoint: docs, DOCS}
`

func documentedProblems(t *testing.T, text string) (list problem.List) {
	t.Helper()
	d := deps(t)
	d.Endpoints["docs"], d.Endpoints["docs_status"] = page{}, page{}
	_, err := Compile(parse(t, text), d, nil)
	errors.As(err, &list)
	return list
}

// What is wrong around documents is told with its place, and what to do about it.
func TestAroundDocuments(t *testing.T) {
	const server = ", write an address such as https://api.example.com, or a path such as /gateway"
	for _, tt := range []struct{ at, text, want string }{
		{"TOP", `docs: {servers: [https://api.example.com, /gateway, /, "http://[::1]:3000/v1"], contact: {email: api@example.com, url: "https://example.com/a?b#c"}, license: MIT, license_url: "https://x/l"}`, ""},
		{"TOP", `docs: {servers: ["https://a", "https://{tenant}.example.com"]}`, "4:31: docs.servers[1]: is a template, and nobody says what stands for its values" + server},
		{"TOP", `docs: {servers: "/{v}"}`, "4:17: docs.servers[0]: is a template"},
		{"TOP", `docs: {servers: ["ftp://example.com"]}`, "4:18: docs.servers[0]: is no address that begins with http:// or https://" + server},
		{"TOP", `docs: {servers: [api.example.com]}`, "4:18: docs.servers[0]: is no address"},
		{"TOP", `docs: {servers: ["localhost:3000"]}`, "4:18: docs.servers[0]: is no address"},
		{"TOP", `docs: {servers: ["https:///v1"]}`, "4:18: docs.servers[0]: is no address"},
		{"TOP", `docs: {servers: [//example.com]}`, "4:18: docs.servers[0]: is no path"},
		{"TOP", `docs: {servers: ["https://me:pass@x"]}`, "4:18: docs.servers[0]: has a user in it, which everybody would read"},
		{"TOP", `docs: {servers: ["https://x/?a=b"]}`, "4:18: docs.servers[0]: paths are put behind it"},
		{"TOP", `docs: {contact: {email: "The team <api@example.com>"}}`, "4:25: docs.contact.email: is no mail address, write one such as api@example.com"},
		{"TOP", `docs: {contact: {email: api}}`, "4:25: docs.contact.email: is no mail address"},
		{"TOP", `docs: {contact: {url: example.com}}`, "4:23: docs.contact.url: is no address that begins with http:// or https://, write one such as https://example.com/api"},
		{"TOP", `docs: {license: MIT, license_url: LICENSE}`, "4:35: docs.license_url: is no address"},
		{"TOP", `policies: {validate: {mode: observe}}`, "4:12: policies.validate: validate goes by the documents of services, and none has one, add openapi with path, url or file to a service, or remove it"},
		{"TOP", `policies: {validate: off}`, ""},
		{"TOP", `policies: {cors: {origins: "https://a", mode: off}}`, `4:47: policies.cors.mode: want enforce or observe, got "off", to switch it off write cors: off`},
		{"SERVICE", `openapi: {}`, "6:41: services.app.openapi: path, url or file is missing, write where the document is, such as path: /openapi.json, or remove openapi"},
		{"SERVICE", `openapi: {path: "${NOT_SET_HERE:-}"}`, ""},
		{"SERVICE", `openapi: {path: "/docs/**"}`, `6:57: services.app.openapi.path: "/docs/**" is a pattern, and the document has one path`},
		{"SERVICE", `openapi: {path: "/{v}/openapi.json"}`, `6:57: services.app.openapi.path: "/{v}/openapi.json" is a pattern`},
		{"DOCS", `methods: [HEAD, GET]`, ""},
		{"DOCS", `methods: [HEAD]`, "9:84: routes[1].methods: the page of documents answers GET and HEAD, and GET is not among these, write methods: GET"},
		{"DOCS", `methods: POST`, "9:93: routes[1].methods: the page"},
	} {
		text := strings.Replace(documented, tt.at, tt.text, 1)
		for _, rest := range []string{"TOP", ", SERVICE", ", ROUTE", ", DOCS"} {
			text = strings.Replace(text, rest, "", 1)
		}
		var got []string
		for _, p := range documentedProblems(t, text) {
			got = append(got, p.String())
		}
		if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], "yett.yaml:"+tt.want)) || strings.Contains(strings.Join(got, ""), "pass@") {
			t.Errorf("%s:\n got %q\nwant %s", tt.text, got, tt.want)
		}
	}
}

// A policy of a route is switched off by its name, as a global one is.
func TestModeOff(t *testing.T) {
	text := strings.NewReplacer("TOP", "", "SERVICE", "openapi: {path: /o.json}", "ROUTE", "policies: {validate: {mode: off}}", ", DOCS", "").Replace(documented)
	got := documentedProblems(t, text)
	if want := `routes[0].policies.validate.mode: want enforce or observe, got "off", to switch it off write validate: off`; len(got) != 1 || !strings.HasSuffix(got[0].String(), want) {
		t.Errorf("got %v, want %s", got, want)
	}
}

// What one mistake is mended by is no other mistake.
func TestOptionalAtAGuardedPage(t *testing.T) {
	text := strings.NewReplacer("TOP", "issuers: {main: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}}\npolicies: {jwt: }", ", SERVICE", "", ", ROUTE", "", ", DOCS", "").Replace(documented) +
		"  - {name: status, path: /status, auth: optional, endpoint: docs_status, policies: {rbac: {min_role: admin}}}\n"
	got := documentedProblems(t, text)
	if len(got) != 2 || !strings.HasSuffix(got[0].String(), "rbac would refuse them, write auth: required") || strings.Contains(got[1].String(), "rbac: off") {
		t.Errorf("got %v", got)
	}
}
