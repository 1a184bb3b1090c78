package assertion

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"yett/internal/config"
	"yett/internal/exchange"
)

// newKey returns a key of its own.
func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// privatePEM and publicPEM write a key as a PEM file has it.
func privatePEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func publicPEM(t testing.TB, key crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// write writes files into a folder of the test's own, and returns what finds
// them.
func write(t testing.TB, files map[string]string) func(string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(name string) string { return filepath.Join(dir, name) }
}

// conf is a configuration with that lifetime.
func conf(lifetime time.Duration, previous ...string) config.Assertion {
	return config.Assertion{Key: "key.pem", PreviousKeys: previous, Lifetime: config.Duration(lifetime)}
}

// signer makes a Signer with a key of its own and 30 seconds.
func signer(t testing.TB) *Signer {
	t.Helper()
	s, problems := New(conf(30*time.Second), "gate", write(t, map[string]string{"key.pem": privatePEM(t, newKey(t))}))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return s
}

// start is when the exchanges of tests happen.
func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC) }

func ada() exchange.Identity {
	return exchange.Identity{
		Subject: "ada", Email: "ada@example.com", Tenant: "t1", Role: "technician", Roles: []string{"technician"},
		Permissions: []string{"tickets:read", "a b,c"}, Scopes: []string{"openid", "x y"},
		Issuer: "main", TokenID: "j1", Expires: start().Add(time.Hour),
	}
}

func call(id exchange.Identity, now time.Time) *exchange.Exchange {
	return &exchange.Exchange{Identity: id, Now: now}
}

