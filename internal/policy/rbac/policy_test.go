package rbac

import (
	"os"
	"slices"
	"strings"
	"testing"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
	"yett/internal/problem"
	"yett/internal/role"
	"yett/internal/route"
)

func TestPolicy(t *testing.T) {
	policytest.Run(t, Kind, policytest.NeedsConfig("a policy without rules would let everybody pass"), policytest.With(deps))
}

// Two families that meet in the managers, and a ladder beside them.
const rolesOfTests = `
technician_lead: {includes: technician}
technician: {includes: technician_junior}
technician_junior: {}
software_developer: {}
manager: {includes: [technician_lead, software_developer]}
system_admin: {level: 100}
tenant_admin: {level: 90}
billing_manager: {level: 65}
`

// deps is what policies are built with: a gateway with a name that can't
// stand in quotes, roles, and a route with two values in its path.
func deps() policy.Deps {
	d := policytest.Deps()
	d.Gateway = `the "gate"`
	d.Roles = mustRoles(rolesOfTests)
	d.Route = policy.Route{Auth: "required", Params: []string{"id", "tenantId", "**"}}
	return d
}

// mustRoles compiles the section roles.
func mustRoles(yaml string) *role.Set {
	var c struct {
		Roles config.Mapping[config.Role] `yaml:"roles"`
	}
	node, err := config.ParseNode("roles.yaml", []byte("roles:\n  "+strings.ReplaceAll(strings.TrimSpace(yaml), "\n", "\n  ")), nil)
	if err == nil {
		err = node.Decode(&c).Err()
	}
	if err != nil {
		panic(err)
	}
	set, problems := role.Compile(c.Roles)
	if len(problems) > 0 {
		panic(problems)
	}
	return set
}

// caller makes a known caller from words: role=, tenant=, permission= and
// scope=, each any number of times.
func caller(words string) exchange.Identity {
	id := exchange.Identity{Subject: "auth0|7", Issuer: "main"}
	for word := range strings.FieldsSeq(words) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "role":
			id.Roles = append(id.Roles, value)
		case "tenant":
			id.Tenant = value
		case "permission":
			id.Permissions = append(id.Permissions, value)
		case "scope":
			id.Scopes = append(id.Scopes, value)
		default:
			panic(word)
		}
	}
	id.Role = strings.Join(id.Roles, ",")
	return id
}

// start is a request of a caller, with values id and tenantId in its path.
func start(c *policytest.Call, id exchange.Identity, self, tenant string) *exchange.Exchange {
	x := c.Start()
	x.Identity = id
	x.AddParam("id", self)
	x.AddParam("tenantId", tenant)
	return x
}

