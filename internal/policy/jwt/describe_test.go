package jwt

import (
	"reflect"
	"slices"
	"testing"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
	"yett/internal/token"
)

func described(t *testing.T, yaml string, d policy.Deps) *policy.Description {
	t.Helper()
	return policy.Chain{{Kind: Kind, Policy: policytest.BuildWith(t, Kind, yaml, d)}}.Describe()
}

func TestDescribe(t *testing.T) {
	d := described(t, "{cookie: session, query: access_token}", deps(t, "required"))
	if want := []policy.Scheme{{In: "header"}, {In: "cookie", Name: "session"}, {In: "query", Name: "access_token"}}; !reflect.DeepEqual(d.Schemes, want) || d.Anonymous {
		t.Errorf("%v, anonymous %v", d.Schemes, d.Anonymous)
	}
	if len(d.ResponseHeaders) != 1 || d.ResponseHeaders[0].Name != "WWW-Authenticate" || !slices.Equal(d.ResponseHeaders[0].Only, []int{401}) {
		t.Errorf("headers %+v", d.ResponseHeaders)
	}
	if !slices.Contains(d.Refusals, noToken) {
		t.Error("a token is required, and nobody is refused without one")
	}
	d = described(t, "", deps(t, "optional"))
	if len(d.Schemes) != 1 || !d.Anonymous || slices.Contains(d.Refusals, noToken) {
		t.Errorf("optional: %+v", d)
	}
	if d = described(t, "mode: observe", deps(t, "required")); !d.Anonymous || len(d.Refusals) > 0 || len(d.ResponseHeaders) > 0 || len(d.Schemes) != 1 {
		t.Errorf("it observes: %+v", d)
	}
}

// Callers are told of no refusal that can't be.
func TestDescribedRefusals(t *testing.T) {
	base := []*exchange.Reason{noToken, ambiguous, token.TooLarge, token.Malformed, token.Issuer, token.Algorithm, token.Signature, token.Claims, token.NotActive, token.Expired, token.Revoked}
	except := func(drop *exchange.Reason, more ...*exchange.Reason) (all []*exchange.Reason) {
		for _, r := range base {
			if r != drop {
				all = append(all, r)
			}
		}
		return append(all, more...)
	}
	for name, tt := range map[string]struct {
		change func(*config.Issuer)
		config string
		want   []*exchange.Reason
	}{
		"a secret":                     {func(*config.Issuer) {}, "", base},
		"an audience":                  {func(is *config.Issuer) { is.Audience = []string{"us"} }, "", except(nil, token.Audience)},
		"a key with an ID":             {func(is *config.Issuer) { is.Keys[0].KeyID = "k" }, "", except(nil, token.UnknownKey)},
		"keys behind a URL":            {func(is *config.Issuer) { is.Keys = append(is.Keys, remoteKeys()) }, "", except(nil, token.UnknownKey, token.Unavailable)},
		"any issuer":                   {func(is *config.Issuer) { is.Issuer = "" }, "", except(token.Issuer)},
		"any issuer, not believed all": {func(is *config.Issuer) { is.Issuer = "" }, "issuers: [b]", base},
	} {
		t.Run(name, func(t *testing.T) {
			d := policytest.Deps()
			d.Tokens, d.Route.Auth = verifierOf(t, tt.change), "required"
			got := described(t, tt.config, d).Refusals
			if len(got) != len(tt.want) || slices.ContainsFunc(tt.want, func(r *exchange.Reason) bool { return !slices.Contains(got, r) }) {
				t.Errorf("got %v\nwant %v", got, tt.want)
			}
			for _, r := range got {
				if !slices.Contains(Kind.Reasons, r) {
					t.Errorf("%s is none of the policy's reasons", r.Name)
				}
			}
		})
	}
}

func remoteKeys() (k config.KeySource) {
	k.SetDefaults()
	k.JWKSURL = "http://127.0.0.1:1/keys" // nobody starts to fetch it
	return k
}

// verifierOf has two issuers, a and b, of which the first is changed.
func verifierOf(t *testing.T, change func(*config.Issuer)) *token.Verifier {
	t.Helper()
	var c config.Mapping[config.Issuer]
	for _, name := range []string{"a", "b"} {
		var is config.Issuer
		is.SetDefaults()
		is.Claims.SetDefaults()
		is.Issuer, is.Keys = name, []config.KeySource{{Secret: secret, SecretEncoding: "text"}}
		if name == "a" {
			change(&is)
		}
		c = append(c, config.Entry[config.Issuer]{Name: name, Value: is})
	}
	v, problems := token.New(c, token.Deps{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	t.Cleanup(v.Close)
	return v
}
