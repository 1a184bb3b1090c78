package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
)

func TestParseClaims(t *testing.T) {
	got, err := parseClaims([]string{`a="x=y"`, "n=12345678901234567890", "l=[1, true]", "gone=null"})
	want := map[string]any{"a": "x=y", "n": json.Number("12345678901234567890"), "l": []any{json.Number("1"), true}, "gone": nil}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"a", "=1", "a=x", `a="x" 1`, "a="} {
		if _, err := parseClaims([]string{text}); err == nil {
			t.Errorf("%s is a claim", text)
		}
	}
	if got := call(t, nil, "token", "mint", "--claim", "tier=gold"); got.code != exitUsage || !strings.Contains(got.stderr, `--claim 'tier="text"'`) {
		t.Errorf("%+v", got)
	}
}

func TestTimeOf(t *testing.T) {
	for _, tt := range []struct {
		claim any
		want  string
	}{
		{float64(1767225600), "2026-01-01T00:00:00Z"},
		{json.Number("1767225600.5"), "2026-01-01T00:00:00.5Z"},
		{int64(0), "1970-01-01T00:00:00Z"},
		{"1767225600", ""}, {nil, ""}, {json.Number("1e300"), ""}, {float64(-1), ""}, {true, ""},
	} {
		got, ok := timeOf(tt.claim)
		if ok != (tt.want != "") || ok && got.Format(time.RFC3339Nano) != tt.want {
			t.Errorf("%v is %v, want %q", tt.claim, got, tt.want)
		}
	}
}