func TestRules(t *testing.T) {
	const pass = ""
	tests := []struct{ config, caller, id, tenant, want string }{
		{"min_role: technician", "role=technician", "", "", pass},
		{"min_role: technician", "role=technician_lead", "", "", pass},
		{"min_role: technician", "role=manager", "", "", pass},
		{"min_role: technician", "role=technician_junior", "", "", "role_missing"},
		{"min_role: technician", "role=software_developer", "", "", "role_missing"},
		{"min_role: technician", "role=billing_manager", "", "", "role_missing"}, // D31: another family
		{"min_role: technician", "role=system_admin", "", "", "role_missing"},    // its level says nothing about roles without one
		{"min_role: technician", "role=stranger", "", "", "role_missing"},
		{"min_role: technician", "role=Technician", "", "", "role_missing"},
		{"min_role: technician", "role=", "", "", "role_missing"},
		{"min_role: technician", "", "", "", "role_missing"},
		{"min_role: technician", "role=stranger role=technician_junior role=technician_lead", "", "", pass}, // one is enough
		{"min_role: technician", "role=technician,system_admin", "", "", "role_missing"},                    // a name is no list
		{"min_role: technician", "permission=technician scope=technician tenant=technician", "", "", "role_missing"},
		{"min_role: tenant_admin", "role=system_admin", "", "", pass},
		{"min_role: tenant_admin", "role=billing_manager", "", "", "role_missing"},

		{"any_role: [technician, software_developer]", "role=software_developer", "", "", pass},
		{"any_role: [technician, software_developer]", "role=technician_lead", "", "", pass},
		{"any_role: [technician, software_developer]", "role=technician_junior", "", "", "role_missing"},
		{"any_role: technician", "role=technician", "", "", pass},

		{"exact_role: tenant_admin", "role=tenant_admin", "", "", pass},
		{"exact_role: tenant_admin", "role=system_admin", "", "", "role_missing"},
		{"exact_role: [technician, manager]", "role=manager", "", "", pass},
		{"exact_role: [technician, manager]", "role=technician_lead", "", "", "role_missing"},
		{"exact_role: [technician, manager]", "role=technician_lead role=technician", "", "", pass},

		{"{min_role: technician_junior, exact_role: technician}", "role=technician", "", "", pass},
		{"{min_role: technician_junior, exact_role: technician}", "role=manager", "", "", "role_missing"},
		{"{min_role: technician, permissions: {all_of: a}}", "role=technician", "", "", "permission_missing"},
		{"{min_role: technician, permissions: {all_of: a}}", "permission=a", "", "", "role_missing"},
		{"{min_role: technician, permissions: {all_of: a}}", "role=technician permission=a", "", "", pass},
		{"{permissions: {all_of: a}, scopes: {all_of: a}}", "permission=a", "", "", "scope_missing"},

		{"permissions: {all_of: [a, b]}", "permission=b permission=c permission=a", "", "", pass},
		{"permissions: {all_of: [a, b]}", "permission=a", "", "", "permission_missing"},
		{"permissions: {all_of: [a, b]}", "scope=a scope=b", "", "", "permission_missing"},
		{"permissions: {any_of: [a, b]}", "permission=b", "", "", pass},
		{"permissions: {any_of: [a, b]}", "permission=c", "", "", "permission_missing"},
		{"permissions: {any_of: [a, b]}", "", "", "", "permission_missing"},
		{"permissions: {all_of: a, any_of: [b, c]}", "permission=a permission=c", "", "", pass},
		{"permissions: {all_of: a, any_of: [b, c]}", "permission=a", "", "", "permission_missing"},
		{"permissions: {all_of: a, any_of: [b, c]}", "permission=b", "", "", "permission_missing"},
		{"scopes: {any_of: [a, b]}", "scope=a", "", "", pass},
		{"scopes: {any_of: [a, b]}", "permission=a", "", "", "scope_missing"},

		{"self_or_min_role: {param: id, min_role: tenant_admin}", "", "auth0|7", "", pass},
		{"self_or_min_role: {param: id, min_role: tenant_admin}", "role=technician", "auth0|7", "", pass},
		{"self_or_min_role: {param: id, min_role: tenant_admin}", "role=technician", "auth0|8", "", "resource_forbidden"},
		{"self_or_min_role: {param: id, min_role: tenant_admin}", "role=technician", "AUTH0|7", "", "resource_forbidden"},
		{"self_or_min_role: {param: id, min_role: tenant_admin}", "tenant=auth0|8", "auth0|8", "", "resource_forbidden"},
		{"self_or_min_role: {param: id, min_role: tenant_admin}", "role=technician", "", "auth0|7", "resource_forbidden"}, // the other value
		{"self_or_min_role: {param: id, min_role: tenant_admin}", "role=tenant_admin", "auth0|8", "", pass},
		{"self_or_min_role: {param: id, min_role: tenant_admin}", "role=system_admin", "auth0|8", "", pass},

		{"tenant: {param: tenantId}", "tenant=a", "", "a", pass},
		{"tenant: {param: tenantId}", "tenant=a", "", "b", "tenant_forbidden"},
		{"tenant: {param: tenantId}", "tenant=a role=system_admin", "", "b", "tenant_forbidden"},
		{"tenant: {param: tenantId}", "", "", "a", "tenant_forbidden"},
		{"tenant: {param: tenantId}", "", "", "", "tenant_forbidden"}, // no tenant is not the empty one
		{"tenant: {param: tenantId}", "", "", "auth0|7", "tenant_forbidden"},
		{"tenant: {param: tenantId, any_tenant: system_admin}", "tenant=a role=tenant_admin", "", "b", "tenant_forbidden"}, // D32
		{"tenant: {param: tenantId, any_tenant: system_admin}", "tenant=a role=system_admin", "", "b", pass},
		{"tenant: {param: tenantId, any_tenant: tenant_admin}", "role=system_admin", "", "b", pass},
		{"{min_role: tenant_admin, tenant: {param: tenantId, any_tenant: system_admin}}", "tenant=a role=tenant_admin", "", "a", pass},
		{"{min_role: tenant_admin, tenant: {param: tenantId, any_tenant: system_admin}}", "tenant=a role=tenant_admin", "", "b", "tenant_forbidden"},
		{"{min_role: tenant_admin, tenant: {param: tenantId, any_tenant: system_admin}}", "tenant=a role=technician", "", "a", "role_missing"},
	}
	c := policytest.NewCall(t, "GET / HTTP/1.1\n", "")
	for _, tt := range tests {
		t.Run(tt.config+" "+tt.caller, func(t *testing.T) {
			p := policytest.BuildWith(t, Kind, tt.config, deps())
			x := start(c, caller(tt.caller), tt.id, tt.tenant)
			defer c.Finish(x)
			verdict, got := p.Request(x, x.Slot(0)), pass
			if x.Reason != nil {
				got = x.Reason.Name
			}
			if got != tt.want || (verdict == exchange.Continue) != (tt.want == pass) {
				t.Errorf("%q with id %q and tenant %q: %q (%d), want %q", tt.caller, tt.id, tt.tenant, got, verdict, tt.want)
			}
		})
	}
}

