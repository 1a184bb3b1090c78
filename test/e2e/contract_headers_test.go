//go:build linux

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const allowedOrigin = "https://app.example.org"

// exposed are the headers of answers that pages may read.
const exposed = "X-Request-ID, Retry-After, RateLimit-Policy, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"

// hostile is a service that says what is the gateway's to say.
func hostile(w http.ResponseWriter, _ *http.Request) {
	for name, value := range map[string]string{
		"X-Request-ID": "chosen-by-the-service", "X-Powered-By": "Express", "X-Frame-Options": "ALLOWALL", "X-XSS-Protection": "1; mode=block",
		"Strict-Transport-Security": "max-age=1", "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "false",
		"Access-Control-Expose-Headers": "X-Secret", "Access-Control-Max-Age": "1", "Vary": "Accept", "X-Own": "kept",
		"RateLimit-Limit": "7", "RateLimit-Remaining": "7", "RateLimit-Reset": "7", "RateLimit-Policy": "7;w=7", "RateLimit": `"x";r=7;t=7`,
		"X-RateLimit-Limit": "7", "X-RateLimit-Remaining": "7", "RateLimit-Own": "kept",
	} {
		w.Header().Add(name, value)
		if strings.HasPrefix(name, "Access-Control") || strings.HasPrefix(name, "RateLimit") || name == "X-Request-ID" {
			w.Header().Add(name, value) // and again
		}
	}
	w.WriteHeader(http.StatusTeapot)
}

