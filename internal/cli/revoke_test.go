package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/revocation"
	"yett/internal/store/redis"
	"yett/internal/store/redis/redistest"
)

// jwt makes a token that nobody could verify.
func jwt(payload string) string {
	part := base64.RawURLEncoding.EncodeToString
	return jwtHead("HS256") + "." + part([]byte(payload)) + ".c2lnbmF0dXJl"
}

func jwtHead(algorithm string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"` + algorithm + `"}`))
}

func callWith(t *testing.T, stdin string, variables env, args ...string) result {
	t.Helper()
	var stdout, stderr output
	code := Main(t.Context(), Process{
		Args: args, Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr, Env: config.MapEnv(variables),
	})
	return result{code, stdout.String(), stderr.String()}
}

// redisConfig keeps state in a server with a password.
const redisConfig = `
listeners: [{address: ":0"}]
store: {redis: {host: 127.0.0.1, port: %d, password: "correct horse"}}
routes: [{name: r, path: /ready, auth: none, endpoint: ready}]
`

// With a store in Redis no gateway has to run.
func TestRevokeInRedis(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "correct horse")
	name := file(t, fmt.Sprintf(redisConfig, server.Port))
	exp := time.Now().Add(20 * time.Minute).Unix()
	token := jwt(fmt.Sprintf(`{"jti":"whole","exp":%d}`, exp))
	sum := sha256.Sum256([]byte("x"))
	for _, test := range []struct {
		name  string
		stdin string
		args  []string
		want  string
	}{
		{"jti", "", []string{"--jti", "a", "--expires", "15m"}, `revoked the token with the jti "a" until `},
		{"sum", "", []string{"--sha256", hex.EncodeToString(sum[:])}, "revoked the token with the SHA-256 " + hex.EncodeToString(sum[:]) + " until "},
		{"subject", "", []string{"--subject", "tom"}, `revoked all tokens of the subject "tom" issued before `},
		{"subject before", "", []string{"--subject", "ann", "--before", "2026-01-31T09:30:00Z"}, `issued before 2026-01-31T09:30:00Z until`},
		{"token on stdin", "  Bearer " + token + "\n", []string{"--token", "-"}, "revoked the token until " + time.Unix(exp, 0).UTC().Format(time.RFC3339)},
	} {
		got := callWith(t, test.stdin, nil, append([]string{"revoke", "-c", name}, test.args...)...)
		if got.code != exitOK || !strings.HasPrefix(got.stdout, "revoked ") || !strings.Contains(got.stdout, test.want) || strings.Count(got.stdout, "\n") != 1 {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
	s, err := redis.Open(t.Context(), redis.Options{Address: server.Address, Password: "correct horse", Prefix: "yett:"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, told := revocation.New(), make(chan error, 1)
	done := make(chan struct{})
	go func() { defer close(done); l.Follow(t.Context(), s, func(err error) { told <- err }) }()
	t.Cleanup(func() { <-done })
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 31, 9, 29, 59, 0, time.UTC)
	for _, token := range []revocation.Token{
		{ID: "a"}, {ID: "whole"}, {Sums: [][32]byte{sum}}, {Sums: [][32]byte{sha256.Sum256([]byte(token))}},
		{Subject: "tom", IssuedAt: time.Now().Add(-time.Minute)}, {Subject: "ann", IssuedAt: at},
	} {
		if !l.Revoked(&token) {
			t.Errorf("%+v is not revoked", token)
		}
	}
	if l.Revoked(&revocation.Token{Subject: "ann", IssuedAt: at.Add(time.Second)}) {
		t.Error("what ann got later is revoked too")
	}
}

// A token that would not pass anyway is revoked, with a warning; one that has
// ended is not. Where nobody knows, nothing is said.
func TestRevokeExaminesTokens(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "correct horse")
	text := fmt.Sprintf(redisConfig, server.Port)
	mint := func(secret, expires string) string {
		name := file(t, text+"issuers: {main: {keys: [{secret: "+secret+"}]}}\n")
		return strings.TrimSpace(call(t, nil, "token", "mint", "-c", name, "--expires", expires).stdout)
	}
	const own, foreign = "a-secret-of-at-least-thirty-two-bytes", "another-secret-of-thirty-two-bytes-too"
	known := "issuers: {main: {keys: [{secret: " + own + "}]}}\n"
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	whole := mint(own, "1h")
	asymmetric := strings.Replace(jwt(`{"sub":"tom"}`), jwtHead("HS256"), jwtHead("RS256"), 1)
	for _, test := range []struct {
		name, issuers, token, warning string
		ended                         bool
	}{
		{"a good one", known, whole, "", false},
		{"a cut one", known, whole[:len(whole)-3], "token_signature", false},
		{"one of somebody else", known, mint(foreign, "1h"), "token_signature", false},
		{"an ended one", known, mint(own, "-1h"), "", true},
		{"without issuers", "", whole, "", false},
		{"without the keys' file", "issuers: {main: {keys: [{pem: nowhere.pem}]}}\n", whole, "", false},
		{"with keys that don't come", "issuers: {main: {keys: [{jwks_url: " + silent.URL + "}]}}\n", asymmetric, "", false},
	} {
		got := callWith(t, test.token, nil, "revoke", "-c", file(t, text+test.issuers), "--token", "-", "--timeout", "2s")
		wantOut, wantErr := "revoked the token until ", ""
		if test.ended {
			wantOut = "nothing to revoke: the token has ended by itself\n"
		}
		if test.warning != "" {
			wantErr = "yett: this token would not pass anyway (" + test.warning + "): is it whole?\n"
		}
		if got.code != exitOK || !strings.HasPrefix(got.stdout, wantOut) || got.stderr != wantErr {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

// What a gateway warns of is passed on, and can't move the cursor.
func TestRevokePassesWarningsOn(t *testing.T) {
	server, _ := gatewayStub(t, 202, `{"expires":"2030-01-01T00:00:00Z","store":"written","warning":"is it whole?\u001b[2J"}`)
	server.Start()
	got := callWith(t, jwt(`{}`), nil, "revoke", "--url", server.URL, "--token", "-")
	if got.code != exitOK || got.stderr != "yett: is it whole?\uFFFD[2J\n" || !strings.HasPrefix(got.stdout, "revoked the token until ") {
		t.Errorf("%+v", got)
	}
}

func TestRevokeWithoutRedis(t *testing.T) {
	nobody := redistest.Reserve(t)
	got := call(t, nil, "revoke", "-c", file(t, fmt.Sprintf(redisConfig, nobody.Port)), "--jti", "a")
	if got.code != exitFail || strings.Count(got.stderr, "\n") != 1 || strings.Contains(got.stderr, "horse") ||
		!strings.Contains(got.stderr, "nothing was revoked: the store at "+nobody.Address+" can't be used: ") || !strings.Contains(got.stderr, "--url") {
		t.Errorf("%+v", got)
	}
}

func TestRevokeMisused(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "exactly one of --token, --jti, --sha256 and --subject"},
		{[]string{"--jti", "a", "--subject", "b"}, "exactly one of"},
		{[]string{"--jti", "a", "--before", "2026-01-01T00:00:00Z"}, "yett: --before goes with --subject\n"},
		{[]string{"--subject", "a", "--before", "yesterday"}, `yett: --before "yesterday" is no time; `},
		{[]string{"--subject", "a", "--before", "2999-01-01T00:00:00Z"}, "yett: --before 2999-01-01T00:00:00Z is more than a minute ahead"},
		{[]string{"--jti", "a", "--expires", "soon"}, `yett: --expires "soon" is no time; `},
		{[]string{"--jti", "a", "--expires", "-5m"}, "yett: --expires -5m is in the past\n"},
		{[]string{"--jti", "a", "--expires", "2020-01-31T09:30:00Z"}, "yett: --expires 2020-01-31T09:30:00Z is in the past\n"},
		{[]string{"--jti", "a", "--expires", "2999-01-31T09:30:00Z"}, "yett: --expires 2999-01-31T09:30:00Z is more than ten years ahead\n"},
		{[]string{"--jti", "a", "--expires", "hunter2" + strings.Repeat("x", 40)}, "yett: --expires (too long to be shown) is no time; "},
		{[]string{"--sha256", "abc"}, "yett: --sha256 is not 64 hexadecimal digits\n"},
		{[]string{"--sha256", strings.Repeat("x", 64)}, "yett: --sha256 is not 64 hexadecimal digits\n"},
		{[]string{"--token", "hunter2"}, "yett: --token is not a whole JWT\n"},
		{[]string{"--token", " "}, "yett: --token: there is no token\n"},
		{[]string{"--token", "-"}, "yett: --token: there is no token\n"},
		{[]string{"hunter2"}, "yett: a token is given by --token -, which reads it from standard input\n"},
	} {
		got := callWith(t, " \n", nil, append([]string{"revoke"}, test.args...)...)
		if got.code != exitUsage || !strings.Contains(got.stderr, test.want) || strings.Contains(got.stderr, "hunter2") {
			t.Errorf("%q: %+v, want %q", test.args, got, test.want)
		}
	}
}

// gatewayStub answers as a gateway's page does. asked is what it was sent.
func gatewayStub(t *testing.T, status int, answer string) (server *httptest.Server, asked *bytes.Buffer) {
	t.Helper()
	asked = new(bytes.Buffer)
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(asked, "%s %s %s [%s] %s", r.Method, r.Host, r.URL, r.Header.Get("Authorization"), body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server, asked
}

// memoryConfig has a page for revocations, as far as reading it goes.
const memoryConfig = `
listeners: [{address: "127.0.0.1:PORT"}]
routes:
  - {name: shown, path: /shown, methods: GET, auth: required, endpoint: revocations}
  - {name: r, host: api.example.org, path: ["/x/{y}", /internal/revocations], methods: POST, auth: required, endpoint: revocations}
