package rbac

import (
	"fmt"
	"slices"
	"strings"

	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/problem"
	"yett/internal/role"
)

// The reasons for which the policy refuses.
var (
	notAuthenticated  = &exchange.Reason{Name: "not_authenticated", Code: "NOT_AUTHENTICATED", Status: 401, Message: "Authentication is required", Help: "The policy rbac met a caller whom nobody knows. That can only be where jwt has `mode: observe`."}
	roleMissing       = &exchange.Reason{Name: "role_missing", Code: "INSUFFICIENT_PERMISSIONS", Status: 403, Message: "Your role does not allow this", Help: "None of the caller's roles passes `min_role`, `any_role` or `exact_role` of the policy rbac; the log's detail says which it asks for. A role that is not configured under `roles` passes nothing."}
	permissionMissing = &exchange.Reason{Name: "permission_missing", Code: "INSUFFICIENT_PERMISSIONS", Status: 403, Message: "You lack a permission for this", Help: "The caller's token does not grant what `permissions` of the policy rbac asks for; the log's detail says what that is."}
	scopeMissing      = &exchange.Reason{Name: "scope_missing", Code: "INSUFFICIENT_PERMISSIONS", Status: 403, Message: "Your token is not meant for this", Help: "The caller's token does not grant what `scopes` of the policy rbac asks for; WWW-Authenticate says what that is (RFC 6750 section 3.1)."}
	resourceForbidden = &exchange.Reason{Name: "resource_forbidden", Code: "FORBIDDEN_RESOURCE_ACCESS", Status: 403, Message: "This is not yours", Help: "The path names somebody else, and the caller does not have the role for that; see `self_or_min_role` of the policy rbac."}
	tenantForbidden   = &exchange.Reason{Name: "tenant_forbidden", Code: "FORBIDDEN_RESOURCE_ACCESS", Status: 403, Message: "This is not of your tenant", Help: "The path names a tenant that is not the caller's, or the caller has none; see `tenant` of the policy rbac."}
)

// Kind describes the policy.
var Kind = policy.Authorizing(policy.Define("rbac", defaults, build,
	notAuthenticated, roleMissing, permissionMissing, scopeMissing, resourceForbidden, tenantForbidden))

// rbac is the policy. All that it ever says is made when it is built.
type rbac struct {
	policy.RequestOnly
	roles     *role.Set
	demands   []demand
	service   bool   // the route has one, which can answer a preflight
	challenge string // for a caller whom nobody knows
}

// demand is a rule, and how who does not keep it is refused.
type demand struct {
	rule
	reason    *exchange.Reason
	detail    string // for the log: "needs role technician or above"
	said      string // for callers: "technician or above"
	challenge string // the WWW-Authenticate field, "" for none
}

// rule is something that has to be true of a request.
type rule interface {
	// holds tells whether it is. It does not allocate.
	holds(x *exchange.Exchange) bool
	// because says for people why it holds or not.
	because(x *exchange.Exchange) string
}

func build(c Config, deps policy.Deps) (policy.Policy, problem.List) {
	demands, problems := c.compile(deps)
	if len(problems) > 0 {
		return nil, problems
	}
	return &rbac{roles: deps.Roles, demands: demands, service: deps.Route.Service != "", challenge: challenge(deps.Gateway)}, nil
}

// Request refuses who does not keep every rule.
func (p *rbac) Request(x *exchange.Exchange, _ *exchange.Slot) exchange.Verdict {
	if x.PassPreflight && p.service {
		return exchange.Continue
	}
	if !x.Identity.Known() {
		x.Challenge = p.challenge
		return x.Refuse(notAuthenticated)
	}
	for i := range p.demands {
		if d := &p.demands[i]; !d.holds(x) {
			x.Challenge = d.challenge
			return x.RefuseWith(d.reason, p.detailOf(x, d))
		}
	}
	return exchange.Continue
}

// detailOf is what the log says: for a role that is missing also which ones the
// caller has, since whoever turns rules on has to know whom they would hit.
func (p *rbac) detailOf(x *exchange.Exchange, d *demand) string {
	if d.reason != roleMissing {
		return d.detail
	}
	const most = 100 // bytes of roles
	has := x.Identity.Role
	if len(has) > most {
		has = has[:most]
	}
	what, unknown := "; the caller has ", " (not configured)"
	if has == "" {
		what, unknown = "; the caller has none", ""
	}
	if slices.ContainsFunc(x.Identity.Roles, p.roles.Known) {
		unknown = ""
	}
	b := x.Bytes(len(d.detail) + len(what) + len(has) + len(unknown))[:0]
	b = append(append(append(append(b, d.detail...), what...), has...), unknown...)
	return exchange.View(b)
}

