package token

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/go-jose/go-jose/v4"

	"yett/internal/config"
	"yett/internal/problem"
)

const (
	sha256Hash = crypto.SHA256
	// maxKeys is how many keys of one source are looked at, maxSet how many
	// bytes a key set can have.
	maxKeys = 64
	maxSet  = 1 << 20
)

// source is a place where keys come from.
type source struct {
	keys   atomic.Pointer[[]*key]
	remote *remote // nil for one that is read when it is made
}

// all returns the keys as they are now.
func (s *source) all() []*key {
	if list := s.keys.Load(); list != nil {
		return *list
	}
	return nil
}

// replace takes over a new set. Keys that were there before stay the same
// objects, and those that are gone are retired.
func (s *source) replace(fresh []*key) {
	byPrint := make(map[string]*key)
	for _, k := range s.all() {
		byPrint[k.print] = k
	}
	list, seen := make([]*key, 0, len(fresh)), make(map[string]bool)
	for _, k := range fresh {
		if seen[k.print] { // a set may name a key twice
			continue
		}
		seen[k.print] = true
		if old, ok := byPrint[k.print]; ok {
			k = old
			delete(byPrint, k.print)
		}
		list = append(list, k)
	}
	s.keys.Store(&list)
	for _, gone := range byPrint {
		gone.retired.Store(true)
	}
}

// newSource reads what can be read without the network.
func newSource(c config.KeySource, deps Deps, at string, problems *problem.List) *source {
	s := &source{}
	if !checkSource(c, at, problems) {
		return s
	}
	var keys []*key
	var err error
	switch {
	case c.Secret != "":
		at += ".secret"
		keys, err = secretKeys(c)
	case c.PEM != "":
		at += ".pem"
		keys, err = pemKeys(c, deps.Resolve(c.PEM))
	case c.JWKSFile != "":
		at += ".jwks_file"
		keys, err = fileKeys(c, deps.Resolve(c.JWKSFile))
	default:
		s.remote = newRemote(c, s, deps, at, problems)
		return s
	}
	if err != nil {
		problems.Add(at, err.Error(), hintFor(c))
		return s
	}
	s.replace(keys)
	return s
}

// checkSource tells whether there is exactly one place, and reports what
// stands beside it without meaning.
func checkSource(c config.KeySource, at string, problems *problem.List) bool {
	var given []string
	for _, f := range []struct{ name, value string }{
		{"secret", c.Secret}, {"pem", c.PEM}, {"jwks_file", c.JWKSFile}, {"jwks_url", c.JWKSURL},
	} {
		if f.value != "" {
			given = append(given, f.name)
		}
	}
	switch {
	case len(given) == 0:
		problems.Add(at, "there is no key", "write one of secret, pem, jwks_file and jwks_url; a variable may be empty")
	case len(given) > 1:
		problems.Add(at, strings.Join(given, " and ")+" stand in one entry", "make an entry for each")
	case c.KeyID != "" && c.Secret == "" && c.PEM == "":
		problems.Add(at+".kid", "a key set has the IDs in itself", "remove it")
	case c.CA != "" && c.JWKSURL == "":
		problems.Add(at+".ca", "nothing is fetched", "remove it")
	default:
		return true
	}
	return false
}

func hintFor(c config.KeySource) string {
	switch {
	case c.Secret != "":
		return "make one: openssl rand -hex 32"
	case c.PEM != "":
		return "name a PEM file with PUBLIC KEY or CERTIFICATE blocks"
	}
	return "name a file with a JSON Web Key Set: {\"keys\": [...]}"
}

// secretKeys makes the key of a secret. Its errors never show it.
func secretKeys(c config.KeySource) ([]*key, error) {
	secret, err := decodeSecret(c)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(string(secret), "-----BEGIN") {
		return nil, errors.New("the secret is a PEM block: a public key as a secret would let everybody sign")
	}
	if sample(string(secret)) {
		return nil, errors.New("the secret is a sample that everybody knows")
	}
	if len(secret) < 32 {
		return nil, fmt.Errorf("the secret has %d bytes, and HS256 needs at least 32 (RFC 7518 section 3.2)", len(secret))
	}
	k, err := newKey(c.KeyID, secret, "", c.Algorithms)
	if err != nil {
		return nil, err
	}
	return []*key{k}, nil
}

