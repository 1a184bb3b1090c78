//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"yett/examples/psa/services/kit"
	yettapp "yett/internal/app"
	"yett/internal/config"
	"yett/internal/snapshot"
)

// What the clients of the platform rely on, and its services, and who runs it,
// is tested in the files contract_*.go: the example's configuration, as it is,
// in a real gateway before services that tell what they got.

// received is what a stub got.
type received struct {
	Service, Method, URI, Host string
	Header                     http.Header
	Body                       []byte
}

// stub stands for a service. It answers with what it got, unless a path has an
// answer of its own.
type stub struct {
	*httptest.Server
	name     string
	requests atomic.Int64 // that have come, but for the stub's document
	conns    atomic.Int64 // that were opened
}

// newStub starts one. answers are by path.
func newStub(t *testing.T, name string, answers map[string]http.HandlerFunc) *stub {
	t.Helper()
	s := &stub{name: name}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/openapi.json" { // the gateway asks for it by itself
			http.NotFound(w, r)
			return
		}
		s.requests.Add(1)
		if own, ok := answers[r.URL.Path]; ok {
			own(w, r)
			return
		}
		s.echo(t, w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *stub) echo(t *testing.T, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the gateway has given up
	}
	w.Header().Set("Content-Type", "application/json")
	err = json.NewEncoder(w).Encode(received{Service: s.name, Method: r.Method, URI: r.RequestURI, Host: r.Host, Header: r.Header, Body: body})
	if err != nil && r.Method != http.MethodHead {
		t.Errorf("%s answering %s: %v", s.name, r.RequestURI, err)
	}
}

// serviceNames are those of the example.
func serviceNames() []string {
	return []string{"auth", "crm", "tickets", "billing", "projects", "assets", "reports"}
}

func urlVariable(service string) string { return strings.ToUpper(service) + "_SERVICE_URL" }

// stage is the example's gateway before seven stubs.
type stage struct {
	*gateway
	client *http.Client
	stubs  map[string]*stub
}

// setStage starts stubs, and the gateway on a free port. answers are those of
// the stubs, by path; env are further variables, which win. Its limits on
// callers without a token are so high that tests of other things don't meet
// them; see setLimitedStage.
func setStage(t *testing.T, answers map[string]http.HandlerFunc, env ...string) *stage {
	t.Helper()
	return setStageOf(t, exampleConfig, answers, env...)
}

// setStageOf does it with another configuration, one that was changed a
// little.
func setStageOf(t *testing.T, config string, answers map[string]http.HandlerFunc, env ...string) *stage {
	t.Helper()
	s := &stage{client: newClient(t), stubs: make(map[string]*stub)}
	s.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 20
	for _, name := range serviceNames() {
		s.stubs[name] = newStub(t, name, answers)
	}
	s.gateway = run(t, config, s.environ(env...)...)
	return s
}

// environ are the variables of a gateway before the stubs. Of two with the
// same name the last one wins.
func (s *stage) environ(more ...string) []string {
	env := []string{"PORT=0", "JWT_SECRET=" + exampleSecret, "RATE_LIMIT_GLOBAL_MAX=1000000", "RATE_LIMIT_AUTH_MAX=1000000"}
	for name, stub := range s.stubs {
		env = append(env, urlVariable(name)+"="+stub.URL)
	}
	return append(env, more...)
}

// as is the header of somebody with a token, nil without.
func as(token string) http.Header {
	if token == "" {
		return http.Header{}
	}
	return http.Header{"Authorization": {"Bearer " + token}}
}

// jsonAs is as for a request with a body of JSON.
func jsonAs(token string) http.Header {
	h := as(token)
	h.Set("Content-Type", "application/json")
	return h
}

// ask sends a request. Headers are name and value in turn.
func (s *stage) ask(t *testing.T, method, path, token string, headers ...string) answer {
	t.Helper()
	h := as(token)
	for pair := range slices.Chunk(headers, 2) {
		h.Add(pair[0], pair[1])
	}
	return send(t, s.client, method, s.url+path, "", h)
}

// reached reads what a stub got.
func reached(t *testing.T, a answer) received {
	t.Helper()
	got := decode[received](t, a.want(t, 200))
	if got.Service == "" {
		t.Fatalf("%s %s did not reach a service: %s", a.Request.Method, a.Request.URL.Path, a.body)
	}
	return got
}

