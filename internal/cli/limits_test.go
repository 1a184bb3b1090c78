package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/admin"
	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/meter"
	"yett/internal/store"
	"yett/internal/store/memory"
	"yett/internal/store/redis"
	"yett/internal/store/redis/redistest"
)

const limitsAnswer = `{"store":{"state":"shared","since":"2026-01-02T03:04:05.000Z","nodes":2,"losses":1,"keys":12,"dropped":0},"limits":[
{"name":"global","rule":"100 in 15m for each ip","allowed":1000,"refused":37,"observed":0,"whileLost":0,
 "nearest":[{"key":"ip:203.0.113.7","used":100,"limit":100,"left":0,"refused":30,"more":61},{"key":"ip:203.0.113.8","used":55,"limit":100,"left":45,"refused":0,"more":0}],
 "mostRefused":[{"key":"ip:203.0.113.7","used":100,"limit":100,"left":0,"refused":30,"more":61}]},
{"name":"user","rule":"1000 in 15m for each user","allowed":5,"refused":0,"observed":2,"whileLost":0,
 "nearest":[{"key":"user:\u001b[2J","used":999,"limit":1000,"left":1,"refused":0,"more":3600}],"mostRefused":[]}]}`

// Who is nearest comes first, whichever the limit, and nobody moves the cursor.
const limitsTable = `counted in the store by 2 nodes, since 2026-01-02T03:04:05.000Z; lost once since the start; 12 keys here

LIMIT   ALLOWED  REFUSED  OBSERVED  RULE
global  1000     37       0         100 in 15m for each ip
user    5        0        2         1000 in 15m for each user

NEAREST  KEY             USED                          REFUSED  MORE IN
global   ip:203.0.113.7  ########## 100%  100 of 100   30       1m1s
user     user:` + "\uFFFD" + `[2J       #########.  99%  999 of 1000  0        1h
global   ip:203.0.113.8  #####.....  55%  55 of 100    0        now

REFUSED MOST  KEY             USED                         REFUSED  MORE IN
global        ip:203.0.113.7  ########## 100%  100 of 100  30       1m1s
`

func TestLimitsText(t *testing.T) {
	var page admin.LimitsPage
	if err := json.Unmarshal([]byte(limitsAnswer), &page); err != nil {
		t.Fatal(err)
	}
	if got := limitsText(&page); got != limitsTable {
		t.Errorf("got\n%s\nwant\n%s", got, limitsTable)
	}
	for _, tt := range []struct {
		store admin.LimitsStore
		want  string
	}{
		{admin.LimitsStore{State: "memory", Nodes: 1, Keys: 1}, "counted on this node; 1 key here\nthere are no limits in its configuration\n"},
		{admin.LimitsStore{State: "alone", Nodes: 3, Losses: 2, Dropped: 4}, "THE STORE IS LOST: this node counts alone, its share of 3 nodes; lost 2 times since the start; 0 keys here, 4 DROPPED for lack of room: raise store.memory.keys\n"},
	} {
		if got := limitsText(&admin.LimitsPage{Store: tt.store}); !strings.HasPrefix(got, tt.want) {
			t.Errorf("got\n%s\nwant\n%s", got, tt.want)
		}
	}
}

// limitsConfig has a page for limits, as far as reading it goes.
const limitsConfig = `
listeners: [{address: "127.0.0.1:PORT"}]
limits:
  global: {limit: 3, window: 1h, by: ip}
  user: {limit: 3, window: 1h, by: user}
  key: {limit: 3, window: 1h, by: api_key}
  running: {concurrent: 3, by: ip}
routes:
  - {name: r, host: api.example.org, path: /internal/limits, methods: [GET, DELETE], auth: required, endpoint: limits}
`

// limitsAt is a configuration with that gateway.
func limitsAt(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, strings.Replace(limitsConfig, "PORT", port, 1))
}

