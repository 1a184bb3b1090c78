package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"yett/internal/control"
	"yett/internal/exchange"
	"yett/internal/meter"
	"yett/internal/openapi"
	"yett/internal/overload"
	"yett/internal/store/memory"
	"yett/internal/telemetry"
	"yett/internal/token"
	"yett/internal/upstream"
)

// pages are the endpoints that the document describes, with what they are written as where
// that depends on the path.
func pages() []string {
	return []string{"health", "ready", "health_detailed", "jwks", "revocations", "limits", "services", "docs", "docs.json", "docs.yaml", "docs_status", "metrics"}
}

// told holds what endpoints really answer against what the document says. Its copy of the
// schemas takes no key that it does not name.
type told struct {
	schemas *jsonschema.Compiler
	missing map[string]bool // what is documented and has not been answered yet
}

const copied = "mem:openapi.json"

func newTold(t *testing.T) *told {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	root := document().Root.Clone()
	root.Walk(func(n *openapi.Node) bool {
		if n.Str("type") == "object" && n.Get("properties") != nil && n.Get("additionalProperties") == nil {
			n.Set("additionalProperties", openapi.NewBool(false))
		}
		return true
	})
	if err := c.AddResource(copied, root.Any()); err != nil {
		t.Fatal(err)
	}
	d := &told{schemas: c, missing: make(map[string]bool)}
	for _, name := range pages() {
		for _, op := range Operations(name).Pairs() {
			for _, a := range op.Value.Get("responses").Pairs() {
				for _, id := range answersOf(a.Value) {
					d.missing[strings.Join([]string{name, op.Name, a.Name, id}, " ")] = true
				}
			}
		}
	}
	return d
}

// answersOf returns the reasons that an answer documents, or the name of its schema, "" for
// one without JSON.
func answersOf(answer *openapi.Node) (ids []string) {
	if answer != nil && answer.Get("content") == nil {
		return []string{""}
	}
	for _, m := range answer.Get("content").Pairs() {
		schema := strings.TrimPrefix(m.Value.Get("schema").Str("$ref"), "#/components/schemas/")
		if schema != "GatewayError" {
			return []string{schema}
		}
		for _, e := range m.Value.Get("examples").Pairs() {
			ids = append(ids, e.Name)
		}
	}
	return ids
}

