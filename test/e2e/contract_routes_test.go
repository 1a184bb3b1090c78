//go:build linux

package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"yett/examples/psa/services/kit"
)

// The gateway's own pages say what they have always said.
func TestContractOwnPages(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	tech := tokenWith(t, claims{"permissions": map[string]bool{"tickets:all": true, "users:manage": false}})
	user := map[string]any{"id": "u-technician", "email": "technician@example.com", "role": "technician", "tenantId": "t-1", "permissions": []any{"tickets:all"}}
	for _, tt := range []struct {
		path, token string
		want        map[string]any // nil stands for any value
	}{
		{"/", "", map[string]any{"service": "PSA Platform API Gateway", "version": nil, "status": "operational", "documentation": "/api-docs"}},
		{"/health", "", map[string]any{"status": "healthy", "service": "psa-api-gateway", "version": nil, "uptime": nil, "timestamp": nil, "dependencies": nil}},
		{"/health/ready", "", map[string]any{"status": "ready", "service": "psa-api-gateway", "version": nil, "uptime": nil, "timestamp": nil, "dependencies": nil}},
		{"/api/v1/public/status", "", map[string]any{"status": "operational", "service": "psa-api-gateway", "timestamp": nil}},
		{"/api/v1/public/info", "", map[string]any{"service": "psa-api-gateway", "version": nil, "caller": "guest", "role": "guest"}},
		{"/api/v1/public/info", tech, map[string]any{"service": "psa-api-gateway", "version": nil, "caller": "technician@example.com", "role": "technician"}},
		{"/api/v1/protected/profile", tech, map[string]any{"user": user}},
		{"/api/v1/protected/technician", tech, map[string]any{"user": user}},
		{"/api/v1/protected/internal", tech, map[string]any{"user": user}},
		{"/api/v1/protected/users/u-technician", tech, map[string]any{"id": "u-technician", "caller": "u-technician"}},
	} {
		got := s.ask(t, "GET", tt.path, tt.token).want(t, 200)
		page := decode[map[string]any](t, got)
		if keys, want := slices.Sorted(maps.Keys(page)), slices.Sorted(maps.Keys(tt.want)); !slices.Equal(keys, want) {
			t.Errorf("%s has %q, want %q", tt.path, keys, want)
		}
		for name, want := range tt.want {
			a, _ := json.Marshal(page[name])
			b, _ := json.Marshal(want)
			if want != nil && string(a) != string(b) {
				t.Errorf("%s: %s is %s, want %s", tt.path, name, a, b)
			}
			if want == nil && (page[name] == nil || page[name] == "") {
				t.Errorf("%s: %s is empty", tt.path, name)
			}
		}
		if head := s.ask(t, "HEAD", tt.path, tt.token).want(t, 200); head.body != "" || head.ContentLength < 2 {
			t.Errorf("HEAD %s: %q, Content-Length %d", tt.path, head.body, head.ContentLength)
		}
		if ct := got.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
			t.Errorf("%s: Content-Type is %s", tt.path, ct)
		}
	}
	for _, service := range s.stubs {
		if service.requests.Load() != 0 {
			t.Errorf("%s was asked", service.name)
		}
	}
}

// D46: health says what is so, and liveness does not hang on the services.
func TestD46HealthIsTrue(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil, "CRM_SERVICE_URL="+nobody)
	token := tokenOf(t, "technician")
	for range 4 { // one more would open the breaker
		s.ask(t, "GET", "/api/v1/customers", token).want(t, 502)
	}
	s.ask(t, "GET", "/api/v1/tickets", token).want(t, 200)
	for _, path := range []string{"/health", "/health/ready"} {
		if got := s.ask(t, "GET", path, "").want(t, 200); got.Header.Get("RateLimit-Limit") != "" || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, got.Header)
		}
	}
	page := decode[struct {
		Status, Service, Version, Timestamp string
		Uptime                              *int64
		Dependencies                        map[string]string
		Services                            map[string]struct {
			Targets            []string
			Requests, Failures int64
			LastFailure        string
			LastFailureTime    time.Time
		}
		CircuitBreakers map[string]any
		Summary         map[string]int
	}](t, s.ask(t, "GET", "/health/detailed", ""))
	if crm := page.Services["crm"]; crm.Requests != 4 || crm.Failures != 4 || crm.LastFailure != "connect_failed" || crm.LastFailureTime.IsZero() {
		t.Errorf("crm: %+v", crm)
	}
	if tickets := page.Services["tickets"]; tickets.Requests != 1 || tickets.Failures != 0 {
		t.Errorf("tickets: %+v", tickets)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", page.Timestamp); err != nil || page.Uptime == nil || page.Dependencies["store"] != "connected" {
		t.Errorf("%+v", page)
	}
	for _, key := range []string{"totalCircuits", "openCircuits", "halfOpenCircuits", "closedCircuits"} {
		if _, found := page.Summary[key]; !found || page.CircuitBreakers == nil {
			t.Errorf("the summary is %v, the breakers %v", page.Summary, page.CircuitBreakers)
		}
	}
}