func TestLimitsAtTheGateway(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		answer string
		code   int
		want   string
	}{
		{"shown", 200, limitsAnswer, exitOK, "global  1000     37"},
		{"not known", 401, `{"error":{"code":"TOKEN_EXPIRED"}}`, exitFail, "yett: nothing can be shown: http://URL answers 401 TOKEN_EXPIRED; the access token of --bearer or YETT_TOKEN is no good\n"},
		{"not allowed", 403, `{"error":{"code":"NO"}}`, exitFail, "answers 403 NO; the access token has to be of a caller"},
		{"no such page", 404, `<html>`, exitFail, "answers 404 ; there is no endpoint limits\n"},
		{"limited itself", 429, `{"error":{"code":"RATE_LIMIT_EXCEEDED","message":"Too many requests"}}`, exitFail, "answers 429 RATE_LIMIT_EXCEEDED: Too many requests\n"},
		{"another page", 200, `{}`, exitFail, "gives no answer of a gateway\n"},
		{"no gateway", 200, `<html>`, exitFail, "gives no answer of a gateway\n"},
	} {
		server, asked := gatewayStub(t, tt.status, tt.answer)
		server.Start()
		got := call(t, env{"YETT_TOKEN": "secret-token"}, "limits", "-c", limitsAt(t, server.Listener.Addr().String()), "--limit", "user", "--top", "7")
		want := strings.ReplaceAll(tt.want, "URL", server.Listener.Addr().String()+"/internal/limits")
		if got.code != tt.code || !strings.Contains(got.stdout+got.stderr, want) || strings.Contains(got.stdout+got.stderr, "secret-token") {
			t.Errorf("%s: %+v, want %q", tt.name, got, want)
		}
		if want := "GET api.example.org /internal/limits?limit=user&top=7 [Bearer secret-token] "; asked.String() != want {
			t.Errorf("%s: asked was %q", tt.name, asked)
		}
	}
}

func TestLimitsJSON(t *testing.T) {
	server, _ := gatewayStub(t, 200, limitsAnswer)
	server.Start()
	got := call(t, nil, "limits", "--url", server.URL, "--json")
	var page, want admin.LimitsPage
	if err := errors.Join(json.Unmarshal([]byte(got.stdout), &page), json.Unmarshal([]byte(limitsAnswer), &want)); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(page) != fmt.Sprint(want) || !strings.HasPrefix(got.stdout, "{\n  \"store\"") {
		t.Errorf("%+v", got)
	}
}

func TestLimitsMisused(t *testing.T) {
	nobody := redistest.Reserve(t)
	at := limitsAt(t, nobody.Address)
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"limits", "--top", "-1"}, exitUsage, "--top is a number from 0 to 128: a gateway keeps no more keys of a limit\n"},
		{[]string{"limits", "--top", "129"}, exitUsage, "--top is a number from 0 to 128: a gateway keeps no more keys of a limit\n"},
		{[]string{"limits", "rest"}, exitUsage, `did you mean "reset"?`},
		{[]string{"limits", "reset"}, exitUsage, "name the key, as yett limits shows it, such as user:42"},
		{[]string{"limits", "reset", ""}, exitUsage, "name the key"},
		{[]string{"limits", "reset", "tenant:a", "route:b"}, exitUsage, "quote a key that has a | in it"},
		{[]string{"limits", "-c", at, "--limit", "usr"}, exitFail, `there is no limit "usr", did you mean "user"?`},
		{[]string{"limits", "-c", at}, exitFail, "nobody listens at http://" + nobody.Address + "/internal/limits; start the gateway, or name another address with --url"},
		{[]string{"limits", "-c", file(t, small)}, exitFail, "only a running gateway knows who uses what, and no route of the gateway has the endpoint limits for GET; add one with auth: required and a policy rbac, or name"},
		{[]string{"limits", "-c", file(t, wrong)}, exitFail, "1 problem; nobody was asked"},
		{[]string{"limits", "reset", "ip:192.0.2.1", "-c", at, "--limit", "usr"}, exitFail, `nothing was reset: there is no limit "usr", did you mean "user"?`},
		{[]string{"limits", "reset", "user:1", "-c", at, "--limit", "global"}, exitFail, `nothing was reset: limit "global" counts by ip, not by user: write ip:VALUE`},
		{[]string{"limits", "reset", "ip:192.0.2.1", "-c", at, "--limit", "running"}, exitFail, `nothing was reset: limit "running" counts requests that run`},
		{[]string{"limits", "reset", "42", "-c", at}, exitFail, "nothing was reset: no limit counts under such a key"},
		{[]string{"limits", "reset", "ip:192.0.2.1", "-c", at}, exitFail, "nothing was reset: nobody listens at"},
		{[]string{"limits", "reset", "ip:192.0.2.1", "-c", file(t, small)}, exitFail, "nothing was reset: no limit counts"},
		{[]string{"limits", "reset", "ip:192.0.2.1", "-c", file(t, strings.Replace(limitsConfig, "[GET, DELETE]", "GET", 1))}, exitFail,
			"the store is in memory, and no route of the gateway has the endpoint limits for DELETE; add one with auth: required and a policy rbac, keep state in Redis with store.redis, or name"},
	} {
		got := call(t, nil, tt.args...)
		if got.code != tt.code || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%q: %+v, want %q", tt.args, got, tt.want)
		}
	}
}

