package mock

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/openapi/source"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
	"yett/internal/route"
)

// The suite is run with a document that has been read, and with one that has not.
func TestPolicy(t *testing.T) {
	for name, deps := range map[string]func() policy.Deps{"no document": withoutDocument, "document": withDocument} {
		t.Run(name, func(t *testing.T) { policytest.Run(t, Kind, policytest.With(deps)) })
	}
}

func withoutDocument() policy.Deps {
	d := policytest.Deps()
	d.Route = policy.Route{Auth: "none", Service: "pets"}
	return d
}

func withDocument() policy.Deps {
	d := withoutDocument()
	d.Documents = documents("testdata/pets.yaml")
	return d
}

// documents reads the document of the service pets.
func documents(file string) *source.Set {
	set, problems := source.NewSet(config.Mapping[config.Service]{{Name: "pets", Value: config.Service{OpenAPI: openAPI(file)}}}, source.SetDeps{}, nil)
	if len(problems) > 0 {
		panic(problems)
	}
	return set
}

func openAPI(file string) config.OpenAPI {
	var c config.OpenAPI
	c.SetDefaults()
	c.File = file
	return c
}

// call returns what became of a request, as text.
func call(t *testing.T, p policy.Policy, request string) string {
	t.Helper()
	c := policytest.NewCall(t, request+" HTTP/1.1\nHost: example.org\n", "")
	return ask(t, c, p)
}