// open verifies an assertion by what the Signer shows, and returns what it
// holds.
func open(t testing.TB, s *Signer, text string) (header jose.Header, claims map[string]any) {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(s.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if err := token.Claims(set, &claims); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return token.Headers[0], claims
}

func TestClaims(t *testing.T) {
	s := signer(t)
	iat := float64(start().Unix())
	tests := []struct {
		name   string
		change func(*exchange.Identity)
		want   map[string]any
	}{
		{"all", func(*exchange.Identity) {}, map[string]any{
			"iss": "gate", "aud": "tickets", "iat": iat, "exp": iat + 30, "sub": "ada", "email": "ada@example.com",
			"role": "technician", "roles": []any{"technician"}, "tenant": "t1",
			"permissions": []any{"tickets:read", "a b,c"}, "scopes": []any{"openid", "x y"}, "token_iss": "main", "token_jti": "j1",
		}},
		{"nobody", func(id *exchange.Identity) { *id = exchange.Identity{} }, map[string]any{
			"iss": "gate", "aud": "tickets", "iat": iat, "exp": iat + 30,
		}},
		{"little, with a token that ends soon", func(id *exchange.Identity) {
			*id = exchange.Identity{Subject: "a\r\nb\"<é", Issuer: "main", Expires: start().Add(2 * time.Second)}
		}, map[string]any{"iss": "gate", "aud": "tickets", "iat": iat, "exp": iat + 2, "sub": "a\r\nb\"<é", "token_iss": "main"}},
		{"a token that has ended, and that the issuer's leeway lets pass", func(id *exchange.Identity) {
			*id = exchange.Identity{Subject: "a", Expires: start().Add(-2 * time.Second)}
		}, map[string]any{"iss": "gate", "aud": "tickets", "iat": iat, "exp": iat - 2, "sub": "a"}},
		{"several roles", func(id *exchange.Identity) {
			*id = exchange.Identity{Subject: "a", Role: "x,y", Roles: []string{"x", "y"}}
		}, map[string]any{"iss": "gate", "aud": "tickets", "iat": iat, "exp": iat + 30, "sub": "a", "roles": []any{"x", "y"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id := ada()
			tt.change(&id)
			_, got := open(t, s, s.Sign(call(id, start()), "tickets"))
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got\n%v\nwant\n%v", got, tt.want)
			}
		})
	}
}

func TestHeader(t *testing.T) {
	key := newKey(t)
	c := conf(30 * time.Second)
	c.Issuer = "https://gate.example"
	s, problems := New(c, "gate", write(t, map[string]string{"key.pem": privatePEM(t, key)}))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	header, claims := open(t, s, s.Sign(call(ada(), start()), "tickets"))
	thumb, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if want := base64.RawURLEncoding.EncodeToString(thumb); header.KeyID != want {
		t.Errorf("kid is %q, want the thumbprint %q", header.KeyID, want)
	}
	if header.Algorithm != "EdDSA" || header.ExtraHeaders["typ"] != Type || header.JSONWebKey != nil {
		t.Errorf("the header is %+v", header)
	}
	if claims["iss"] != "https://gate.example" {
		t.Errorf("iss is %v", claims["iss"])
	}
}

// An assertion is used again for the same caller and service until half of its
// lifetime is over, and so never when less than half of it is left.
func TestReuse(t *testing.T) {
	s := signer(t)
	first := s.Sign(call(ada(), start()), "tickets")
	tests := []struct {
		name    string
		after   time.Duration
		service string
		same    bool
	}{
		{"at once", 0, "tickets", true},
		{"another service", 0, "crm", false},
		{"in time", 15*time.Second - 1, "tickets", true},
		{"a request that was overtaken", -time.Millisecond, "tickets", true},
	}
	for _, tt := range tests {
		if got := s.Sign(call(ada(), start().Add(tt.after)), tt.service) == first; got != tt.same {
			t.Errorf("%s: used again is %v", tt.name, got)
		}
	}
	second := s.Sign(call(ada(), start().Add(15*time.Second)), "tickets")
	if second == first {
		t.Error("it is used again when half of its lifetime is over")
	}
	if s.Sign(call(ada(), start().Add(16*time.Second)), "tickets") != second {
		t.Error("the second one is not used again")
	}
	if s.Sign(call(ada(), start().Add(-time.Hour)), "tickets") == second { // the clock was put back
		t.Error("an assertion from the future is used")
	}
}

// Whatever is different about a caller, there is no assertion for two. A field
// of Identity that a later change adds fails here until it is compared.
func TestNeverForAnother(t *testing.T) {
	s := signer(t)
	id := ada()
	before := s.Sign(call(id, start()), "tickets")
	v := reflect.ValueOf(&id).Elem()
	for i := range v.NumField() {
		other := ada()
		f := reflect.ValueOf(&other).Elem().Field(i)
		switch f.Interface().(type) {
		case string:
			f.SetString(f.String() + "x")
		case []string:
			f.Set(reflect.ValueOf(append([]string{"x"}, f.Interface().([]string)...)))
		case time.Time:
			f.Set(reflect.ValueOf(start().Add(10 * time.Second)))
		default:
			t.Fatalf("a field of type %s", f.Type())
		}
		name := v.Type().Field(i).Name
		// Role is there for people: Roles say it to services.
		if got := s.Sign(call(other, start()), "tickets"); got == before && name != "Role" {
			t.Errorf("%s differs, and the assertion is the same", name)
		}
		if same(&id, &other) {
			t.Errorf("%s differs, and the identities are the same", name)
		}
		if s.Sign(call(ada(), start()), "tickets") != before {
			t.Errorf("%s: the first one was lost", name)
		}
	}
	for _, pair := range [][2]exchange.Identity{
		{{Subject: "a", Scopes: []string{"b c"}}, {Subject: "a", Scopes: []string{"b", "c"}}},
		{{Subject: "a", Scopes: []string{"b"}}, {Subject: "a", Permissions: []string{"b"}}},
		{{Subject: "ab"}, {Subject: "a", TokenID: "b"}}, // the same to the hash
		{{}, {Subject: "a"}},
	} {
		if s.Sign(call(pair[0], start()), "tickets") == s.Sign(call(pair[1], start()), "tickets") {
			t.Errorf("%+v and %+v have one assertion", pair[0], pair[1])
		}
	}
}

// Services whose callers share one place of the cache don't share assertions.
func TestNeverForAnotherService(t *testing.T) {
	s, id := signer(t), ada()
	s.Sign(call(id, start()), "tickets")
	place := s.issued.set(&id, "tickets")
	if place.find(&id, "tickets") == nil || place.find(&id, "crm") != nil {
		t.Error("the service is not looked at")
	}
	place.put(&entry{service: "crm", identity: id, issued: start().UnixNano(), text: "crm"})
	if e := place.find(&id, "tickets"); e == nil || e.text == "crm" {
		t.Error("another service took the place")
	}
}

// Callers that share one place of the cache push each other out, and nothing
// else.
func TestCrowd(t *testing.T) {
	s := signer(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 4 * ways {
				id := exchange.Identity{Subject: "same", Email: fmt.Sprint(i)} // the hash leaves the address out
				_, claims := open(t, s, s.Sign(call(id, start().Add(time.Duration(i)*time.Second)), "tickets"))
				if claims["email"] != id.Email {
					t.Errorf("%d got the assertion of %v", i, claims["email"])
				}
			}
		})
	}
	wg.Wait()
	last := call(exchange.Identity{Subject: "same", Email: fmt.Sprint(4*ways - 1)}, start().Add((4*ways-1)*time.Second))
	if text := s.Sign(last, "tickets"); s.Sign(last, "tickets") != text {
		t.Error("the youngest is not kept")
	}
}

