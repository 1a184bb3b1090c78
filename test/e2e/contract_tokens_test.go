//go:build linux

package e2e

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"yett/examples/psa/services/kit"
	"yett/internal/store/redis/redistest"
)

// part returns a part of a token: header, claims or signature.
func part(token string, i int) string { return strings.Split(token, ".")[i] }

// encoded is JSON as it stands in a token.
func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// D28: a token passes when it is the platform's, for this platform, and ends.
// What it says about its own algorithm counts for nothing.
func TestD28TokensAreChecked(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	now := time.Now()
	secret := []byte(exampleSecret)
	whole := tokenOf(t, "system_admin")
	admin := good("system_admin", nil)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(changes claims) string { return tokenWith(t, changes) }
	tests := []struct{ name, token, code, reason string }{
		{"good", whole, "", ""},
		{"with several audiences", with(claims{"aud": []string{"other", kit.Audience}}), "", ""},
		{"without iat and jti, as old ones", with(claims{"iat": nil, "jti": nil}), "", ""},
		{"by a clock that is a little ahead", with(claims{"iat": now.Add(3 * time.Second).Unix(), "nbf": now.Add(3 * time.Second).Unix()}), "", ""},
		{"with a role that nobody knows", with(claims{"role": "wizard"}), "", ""}, // which passes no check of roles

		{"without an end", with(claims{"exp": nil}), "INVALID_TOKEN", "token_claims"},
		{"without an issuer", with(claims{"iss": nil}), "INVALID_TOKEN", "token_issuer"},
		{"without an audience", with(claims{"aud": nil}), "INVALID_TOKEN", "token_audience"},
		{"without a subject", with(claims{"sub": nil}), "INVALID_TOKEN", "token_claims"},
		{"with nothing at all", signed(t, jose.HS256, secret, claims{}), "INVALID_TOKEN", "token_issuer"},
		{"of another issuer", with(claims{"iss": "somebody"}), "INVALID_TOKEN", "token_issuer"},
		{"for another audience", with(claims{"aud": "psa-web"}), "INVALID_TOKEN", "token_audience"},
		{"over", with(claims{"exp": now.Add(-time.Second).Unix()}), "TOKEN_EXPIRED", "token_expired"},
		{"not begun", with(claims{"nbf": now.Add(time.Minute).Unix()}), "TOKEN_NOT_ACTIVE", "token_not_active"},
		{"made in the future", with(claims{"iat": now.Add(time.Minute).Unix()}), "TOKEN_NOT_ACTIVE", "token_not_active"},
		{"with an end that is a text", with(claims{"exp": strconv.FormatInt(now.Add(time.Hour).Unix(), 10)}), "INVALID_TOKEN", "token_malformed"},
		{"with a role that is a number", with(claims{"role": 100}), "INVALID_TOKEN", "token_claims"},

		{"by another secret", signed(t, jose.HS256, []byte(strings.Repeat("fedcba9876543210", 4)), admin), "INVALID_TOKEN", "token_signature"},
		{"by a secret with one byte more", signed(t, jose.HS256, append(slices.Clone(secret), 'x'), admin), "INVALID_TOKEN", "token_signature"},
		{"by a larger hash", signed(t, jose.HS512, secret, admin), "INVALID_TOKEN", "token_algorithm"},
		{"by RSA", signed(t, jose.RS256, rsaKey, admin), "INVALID_TOKEN", "token_algorithm"},
		{"by a curve", signed(t, jose.ES256, ecKey, admin), "INVALID_TOKEN", "token_algorithm"},
		{"by Ed25519", signed(t, jose.EdDSA, edKey, admin), "INVALID_TOKEN", "token_algorithm"},
		{"unsigned", encoded(`{"alg":"none"}`) + "." + part(whole, 1) + ".", "INVALID_TOKEN", "token_algorithm"},
		{"unsigned, in another case", encoded(`{"alg":"nOnE"}`) + "." + part(whole, 1) + ".", "INVALID_TOKEN", "token_algorithm"},
		{"with its signature cut off", strings.TrimSuffix(whole, part(whole, 2)), "INVALID_TOKEN", "token_signature"},
		{"with another's claims", part(whole, 0) + "." + part(tokenOf(t, "customer_user"), 1) + "." + part(whole, 2), "INVALID_TOKEN", "token_signature"},
		{"with one letter changed", whole[:len(whole)-8] + flip(whole[len(whole)-8:]), "INVALID_TOKEN", "token_signature"},
		{"with an extension that has to be understood", crit(t, whole), "INVALID_TOKEN", ""},
		{"no token", "garbage", "INVALID_TOKEN", "token_malformed"},
		{"dots", "..", "INVALID_TOKEN", "token_malformed"},
		{"encrypted, by its form", "a.b.c.d.e", "INVALID_TOKEN", "token_malformed"},
		{"larger than any", "a." + strings.Repeat("b", 9000) + ".c", "INVALID_TOKEN", "token_too_large"},
	}
	for i, tt := range tests {
		path := "/api/v1/customers/" + strconv.Itoa(i)
		got := s.ask(t, "GET", path, tt.token)
		if tt.code == "" {
			reached(t, got)
			continue
		}
		refused(t, got, 401, tt.code)
		if challenge := got.Header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, `Bearer realm="psa-api-gateway", error="invalid_token", error_description="`) {
			t.Errorf("%s: WWW-Authenticate is %s", tt.name, challenge) // D30
		}
		refused(t, s.ask(t, "GET", "/api/v1/protected/system", tt.token), 401, tt.code)
		if e := s.waitLog(path); tt.reason != "" && e.Reason != tt.reason {
			t.Errorf("%s: the log has the reason %s, want %s", tt.name, e.Reason, tt.reason)
		}
	}
	if n := s.stubs["crm"].requests.Load(); n != 5 {
		t.Errorf("the service was asked %d times", n)
	}
}

