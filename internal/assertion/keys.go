package assertion

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"yett/internal/config"
	"yett/internal/problem"
)

const (
	makeOne     = "make one by: openssl genpkey -algorithm ed25519 -out assertion.pem"
	publishable = "name PEM files with Ed25519 keys, public (SPKI) or private (PKCS 8)"
)

// privateKey reads the file with the one key that signs.
func privateKey(problems *problem.List, path, file string) ed25519.PrivateKey {
	blocks, ok := blocks(problems, path, file, makeOne)
	if !ok {
		return nil
	}
	if len(blocks) > 1 {
		problems.Addf(path, "leave the one that signs; others go into previous_keys", "%s holds %d PEM blocks", file, len(blocks))
		return nil
	}
	key, err := parse(blocks[0])
	if err != nil {
		problems.Addf(path, makeOne, "%s %v", file, err)
		return nil
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		problems.Addf(path, "name the file with the private key", "%s holds a public key, which can't sign", file)
	}
	return private
}

// previousKeys reads the files with keys that are only shown.
func previousKeys(problems *problem.List, files config.StringList, resolve func(string) string) []ed25519.PublicKey {
	var keys []ed25519.PublicKey
	for i, name := range files {
		path, file := fmt.Sprintf("assertion.previous_keys[%d]", i), resolve(name)
		blocks, _ := blocks(problems, path, file, publishable)
		for _, b := range blocks {
			key, err := parse(b)
			if err != nil {
				problems.Addf(path, publishable, "%s %v", file, err)
				continue
			}
			keys = append(keys, public(key))
		}
	}
	return keys
}

// public returns what may be shown of a key that parse has returned.
func public(key any) ed25519.PublicKey {
	if private, ok := key.(ed25519.PrivateKey); ok {
		return private.Public().(ed25519.PublicKey)
	}
	return key.(ed25519.PublicKey)
}

// blocks reads the PEM blocks of a file, at least one.
func blocks(problems *problem.List, path, file, hint string) ([]*pem.Block, bool) {
	text, err := config.ReadKeyFile(file)
	if err != nil {
		problems.Addf(path, hint, "reading the key: %v", err)
		return nil, false
	}
	var list []*pem.Block
	for rest := text; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		list = append(list, b)
	}
	switch {
	case len(list) < bytes.Count(text, []byte("-----BEGIN ")): // pem.Decode passes over what it can't read
		problems.Addf(path, hint, "%s has a PEM block that is broken", file)
		return nil, false
	case len(list) == 0:
		problems.Addf(path, hint, "%s is no PEM file", file)
	}
	return list, len(list) > 0
}

// parse returns an ed25519.PrivateKey or ed25519.PublicKey. Its errors go on
// where the name of the file ends, and quote nothing of the key.
func parse(b *pem.Block) (any, error) {
	var key any
	var err error
	switch b.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(b.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, fmt.Errorf("holds a key that is encrypted with a passphrase")
	default:
		return nil, fmt.Errorf("holds a PEM block %q, where PRIVATE KEY (PKCS 8) or PUBLIC KEY is needed", b.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("holds a %s that can't be read: %w", b.Type, err)
	}
	switch key.(type) {
	case ed25519.PrivateKey, ed25519.PublicKey:
		return key, nil
	}
	return nil, fmt.Errorf("holds %s, where Ed25519 is needed", kind(key))
}

func kind(key any) string {
	switch key.(type) {
	case *rsa.PrivateKey, *rsa.PublicKey:
		return "an RSA key"
	case *ecdsa.PrivateKey, *ecdsa.PublicKey:
		return "an ECDSA key"
	}
	return "a key of another kind"
}

// webKey returns a public key as a JSON Web Key, with its thumbprint (RFC 7638)
// as kid, so that the same key has the same kid on every node and at all times.
func webKey(key ed25519.PublicKey) (jose.JSONWebKey, error) {
	k := jose.JSONWebKey{Key: key, Algorithm: string(jose.EdDSA), Use: "sig"}
	thumb, err := k.Thumbprint(crypto.SHA256)
	if err != nil {
		return k, fmt.Errorf("making its thumbprint: %w", err)
	}
	k.KeyID = base64.RawURLEncoding.EncodeToString(thumb)
	return k, nil
}