// A limit's name is completed from the configuration.
func TestLimitsComplete(t *testing.T) {
	name := file(t, limitsConfig)
	for _, verb := range [][]string{{"limits"}, {"limits", "reset"}} {
		args := append([]string{cobra.ShellCompRequestCmd}, verb...)
		if got := call(t, nil, append(args, "-c", name, "--limit", "")...); got.stdout != "global\nuser\nkey\nrunning\n:4\n" {
			t.Errorf("%q: %+v", verb, got)
		}
	}
}

func TestResetAtTheGateway(t *testing.T) {
	const good = `{"forgotten":[{"limit":"global","key":"ip:192.0.2.1"},{"limit":"user","key":"ip:192.0.2.1"}],"store":"written","message":"m"}`
	for _, tt := range []struct {
		name   string
		status int
		answer string
		code   int
		want   string
	}{
		{"done", 200, good, exitOK, "forgot ip:192.0.2.1 of the limits global, user; by the gateway at URL at once, and by all that share its store within a second\n"},
		{"in memory", 200, strings.Replace(good, "written", "memory", 1), exitOK, ", which counts alone\n"},
		{"pending", 200, strings.Replace(good, "written", "pending", 1), exitFail, "yett: only the gateway at URL has forgotten ip:192.0.2.1 of the limits global, user: its store does not take it now"},
		{"not allowed", 403, `{}`, exitFail, "yett: nothing was reset: URL answers 403 "},
		{"refused", 400, `{"error":{"code":"BAD_REQUEST","message":"no good"}}`, exitFail, "nothing was reset: URL answers 400 BAD_REQUEST: no good\n"},
		{"no gateway", 200, `ok`, exitFail, "yett: it is not certain that all of it was reset: URL gives no answer of a gateway\n"},
		{"nothing forgotten", 200, `{"store":"written"}`, exitFail, "gives no answer of a gateway\n"},
	} {
		server, asked := gatewayStub(t, tt.status, tt.answer)
		server.Start()
		got := call(t, nil, "limits", "reset", "ip:192.0.2.1", "-c", limitsAt(t, server.Listener.Addr().String()), "--bearer", "b")
		want := strings.ReplaceAll(tt.want, "URL", server.URL+"/internal/limits")
		if got.code != tt.code || !strings.Contains(got.stdout+got.stderr, want) || strings.Count(got.stdout+got.stderr, "\n") != 1 {
			t.Errorf("%s: %+v, want %q", tt.name, got, want)
		}
		if want := "DELETE api.example.org /internal/limits?key=ip%3A192.0.2.1 [Bearer b] "; asked.String() != want {
			t.Errorf("%s: asked was %q", tt.name, asked)
		}
	}
}

// A secret stands in no address when the configuration says what its hash is.
func TestResetSendsNoSecret(t *testing.T) {
	server, asked := gatewayStub(t, 200, `{"forgotten":[{"limit":"key","key":"k"}],"store":"written"}`)
	server.Start()
	got := call(t, nil, "limits", "reset", "api_key=hunter2", "--limit", "key", "-c", limitsAt(t, server.Listener.Addr().String()))
	if got.code != exitOK || strings.Contains(asked.String(), "hunter2") || !strings.Contains(asked.String(), "?key=api_key%3A") || !strings.Contains(asked.String(), "&limit=key ") {
		t.Errorf("%+v, asked was %q", got, asked)
	}
}