// What a refusal says to the log and to the caller.
func TestRefusals(t *testing.T) {
	tests := []struct {
		config, detail, challenge, code string
		status                          int
	}{
		{"min_role: technician", "needs role technician or above; the caller has billing_manager", "", "INSUFFICIENT_PERMISSIONS", 403},
		{"any_role: [technician, software_developer, manager]", "needs role technician, software_developer or manager, or above; the caller has billing_manager", "", "INSUFFICIENT_PERMISSIONS", 403},
		{"exact_role: [system_admin, manager]", "needs exactly role system_admin or manager; the caller has billing_manager", "", "INSUFFICIENT_PERMISSIONS", 403},
		{"permissions: {all_of: [a, b], any_of: [c, d]}", "needs the permissions a, b and one of the permissions c, d", "", "INSUFFICIENT_PERMISSIONS", 403},
		{"scopes: {all_of: [a, b]}", "needs the scopes a, b", `Bearer realm="the _gate_", error="insufficient_scope", scope="a b"`, "INSUFFICIENT_PERMISSIONS", 403},
		{"scopes: {any_of: [b, 'c:d'], all_of: [a, b]}", "needs the scopes a, b and one of the scopes b, c:d", `Bearer realm="the _gate_", error="insufficient_scope", scope="a b c:d"`, "INSUFFICIENT_PERMISSIONS", 403},
		{"self_or_min_role: {param: id, min_role: tenant_admin}", "needs the path's value id to be the caller, or role tenant_admin or above", "", "FORBIDDEN_RESOURCE_ACCESS", 403},
		{"tenant: {param: tenantId}", "needs the path's value tenantId to be the caller's tenant", "", "FORBIDDEN_RESOURCE_ACCESS", 403},
		{"tenant: {param: tenantId, any_tenant: system_admin}", "needs the path's value tenantId to be the caller's tenant, or role system_admin or above", "", "FORBIDDEN_RESOURCE_ACCESS", 403},
	}
	c := policytest.NewCall(t, "GET / HTTP/1.1\n", "")
	for _, tt := range tests {
		p := policytest.BuildWith(t, Kind, tt.config, deps())
		x := start(c, caller("role=billing_manager tenant=t"), "somebody", "elsewhere")
		if p.Request(x, x.Slot(0)) != exchange.Reply || x.Reason == nil {
			t.Errorf("%s: passed", tt.config)
			continue
		}
		if x.Detail != tt.detail || x.Challenge != tt.challenge || x.Reason.Code != tt.code || x.Status != tt.status {
			t.Errorf("%s: %q, %q, %s, %d", tt.config, x.Detail, x.Challenge, x.Reason.Code, x.Status)
		}
		c.Finish(x)
		x = start(c, exchange.Identity{}, "", "")
		if p.Request(x, x.Slot(0)) != exchange.Reply || x.Reason != notAuthenticated || x.Status != 401 || x.Challenge != `Bearer realm="the _gate_"` {
			t.Errorf("%s: who is not known gets %v, %q", tt.config, x.Reason, x.Challenge)
		}
		c.Finish(x)
	}
}

