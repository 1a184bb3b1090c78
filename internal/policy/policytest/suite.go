package policytest

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/policy"
)

// Option excuses a policy from a part of the suite. Each says why, in the
// test that needs it.
type Option func(*suite)

// Allocates excuses a policy that can't work without allocating.
func Allocates(why string) Option { return func(s *suite) { s.allocates = why } }

// NeedsConfig excuses a policy that has no sensible defaults. The suite then
// checks that it says so, instead of that it is built.
func NeedsConfig(why string) Option { return func(s *suite) { s.needsConfig = why } }

// With builds the policy with other things than Deps, for one that needs
// issuers, roles or a route. deps is called once for each build, and must give
// the same each time.
func With(deps func() policy.Deps) Option { return func(s *suite) { s.deps = deps } }

type suite struct {
	deps                   func() policy.Deps
	kind                   *policy.Kind
	section                string // the example of doc.go
	allocates, needsConfig string
}

// Run is what every policy passes. It has to be called from a test in the
// policy's folder.
func Run(t *testing.T, k *policy.Kind, options ...Option) {
	s := &suite{kind: k, deps: Deps}
	for _, o := range options {
		o(s)
	}
	section, err := example("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	s.section = section
	t.Run("folder", s.folder)
	t.Run("example", func(t *testing.T) { s.build(t) })
	t.Run("defaults", s.defaults)
	t.Run("unknown key", s.unknownKey)
	t.Run("independent", s.independent)
	t.Run("every life", s.everyLife)
	t.Run("allocations", s.allocations)
	t.Run("nothing kept", s.nothingKept)
	t.Run("concurrent", s.concurrent)
	t.Run("reasons", s.reasons)
	t.Run("scripts", s.scripts)
}

// build makes the policy of the example.
func (s *suite) build(t *testing.T) policy.Policy {
	t.Helper()
	d, err := decoder(s.kind, s.section)
	if err != nil {
		t.Fatalf("the example of doc.go: %v", err)
	}
	p, problems := s.kind.Build(d, s.deps())
	if len(problems) > 0 {
		t.Fatalf("the example of doc.go:\n%v", problems)
	}
	return p
}

// folder: the second policy folder looks like the first.
func (s *suite) folder(t *testing.T) {
	for _, name := range []string{"doc.go", "config.go", "policy.go", "policy_test.go"} {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("a policy has a %s: %v", name, err)
		}
	}
	if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(s.kind.Name) {
		t.Errorf("the name %q is not in lower case with underscores", s.kind.Name)
	}
}

func (s *suite) defaults(t *testing.T) {
	p, problems := TryBuildWith(t, s.kind, "", s.deps())
	switch {
	case s.needsConfig == "" && len(problems) > 0:
		t.Errorf("the defaults are refused:\n%v", problems)
	case s.needsConfig != "" && len(problems) == 0:
		t.Errorf("the defaults build, though %s", s.needsConfig)
	case len(problems) == 0 && p == nil:
		t.Error("neither a policy nor a problem")
	}
}

func (s *suite) unknownKey(t *testing.T) {
	_, problems := TryBuildWith(t, s.kind, "no_such_key: 1\n", s.deps())
	for _, p := range problems {
		if strings.Contains(p.String(), "no_such_key") {
			return
		}
	}
	t.Errorf("an unknown key was not refused: %v", problems)
}

// independent: two builds share nothing, or a change of one route's policy
// would change another's.
func (s *suite) independent(t *testing.T) {
	p, q := reflect.ValueOf(s.build(t)), reflect.ValueOf(s.build(t))
	if p.Kind() == reflect.Pointer && p.Elem().Type().Size() > 0 && p.Pointer() == q.Pointer() {
		t.Error("two builds gave the same policy")
	}
}

// calls are the exchanges that the suite tries a policy on.
func calls(t *testing.T) map[string]*Call {
	return map[string]*Call{
		"ordinary": NewCall(t, "GET /a/b?c=d HTTP/1.1\nHost: example.org\nX-Request-ID: known-request-id\nAccept: */*\nOrigin: https://example.org\n",
			"HTTP/1.1 200 OK\nContent-Type: text/plain\nContent-Length: 2\nX-Powered-By: Express\n\nok"),
		"no fields": NewCall(t, "GET / HTTP/1.1\n", ""),
		"with body": NewCall(t, "POST /upload HTTP/1.1\nHost: example.org\nContent-Type: application/json\nContent-Length: 2\n\n{}",
			"HTTP/1.1 500 Internal Server Error\nContent-Length: 0\n"),
		"hostile": NewCall(t, "GET /%00?a=%0d%0a&\xff HTTP/1.1\nHost: x\nX-Request-ID: <script>\nX-Request-ID: two\nAuthorization: Bearer \xff\n",
			"HTTP/1.1 204 No Content\nX-Request-ID: of-the-service\nX-Request-ID: twice\n"),
	}
}