// Explain implements policy.Explainer.
func (p *rbac) Explain(x *exchange.Exchange, _ *exchange.Slot) []string {
	id := &x.Identity
	if !id.Known() {
		return []string{"nobody knows who calls, so no rule is looked at"}
	}
	lines := []string{fmt.Sprintf("the caller is %q, %s", id.Subject, orNone("of tenant %q", "of no tenant", id.Tenant))}
	for _, name := range id.Roles {
		lines = append(lines, p.explainRole(name))
	}
	if len(id.Roles) == 0 {
		lines = append(lines, "the caller has no role")
	}
	for i := range p.demands {
		d := &p.demands[i]
		outcome := "no"
		if d.holds(x) {
			outcome = "yes"
		}
		lines = append(lines, fmt.Sprintf("%s: %s, %s", d.detail, outcome, d.because(x)))
	}
	return lines
}

// orNone writes a text that may be empty.
func orNone(format, none, text string) string {
	if text == "" {
		return none
	}
	return fmt.Sprintf(format, text)
}

func (p *rbac) explainRole(name string) string {
	if !p.roles.Known(name) {
		return fmt.Sprintf("role %q is not configured, so it passes nothing", name)
	}
	level := "without a level"
	if n := p.roles.Level(name); n > 0 {
		level = fmt.Sprintf("level %d", n)
	}
	also := "is no other"
	if names := p.roles.Closure(name); len(names) > 0 {
		also = "also is " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("role %s (%s) %s", name, level, also)
}

// roleRule holds for who has a role that passes.
type roleRule struct {
	roles *role.Set
	pass  role.Mask
}

func (r *roleRule) holds(x *exchange.Exchange) bool { return r.passing(&x.Identity) != "" }

// passing returns the first role of the caller that passes, or "".
func (r *roleRule) passing(id *exchange.Identity) string {
	for _, name := range id.Roles {
		if bit, ok := r.roles.Bit(name); ok && r.pass.Has(bit) {
			return name
		}
	}
	return ""
}

func (r *roleRule) because(x *exchange.Exchange) string {
	return orNone("by role %s", "no role of the caller passes", r.passing(&x.Identity))
}

// pathRule holds for whom the path names, or whose tenant it does, and for who
// has a role that passes.
type pathRule struct {
	param  string
	tenant bool // whether the value is a tenant, else a subject
	roles  roleRule
}

func (r *pathRule) holds(x *exchange.Exchange) bool { return r.own(x) || r.roles.holds(x) }

// own tells whether the path's value is the caller's.
func (r *pathRule) own(x *exchange.Exchange) bool {
	own := x.Identity.Subject
	if r.tenant {
		own = x.Identity.Tenant
	}
	return own != "" && x.Param(r.param) == own
}

func (r *pathRule) because(x *exchange.Exchange) string {
	value := fmt.Sprintf("the path has %q", x.Param(r.param))
	switch {
	case r.own(x):
		return value
	case r.roles.holds(x):
		return value + ", but " + r.roles.because(x)
	case r.roles.pass == nil:
		return value
	}
	return value + ", and " + r.roles.because(x)
}

// grantRule holds for whose token grants enough.
type grantRule struct {
	what       string // permissions or scopes
	all, anyOf []string
}

// granted returns what the caller's token grants.
func (r *grantRule) granted(x *exchange.Exchange) []string {
	if r.what == "scopes" {
		return x.Identity.Scopes
	}
	return x.Identity.Permissions
}

func (r *grantRule) holds(x *exchange.Exchange) bool {
	granted := r.granted(x)
	for _, name := range r.all {
		if !slices.Contains(granted, name) {
			return false
		}
	}
	for _, name := range r.anyOf {
		if slices.Contains(granted, name) {
			return true
		}
	}
	return len(r.anyOf) == 0
}

func (r *grantRule) because(x *exchange.Exchange) string {
	return orNone("the token grants %s", "the token grants none", strings.Join(r.granted(x), ", "))
}