// check holds a value against one of the schemas.
func (d *told) check(schema string, body []byte) error {
	s, err := d.schemas.Compile(copied + "#/components/schemas/" + schema)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// answered takes note of an exchange that an endpoint has answered.
func (d *told) answered(t *testing.T, name string, x *exchange.Exchange) {
	t.Helper()
	method := strings.ToLower(x.Method)
	if method == "" || method == "head" {
		method = "get"
	}
	answer := Operations(name).At(method, "responses", strconv.Itoa(x.Status))
	ids := answersOf(answer)
	if x.Reason != nil {
		if !slices.Contains(ids, x.Reason.Name) {
			t.Errorf("%s %s refuses with %s, %d, which is not documented", method, name, x.Reason.Name, x.Status)
		}
		delete(d.missing, fmt.Sprintf("%s %s %d %s", name, method, x.Status, x.Reason.Name))
		return
	}
	media, _, _ := mime.ParseMediaType(x.Response.Get("Content-Type"))
	body, _ := x.ResponseBody.Whole()
	if len(ids) != 1 || media != "" && answer.At("content", media) == nil || media == "" && len(body) > 0 {
		t.Errorf("%s %s answers %d with %q, which is not documented", method, name, x.Status, media)
		return
	}
	for _, h := range answer.Get("headers").Pairs() {
		if x.Response.Get(h.Name) == "" {
			t.Errorf("%s %s answers %d without %s", method, name, x.Status, h.Name)
		}
	}
	if media == "application/yaml" {
		body = fromYAML(t, body)
	}
	if err := d.check(ids[0], body); ids[0] != "" && err != nil {
		t.Errorf("%s %s: %v in %s", method, name, err, body)
	}
	delete(d.missing, fmt.Sprintf("%s %s %d %s", name, method, x.Status, ids[0]))
}

// serve asks an endpoint.
func serve(e interface{ Serve(*exchange.Exchange) }, method, query, contentType string, body io.Reader) *exchange.Exchange {
	x := new(exchange.Pool).Get()
	x.Method, x.Query, x.HasQuery = method, query, query != ""
	x.RequestID, x.Identity.Subject = "the-request", "the-admin"
	if contentType != "" {
		x.Request.Add("Content-Type", contentType)
	}
	if body != nil {
		x.RequestBody.SetSource(io.NopCloser(body), -1)
	}
	e.Serve(x)
	return x
}

// Each endpoint, in all states that can be brought about, answers what the document says,
// and everything that the document says is answered.
func TestDocumentIsHonest(t *testing.T) {
	d := newTold(t)
	d.healthPages(t)
	d.keys(t)
	d.limits(t)
	d.services(t)
	d.revocations(t)
	d.docs(t)
	d.docsStatus(t)
	for answer := range d.missing {
		t.Errorf("documented, and never answered: %s", answer)
	}
}

// full is a gateway of which everything is known.
func full() *state {
	held := with("held", stateOpen, "enforce")
	held.stats.Breaker.Held, held.stats.Breaker.HeldUntil, held.stats.Breaker.Cause = "open", some, "opened by ann"
	odd := with("odd", stateHalfOpen, "observe")
	odd.stats.Panics = true
	for _, s := range []string{"down", "warming", "draining", "unknown"} {
		odd.stats.Targets = append(odd.stats.Targets, upstream.TargetStats{Name: s + ":80", State: s, Note: "no such host"})
	}
	return &state{
		ready: true, services: []Service{busy(), held, odd, &fake{name: "plain"}},
		store:   StoreState{Name: "redis", Since: some},
		keys:    []token.State{{Issuer: "own", Keys: 1}, {Issuer: "other", Failing: true, Fetched: some}},
		load:    overload.State{Cause: overload.RunQueue, Share: 0.3, Memory: 1 << 30, RunQueue: 42500 * time.Microsecond, Refused: 7},
		mirrors: []MirrorPage{{Route: "r", Service: "tickets", Sent: 5, Failed: 1, LeftOut: 2, Unfit: 3, InFlight: 1}},
	}
}

func (d *told) healthPages(t *testing.T) {
	filled := full()
	filled.limits = LimitsState{Set: limitSet(t, someLimits), Meter: used(time.Now()), Held: memory.Usage{Keys: 11, Dropped: 6}}
	lost := full()
	lost.store.Lost, lost.ready = true, false
	lost.services, lost.load = []Service{with("s", stateHalfOpen, "enforce")}, overload.State{Cause: overload.Memory}
	for _, s := range []*state{filled, lost, {store: StoreState{Name: "memory", Since: some}}} {
		h := health(s)
		h.Tally = telemetry.NewTally(exchange.Reasons())
		h.Configuration = func() (control.Revision, *control.Refusal) {
			r := control.Revision{ID: "2f5a8c61d0b4", Since: some, Cause: "reload"}
			if s == lost {
				return r, &control.Refusal{At: some, Cause: "watch", Why: []string{"yett.yaml:1:1: wrong"}}
			}
			return r, nil
		}
		refuse(h.Tally, exchange.NoRoute)
		observe(h.Tally, exchange.BadPath)
		for name, page := range map[string]Endpoint{"health": h.Live, "ready": h.Ready, "health_detailed": h.Detailed} {
			d.answered(t, name, serve(page, "GET", "", "", nil))
		}
	}
}

func (d *told) keys(t *testing.T) {
	for _, s := range []*signing{{signer(t)}, {}} {
		d.answered(t, "jwks", serve(Endpoint((&Keys{State: s}).JWKS), "GET", "", "", nil))
		d.answered(t, "metrics", serve(&Metrics{State: gatherer{}}, "GET", "", "", nil))
	}
}

func (d *told) limits(t *testing.T) {
	set := limitSet(t, someLimits)
	for _, m := range []meter.State{{}, {Shared: true, Lost: true}, used(time.Now())} {
		l, _ := limitsOf(LimitsState{Set: set, Meter: m})
		for _, failure := range []error{nil, errors.New("no answer")} {
			l.Forget = func(context.Context, string, string) error { return failure }
			d.answered(t, "limits", serve(l, "DELETE", "key=ip:192.0.2.1", "", nil))
		}
		for _, ask := range []string{
			"GET ", "HEAD ", "GET limit=address&top=1", "GET limt=address", "GET limit=none",
			"DELETE ", "DELETE key=user:1&limit=none", "DELETE key=user:1&limit=address", "DELETE key=ip:192.0.2.1&limit=running",
		} {
			method, query, _ := strings.Cut(ask, " ")
			d.answered(t, "limits", serve(l, method, query, "", nil))
		}
	}
}

func (d *told) services(t *testing.T) {
	for _, s := range []*state{full(), {store: StoreState{Name: "memory", Since: some}}} {
		page, _ := servicesOf(s.services...)
		page.State = s
		for _, ask := range []string{
			"GET ", "GET service=tickets", "GET service=none", "GET servce=tickets",
			"POST service=tickets&breaker=open&for=10m", "POST service=tickets&breaker=reset", "POST service=plain&breaker=open", "POST service=none&breaker=open", "POST breaker=open",
		} {
			method, query, _ := strings.Cut(ask, " ")
			d.answered(t, "services", serve(page, method, query, "application/json", nil))
		}
		d.answered(t, "services", serve(page, "POST", "service=tickets&breaker=open", "", nil))
		d.answered(t, "services", serve(page, "POST", "service=tickets&breaker=open", "application/json", cutOff{}))
	}
}

func (d *told) revocations(t *testing.T) {
	r, _ := revocations(t)
	const asJSON = "application/json"
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for _, name := range []string{"shared", memory.Name} {
		r.State = &state{store: StoreState{Name: name, Since: some}}
		for _, body := range []string{
			`{"jti":"a"}`, `{"jti":"a","expires":"15m"}`, `{"token_sha256":"` + hexSum("x") + `"}`, `{"subject":"tom","issued_before":1700000000}`, `{"subject":"tom","expires":"` + later + `"}`,
			`{"token":"` + signed(t, ownSecret, "b", time.Hour) + `"}`, `{"token":"` + signed(t, foreignSecret, "b", time.Hour) + `"}`, `{"token":"` + signed(t, ownSecret, "c", -time.Minute) + `"}`,
		} {
			x := serve(r, "POST", "", asJSON, strings.NewReader(body))
			if x.Reason != nil {
				t.Errorf("%s: %v", body, x.Reason)
			}
			d.answered(t, "revocations", x)
			if err := d.check("GatewayRevocation", []byte(body)); err != nil {
				t.Errorf("what the endpoint takes, and the document does not: %v in %s", err, body)
			}
		}
		d.answered(t, "revocations", serve(r, "GET", "", "", nil))
	}
	for body, passes := range map[string]bool{ // whether the document lets it pass, because it can't say everything
		`[]`: false, `{"jit":"a"}`: false, `{}`: false, `{"jti":"a","subject":"b"}`: false, `{"jti":"a","issued_before":1}`: false, `{"jti":""}`: false, `{"jti":5}`: false, `{"token_sha256":"00"}`: false,
		`{"jti":"a","expires":-1}`: false, `{"jti":"a","expires":"soon"}`: true, `{"jti":"a","expires":1000000000}`: true, `{"jti":"a","expires":1e300}`: true,
		`{"subject":"a","issued_before":"now"}`: false, `{"subject":"a","issued_before":1e11}`: true,
	} {
		d.answered(t, "revocations", serve(r, "POST", "", asJSON, strings.NewReader(body)))
		if err := d.check("GatewayRevocation", []byte(body)); (err == nil) != passes {
			t.Errorf("%s: the document says %v", body, err)
		}
	}
	d.answered(t, "revocations", serve(r, "POST", "", "text/plain", strings.NewReader(`{"jti":"a"}`)))
	d.answered(t, "revocations", serve(r, "POST", "", asJSON, strings.NewReader(strings.Repeat(" ", maxRevocation+1))))
	d.answered(t, "revocations", serve(r, "POST", "", asJSON, cutOff{}))
}

// A key that no test brings about is in the document all the same, and one that is always
// there is documented as that.
func TestDocumentHasAllKeys(t *testing.T) {
	schemas := Components().Get("schemas")
	for name, page := range map[string]any{
		"GatewayHealthDetailed": healthPage{}, "GatewayStore": StorePage{}, "GatewayServiceHealth": servicePage{}, "GatewayIssuer": issuerPage{}, "GatewayLimitCounts": limitCounts{},
		"GatewayBreakerSummary": breakerSummary{}, "GatewayOverload": overloadPage{}, "GatewayRevision": revisionPage{}, "GatewayRefusedRevision": refusedPage{}, "GatewayCircuit": circuitPage{}, "GatewayBreaker": BreakerPage{}, "GatewayTarget": TargetPage{},
		"GatewayServices": ServicesPage{}, "GatewayService": ServicePage{}, "GatewayMirror": MirrorPage{}, "GatewayLimits": LimitsPage{}, "GatewayLimitsStore": LimitsStore{},
		"GatewayLimit": LimitPage{}, "GatewayLimitKey": KeyPage{}, "GatewayForgotten": ForgottenPage{}, "GatewayForgottenKey": Forgotten{},
		"GatewayDocsStatus": DocsPage{}, "GatewayDocumented": DocumentedPage{}, "GatewayDocsCalls": CallPage{}, "GatewayDocsUnknown": UnknownPage{}, "GatewayDocsLeft": LeftPage{},
		"GatewayRevocations": revocationsPage{}, "GatewayRevoked": revokedPage{}, "GatewayRevocation": Revocation{},
	} {
		always, sometimes := keysOf(reflect.TypeOf(page))
		var documented []string
		for _, p := range schemas.At(name, "properties").Pairs() {
			documented = append(documented, p.Name)
		}
		all := slices.Sorted(slices.Values(append(slices.Clone(always), sometimes...)))
		if slices.Sort(documented); !slices.Equal(documented, all) {
			t.Errorf("%s has %q, the answer %q", name, documented, all)
		}
		required := schemas.At(name, "required").Strings()
		for _, key := range always {
			if !slices.Contains(required, key) {
				t.Errorf("%s: %s is always there, and not required", name, key)
			}
		}
	}
}

// keysOf returns the keys that the JSON of a struct always has, and those that it may.
func keysOf(of reflect.Type) (always, sometimes []string) {
	for i := range of.NumField() {
		f := of.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			a, s := keysOf(f.Type)
			always, sometimes = append(always, a...), append(sometimes, s...)
		case strings.HasPrefix(options, "omit"):
			sometimes = append(sometimes, name)
		default:
			always = append(always, name)
		}
	}
	return always, sometimes
}

