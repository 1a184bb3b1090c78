package gateway

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/problem"
)

// walk walks an exchange through, to its end.
func (g *gate) walk(x *exchange.Exchange) *Walk {
	g.t.Helper()
	w := g.Walk(x)
	g.Done(x)
	g.pool.Put(x)
	return w
}

var noEntry = &exchange.Reason{Name: "no_entry", Code: "NO_ENTRY", Status: 403, Message: "Not for you"}

// A walk ends as serving does, for whatever reason, and asks nobody.
func TestWalkEndsAsServeDoes(t *testing.T) {
	tests := []struct {
		name   string
		change func(*exchange.Exchange)
		by     string
	}{
		{"service", func(*exchange.Exchange) {}, ""},
		{"page", func(x *exchange.Exchange) { x.RawPath = "/page" }, ""},
		{"engine", func(x *exchange.Exchange) { x.RefuseWith(exchange.BadHost, "no host") }, "engine"},
		{"path", func(x *exchange.Exchange) { x.RawPath = "/%zz" }, "routes"},
		{"no route", func(x *exchange.Exchange) { x.RawPath = "/nothing" }, "routes"},
		{"method", func(x *exchange.Exchange) { x.RawPath, x.Method = "/page", "PUT" }, "routes"},
		{"limit", func(x *exchange.Exchange) { x.RequestBody.SetBytes(make([]byte, 11)) }, "limits"},
		{"policy", func(x *exchange.Exchange) { x.Request.Add("X-Refuse", "1") }, "policy fake"},
		{"answer", func(x *exchange.Exchange) { x.Request.Add("X-Answer", "1") }, ""},
		{"answer to what can't be read", func(x *exchange.Exchange) { x.RawPath = "/%zz"; x.Request.Add("X-Answer", "1") }, "routes"},
		{"fault", func(x *exchange.Exchange) { x.Request.Add("X-Panic", "1") }, "policy fake"},
		{"body", func(x *exchange.Exchange) { x.RequestBody.SetSource(brokenBody{}, 5) }, "service"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var called atomic.Int32
			g := start(t, func(w http.ResponseWriter, r *http.Request) { called.Add(1); ok(w, r) })
			g.use(&fake{g: g, name: "a", request: func(x *exchange.Exchange) exchange.Verdict {
				switch {
				case x.Request.Get("X-Refuse") != "":
					return x.RefuseWith(noEntry, "it said so")
				case x.Request.Get("X-Answer") != "":
					x.Status = 204
					return exchange.Reply
				case x.Request.Get("X-Panic") != "":
					panic("a fault of the test")
				}
				return exchange.Continue
			}})
			x := g.request("GET", "/app/x")
			tt.change(x)
			served := g.serve(x)
			calls, trace := called.Load(), slices.Clone(g.trace)
			g.trace = nil
			x = g.request("GET", "/app/x")
			tt.change(x)
			w := g.walk(x)
			if called.Load() != calls {
				t.Error("the walk has called the service")
			}
			trace = slices.DeleteFunc(trace, func(s string) bool { return s == "page" })
			if !slices.Equal(trace, g.trace) {
				t.Errorf("serving %q, walking %q", trace, g.trace)
			}
			reason, by := "", ""
			if w.Refusal != nil {
				reason, by = w.Refusal.Reason, w.Refusal.By
			}
			if served.reason == "" {
				tt.by = ""
			}
			if reason != served.reason || by != tt.by || w.Passes() != (served.reason == "") {
				t.Errorf("refused for %q by %q; serving for %q, want by %q", reason, by, served.reason, tt.by)
			}
			if w.Answer.Status != 0 && w.Answer.Status != served.status || (w.Answer.Status == 0) != (tt.name == "service" || tt.name == "page") {
				t.Errorf("status %d, serving %d", w.Answer.Status, served.status)
			}
			if w.Refusal != nil && !strings.HasPrefix(w.Answer.Body, `{"error":{"code":"`+w.Refusal.Code) {
				t.Errorf("the body is %q", w.Answer.Body)
			}
		})
	}
}