// kinds are all kinds of answers that there are.
func kinds(t *testing.T, headers ...string) (*stage, map[string]*http.Response) {
	t.Helper()
	s := setStage(t, map[string]http.HandlerFunc{"/api/v1/customers/hostile": hostile}, "ALLOWED_ORIGINS="+allowedOrigin, "BILLING_SERVICE_URL="+nobody)
	customer := tokenOf(t, "customer_user")
	raw := func(text string) *http.Response {
		text = strings.Replace(text, "\r\n", "\r\nConnection: close\r\n", 1) // behind the first line
		for pair := range slices.Chunk(headers, 2) {
			text = strings.Replace(text, "\r\n", "\r\n"+pair[0]+": "+pair[1]+"\r\n", 1)
		}
		resp, _ := sendOne(t, s.addr, text)
		return resp
	}
	ask := func(method, path, token string, more ...string) *http.Response {
		return s.ask(t, method, path, token, append(slices.Clone(headers), more...)...).Response
	}
	return s, map[string]*http.Response{
		"a page":                ask("GET", "/", ""),
		"health":                ask("GET", "/health", ""),
		"a guarded page":        ask("GET", "/api/v1/protected/profile", customer),
		"a service":             ask("GET", "/api/v1/customers", customer),
		"HEAD of a service":     ask("HEAD", "/api/v1/customers", customer),
		"an open service":       ask("POST", "/api/v1/auth/login", ""),
		"a hostile service":     ask("GET", "/api/v1/customers/hostile", customer),
		"no token":              ask("GET", "/api/v1/customers", ""),
		"a bad token":           ask("GET", "/api/v1/customers", "garbage"),
		"a forbidden page":      ask("GET", "/api/v1/protected/admin", customer),
		"another's page":        ask("GET", "/api/v1/protected/users/7", customer),
		"no page":               ask("GET", "/nowhere", ""),
		"another method":        ask("DELETE", "/health", ""),
		"a bad path":            ask("GET", "/%00", ""),
		"a service that is off": ask("GET", "/api/v1/billing", customer),
		"no host":               raw("GET / HTTP/1.1\r\n\r\n"),
		"two lengths":           raw("POST /api/v1/auth/login HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
		"a body too large":      raw("POST /api/v1/auth/login HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n"),
		"a long line":           raw("GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\nHost: h\r\n\r\n"),
		"large headers":         raw("GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 40) + "\r\n"),
		"another version":       raw("GET / HTTP/3.0\r\nHost: h\r\n\r\n"),
		"a preflight":           ask("OPTIONS", "/api/v1/customers", "", "Access-Control-Request-Method", "DELETE"),
	}
}

// Every answer has an ID of its own, and it is the gateway's.
func TestContractEveryAnswerHasARequestID(t *testing.T) {
	t.Parallel()
	_, answers := kinds(t, "X-Request-ID", "6fa459ea-ee8a-4ca4-894e-db77e160355e") // D45: of a stranger
	seen := map[string]string{"6fa459ea-ee8a-4ca4-894e-db77e160355e": "the caller's"}
	for name, a := range answers {
		ids := a.Header.Values("X-Request-ID")
		if len(ids) != 1 || !uuid4.MatchString(ids[0]) || seen[ids[0]] != "" {
			t.Errorf("%s has the ID %q, as %s", name, ids, seen[a.Header.Get("X-Request-ID")])
			continue
		}
		seen[ids[0]] = name
	}
}

// helmet is what Express' helmet 7 sends without a content security policy.
func helmet() map[string]string {
	return map[string]string{
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Origin-Agent-Cluster": "?1",
		"Referrer-Policy": "strict-origin-when-cross-origin", "X-Content-Type-Options": "nosniff", "X-DNS-Prefetch-Control": "off",
		"X-Download-Options": "noopen", "X-Frame-Options": "SAMEORIGIN", "X-Permitted-Cross-Domain-Policies": "none", "X-XSS-Protection": "0",
	}
}

func TestContractEveryAnswerHasSecurityHeaders(t *testing.T) {
	t.Parallel()
	_, answers := kinds(t)
	for name, a := range answers {
		for field, want := range helmet() {
			if got := a.Header.Values(field); !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %s is %q, want %q", name, field, got, want)
			}
		}
		for _, field := range []string{"Strict-Transport-Security", "X-Powered-By", "Content-Security-Policy"} { // D45: the first is for TLS
			if got := a.Header.Values(field); got != nil {
				t.Errorf("%s: %s is %q", name, field, got)
			}
		}
	}
}

// Every answer says the same about CORS, to an origin that is listed, to one
// that isn't, and without one.
func TestContractEveryAnswerHasCORS(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{allowedOrigin, "https://evil.example", ""} {
		t.Run(origin, func(t *testing.T) {
			var header []string
			if origin != "" {
				header = []string{"Origin", origin}
			}
			_, answers := kinds(t, header...)
			for name, a := range answers {
				if name == "a preflight" && origin != "" {
					continue // see below
				}
				want := map[string][]string{"Access-Control-Allow-Credentials": {"true"}, "Access-Control-Expose-Headers": {exposed}}
				unread := []string{"a long line", "another version", "large headers"} // where nobody knows the origin
				if name == "health" {                                                 // which is told nothing of limits
					want["Access-Control-Expose-Headers"] = []string{"X-Request-ID, Retry-After"}
				}
				switch {
				case slices.Contains(unread, name):
				case origin == allowedOrigin:
					want["Access-Control-Allow-Origin"] = []string{origin}
				case origin == "https://evil.example":
					want = map[string][]string{}
				}
				got := maps.Clone(a.Header)
				maps.DeleteFunc(got, func(field string, _ []string) bool { return !strings.HasPrefix(field, "Access-Control-") })
				if !maps.EqualFunc(got, want, slices.Equal) {
					t.Errorf("%s: %v, want %v", name, got, want)
				}
				if vary := strings.Join(a.Header.Values("Vary"), ", "); !strings.Contains(vary, "Origin") {
					t.Errorf("%s: Vary is %q", name, vary)
				}
			}
		})
	}
}

// Preflights are answered by the gateway, also where a token is needed, which
// browsers don't send with them.
func TestContractPreflights(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil, "ALLOWED_ORIGINS="+allowedOrigin)
	for _, path := range []string{"/", "/health", "/api/v1/auth/login", "/api/v1/customers/7", "/api/v1/protected/admin", "/api/v1/tickets/events"} {
		got := s.ask(t, "OPTIONS", path, "", "Origin", allowedOrigin, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization,content-type").want(t, 204)
		for field, want := range map[string]string{
			"Access-Control-Allow-Origin": allowedOrigin, "Access-Control-Allow-Credentials": "true", "Access-Control-Max-Age": "86400",
			"Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS", "Access-Control-Allow-Headers": "Content-Type, Authorization, X-Request-ID",
		} {
			if values := got.Header.Values(field); !slices.Equal(values, []string{want}) {
				t.Errorf("%s: %s is %q, want %q", path, field, values, want)
			}
		}
		if got.body != "" {
			t.Errorf("%s: the body is %q", path, got.body)
		}
	}
	for _, service := range s.stubs {
		if service.requests.Load() != 0 {
			t.Errorf("%s was asked", service.name)
		}
	}
}

// D43: a refused origin is no fault of the gateway: its answers come without
// permission to read them, its preflights are refused. The gateway's own pages
// may call, whatever is listed.
func TestD43RefusedOriginsAreNo500(t *testing.T) {
	t.Parallel()
	for _, origins := range []string{"", "ALLOWED_ORIGINS=" + allowedOrigin} { // unset once refused every browser
		s := setStage(t, nil, origins)
		token := tokenOf(t, "technician")
		for _, origin := range []string{"https://evil.example", "null", "garbage", "https://app.example.org.evil.example"} {
			for path, status := range map[string]int{"/health": 200, "/api/v1/customers": 200, "/nowhere": 404} {
				got := s.ask(t, "GET", path, token, "Origin", origin).want(t, status)
				if values := got.Header.Values("Access-Control-Allow-Origin"); values != nil {
					t.Errorf("%s may read %s: %q", origin, path, values)
				}
			}
			refused(t, s.ask(t, "OPTIONS", "/api/v1/customers", "", "Origin", origin, "Access-Control-Request-Method", "GET"), 403, "ORIGIN_NOT_ALLOWED")
		}
		own := s.ask(t, "POST", "/api/v1/auth/login", "", "Origin", s.url).want(t, 200)
		if got := own.Header.Get("Access-Control-Allow-Origin"); got != s.url {
			t.Errorf("the gateway's own page is answered with %q", got)
		}
		s.ask(t, "OPTIONS", "/api/v1/customers", "", "Origin", s.url, "Access-Control-Request-Method", "PUT").want(t, 204)
		if strings.Contains(s.stderr.String(), `"level":"error"`) {
			t.Errorf("the log has %s", s.stderr)
		}
	}
}

// D40: what the gateway says wins over what a service says.
func TestD40TheGatewaysWordWins(t *testing.T) {
	t.Parallel()
	s := setStage(t, map[string]http.HandlerFunc{"/api/v1/tickets/hostile": hostile}, "ALLOWED_ORIGINS="+allowedOrigin)
	got := s.ask(t, "GET", "/api/v1/tickets/hostile", tokenOf(t, "technician"), "Origin", allowedOrigin).want(t, http.StatusTeapot)
	for field, want := range map[string][]string{
		"X-Powered-By": nil, "Strict-Transport-Security": nil, "X-Frame-Options": {"SAMEORIGIN"}, "X-Xss-Protection": {"0"},
		"Access-Control-Allow-Origin": {allowedOrigin}, "Access-Control-Allow-Credentials": {"true"}, "Access-Control-Max-Age": nil,
		"Access-Control-Expose-Headers": {exposed}, "Vary": {"Accept, Origin"}, "X-Own": {"kept"},
		"Ratelimit-Policy": {"1000;w=900"}, "Ratelimit-Limit": {"1000"}, "Ratelimit-Remaining": {"999"}, "Ratelimit-Reset": {"900"}, "Ratelimit": nil,
		"X-Ratelimit-Limit": nil, "X-Ratelimit-Remaining": nil, "Ratelimit-Own": {"kept", "kept"},
	} {
		if values := got.Header.Values(field); !slices.Equal(values, want) {
			t.Errorf("%s is %q, want %q", field, values, want)
		}
	}
	if id := got.Header.Values("X-Request-ID"); len(id) != 1 || !uuid4.MatchString(id[0]) {
		t.Errorf("X-Request-ID is %q", id)
	}
}

// D45: Strict-Transport-Security belongs to TLS, and to what a listed proxy
// says came over TLS.
func TestD45HSTSBelongsToTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pool := certificate(t, dir)
	const body = "body: 2MB # bodies are streamed; this is what the services can make use of\n"
	secure := "  - name: secure\n    address: \"127.0.0.1:0\"\n    tls: {certificates: [{cert: " + dir + "/cert.pem, key: " + dir + "/key.pem}]}\n"
	file := changed(t, body, body+secure, "name: ${SERVICE_NAME:-psa-api-gateway}\n", "name: gateway\ntrusted_proxies: [127.0.0.1]\n")
	s := setStageOf(t, file, nil)
	line := s.stderr.wait(t, "the listener secure", func(line string) bool { return strings.Contains(line, `"listener":"secure"`) })
	var entry struct{ Address string }
	if err := json.Unmarshal([]byte(line), &entry); err != nil {
		t.Fatal(err)
	}
	client := newClient(t)
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool, ServerName: "gateway.test"}
	want := []string{"max-age=31536000; includeSubDomains; preload"}
	for path, status := range map[string]int{"/health": 200, "/nowhere": 404, "/api/v1/customers": 401} {
		for name, got := range map[string]answer{
			"TLS":            send(t, client, "GET", "https://"+entry.Address+path, "", nil),
			"a listed proxy": s.ask(t, "GET", path, "", "X-Forwarded-For", "192.0.2.1", "X-Forwarded-Proto", "https"),
		} {
			if values := got.want(t, status).Header.Values("Strict-Transport-Security"); !slices.Equal(values, want) {
				t.Errorf("%s over %s: %q", path, name, values)
			}
		}
		if values := s.ask(t, "GET", path, "").Header.Values("Strict-Transport-Security"); values != nil {
			t.Errorf("%s over nothing: %q", path, values)
		}
	}
	// D45: the ID of a listed proxy is kept where it is one.
	for id, kept := range map[string]bool{"trace-0123456789": true, "6fa459ea-ee8a-4ca4-894e-db77e160355e": true, "short": false, "with blank 12345": false, "<script>alert(1)": false} {
		got := s.ask(t, "GET", "/api/v1/auth/me", "", "X-Request-ID", id)
		if now := got.Header.Get("X-Request-ID"); (now == id) != kept || reached(t, got).Header.Get("X-Request-ID") != now {
			t.Errorf("the proxy's ID %q became %q", id, now)
		}
	}
}

