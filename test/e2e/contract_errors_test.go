//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Every error has its code, its status and the one shape.
func TestContractErrors(t *testing.T) {
	t.Parallel()
	reset := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	s := setStage(t, map[string]http.HandlerFunc{"/api/v1/projects/reset": reset}, "BILLING_SERVICE_URL="+nobody)
	customer := tokenOf(t, "customer_user")
	for _, tt := range []struct {
		method, path, token string
		status              int
		code, challenge     string
	}{
		{"GET", "/api/v1/customers", "", 401, "NO_TOKEN", `Bearer realm="psa-api-gateway"`},
		{"GET", "/api/v1/protected/profile", "", 401, "NO_TOKEN", `Bearer realm="psa-api-gateway"`},
		{"GET", "/api/v1/customers", "a.b.c", 401, "INVALID_TOKEN", `Bearer realm="psa-api-gateway", error="invalid_token", error_description="The access token is malformed"`},
		{"GET", "/api/v1/public/info", "a.b.c", 401, "INVALID_TOKEN", `Bearer realm="psa-api-gateway", error="invalid_token", error_description="The access token is malformed"`},
		{"GET", "/api/v1/customers", tokenWith(t, claims{"exp": time.Now().Add(-time.Hour).Unix()}), 401, "TOKEN_EXPIRED", `Bearer realm="psa-api-gateway", error="invalid_token", error_description="The access token has expired"`},
		{"GET", "/api/v1/protected/admin", customer, 403, "INSUFFICIENT_PERMISSIONS", ""},
		{"GET", "/api/v1/protected/users/7", customer, 403, "FORBIDDEN_RESOURCE_ACCESS", ""},
		{"GET", "/nowhere", "", 404, "NOT_FOUND", ""},
		{"PATCH", "/health", "", 405, "METHOD_NOT_ALLOWED", ""},
		{"GET", "/%2e%2e/etc", "", 400, "BAD_REQUEST", ""},
		{"GET", "/api/v1/billing", customer, 502, "BAD_GATEWAY", ""},
		{"GET", "/api/v1/projects/reset", customer, 502, "BAD_GATEWAY", ""},
	} {
		got := s.ask(t, tt.method, tt.path, tt.token)
		refused(t, got, tt.status, tt.code)
		if challenge := got.Header.Get("WWW-Authenticate"); challenge != tt.challenge {
			t.Errorf("%s: WWW-Authenticate is %s, want %s", tt.path, challenge, tt.challenge)
		}
	}
}

// Whatever is no token in Authorization is none.
func TestContractNoToken(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	token := tokenOf(t, "system_admin")
	for _, field := range []string{
		"", "Authorization:\r\n", "Authorization: Bearer\r\n", "Authorization: Bearer \r\n", "Authorization: Bearer      \r\n", "Authorization: " + token + "\r\n",
		"Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n", "Authorization: Token " + token + "\r\n", "Authorization: Bearer" + token + "\r\n",
		"Proxy-Authorization: Bearer " + token + "\r\n", "Cookie: access_token=" + token + "\r\n", "X-Access-Token: " + token + "\r\n",
	} {
		resp, body := sendOne(t, s.addr, "GET /api/v1/customers?access_token="+token+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+field+"\r\n")
		if resp.StatusCode != 401 || !strings.Contains(body, `"code":"NO_TOKEN"`) || resp.Header.Get("WWW-Authenticate") != `Bearer realm="psa-api-gateway"` {
			t.Errorf("%.30q: status %d, %s, %s", field, resp.StatusCode, body, resp.Header.Get("WWW-Authenticate"))
		}
	}
	if n := s.stubs["crm"].requests.Load(); n != 0 {
		t.Errorf("the service was asked %d times", n)
	}
}