func ask(t *testing.T, c *policytest.Call, p policy.Policy) string {
	t.Helper()
	x := c.Start()
	defer c.Finish(x)
	if p.Request(x, x.Slot(0)) != exchange.Reply {
		t.Error("it did not reply")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d", x.Status)
	if x.Reason != nil {
		fmt.Fprintf(&b, " %s %s", x.Reason.Name, x.Details)
	}
	for _, f := range x.Response.Fields() {
		fmt.Fprintf(&b, " %s: %s", f.Name, f.Value)
	}
	body, _ := x.ResponseBody.Whole()
	return strings.TrimSpace(b.String() + " " + string(body))
}

func TestAnswer(t *testing.T) {
	const (
		all = `200 Content-Type: application/json X-Total: 2 X-Mock: example`
		pet = `{"id":42,"name":"Rex","owner":"someone@example.org"}`
	)
	for _, tt := range []struct{ config, request, want string }{
		{"", "GET /api/pets", all + ` [{"id":1,"name":"Rex"}]`},
		{"", "GET /api/pets/42", "200 Content-Type: application/json X-Mock: schema " + pet},
		{"", "GET /api/pets/%34%32", "200 Content-Type: application/json X-Mock: schema " + pet},
		{"", "GET /api/pets/0", "200 Content-Type: application/json X-Mock: schema " + strings.Replace(pet, "42", "1", 1)},
		{"", "DELETE /api/pets/1", "204 X-Mock: empty"},
		{"", "GET /pets", "404 not_documented"},
		{"", "GET /api/pets/1/2", "404 not_documented"},
		{"", "PUT /api/pets", "405 method_not_documented"},
		{"", "GET /api/broken", "501 mock_no_answer"},
		{"status: 404", "GET /api/pets/1", `404 Content-Type: application/json X-Mock: schema {"problem":"gone"}`},
		{"status: 404", "GET /api/pets", "501 mock_no_answer"},
		{"example: none at all", "GET /api/pets", all + " []"},
		{"example: none at all", "GET /api/pets/42", "200 Content-Type: application/json X-Mock: schema " + pet},
		{"{example: few, status: 200}", "GET /api/pets", all + ` [{"id":1,"name":"Rex"}]`},
	} {
		p := policytest.BuildWith(t, Kind, tt.config, withDocument())
		if got := call(t, p, tt.request); got != tt.want {
			t.Errorf("%s, %s:\ngot  %s\nwant %s", tt.config, tt.request, got, tt.want)
		}
	}
}

func TestPrefer(t *testing.T) {
	const (
		codes    = `400 mock_unknown_code [{"in":"header","message":"Prefer: documented codes are 200, 401"}]`
		examples = `400 mock_unknown_example [{"in":"header","message":"Prefer: documented examples are few, none at all"}]`
		all      = `200 Content-Type: application/json X-Total: 2 X-Mock: example `
		few      = all + `[{"id":1,"name":"Rex"}]`
		who      = `401 Content-Type: application/json X-Mock: example Preference-Applied: code=401 {"error":"who"}`
		none     = all + `Preference-Applied: example="none at all" []`
	)
	for _, tt := range []struct{ config, fields, want string }{
		{"", "Prefer: code=401", who},
		{"", "Prefer: CODE = \"401\" ; x=y , wait=1", who},
		{"", "Prefer: respond-async\nPrefer: code=401", who},
		{"", "Prefer: code=401, code=200", who},
		{"", "Prefer: code=200, example=few", all + `Preference-Applied: code=200, example=few [{"id":1,"name":"Rex"}]`},
		{"", `Prefer: example="none at all"`, none},
		{"", `Prefer: example="none \at all"`, none},
		{"", "Prefer: example=Few", examples},
		{"", "Prefer: example=", few},
		{"", "Prefer: code=401, example=few", `400 mock_unknown_example [{"in":"header","message":"Prefer: there are no documented examples"}]`},
		{"", "Prefer: code=500", codes}, {"", "Prefer: code=99", codes}, {"", "Prefer: code=1000", codes}, {"", "Prefer: code=+20", codes}, {"", "Prefer: code=100", codes},
		{"", "Prefer: code", codes}, {"", "Prefer: code=<script>", codes},
		{"", `Prefer: "code=401`, few}, {"", `Prefer: "\`, few}, {"", "Prefer: ,,;=", few}, {"", "Prefer: wait=5", few},
		{"{example: none at all}", "Prefer: code=200", all + `Preference-Applied: code=200 [{"id":1,"name":"Rex"}]`},
		{"{prefer: false}", "Prefer: code=401", few},
		{"", "Accept: image/png", `406 mock_not_acceptable [{"in":"header","message":"Accept: documented types are application/json, text/csv"}]`},
		{"", "Accept: image/png\nAccept: text/*", "200 Content-Type: text/csv X-Total: 2 X-Mock: example id,name\n1,Rex"},
	} {
		p := policytest.BuildWith(t, Kind, tt.config, withDocument())
		c := policytest.NewCall(t, "GET /api/pets HTTP/1.1\nHost: h\n"+tt.fields+"\n", "")
		if got := ask(t, c, p); got != tt.want {
			t.Errorf("%s, %s:\ngot  %s\nwant %s", tt.config, tt.fields, got, tt.want)
		}
	}
}

func TestAllow(t *testing.T) {
	p := policytest.BuildWith(t, Kind, "", withDocument())
	c := policytest.NewCall(t, "PATCH /api/pets HTTP/1.1\nHost: h\n", "")
	x := c.Start()
	defer c.Finish(x)
	p.Request(x, x.Slot(0))
	if x.Allow != "GET, HEAD, POST" {
		t.Errorf("Allow is %q", x.Allow)
	}
}

func TestNoDocument(t *testing.T) {
	d := withDocument()
	d.Documents = documents("testdata/nothing.yaml")
	p := policytest.BuildWith(t, Kind, "", d)
	c := policytest.NewCall(t, "GET /api/pets HTTP/1.1\nHost: h\n", "")
	x := c.Start()
	defer c.Finish(x)
	if p.Request(x, x.Slot(0)); x.Reason != noDocument || x.RetryAfter != 5 {
		t.Errorf("%v, again after %d s", x.Reason, x.RetryAfter)
	}
}

// A new document is answered from at once.
func TestNewDocument(t *testing.T) {
	d := withDocument()
	built, _ := defaults().compile(d)
	first := built.loaded()
	current := first
	built.loaded = func() *source.Loaded { return current }
	for range 2 {
		if got := call(t, built, "GET /api/pets/7"); !strings.Contains(got, `"id":7`) {
			t.Error(got)
		}
		other := *first
		current = &other
	}
	if built.answers.Load().loaded == first {
		t.Error("answers come from the document before")
	}
	current = nil
	if got := call(t, built, "GET /api/pets/7"); !strings.HasPrefix(got, "503 no_document") {
		t.Error(got)
	}
}

// The document's paths are those of the service.
func TestRewrite(t *testing.T) {
	rewrite, problems := route.CompileRewrite("/v1", "", false, []string{"/v1/**"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	d := withDocument()
	d.Route.Rewrite = rewrite
	p := policytest.BuildWith(t, Kind, "", d)
	c := policytest.NewCall(t, "GET /v1/api/pets/12 HTTP/1.1\nHost: h\n", "")
	if got := ask(t, c, p); !strings.Contains(got, `{"id":12,`) {
		t.Error(got)
	}
	if n := c.Allocs(t, p); n > 40 { // a value of the path is checked by the schema
		t.Errorf("%v allocations", n)
	}
}

func TestDelay(t *testing.T) {
	p := policytest.BuildWith(t, Kind, "delay: 20s", withDocument())
	c := policytest.NewCall(t, "GET /api/pets HTTP/1.1\nHost: h\n", "")
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if got := ask(t, c, p); !strings.HasPrefix(got, "200 ") || time.Since(start) != 20*time.Second {
			t.Errorf("%s after %v", got, time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		x := c.Start()
		defer c.Finish(x)
		aborted := make(chan struct{})
		go func() {
			defer close(aborted)
			time.Sleep(3 * time.Second)
			x.Abort(exchange.ClientGone)
		}()
		p.Request(x, x.Slot(0))
		<-aborted // nobody aborts what is released
		if took := time.Since(start); took != 3*time.Second || x.Reason != exchange.ClientGone {
			t.Errorf("it ended after %v: %v", took, x.Reason)
		}
	})
}

func TestBadConfig(t *testing.T) {
	for _, tt := range []struct {
		config string
		deps   policy.Deps
		want   string
	}{
		{"status: 100", withDocument(), "status: 100 is no status of a whole answer"},
		{"status: 600", withDocument(), "status"},
		{"delay: 2m", withDocument(), "delay"},
	} {
		_, problems := policytest.TryBuildWith(t, Kind, tt.config, tt.deps)
		if len(problems) != 1 || !strings.Contains(problems[0].String(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.config, problems, tt.want)
		}
	}
	if !Kind.Answers || !Kind.Instead || !Kind.PerRoute || !Kind.NeedsDocument {
		t.Error("it stands beside no service")
	}
}

func TestDescribe(t *testing.T) {
	for config, reasons := range map[string]int{"": 7, "prefer: false": 5} {
		var d policy.Description
		policytest.BuildWith(t, Kind, config, withDocument()).(policy.Describer).Describe(&d)
		if !slices.Equal(d.Notes, []string{"Answers come from the document, not from the service."}) || len(d.Refusals) != reasons || d.ResponseHeaders[0].Name != Header {
			t.Errorf("%s: %+v", config, d)
		}
		if prefers := len(d.RequestHeaders) == 1; prefers != (config == "") {
			t.Errorf("%s: %+v", config, d.RequestHeaders)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	p := policytest.BuildWith(t, Kind, "", withDocument())
	for _, request := range []string{
		"GET /api/pets HTTP/1.1\nHost: h\nAccept: text/html, application/json;q=0.9\n", "DELETE /api/pets/7 HTTP/1.1\nHost: h\n",
		"GET /api/pets HTTP/1.1\nHost: h\nPrefer: code=401\n",
	} {
		if n := policytest.NewCall(t, request, "").Allocs(t, p); n != 0 {
			t.Errorf("%s: %v allocations", request, n)
		}
	}
}

func BenchmarkLife(b *testing.B) {
	p := policytest.BuildWith(b, Kind, "", withDocument())
	for name, request := range map[string]string{
		"example": "GET /api/pets HTTP/1.1\nHost: h\nAccept: application/json\n", "path value": "GET /api/pets/42 HTTP/1.1\nHost: h\n", "preferred": "GET /api/pets HTTP/1.1\nHost: h\nPrefer: code=401\n",
	} {
		b.Run(name, func(b *testing.B) {
			c := policytest.NewCall(b, request, "")
			b.ReportAllocs()
			for b.Loop() {
				c.Run(p)
			}
		})
	}
}

// The path is looked up in its normal form, as validate does, also where the service gets it
// as it came.
func TestPathForwardedAsItCame(t *testing.T) {
	deps := withDocument()
	rewrite, problems := route.CompileRewrite("", "", true, []string{"/**"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	deps.Route.Rewrite = rewrite
	p := policytest.BuildWith(t, Kind, "", deps)
	for _, path := range []string{"/api/pets", "/api/%70ets", "/api//pets", "/api/x/../pets"} {
		c := policytest.NewCall(t, "GET "+path+" HTTP/1.1\nHost: example.org\n", "")
		x := c.Start()
		if reason := route.Normalize(x); reason != nil {
			t.Fatal(reason)
		}
		if p.Request(x, x.Slot(0)); x.Status != 200 {
			t.Errorf("%s: %d %v", path, x.Status, x.Reason)
		}
		c.Finish(x)
	}
}

// What a document says must not do more in a browser than the gateway's own pages want.
func TestNothingActive(t *testing.T) {
	deps := withDocument()
	deps.Documents = documents("testdata/active.yaml")
	p := policytest.BuildWith(t, Kind, "", deps)
	const csp = " Content-Security-Policy: sandbox; default-src 'none'"
	for path, want := range map[string]string{
		"/html":  "200 Content-Type: text/html; charset=utf-8 X-Own: 1" + csp + " X-Mock: example <script>alert(1)</script>",
		"/svg":   "200 Content-Type: image/svg+xml" + csp + " X-Mock: example <svg/>",
		"/xhtml": "200 Content-Type: application/xhtml+xml" + csp + " X-Mock: example <html/>",
		"/xml":   "200 Content-Type: text/xml" + csp + " X-Mock: example <a/>",
		"/text":  "200 Content-Type: text/plain X-Mock: example <script>",
	} {
		if got := call(t, p, "GET "+path); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", path, got, want)
		}
	}
}
