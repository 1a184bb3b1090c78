//go:build linux

package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"yett/internal/assertion"
	"yett/internal/config"
	"yett/internal/exchange"
)

// example returns what docs/identity.md shows below a mark.
func example(t *testing.T, mark string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/identity.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("<!-- " + regexp.QuoteMeta(mark) + " -->\n```[a-z]+\n((?s:.*?))```\n").FindSubmatch(text)
	if found == nil {
		t.Fatalf("there is no %s", mark)
	}
	return string(found[1])
}

// What readers copy is what is tested here.
func TestGoExample(t *testing.T) {
	file, err := os.ReadFile("identity_go_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, own, _ := strings.Cut(string(file), "word for word.\n\n")
	if own != example(t, "Go") {
		t.Error("docs/identity.md and identity_go_test.go differ")
	}
}

// keyFile writes a key of assertions and returns it with its file.
func keyFile(t *testing.T, dir, name string) (ed25519.PrivateKey, string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return key, file
}

// goService is a service that uses the example in Go. keys tells where the
// gateway has its keys, once that is known.
func goService(t *testing.T, keys func() string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		set, err := Fetch(r.Context(), keys())
		if err != nil {
			t.Error(err)
		}
		caller, err := Verify(r, set, "psa-api-gateway", "tickets")
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusUnauthorized)
		case caller.Subject == "":
			fmt.Fprintln(w, "Hello whoever you are")
		default:
			fmt.Fprintln(w, "Hello", caller.Subject)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// nodeService is the example for Node, as it stands in the documentation.
func nodeService(t *testing.T, keys string) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	dir := t.TempDir()
	for _, name := range []string{"assertion.mjs", "service.mjs"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(example(t, name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := newLines()
	cmd := exec.Command(node, filepath.Join(dir, "service.mjs"))
	cmd.Env = []string{"HOST=127.0.0.1", "PORT=0", "GATEWAY_KEYS=" + keys}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("node wrote\n%s", out)
		}
	})
	line := out.wait(t, "listening on port", func(line string) bool { return strings.HasPrefix(line, "listening on port ") })
	return "http://127.0.0.1:" + strings.TrimPrefix(line, "listening on port ")
}

const identityConfig = `
name: psa-api-gateway
listeners: [{address: "127.0.0.1:0"}]
assertion: {key: current.pem, previous_keys: [next.pem]}
policies: {identity: {assertion: X-Gateway-Assertion}}
services:
  tickets: {targets: [%q]}
  crm: {targets: [%q]}
routes:
  - {name: ready, path: /health/ready, auth: none, endpoint: ready}
  - {name: keys, path: /.well-known/jwks.json, methods: GET, auth: none, endpoint: jwks}
  - {name: tickets, path: /tickets, auth: none, service: tickets}
  - {name: crm, path: /crm, auth: none, service: crm}
`

// A service that verifies assertions as the documentation shows believes the
// gateway, and nobody else.
func TestAssertionIsVerified(t *testing.T) {
	dir := t.TempDir()
	current, _ := keyFile(t, dir, "current.pem")
	_, next := keyFile(t, dir, "next.pem")
	_, stranger := keyFile(t, t.TempDir(), "stranger.pem")
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Gateway-Assertion")) // it passes on what it got
	}))
	t.Cleanup(crm.Close)
	for _, lang := range []string{"Go", "Node"} {
		t.Run(lang, func(t *testing.T) {
			// Gateway and service have to know each other's port: the service stands
			// behind a door that opens when there is one.
			var service, keys string
			door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { passOn(t, w, r, service) }))
			t.Cleanup(door.Close)
			file := filepath.Join(dir, "yett.yaml")
			if err := os.WriteFile(file, []byte(fmt.Sprintf(identityConfig, door.URL, crm.URL)), 0o600); err != nil {
				t.Fatal(err)
			}
			g := run(t, file)
			keys = g.url + "/.well-known/jwks.json"
			if lang == "Go" {
				service = goService(t, func() string { return keys })
			} else {
				service = nodeService(t, keys)
			}
			stolen := ask(t, g.url+"/crm", 200)
			for _, tt := range []struct {
				name, url string
				with      []string
				status    int
				want      string
			}{
				{"through the gateway", g.url + "/tickets", nil, 200, "Hello whoever you are\n"},
				{"through it, with another's", g.url + "/tickets", []string{stolen, "forged"}, 200, "Hello whoever you are\n"},
				{"past it", service, nil, 401, ""},
				{"past it, with another's", service, []string{stolen}, 401, ""},
			} {
				t.Run(tt.name, func(t *testing.T) {
					if got := ask(t, tt.url, tt.status, tt.with...); tt.want != "" && got != tt.want {
						t.Errorf("got %q", got)
					}
				})
			}
			for _, tt := range assertions(t, current, filepath.Join(dir, "current.pem"), next, stranger) {
				t.Run(tt.name, func(t *testing.T) {
					status := 401
					if tt.want != "" {
						status = 200
					}
					if got := ask(t, service, status, tt.text...); tt.want != "" && got != tt.want {
						t.Errorf("got %q", got)
					}
				})
			}
		})
	}
}

// passOn is the door.
func passOn(t *testing.T, w http.ResponseWriter, r *http.Request, service string) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, service, nil)
	if err != nil {
		t.Error(err)
		return
	}
	req.Header = r.Header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// ask sends assertions and returns the answer.
func ask(t *testing.T, url string, status int, assertions ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["X-Gateway-Assertion"] = assertions
	resp, err := newClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Fatalf("status %d, want %d: %s %v", resp.StatusCode, status, body, err)
	}
	return string(body)
}

