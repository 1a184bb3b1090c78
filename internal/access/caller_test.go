package access

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"yett/internal/app"
	"yett/internal/catalog"
	"yett/internal/config"
)

// needTokens skips a test in a build that has no policy that verifies tokens.
func needTokens(t *testing.T) {
	t.Helper()
	if catalog.Lookup("jwt") == nil || catalog.Lookup("rbac") == nil {
		t.Skip("there is no policy jwt or rbac in the catalogue")
	}
}

func TestIssuer(t *testing.T) {
	conf := func(names ...string) *config.Config {
		c := &config.Config{}
		for _, n := range names {
			c.Issuers = append(c.Issuers, config.Entry[config.Issuer]{Name: n})
		}
		return c
	}
	for _, tt := range []struct {
		conf       *config.Config
		name, want string
		err        string
	}{
		{conf("a"), "", "a", ""},
		{conf("a", "b"), "b", "b", ""},
		{conf("a", "b"), "", "", "which issuer? There are a, b"},
		{conf("auth"), "aut", "", `did you mean "auth"?`},
		{conf(), "", "", "no issuers"},
	} {
		got, err := Issuer(tt.conf, tt.name)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q of %v: %q, %v", tt.name, tt.conf.Issuers.Names(), got, err)
		}
	}
}

func TestParseCaller(t *testing.T) {
	c, err := ParseCaller(`{role: [a, b], tenant: t-1, plan: gold, expires: -1m, claims: {n: 1, list: [x, true, 1.5], o: {k: null}, gone: }}`)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c.Role, config.StringList{"a", "b"}) || c.Tenant != "t-1" || c.Plan != "gold" || time.Duration(c.Expires) != -time.Minute {
		t.Errorf("%+v", c)
	}
	want := map[string]any{"n": json.Number("1"), "list": []any{"x", true, json.Number("1.5")}, "o": map[string]any{"k": nil}, "gone": nil}
	if got := c.overrides(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %#v\nwant %#v", got, want)
	}
	for _, text := range []string{"{rol: a}", "{role: {}}", "{role", "a"} {
		if _, err := ParseCaller(text); err == nil {
			t.Errorf("%s is a caller", text)
		}
	}
}

// A role that is misspelt in a table would be refused everywhere, as a test
// may expect.
func TestUnknownRole(t *testing.T) {
	c := &config.Config{Issuers: config.Mapping[config.Issuer]{{Name: "auth"}}, Roles: config.Mapping[config.Role]{{Name: "technician"}}}
	err := (&Caller{Role: config.StringList{"tecnician"}}).Check(c)
	if err == nil || err.Error() != `role: there is no role "tecnician", did you mean "technician"?` {
		t.Error(err)
	}
	if err := (&Caller{Role: config.StringList{"technician"}}).Check(c); err != nil {
		t.Error(err)
	}
	if err := (&Caller{Token: "x", Role: config.StringList{"?"}}).Check(c); err != nil {
		t.Error(err)
	}
}

func TestTimes(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for _, tt := range []struct{ max, expires, from, lifetime time.Duration }{
		{0, 0, 0, 15 * time.Minute},
		{5 * time.Minute, 0, 0, 5 * time.Minute},
		{5 * time.Minute, time.Hour, 0, time.Hour},
		{0, -time.Minute, -16 * time.Minute, 15 * time.Minute},
		{5 * time.Minute, -time.Minute, -6 * time.Minute, 5 * time.Minute},
	} {
		m := &Mint{conf: &config.Config{Issuers: config.Mapping[config.Issuer]{{Name: "a", Value: config.Issuer{MaxLifetime: config.Duration(tt.max)}}}}}
		from, lifetime := m.times("a", tt.expires, now)
		if from.Sub(now) != tt.from || lifetime != tt.lifetime {
			t.Errorf("max %v, expires %v: from %v for %v", tt.max, tt.expires, from.Sub(now), lifetime)
		}
	}
}