// flip changes the first letter.
func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

// crit makes a token whose header says that something must be understood.
func crit(t *testing.T, whole string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(exampleSecret)},
		(&jose.SignerOptions{}).WithHeader("crit", []string{"exp"}).WithHeader("exp", 1))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(part(whole, 1))
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// D30: the scheme has no case, and a bad token is never taken for none.
func TestD30TheSchemeHasNoCase(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	token := tokenOf(t, "technician")
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer   "} {
		got := send(t, s.client, "GET", s.url+"/api/v1/customers", "", http.Header{"Authorization": {scheme + token}})
		if told := toService(reached(t, got)); !slices.Equal(told["X-User-ID"], []string{"u-technician"}) {
			t.Errorf("%q: the service is told %v", scheme, told)
		}
	}
	expired := tokenWith(t, claims{"exp": 1})
	for text, code := range map[string]string{"garbage": "INVALID_TOKEN", expired: "TOKEN_EXPIRED"} {
		refused(t, s.ask(t, "GET", "/api/v1/public/info", text), 401, code) // and not a guest
	}
	twice := send(t, s.client, "GET", s.url+"/api/v1/customers", "", http.Header{"Authorization": {"Bearer " + token, "Bearer " + tokenOf(t, "system_admin")}})
	refused(t, twice, 401, "INVALID_TOKEN")
}

// Browsers can't set headers on an event stream: there, and there only, the
// token may stand in the query.
func TestContractTokenInTheQuery(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	token, other := tokenOf(t, "technician"), tokenOf(t, "customer_user")
	got := reached(t, s.ask(t, "GET", "/api/v1/tickets/events?since=1&access_token="+token, ""))
	if told := toService(got); got.URI != "/api/v1/tickets/events?since=1&access_token="+token || !slices.Equal(told["X-User-ID"], []string{"u-technician"}) {
		t.Errorf("it came as %s, and is told %v", got.URI, told)
	}
	refused(t, s.ask(t, "GET", "/api/v1/tickets?access_token="+token, ""), 401, "NO_TOKEN")
	refused(t, s.ask(t, "GET", "/api/v1/tickets/events?access_token=garbage", ""), 401, "INVALID_TOKEN")
	refused(t, s.ask(t, "GET", "/api/v1/tickets/events?access_token=", ""), 401, "NO_TOKEN")
	refused(t, s.ask(t, "GET", "/api/v1/tickets/events?access_token="+token+"&access_token="+other, ""), 401, "INVALID_TOKEN")
}