// certificate writes cert.pem and key.pem, and returns who believes them.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"gateway.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{{127, 0, 0, 1}},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool
}

// toService returns what a service was told in the gateway's name: by names in
// any spelling that a server could take for them.
func toService(got received) map[string][]string {
	plain := func(name string) string {
		return strings.Map(func(r rune) rune {
			if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
				return r
			}
			return -1
		}, strings.ToLower(name))
	}
	out := make(map[string][]string)
	for name, values := range got.Header {
		for _, ours := range []string{"X-Gateway", "X-Request-ID", "X-User-ID", "X-User-Email", "X-User-Role", "X-Tenant-ID"} {
			if plain(name) == plain(ours) {
				out[ours] = append(out[ours], values...)
			}
		}
	}
	return out
}

// A service is told who calls and through whom, with what the token has.
func TestContractServicesAreTold(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	all := map[string][]string{"X-User-ID": {"u-technician"}, "X-User-Email": {"technician@example.com"}, "X-User-Role": {"technician"}, "X-Tenant-ID": {"t-1"}}
	without := func(names ...string) map[string][]string {
		m := maps.Clone(all)
		for _, name := range names {
			delete(m, name)
		}
		return m
	}
	with := func(name, value string) map[string][]string {
		m := maps.Clone(all)
		m[name] = []string{value}
		return m
	}
	for _, tt := range []struct {
		path    string
		changes claims
		want    map[string][]string
	}{
		{"/api/v1/users", nil, all},
		{"/api/v1/customers", nil, all},
		{"/api/v1/tickets", nil, all},
		{"/api/v1/tickets/events", nil, all},
		{"/api/v1/billing", nil, all},
		{"/api/v1/projects", nil, all},
		{"/api/v1/assets", nil, all},
		{"/api/v1/reports", nil, all},
		{"/api/v1/customers", claims{"tenantId": nil}, without("X-Tenant-ID")},
		{"/api/v1/customers", claims{"email": nil, "role": nil}, without("X-User-Email", "X-User-Role")},
		{"/api/v1/customers", claims{"tenantId": ""}, without("X-Tenant-ID")},
		{"/api/v1/customers", claims{"email": "zoë@example.com\r\nX-User-Role: system_admin"}, with("X-User-Email", "zo%C3%AB@example.com%0D%0AX-User-Role:%20system_admin")},
		{"/api/v1/auth/me", nil, map[string][]string{}}, // nobody is asked who calls there
	} {
		answer := s.ask(t, "GET", tt.path, tokenWith(t, tt.changes))
		got := toService(reached(t, answer))
		if id := got["X-Request-ID"]; !slices.Equal(id, answer.Header.Values("X-Request-ID")) {
			t.Errorf("%s: the service is told the ID %q, the caller %q", tt.path, id, answer.Header.Values("X-Request-ID"))
		}
		if name := got["X-Gateway"]; !slices.Equal(name, []string{"psa-api-gateway"}) {
			t.Errorf("%s: X-Gateway is %q", tt.path, name)
		}
		delete(got, "X-Request-ID")
		delete(got, "X-Gateway")
		if !maps.EqualFunc(got, tt.want, slices.Equal) {
			t.Errorf("%s with %v: the service is told %v, want %v", tt.path, tt.changes, got, tt.want)
		}
	}
}