// What is very long is signed, and not kept.
func TestLong(t *testing.T) {
	s := signer(t)
	id := exchange.Identity{Subject: strings.Repeat("a", maxKept)}
	_, claims := open(t, s, s.Sign(call(id, start()), "tickets"))
	if claims["sub"] != id.Subject {
		t.Error("the subject is not whole")
	}
	for i := range s.issued.sets {
		if s.issued.sets[i].find(&id, "tickets") != nil {
			t.Error("it is kept")
		}
	}
}

// The set of keys shows public keys only: the own one first, each once.
func TestJWKS(t *testing.T) {
	own, second, third := newKey(t), newKey(t), newKey(t)
	files := map[string]string{
		"key.pem": privatePEM(t, own), "2.pem": privatePEM(t, second),
		"3.pem": "a comment\n" + publicPEM(t, third.Public()) + publicPEM(t, own.Public()), "4.pem": publicPEM(t, second.Public()),
	}
	s, problems := New(conf(30*time.Second, "2.pem", "3.pem", "4.pem"), "gate", write(t, files))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(s.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	want := []ed25519.PrivateKey{own, second, third}
	if len(set.Keys) != len(want) {
		t.Fatalf("%s", s.JWKS())
	}
	for i, k := range set.Keys {
		x := base64.RawURLEncoding.EncodeToString(want[i].Public().(ed25519.PublicKey))
		if k["x"] != x || k["kty"] != "OKP" || k["crv"] != "Ed25519" || k["use"] != "sig" || k["alg"] != "EdDSA" || k["kid"] == "" || len(k) != 6 {
			t.Errorf("key %d is %v", i, k)
		}
	}
}

func TestBadKeys(t *testing.T) {
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, rsaKey := newKey(t), rsaKey(t)
	good := privatePEM(t, key)
	_, secret, _ := strings.Cut(good, "\n")
	files := map[string]string{
		"good": good, "public": publicPEM(t, key.Public()), "rsa": privatePEM(t, rsaKey), "ec": privatePEM(t, ecKey), "empty": "",
		"text": "no key", "broken": "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", "two": good + good,
		"half": strings.Replace(good, "-----END", "----END", 1) + good, "junk": "-----BEGIN PRIVATE KEY-----\naaaa\n-----END PRIVATE KEY-----\n",
		"encrypted": strings.ReplaceAll(good, " PRIVATE", " ENCRYPTED PRIVATE"), "ssh": strings.ReplaceAll(good, " PRIVATE", " OPENSSH PRIVATE"),
		"rsapublic": publicPEM(t, rsaKey.Public()), "rsapair": publicPEM(t, key.Public()) + publicPEM(t, rsaKey.Public()),
	}
	tests := []struct {
		key      string
		previous []string
		want     []string
	}{
		{"good", nil, nil},
		{"", nil, []string{"assertion: there is no key to sign with, make one by: openssl"}},
		{"none", nil, []string{"assertion.key: reading the key: open "}},
		{"empty", nil, []string{"assertion.key: FILE/empty is no PEM file, make one by: openssl"}},
		{"text", nil, []string{"assertion.key: FILE/text is no PEM file"}},
		{"broken", nil, []string{"assertion.key: FILE/broken has a PEM block that is broken"}},
		{"half", nil, []string{"assertion.key: FILE/half has a PEM block that is broken"}},
		{"junk", nil, []string{"assertion.key: FILE/junk holds a PRIVATE KEY that can't be read: "}},
		{"two", nil, []string{"assertion.key: FILE/two holds 2 PEM blocks"}},
		{"public", nil, []string{"assertion.key: FILE/public holds a public key, which can't sign"}},
		{"rsa", nil, []string{"assertion.key: FILE/rsa holds an RSA key, where Ed25519 is needed"}},
		{"ec", nil, []string{"assertion.key: FILE/ec holds an ECDSA key, where Ed25519 is needed"}},
		{"encrypted", nil, []string{"assertion.key: FILE/encrypted holds a key that is encrypted with a passphrase"}},
		{"ssh", nil, []string{`assertion.key: FILE/ssh holds a PEM block "OPENSSH PRIVATE KEY", where PRIVATE KEY (PKCS 8) or`}},
		{"rsa", []string{"good", "rsapublic", "rsapair", "none"}, []string{ // all at once
			"assertion.key: FILE/rsa holds", "assertion.previous_keys[1]: FILE/rsapublic holds an RSA key",
			"assertion.previous_keys[2]: FILE/rsapair holds an RSA key", "assertion.previous_keys[3]: reading the key: "}},
	}
	resolve := write(t, files)
	for _, tt := range tests {
		t.Run(tt.key, func(t *testing.T) {
			c := conf(30*time.Second, tt.previous...)
			c.Key = tt.key
			s, problems := New(c, "gate", resolve)
			if s == nil || len(problems) != len(tt.want) {
				t.Fatalf("%v, want %d problems", problems, len(tt.want))
			}
			for i, p := range problems {
				if got := strings.ReplaceAll(p.String(), filepath.Dir(resolve("x")), "FILE"); !strings.HasPrefix(got, tt.want[i]) || p.Hint == "" {
					t.Errorf("got  %s\nwant %s", got, tt.want[i])
				}
				if strings.Contains(p.String(), secret[:20]) {
					t.Error("a part of the key is shown")
				}
			}
		})
	}
}

func rsaKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Once signed, an assertion costs no allocation.
func TestNoAllocation(t *testing.T) {
	s := signer(t)
	for name, id := range map[string]exchange.Identity{"known": ada(), "nobody": {}} {
		x := call(id, start())
		if n := testing.AllocsPerRun(500, func() { s.Sign(x, "tickets") }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkSign is an assertion that is used again, BenchmarkNew one that is
// made.
func BenchmarkSign(b *testing.B) {
	s, x := signer(b), call(ada(), start())
	b.ReportAllocs()
	for b.Loop() {
		s.Sign(x, "tickets")
	}
}

func BenchmarkNew(b *testing.B) {
	s, x := signer(b), call(ada(), start())
	b.ReportAllocs()
	for b.Loop() {
		s.Sign(x, "tickets")
		x.Now = x.Now.Add(time.Minute)
	}
}
