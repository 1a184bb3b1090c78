//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"yett/examples/psa/services/kit"
	"yett/internal/store/redis/redistest"
)

// storeConfig is appConfig with a store and the pages that show it.
const storeConfig = appConfig + `
  - {name: health, path: /health, auth: none, endpoint: health}
  - {name: detailed, path: /health/detailed, auth: none, endpoint: health_detailed}
store:
  required: ${STORE_REQUIRED:-true}
  redis: {host: 127.0.0.1, port: "${REDIS_PORT}", password: "${REDIS_PASSWORD:-}"}
`

// health is what of the health pages is of interest here.
type health struct {
	Status       string
	Dependencies struct{ Store string }
	Store        struct {
		Name, State string
		Since       time.Time
	}
}

func (g *gateway) health(client *http.Client, path string) health {
	g.t.Helper()
	return decode[health](g.t, send(g.t, client, "GET", g.url+path, "", nil).want(g.t, 200))
}

// waitStore waits until the health pages say how the store is.
func (g *gateway) waitStore(client *http.Client, state string) {
	g.t.Helper()
	eventually(g.t, "the store is "+state, func() bool {
		return g.health(client, "/health").Dependencies.Store == state
	})
	if h := g.health(client, "/health/detailed"); h.Store.Name != "redis" || h.Store.State != state || h.Store.Since.IsZero() || h.Status != "healthy" {
		g.t.Errorf("the store is %s, and /health/detailed says %+v", state, h)
	}
}

// D51: a store that is wanted and not there is one clear line and exit code 1,
// and the password is nowhere.
func TestStoreIsMissing(t *testing.T) {
	server := redistest.Reserve(t)
	config := write(t, "yett.yaml", storeConfig)
	env := []string{"APP=http://127.0.0.1:1", "REDIS_PORT=" + strconv.Itoa(server.Port), "REDIS_PASSWORD=hunter2"}
	if code, _, stderr := yett(t, env, "check", "-c", config); code != 0 {
		t.Errorf("check: exit code %d, %s", code, stderr)
	}
	code, stdout, stderr := yett(t, env, "run", "-c", config)
	if code != 1 || stdout != "" || strings.Contains(stderr, "\n") || strings.Contains(stderr, "hunter2") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	for _, want := range []string{"yett: the store at " + server.Address + " can't be used: ", "connection refused", "start it, correct store.redis", "store.required: false"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q does not say %q", stderr, want)
		}
	}
	code, _, stderr = yett(t, env, "revoke", "-c", config, "--jti", "a")
	if code != 1 || strings.Contains(stderr, "\n") || strings.Contains(stderr, "hunter2") || !strings.Contains(stderr, server.Address) {
		t.Errorf("revoke: exit code %d, %q", code, stderr)
	}
}

// Where the store is not required the gateway starts without it, and finds it
// when it comes.
func TestStoreComesLater(t *testing.T) {
	backend, server := startApp(t), redistest.Reserve(t)
	g := run(t, write(t, "yett.yaml", storeConfig), "APP="+backend.URL, "STORE_REQUIRED=false", "REDIS_PORT="+strconv.Itoa(server.Port))
	client := newClient(t)
	g.waitStore(client, "lost")
	send(t, client, "GET", g.url+"/", "", nil).want(t, 200)
	server.Start()
	begun := time.Now()
	g.waitStore(client, "connected")
	t.Logf("found after %v", time.Since(begun))
}

// D8: a store that is lost while the gateway serves costs no request anything,
// neither when it is gone nor when it hangs. It is shown, said once, and found
// again.
func TestStoreIsLostWhileServing(t *testing.T) {
	backend, server := startApp(t), redistest.Start(t)
	g := run(t, write(t, "yett.yaml", storeConfig), "APP="+backend.URL, "REDIS_PORT="+strconv.Itoa(server.Port))
	client := newClient(t)
	g.waitStore(client, "connected")
	serves := func() {
		t.Helper()
		for range 50 {
			begun := time.Now()
			send(t, client, "GET", g.url+"/", "", nil).want(t, 200)
			if took := time.Since(begun); took > time.Second {
				t.Errorf("a request took %v", took)
			}
		}
		send(t, client, "GET", g.url+"/health/ready", "", nil).want(t, 200)
	}
	for _, fault := range []struct {
		name      string
		lose, end func()
	}{{"killed", server.Kill, server.Start}, {"hanging", server.Pause, server.Resume}} {
		fault.lose()
		serves()
		g.waitStore(client, "lost")
		serves()
		fault.end()
		begun := time.Now()
		g.waitStore(client, "connected")
		t.Logf("%s: found after %v", fault.name, time.Since(begun))
		serves()
	}
	g.signal(sigterm)
	if code := g.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	text := g.stderr.String()
	if lost, back := strings.Count(text, "the store is lost"), strings.Count(text, "the store is back"); lost != 2 || back != 2 {
		t.Errorf("lost %d times, back %d times in\n%s", lost, back, text)
	}
}