// proxied are the paths that services answer.
func proxied() map[string]string {
	return map[string]string{
		"/api/v1/users": "auth", "/api/v1/customers": "crm", "/api/v1/contacts": "crm",
		"/api/v1/tickets": "tickets", "/api/v1/time-entries": "tickets", "/api/v1/comments": "tickets",
		"/api/v1/billing": "billing", "/api/v1/projects": "projects", "/api/v1/assets": "assets", "/api/v1/reports": "reports",
	}
}

// Every service gets its paths, with every method, as they were written.
func TestContractServicesGetTheirPaths(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	token := tokenOf(t, "customer_user") // any role: what it may do, the service says
	all := proxied()
	all["/api/v1/auth"] = "auth"
	for path, service := range all {
		for _, tail := range []string{"", "/", "/7", "/7/parts/8?a=1&b=&c&a=2", "/Z%C3%BCrich%20%26%20Co", "?q=a%2Fb+c", "/7;v=1/~x/a.b-c_d", "/%E2%82%AC/...x"} {
			if got := reached(t, s.ask(t, "GET", path+tail, token)); got.Service != service || got.URI != path+tail {
				t.Errorf("GET %s came to %s as %s", path+tail, got.Service, got.URI)
			}
		}
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"} {
			if got := reached(t, s.ask(t, method, path+"/7", token)); got.Service != service || got.Method != method {
				t.Errorf("%s %s came to %s as %s", method, path, got.Service, got.Method)
			}
		}
		s.ask(t, "HEAD", path, token).want(t, 200)
	}
}

// D25: no service is asked on behalf of somebody who is unknown, but for the
// one that makes callers known.
func TestD25ServicesNeedAToken(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	for path := range proxied() {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} {
			for _, tail := range []string{"", "/", "/7"} {
				if got := s.ask(t, method, path+tail, "").want(t, 401); method != "HEAD" {
					refused(t, got, 401, "NO_TOKEN")
				}
			}
		}
		refused(t, s.ask(t, "GET", path, "garbage"), 401, "INVALID_TOKEN")
	}
	for _, service := range s.stubs {
		if n := service.requests.Load(); n != 0 {
			t.Errorf("%s was asked %d times", service.name, n)
		}
	}
	for _, token := range []string{"", "garbage", tokenOf(t, "technician")} { // auth itself sees what it gets
		if got := reached(t, s.ask(t, "POST", "/api/v1/auth/login", token)); got.Service != "auth" || got.Header.Get("X-User-ID") != "" {
			t.Errorf("%+v", got)
		}
	}
}

// guards are the routes with a rule, and who passes.
func guards() map[string]func(role string) bool {
	above := func(level int) func(string) bool {
		return func(role string) bool { return kit.Level(role) >= level }
	}
	lowest := min(kit.Level("technician"), kit.Level("software_developer"), kit.Level("account_manager"))
	return map[string]func(string) bool{
		"/api/v1/protected/profile":    func(string) bool { return true },
		"/api/v1/protected/admin":      above(kit.Level("tenant_admin")),
		"/api/v1/protected/system":     func(role string) bool { return role == "system_admin" },
		"/api/v1/protected/technician": above(kit.Level("technician")),
		"/api/v1/protected/internal":   above(lowest),
		"/api/v1/protected/users/7":    above(kit.Level("tenant_admin")),
		"/internal/revocations":        func(role string) bool { return role == "system_admin" },
		"/internal/limits":             func(role string) bool { return role == "system_admin" },
		"/internal/services":           func(role string) bool { return role == "system_admin" },
	}
}

