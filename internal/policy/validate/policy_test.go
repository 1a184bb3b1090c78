package validate

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/openapi/contract"
	"yett/internal/openapi/source"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
	"yett/internal/route"
)

// deps has a service with the document of testdata, one whose document is not there, and one
// without.
func deps(t testing.TB, service string) policy.Deps {
	t.Helper()
	services := config.Mapping[config.Service]{}
	for name, file := range map[string]string{"app": "testdata/openapi.yaml", "later": "testdata/none.yaml", "plain": ""} {
		services = append(services, config.Entry[config.Service]{Name: name, Value: config.Service{OpenAPI: config.OpenAPI{File: file, MaxSize: config.MB, Refresh: config.Duration(1 << 40)}}})
	}
	set, problems := source.NewSet(services, source.SetDeps{}, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	d := policytest.Deps()
	d.Documents, d.Route = set, policy.Route{Auth: "none", Service: service}
	return d
}

func TestPolicy(t *testing.T) {
	policytest.Run(t, Kind, policytest.With(func() policy.Deps { return deps(t, "app") }))
}

// The policy is nothing where there is nothing that it could go by.
func TestNothingToDo(t *testing.T) {
	for _, d := range []policy.Deps{policytest.Deps(), deps(t, ""), deps(t, "plain"), deps(t, "elsewhere")} {
		if p := policytest.BuildWith(t, Kind, "", d); p != nil {
			t.Errorf("for %q: %v", d.Route.Service, p)
		}
	}
}

// pass takes a request and its answer through a policy.
func pass(t *testing.T, p policy.Policy, request, answer string) (c *policytest.Call, x *exchange.Exchange) {
	t.Helper()
	c = policytest.NewCall(t, request, answer)
	x = c.Start()
	x.Service, x.Attempts = "app", 1
	c.Pass(p, x)
	return c, x
}

const (
	good    = `{"title":"t","priority":"low"}`
	created = "HTTP/1.1 201 Created\nContent-Type: application/json\nContent-Length: 30\n\n" + good
)

func post(body string) string {
	return fmt.Sprintf("POST /tickets HTTP/1.1\nHost: a\nContent-Type: application/json\nContent-Length: %d\n\n%s", len(body), body)
}

func TestBodies(t *testing.T) {
	p := policytest.BuildWith(t, Kind, "body: 1KB", deps(t, "app"))
	o := policytest.BuildWith(t, Kind, "{body: 1KB, mode: observe}", deps(t, "app"))
	large := `{"title":"t","priority":"low","description":"` + strings.Repeat("x", 1000) + `"}`
	for _, tt := range []struct {
		name, body string
		limit      int64
		want       *exchange.Reason
	}{
		{"good", good, 0, nil},
		{"too large", large, 0, exchange.BodyTooLarge},
		{"too large for the route", good, 10, exchange.BodyTooLarge},
		{"not JSON", `{"title":`, 0, Invalid},
	} {
		for _, streams := range []bool{false, true} {
			for mode, p := range map[string]policy.Policy{"enforce": p, "observe": o} {
				c := policytest.NewCall(t, post(tt.body), "")
				x := c.Start()
				x.BodyLimit = tt.limit
				if streams {
					x.RequestBody.SetSource(&stream{Reader: strings.NewReader(tt.body)}, -1)
				}
				p.Request(x, x.Slot(0))
				want := tt.want
				if mode == "observe" {
					want = nil
				}
				if x.Reason != want {
					t.Errorf("%s, streams %v, %s: %v, want %v", tt.name, streams, mode, x.Reason, want)
				}
				if got, err := io.ReadAll(&x.RequestBody); string(got) != tt.body || err != nil {
					t.Errorf("%s, streams %v, %s: the service gets %q, %v", tt.name, streams, mode, got, err)
				}
				c.Finish(x)
			}
		}
	}
}

// Nothing hides in a content coding: gzip is looked into, and what can't be read is refused.
func TestCodings(t *testing.T) {
	zipped := func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return b.String()
	}
	large := `{"title":"t","priority":"low","description":"` + strings.Repeat("x", 1000) + `"}`
	for _, tt := range []struct {
		coding, body string
		want         *exchange.Reason
	}{
		{"gzip", zipped(good), nil},
		{"X-GZIP", zipped(good), nil},
		{"identity", good, nil},
		{"gzip", zipped(`{"title":7}`), Invalid},
		{"gzip", zipped(large), exchange.BodyTooLarge},
		{"gzip", good, Coded},
		{"gzip", zipped(good)[:30], Coded},
		{"gzip", zipped(good) + "more", Coded},
		{"br", good, Coded},
		{"identity, gzip", zipped(good), Coded},
		{"x", good, Coded},
		{"identity", zipped(good), Invalid},
	} {
		for mode, want := range map[string]*exchange.Reason{"enforce": tt.want, "observe": nil} {
			p := policytest.BuildWith(t, Kind, "{body: 1KB, mode: "+mode+"}", deps(t, "app"))
			request := strings.Replace(post(tt.body), "Content-Type", "Content-Encoding: "+tt.coding+"\nContent-Type", 1)
			c := policytest.NewCall(t, request, "")
			x := c.Start()
			x.RequestBody.SetBytes([]byte(tt.body)) // the script's lines end otherwise
			p.Request(x, x.Slot(0))
			if x.Reason != want {
				t.Errorf("%s %q, %s: %v, want %v", tt.coding, tt.body, mode, x.Reason, want)
			}
			if got, err := io.ReadAll(&x.RequestBody); string(got) != tt.body || err != nil {
				t.Errorf("%s %q, %s: the service gets %q, %v", tt.coding, tt.body, mode, got, err)
			}
			c.Finish(x)
		}
	}
}

