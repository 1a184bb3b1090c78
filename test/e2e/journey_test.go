//go:build linux

package e2e

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"testing"
	"time"

	"yett/examples/psa/services/kit"
)

var uuid4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// A day of a technician: log in, work, be refused what others may do, log out.
func TestJourney(t *testing.T) {
	p := startPlatform(t)
	p.call("GET", "/api/v1/customers", "").want(t, 401)
	p.login("tech@example.com")
	customers := decode[struct {
		Items []struct{ ID, Name string }
	}](t, p.call("GET", "/api/v1/customers?q=bakery", "").want(t, 200))
	if len(customers.Items) != 1 {
		t.Fatalf("customers: %+v", customers)
	}
	created := p.call("POST", "/api/v1/tickets", `{"subject":"No hot water","customerId":"`+customers.Items[0].ID+`"}`).want(t, 201)
	path := created.Header.Get("Location")
	p.call("PATCH", path, `{"status":"in_progress"}`).want(t, 200)
	p.call("PATCH", path, `{"status":"lost"}`).want(t, 400)
	p.call("GET", "/api/v1/users", "").want(t, 403)
	p.call("DELETE", path, "").want(t, 204)
	p.call("GET", path, "").want(t, 404)
	p.call("POST", "/api/v1/auth/logout", "").want(t, 204)
	if got := decode[refusal](t, p.call("GET", "/api/v1/customers", "").want(t, 401)); got.Error.Code != "TOKEN_REVOKED" {
		t.Errorf("after the logout: %+v", got)
	}
}

// Every route of the example's configuration is called, which the access log
// tells.
func TestEveryRouteOfTheExample(t *testing.T) {
	p := startPlatform(t)
	p.login("tenant@example.com")
	ticket, customer := kit.DemoID("ticket", "printer"), kit.DemoID("customer", "bakery")
	calls := []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/", "", 200},
		{"HEAD", "/", "", 200},
		{"GET", "/health", "", 200},
		{"GET", "/health/ready", "", 200},
		{"GET", "/health/detailed", "", 200},
		{"GET", "/api/v1/public/status", "", 200},
		{"GET", "/api/v1/public/info", "", 200},
		{"GET", "/api/v1/protected/profile", "", 200},
		{"GET", "/api/v1/protected/admin", "", 200},
		{"GET", "/api/v1/protected/system", "", 403},
		{"GET", "/api/v1/protected/technician", "", 200},
		{"GET", "/api/v1/protected/internal", "", 200},
		{"GET", "/api/v1/protected/users/somebody", "", 200},
		{"GET", "/internal/revocations", "", 403},
		{"GET", "/internal/limits", "", 403},
		{"GET", "/internal/services", "", 403},
		{"GET", "/internal/docs", "", 403},
		{"GET", "/api-docs", "", 200},
		{"GET", "/api/v1/auth/me", "", 200},
		{"GET", "/api/v1/users", "", 200},
		{"GET", "/api/v1/customers", "", 200},
		{"GET", "/api/v1/customers/" + customer, "", 200},
		{"POST", "/api/v1/customers", `{"name":"New","email":"new@example.net"}`, 201},
		{"GET", "/api/v1/contacts?limit=1", "", 200},
		{"GET", "/api/v1/tickets", "", 200},
		{"PATCH", "/api/v1/tickets/" + ticket, `{"priority":"high"}`, 200},
		{"GET", "/api/v1/tickets/" + ticket + "/comments", "", 200},
		{"POST", "/api/v1/time-entries", `{"ticketId":"` + ticket + `","minutes":5}`, 201},
		{"GET", "/api/v1/comments/none", "", 404},
		{"POST", "/api/v1/tickets/events", "", 405}, // the service's own answer
		{"GET", "/api/v1/billing/invoices", "", 502},
		{"GET", "/api/v1/projects", "", 502},
		{"GET", "/api/v1/assets", "", 502},
		{"GET", "/api/v1/reports/monthly", "", 502},
	}
	for _, c := range calls {
		p.call(c.method, c.path, c.body).want(t, c.status)
	}
	stream := openEvents(t, p)
	stream.close()
	p.waitLog("/api/v1/tickets/events")

	_, stdout, _ := yett(t, []string{"JWT_SECRET=" + exampleSecret}, "routes", "-c", exampleConfig, "--json")
	var rows []struct{ Name string }
	if err := json.Unmarshal([]byte(stdout), &rows); err != nil {
		t.Fatal(err)
	}
	p.signal(sigterm) // which writes the log out
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	log := p.log()
	for _, row := range rows {
		if !slices.ContainsFunc(log, func(e logged) bool { return e.Route == row.Name }) {
			t.Errorf("the route %s was not called", row.Name)
		}
	}
	if want := len(calls) + 2; len(log) != want { // and the login and the stream
		t.Errorf("%d lines in the access log, want %d", len(log), want)
	}
}