// D44: what is wrong with a request has a status of its own, and what the
// gateway need not read is the service's to judge.
func TestD44WrongRequestsAreNo500(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	const login = "POST /api/v1/auth/login HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
	large := strings.Repeat("x", 70_000)
	for _, tt := range []struct {
		name, text string
		status     int
		code       string
	}{
		{"broken encoding in a path", "GET /api/v1/protected/users/%zz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 400, "BAD_REQUEST"},
		{"half an encoding in a path", "GET /api/v1/customers/%4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 400, "BAD_REQUEST"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", 400, "BAD_REQUEST"},
		{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "BAD_REQUEST"},
		{"no request line", "hello\r\n\r\n", 400, "BAD_REQUEST"},
		{"a length that is none", login + "Content-Length: ten\r\n\r\n", 400, "BAD_REQUEST"},
		{"a length beside chunks", login + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "BAD_REQUEST"},
		{"bad chunks", login + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, "BAD_REQUEST"},
		{"too large, as announced", login + "Content-Length: 70000\r\n\r\n", 413, "PAYLOAD_TOO_LARGE"},
		{"too large, as it turns out", login + "Transfer-Encoding: chunked\r\n\r\n11170\r\n" + large + "\r\n0\r\n\r\n", 413, "PAYLOAD_TOO_LARGE"},
		{"more than any service takes", "POST /api/v1/customers HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + tokenOf(t, "technician") + "\r\nContent-Length: 3000000\r\n\r\n", 413, "PAYLOAD_TOO_LARGE"},
		{"a long line", "GET /" + strings.Repeat("a", 8192) + " HTTP/1.1\r\nHost: h\r\n\r\n", 414, "URI_TOO_LONG"},
		{"large headers", "GET / HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("a", 33_000) + "\r\n\r\n", 431, "HEADER_TOO_LARGE"},
		{"many headers", "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", 101) + "\r\n", 431, "HEADER_TOO_LARGE"},
		{"an expectation", login + "Expect: miracles\r\nContent-Length: 1\r\n\r\nx", 417, "EXPECTATION_FAILED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := sendOne(t, s.addr, tt.text)
			resp.Request = &http.Request{URL: &url.URL{Path: tt.name}}
			refused(t, answer{resp, body}, tt.status, tt.code)
		})
	}
	// A client that sends all of it before it looks reads why, too.
	got := send(t, s.client, "POST", s.url+"/api/v1/customers", strings.Repeat("x", 3_000_000), as(tokenOf(t, "technician")))
	refused(t, got, 413, "PAYLOAD_TOO_LARGE")
	t.Run("JSON that is none", func(t *testing.T) {
		for _, body := range []string{`{"email":`, `"a text"`, `7`, `null`, "\xff\xfe", `{"a":1}{"b":2}`} {
			header := as("")
			header.Set("Content-Type", "application/json")
			if got := reached(t, send(t, s.client, "POST", s.url+"/api/v1/auth/login", body, header)); string(got.Body) != body {
				t.Errorf("%q came as %q", body, got.Body)
			}
		}
	})
}

// Over HTTP/2 clients are told the same.
func TestContractErrorsOverHTTP2(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	client := newClient(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client.Transport.(*http.Transport).Protocols = protocols
	customer := tokenOf(t, "customer_user")
	for path, want := range map[string]struct {
		token  string
		status int
		code   string
	}{
		"/api/v1/customers":         {"", 401, "NO_TOKEN"},
		"/api/v1/tickets":           {"garbage", 401, "INVALID_TOKEN"},
		"/api/v1/protected/admin":   {customer, 403, "INSUFFICIENT_PERMISSIONS"},
		"/api/v1/protected/users/7": {customer, 403, "FORBIDDEN_RESOURCE_ACCESS"},
		"/nowhere":                  {"", 404, "NOT_FOUND"},
	} {
		got := send(t, client, "GET", s.url+path, "", as(want.token))
		if got.ProtoMajor != 2 {
			t.Errorf("it came over %s", got.Proto)
		}
		refused(t, got, want.status, want.code)
	}
	header := forged() // D26 over HTTP/2
	header.Set("Authorization", "Bearer "+customer)
	for _, odd := range []string{"x-user-role", "X-TENANT-ID"} { // which the client writes in lower case
		delete(header, odd)
	}
	told := toService(reached(t, send(t, client, "POST", s.url+"/api/v1/customers", "x", header)))
	if want := fmt.Sprint(map[string][]string{"X-User-Role": {"customer_user"}, "X-Tenant-ID": {"t-1"}}); fmt.Sprint(map[string][]string{"X-User-Role": told["X-User-Role"], "X-Tenant-ID": told["X-Tenant-ID"]}) != want {
		t.Errorf("the service is told %v", told)
	}
}

// D48: whoever is refused is logged too, and a token in the query is not
// shown.
func TestD48RefusalsAreLogged(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil, "ALLOWED_ORIGINS="+allowedOrigin)
	customer := tokenOf(t, "customer_user")
	s.ask(t, "GET", "/api/v1/customers/none?page=2", "")
	s.ask(t, "GET", "/api/v1/customers/bad", "garbage")
	s.ask(t, "GET", "/api/v1/protected/admin", customer)
	s.ask(t, "GET", "/api/v1/protected/users/7", customer)
	s.ask(t, "OPTIONS", "/api/v1/customers/page", "", "Origin", allowedOrigin, "Access-Control-Request-Method", "GET")
	s.ask(t, "OPTIONS", "/api/v1/customers/evil", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "GET")
	s.ask(t, "GET", "/api/v1/tickets/events?access_token="+customer, "")
	s.signal(sigterm)
	s.exit()
	want := map[string]string{
		"/api/v1/customers/none": "401 no_token crm page=***", "/api/v1/customers/bad": "401 token_malformed crm ", "/api/v1/protected/admin": "403 role_missing admin-area ",
		"/api/v1/protected/users/7": "403 resource_forbidden own-user ", "/api/v1/customers/page": "204  crm ", "/api/v1/customers/evil": "403 origin_not_allowed crm ",
		"/api/v1/tickets/events": "200  ticket-events access_token=***",
	}
	log := s.log()
	for _, e := range log {
		if got := fmt.Sprint(e.Status, " ", e.Reason, " ", e.Route, " ", e.Query); got != want[e.Path] {
			t.Errorf("%s: the log has %q, want %q", e.Path, got, want[e.Path])
		}
	}
	if len(log) != len(want) {
		t.Errorf("the log has %d lines, want %d", len(log), len(want))
	}
	if all, _ := s.stdout.snapshot(); strings.Contains(strings.Join(all, ""), customer) {
		t.Error("a token is in the log")
	}
	var user struct{ User string }
	line := s.stdout.wait(t, "the forbidden page", func(line string) bool { return strings.Contains(line, "role_missing") })
	if err := json.Unmarshal([]byte(line), &user); err != nil || user.User != "u-customer_user" {
		t.Errorf("the log does not say who was refused: %s", line)
	}
}
