package access

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/gateway"
)

// run runs a table against a configuration.
func run(t *testing.T, conf, table string, env map[string]string) *Report {
	t.Helper()
	dir := write(t, map[string]string{"yett.yaml": conf, "access.yaml": "config: yett.yaml\n" + table})
	f, err := Load(filepath.Join(dir, "access.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.Run(app.Options{Env: config.MapEnv(env), Stderr: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRun(t *testing.T) {
	r := run(t, conf, `
env: {TARGET: "127.0.0.1:1"}
tests:
  - {request: [GET /app/x, POST /app], expect: {anonymous: pass service:app route:app}}
  - {request: GET /hi, expect: {anonymous: pass 202 policy:respond}}
  - {request: GET /page, expect: {anonymous: pass endpoint:health}}
  - {request: PUT /page, expect: {anonymous: 405 METHOD_NOT_ALLOWED method_not_allowed}}
  - request: GET /nothing
    ip: 203.0.113.7
    headers: {X-A: it's}
    body: b
    expect:
      anonymous: pass
  - {request: GET /app, expect: {anonymous: 200}}
`, nil)
	if len(r.Rows) != 7 || len(r.Differences()) != 2 {
		t.Fatalf("%+v", r)
	}
	want := Row{Line: 14, Column: 18, Request: "GET /nothing", Caller: "anonymous", Expected: "pass", Got: "404 NOT_FOUND no_route",
		Because: []string{"routes: Nothing is here"},
		Try:     []string{"yett", "explain", "--tests", r.File, "--as", "anonymous", "--ip", "203.0.113.7", "-H", "X-A: it's", "-d", "b", "GET", "/nothing"}}
	if got := r.Differences()[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	last := r.Differences()[1]
	if last.Got != "pass route:app service:app" || !slices.Equal(last.Because, []string{"service app: the status of its answer is not known here"}) {
		t.Errorf("%+v", last)
	}
}

func TestHolds(t *testing.T) {
	refused := &gateway.Walk{Refusal: &gateway.Refusal{Status: 404, Code: "NOT_FOUND", Reason: "no_route"}, Answer: gateway.Answer{Status: 404},
		Answers: gateway.Answerer{Kind: "gateway"}}
	passed := &gateway.Walk{Route: &gateway.Route{Name: "r"}, Answers: gateway.Answerer{Kind: "service", Name: "s"}}
	answered := &gateway.Walk{Route: &gateway.Route{Name: "r"}, Answer: gateway.Answer{Status: 204}, Answers: gateway.Answerer{Kind: "policy", Name: "p"}}
	for _, tt := range []struct {
		walk    *gateway.Walk
		holds   string
		doesNot string
	}{
		{refused, "404|NOT_FOUND|no_route|404  NOT_FOUND no_route", "pass|403|404 METHOD_NOT_ALLOWED|bad_path|404 route:r|service:s|pass 404"},
		{passed, "pass|pass route:r|service:s|pass service:s route:r", "200|404|NOT_FOUND|no_route|pass route:s|pass service:r|pass policy:s"},
		{answered, "pass|204|pass 204 policy:p", "200|pass 200|service:p|endpoint:p"},
	} {
		for want, list := range map[bool]string{true: tt.holds, false: tt.doesNot} {
			for text := range strings.SplitSeq(list, "|") {
				e, err := ParseExpectation(text)
				if err != nil {
					t.Fatal(err)
				}
				if e.Holds(tt.walk) != want {
					t.Errorf("%s holds for %s: %v", text, Describe(tt.walk), !want)
				}
			}
		}
	}
}

func TestWithToken(t *testing.T) {
	for _, tt := range []struct {
		url    string
		header []string
		token  string
		want   []string // url, then header
	}{
		{"/x", []string{"A: 1"}, "t", []string{"/x", "A: 1", "Authorization: Bearer t"}},
		{"/x", []string{"A: 1"}, "", []string{"/x", "A: 1"}},
		{"/x", []string{"Cookie: s={token}", "A: 1"}, "t", []string{"/x", "Cookie: s=t", "A: 1"}},
		{"/x", []string{"Cookie: s={token}", "A: 1"}, "", []string{"/x", "A: 1"}},
		{"/x?t={token}", nil, "a+b", []string{"/x?t=a%2Bb"}},
		{"/x?t={token}", nil, "", []string{"/x?t="}},
	} {
		r := WithToken(app.Request{URL: tt.url, Header: tt.header}, tt.token)
		if got := append([]string{r.URL}, r.Header...); !slices.Equal(got, tt.want) {
			t.Errorf("%s %q with %q: %q, want %q", tt.url, tt.header, tt.token, got, tt.want)
		}
	}
}

// What an observing policy would have refused is said of what passes.
func TestBecause(t *testing.T) {
	w := &gateway.Walk{Answers: gateway.Answerer{Kind: "service", Name: "s"}, Policies: []gateway.Step{
		{Policy: "a", Verdict: gateway.Passes, Says: []string{"fine"}},
		{Policy: "b", Verdict: gateway.WouldRefuse, Refusal: &gateway.Refusal{Status: 403, Code: "NO", Detail: "too low"}},
	}}
	expected, err := ParseExpectation("pass 200")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a: fine", "b: would refuse with 403 NO, but only observes", "b: too low", "service s: the status of its answer is not known here"}
	if got := because(w, expected); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	w.Policies[1].Verdict, w.Policies[1].Says, w.Refusal = gateway.Refuses, []string{"needs b", "No"}, &gateway.Refusal{By: "policy b", Message: "No", Detail: "too low"}
	if got, want := because(w, expected), []string{"policy b: No", "policy b: too low", "b: needs b"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