func TestAway(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "in 0 s", -400 * time.Millisecond: "in 0 s", 90 * time.Second: "in 1 min 30 s", -time.Second: "1 s ago",
		-3*time.Hour - 5*time.Minute: "3 h 5 min ago", 50 * time.Hour: "in 2 days and 2 hours", 25 * time.Hour: "in 1 day and 1 hour",
	} {
		if got := away(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestWithSecret(t *testing.T) {
	c := &config.Config{Issuers: config.Mapping[config.Issuer]{
		{Name: "ours", Value: config.Issuer{Keys: []config.KeySource{{PEM: "a.pem"}, {Secret: "s"}}}},
		{Name: "theirs", Value: config.Issuer{Keys: []config.KeySource{{JWKSURL: "https://a"}}}},
	}}
	if err := withSecret(c, "ours"); err != nil {
		t.Error(err)
	}
	if err := withSecret(c, "theirs"); err == nil || !strings.Contains(err.Error(), "yett explain --as") {
		t.Error(err)
	}
	if !jwksURL(c) || jwksURL(&config.Config{Issuers: c.Issuers[:1]}) {
		t.Error("it is not known whose keys are fetched")
	}
}

func TestMintNeedsAnIssuer(t *testing.T) {
	got := call(t, nil, "token", "mint", "-c", file(t, small))
	if got.code != exitFail || got.stdout != "" || !strings.Contains(got.stderr, "the configuration has no issuers") {
		t.Errorf("%+v", got)
	}
	got = call(t, nil, "token", "mint", "-c", file(t, wrong))
	if got.code != exitFail || !strings.HasSuffix(got.stderr, "2 problems; no token was made\n") {
		t.Errorf("%+v", got)
	}
}

// A token that is minted is what decode shows and the gateway takes.
func TestMintAndDecode(t *testing.T) {
	needTokens(t)
	name := file(t, issued)
	got := call(t, nil, "token", "mint", "-c", name, "--subject", "u-1", "--role", "technician", "--tenant", "t-1", "--plan", "silver", "--permission", "a:read", "--scope", "x",
		"--email", "a@example.org", "--claim", `tier="gold"`)
	raw := strings.TrimSpace(got.stdout)
	if got.code != exitOK || got.stderr != "" || strings.Count(raw, ".") != 2 || got.stdout != raw+"\n" {
		t.Fatalf("%+v", got)
	}
	got = feed(t, "Bearer "+raw+"\n", "token", "decode", "-c", name, "--json")
	var d decoded
	if err := json.Unmarshal([]byte(got.stdout), &d); err != nil || got.code != exitOK {
		t.Fatalf("%v: %+v", err, got)
	}
	if d.Claims["sub"] != "u-1" || d.Claims["tier"] != "gold" || d.Claims["tenantId"] != "t-1" || d.Claims["plan"] != "silver" || d.Claims["email"] != "a@example.org" || d.Header["alg"] != "HS256" ||
		d.Verified == nil || !d.Verified.Passes || d.Verified.Issuer != "auth" || d.Verified.Algorithm != "HS256" {
		t.Errorf("%s", got.stdout)
	}
	if last := d.Times[len(d.Times)-1]; last.Claim != "exp" || time.Until(last.Time) > 15*time.Minute || time.Until(last.Time) < 14*time.Minute {
		t.Errorf("%+v", d.Times)
	}
	got = call(t, nil, "token", "decode", raw)
	if got.code != exitOK || !strings.Contains(got.stdout, "nothing was verified") || !strings.Contains(got.stdout, `"tier": "gold"`) {
		t.Errorf("%+v", got)
	}
	if got := call(t, env{"YETT_CONFIG": name}, "token", "decode", raw); got.code != exitOK || !strings.Contains(got.stdout, "yes, by "+name) {
		t.Errorf("%+v", got)
	}
	if got := call(t, nil, "explain", "-c", name, "GET", "/admin", "--token", raw, "--expect", "403"); got.code != exitOK {
		t.Errorf("%+v", got)
	}
}

// A token that would not pass is made all the same, with a warning; decode says
// why, and so does its exit code.
func TestMintWhatDoesNotPass(t *testing.T) {
	needTokens(t)
	name := file(t, issued)
	for _, flags := range [][]string{{"--expires", "2h"}, {"--claim", `aud="other"`}, {"--claim", "exp=null"}, {"--claim", "exp=1"}} {
		got := call(t, nil, append([]string{"token", "mint", "-c", name}, flags...)...)
		if got.code != exitOK || !strings.HasPrefix(got.stderr, "yett: the gateway would refuse this token: 401 ") {
			t.Errorf("%q: %+v", flags, got)
		}
		got = feed(t, got.stdout, "token", "decode", "-c", name, "-")
		if got.code != exitFail || !strings.Contains(got.stdout, "verified   no, by "+name+": 401 ") || !strings.HasPrefix(got.stderr, "yett: the gateway would not let") {
			t.Errorf("%q: %+v", flags, got)
		}
	}
}

// The configuration that stands where decode is called counts, as it does for
// the other verbs.
func TestDecodeByTheUsualFile(t *testing.T) {
	needTokens(t)
	path := folder(t, map[string]string{"yett.yaml": issued})
	t.Chdir(path("."))
	raw := strings.TrimSpace(call(t, nil, "token", "mint", "--role", "technician").stdout)
	if got := call(t, nil, "token", "decode", raw); got.code != exitOK || !strings.Contains(got.stdout, "verified   yes, by yett.yaml: issuer auth") {
		t.Errorf("%+v", got)
	}
	// When it can't be used, the token is shown all the same, and nobody takes
	// it for a good one.
	if err := os.WriteFile("yett.yaml", []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	got := call(t, nil, "token", "decode", raw)
	if got.code != exitFail || !strings.Contains(got.stdout, `"role": "technician"`) || !strings.Contains(got.stdout, "verified   no, by yett.yaml: it can't be used\n") ||
		!strings.HasSuffix(got.stderr, "2 problems; nothing was verified\n") {
		t.Errorf("%+v", got)
	}
	if got := call(t, nil, "token", "decode", "-c", "none.yaml", raw); got.code != exitFail || !strings.Contains(got.stderr, "none.yaml") {
		t.Errorf("%+v", got)
	}
	if err := os.Remove("yett.yaml"); err != nil {
		t.Fatal(err)
	}
	if got := call(t, nil, "token", "decode", raw); got.code != exitOK || !strings.Contains(got.stdout, "nothing was verified") {
		t.Errorf("%+v", got)
	}
}

const issuers = `
listeners: [{address: ":3000"}]
issuers:
  partner: {issuer: p, keys: [{jwks_url: "https://partner.example/keys"}]}
  web: {issuer: w, keys: [{secret: 0123456789abcdef0123456789abcdef}]}
  sso: {issuer: s, keys: [{%s}]}
roles: {reader: {}}
policies: {jwt: {}}
routes: [{name: a, path: /, auth: required, policies: {respond: {text: a}}}]
`

// Which issuer is asked for only where it has to be, and the answer can be
// copied.
func TestWhichIssuer(t *testing.T) {
	needTokens(t)
	one := file(t, fmt.Sprintf(issuers, `jwks_url: "https://sso.example/keys"`))
	two := file(t, fmt.Sprintf(issuers, "secret: fedcba9876543210fedcba9876543210"))
	got := call(t, nil, "token", "mint", "-c", one)
	if decoded := feed(t, got.stdout, "token", "decode", "-c", file(t, issued)); got.code != exitOK || !strings.Contains(decoded.stdout, `"iss": "w"`) {
		t.Errorf("%+v, %+v", got, decoded)
	}
	if got := call(t, nil, "token", "mint", "-c", one, "--issuer", "partner"); got.code != exitFail || !strings.Contains(got.stderr, "no secret of the issuer partner") {
		t.Errorf("%+v", got)
	}
	if got := call(t, nil, "token", "mint", "-c", two); got.stderr != "yett: which issuer? There are partner, web, sso; say which: --issuer web\n" {
		t.Errorf("%+v", got)
	}
	for as, want := range map[string]string{
		"reader":                           "{role: reader, issuer: partner}",
		"{}":                               "{issuer: partner}",
		"{role: reader, claims: {a: 1} } ": "{role: reader, claims: {a: 1}, issuer: partner}",
	} {
		got := call(t, nil, "explain", "-c", one, "GET", "/", "--as", as)
		if got.code != exitFail || got.stderr != "yett: --as: which issuer? There are partner, web, sso; say which: --as '"+want+"'\n" {
			t.Errorf("%q: %+v", as, got)
		}
		if got := call(t, nil, "explain", "-c", one, "GET", "/", "--as", want, "--expect", "pass"); got.code != exitOK {
			t.Errorf("%q: %+v", want, got)
		}
	}
}

func TestDecodeNonsense(t *testing.T) {
	for _, args := range [][]string{{"nonsense"}, {"a.b.c"}, {"-"}, nil} {
		got := feed(t, "", append([]string{"token", "decode"}, args...)...)
		if got.code != exitFail || got.stdout != "" || strings.Contains(got.stderr, "nonsense") {
			t.Errorf("%q: %+v", args, got)
		}
	}
}
