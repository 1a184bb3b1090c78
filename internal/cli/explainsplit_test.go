package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

const shared = `
listeners: [{address: "127.0.0.1:3000"}]
services:
  crm: {targets: ["http://127.0.0.1:1"]}
  crm-next: {targets: ["http://127.0.0.1:2"]}
  crm-copy: {targets: ["http://127.0.0.1:3"]}
routes:
  - {name: crm, path: "/crm/{id}", auth: none, service: crm, priority: high, split: {to: {crm-next: 5%}, by: [path.id]}, mirror: {service: crm-copy, share: 10%, methods: [GET]}}
  - {name: chance, path: /chance, auth: none, service: crm, split: {to: {crm-next: 5%, crm-copy: 60%}}}
  - {name: beta, path: /beta, auth: none, service: crm, split: {to: {crm-next: 5%}, by: [cookie.beta, header.X-Beta]}, mirror: {service: crm-copy}}
`

// Explain says who gets how much, whom this caller gets, and where copies go.
func TestExplainSplit(t *testing.T) {
	name := file(t, shared)
	for _, tt := range []struct{ method, url, want string }{
		{"GET", "/crm/1", `route      crm: any method, /crm/{id}, auth none, priority high
             id = 1
caller     nobody whom the gateway knows
answers    service crm at 127.0.0.1:1
split      5% crm-next, 95% crm
           by path.id: this caller always gets crm
mirror     GET,HEAD to crm-copy: 10%
is sent    GET /crm/1 HTTP/1.1
`},
		{"POST", "/crm/NEXT", `answers    service crm-next at 127.0.0.1:2
split      5% crm-next, 95% crm
           by path.id: this caller always gets crm-next
mirror     GET,HEAD to crm-copy: 10%
           this request is not copied: the method is not copied
is sent    POST /crm/NEXT HTTP/1.1
           Host: 127.0.0.1:2
`},
		{"GET", "/chance", `answers    service crm-copy at 127.0.0.1:3
split      5% crm-next, 60% crm-copy, 35% crm
           left to chance; crm-copy is shown
is sent    GET /chance HTTP/1.1
`},
		{"GET", "/beta", `answers    service crm at 127.0.0.1:1
split      5% crm-next, 95% crm
           by cookie.beta, header.X-Beta, of which the request has nothing, so it is left to chance; crm is shown
mirror     any method to crm-copy: 100%
is sent    GET /beta HTTP/1.1
`},
	} {
		tt.want = strings.ReplaceAll(strings.Replace(tt.want, "\nsplit ", guardsText+"split ", 1), "NEXT", ofNext)
		got := call(t, nil, "explain", "-c", name, tt.method, strings.ReplaceAll(tt.url, "NEXT", ofNext))
		if got.code != exitOK || !strings.Contains(got.stdout, tt.want) {
			t.Errorf("%s %s: got\n%s%s\nwant in it\n%s", tt.method, tt.url, got.stdout, got.stderr, tt.want)
		}
	}
}

// guardsText is what guards services without a word about it.
const guardsText = `
guards     breaker (enforce): opens after 5 failures in a row, or when 50% of 20 requests or more within 10s have failed, for 30s
           1 further try for connect, reset, within 20% of the requests or 3 a second; balanced by least_requests
`

// ofNext is a value of the path whose callers get crm-next: the hash is the same everywhere.
const ofNext = "33"

func TestExplainSplitJSON(t *testing.T) {
	got := call(t, nil, "explain", "-c", file(t, shared), "--json", "POST", "/crm/"+ofNext)
	var e map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &e); err != nil {
		t.Fatal(err, got)
	}
	for key, want := range map[string]string{
		"split":  `{"bound":true,"by":["path.id"],"shares":[{"service":"crm-next","share":"5%"},{"service":"crm","share":"95%"}]}`,
		"mirror": `{"methods":["GET","HEAD"],"not":"the method is not copied","service":"crm-copy","share":"10%"}`,
	} {
		if text, _ := json.Marshal(e[key]); string(text) != want {
			t.Errorf("%s is %s, want %s", key, text, want)
		}
	}
}

func TestRoutesShowSplit(t *testing.T) {
	name := file(t, shared)
	got := call(t, nil, "routes", "-c", name)
	for _, want := range []string{" service crm, 5% crm-next, copies of 10% to crm-copy ", " service crm, 5% crm-next, 60% crm-copy "} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in\n%s", want, got.stdout)
		}
	}
	got = call(t, nil, "routes", "-c", name, "--json")
	var rows []routeRow
	if err := json.Unmarshal([]byte(got.stdout), &rows); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if a := r.Answers; r.Name == "crm" && (a.Service != "crm" || len(a.Split) != 1 || a.Split[0] != (shareRow{"crm-next", "5%"}) || *a.Mirror != shareRow{"crm-copy", "10%"}) {
			t.Errorf("%+v", a)
		}
	}
}