// sharing is a Meter that counts in a store in Redis.
func sharing(t *testing.T, server *redistest.Server, password string) *meter.Meter {
	t.Helper()
	s, err := redis.Open(t.Context(), redis.Options{Address: server.Address, Password: password, Prefix: "yett:", Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	here := memory.New(memory.Options{})
	m := meter.New(meter.Options{Here: here, Log: slog.New(slog.DiscardHandler)})
	m.Share(s, nil)
	t.Cleanup(func() { m.Close(); s.Close(); here.Close() })
	return m
}

type nobody struct{}

func (nobody) Context() context.Context { return context.Background() }

// spend spends all of a limit, and tells whether there was something left.
func spend(m *meter.Meter, name, key string) bool {
	c := m.Call()
	defer m.End(c)
	rule := store.Rule{Limit: 3, Window: time.Hour}
	c.Claims = append(c.Claims, meter.Claim{Name: name, Key: key, Rule: rule, Cost: rule.Limit})
	m.Take(nobody{}, c, time.Now())
	return c.Claims[0].Verdict == meter.Fits
}

// With a store in Redis no gateway has to run, and those that do forget what they know by
// themselves too.
func TestResetInRedis(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "correct horse")
	m := sharing(t, server, "correct horse")
	keys := []struct {
		limit, key string
		forgotten  bool
	}{{"global", "ip:192.0.2.1", true}, {"user", "ip:192.0.2.1", true}, {"global", "ip:192.0.2.2", false}, {"user", "user:ann", false}}
	for _, k := range keys {
		if !spend(m, k.limit, k.key) || spend(m, k.limit, k.key) { // which the node remembers
			t.Fatal("the meter does not count")
		}
	}
	text := strings.Replace(limitsConfig, "PORT", "0", 1) + fmt.Sprintf("store: {redis: {host: 127.0.0.1, port: %d, password: correct horse}}\n", server.Port)
	got := call(t, nil, "limits", "reset", "ip:192.0.2.1", "-c", file(t, text))
	want := "forgot ip:192.0.2.1 of the limits global, user, key; all gateways of the store at " + server.Address + " follow within a second\n"
	if got.code != exitOK || got.stdout != want || got.stderr != "" {
		t.Errorf("%+v, want %q", got, want)
	}
	for _, k := range keys {
		free := false
		for until := time.Now().Add(5 * time.Second); k.forgotten && !free && time.Now().Before(until); time.Sleep(time.Millisecond) {
			free = spend(m, k.limit, k.key)
		}
		if !k.forgotten {
			free = spend(m, k.limit, k.key)
		}
		if free != k.forgotten {
			t.Errorf("%+v: free is %v", k, free)
		}
	}
}

func TestResetWithoutRedis(t *testing.T) {
	gone := redistest.Reserve(t)
	text := strings.Replace(limitsConfig, "PORT", "0", 1) + fmt.Sprintf("store: {redis: {host: 127.0.0.1, port: %d, password: correct horse}}\n", gone.Port)
	got := call(t, nil, "limits", "reset", "ip:192.0.2.1", "-c", file(t, text))
	if got.code != exitFail || strings.Count(got.stderr, "\n") != 1 || strings.Contains(got.stderr, "horse") ||
		!strings.Contains(got.stderr, "nothing was reset: the store at "+gone.Address+" can't be used: ") || !strings.Contains(got.stderr, "--url") {
		t.Errorf("%+v", got)
	}
}

// gated is a gateway with everything.
const gated = `
listeners: [{address: "127.0.0.1:0"}]
log: {access: {output: off}}
store: {redis: {host: "${REDIS_HOST:-}", port: "${REDIS_PORT:-6379}"}}
issuers: {main: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}}
roles: {admin: {level: 90}, clerk: {level: 10}}
limits: {global: {limit: 3, window: 1h, by: ip, for: anonymous}}
policies: {jwt: {}, ratelimit: {limits: [global]}}
routes:
  - {name: hi, path: /hi, auth: optional, policies: {respond: {text: hi}}}
  - {name: limits, path: /internal/limits, methods: [GET, DELETE], auth: required, policies: {rbac: {exact_role: admin}}, endpoint: limits}
`

// From the first request to the last: in memory and in Redis, through a running gateway.
func TestLimitsOfAGateway(t *testing.T) {
	server := redistest.Start(t)
	for _, tt := range []struct {
		name      string
		variables env
		head      string
	}{
		{"memory", nil, "counted on this node, since "},
		{"redis", env{"REDIS_HOST": "127.0.0.1", "REDIS_PORT": fmt.Sprint(server.Port)}, "counted in the store by 1 node, since "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := file(t, gated)
			a, err := app.New(app.Options{File: name, Env: config.MapEnv(tt.variables), Stdout: io.Discard, Stderr: t.Output()})
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = a.Stop(context.Background()) }()
			base := "http://" + a.Addr(0).String()
			status := func() int {
				resp, err := http.Get(base + "/hi")
				if err != nil {
					t.Fatal(err)
				}
				defer http.DefaultClient.CloseIdleConnections()
				_ = resp.Body.Close()
				return resp.StatusCode
			}
			for i := range 5 {
				if got, want := status(), map[bool]int{true: 200, false: 429}[i < 3]; got != want {
					t.Fatalf("request %d: %d, want %d", i, got, want)
				}
			}
			run := func(role string, args ...string) result {
				token := strings.TrimSpace(call(t, nil, "token", "mint", "-c", name, "--role", role).stdout)
				return call(t, env{"YETT_TOKEN": token}, append(args, "--url", base+"/internal/limits")...)
			}
			if got := run("clerk", "limits"); got.code != exitFail || !strings.Contains(got.stderr, "answers 403") {
				t.Errorf("%+v", got)
			}
			got := run("admin", "limits")
			if !strings.HasPrefix(got.stdout, tt.head) || !strings.Contains(got.stdout, "global  3        2        3 in 1h for each ip, of callers: anonymous\n") ||
				!strings.Contains(got.stdout, "global   ip:127.0.0.1  ########## 100%  3 of 3  2        ") {
				t.Errorf("%+v", got)
			}
			if got := run("admin", "limits", "reset", "ip:127.0.0.1"); got.code != exitOK || !strings.HasPrefix(got.stdout, "forgot ip:127.0.0.1 of the limit global; ") {
				t.Errorf("%+v", got)
			}
			if got := status(); got != 200 {
				t.Errorf("after the reset: %d", got)
			}
			if got := run("admin", "limits", "reset", "user:1"); got.code != exitFail || !strings.Contains(got.stderr, "The limit counts under no such key") {
				t.Errorf("%+v", got)
			}
		})
	}
}