// brokenBody is a body whose client has gone.
type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error)      { return 0, exchange.TruncatedBody }
func (brokenBody) Close() error                  { return nil }
func (brokenBody) Gather() ([]byte, bool, error) { return nil, false, exchange.TruncatedBody }

// What a walk says would be sent is what is sent.
func TestWalkShowsWhatIsSent(t *testing.T) {
	seen := make(chan *http.Request, 1)
	g := start(t, func(w http.ResponseWriter, r *http.Request) { seen <- r; ok(w, r) })
	g.use(&fake{g: g, name: "a", request: func(x *exchange.Exchange) exchange.Verdict {
		x.Request.Set("X-User-ID", "u-1")
		x.Request.Del("X-Gone")
		return exchange.Continue
	}})
	ask := func() *exchange.Exchange {
		x := g.request("POST", "/app//x/./y")
		x.Query, x.HasQuery = "a=1&b", true
		for _, f := range [][2]string{{"Accept", "text/plain"}, {"X-Gone", "1"}, {"X-User-ID", "root"}, {"Connection", "X-Hop"}, {"X-Hop", "1"}, {"X-Two", "1"}, {"X-Two", "2"}} {
			x.Request.Add(f[0], f[1])
		}
		x.RequestBody.SetBytes([]byte("body"))
		return x
	}
	g.serve(ask())
	r := <-seen
	w := g.walk(ask())
	if w.Sent == nil || w.Sent.Line != r.Method+" "+r.RequestURI+" HTTP/1.1" {
		t.Fatalf("%+v, sent was %s %s", w.Sent, r.Method, r.RequestURI)
	}
	got := http.Header{}
	for _, f := range w.Sent.Fields {
		got.Add(f.Name, f.Value)
	}
	want := r.Header.Clone()
	want.Set("Host", r.Host)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nsent %v", got, want)
	}
	if w.Answers.Kind != "service" || w.Answers.Name != "app" || w.Sent.Target != r.Host || !slices.Equal(w.Answers.Targets, []string{r.Host}) {
		t.Errorf("%+v by %+v", w.Sent, w.Answers)
	}
}

// speaker is a policy with words of its own.
type speaker struct {
	policy.Base
	refuse bool
}

func (p *speaker) Request(x *exchange.Exchange, s *exchange.Slot) exchange.Verdict {
	s.Text = "kept"
	if p.refuse {
		return x.RefuseWith(noEntry, "on principle")
	}
	return exchange.Continue
}

func (*speaker) Explain(x *exchange.Exchange, s *exchange.Slot) []string {
	return []string{"it " + s.Text + " " + x.Path, "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1In0.c2ln"}
}

// speakerConfig is how it is configured.
type speakerConfig struct{ mode policy.Mode }

func (c speakerConfig) PolicyMode() policy.Mode { return c.mode }