// Each of the roles passes where its level says, and one that nobody knows
// passes no check.
func TestContractRoles(t *testing.T) {
	t.Parallel()
	levels := map[string]int{ // as the contract has them
		"system_admin": 100, "tenant_admin": 90, "security_admin": 85, "service_manager": 80, "software_developer_lead": 70, "technician_lead": 70,
		"account_manager": 65, "project_manager": 65, "billing_manager": 65, "software_developer_senior": 60, "technician_senior": 60,
		"technician_l3": 55, "software_developer": 50, "technician": 50, "technician_l2": 45, "software_developer_junior": 40, "technician_junior": 40,
		"technician_l1": 35, "customer_admin": 30, "customer_technician": 20, "customer_user": 10,
	}
	conf := compiled(t, nil).Config
	for name, level := range levels {
		if role, ok := conf.Roles.Get(name); !ok || role.Level != level || kit.Level(name) != level {
			t.Errorf("%s has not the level %d", name, level)
		}
	}
	if len(conf.Roles) != len(levels) || len(kit.Roles()) != len(levels) {
		t.Errorf("there are %d roles, and %d in the services, want %d", len(conf.Roles), len(kit.Roles()), len(levels))
	}
	s := setStage(t, nil)
	roles := slices.Collect(maps.Keys(levels))
	together(append(roles, "guest", "System_Admin", "system_admin ", "technician,system_admin"), func(role string) {
		token := tokenOf(t, role)
		for path, passes := range guards() {
			got := s.ask(t, "GET", path, token)
			switch {
			case passes(role) && got.StatusCode != 200:
				t.Errorf("%s does not pass for %s: %d", role, path, got.StatusCode)
			case passes(role):
			case path == "/api/v1/protected/users/7":
				refused(t, got, 403, "FORBIDDEN_RESOURCE_ACCESS")
			default:
				refused(t, got, 403, "INSUFFICIENT_PERMISSIONS")
			}
		}
	})
}

// Everybody sees themselves, and the very name counts.
func TestContractOwnUser(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	for subject, path := range map[string]string{"u-1": "u-1", "auth0|7": "auth0%7C7", "zoë": "zo%C3%AB"} {
		token := tokenWith(t, claims{"role": "customer_user", "sub": subject})
		got := s.ask(t, "GET", "/api/v1/protected/users/"+path, token).want(t, 200)
		if page := decode[map[string]string](t, got); page["id"] != subject || page["caller"] != subject {
			t.Errorf("%s: %v", path, page)
		}
		for _, other := range []string{path + "x", strings.ToUpper(path), "t-1", "customer_user", "%2A"} {
			refused(t, s.ask(t, "GET", "/api/v1/protected/users/"+other, token), 403, "FORBIDDEN_RESOURCE_ACCESS")
		}
	}
	for _, subject := range []any{nil, "", 7, []string{"u-1"}} { // nobody is not the empty name
		refused(t, s.ask(t, "GET", "/api/v1/protected/users/u-1", tokenWith(t, claims{"sub": subject})), 401, "INVALID_TOKEN")
	}
}

// D31: a misspelt role does not load. It once let everybody pass.
func TestD31MisspeltRolesDoNotLoad(t *testing.T) {
	t.Parallel()
	for old, misspelt := range map[string]string{
		"rbac: {min_role: tenant_admin}":        "rbac: {min_role: tenant_admn}",
		"rbac: {min_role: technician}":          "rbac: {min_role: technican}",
		"any_role: [technician, software_devel": "any_role: [technicion, software_devel",
		"{param: id, min_role: tenant_admin}":   "{param: id, min_role: tennant_admin}",
	} {
		code, _, stderr := yett(t, []string{"JWT_SECRET=" + exampleSecret}, "check", "-c", changed(t, old, misspelt))
		if code != 1 || !strings.Contains(stderr, "there is no role") || !strings.Contains(stderr, "did you mean") {
			t.Errorf("%s: exit code %d, %s", misspelt, code, stderr)
		}
	}
}

