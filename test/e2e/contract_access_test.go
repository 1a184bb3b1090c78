//go:build linux

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

const exampleAccess = "../../examples/psa/access.yaml"

// The table of who may do what holds, needs no secret, and knows every route.
func TestContractAccessTable(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := yett(t, nil, "test", "--json", exampleAccess)
	if code != 0 {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	var reports []struct {
		Rows []struct {
			Request, Caller, Got string
			OK                   bool
		}
	}
	if err := json.Unmarshal([]byte(stdout), &reports); err != nil {
		t.Fatal(err)
	}
	tried := make(map[string]bool)
	for _, row := range reports[0].Rows {
		for word := range strings.FieldsSeq(row.Got) {
			tried[word] = true
		}
		if !row.OK || row.Request == "" || row.Caller == "" {
			t.Errorf("%+v", row)
		}
	}
	for _, route := range compiled(t, nil).Config.Routes {
		if !tried["route:"+route.Name] {
			t.Errorf("the table does not try the route %s", route.Name)
		}
	}
	for _, code := range []string{"NO_TOKEN", "INVALID_TOKEN", "TOKEN_EXPIRED", "INSUFFICIENT_PERMISSIONS", "FORBIDDEN_RESOURCE_ACCESS", "NOT_FOUND", "METHOD_NOT_ALLOWED", "BAD_REQUEST"} {
		if !tried[code] {
			t.Errorf("the table does not try to be refused with %s", code)
		}
	}
	t.Logf("%d rows", len(reports[0].Rows))
}

// A rule that is changed is found out, with the caller whom it lets pass.
func TestContractAccessTableFindsChanges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ old, with, want string }{
		{"rbac: {min_role: tenant_admin}", "rbac: {min_role: security_admin}", "GET /api/v1/protected/admin as security_admin"},
		{"rbac: {exact_role: system_admin}\n      respond", "rbac: {min_role: tenant_admin}\n      respond", "GET /api/v1/protected/system as tenant_admin"},
		{"path: /api/v1/users/**\n    auth: required", "path: /api/v1/users/**\n    auth: optional", "GET /api/v1/users as anonymous"},
		{"path: /api/v1/assets/**\n    auth: required", "path: /api/v1/assets/**\n    auth: none", "GET /api/v1/assets as forged"},
		{"    audience: psa-api\n", "", "GET /api/v1/customers as other_audience"},
		{"  customer_admin: {level: 30}", "  customer_admin: {level: 50}", "GET /api/v1/protected/technician as customer_admin"},
	} {
		code, stdout, stderr := yett(t, nil, "test", "-c", changed(t, tt.old, tt.with), exampleAccess)
		if code != 1 || !strings.Contains(stdout, tt.want) {
			t.Errorf("%s: exit code %d, %s\n%s", tt.with, code, stderr, stdout)
		}
	}
}