func newSpeaker(t *testing.T, mode policy.Mode) policy.Link {
	t.Helper()
	kind := policy.Define("speaker", func() speakerConfig { return speakerConfig{mode} },
		func(speakerConfig, policy.Deps) (policy.Policy, problem.List) { return &speaker{refuse: true}, nil }, noEntry)
	p, problems := kind.Build(config.Node{}, policy.Deps{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return policy.Link{Kind: kind, Policy: p}
}

func TestWalkSteps(t *testing.T) {
	g := start(t, ok)
	x := g.request("GET", "/app/x")
	r, _ := g.Snapshot().Match(x)
	g.pool.Put(x)
	r.Chain = policy.Chain{
		{Kind: &policy.Kind{Name: "setter"}, Policy: &fake{g: g, name: "a", request: func(x *exchange.Exchange) exchange.Verdict {
			x.Request.Set("X-New", "1")
			x.Request.Set("X-Changed", "2")
			x.Request.Del("X-Gone")
			return exchange.Continue
		}}},
		newSpeaker(t, policy.Observe),
		newSpeaker(t, policy.Enforce),
		{Kind: &policy.Kind{Name: "last"}, Policy: policy.Base{}},
	}
	x = g.request("GET", "/app/x")
	x.Request.Add("X-Changed", "1")
	x.Request.Add("X-Gone", "1")
	w := g.walk(x)
	said := []string{"it kept /app/x", "token ***"}
	refused := &Refusal{By: "policy speaker", Status: 403, Code: "NO_ENTRY", Reason: "no_entry", Message: "Not for you", Detail: "on principle"}
	want := []Step{
		{Policy: "setter", Verdict: Passes, Sets: []Field{{Name: "X-Changed", Value: "2"}, {Name: "X-New", Value: "1"}}, Removes: []string{"X-Gone"}},
		{Policy: "speaker", Mode: "observe", Verdict: WouldRefuse, Refusal: refused, Says: said},
		{Policy: "speaker", Verdict: Refuses, Refusal: refused, Says: said},
		{Policy: "last", Verdict: NotReached},
	}
	if !reflect.DeepEqual(w.Policies, want) {
		t.Errorf("got  %+v\nwant %+v", w.Policies, want)
	}
	seen := Field{Name: "X-Seen", Value: "a", By: "setter"}
	if w.Answers.String() != "policy speaker" || !slices.Contains(w.Answer.Fields, seen) {
		t.Errorf("%+v with %+v", w.Answers, w.Answer.Fields)
	}
}

func TestWalkRoute(t *testing.T) {
	g := start(t, ok)
	w := g.walk(g.request("GET", "/app/x/y"))
	want := &Route{Name: "app", Path: "/app/**", Auth: "none", Values: []Value{{"**", "x/y"}}}
	if !reflect.DeepEqual(w.Route, want) || w.Near != nil {
		t.Errorf("%+v, near %+v", w.Route, w.Near)
	}
	w = g.walk(g.request("POST", "/page"))
	if w.Route != nil || !slices.Equal(w.Near, []Near{{"page", "/page", "it is for GET"}}) {
		t.Errorf("%+v, near %+v", w.Route, w.Near)
	}
	if w = g.walk(g.request("GET", "/page")); w.Answers.String() != "endpoint health" {
		t.Errorf("%+v answers", w.Answers)
	}
}

// Where a request comes from, and what it loses, is told with the reason.
func TestWalkDoor(t *testing.T) {
	const other = "the other end of the connection"
	tests := []struct {
		name    string
		peer    string
		fields  [][2]string
		client  string
		how     string
		dropped string
	}{
		{"plain", "198.51.100.1", nil, "198.51.100.1", other, ""},
		{"not believed", "198.51.100.1", [][2]string{{"X-Forwarded-For", "203.0.113.7"}}, "198.51.100.1",
			other + ": it is not in trusted_proxies, so X-Forwarded-For is not believed", "X-Forwarded-For: only a listed proxy may say it"},
		{"believed", "192.0.2.1", [][2]string{{"X-Forwarded-For", "203.0.113.7"}}, "203.0.113.7", "X-Forwarded-For from right to left, up to the first that is not in trusted_proxies", ""},
		{"names nobody", "192.0.2.1", [][2]string{{"Forwarded", "for=unknown"}}, "192.0.2.1", other + ", a listed proxy: its Forwarded names no address", ""},
		{"dropped", "192.0.2.1", [][2]string{{"X-User-ID", "root"}, {"Keep", "1"}, {"X_Forwarded_For", "1"}, {"TE", "trailers"}}, "192.0.2.1", other,
			"X-User-ID: only the gateway may say it\nX_Forwarded_For: only the gateway may say it\nTE: it is about this connection alone"},
		{"named by Connection", "192.0.2.1", [][2]string{{"Connection", "close, x-own"}, {"X-Own", "1"}, {"X-Own", "2"}}, "192.0.2.1", other,
			"Connection: it is about this connection alone\nX-Own: it is about this connection alone\nX-Own: it is about this connection alone"},
	}
	g := start(t, ok)
	g.Swap(compile(t, g, "trusted_proxies: [192.0.2.1]\n"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := g.request("GET", "/app/x")
			x.Peer = netip.AddrPortFrom(netip.MustParseAddr(tt.peer), 4711)
			for _, f := range tt.fields {
				x.Request.Add(f[0], f[1])
			}
			w := g.walk(x)
			if w.Client.Address != tt.client || w.Client.How != tt.how || w.Client.Peer != tt.peer || w.Client.Proxy != (tt.peer == "192.0.2.1") {
				t.Errorf("%+v", w.Client)
			}
			var dropped []string
			for _, d := range w.Dropped {
				dropped = append(dropped, d.Name+": "+d.Why)
			}
			if got := strings.Join(dropped, "\n"); got != tt.dropped {
				t.Errorf("dropped\n%s\nwant\n%s", got, tt.dropped)
			}
		})
	}
}

// No secret is in what a walk says, wherever it came in.
func TestWalkHidesSecrets(t *testing.T) {
	const jws = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzM2NyM3QifQ.s3cr3t-signature"
	g := start(t, ok)
	g.use(&fake{g: g, name: "a", request: func(x *exchange.Exchange) exchange.Verdict {
		x.Request.Set("X-Gateway-Assertion", "s3cr3t")
		x.Request.Set("X-Signed", jws)
		return x.RefuseWith(noEntry, "saw "+jws)
	}, response: func(x *exchange.Exchange) { x.Response.Add("Set-Cookie", "sid=s3cr3t; HttpOnly") }})
	for _, f := range [][2]string{
		{"Authorization", "Bearer " + jws}, {"Authorization", "s3cr3t"}, {"Proxy-Authorization", "Basic s3cr3t"}, {"Cookie", "a=s3cr3t; s3cr3t; b=s3cr3t"},
		{"X-API-Key", "s3cr3t"}, {"X-Csrf-Token", "s3cr3t"}, {"Referer", "https://example.org/?x=" + jws},
	} {
		x := g.request("GET", "/app/"+jws)
		x.Query, x.HasQuery = "access_token=s3cr3t&page=2&code=s3cr3t&x="+jws, true
		x.Request.Add(f[0], f[1])
		text, err := json.Marshal(g.walk(x))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"s3cr3t", "eyJ"} {
			if i := strings.Index(string(text), secret); i >= 0 {
				t.Errorf("%s: ...%s", f[0], text[max(i-60, 0):i+10])
			}
		}
		if !strings.Contains(string(text), `access_token=***\u0026page=2\u0026code=***\u0026x=***`) {
			t.Errorf("too much is hidden in %s", text)
		}
	}
	for _, tt := range [][3]string{
		{"Authorization", "Bearer abc", "Bearer *** (3 bytes)"}, {"Authorization", "abc", "***"},
		{"Cookie", "a=1; b=2", "a=***; b=***"}, {"Set-Cookie", "a=1; Path=/; Secure", "a=***; Path=/; Secure"},
		{"Accept", "text/html", "text/html"}, {"X-Keyboard", "qwerty", "qwerty"}, {"Access-Control-Allow-Credentials", "true", "true"}, {"Host", "a.b.c", "a.b.c"},
	} {
		if got := publicValue(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s: %s is shown as %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
}

func TestWalkCaller(t *testing.T) {
	g := start(t, ok)
	g.use(&fake{g: g, name: "a", request: func(x *exchange.Exchange) exchange.Verdict {
		x.Identity = exchange.Identity{Subject: "u-1", Roles: []string{"a", "b"}, Tenant: "t-1", Issuer: "auth"}
		return exchange.Continue
	}})
	if w := g.walk(g.request("GET", "/app/x")); !reflect.DeepEqual(w.Caller, &Caller{Subject: "u-1", Roles: []string{"a", "b"}, Tenant: "t-1", Issuer: "auth"}) {
		t.Errorf("%+v", w.Caller)
	}
}