// What explain says of limits comes from the store, or it says why not.
func TestExplainLimits(t *testing.T) {
	server := redistest.Start(t)
	m := sharing(t, server, "")
	gone := redistest.Reserve(t)
	name := file(t, gated)
	if !spend(m, "global", "ip:192.0.2.1") {
		t.Fatal("the meter does not count")
	}
	for _, tt := range []struct {
		name      string
		variables env
		ip, want  string
		note      string
	}{
		{"used up", env{"REDIS_HOST": "127.0.0.1", "REDIS_PORT": fmt.Sprint(server.Port)}, "192.0.2.1", "It is refused by the policy ratelimit with 429", ""},
		{"unused", env{"REDIS_HOST": "127.0.0.1", "REDIS_PORT": fmt.Sprint(server.Port)}, "192.0.2.2", "ip:192.0.2.2 has 3 in 1h, 3 left", ""},
		{"no store", env{"REDIS_HOST": "127.0.0.1", "REDIS_PORT": fmt.Sprint(gone.Port)}, "192.0.2.1", "It passes", "note       limits are shown as if nothing were used: the store at " + gone.Address + " can't be used: "},
		{"in memory", nil, "192.0.2.1", "It passes", "note       limits are shown as if nothing were used: the store is in memory, so only the running gateway knows more; yett limits asks it\n"},
	} {
		got := call(t, tt.variables, "explain", "-c", name, "GET", "/hi", "--ip", tt.ip)
		if got.code != exitOK || !strings.Contains(got.stdout, tt.want) || strings.Contains(got.stdout, "\nnote") != (tt.note != "") || !strings.Contains(got.stdout, tt.note) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

// A gateway that can't be asked at first is an error; one that restarts is waited for.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		down := errors.New("down")
		if err := watch(t.Context(), screen{to: &out}, func(context.Context) (string, error) { return "", down }); !errors.Is(err, down) {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		n, begin := 0, time.Now()
		err := watch(ctx, screen{to: &out}, func(context.Context) (string, error) {
			switch n++; n {
			case 2:
				return "", errors.New("down\x1b[2J")
			case 4:
				cancel()
				return "", ctx.Err()
			}
			return fmt.Sprintf("answer %d\n", n), nil
		})
		if want := "answer 1\ndown\uFFFD[2J\nanswer 3\n"; err != nil || out.String() != want || time.Since(begin) != 3*time.Second {
			t.Errorf("%v, %q after %v", err, out.String(), time.Since(begin))
		}
	})
}

// A table may have more rows than a limit lets pass, and looks at no store.
func TestTestIsNeverLimited(t *testing.T) {
	gone := redistest.Reserve(t)
	row := "  - {request: GET /hi, expect: {anonymous: pass, clerk: pass}}\n"
	table := "config: yett.yaml\ncallers: {clerk: {role: clerk}}\nenv: {REDIS_HOST: 127.0.0.1, REDIS_PORT: \"" + fmt.Sprint(gone.Port) + "\"}\ntests:\n" + strings.Repeat(row, 5)
	path := folder(t, map[string]string{"yett.yaml": gated, "access.yaml": table})
	if got := call(t, nil, "test", path("access.yaml")); got.code != exitOK || !strings.Contains(got.stdout, "ok, 10 rows") {
		t.Errorf("%+v", got)
	}
}
