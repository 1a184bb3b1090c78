package snapshot

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"yett/internal/problem"
)

// refused compiles a configuration and compares its problems, each by how it
// begins, with a list.
func refused(t *testing.T, text string, want []string) {
	t.Helper()
	d := deps(t)
	d.Endpoints["revocations"], d.Endpoints["limits"], d.Endpoints["services"] = page{}, page{}, page{}
	_, err := Compile(parse(t, text), d, nil)
	var list problem.List
	errors.As(err, &list)
	for i := range max(len(list), len(want)) {
		switch {
		case i >= len(list):
			t.Errorf("missing: %s", want[i])
		case i >= len(want):
			t.Errorf("too much: %s", list[i])
		case !strings.HasPrefix(list[i].String(), want[i]):
			t.Errorf("got  %s\nwant %s", list[i], want[i])
		}
	}
}

// rbac stands where callers are known, and nowhere else. Each line of routes
// shows its own mistakes, those of names and of places in the path included.
func TestRBAC(t *testing.T) {
	const nobodyKnows = `but no policy on this route verifies callers, `
	refused(t, `
listeners: [{address: ":0"}]
roles:
  admin: {level: 90}
  technician: {level: 50}
policies:
  rbac: {self_or_min_role: {param: id, min_role: admin}}
routes:
  - {name: public, path: /a, auth: none, endpoint: health}
  - {name: pointless, path: /b, auth: none, endpoint: health, policies: {rbac: {min_role: admin}}}
  - {name: removed, path: /c, auth: none, endpoint: health, policies: {rbac: off}}
  - {name: maybe, path: "/d/{id}", auth: optional, endpoint: health}
  - {name: off, path: /e, auth: optional, endpoint: health, policies: {rbac: off}}
  - {name: fits, path: ["/f/{id}", "/g/{id}/**"], auth: required, endpoint: health}
  - {name: param, path: ["/h/{id}", "/i/{key}"], auth: required, endpoint: health}
  - {name: same, path: /j, auth: required, endpoint: health}
  - {name: own, path: "/k/{user_id}", auth: required, endpoint: health, policies: {rbac: {self_or_min_role: {param: userid, min_role: amdin}}}}
  - {name: typo, path: /l, auth: required, endpoint: health, policies: {rbac: {any_role: [technican, admin]}}}
  - {name: empty, path: /m, auth: required, endpoint: health, policies: {rbac: {}}}
`, []string{
		`yett.yaml:7:36: policies.rbac.self_or_min_role.param: no value {id} is in every path of the route, nor any other, write the path with {id}, or give the route an rbac of its own`,
		`yett.yaml:10:74: routes[1].policies.rbac: auth: none lets everybody pass, so rbac has nothing to decide, write auth: required or optional, or remove it`,
		`yett.yaml:12:42: routes[3].auth: auth: optional, ` + nobodyKnows,
		`yett.yaml:12:42: routes[3].auth: auth: optional lets callers pass whom nobody knows, and rbac would refuse them, write auth: required, or rbac: off under policies of this route`,
		`yett.yaml:13:33: routes[4].auth: auth: optional, ` + nobodyKnows,
		`yett.yaml:14:57: routes[5].auth: auth: required, ` + nobodyKnows,
		`yett.yaml:15:56: routes[6].auth: auth: required, ` + nobodyKnows,
		`yett.yaml:16:34: routes[7].auth: auth: required, ` + nobodyKnows,
		`yett.yaml:17:45: routes[8].auth: auth: required, ` + nobodyKnows,
		`yett.yaml:17:117: routes[8].policies.rbac.self_or_min_role.param: no value {userid} is in every path of the route, did you mean "user_id"?`,
		`yett.yaml:17:135: routes[8].policies.rbac.self_or_min_role.min_role: there is no role "amdin", did you mean "admin"?`,
		`yett.yaml:18:34: routes[9].auth: auth: required, ` + nobodyKnows,
		`yett.yaml:18:91: routes[9].policies.rbac.any_role[0]: there is no role "technican", did you mean "technician"?`,
		`yett.yaml:19:35: routes[10].auth: auth: required, ` + nobodyKnows,
		`yett.yaml:19:74: routes[10].policies.rbac: there is no rule, so everybody who is known would pass, write min_role, `,
	})
}

// Mistakes of the roles are reported at their place, and not once more by
// whoever names such a role.
func TestRoles(t *testing.T) {
	refused(t, `
listeners: [{address: ":0"}]
roles:
  lead: {includes: [senior, techncian]}
  senior: {includes: lead}
  technician: {level: 50}
  a b: {}
routes:
  - name: a
    path: /a
    auth: required
    endpoint: health
    policies: {rbac: {any_role: [lead, senior, a b]}}
`, []string{
		`yett.yaml:4:29: roles.lead.includes[1]: there is no role "techncian", did you mean "technician"?`,
		`yett.yaml:5:22: roles.senior.includes[0]: roles include each other: lead -> senior -> lead, `,
		`yett.yaml:7:3: roles.a b: "a b" can't be the name of a role, `,
		`yett.yaml:11:11: routes[0].auth: auth: required, but no policy `,
	})
}

// Who may end the sessions of others has to be said, and meant.
func TestRevocationsAreGuarded(t *testing.T) {
	guardedPage(t, "revocations", "end the sessions of others")
}

// Who may see who calls, and free others of limits, too.
func TestLimitsAreGuarded(t *testing.T) {
	guardedPage(t, "limits", "see who else calls, and reset what they have used")
}

// Who may switch breakers, as well.
func TestServicesAreGuarded(t *testing.T) {
	guardedPage(t, "services", "see how services are, and keep everybody from them")
}

func guardedPage(t *testing.T, endpoint, power string) {
	t.Helper()
	open := `.endpoint: with ` + endpoint + `, callers ` + power + `: it has to be said who may, write auth: required, and a policy rbac that enforces`
	refused(t, strings.ReplaceAll(`
listeners: [{address: ":0"}]
roles: {admin: {level: 90}}
policies: {rbac: {min_role: admin}}
routes:
  - {name: none, path: /a, endpoint: revocations, auth: none}
  - {name: global, path: /b, endpoint: revocations, auth: required}
  - {name: off, path: /c, endpoint: revocations, auth: required, policies: {rbac: off}}
  - {name: observe, path: /d, endpoint: revocations, auth: required, policies: {rbac: {min_role: admin, mode: observe}}}
  - {name: broken, path: /e, endpoint: revocations, auth: required, policies: {rbac: {min_role: amdin}}}
  - {name: own, path: /f, endpoint: revocations, auth: required, policies: {rbac: {exact_role: admin}}}
`, "revocations", fmt.Sprintf("%-11s", endpoint)), []string{
		`yett.yaml:6:38: routes[0]` + open,
		`yett.yaml:7:59: routes[1].auth: `, // nobody verifies callers here, which is another mistake
		`yett.yaml:8:37: routes[2]` + open,
		`yett.yaml:8:56: routes[2].auth: `,
		`yett.yaml:9:41: routes[3]` + open,
		`yett.yaml:9:60: routes[3].auth: `,
		`yett.yaml:10:59: routes[4].auth: `,
		`yett.yaml:10:97: routes[4].policies.rbac.min_role: there is no role "amdin"`,
		`yett.yaml:11:56: routes[5].auth: `,
	})
}