// D42: what decides and what is forwarded is the same path, however it was
// written.
func TestD42PathsAreNormalisedBeforeMatching(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	for _, tt := range []struct{ path, service, uri string }{
		{"/api/v1/auth/../users", "", ""}, // users need a token
		{"/api/v1/auth/%2e%2e/users/7", "", ""},
		{"/api/v1/auth/.%2E/customers", "", ""},
		{"/api/v1/auth/./../../v1/tickets", "", ""},
		{"/api/v1/%63ustomers", "", ""},
		{"//api/v1//users", "", ""},
		{"/api/v1/users/../auth/login", "auth", "/api/v1/auth/login"},
		{"/api/v1/users/%2e%2e/auth/login", "auth", "/api/v1/auth/login"},
		{"//api/v1//auth/login", "auth", "/api/v1/auth/login"},
		{"/api/v1/./auth/login", "auth", "/api/v1/auth/login"},
		{"/api/v1/%61uth/login", "auth", "/api/v1/auth/login"},
	} {
		header, body := sendOne(t, s.addr, "GET "+tt.path+" HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")
		if tt.service == "" {
			if header.StatusCode != 401 || !strings.Contains(body, `"NO_TOKEN"`) {
				t.Errorf("%s: status %d, %s", tt.path, header.StatusCode, body)
			}
			continue
		}
		var got received
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Service != tt.service || got.URI != tt.uri {
			t.Errorf("%s: status %d, %s came to %s as %s", tt.path, header.StatusCode, body, got.Service, got.URI)
		}
	}
	for path, status := range map[string]int{
		"/API/v1/auth/login": 404, "/api/v1/Auth/login": 404, // paths have upper and lower case
		"/api/v1/auth%2Flogin": 400, "/api/v1/auth/../../../../x": 400, "/api/v1/auth/%00": 400, "/api/v1/protected/admin/": 404,
	} {
		if header, body := sendOne(t, s.addr, "GET "+path+" HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"); header.StatusCode != status {
			t.Errorf("%s: status %d, want %d: %s", path, header.StatusCode, status, body)
		}
	}
}

// Whatever else is asked for is not there.
func TestContractNothingElse(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	token := tokenOf(t, "system_admin")
	for _, path := range []string{
		"/index.html", "/api", "/api/v1", "/api/v2/customers", "/api/v1/invoices", "/api/v1/customersx", "/api/v1/customer",
		"/api/v1/protected", "/api/v1/protected/nothing", "/api/v1/protected/users", "/api/v1/protected/users/7/x", "/api/v1/public", "/health/x", "/internal",
	} {
		refused(t, s.ask(t, "GET", path, token), 404, "NOT_FOUND")
		refused(t, s.ask(t, "POST", path, ""), 404, "NOT_FOUND")
	}
	for path, allow := range map[string]string{"/": "GET, HEAD", "/health": "GET, HEAD", "/api/v1/protected/admin": "GET, HEAD", "/internal/revocations": "GET, HEAD, POST"} {
		got := s.ask(t, "DELETE", path, token)
		refused(t, got, 405, "METHOD_NOT_ALLOWED")
		if got := got.Header.Get("Allow"); got != allow {
			t.Errorf("DELETE %s: Allow is %q, want %q", path, got, allow)
		}
	}
}

// How long each service may take is what it has always been.
func TestContractTimeouts(t *testing.T) {
	conf := compiled(t, nil).Config
	for name, want := range map[string]time.Duration{
		"auth": 5 * time.Second, "users": 5 * time.Second, "crm": 5 * time.Second, "tickets": 15 * time.Second, "billing": 30 * time.Second,
		"projects": 10 * time.Second, "assets": 10 * time.Second, "reports": time.Minute,
	} {
		if service, ok := conf.Services.Get(name); !ok || time.Duration(service.Timeouts.Response) != want {
			t.Errorf("%s may take %v, want %v", name, time.Duration(service.Timeouts.Response), want)
		}
	}
	if len(conf.Services) != len(serviceNames())+1 { // users is the auth service, with a breaker of its own
		t.Errorf("there are %d services", len(conf.Services))
	}
}

// D19: who is too late gets a 504, and the caller is not cut off. D18: it
// counts as a failure of the service.
func TestD19LateAnswersAre504(t *testing.T) {
	t.Parallel()
	late := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	s := setStage(t, map[string]http.HandlerFunc{"/api/v1/customers": late})
	begun := time.Now()
	refused(t, s.ask(t, "GET", "/api/v1/customers", tokenOf(t, "technician")), 504, "GATEWAY_TIMEOUT")
	if took := time.Since(begun); took < 5*time.Second {
		t.Errorf("it had no more than %v", took)
	}
	page := decode[struct {
		Services map[string]struct{ Failures int64 }
	}](t, s.ask(t, "GET", "/health/detailed", ""))
	if page.Services["crm"].Failures != 1 {
		t.Errorf("crm has failed %d times", page.Services["crm"].Failures)
	}
}
