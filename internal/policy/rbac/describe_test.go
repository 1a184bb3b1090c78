package rbac

import (
	"reflect"
	"slices"
	"testing"

	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
)

func TestDescribe(t *testing.T) {
	for _, tt := range []struct {
		config string
		want   policy.Description // without headers
	}{
		{"min_role: tenant_admin", policy.Description{
			Rules: []string{"tenant_admin or above"}, Roles: []string{"system_admin", "tenant_admin"}, Refusals: []*exchange.Reason{roleMissing},
		}},
		{"exact_role: tenant_admin", policy.Description{
			Rules: []string{"exactly tenant_admin"}, Roles: []string{"tenant_admin"}, Refusals: []*exchange.Reason{roleMissing},
		}},
		{"{any_role: [technician, tenant_admin], exact_role: [manager, technician, billing_manager]}", policy.Description{
			Rules: []string{"technician or tenant_admin, or above", "exactly manager, technician or billing_manager"},
			Roles: []string{"technician", "manager"}, Refusals: []*exchange.Reason{roleMissing},
		}},
		{"{min_role: software_developer, exact_role: tenant_admin}", policy.Description{
			Rules: []string{"software_developer or above", "exactly tenant_admin", "no role meets all of that"}, Roles: []string{}, Refusals: []*exchange.Reason{roleMissing},
		}},
		{"self_or_min_role: {param: id, min_role: tenant_admin}", policy.Description{
			Rules: []string{"the caller whose id the path names as {id}, or tenant_admin or above"}, Refusals: []*exchange.Reason{resourceForbidden},
		}},
		{"tenant: {param: tenantId, any_tenant: system_admin}", policy.Description{
			Rules: []string{"callers of the tenant that the path names as {tenantId}, or system_admin or above"}, Refusals: []*exchange.Reason{tenantForbidden},
		}},
		{"tenant: {param: tenantId}", policy.Description{
			Rules: []string{"callers of the tenant that the path names as {tenantId}"}, Refusals: []*exchange.Reason{tenantForbidden},
		}},
		{"permissions: {all_of: [read, list], any_of: [write, close]}", policy.Description{
			Rules: []string{"a token with the permissions read, list and one of the permissions write, close"}, Permissions: []string{"read", "list"}, Refusals: []*exchange.Reason{permissionMissing},
		}},
		{"scopes: {all_of: tickets, any_of: admin}", policy.Description{
			Rules: []string{"a token with the scopes tickets and one of the scopes admin"}, Scopes: []string{"tickets", "admin"}, Refusals: []*exchange.Reason{scopeMissing},
		}},
		{"{min_role: tenant_admin, mode: observe}", policy.Description{}},
	} {
		got := *policy.Chain{{Policy: policytest.BuildWith(t, Kind, tt.config, deps())}}.Describe()
		got.ResponseHeaders = nil
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tt.config, got, tt.want)
		}
	}
}

// The roles are exactly those of whom one passes who has nothing else.
func TestDescribedRolesPass(t *testing.T) {
	for _, config := range []string{"min_role: technician", "any_role: [software_developer, billing_manager]", "{min_role: billing_manager, exact_role: [tenant_admin, manager]}"} {
		p := policytest.BuildWith(t, Kind, config, deps())
		said := policy.Chain{{Policy: p}}.Describe().Roles
		c := policytest.NewCall(t, "GET / HTTP/1.1\n", "")
		for _, name := range deps().Roles.Names() {
			x := c.Start()
			x.Identity = caller("role=" + name)
			if passes := p.Request(x, x.Slot(0)) == exchange.Continue; passes != slices.Contains(said, name) {
				t.Errorf("%s: %s passes: %v, and the roles are %q", config, name, passes, said)
			}
			c.Finish(x)
		}
	}
}

// Behind a policy that lets everybody through it is this one that wants to know who calls.
func TestDescribeUnknownCallers(t *testing.T) {
	p := policytest.BuildWith(t, Kind, "{min_role: tenant_admin, scopes: {all_of: tickets}}", deps()).(policy.Describer)
	d := policy.Description{Schemes: []policy.Scheme{{In: "header"}}, Anonymous: true}
	p.Describe(&d)
	if d.Anonymous || !slices.Contains(d.Refusals, notAuthenticated) || len(d.ResponseHeaders) != 1 || !slices.Equal(d.ResponseHeaders[0].Only, []int{401, 403}) {
		t.Errorf("%+v", d)
	}
	d = policy.Description{}
	if p.Describe(&d); slices.Contains(d.Refusals, notAuthenticated) || !slices.Equal(d.ResponseHeaders[0].Only, []int{403}) {
		t.Errorf("behind one that refuses: %+v", d)
	}
}