// Refusals are documented as they are.
func TestDocumentedRefusals(t *testing.T) {
	byName := make(map[string]*exchange.Reason)
	for _, r := range exchange.Reasons() {
		byName[r.Name] = r
	}
	d, n := newTold(t), 0
	for _, op := range document().Operations() {
		for _, a := range op.Node.Get("responses").Pairs() {
			for _, e := range a.Value.At("content", "application/json", "examples").Pairs() {
				n++
				r, said := byName[e.Name], e.Value.At("value", "error")
				if r == nil || said.Str("code") != r.Code || said.Str("message") != r.Message || said.Get("status").Text != strconv.Itoa(r.Status) || a.Name != strconv.Itoa(r.Status) {
					t.Errorf("%s %s %s %s: the reason is %+v", op.Method, op.Path, a.Name, e.Name, r)
				}
				d.sample(t, "GatewayError", e.Value.Get("value"))
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d refusals are documented", n)
	}
}

func (d *told) sample(t *testing.T, schema string, n *openapi.Node) {
	t.Helper()
	text, err := json.Marshal(n.Any())
	if err == nil {
		err = d.check(schema, text)
	}
	if err != nil {
		t.Errorf("an example of %s: %v in %s", schema, err, text)
	}
}

// Examples of answers and bodies keep to their schemas.
func TestDocumentedExamples(t *testing.T) {
	d, n := newTold(t), 0
	document().Root.Walk(func(node *openapi.Node) bool {
		schema, ok := strings.CutPrefix(node.Get("schema").Str("$ref"), "#/components/schemas/")
		if !ok {
			return true
		}
		if e := node.Get("example"); e != nil {
			n++
			d.sample(t, schema, e)
		}
		for _, e := range node.Get("examples").Pairs() {
			n++
			d.sample(t, schema, e.Value.Get("value"))
		}
		return true
	})
	if n < 30 {
		t.Errorf("only %d examples", n)
	}
}

func TestOperations(t *testing.T) {
	seen := make(map[string]bool)
	for name, methods := range map[string]string{
		"health": "get", "ready": "get", "health_detailed": "get", "jwks": "get", "revocations": "get post", "limits": "get delete", "services": "get post",
		"docs": "get", "docs.json": "get", "docs.yaml": "get", "docs_status": "get", "metrics": "get",
	} {
		var got []string
		for _, op := range Operations(name).Pairs() {
			got = append(got, op.Name)
			id := op.Value.Str("operationId")
			if !strings.HasPrefix(id, "gateway") || seen[id] || op.Value.Str("summary") == "" || op.Value.Str("description") == "" {
				t.Errorf("%s %s: operationId %q, summary %q, description %q", op.Name, name, id, op.Value.Str("summary"), op.Value.Str("description"))
			}
			seen[id] = true
		}
		if strings.Join(got, " ") != methods {
			t.Errorf("%s has %q", name, got)
		}
	}
	if Operations("nothing") != nil || Operations("") != nil || Operations("health.json") != nil {
		t.Error("there are operations of endpoints that are not here")
	}
	for _, c := range Components().Get("schemas").Pairs() {
		if !strings.HasPrefix(c.Name, "Gateway") {
			t.Errorf("%s may be the name of somebody else's schema", c.Name)
		}
	}
	Operations("health").Delete("get")
	if Operations("health").Get("get") == nil {
		t.Error("what one caller changes, others see")
	}
}
