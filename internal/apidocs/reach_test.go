package apidocs

import (
	"slices"
	"strings"
	"testing"
)

// Only what a route really lets through is shown, under the path by which it does.
func TestWays(t *testing.T) {
	for _, tt := range []struct {
		name, routes string
		ops          []string
		want         []string
	}{
		{"methods", `{name: a, path: /t/**, methods: GET, auth: none, service: app}`,
			[]string{"GET /t", "HEAD /t", "POST /t"}, []string{"GET /t", "HEAD /t"}},
		{"all methods but TRACE", `{name: a, path: /**, auth: none, service: app}`,
			[]string{"OPTIONS /t", "TRACE /t", "PATCH /t"}, []string{"OPTIONS /t", "PATCH /t"}},
		{"a more specific route", `{name: a, path: /t/**, auth: none, service: app}, {name: b, path: /t/x, auth: none, service: other}`,
			[]string{"GET /t/x", "GET /t/{id}"}, []string{"GET /t/{id}"}},
		{"a more specific route with the method", `{name: a, path: /t/**, auth: none, service: app}, {name: b, path: "/t/{id}", methods: POST, auth: none, policies: {respond: {text: x}}}`,
			[]string{"GET /t/{id}", "POST /t/{id}"}, []string{"GET /t/{id}"}},
		{"hidden", `{name: a, path: /t/**, auth: none, service: app}, {name: b, path: /t/x/**, auth: none, service: app, docs: hidden}`,
			[]string{"GET /t/x", "GET /t/x/y", "GET /t/y"}, []string{"GET /t/y"}},
		{"exact", `{name: a, path: /t, auth: none, service: app}`, []string{"GET /t", "GET /t/", "GET /t/x"}, []string{"GET /t"}},
		{"an exact path of a value", `{name: a, path: /t/me, auth: none, service: app}`, []string{"GET /t/{id}"}, []string{"GET /t/me -> /t/{id}"}},
		{"an exact path that is another operation", `{name: a, path: /t/me, auth: none, service: app}`, []string{"GET /t/{id}", "GET /t/me"}, []string{"GET /t/me"}},
		{"values", `{name: a, path: "/t/{tenant}/u/**", auth: none, service: app}`, []string{"GET /t/{id}/u/{user}", "GET /t/{id}"}, []string{"GET /t/{id}/u/{user}"}},
		{"rest", `{name: a, path: /t/**, auth: none, service: app}`, []string{"GET /t", "GET /t/", "GET /t/a/b", "GET /tt"}, []string{"GET /t", "GET /t/", "GET /t/a/b"}},
		{"strip", `{name: a, path: /api/**, auth: none, service: app, forward: {strip_prefix: /api}}`,
			[]string{"GET /t/{id}", "GET /api/x", "GET /"}, []string{"GET /api -> /", "GET /api/ -> /", "GET /api/t/{id} -> /t/{id}", "GET /api/api/x -> /api/x"}},
		{"strip of an exact path", `{name: a, path: /api, auth: none, service: app, forward: {strip_prefix: /api}}`, []string{"GET /", "GET /t"}, []string{"GET /api -> /"}},
		{"strip where it can be left", `{name: a, path: [/api/**, /t/**], auth: none, service: app, forward: {strip_prefix: /api}}`,
			[]string{"GET /t/x"}, []string{"GET /api/t/x -> /t/x", "GET /t/x"}},
		{"replace the rest", `{name: a, path: /pub/**, auth: none, service: app, forward: {replace: "/v2/{**}"}}`,
			[]string{"GET /v2/t/{id}", "GET /v2/", "GET /v2", "GET /x"}, []string{"GET /pub/t/{id} -> /v2/t/{id}", "GET /pub/ -> /v2/"}},
		{"replace with a value", `{name: a, path: "/u/{id}", auth: none, service: app, forward: {replace: "/users/{id}/card"}}`,
			[]string{"GET /users/{user}/card", "GET /users/me/card", "GET /users/{user}"}, []string{"GET /u/{user} -> /users/{user}/card", "GET /u/me -> /users/me/card"}},
		{"replace that changes places", `{name: a, path: "/{a}/{b}", auth: none, service: app, forward: {replace: "/{b}/{a}"}}`,
			[]string{"GET /{a}/{b}"}, []string{"GET /{b}/{a} -> /{a}/{b}"}},
		{"replace that changes names", `{name: a, path: "/{a}/{b}", auth: none, service: app, forward: {replace: "/{a}/{b}"}}`,
			[]string{"GET /{b}/{a}"}, []string{"GET /{b}/{a}"}},
		{"a value that the service does not see", `{name: a, path: "/{id}/t/**", auth: none, service: app, forward: {replace: "/t/{**}"}}`,
			[]string{"GET /t/{id}"}, []string{"GET /{id2}/t/{id} -> /t/{id}"}},
		{"unchanged", `{name: a, path: /t/**, auth: none, service: app, forward: {path: unchanged}}`, []string{"GET /t/größe", "GET /t/{id}"}, []string{"GET /t/größe", "GET /t/{id}"}},
		{"several paths", `{name: a, path: [/t/**, /u], auth: none, service: app}`, []string{"GET /t/x", "GET /u", "GET /v"}, []string{"GET /t/x", "GET /u"}},
		{"two routes", `{name: a, path: /a/**, auth: none, service: app, forward: {strip_prefix: /a}}, {name: b, path: /b/**, auth: none, service: app, forward: {strip_prefix: /b}}`,
			[]string{"GET /t"}, []string{"GET /a/t -> /t", "GET /b/t -> /t"}},
		{"conditions", `{name: a, path: /t, auth: none, service: app, host: ["*.example.org"], headers: {X-Kind: a}, query: {v: "1&2"}}`, []string{"GET /t"}, []string{"GET /t"}},
		{"unicode", `{name: a, path: /größe/**, auth: none, service: app}`, []string{"GET /gr%C3%B6%C3%9fe/{id}", "GET /größe"}, []string{"GET /gr%C3%B6%C3%9fe/{id}", "GET /größe"}},
		{"what no request can be", `{name: a, path: /**, auth: none, service: app}`, []string{"GET /a?b=c", "GET /a/../b", "GET /a//b", "GET /ok"}, []string{"GET /ok"}},
		{"parts of segments", `{name: a, path: /t/**, auth: none, service: app}`, []string{"GET /t/{name}.json", "GET /t/{a}-{b}"}, []string{"GET /t/{name}.json", "GET /t/{a}-{b}"}},
		{"service path of another operation", `{name: a, path: /x/**, auth: none, service: app, forward: {replace: "/t/{**}"}}`, []string{"GET /t/{a}", "GET /t/b"}, []string{"GET /x/{a} -> /t/{a}", "GET /x/b -> /t/b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conf := services("app", "other") + "routes: [" + tt.routes + "]\n"
			if !strings.Contains(tt.routes, "service: other") {
				conf = services("app") + "routes: [" + tt.routes + "]\n"
			}
			m := merge(t, conf, files{"app.json": doc(ops(tt.ops...), ""), "other.json": doc(ops(), "")})
			wantShown(t, m, tt.want...)
		})
	}
}