const guarded = `
listeners: [{address: ":3000"}]
issuers:
  auth: {issuer: https://auth.example, audience: api, keys: [{secret: "${JWT_SECRET}"}]}
roles:
  system_admin: {level: 100}
  tenant_admin: {level: 90}
  technician: {level: 50}
policies: {jwt: }
services: {app: {targets: ["http://127.0.0.1:1"]}}
routes:
  - {name: open, path: /open, auth: none, service: app}
  - {name: maybe, path: /maybe, auth: optional, service: app}
  - {name: any, path: /any, auth: required, service: app}
  - {name: admin, path: /admin, auth: required, service: app, policies: {rbac: {min_role: tenant_admin}}}
`

// Callers are verified as real ones are, without the secret of the issuer.
func TestCallers(t *testing.T) {
	needTokens(t)
	r := run(t, guarded, `
env: {JWT_SECRET: a secret that is not used at all}
callers:
  technician: {role: technician, subject: u-1, tenant: t-1}
  tenant_admin: {role: tenant_admin}
  system_admin: {role: system_admin}
  expired: {role: tenant_admin, expires: -1m}
  forged: {role: tenant_admin, forged: true}
  garbage: {token: garbage}
  elsewhere: {role: tenant_admin, claims: {aud: other}}
  timeless: {role: tenant_admin, claims: {exp: null}}
  early: {role: tenant_admin, claims: {nbf: 4102444800}} # a number stays one
groups:
  admins: [tenant_admin, system_admin]
  invalid: [forged, garbage, elsewhere, timeless]
expect: {anonymous: 401 NO_TOKEN, expired: 401 TOKEN_EXPIRED, invalid: 401 INVALID_TOKEN, early: 401 TOKEN_NOT_ACTIVE}
tests:
  - {request: GET /open, expect: {others: pass}}
  - {request: GET /maybe, expect: {anonymous: pass, admins: pass, technician: pass}}
  - {request: GET /any, expect: {admins: pass, technician: pass}}
  - {request: GET /admin, expect: {admins: pass, technician: 403 INSUFFICIENT_PERMISSIONS}}
`, nil)
	for _, row := range r.Differences() {
		t.Errorf("%s as %s: got %s, want %s: %q", row.Request, row.Caller, row.Got, row.Expected, row.Because)
	}
	if len(r.Rows) != 4*10 {
		t.Errorf("%d rows", len(r.Rows))
	}
}

// A difference says why in the words of the policy.
func TestDifferenceOfRole(t *testing.T) {
	needTokens(t)
	r := run(t, guarded, `
env: {JWT_SECRET: a secret that is not used at all}
callers: {technician: {role: technician}}
tests: [{request: GET /admin, expect: {technician: pass}}]
`, nil)
	if d := r.Differences(); len(d) != 1 || !strings.HasPrefix(d[0].Got, "403 INSUFFICIENT_PERMISSIONS ") || len(d[0].Because) < 2 {
		t.Errorf("%+v", r)
	}
}

// Token makes the token of one caller of a table, for explaining.
func TestTokenOfTable(t *testing.T) {
	dir := write(t, map[string]string{"access.yaml": `
callers: {a: {token: raw}}
tests: [{request: GET /x, expect: {a: pass}}]
`, "yett.yaml": conf})
	f, err := Load(filepath.Join(dir, "access.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := app.NewWalker(app.Options{File: filepath.Join(dir, "yett.yaml"), Env: config.MapEnv(map[string]string{"TARGET": "127.0.0.1:1"}), Stderr: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if raw, err := f.Token(w, Anonymous); raw != "" || err != nil {
		t.Errorf("anonymous brings %q, %v", raw, err)
	}
	if _, err := f.Token(w, "b"); err == nil || !strings.Contains(err.Error(), `has no caller "b"; did you mean "a"?`) {
		t.Error(err)
	}
	if raw, err := f.Token(w, "a"); raw != "raw" || err != nil {
		t.Errorf("a brings %q, %v", raw, err)
	}
}