type stream struct{ io.Reader }

func (*stream) Close() error { return nil }

// A body that breaks off is refused for what it is. Where the policy only observes, that is
// left to whoever sends it on, and no word of it is said twice.
func TestBrokenBody(t *testing.T) {
	for mode, want := range map[string]*exchange.Reason{"enforce": exchange.BodyTimeout, "observe": nil} {
		p := policytest.BuildWith(t, Kind, "mode: "+mode, deps(t, "app"))
		c := policytest.NewCall(t, post(good), "")
		x := c.Start()
		x.RequestBody.SetSource(&stream{io.MultiReader(strings.NewReader(`{"ti`), failing{})}, -1)
		p.Request(x, x.Slot(0))
		if x.Reason != want || len(x.Observed()) > 0 {
			t.Errorf("%s: %v, observed %v", mode, x.Reason, x.Observed())
		}
		if err := x.RequestBody.Gather(); err != error(exchange.BodyTimeout) {
			t.Errorf("%s: whoever sends it on gets %v", mode, err)
		}
		c.Finish(x)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, exchange.BodyTimeout }

// Where the path is forwarded as it came, the document is asked about what it means.
func TestRewrittenPaths(t *testing.T) {
	for _, tt := range []struct{ strip, replace, raw, path string }{
		{"", "", "/tickets/x", "/tickets/x"},
		{"/api", "", "/api/tickets/x", "/api/tickets/x"},
		{"", "/tickets/{id}", "/t/{id}", "/t/x"},
	} {
		r, problems := route.CompileRewrite(tt.strip, tt.replace, tt.strip+tt.replace == "", []string{tt.raw})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		d := deps(t, "app")
		d.Route.Rewrite = r
		p := policytest.BuildWith(t, Kind, "unknown: refuse", d)
		c := policytest.NewCall(t, "GET "+tt.path+" HTTP/1.1\nHost: a\n", "")
		x := c.Start()
		x.RawPath = "/%74ickets//x"
		x.AddParam("id", "x")
		p.Request(x, x.Slot(0))
		if x.Reason != Invalid || !strings.Contains(x.Details, `"pointer":"/id"`) {
			t.Errorf("%+v: %v, %s", tt, x.Reason, x.Details)
		}
		c.Finish(x)
	}
}

// Answers that are not the service's own are none of the document's business.
func TestWhoseAnswer(t *testing.T) {
	p := policytest.BuildWith(t, Kind, "", deps(t, "app"))
	const wrong = "HTTP/1.1 418 Teapot\nContent-Length: 0\n"
	for name, change := range map[string]func(*exchange.Exchange){
		"its own":                         func(*exchange.Exchange) {},
		"of a fallback":                   func(x *exchange.Exchange) { x.Attempts = 0 },
		"of a service that is a fallback": func(x *exchange.Exchange) { x.Service = "standby" },
		"of the gateway":                  func(x *exchange.Exchange) { x.Service = "" },
		"refusal":                         func(x *exchange.Exchange) { x.Refuse(exchange.ConnectFailed) },
		"not modified":                    func(x *exchange.Exchange) { x.Status = 304 },
	} {
		c := policytest.NewCall(t, "GET /tickets/7 HTTP/1.1\nHost: a\n", wrong)
		x := c.Start()
		x.Service, x.Attempts = "app", 1
		p.Request(x, x.Slot(0))
		c.Answer(x)
		change(x)
		p.Response(x, x.Slot(0))
		if got := len(x.Observed()); got != map[bool]int{true: 1}[name == "its own"] {
			t.Errorf("%s: %v", name, x.Observed())
		}
		c.Finish(x)
	}
	off := policytest.BuildWith(t, Kind, "answers: off", deps(t, "app"))
	if c, x := pass(t, off, "GET /tickets/7 HTTP/1.1\nHost: a\n", wrong); len(x.Observed()) > 0 {
		t.Error("answers: off looks at answers")
		c.Finish(x)
	}
}

// Nobody waits for an answer that may end only when the client has sent the rest.
func TestEarlyAnswer(t *testing.T) {
	p := policytest.BuildWith(t, Kind, "", deps(t, "app")).(*validate)
	c := policytest.NewCall(t, post(good), created)
	x := c.Start()
	defer c.Finish(x)
	x.Service, x.Attempts, x.CloseClient = "app", 1, true
	p.Request(x, x.Slot(0))
	c.Answer(x)
	x.ResponseBody.SetSource(&stream{panics{}}, 30)
	p.Response(x, x.Slot(0))
	if op := p.operation(t, "POST", "/tickets"); op.UncheckedAnswers.Load() != 1 {
		t.Error("it counts as checked")
	}
}

type panics struct{}

func (panics) Read([]byte) (int, error) { panic("somebody waits for it") }

func TestExplain(t *testing.T) {
	for _, tt := range []struct{ service, request, want string }{
		{"app", "GET /tickets/7 HTTP/1.1\nHost: a\n", "operation GET /tickets/{id} of app"},
		{"app", "HEAD /tickets/7 HTTP/1.1\nHost: a\n", "operation GET /tickets/{id} of app"},
		{"app", "GET /nowhere HTTP/1.1\nHost: a\n", "the document of app does not know it"},
		{"app", "OPTIONS /tickets HTTP/1.1\nHost: a\nOrigin: https://b\nAccess-Control-Request-Method: PUT\n", "a CORS preflight is none of the document's operations"},
		{"later", "GET /tickets/7 HTTP/1.1\nHost: a\n", "there is no document of later yet, so nothing is checked"},
	} {
		p := policytest.BuildWith(t, Kind, "unknown: refuse", deps(t, tt.service))
		c, x := pass(t, p, tt.request, "")
		if got := p.(policy.Explainer).Explain(x, x.Slot(0)); len(got) != 1 || got[0] != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
		if tt.service == "later" && x.Reason != nil {
			t.Errorf("without a document: %v", x.Reason)
		}
		c.Finish(x)
	}
}

func TestDescribe(t *testing.T) {
	for conf, want := range map[string][]*exchange.Reason{
		"":                                 {Invalid, Coded},
		"unknown: refuse":                  {Invalid, Coded, Undocumented, MethodUndocumented},
		"{unknown: refuse, mode: observe}": nil,
	} {
		c := policy.Chain{{Kind: Kind, Policy: policytest.BuildWith(t, Kind, conf, deps(t, "app"))}}
		if got := c.Describe().Refusals; !slices.Equal(got, want) {
			t.Errorf("%q: %v", conf, got)
		}
	}
}

// What is refused is said in JSON, whatever the caller has sent.
func FuzzDetails(f *testing.F) {
	f.Add("id", "x", `{"a\"b":1}`, "application/json")
	f.Fuzz(func(t *testing.T, query, cookie, body, contentType string) {
		p := policytest.BuildWith(t, Kind, "", deps(t, "app"))
		for _, path := range []string{"/tickets", "/tickets/" + query} {
			var x exchange.Exchange
			x.Method, x.Path, x.Query = map[bool]string{true: "POST", false: "GET"}[path == "/tickets"], path, "limit="+query+"&fields="+cookie
			x.Request.Add("Content-Type", contentType)
			x.Request.Add("Cookie", cookie)
			x.RequestBody.SetBytes([]byte(body))
			p.Request(&x, x.Slot(0))
			var v []struct{ In, Pointer, Message string }
			if x.Details != "" && json.Unmarshal([]byte(x.Details), &v) != nil || (x.Reason == Invalid) != (len(v) > 0) {
				t.Errorf("%v: %q", x.Reason, x.Details)
			}
		}
	})
}

// A good GET and a good POST with 300 bytes of JSON.
func goodCalls(tb testing.TB) map[string]*policytest.Call {
	body := `{"title":"The printer on the second floor is on fire","priority":"high","customer":"bbd1e0c4-284c-48b5-b7ae-477e8237382e",` +
		`"description":"It began this morning, with a smell, and nobody dares to go near it any more. Please send somebody.",` +
		`"tags":["printer","fire","urgent"],"due":"2026-01-02T15:04:05Z"}`
	answer := "Content-Type: application/json\nContent-Length: " + fmt.Sprint(len(body)) + "\n\n" + body
	return map[string]*policytest.Call{
		"get":  policytest.NewCall(tb, "GET /tickets/7?limit=20&state=open&fields=id,title HTTP/1.1\nHost: a\nAccept: */*\n", "HTTP/1.1 200 OK\n"+answer),
		"post": policytest.NewCall(tb, post(body), "HTTP/1.1 201 Created\n"+answer),
	}
}

// own is the policy as it is for a call that the service has answered.
type own struct{ policy.Policy }

func (o own) Response(x *exchange.Exchange, s *exchange.Slot) {
	x.Service, x.Attempts = "app", 1
	o.Policy.Response(x, s)
}

func TestAllocations(t *testing.T) {
	p := policytest.BuildWith(t, Kind, "", deps(t, "app"))
	for name, c := range goodCalls(t) {
		if n := c.Allocs(t, own{p}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		x := c.Start()
		x.Service, x.Attempts = "app", 1
		if c.Pass(own{p}, x); x.Reason != nil || len(x.Observed()) > 0 {
			t.Errorf("%s: %v %s, %v", name, x.Reason, x.Details, x.Observed())
		}
		c.Finish(x)
	}
}

func BenchmarkValidate(b *testing.B) {
	p := policytest.BuildWith(b, Kind, "", deps(b, "app"))
	for name, c := range goodCalls(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Run(own{p})
			}
		})
	}
}

// operation returns what came of an operation.
func (p *validate) operation(t *testing.T, method, path string) *contract.Tally {
	t.Helper()
	op, _ := p.source.Loaded().Contract.Match(method, path)
	if op == nil {
		t.Fatalf("no operation %s %s", method, path)
	}
	return op.Tally
}