// The log says whom a rule meets, also one with roles that nobody has defined.
func TestDetailNamesTheRoles(t *testing.T) {
	p := policytest.BuildWith(t, Kind, "min_role: technician", deps())
	c := policytest.NewCall(t, "GET / HTTP/1.1\n", "")
	for roles, want := range map[string]string{
		"":                                 "; the caller has none",
		"role=ADMIN":                       "; the caller has ADMIN (not configured)",
		"role=ADMIN,billing_manager":       "; the caller has ADMIN,billing_manager",
		"role=" + strings.Repeat("x", 200): "; the caller has " + strings.Repeat("x", 100) + " (not configured)",
	} {
		id := caller(roles)
		id.Subject = "u"
		id.Role = strings.TrimPrefix(roles, "role=")
		id.Roles = nil
		if id.Role != "" {
			id.Roles = strings.Split(id.Role, ",")
		}
		x := start(c, id, "", "")
		p.Request(x, x.Slot(0))
		if got := strings.TrimPrefix(x.Detail, "needs role technician or above"); got != want {
			t.Errorf("%.40s: %q", roles, x.Detail)
		}
		c.Finish(x)
	}
}

// A message is for the caller: nothing in it tells what would have helped.
func TestMessagesNameNothing(t *testing.T) {
	for _, r := range Kind.Reasons {
		if strings.ContainsAny(r.Message, "\"\\`_") || strings.ContainsFunc(r.Message, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("%s: the message %q can't stand in an answer", r.Name, r.Message)
		}
	}
}

func TestObserve(t *testing.T) {
	p := policytest.BuildWith(t, Kind, "{min_role: technician, mode: observe}", deps())
	c := policytest.NewCall(t, "GET / HTTP/1.1\n", "")
	x := start(c, caller("role=billing_manager"), "", "")
	defer c.Finish(x)
	if p.Request(x, x.Slot(0)) != exchange.Continue || x.Reason != nil {
		t.Fatalf("refused: %v", x.Reason)
	}
	want := []exchange.Observation{{Reason: roleMissing, Detail: "needs role technician or above; the caller has billing_manager"}}
	if got := x.Observed(); !slices.Equal(got, want) {
		t.Errorf("observed %v", got)
	}
}

