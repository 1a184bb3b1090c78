package rbac

import (
	"fmt"
	"slices"
	"strings"

	"yett/internal/config"
	"yett/internal/policy"
	"yett/internal/problem"
	"yett/internal/role"
)

// Config is what an operator can write. Whatever may be left out is a pointer,
// so that a rule which is there and empty, as one from an unset variable, is a
// mistake and not no rule.
type Config struct {
	MinRole       *string            `yaml:"min_role" doc:"The caller has this role, or one that also is it: by its level, or by what it includes."`
	AnyRole       *config.StringList `yaml:"any_role" doc:"The caller has one of these roles, or one that also is one of them."`
	ExactRole     *config.StringList `yaml:"exact_role" doc:"The caller has one of these very roles; a role above them does not pass."`
	SelfOrMinRole *SelfRule          `yaml:"self_or_min_role" doc:"The path names the caller, or the caller has a role."`
	Tenant        *TenantRule        `yaml:"tenant" doc:"The path names the caller's tenant. A caller without a tenant does not pass."`
	Permissions   *Grants            `yaml:"permissions" doc:"Permissions that the caller's token grants."`
	Scopes        *Grants            `yaml:"scopes" doc:"Scopes that the caller's token grants. A refusal names them in WWW-Authenticate (RFC 6750 section 3.1)."`
	Mode          policy.Mode        `yaml:"mode" enum:"enforce,observe" doc:"enforce refuses; observe only logs and counts what would have been refused, and lets it pass."`
}

// SelfRule lets callers reach what is theirs.
type SelfRule struct {
	Param   string `yaml:"param" required:"true" doc:"Name of the path's value that has to be the caller's subject, such as id for /users/{id}."`
	MinRole string `yaml:"min_role" required:"true" doc:"Role that reaches what belongs to others too, it or one that also is it."`
}

// TenantRule keeps callers within their tenant.
type TenantRule struct {
	Param     string  `yaml:"param" required:"true" doc:"Name of the path's value that has to be the caller's tenant, such as tenantId for /tenants/{tenantId}/**."`
	AnyTenant *string `yaml:"any_tenant" doc:"Role that reaches every tenant, it or one that also is it; nobody does when left out."`
}

// Grants is what a token has to grant.
type Grants struct {
	AllOf *config.StringList `yaml:"all_of" doc:"All of these."`
	AnyOf *config.StringList `yaml:"any_of" doc:"At least one of these."`
}

// PolicyMode implements policy.Moded.
func (c Config) PolicyMode() policy.Mode { return c.Mode }

func defaults() Config { return Config{Mode: policy.Enforce} }

// compiler turns what the operator wrote into demands, and notes every
// problem.
type compiler struct {
	deps     policy.Deps
	demands  []demand
	problems problem.List
}

func (c Config) compile(deps policy.Deps) ([]demand, problem.List) {
	b := compiler{deps: deps}
	b.roleRules(c)
	b.grants("permissions", c.Permissions)
	b.grants("scopes", c.Scopes)
	b.self(c.SelfOrMinRole)
	b.tenant(c.Tenant)
	if len(b.demands) == 0 && len(b.problems) == 0 {
		b.problems.Add("", "there is no rule, so everybody who is known would pass",
			"write min_role, any_role, exact_role, self_or_min_role, tenant, permissions or scopes, or remove the policy")
	}
	return b.demands, b.problems
}

func (b *compiler) roleRules(c Config) {
	if c.MinRole != nil && b.checkRole("min_role", *c.MinRole) {
		b.demandRole("needs role ", *c.MinRole+" or above", b.deps.Roles.AtLeast(*c.MinRole))
	}
	if c.AnyRole != nil && b.checkRoles("any_role", *c.AnyRole) {
		b.demandRole("needs role ", either(*c.AnyRole)+", or above", b.deps.Roles.AtLeast(*c.AnyRole...))
	}
	if c.ExactRole != nil && b.checkRoles("exact_role", *c.ExactRole) {
		b.demandRole(exactly, either(*c.ExactRole), b.deps.Roles.Exactly(*c.ExactRole...))
	}
}

// exactly is what the log says where no role above helps.
const exactly = "needs exactly role "

func (b *compiler) demandRole(needs, roles string, pass role.Mask) {
	said := roles
	if needs == exactly {
		said = "exactly " + roles
	}
	b.demands = append(b.demands, demand{rule: &roleRule{b.deps.Roles, pass}, reason: roleMissing, detail: needs + roles, said: said})
}

// checkRole reports a role that is not configured. It tells whether it is.
func (b *compiler) checkRole(path, name string) bool {
	roles := b.deps.Roles
	switch {
	case roles.Known(name):
		return true
	case name == "":
		b.problems.Add(path, "is empty", "name a role")
	case roles.Len() == 0:
		b.problems.Addf(path, "define it under roles, at the top level", "there is no role %q", name)
	default:
		b.problems.Addf(path, problem.DidYouMean(name, roles.Names()), "there is no role %q", name)
	}
	return false
}

func (b *compiler) checkRoles(path string, names config.StringList) bool {
	ok := b.checkList(path, names)
	for i, name := range names {
		ok = b.checkRole(fmt.Sprintf("%s[%d]", path, i), name) && ok
	}
	return ok
}