// everyLife: whatever the exchange went through, the phases don't panic.
func (s *suite) everyLife(t *testing.T) {
	p := s.build(t)
	for name, c := range calls(t) {
		t.Run(name, func(*testing.T) { c.Run(p) })
		t.Run(name+", refused by a later link", func(*testing.T) {
			x := c.Start()
			defer c.Finish(x)
			p.Request(x, x.Slot(0))
			x.Refuse(exchange.NoTarget)
			p.Response(x, x.Slot(0))
			p.End(x, x.Slot(0))
		})
		t.Run(name+", given up by the client", func(*testing.T) {
			x := c.Start()
			defer c.Finish(x)
			p.Request(x, x.Slot(0))
			x.Abort(exchange.ClientGone)
			p.End(x, x.Slot(0))
		})
	}
	t.Run("empty exchange", func(*testing.T) {
		var x exchange.Exchange
		p.Request(&x, x.Slot(0))
		p.Response(&x, x.Slot(0))
		p.End(&x, x.Slot(0))
	})
}

func (s *suite) allocations(t *testing.T) {
	if s.allocates != "" {
		t.Skip("allocates: " + s.allocates)
	}
	p := s.build(t)
	for name, c := range calls(t) {
		t.Run(name, func(t *testing.T) {
			if n := c.Allocs(t, p); n != 0 {
				t.Errorf("%v allocations for each exchange", n)
			}
		})
	}
}

func (s *suite) nothingKept(t *testing.T) {
	for _, trace := range traces(func() policy.Policy { return s.build(t) }, calls(t)) {
		t.Error(trace)
	}
}

// traces tells where an exchange leaves one in the next. The memory of the
// first is overwritten before the second starts, so a view that was kept
// shows, most surely with the build tag "poison".
func traces(build func() policy.Policy, calls map[string]*Call) []string {
	var found []string
	for first, c1 := range calls {
		for second, c2 := range calls {
			used := build()
			c1.Run(used)
			if got, want := c2.Outcome(used), c2.Outcome(build()); got != want {
				found = append(found, fmt.Sprintf("%s after %s:\n%s\ninstead of\n%s", second, first, got, want))
			}
		}
	}
	return found
}

// concurrent is for the race detector, and for state that is shared by
// mistake.
func (s *suite) concurrent(t *testing.T) {
	p := s.build(t)
	var wg sync.WaitGroup
	for name, c := range calls(t) {
		want := c.Outcome(s.build(t))
		for range 4 {
			wg.Go(func() {
				for range 50 {
					if got := c.Outcome(p); got != want {
						t.Errorf("%s:\n%s\ninstead of\n%s", name, got, want)
						return
					}
				}
			})
		}
	}
	wg.Wait()
}

func (s *suite) reasons(t *testing.T) {
	for _, fault := range faults(s.kind.Reasons) {
		t.Error(fault)
	}
}

// faults tells what is wrong with the reasons of a policy.
func faults(reasons []*exchange.Reason) []string {
	form := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	code := regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	seen := map[string]bool{}
	for _, r := range exchange.Reasons() {
		seen[r.Name] = true
	}
	var found []string
	for _, r := range reasons {
		switch {
		case !form.MatchString(r.Name):
			found = append(found, fmt.Sprintf("the name of reason %q is not in lower case with underscores", r.Name))
		case seen[r.Name]:
			found = append(found, fmt.Sprintf("reason %s is there already", r.Name))
		case !code.MatchString(r.Code):
			found = append(found, fmt.Sprintf("%s: the code %q is not in upper case with underscores", r.Name, r.Code))
		case r.Status < 400 || r.Status > 599:
			found = append(found, fmt.Sprintf("%s: %d is no status of a refusal", r.Name, r.Status))
		case r.Message == "" || r.Help == "":
			found = append(found, fmt.Sprintf("%s: a reason has a message for the caller and help for the operator", r.Name))
		}
		seen[r.Name] = true
	}
	return found
}

// scripts: those in testdata can be read, and concern this policy.
func (s *suite) scripts(t *testing.T) {
	scripts := ReadScripts(t, filepath.Join("testdata", "*.txtar"))
	if len(scripts) == 0 {
		t.Error("a policy has scripts, testdata/*.txtar")
	}
	for _, script := range scripts {
		c, err := config.Parse(script.Name, script.Config, config.MapEnv(map[string]string{"UPSTREAM": "http://127.0.0.1:1"}))
		if err != nil {
			t.Errorf("%s: config:\n%v", script.Name, err)
			continue
		}
		if !uses(c, s.kind.Name) {
			t.Errorf("%s doesn't use %s", script.Name, s.kind.Name)
		}
	}
}

// uses tells whether a policy is named for all routes or for one.
func uses(c *config.Config, name string) bool {
	all := c.Policies
	for _, r := range c.Routes {
		all = append(all, r.Policies...)
	}
	for _, entry := range all {
		if entry.Name == name {
			return true
		}
	}
	return false
}