// forged are headers by which a caller would be somebody else.
func forged() http.Header {
	return http.Header{
		"X-User-Id": {"root", "root"}, "x-user-role": {"system_admin"}, "X_User_Role": {"system_admin"}, "X-User_Email": {"root@example.com"},
		"X.Tenant.ID": {"t-2"}, "X-TENANT-ID": {"t-2", ""}, "X-Gateway": {"me"}, "X_Gateway": {"me"}, "X-Request-Id": {"evil"}, "X_Request_ID": {"evil"},
	}
}

// D26: nobody says by headers who he is, whether he is known or not.
func TestD26IdentityHeadersAreStripped(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	paths := proxied()
	paths["/api/v1/auth/login"] = "auth"
	for path := range paths {
		header := forged()
		header.Set("Authorization", "Bearer "+tokenOf(t, "customer_user"))
		header.Set("Connection", "X-User-Role, X-Request-ID, X-Gateway")
		got := toService(reached(t, send(t, s.client, "POST", s.url+path, "", header)))
		want := map[string]string{"X-User-ID": "u-customer_user", "X-User-Email": "customer_user@example.com", "X-User-Role": "customer_user", "X-Tenant-ID": "t-1"}
		if path == "/api/v1/auth/login" {
			want = map[string]string{}
		}
		want["X-Gateway"] = "psa-api-gateway"
		for name, values := range got {
			if name == "X-Request-ID" && len(values) == 1 && uuid4.MatchString(values[0]) {
				continue
			}
			if !slices.Equal(values, []string{want[name]}) {
				t.Errorf("%s: the service is told %s %q, want %q", path, name, values, want[name])
			}
		}
		for name := range want {
			if got[name] == nil {
				t.Errorf("%s: the service is not told %s", path, name)
			}
		}
	}
	header := forged()
	header.Set("Authorization", "Bearer "+tokenOf(t, "customer_user"))
	refused(t, send(t, s.client, "GET", s.url+"/api/v1/protected/admin", "", header), 403, "INSUFFICIENT_PERMISSIONS")
}

// D27: a request that waits for 100 Continue is like any other.
func TestD27ExpectIsNoWayAround(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	s.client.Transport.(*http.Transport).ExpectContinueTimeout = patience
	header := forged()
	header.Set("Authorization", "Bearer "+tokenOf(t, "customer_user"))
	header.Set("Expect", "100-continue")
	got := reached(t, send(t, s.client, "POST", s.url+"/api/v1/customers", "some content", header))
	told := toService(got)
	if string(got.Body) != "some content" || !slices.Equal(told["X-User-Role"], []string{"customer_user"}) || !slices.Equal(told["X-Gateway"], []string{"psa-api-gateway"}) ||
		len(told["X-Request-ID"]) != 1 || !slices.Equal(told["X-Tenant-ID"], []string{"t-1"}) {
		t.Errorf("the service got %q and is told %v", got.Body, told)
	}
	header.Del("Authorization")
	refused(t, send(t, s.client, "POST", s.url+"/api/v1/customers", "some content", header), 401, "NO_TOKEN")
	if n := s.stubs["crm"].requests.Load(); n != 1 {
		t.Errorf("the service was asked %d times", n)
	}
}