// checkList reports an empty list: it would ask for nothing, or let nobody
// pass, and nobody means either.
func (b *compiler) checkList(path string, list config.StringList) bool {
	if len(list) == 0 {
		b.problems.Add(path, "is an empty list", "name what is needed, or remove it")
	}
	return len(list) > 0
}

func (b *compiler) self(c *SelfRule) {
	if c == nil {
		return
	}
	ok := b.checkParam("self_or_min_role.param", c.Param)
	if !b.checkRole("self_or_min_role.min_role", c.MinRole) || !ok {
		return
	}
	b.demands = append(b.demands, demand{
		rule:   &pathRule{param: c.Param, roles: roleRule{b.deps.Roles, b.deps.Roles.AtLeast(c.MinRole)}},
		reason: resourceForbidden,
		detail: "needs the path's value " + c.Param + " to be the caller, or role " + c.MinRole + " or above",
		said:   "the caller whose id the path names as {" + c.Param + "}, or " + c.MinRole + " or above",
	})
}

func (b *compiler) tenant(c *TenantRule) {
	if c == nil {
		return
	}
	ok := b.checkParam("tenant.param", c.Param)
	r := &pathRule{param: c.Param, tenant: true}
	detail := "needs the path's value " + c.Param + " to be the caller's tenant"
	said := "callers of the tenant that the path names as {" + c.Param + "}"
	if c.AnyTenant != nil {
		ok = b.checkRole("tenant.any_tenant", *c.AnyTenant) && ok
		r.roles = roleRule{b.deps.Roles, b.deps.Roles.AtLeast(*c.AnyTenant)}
		detail += ", or role " + *c.AnyTenant + " or above"
		said += ", or " + *c.AnyTenant + " or above"
	}
	if ok {
		b.demands = append(b.demands, demand{rule: r, reason: tenantForbidden, detail: detail, said: said})
	}
}

// checkParam reports a path value that the route does not have.
func (b *compiler) checkParam(path, name string) bool {
	names := slices.DeleteFunc(slices.Clone(b.deps.Route.Params), func(n string) bool { return n == "**" })
	switch {
	case slices.Contains(names, name):
		return true
	case name == "**": // which is not decoded either
		b.problems.Add(path, "** is any number of segments", "name a single one, such as {id}")
	case len(names) == 0:
		b.problems.Addf(path, fmt.Sprintf("write the path with {%s}, or give the route an rbac of its own", name),
			"no value {%s} is in every path of the route, nor any other", name)
	default:
		b.problems.Addf(path, problem.DidYouMean(name, names), "no value {%s} is in every path of the route", name)
	}
	return false
}

// grants makes the demand of permissions or of scopes.
func (b *compiler) grants(what string, c *Grants) {
	if c == nil {
		return
	}
	all, ok1 := b.grantList(what, "all_of", c.AllOf)
	anyOf, ok2 := b.grantList(what, "any_of", c.AnyOf)
	switch {
	case !ok1 || !ok2:
		return
	case len(all) == 0 && len(anyOf) == 0:
		b.problems.Add(what, "asks for nothing", "write all_of or any_of")
		return
	}
	needed := describeGrants(what, all, anyOf)
	d := demand{rule: &grantRule{what, all, anyOf}, reason: permissionMissing, detail: "needs " + needed, said: "a token with " + needed}
	if what == "scopes" {
		d.reason = scopeMissing
		d.challenge = insufficientScope(b.deps.Gateway, all, anyOf)
	}
	b.demands = append(b.demands, d)
}

// grantList checks a list of permissions or scopes.
func (b *compiler) grantList(what, key string, list *config.StringList) (names []string, ok bool) {
	if list == nil {
		return nil, true
	}
	path := what + "." + key
	ok = b.checkList(path, *list)
	for i, name := range *list {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case name == "":
			b.problems.Add(at, "is empty", "name what is needed")
			ok = false
		case what == "scopes" && strings.ContainsFunc(name, notOfScope):
			b.problems.Addf(at, "a scope is of visible ASCII characters, without quotes and backslashes (RFC 6749 section 3.3)",
				"%q can't be a scope", name)
			ok = false
		}
	}
	return *list, ok
}

// notOfScope tells what no scope has (RFC 6749 section 3.3), so that scopes can
// stand in a quoted text as they are.
func notOfScope(r rune) bool { return r <= ' ' || r == '"' || r == '\\' || r >= 0x7f }

// either lists names as a sentence does: "a, b or c".
func either(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func describeGrants(what string, all, anyOf []string) string {
	var parts []string
	if len(all) > 0 {
		parts = append(parts, "the "+what+" "+strings.Join(all, ", "))
	}
	if len(anyOf) > 0 {
		parts = append(parts, "one of the "+what+" "+strings.Join(anyOf, ", "))
	}
	return strings.Join(parts, " and ")
}

// challenge is what a caller is told who is not known.
func challenge(gateway string) string { return `Bearer realm="` + policy.Realm(gateway) + `"` }

// insufficientScope is what a caller is told whose token grants too little (RFC
// 6750 section 3.1). It names the scopes with which a token would do. There is
// no way to say "one of", so it names all of those too.
func insufficientScope(gateway string, all, anyOf []string) string {
	var scopes []string
	for _, s := range slices.Concat(all, anyOf) {
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return challenge(gateway) + `, error="insufficient_scope", scope="` + strings.Join(scopes, " ") + `"`
}