func TestBadConfig(t *testing.T) {
	tests := map[string][]string{
		"":                                      {"there is no rule, so everybody who is known would pass, write min_role"},
		"mode: observe":                         {"there is no rule"},
		"{min_role: a, mode: x}":                {"mode: "},
		"min_role: technican":                   {`min_role: there is no role "technican", did you mean "technician"?`}, // D31
		"min_role: ''":                          {"min_role: is empty, name a role"},
		"min_role:":                             {"min_role: is empty"},
		"any_role: []":                          {"any_role: is an empty list, name what is needed"},
		"any_role: ''":                          {"any_role[0]: is empty"},
		"any_role: [technician, technican, '']": {`any_role[1]: there is no role "technican"`, "any_role[2]: is empty"},
		"exact_role: []":                        {"exact_role: is an empty list"},
		"exact_role: sysadmin":                  {`exact_role[0]: there is no role "sysadmin"`},
		"self_or_min_role: {}":                  {"missing key \"param\"", "missing key \"min_role\""},
		"self_or_min_role: {param: ID, min_role: tenant_admn}":    {"self_or_min_role.param: no value {ID} is in every path of the route, did you mean \"id\"?", "self_or_min_role.min_role: there is no role \"tenant_admn\", did you mean \"tenant_admin\"?"},
		"self_or_min_role: {param: '**', min_role: tenant_admin}": {"self_or_min_role.param: ** is any number of segments, name a single one, such as {id}"},
		"tenant: {}":                                          {"missing key \"param\""},
		"tenant: {param: tenant_id}":                          {"tenant.param: no value {tenant_id} is in every path of the route, did you mean \"tenantId\"?"},
		"tenant: {param: tenantId, any_tenant: root}":         {"tenant.any_tenant: there is no role \"root\""},
		"tenant: {param: tenantId, any_tenant: ''}":           {"tenant.any_tenant: is empty"},
		"permissions: {}":                                     {"permissions: asks for nothing, write all_of or any_of"},
		"permissions: {all_of: []}":                           {"permissions.all_of: is an empty list"},
		"permissions: {all_of: a, any_of: []}":                {"permissions.any_of: is an empty list"},
		"permissions: {any_of: [a, '']}":                      {"permissions.any_of[1]: is empty"},
		"scopes: {}":                                          {"scopes: asks for nothing"},
		"scopes: {all_of: [a b, 'c\"', 'd\\', é, 'urn:e/f']}": {`scopes.all_of[0]: "a b" can't be a scope`, "scopes.all_of[1]", "scopes.all_of[2]", "scopes.all_of[3]"},
		"{min_role: technician, permissions: {}}":             {"permissions: asks for nothing"}, // good rules don't excuse bad ones
		"{min_role: x1, any_role: [], scopes: {any_of: []}, tenant: {param: x}}": {"min_role: ", "any_role: ", "scopes.any_of: ", "tenant.param: "},
	}
	for config, want := range tests {
		_, problems := policytest.TryBuildWith(t, Kind, config, deps())
		if len(problems) != len(want) {
			t.Errorf("%s:\n%v\nwant %d problems", config, problems, len(want))
			continue
		}
		for i, p := range problems {
			if !strings.Contains(p.String(), want[i]) {
				t.Errorf("%s: %v, want %q", config, p, want[i])
			}
		}
	}
}