// D29: a token can be ended before its time: by its jti, by its SHA-256, whole,
// or all of its subject. Only system_admin may do it.
func TestD29TokensCanBeRevoked(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	admin := tokenOf(t, "system_admin")
	old := claims{"iat": time.Now().Add(-time.Minute).Unix()}
	sum := func(token string) string {
		h := sha256.Sum256([]byte(token))
		return hex.EncodeToString(h[:])
	}
	own := func(subject string) claims {
		return claims{"sub": subject, "jti": "id-of-" + subject, "iat": old["iat"]}
	}
	for _, tt := range []struct {
		name, token string
		revocation  func(token string) map[string]any
	}{
		{"by jti", tokenWith(t, own("a")), func(string) map[string]any { return map[string]any{"jti": "id-of-a"} }},
		{"by its sum", tokenWith(t, claims{"sub": "b", "jti": nil}), func(token string) map[string]any { return map[string]any{"token_sha256": sum(token)} }},
		{"whole", tokenWith(t, own("c")), func(token string) map[string]any { return map[string]any{"token": token} }},
		{"by its subject", tokenWith(t, own("d")), func(string) map[string]any { return map[string]any{"subject": "d"} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := json.Marshal(tt.revocation(tt.token))
			if err != nil {
				t.Fatal(err)
			}
			reached(t, s.ask(t, "GET", "/api/v1/customers", tt.token))
			for _, role := range []string{"tenant_admin", "security_admin", "customer_user"} {
				refused(t, send(t, s.client, "POST", s.url+"/internal/revocations", string(text), as(tokenOf(t, role))), 403, "INSUFFICIENT_PERMISSIONS")
			}
			refused(t, send(t, s.client, "POST", s.url+"/internal/revocations", string(text), nil), 401, "NO_TOKEN")
			reached(t, s.ask(t, "GET", "/api/v1/customers", tt.token))
			send(t, s.client, "POST", s.url+"/internal/revocations", string(text), jsonAs(admin)).want(t, 202)
			for _, path := range []string{"/api/v1/customers", "/api/v1/public/info", "/api/v1/protected/profile"} {
				refused(t, s.ask(t, "GET", path, tt.token), 401, "TOKEN_REVOKED")
			}
		})
	}
	reached(t, s.ask(t, "GET", "/api/v1/customers", tokenOf(t, "technician"))) // others are not
	later := time.Now().Add(time.Second).Unix()                                // iat has no parts of a second
	reached(t, s.ask(t, "GET", "/api/v1/customers", tokenWith(t, claims{"sub": "d", "iat": later})))
	for _, unseen := range []claims{{"jti": "id-of-a"}, {"sub": "d", "iat": old["iat"]}} { // the gateway has never met these
		refused(t, s.ask(t, "GET", "/api/v1/customers", tokenWith(t, unseen)), 401, "TOKEN_REVOKED")
	}
	whole := tokenOf(t, "technician")
	for token, want := range map[string]struct {
		status int
		says   string
	}{
		whole:                {202, "In effect on this node, until it restarts."},
		whole[:len(whole)-3]: {202, "(token_signature): is it whole?"},
		tokenWith(t, claims{"exp": time.Now().Add(-time.Hour).Unix()}): {200, `"revoked":[]`},
	} {
		text, _ := json.Marshal(map[string]string{"token": token})
		got := send(t, s.client, "POST", s.url+"/internal/revocations", string(text), jsonAs(admin))
		if got.StatusCode != want.status || !strings.Contains(got.body, want.says) {
			t.Errorf("%d %s, want %d and %s", got.StatusCode, got.body, want.status, want.says)
		}
	}
	numbers := decode[struct{ Entries map[string]int }](t, s.ask(t, "GET", "/internal/revocations", admin))
	if fmt.Sprint(numbers.Entries) == "map[]" {
		t.Errorf("the page shows %v", numbers)
	}
}

// REDIS_*: gateways share what was revoked, and one that starts later knows.
func TestContractRedisIsShared(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "hunter2")
	env := []string{"REDIS_HOST=" + server.Host, "REDIS_PORT=" + strconv.Itoa(server.Port), "REDIS_PASSWORD=hunter2"}
	first, second := setStage(t, nil, env...), setStage(t, nil, env...)
	token := tokenOf(t, "technician")
	reached(t, second.ask(t, "GET", "/api/v1/customers", token))
	text, _ := json.Marshal(map[string]string{"token": token})
	send(t, first.client, "POST", first.url+"/internal/revocations", string(text), jsonAs(tokenOf(t, "system_admin"))).want(t, 202)
	refused(t, first.ask(t, "GET", "/api/v1/customers", token), 401, "TOKEN_REVOKED")
	eventually(t, "the other gateway knows", func() bool { return second.ask(t, "GET", "/api/v1/customers", token).StatusCode == 401 })
	refused(t, second.ask(t, "GET", "/api/v1/customers", token), 401, "TOKEN_REVOKED")
	refused(t, setStage(t, nil, env...).ask(t, "GET", "/api/v1/customers", token), 401, "TOKEN_REVOKED")
	if got := first.ask(t, "GET", "/health/detailed", ""); !strings.Contains(got.body, `"name":"redis","state":"connected"`) {
		t.Errorf("the store is %s", got.body)
	}
}