`

func TestRevokeAtTheGateway(t *testing.T) {
	const good = `{"revoked":["jti"],"expires":"2030-01-01T00:00:00.000Z","store":"written"}`
	for _, test := range []struct {
		name   string
		status int
		answer string
		code   int
		want   string
	}{
		{"done", 202, good, exitOK, `revoked the token with the jti "a" until 2030-01-01T00:00:00Z, by the gateway at `},
		{"pending", 202, strings.Replace(good, "written", "pending", 1), exitOK, "alone as yet: its store does not take it now"},
		{"in memory", 202, strings.Replace(good, "written", "memory", 1), exitOK, ", in effect on this node, until it restarts\n"},
		{"has ended", 200, `{"revoked":[],"message":"whatever"}`, exitOK, "nothing to revoke: the token has ended by itself\n"},
		{"not known", 401, `{"error":{"code":"TOKEN_EXPIRED"}}`, exitFail, "answers 401 TOKEN_EXPIRED; the access token of --bearer or YETT_TOKEN is no good"},
		{"not allowed", 403, `{"error":{"code":"INSUFFICIENT_PERMISSIONS"}}`, exitFail, "answers 403 INSUFFICIENT_PERMISSIONS; the access token has to be of a caller"},
		{"no such page", 404, `<html>`, exitFail, "answers 404 ; there is no endpoint revocations"},
		{"another page", 200, `{}`, exitFail, "answers 200"},
		{"not a gateway", 202, `ok`, exitFail, "it is not certain that anything was revoked"},
		{"refused", 400, `{"error":{"code":"BAD_REQUEST","message":"no good"}}`, exitFail, "answers 400 BAD_REQUEST: no good"},
	} {
		server, asked := gatewayStub(t, test.status, test.answer)
		server.Start()
		_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
		got := call(t, env{"YETT_TOKEN": "secret-token"}, "revoke", "-c", file(t, strings.Replace(memoryConfig, "PORT", port, 1)), "--jti", "a")
		text := got.stdout + got.stderr
		if got.code != test.code || !strings.Contains(text, test.want) || strings.Count(text, "\n") != 1 || strings.Contains(text, "secret-token") {
			t.Errorf("%s: %+v", test.name, got)
		}
		if want := `POST api.example.org /internal/revocations [Bearer secret-token] {"jti":"a"}`; asked.String() != want {
			t.Errorf("%s: asked was %s", test.name, asked)
		}
	}
}

func TestRevokeAtAnAddress(t *testing.T) {
	server, asked := gatewayStub(t, 401, `{"error":{"code":"NO_TOKEN"}}`)
	server.Start()
	got := call(t, nil, "revoke", "--url", server.URL+"/page", "--subject", "tom", "--before", "1700000000", "--expires", "2030-01-01T00:00:00Z")
	if got.code != exitFail || !strings.Contains(got.stderr, "give an access token with --bearer or YETT_TOKEN") {
		t.Errorf("%+v", got)
	}
	_, body, _ := strings.Cut(asked.String(), "[] ")
	var sent map[string]string
	if err := json.Unmarshal([]byte(body), &sent); err != nil {
		t.Fatal(err)
	}
	before, err := time.Parse(time.RFC3339, sent["issued_before"])
	if sent["subject"] != "tom" || err != nil || before.Unix() != 1700000000 || sent["expires"] != "2030-01-01T00:00:00Z" {
		t.Errorf("asked was %s", asked)
	}
	server.Close()
	got = call(t, nil, "revoke", "--url", server.URL, "--bearer", "b", "--jti", "a")
	if got.code != exitFail || !strings.Contains(got.stderr, "nothing was revoked: nobody listens at "+server.URL) {
		t.Errorf("%+v", got)
	}
}

func TestRevokeHasNobodyToAsk(t *testing.T) {
	got := call(t, nil, "revoke", "-c", file(t, small), "--jti", "a")
	for _, want := range []string{"no route of the gateway has the endpoint revocations", "auth: required", "store.redis", "--url"} {
		if got.code != exitFail || !strings.Contains(got.stderr, want) {
			t.Errorf("%+v, want %q", got, want)
		}
	}
	if got := call(t, nil, "revoke", "-c", file(t, wrong), "--jti", "a"); got.code != exitFail || !strings.Contains(got.stderr, "nothing was revoked") {
		t.Errorf("%+v", got)
	}
}

// Over TLS the access token goes to nobody but the owner of the certificate
// that the configuration names.
func TestRevokeOverTLS(t *testing.T) {
	server, asked := gatewayStub(t, 202, `{"expires":"2030-01-01T00:00:00Z","store":"written"}`)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes are to fail
	server.StartTLS()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	text := strings.Replace(memoryConfig, `PORT"`, port+`", tls: {certificates: [{cert: cert.pem, key: key.pem}]}`, 1)
	name := file(t, text)
	writeCertificate(t, filepath.Dir(name), server.TLS.Certificates[0])
	got := call(t, nil, "revoke", "-c", name, "--jti", "a", "--bearer", "b")
	if got.code != exitOK || !strings.Contains(asked.String(), "[Bearer b]") {
		t.Errorf("%+v", got)
	}
	asked.Reset()
	writeCertificate(t, filepath.Dir(name), newCertificate(t))
	got = call(t, nil, "revoke", "-c", name, "--jti", "a", "--bearer", "b")
	if got.code != exitFail || !strings.Contains(got.stderr, "does not have the certificate") || asked.Len() > 0 {
		t.Errorf("%+v, asked was %s", got, asked)
	}
	got = call(t, nil, "revoke", "--url", server.URL, "--jti", "a", "--bearer", "b")
	if got.code != exitFail || !strings.Contains(got.stderr, "certificate") || asked.Len() > 0 {
		t.Errorf("a certificate that nobody believes: %+v, asked was %s", got, asked)
	}
}

// writeCertificate writes cert.pem and key.pem.
func writeCertificate(t *testing.T, dir string, cert tls.Certificate) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func newCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