// A rule that comes from variables which are not set is a mistake: without it,
// the other rules alone would decide.
func TestUnsetVariables(t *testing.T) {
	for _, rule := range []string{"min_role: ${NONE:-}", "any_role: ${NONE:-}", "exact_role: ${NONE:-}", "permissions: {all_of: '${NONE:-}'}", "scopes: {any_of: '${NONE:-}'}"} {
		node, err := config.ParseNode("test.yaml", []byte("tenant: {param: tenantId}\n"+rule), config.MapEnv(nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, problems := Kind.Build(node, deps()); len(problems) != 1 || !strings.Contains(problems.Error(), "empty") {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

// Without roles, without values in the path: every check of one is refused.
func TestNothingConfigured(t *testing.T) {
	const rules = "{min_role: a, any_role: [b], exact_role: [c], self_or_min_role: {param: id, min_role: d}, tenant: {param: t, any_tenant: e}}"
	for _, roles := range []*role.Set{nil, {}} {
		d := policytest.Deps()
		d.Roles = roles
		_, problems := policytest.TryBuildWith(t, Kind, rules, d)
		for _, want := range []string{
			`min_role: there is no role "a", define it under roles`, `any_role[0]: there`, `exact_role[0]: there`, `self_or_min_role.min_role: there`, `tenant.any_tenant: there`,
			`self_or_min_role.param: no value {id} is in every path of the route, nor any other, write the path with {id}, or`, `tenant.param: no value`,
		} {
			if !slices.ContainsFunc(problems, func(p problem.Problem) bool { return strings.Contains(p.String(), want) }) {
				t.Errorf("missing: %s", want)
			}
		}
		if len(problems) != 7 {
			t.Errorf("%d problems:\n%v", len(problems), problems)
		}
		p := policytest.BuildWith(t, Kind, "permissions: {all_of: a}", d) // needs none
		x := policytest.NewCall(t, "GET / HTTP/1.1\n", "").Start()
		x.Identity = caller("permission=a")
		if p.Request(x, x.Slot(0)) != exchange.Continue {
			t.Error("a permission alone does not pass")
		}
	}
}

func TestExplain(t *testing.T) {
	const rules = `{min_role: technician, exact_role: [manager], permissions: {any_of: [a, b]}, scopes: {all_of: s},
  self_or_min_role: {param: id, min_role: tenant_admin}, tenant: {param: tenantId, any_tenant: system_admin}}`
	tests := []struct {
		name, caller, id, tenant string
		want                     string
	}{
		{"passes", "role=stranger role=manager tenant=t permission=b permission=c scope=s", "auth0|7", "t", `
the caller is "auth0|7", of tenant "t"
role "stranger" is not configured, so it passes nothing
role manager (without a level) also is software_developer, technician, technician_junior, technician_lead
needs role technician or above: yes, by role manager
needs exactly role manager: yes, by role manager
needs one of the permissions a, b: yes, the token grants b, c
needs the scopes s: yes, the token grants s
needs the path's value id to be the caller, or role tenant_admin or above: yes, the path has "auth0|7"
needs the path's value tenantId to be the caller's tenant, or role system_admin or above: yes, the path has "t"
`},
		{"passes by a role", "role=system_admin role=technician_junior", "u", "t", `
the caller is "auth0|7", of no tenant
role system_admin (level 100) also is billing_manager, tenant_admin
role technician_junior (without a level) is no other
needs role technician or above: no, no role of the caller passes
needs exactly role manager: no, no role of the caller passes
needs one of the permissions a, b: no, the token grants none
needs the scopes s: no, the token grants none
needs the path's value id to be the caller, or role tenant_admin or above: yes, the path has "u", but by role system_admin
needs the path's value tenantId to be the caller's tenant, or role system_admin or above: yes, the path has "t", but by role system_admin
`},
		{"nothing", "", "u", "t", `
the caller is "auth0|7", of no tenant
the caller has no role
needs role technician or above: no, no role of the caller passes
needs exactly role manager: no, no role of the caller passes
needs one of the permissions a, b: no, the token grants none
needs the scopes s: no, the token grants none
needs the path's value id to be the caller, or role tenant_admin or above: no, the path has "u", and no role of the caller passes
needs the path's value tenantId to be the caller's tenant, or role system_admin or above: no, the path has "t", and no role of the caller passes
`},
	}
	c := policytest.NewCall(t, "GET / HTTP/1.1\n", "")
	p := policytest.BuildWith(t, Kind, rules, deps())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := start(c, caller(tt.caller), tt.id, tt.tenant)
			defer c.Finish(x)
			p.Request(x, x.Slot(0))
			got := "\n" + strings.Join(p.(policy.Explainer).Explain(x, x.Slot(0)), "\n") + "\n"
			if got != tt.want {
				t.Errorf("got%swant%s", got, tt.want)
			}
		})
	}
	x := c.Start()
	defer c.Finish(x)
	if got := p.(policy.Explainer).Explain(x, x.Slot(0)); len(got) != 1 || !strings.HasPrefix(got[0], "nobody knows who calls") {
		t.Errorf("%q", got)
	}
}

// Whoever passes and whoever is refused costs no memory.
func TestNoAllocation(t *testing.T) {
	p := policytest.BuildWith(t, Kind, everything, deps())
	for words, want := range map[string]*exchange.Reason{
		allowed:         nil,
		"role=stranger": roleMissing,
		strings.ReplaceAll(allowed, "permission=a", ""): permissionMissing,
		strings.ReplaceAll(allowed, "scope=s", ""):      scopeMissing,
		strings.ReplaceAll(allowed, "tenant=t", ""):     tenantForbidden,
	} {
		x := start(policytest.NewCall(t, "GET / HTTP/1.1\n", ""), caller(words), "auth0|7", "t")
		s := x.Slot(0)
		if n := testing.AllocsPerRun(200, func() { p.Request(x, s) }); n != 0 || x.Reason != want {
			t.Errorf("%s: %v allocations, %v", words, n, x.Reason)
		}
	}
}

const (
	everything = `{min_role: technician, permissions: {all_of: a}, scopes: {all_of: s},
  self_or_min_role: {param: id, min_role: tenant_admin}, tenant: {param: tenantId, any_tenant: system_admin}}`
	allowed = "role=technician_lead tenant=t permission=b permission=a scope=s"
)

func BenchmarkMinRole(b *testing.B) { benchmark(b, "min_role: technician", "role=technician_lead", "") }

func BenchmarkThreeRoles(b *testing.B) {
	benchmark(b, "min_role: technician", "role=stranger role=billing_manager role=technician_lead", "")
}

func BenchmarkSelf(b *testing.B) {
	benchmark(b, "self_or_min_role: {param: id, min_role: tenant_admin}", "role=technician", "")
}

func BenchmarkEverything(b *testing.B) { benchmark(b, everything, allowed, "") }

func BenchmarkRefused(b *testing.B) {
	benchmark(b, "min_role: technician", "role=billing_manager", "role_missing")
}

func benchmark(b *testing.B, rules, words, reason string) {
	p := policytest.BuildWith(b, Kind, rules, deps())
	c := policytest.NewCall(b, "GET / HTTP/1.1\n", "")
	x := start(c, caller(words), "auth0|7", "t")
	defer c.Finish(x)
	s := x.Slot(0)
	b.ReportAllocs()
	for b.Loop() {
		if p.Request(x, s) == exchange.Continue != (reason == "") {
			b.Fatal(x.Reason)
		}
	}
}

// The rules that docs/roles.md shows load, with the roles that it shows.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../../docs/roles.md")
	if err != nil {
		t.Fatal(err)
	}
	d, built := deps(), 0
	build := func(policies config.Policies, params []string) {
		e, ok := policies.Get("rbac")
		if !ok {
			t.Error("an example without rbac")
			return
		}
		d.Route.Params = params
		_, problems := Kind.Build(e.Config, d)
		for _, p := range e.Config.Locate(problems) {
			t.Error(p)
		}
		built++
	}
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		node, err := config.ParseNode("docs/roles.md", []byte(block), nil)
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Roles    config.Mapping[config.Role] `yaml:"roles"`
			Policies config.Policies             `yaml:"policies"`
			Routes   []config.Route              `yaml:"routes"`
		}
		if err := node.Decode(&c).Err(); err != nil {
			t.Fatal(err)
		}
		if len(c.Roles) > 0 { // the last ones count
			d.Roles, _ = role.Compile(c.Roles)
		}
		if len(c.Policies) > 0 {
			build(c.Policies, nil)
		}
		for _, r := range c.Routes {
			build(r.Policies, route.Params(r.Path))
		}
	}
	if built != 8 {
		t.Errorf("%d examples", built)
	}
}