// A Redis that is named and not there, or does not let the gateway in, ends it
// with one line that says so.
func TestContractRedisIsCheckedAtStart(t *testing.T) {
	t.Parallel()
	server, missing := redistest.Start(t, "--requirepass", "hunter2"), redistest.Reserve(t)
	for name, tt := range map[string]struct {
		server   *redistest.Server
		password string
		want     string
	}{
		"not there":        {missing, "", "connection refused"},
		"without password": {server, "", "set store.redis.password"},
		"wrong password":   {server, "hunter3", "correct store.redis.username and password"},
	} {
		env := []string{"PORT=0", "JWT_SECRET=" + exampleSecret, "REDIS_HOST=127.0.0.1", "REDIS_PORT=" + strconv.Itoa(tt.server.Port), "REDIS_PASSWORD=" + tt.password}
		code, stdout, stderr := yett(t, env, "run", "-c", exampleConfig)
		if code != 1 || stdout != "" || strings.Contains(stderr, "\n") || !strings.HasPrefix(stderr, "yett: the store at "+tt.server.Address) ||
			!strings.Contains(stderr, tt.want) || strings.Contains(stderr, "hunter") {
			t.Errorf("%s: exit code %d, %s%s", name, code, stdout, stderr)
		}
	}
}

// The auth service's own tokens pass, with all that they say; D29: they have a
// jti and a tenant.
func TestContractRealTokens(t *testing.T) {
	t.Parallel()
	p := startPlatform(t)
	for email, role := range map[string]string{"admin@example.com": "system_admin", "tech@example.org": "technician", "customer@example.com": "customer_user"} {
		p.login(email)
		profile := decode[struct {
			User struct {
				ID, Email, Role, TenantID string
				Permissions               []string
			}
		}](t, p.call("GET", "/api/v1/protected/profile", "").want(t, 200)).User
		me := decode[struct {
			ID, TenantID string
			Permissions  map[string]bool
		}](t, p.call("GET", "/api/v1/auth/me", "").want(t, 200))
		if profile.Email != email || profile.Role != role || profile.ID != me.ID || profile.TenantID != me.TenantID || profile.TenantID == "" || len(profile.Permissions) != len(me.Permissions) {
			t.Errorf("the gateway knows %+v, the service %+v", profile, me)
		}
		var said map[string]any
		payload, err := base64.RawURLEncoding.DecodeString(part(p.token, 1))
		if err := json.Unmarshal(payload, &said); err != nil || said["jti"] == nil {
			t.Errorf("%s: the token says %s", email, payload)
		}
		if err != nil {
			t.Error(err)
		}
		for path, passes := range guards() {
			own := strings.Replace(path, "/users/7", "/users/"+me.ID, 1)
			if got := p.call("GET", own, ""); (got.StatusCode == 200) != (passes(role) || own != path) {
				t.Errorf("%s: %s answers %d", email, own, got.StatusCode)
			}
		}
	}
	p.call("POST", "/api/v1/auth/logout", "").want(t, 204)
	refused(t, p.call("GET", "/api/v1/customers", ""), 401, "TOKEN_REVOKED")
}

// D32: an administrator of one tenant reaches nobody of another.
func TestD32TenantsAreApart(t *testing.T) {
	t.Parallel()
	p := startPlatform(t)
	id := func(email string) string {
		p.login(email)
		return decode[struct{ ID string }](t, p.call("GET", "/api/v1/auth/me", "").want(t, 200)).ID
	}
	acme, globex := id("customer@example.com"), id("customer@example.org")
	p.login("tenant@example.org")
	p.call("GET", "/api/v1/users/"+globex, "").want(t, 200)
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		refused(t, p.call(method, "/api/v1/users/"+acme, map[string]string{"PATCH": `{"name":"Mine"}`}[method]), 404, "NOT_FOUND")
	}
	if list := p.call("GET", "/api/v1/users?limit=200", "").want(t, 200); strings.Contains(list.body, "@example.com") || !strings.Contains(list.body, "@example.org") {
		t.Errorf("the list has %s", list.body)
	}
}
