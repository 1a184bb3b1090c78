package config

import (
	"errors"
	"slices"
	"testing"

	"yett/internal/problem"
)

// Something stands in for what is not set under an issuer's keys, and only
// there: a default wins, a mistake stays one, and so does a variable elsewhere.
func TestKeyless(t *testing.T) {
	const text = `
listeners: [{address: ":0"}]
issuers:
  a:
    issuer: ${ISS:-i}
    keys:
      - {secret: "x${A:?a secret}${B}", secret_encoding: hex}
      - {jwks_url: "https://${HOST}:${PORT}/keys"}
      - {secret: "${C:-0123456789abcdef0123456789abcdef}"}
      - {secret: "${SET}"}
      - {pem: "${PEM}"}
  b: {keys: [{secret: "${B}"}], issuer: "${D}"}
  c: {keys: [{secret: "${F}${E"}]}
routes: [{name: a, path: /, auth: none}]
`
	env := MapEnv(map[string]string{"SET": "s"})
	var k Keyless
	c, err := k.Parse("yett.yaml", []byte(text), env)
	list, _ := errors.AsType[problem.List](err)
	var got []string
	for _, p := range list {
		got = append(got, p.Path+": "+p.What)
	}
	want := []string{"issuers.a.keys[4].pem: ${PEM} is not set", "issuers.b.issuer: ${D} is not set", "issuers.c.keys[0].secret: ${F} is not set", "issuers.c.keys[0].secret: ${E has no closing brace"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if want := []string{"A", "B", "HOST", "PORT"}; !slices.Equal(k.Unset(), want) {
		t.Errorf("unset are %q, want %q", k.Unset(), want)
	}
	keys, other := c.Issuers[0].Value.Keys, c.Issuers[1].Value.Keys[0].Secret
	if len(keys[0].Secret) != 128 || keys[0].Secret == other || keys[1].JWKSURL != "https://unset.invalid/" || keys[2].Secret != "0123456789abcdef0123456789abcdef" || keys[3].Secret != "s" {
		t.Errorf("%+v", keys)
	}
	_, err = Parse("yett.yaml", []byte(text), env)
	if list, _ := errors.AsType[problem.List](err); len(list) <= len(want) {
		t.Errorf("without it: %v", err)
	}
	if (*Keyless)(nil).Unset() != nil {
		t.Error("nothing has unset variables")
	}
}
