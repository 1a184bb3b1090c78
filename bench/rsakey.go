package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"sync"
)

const (
	rsaBits     = 2048
	rsaExponent = 65537
	rsaPrimes   = 16
)

// rsaKey signs with RS256. Its modulus is the product of 16 primes instead of two,
// so that it signs 40,000 tokens in seconds instead of minutes. Who verifies knows
// the modulus alone and can't tell: verifying takes as long as with any key of its
// length. It would be easy to break, and guards nothing.
type rsaKey struct {
	modulus *big.Int
	parts   []rsaPart
}

// rsaPart is a prime and what signing needs of it.
type rsaPart struct {
	prime    *big.Int
	exponent *big.Int // of the signature, modulo the prime
	unit     *big.Int // 1 modulo the prime and 0 modulo the others
}

// issuerKey is the one key of this process.
var issuerKey = sync.OnceValue(newRSAKey)

func newRSAKey() *rsaKey {
	for {
		primes, modulus := rsaPrimesOf(rsaBits)
		if k := (&rsaKey{modulus: modulus}); k.prepare(primes) {
			return k
		}
	}
}

// rsaPrimesOf returns primes whose product has so many bits.
func rsaPrimesOf(bits int) (primes []*big.Int, product *big.Int) {
	product = big.NewInt(1)
	for len(primes) < rsaPrimes-1 {
		p := somePrime(bits / rsaPrimes)
		primes, product = append(primes, p), product.Mul(product, p)
	}
	for {
		last := somePrime(bits - product.BitLen() + 1)
		if all := new(big.Int).Mul(product, last); all.BitLen() == bits {
			return append(primes, last), all
		}
		last = somePrime(bits - product.BitLen())
		if all := new(big.Int).Mul(product, last); all.BitLen() == bits {
			return append(primes, last), all
		}
	}
}

func somePrime(bits int) *big.Int {
	p, err := rand.Prime(rand.Reader, bits)
	if err != nil {
		panic(err) // of the system's randomness, which does not fail
	}
	return p
}

// prepare reports whether the primes are good for a key: different ones, whose
// exponents have an inverse.
func (k *rsaKey) prepare(primes []*big.Int) bool {
	one, e := big.NewInt(1), big.NewInt(rsaExponent)
	for _, p := range primes {
		others := new(big.Int).Div(k.modulus, p)
		inverse := new(big.Int).ModInverse(others, p)
		exponent := new(big.Int).ModInverse(e, new(big.Int).Sub(p, one))
		if inverse == nil || exponent == nil {
			return false
		}
		k.parts = append(k.parts, rsaPart{p, exponent, others.Mul(others, inverse)})
	}
	return true
}

// sign returns the signature of RS256: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017,
// section 8.2.1), by the Chinese remainder theorem.
func (k *rsaKey) sign(text []byte) []byte {
	message := new(big.Int).SetBytes(padded(text))
	sum, part := new(big.Int), new(big.Int)
	for _, p := range k.parts {
		part.Exp(part.Mod(message, p.prime), p.exponent, p.prime)
		sum.Add(sum, part.Mul(part, p.unit))
	}
	return sum.Mod(sum, k.modulus).FillBytes(make([]byte, rsaBits/8))
}

// padded is the hash of a text as EMSA-PKCS1-v1_5 encodes it (section 9.2).
func padded(text []byte) []byte {
	const sha256Info = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
	hash := sha256.Sum256(text)
	tail := append([]byte("\x00"+sha256Info), hash[:]...)
	return append(append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, rsaBits/8-2-len(tail))...), tail...)
}

// public returns the key to verify with, as a block of PEM.
func (k *rsaKey) public() string {
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: k.modulus, E: rsaExponent})
	if err != nil {
		panic(err) // it is a good key
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