func TestIndexAndStatus(t *testing.T) {
	p := startPlatform(t, "SERVICE_NAME=front-door")
	index := decode[map[string]string](t, p.call("GET", "/", "").want(t, 200))
	if index["service"] != "PSA Platform API Gateway" || index["status"] != "operational" || index["documentation"] != "/api-docs" || index["version"] == "" {
		t.Errorf("/ answers %v", index)
	}
	status := decode[map[string]string](t, p.call("GET", "/api/v1/public/status", "").want(t, 200))
	if _, err := time.Parse(time.RFC3339, status["timestamp"]); status["service"] != "front-door" || err != nil {
		t.Errorf("the status is %v", status)
	}
}

func TestHealthPages(t *testing.T) {
	p := startPlatform(t)
	p.call("GET", "/api/v1/customers", "").want(t, 401) // which the service does not see
	p.login("tech@example.com")
	p.call("GET", "/api/v1/customers", "").want(t, 200)
	for path, want := range map[string]string{"/health": "healthy", "/health/ready": "ready", "/health/detailed": "healthy"} {
		got := p.call("GET", path, "").want(t, 200)
		page := decode[struct {
			Status, Service, Version, Timestamp string
			Uptime                              *int64
			CircuitBreakers                     map[string]any
			Services                            map[string]struct{ Requests int64 }
		}](t, got)
		if page.Status != want || page.Service != "psa-api-gateway" || page.Version == "" || page.Uptime == nil {
			t.Errorf("%s answers %s", path, got.body)
		}
		if path == "/health/detailed" && (page.CircuitBreakers == nil || page.Services["crm"].Requests != 1) {
			t.Errorf("%s answers %s", path, got.body)
		}
		if got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be cached", path)
		}
	}
}

func TestRefusalsHaveOneShape(t *testing.T) {
	p := startPlatform(t)
	for _, test := range []struct {
		method, path, code string
		status             int
		allow              string
	}{
		{"GET", "/nowhere", "NOT_FOUND", 404, ""},
		{"GET", "/api/v1/invoices", "NOT_FOUND", 404, ""},
		{"GET", "/health/", "NOT_FOUND", 404, ""},
		{"DELETE", "/health", "METHOD_NOT_ALLOWED", 405, "GET, HEAD"},
		{"POST", "/", "METHOD_NOT_ALLOWED", 405, "GET, HEAD"},
		{"GET", "/api/v1/tickets/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc", "BAD_REQUEST", 400, ""},
		{"GET", "/api/v1/customers", "NO_TOKEN", 401, ""},
		{"GET", "/api/v1/auth/me", "NO_TOKEN", 401, ""}, // the service's: the platform has one shape
	} {
		got := p.call(test.method, test.path, "").want(t, test.status)
		e := decode[refusal](t, got).Error
		if e.Code != test.code || e.Status != test.status || e.Message == "" || e.RequestID == "" || e.RequestID != got.Header.Get("X-Request-ID") {
			t.Errorf("%s %s answers %s", test.method, test.path, got.body)
		}
		if _, err := time.Parse("2006-01-02T15:04:05.000Z", e.Timestamp); err != nil {
			t.Error(err)
		}
		if allow := got.Header.Get("Allow"); allow != test.allow {
			t.Errorf("%s %s: Allow is %q, want %q", test.method, test.path, allow, test.allow)
		}
		if ct := got.Header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
			t.Errorf("%s %s: Content-Type is %q", test.method, test.path, ct)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	p := startPlatform(t)
	seen := make(map[string]bool)
	for _, path := range []string{"/", "/health", "/nowhere", "/%00", "/api/v1/customers", "/api/v1/auth/me", "/api/v1/auth/me"} {
		header := http.Header{"X-Request-Id": {"chosen-by-the-caller"}}
		got := send(t, p.client, "GET", p.url+path, "", header)
		id := got.Header.Get("X-Request-ID")
		if !uuid4.MatchString(id) || seen[id] || len(got.Header.Values("X-Request-ID")) != 1 {
			t.Errorf("%s: X-Request-ID is %q", path, got.Header.Values("X-Request-ID"))
		}
		seen[id] = true
		if path == "/api/v1/auth/me" { // the service's error says which ID it was given
			if e := decode[refusal](t, got).Error; e.RequestID != id {
				t.Errorf("the service was told %q, the caller %q", e.RequestID, id)
			}
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	p := startPlatform(t)
	want := map[string]string{
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Origin-Agent-Cluster": "?1",
		"Referrer-Policy": "strict-origin-when-cross-origin", "X-Content-Type-Options": "nosniff", "X-DNS-Prefetch-Control": "off",
		"X-Download-Options": "noopen", "X-Frame-Options": "SAMEORIGIN", "X-Permitted-Cross-Domain-Policies": "none", "X-XSS-Protection": "0",
	}
	for _, path := range []string{"/", "/health", "/nowhere", "/api/v1/customers", "/api/v1/auth/login"} { // the last is the service's
		got := p.call("GET", path, "")
		for name, value := range want {
			if all := got.Header.Values(name); len(all) != 1 || all[0] != value {
				t.Errorf("%s: %s is %q, want %q", path, name, all, value)
			}
		}
		for _, name := range []string{"Strict-Transport-Security", "X-Powered-By"} { // the former belongs to TLS
			if _, found := got.Header[name]; found {
				t.Errorf("%s has %s", path, name)
			}
		}
	}
}