func TestBasePaths(t *testing.T) {
	paths := strings.Replace(ops("GET /t", "GET /u", "GET /v"), `"/v":{`, `"/v":{"servers":[{"url":"/path"}],`, 1)
	paths = strings.Replace(paths, `"/u":{"get":{`, `"/u":{"get":{"servers":[{"url":"https://elsewhere/op/"}],`, 1)
	m := merge(t, services("app")+"routes: [{name: a, path: /**, auth: none, service: app}]", files{
		"app.json": doc(paths, "", "servers", `[{"url": "https://x/{v}/a%20b", "variables": {"v": {"default": "v1"}}}]`)})
	wantShown(t, m, "GET /v1/a%20b/t", "GET /op/u", "GET /path/v")
	if strings.Contains(jsonText(m.Document), "elsewhere") {
		t.Error("a server of the service is named")
	}
}

// What is left says why.
func TestLeft(t *testing.T) {
	m := merge(t, services("a", "b", "c", "d", "same")+`
routes:
  - {name: a, path: /t/**, host: a.example.org, auth: none, service: a, split: {to: {c: 10%}}, mirror: {service: d}}
  - {name: b, path: /t/**, host: b.example.org, auth: none, service: b}
  - {name: same, path: /other, auth: none, service: same}
`, files{"a.json": doc(ops("GET /t/{id}", "GET /t"), ""), "b.json": doc(ops("PUT /t/{key}", "GET /t/{key}"), ""), "c.json": doc(ops("GET /t/new"), ""), "d.json": doc(ops("GET /t/copy"), ""), "same.json": doc(ops("GET /t", "POST /t"), "")})
	wantShown(t, m, "GET /t", "GET /t/{id}", "PUT /t/{id} -> /t/{key}")
	why := map[string]string{}
	for _, l := range m.Left {
		why[l.Service+" "+l.Method+" "+l.Path] = l.Why
	}
	for key, part := range map[string]string{
		"b GET /t/{key}": "the path is that of a already", "c GET /t/new": "a share of the requests of the route a",
		"d GET /t/copy": "copies of requests of the route a", "same POST /t": "no route leads to it",
	} {
		if !strings.Contains(why[key], part) {
			t.Errorf("%s is left because %q", key, why[key])
		}
		delete(why, key)
	}
	if len(why) > 0 {
		t.Errorf("also left: %v", why)
	}
	wantAt(t, operation(m, "PUT /t/{id}"), `[{name: id, in: path, required: true, schema: {type: string}}]`, "parameters")
}