func decodeSecret(c config.KeySource) ([]byte, error) {
	switch c.SecretEncoding {
	case "hex":
		b, err := hex.DecodeString(c.Secret)
		if err != nil {
			return nil, errors.New("the secret is not hexadecimal")
		}
		return b, nil
	case "base64":
		text := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(c.Secret, "="))
		b, err := base64.RawStdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("the secret is not base64")
		}
		return b, nil
	}
	return []byte(c.Secret), nil
}

// sample tells whether a secret is one of those that stand in examples, or a
// single byte again and again.
func sample(secret string) bool {
	low := strings.ToLower(secret)
	for _, words := range []string{"change-me", "changeme", "change_me", "change-this", "change_this", "your-secret", "your_secret", "your-super-secret", "your-256-bit-secret", "super-secret", "supersecret"} {
		if strings.Contains(low, words) {
			return true
		}
	}
	return secret != "" && strings.Count(secret, secret[:1]) == len(secret)
}

// pemKeys reads public keys and certificates.
func pemKeys(c config.KeySource, file string) ([]*key, error) {
	data, err := config.ReadKeyFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	var keys []*key
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		public, err := publicKey(block)
		if err != nil {
			return nil, err
		}
		k, err := newKey(c.KeyID, public, "", c.Algorithms)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	switch {
	case len(keys) == 0:
		return nil, errors.New("there is no key in the file")
	case len(keys) > 1 && c.KeyID != "":
		return nil, errors.New("there are several keys in the file, and one kid")
	}
	return keys, nil
}

// publicKey reads a block. A private key is refused: the gateway has no use
// for it, and whoever can read the gateway's files could sign with it.
func publicKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		k, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading a public key: %w", err)
		}
		return k, nil
	case "RSA PUBLIC KEY":
		k, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading a public key: %w", err)
		}
		return k, nil
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading a certificate: %w", err)
		}
		return cert.PublicKey, nil
	}
	if strings.Contains(block.Type, "PRIVATE") {
		return nil, errors.New("there is a private key in the file; the gateway needs the public one only")
	}
	return nil, fmt.Errorf("a block %q is no key", block.Type)
}

func fileKeys(c config.KeySource, file string) ([]*key, error) {
	data, err := config.ReadKeyFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	keys, skipped, err := readSet(data, c.Algorithms, true)
	if err == nil && len(skipped) > 0 {
		err = fmt.Errorf("a key can't be used: %w", errors.Join(skipped...))
	}
	return keys, err
}

// readSet reads a JSON Web Key Set (RFC 7517). Keys that can't be used, such as
// those for encryption, are left out and told; a set without any other is an
// error. Secrets are taken only where secrets says so: a set that anybody can
// fetch holds none.
func readSet(data []byte, configured []string, secrets bool) (keys []*key, skipped []error, err error) {
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, nil, errors.New("it is no JSON Web Key Set")
	}
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		k, err := readKey(raw, configured, secrets)
		if err != nil {
			skipped = append(skipped, err)
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, nil, errors.Join(append([]error{errors.New("no key in it can be used")}, skipped...)...)
	}
	return keys, skipped, nil
}

func readKey(raw []byte, configured []string, secrets bool) (*key, error) {
	var j jose.JSONWebKey
	if err := j.UnmarshalJSON(raw); err != nil {
		return nil, errors.New("it is malformed, or of an unknown kind")
	}
	if j.Use != "" && j.Use != "sig" {
		return nil, fmt.Errorf("key %q is for %q", j.KeyID, j.Use)
	}
	public := j.Key
	if secret, ok := public.([]byte); ok {
		if !secrets {
			return nil, fmt.Errorf("key %q is a secret", j.KeyID)
		}
		return newKey(j.KeyID, secret, j.Algorithm, configured)
	}
	if !j.IsPublic() {
		return nil, fmt.Errorf("key %q is a private one", j.KeyID)
	}
	return newKey(j.KeyID, public, j.Algorithm, configured)
}