// sent is what somebody sends to a service, and what that has to say: nothing,
// when it has to refuse.
type sent struct {
	name string
	text []string
	want string
}

// assertions are good ones and bad ones.
func assertions(t *testing.T, key ed25519.PrivateKey, current, next, stranger string) []sent {
	t.Helper()
	now := time.Now()
	ada := exchange.Identity{Subject: "ada", Roles: []string{"technician"}, Issuer: "main"}
	sign := func(file, gateway, service string, id exchange.Identity, at time.Time) string {
		s, problems := assertion.New(config.Assertion{Key: file, Lifetime: config.Duration(30 * time.Second)}, gateway, func(name string) string { return name })
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return s.Sign(&exchange.Exchange{Identity: id, Now: at}, service)
	}
	good := sign(current, "psa-api-gateway", "tickets", ada, now)
	ended := exchange.Identity{Subject: "ada", Expires: now.Add(-time.Minute)}
	return []sent{
		{"good", []string{good}, "Hello ada\n"},
		{"about nobody", []string{sign(current, "psa-api-gateway", "tickets", exchange.Identity{}, now)}, "Hello whoever you are\n"},
		{"by the next key", []string{sign(next, "psa-api-gateway", "tickets", ada, now)}, "Hello ada\n"},
		{"a clock that is a little behind", []string{sign(current, "psa-api-gateway", "tickets", ada, now.Add(-30*time.Second))}, "Hello ada\n"},
		{"ended", []string{sign(current, "psa-api-gateway", "tickets", ada, now.Add(-40*time.Second))}, ""},
		{"ended with the caller's token", []string{sign(current, "psa-api-gateway", "tickets", ended, now)}, ""},
		{"for another service", []string{sign(current, "psa-api-gateway", "crm", ada, now)}, ""},
		{"of another gateway", []string{sign(current, "other", "tickets", ada, now)}, ""},
		{"by a stranger", []string{sign(stranger, "psa-api-gateway", "tickets", ada, now)}, ""},
		{"changed", []string{change(t, good)}, ""},
		{"cut", []string{good[:strings.LastIndexByte(good, '.')+1]}, ""},
		{"twice", []string{good, good}, ""},
		{"empty", []string{""}, ""},
		{"no token", []string{"..."}, ""},
		{"unsigned", []string{unsigned(good)}, ""},
		{"signed with the public key as a secret", []string{forge(t, jose.HS256, []byte(key.Public().(ed25519.PublicKey)), kidOf(t, good), assertion.Type, now.Add(time.Minute))}, ""},
		{"another kind of token", []string{forge(t, jose.EdDSA, key, kidOf(t, good), "JWT", now.Add(time.Minute))}, ""},
		{"without an end", []string{forge(t, jose.EdDSA, key, kidOf(t, good), assertion.Type, time.Time{})}, ""},
		{"the same with an end", []string{forge(t, jose.EdDSA, key, kidOf(t, good), assertion.Type, now.Add(time.Minute))}, "Hello eve\n"},
	}
}

// change makes another caller of an assertion, and keeps its signature.
func change(t *testing.T, text string) string {
	t.Helper()
	parts := strings.Split(text, ".")
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(claims), `"ada"`, `"eve"`, 1)))
	return strings.Join(parts, ".")
}

// unsigned says that an assertion needs no signature.
func unsigned(text string) string {
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"` + assertion.Type + `"}`))
	return header + "." + strings.Split(text, ".")[1] + "."
}

func kidOf(t *testing.T, text string) string {
	t.Helper()
	var header struct{ Kid string }
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[0])
	if err == nil {
		err = json.Unmarshal(raw, &header)
	}
	if err != nil || header.Kid == "" {
		t.Fatalf("%v in %s", err, raw)
	}
	return header.Kid
}

// forge signs in other ways than the gateway does.
func forge(t *testing.T, alg jose.SignatureAlgorithm, key any, kid, typ string, end time.Time) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.Claims{Issuer: "psa-api-gateway", Audience: jwt.Audience{"tickets"}, Subject: "eve"}
	if !end.IsZero() {
		claims.Expiry = jwt.NewNumericDate(end)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The page of keys is what key sets are, and is asked for like any other page.
func TestPageOfKeys(t *testing.T) {
	dir := t.TempDir()
	_, _ = keyFile(t, dir, "current.pem")
	_, _ = keyFile(t, dir, "next.pem")
	file := filepath.Join(dir, "yett.yaml")
	if err := os.WriteFile(file, []byte(fmt.Sprintf(identityConfig, "http://127.0.0.1:1", "http://127.0.0.1:1")), 0o600); err != nil {
		t.Fatal(err)
	}
	g := run(t, file)
	for _, method := range []string{"GET", "HEAD"} {
		req, err := http.NewRequestWithContext(t.Context(), method, g.url+"/.well-known/jwks.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := newClient(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/jwk-set+json" ||
			!slices.Equal(resp.Header["Cache-Control"], []string{"public, max-age=300"}) {
			t.Errorf("%s: %d %v %v", method, resp.StatusCode, resp.Header, err)
		}
		if method == "HEAD" {
			continue
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(body, &set); err != nil || len(set.Keys) != 2 {
			t.Fatalf("%v in %s", err, body)
		}
		for _, k := range set.Keys {
			if !k.Valid() || !k.IsPublic() {
				t.Errorf("%+v is shown", k)
			}
		}
	}
}