// A store that hangs does not hold up the end either.
func TestStopWithHangingStore(t *testing.T) {
	backend, server := startApp(t), redistest.Start(t)
	g := run(t, write(t, "yett.yaml", storeConfig), "APP="+backend.URL, "REDIS_PORT="+strconv.Itoa(server.Port))
	server.Pause()
	begun := time.Now()
	g.signal(sigterm)
	if code := g.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// callersConfig has a route for those who have a token.
const callersConfig = storeConfig + `
issuers:
  psa:
    issuer: psa-platform
    audience: psa-api
    keys: [{secret: "${JWT_SECRET}"}]
`

// What `yett revoke` writes counts on all gateways within a second, and goes on
// counting when the store is gone.
func TestRevokedOnAllGateways(t *testing.T) {
	const secret = "a-secret-of-at-least-thirty-two-bytes"
	backend, server := startApp(t), redistest.Start(t)
	text := strings.Replace(callersConfig, "path: /**, auth: none", "path: /**, auth: required, policies: {jwt: {}}", 1)
	config := write(t, "yett.yaml", text)
	env := []string{"APP=" + backend.URL, "REDIS_PORT=" + strconv.Itoa(server.Port), "JWT_SECRET=" + secret}
	gateways := []*gateway{run(t, config, env...), run(t, config, env...)}
	tokens, err := kit.NewTokens(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(t)
	ask := func(g *gateway, token string) answer {
		return send(t, client, "GET", g.url+"/", "", http.Header{"Authorization": {"Bearer " + token}})
	}
	mint := func(user string) string {
		token, err := tokens.Sign(kit.Identity{UserID: user, Role: "technician"}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	waitRefused := func(token string) {
		t.Helper()
		begun := time.Now()
		for _, g := range gateways {
			for got := ask(g, token); got.StatusCode != 401; got = ask(g, token) {
				if time.Since(begun) > time.Second {
					t.Fatalf("after %v %s still answers %d", time.Since(begun), g.url, got.StatusCode)
				}
			}
			if code := decode[refusal](t, ask(g, token)).Error.Code; code != "TOKEN_REVOKED" {
				t.Errorf("the code is %s", code)
			}
		}
		t.Logf("refused by all after %v", time.Since(begun))
	}
	good, whole, subject := mint("good"), mint("whole"), mint("subject")
	for _, g := range gateways {
		for _, token := range []string{good, whole, subject} {
			ask(g, token).want(t, 200)
		}
	}
	for token, flags := range map[string][]string{whole: {"--token", whole}, subject: {"--subject", "subject"}} {
		code, stdout, stderr := yett(t, env, append([]string{"revoke", "-c", config}, flags...)...)
		if code != 0 || !strings.HasPrefix(stdout, "revoked ") {
			t.Fatalf("exit code %d, %q, %q", code, stdout, stderr)
		}
		waitRefused(token)
	}
	server.Kill()
	for i, g := range gateways {
		g.waitStore(client, "lost")
		for _, token := range []string{whole, subject} {
			ask(g, token).want(t, 401)
		}
		ask(g, good).want(t, 200)
		t.Log(fmt.Sprint("gateway ", i, " goes on refusing with the store gone"))
	}
	server.Start()
	for _, g := range gateways {
		g.waitStore(client, "connected")
	}
	late := run(t, config, env...) // the server came back empty, and was filled again
	eventually(t, "a gateway that comes later refuses too", func() bool { return ask(late, whole).StatusCode == 401 })
}