// refused checks that an answer is a refusal in its one shape.
func refused(t *testing.T, a answer, status int, code string) {
	t.Helper()
	what := a.Request.Method + " " + a.Request.URL.RequestURI()
	var shape struct {
		Error map[string]any `json:"error"`
	}
	if err := json.Unmarshal([]byte(a.body), &shape); err != nil {
		t.Errorf("%s: status %d, %v in %q", what, a.StatusCode, err, a.body)
		return
	}
	e := shape.Error
	if a.StatusCode != status || e["code"] != code || e["status"] != float64(status) || e["message"] == "" {
		t.Errorf("%s: status %d, want %d %s: %s", what, a.StatusCode, status, code, a.body)
	}
	known := []string{"code", "message", "request_id", "status", "timestamp"}
	if status == 503 {
		delete(e, "retryAfter")
	}
	if keys := slices.Sorted(maps.Keys(e)); !slices.Equal(keys, known) {
		t.Errorf("%s: the error has %q, want %q", what, keys, known)
	}
	at, _ := e["timestamp"].(string)
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", at); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	id, _ := e["request_id"].(string)
	if !uuid4.MatchString(id) || !slices.Equal(a.Header.Values("X-Request-ID"), []string{id}) {
		t.Errorf("%s: request_id is %q, X-Request-ID %q", what, id, a.Header.Values("X-Request-ID"))
	}
	if ct := a.Header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
		t.Errorf("%s: Content-Type is %q", what, ct)
	}
}

// claims are those of a token. One that is nil is left out.
type claims map[string]any

// good are the claims of a token that passes, as the auth service makes them.
func good(role string, changes claims) claims {
	now := time.Now()
	c := claims{
		"iss": kit.Issuer, "aud": kit.Audience, "sub": "u-" + role, "email": role + "@example.com", "role": role, "tenantId": "t-1",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": kit.NewID(),
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// tokenOf makes a token of the platform's auth service.
func tokenOf(t *testing.T, role string) string {
	t.Helper()
	return signed(t, jose.HS256, []byte(exampleSecret), good(role, nil))
}

// tokenWith makes one with other claims.
func tokenWith(t *testing.T, changes claims) string {
	t.Helper()
	return signed(t, jose.HS256, []byte(exampleSecret), good("technician", changes))
}

func signed(t *testing.T, alg jose.SignatureAlgorithm, key any, c claims) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(map[string]any(c)).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// compiled is the example's configuration as the gateway understands it, with
// no other variables than these.
func compiled(t *testing.T, env map[string]string) *snapshot.Snapshot {
	t.Helper()
	all := map[string]string{"JWT_SECRET": exampleSecret}
	maps.Copy(all, env)
	snap, err := yettapp.Check(yettapp.Options{File: exampleConfig, Env: config.MapEnv(all), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// changed writes the example's configuration with some of its text replaced,
// old and new in turn, into a folder of the test's own.
func changed(t *testing.T, texts ...string) string {
	t.Helper()
	data, err := os.ReadFile(exampleConfig)
	if err != nil {
		t.Fatal(err)
	}
	conf := string(data)
	for pair := range slices.Chunk(texts, 2) {
		if strings.Count(conf, pair[0]) != 1 {
			t.Fatalf("the example's configuration has %q %d times", pair[0], strings.Count(conf, pair[0]))
		}
		conf = strings.Replace(conf, pair[0], pair[1], 1)
	}
	return write(t, "yett.yaml", conf)
}

// example copies the example's configuration into a folder, with a .env.
func exampleWithDotenv(t *testing.T, dotenv string) string {
	t.Helper()
	file := changed(t)
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), ".env"), []byte(dotenv), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// together runs a function for each, at once, and waits for all.
func together[T any](all []T, f func(T)) {
	var wait sync.WaitGroup
	for _, one := range all {
		wait.Go(func() { f(one) })
	}
	wait.Wait()
}

// sendOne sends the bytes of a request that makes the gateway close the
// connection, and reads the answer.
func sendOne(t *testing.T, addr, text string) (*http.Response, string) {
	t.Helper()
	got := sendRaw(t, addr, text)
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), nil)
	if err != nil {
		t.Fatalf("%.60q is answered with %q: %v", text, got, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%.60q: reading the answer: %v", text, err)
	}
	return resp, string(body)
}
