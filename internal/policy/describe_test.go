package policy_test

import (
	"reflect"
	"testing"

	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
	"yett/internal/problem"
)

// guard is a policy that has something to say about everything.
type guard struct{ policy.Base }

func (guard) Describe(d *policy.Description) {
	d.Schemes, d.Anonymous = append(d.Schemes, policy.Scheme{In: "header"}), false
	d.Rules, d.Roles = append(d.Rules, "boss or above"), append(d.Roles, "boss")
	d.Scopes, d.Permissions = append(d.Scopes, "s"), append(d.Permissions, "p")
	d.Limits = append(d.Limits, policy.LimitNote{Name: "l"})
	d.ResponseHeaders = append(d.ResponseHeaders, policy.HeaderNote{Name: "Always"}, policy.HeaderNote{Name: "Refused", Only: []int{401, 503}},
		policy.HeaderNote{Name: "Some", Only: []int{200, 401}})
	d.Notes = append(d.Notes, "note")
	d.Refuse(overQuota)
}

func guardOf(t *testing.T, config string) policy.Policy {
	t.Helper()
	kind := policy.Define("guard", func() quotaConfig { return quotaConfig{Mode: policy.Enforce} },
		func(quotaConfig, policy.Deps) (policy.Policy, problem.List) { return guard{}, nil }, overQuota)
	return policytest.Build(t, kind, config)
}

// A policy that only observes claims nothing that it does not do, and takes nothing from
// others.
func TestDescribe(t *testing.T) {
	enforcing, observing := guardOf(t, ""), guardOf(t, "mode: observe")
	always, refused, some := policy.HeaderNote{Name: "Always"}, policy.HeaderNote{Name: "Refused", Only: []int{401, 503}}, policy.HeaderNote{Name: "Some", Only: []int{200, 401}}
	header := policy.Scheme{In: "header"}
	one := policy.Description{
		Schemes: []policy.Scheme{header}, Rules: []string{"boss or above"}, Roles: []string{"boss"}, Scopes: []string{"s"}, Permissions: []string{"p"},
		Limits: []policy.LimitNote{{Name: "l"}}, ResponseHeaders: []policy.HeaderNote{always, refused, some}, Notes: []string{"note"}, Refusals: []*exchange.Reason{overQuota},
	}
	two := one
	two.Schemes, two.Notes = []policy.Scheme{header, header}, []string{"note", "note"}
	two.ResponseHeaders = []policy.HeaderNote{always, refused, some, always, some}
	two.Anonymous = true
	for name, tt := range map[string]struct {
		chain policy.Chain
		want  policy.Description
	}{
		"nobody":      {policy.Chain{{Policy: quota{}}}, policy.Description{}},
		"it enforces": {policy.Chain{{Policy: enforcing}}, one},
		"it observes": {policy.Chain{{Policy: observing}}, policy.Description{
			Schemes: []policy.Scheme{header}, Anonymous: true, ResponseHeaders: []policy.HeaderNote{always, some}, Notes: []string{"note"},
		}},
		"both": {policy.Chain{{Policy: enforcing}, {Policy: observing}}, two},
	} {
		if got := tt.chain.Describe(); !reflect.DeepEqual(*got, tt.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, *got, tt.want)
		}
	}
}