// Where nothing of a service is reached because its routes send other paths, that is said once.
func TestUnreached(t *testing.T) {
	const none = "none of the 2 operations of app is reached: route a sends "
	two := []string{"GET /items", "POST /items/{id}"}
	for _, tt := range []struct {
		name, routes string
		ops          []string
		want         string // of the only entry; "" for one of each operation
	}{
		{"a prefix is not stripped", `{name: a, path: /stock/**, auth: none, service: app}`, two, none + "/stock/…, the document has /items: forward.strip_prefix, or servers of the document?"},
		{"too little is stripped", `{name: a, path: /api/v1/**, auth: none, service: app, forward: {strip_prefix: /api}}`, two, none + "/v1/…, the document has /items: forward.strip_prefix,"},
		{"too much is stripped", `{name: a, path: /items/**, auth: none, service: app, forward: {strip_prefix: /items}}`, []string{"GET /items/{id}", "POST /items/x"}, ""}, // which fits /items/items
		{"replaced", `{name: a, path: /stock/**, auth: none, service: app, forward: {replace: "/v2/{**}"}}`, two, none + "/v2/…, the document has /items: forward.replace, or"},
		{"hidden routes too", `{name: a, path: /stock/**, auth: none, service: app, docs: hidden}`, two, none + "/stock/…"},
		{"only one", `{name: a, path: /stock, auth: none, service: app}`, two[:1], "the one operation of app is not reached: route a sends /stock, the document has /items"},
		{"some are reached", `{name: a, path: /items, auth: none, service: app}`, two, ""},
		{"other methods", `{name: a, path: /items/**, methods: PUT, auth: none, service: app}`, two, ""},
		{"another route takes them", `{name: a, path: "/items/**", auth: none, service: app}, {name: b, path: ["/items", "/items/{id}"], auth: none, policies: {respond: {text: x}}}`, two, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := merge(t, services("app")+"routes: ["+tt.routes+"]\n", files{"app.json": doc(ops(tt.ops...), "")})
			if tt.want == "" {
				for _, l := range m.Left {
					if l.Method == "" {
						t.Errorf("%+v", l)
					}
				}
				return
			}
			if len(m.Left) != 1 || m.Left[0].Service != "app" || m.Left[0].Method != "" || m.Left[0].Node == nil || !strings.HasPrefix(m.Left[0].Why, tt.want) {
				t.Errorf("%+v, want %q", m.Left, tt.want)
			}
		})
	}
}

// What is hidden on purpose is told as that.
func TestHidden(t *testing.T) {
	m := merge(t, services("app", "share")+`
routes:
  - {name: a, path: /t/**, auth: none, service: app}
  - {name: inner, path: /inner/**, auth: none, service: app, docs: hidden, split: {to: {share: 10%}}}
`, files{"app.json": doc(ops("GET /t", "GET /inner/x", "GET /gone"), ""), "share.json": doc(ops("GET /inner/x", "GET /inner/y"), "")})
	wantShown(t, m, "GET /t")
	const share = "it gets a share of the requests of the route inner, which has docs: hidden"
	for key, want := range map[string]string{"app /inner/x": "the route inner has docs: hidden", "app /gone": "no route leads to it", "share /inner/x": share, "share /inner/y": share} {
		i := slices.IndexFunc(m.Left, func(l Left) bool { return l.Service+" "+l.Path == key })
		if i < 0 || m.Left[i].Why != want || m.Left[i].Hidden != strings.HasSuffix(want, "hidden") {
			t.Errorf("%s, want %q: %+v", key, want, m.Left)
		}
	}
}

// What leads a request to the route is required of callers.
func TestConditions(t *testing.T) {
	paths := `{"/t": {"parameters": [{"name": "x-kind", "in": "header", "description": "own", "schema": {"type": "string"}}], "get": {"responses": {"200": {"description": "Fine"}}}}}`
	m := merge(t, services("app")+`routes: [{name: a, path: /t, auth: none, service: app, host: h.example.org, headers: {X-Kind: a, X-Any: "*"}, query: {v: "2"}}]`, files{"app.json": doc(paths, "")})
	op := operation(m, "GET /t")
	wantAt(t, op, `{name: x-kind, in: header, required: true, description: own, schema: {type: string}}`, "parameters", "0")
	wantAt(t, op, `"X-Any"`, "parameters", "1", "name")
	wantAt(t, op, `{type: string}`, "parameters", "1", "schema")
	wantAt(t, op, `{type: string}`, "parameters", "2", "schema")
	if !strings.Contains(op.Str("description"), "h.example.org") {
		t.Error("nobody is told of the host")
	}
}

// The values by which routes are told apart may be secrets: they are nobody's business.
func TestConditionsAreNotTold(t *testing.T) {
	m := merge(t, services("app")+`
routes: [{name: a, path: /t, headers: {X-Api-Secret: hunter2, X-Any: "*"}, query: {token: abc-123}, auth: none, service: app}]
`, files{"app.json": doc(ops("GET /t"), "")})
	if text := jsonText(m.Document); strings.Contains(text, "hunter2") || strings.Contains(text, "abc-123") {
		t.Errorf("a value is told: %s", text)
	}
	const wrong = `description: Without the right value the request goes elsewhere., schema: {type: string}}`
	wantAt(t, operation(m, "GET /t"), `[{name: X-Any, in: header, required: true, description: Without it the request goes elsewhere., schema: {type: string}},
	  {name: X-Api-Secret, in: header, required: true, `+wrong+`, {name: token, in: query, required: true, `+wrong+"]", "parameters")
}
