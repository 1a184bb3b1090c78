package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/admin"
	"yett/internal/config"
	"yett/internal/store/redis/redistest"
)

const servicesAnswer = `{"timestamp":"2026-01-02T03:04:00.000Z","services":[
{"name":"auth","breaker":{"state":"CLOSED","failures":1,"successes":0,"nextAttempt":null,"mode":"enforce","trips":0},
 "requests":1000,"failures":3,"refused":0,"fallbacks":0,"retries":4,"hedges":0,"budgetLeft":196,"inFlight":3,"waiting":0,"limit":0,"idleConnections":1,
 "p50Ms":1.234,"p99Ms":98.76,"recent":500,"targets":[
 {"name":"10.0.0.1:3001","state":"up","weight":1,"inFlight":2,"failures":0,"p50Ms":1.2,"p99Ms":97,"recent":250},
 {"name":"10.0.0.2:3001","state":"ejected","cause":"5 failures in a row","until":"2026-01-02T03:04:12.000Z","weight":3,"inFlight":1,"failures":5,"recent":0},
 {"name":"10.0.0.3:3001","state":"down","cause":"check: status 500","weight":1,"inFlight":0,"failures":2,"recent":0,"checked":"2026-01-02T03:03:57.000Z"},
 {"name":"10.0.0.4:3001","state":"warming","weight":1,"inFlight":0,"failures":0,"recent":0},
 {"name":"10.0.0.5:3001","state":"draining","weight":1,"inFlight":0,"failures":0,"recent":0}]},
{"name":"tickets","breaker":{"state":"OPEN","failures":5,"successes":0,"nextAttempt":"2026-01-02T03:04:18.000Z","mode":"enforce","since":"2026-01-02T03:03:48.000Z","cause":"half of 20 requests failed","trips":1},
 "requests":40,"failures":10,"refused":20,"fallbacks":0,"retries":0,"hedges":0,"budgetLeft":3,"inFlight":8,"waiting":12,"limit":8,"idleConnections":0,"recent":0,"targets":[
 {"name":"evil\u001b[2J","state":"up","weight":1,"inFlight":8,"failures":9,"recent":0}]},
{"name":"crm","breaker":{"state":"HALF_OPEN","failures":0,"successes":1,"nextAttempt":null,"mode":"enforce","since":"2026-01-02T03:03:58.000Z","cause":"5 failures in a row","trips":1},
 "requests":0,"failures":0,"refused":0,"fallbacks":0,"retries":0,"hedges":0,"budgetLeft":0,"inFlight":0,"waiting":0,"limit":10,"idleConnections":0,"recent":0,"targets":[]},
{"name":"plain","breaker":null,
 "requests":0,"failures":0,"refused":0,"fallbacks":0,"retries":0,"hedges":0,"budgetLeft":0,"inFlight":0,"waiting":0,"limit":0,"idleConnections":0,"recent":0,"targets":[]}]}`

// Each service has its targets below, words say why and until when, and nobody moves the cursor.
const servicesShown = `SERVICE                   STATE      IN FLIGHT           P50     P99     REQUESTS  FAILED  REFUSED  RETRIES
auth                      closed     3                   1.23ms  98.8ms  1000      3       0        4 (196 left)
                          1 failure in a row
  10.0.0.1:3001           up         2                   1.2ms   97ms
  10.0.0.2:3001 weight=3  ejected    1                   -       -       ejected for 12s more: 5 failures in a row
  10.0.0.3:3001           down       0                   -       -       down: check: status 500; checked 3s ago
  10.0.0.4:3001           warming    0                   -       -       gets a growing share since its return
  10.0.0.5:3001           draining   0                   -       -       gets no more requests
tickets                   OPEN       8 of 8, 12 waiting  -       -       40        10      20       0 (3 left)
                          open for 12s: half of 20 requests failed; tried again in 18s
  evil` + "\uFFFD" + `[2J                up         8                   -       -       9 failures in a row
crm                       HALF OPEN  0 of 10             -       -       0         0       0        0 (0 left)
                          being tried for 2s: 5 failures in a row; 1 succeeded
plain                     -          0                   -       -       0         0       0        0 (0 left)
`

func TestServicesText(t *testing.T) {
	var page admin.ServicesPage
	if err := json.Unmarshal([]byte(servicesAnswer), &page); err != nil {
		t.Fatal(err)
	}
	if got := servicesText(&page); got != servicesShown {
		t.Errorf("got\n%s\nwant\n%s", got, servicesShown)
	}
	page.Services[3].Panic = true
	const panics = "                          too few targets are well: all are used (panic)\n"
	if got := servicesText(&page); got != servicesShown+panics {
		t.Errorf("got\n%s\nwant at the end\n%s", got, panics)
	}
	page = admin.ServicesPage{Services: page.Services[:1], Mirrors: []admin.MirrorPage{{Route: "orders", Service: "next\x1b", Sent: 10, Failed: 2, LeftOut: 3, Unfit: 4, InFlight: 1}}}
	if got, want := servicesText(&page), "copies of orders for next\uFFFD: 10 sent, 2 of them failed, 1 in flight; 3 left out because too many were, 4 can't be copied\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant at its end\n%s", got, want)
	}
	if got := servicesText(&admin.ServicesPage{}); got != "there are no services in its configuration\n" {
		t.Errorf("without services: %q", got)
	}
}

// What a breaker and a target are is said in words. The moment is the gateway's.
func TestServicesWords(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339Nano) }
	soon, gone := at(90*time.Second), at(-time.Second)
	words := &servicesTable{now: now}
	for _, tt := range []struct {
		breaker     *admin.BreakerPage
		state, want string
	}{
		{nil, "-", ""},
		{&admin.BreakerPage{State: "CLOSED", Failures: 2}, "closed", "2 failures in a row"},
		{&admin.BreakerPage{State: "OPEN", NextAttempt: &soon, Since: at(-2 * time.Hour)}, "OPEN", "open for 2h; tried again in 1m30s"},
		{&admin.BreakerPage{State: "OPEN", NextAttempt: &gone, Cause: "c"}, "OPEN", "open: c; the next request tries it"},
		{&admin.BreakerPage{State: "OPEN", Held: "open", Cause: "opened by hand (ann)", NextAttempt: &soon}, "OPEN", "held open until it is reset: opened by hand (ann)"},
		{&admin.BreakerPage{State: "OPEN", Held: "open", HeldUntil: soon}, "OPEN", "held open for 1m30s more"},
		{&admin.BreakerPage{State: "CLOSED", Held: "closed", HeldUntil: at(25*time.Hour + 29*time.Second)}, "closed", "held closed for 25h more"},
		{&admin.BreakerPage{State: "OPEN", Mode: "observe", Cause: "c"}, "open", "only observes; open: c"},
		{&admin.BreakerPage{State: "HALF_OPEN", Mode: "observe"}, "half open", "only observes; being tried; 0 succeeded"},
		{&admin.BreakerPage{State: "CLOSED", Mode: "observe"}, "closed", "only observes"},
	} {
		if state, got := breakerState(tt.breaker), words.breakerWords(tt.breaker); state != tt.state || got != tt.want {
			t.Errorf("%+v: %q %q, want %q %q", tt.breaker, state, got, tt.state, tt.want)
		}
	}
	for _, tt := range []struct {
		target admin.TargetPage
		want   string
	}{
		{admin.TargetPage{State: "up"}, ""},
		{admin.TargetPage{State: "up", Failures: 1}, "1 failure in a row"},
		{admin.TargetPage{State: "ejected", Cause: "slow", Until: gone}, "ejected: slow"},
		{admin.TargetPage{State: "down", Checked: gone}, "down; checked 1s ago"},
		{admin.TargetPage{State: "down", Cause: "c"}, "down: c"},
		{admin.TargetPage{State: "down", Cause: "c", Note: "n"}, "down: c; n"},
		{admin.TargetPage{State: "up", Note: "n"}, "n"},
		{admin.TargetPage{State: "unknown", Cause: "can't be looked up: no such host"}, "can't be looked up: no such host"},
	} {
		if got := words.targetWords(&tt.target); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.target, got, tt.want)
		}
	}
}

func TestLatencyText(t *testing.T) {
	for ms, want := range map[float64]string{0: "0s", 0.001: "1µs", 0.0456: "45.6µs", 1.2345: "1.23ms", 12.345: "12.3ms", 999.94: "1s", 2345: "2.35s", 61234: "1m1.2s"} {
		if got := latencyText(&ms); got != want {
			t.Errorf("%v: %q, want %q", ms, got, want)
		}
	}
	if got := latencyText(nil); got != "-" {
		t.Errorf("nothing is %q", got)
	}
}

// servicesConfig has a page for services, as far as reading it goes.
const servicesConfig = `
listeners: [{address: "127.0.0.1:PORT"}]
services:
  auth: {targets: ["http://127.0.0.1:1"]}
  tickets: {targets: ["http://127.0.0.1:1"]}
routes:
  - {name: r, host: api.example.org, path: /internal/services, methods: [GET, POST], auth: required, endpoint: services}
  - {name: a, path: /a, auth: none, service: auth}
  - {name: t, path: /t, auth: none, service: tickets}
`

// servicesAt is a configuration with that gateway.
func servicesAt(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, strings.Replace(servicesConfig, "PORT", port, 1))
}

func TestServicesAtTheGateway(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		answer string
		code   int
		want   string
	}{
		{"shown", 200, servicesAnswer, exitOK, "tickets                   OPEN "},
		{"not known", 401, `{"error":{"code":"TOKEN_EXPIRED"}}`, exitFail, "yett: nothing can be shown: http://URL answers 401 TOKEN_EXPIRED; the access token of --bearer or YETT_TOKEN is no good\n"},
		{"not allowed", 403, `{"error":{"code":"NO"}}`, exitFail, "answers 403 NO; the access token has to be of a caller"},
		{"no such page", 404, `<html>`, exitFail, "answers 404 ; there is no endpoint services\n"},
		{"limited", 429, `{"error":{"code":"RATE_LIMIT_EXCEEDED","message":"Too many requests"}}`, exitFail, "answers 429 RATE_LIMIT_EXCEEDED: Too many requests\n"},
		{"another page", 200, `{}`, exitFail, "gives no answer of a gateway\n"},
		{"no gateway", 200, `<html>`, exitFail, "gives no answer of a gateway\n"},
	} {
		server, asked := gatewayStub(t, tt.status, tt.answer)
		server.Start()
		got := call(t, env{"YETT_TOKEN": "secret-token"}, "services", "tickets", "-c", servicesAt(t, server.Listener.Addr().String()))
		want := strings.ReplaceAll(tt.want, "URL", server.Listener.Addr().String()+"/internal/services")
		if got.code != tt.code || !strings.Contains(got.stdout+got.stderr, want) || strings.ContainsAny(got.stdout+got.stderr, "\x1b") || strings.Contains(got.stdout+got.stderr, "secret-token") {
			t.Errorf("%s: %+v, want %q", tt.name, got, want)
		}
		if want := "GET api.example.org /internal/services?service=tickets [Bearer secret-token] "; asked.String() != want {
			t.Errorf("%s: asked was %q", tt.name, asked)
		}
	}
}

// Whoever names the gateway instead of its page learns that, with an example at that gateway.
func TestServicesAtAnotherURL(t *testing.T) {
	for _, tt := range []struct {
		path, answer string
		status       int
		args         []string
		want         string
	}{
		{"", "<html>", 200, []string{"services"}, "yett: nothing can be shown: URL gives no answer of a gateway; --url is the address of the page itself, the path of the route that has the endpoint services included, such as URL/internal/services\n"},
		{"/", `{}`, 404, []string{"services"}, "yett: nothing can be shown: URL/ answers 404 ; there is no endpoint services; --url is the address of the page itself, the path of the route that has the endpoint services included, such as URL/internal/services\n"},
		{"/health", `{"status":"healthy"}`, 200, []string{"services"}, "such as URL/internal/services\n"},
		{"/internal/services", `{}`, 404, []string{"services"}, "such as http://localhost:3000/internal/services\n"},
		{"", `ok`, 200, []string{"breaker", "open", "app"}, "yett: it is not certain that anything was changed: URL gives no answer of a gateway; --url is the address of the page itself, the path of the route that has the endpoint services included, such as URL/internal/services\n"},
		{"", `ok`, 200, []string{"limits"}, "has the endpoint limits included, such as URL/internal/limits\n"},
	} {
		server, _ := gatewayStub(t, tt.status, tt.answer)
		server.Start()
		got := call(t, nil, append(tt.args, "--url", server.URL+tt.path)...)
		if want := strings.ReplaceAll(tt.want, "URL", server.URL); got.code != exitFail || !strings.HasSuffix(got.stderr, want) {
			t.Errorf("%q at %q: %+v, want %q", tt.args, tt.path, got, want)
		}
	}
}

func TestServicesJSON(t *testing.T) {
	server, asked := gatewayStub(t, 200, servicesAnswer)
	server.Start()
	got := call(t, nil, "services", "--url", server.URL, "--json")
	var page, want any
	if err := errors.Join(json.Unmarshal([]byte(got.stdout), &page), json.Unmarshal([]byte(servicesAnswer), &want)); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(page) != fmt.Sprint(want) || !strings.HasPrefix(got.stdout, "{\n  \"timestamp\"") || strings.Contains(asked.String(), "?") {
		t.Errorf("%+v, asked was %q", got, asked)
	}
}

// watching ends the verb when it has written so many lines.
type watching struct {
	output
	lines int
	end   context.CancelFunc
}

func (w *watching) Write(b []byte) (int, error) {
	n, err := w.output.Write(b)
	if strings.Count(w.String(), "\n") >= w.lines {
		w.end()
	}
	return n, err
}

// With --json each answer is one line, until it is stopped.
func TestServicesWatch(t *testing.T) {
	server, _ := gatewayStub(t, 200, servicesAnswer)
	server.Start()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &watching{lines: 2, end: cancel}
	var stderr output
	code := Main(ctx, Process{Args: []string{"services", "--url", server.URL, "--json", "--watch"}, Stdout: out, Stderr: &stderr, Env: config.MapEnv(nil)})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if code != exitOK || len(lines) != 2 || !json.Valid([]byte(lines[0])) || lines[0] != lines[1] || stderr.String() != "" {
		t.Errorf("%d, %q, %q", code, out.String(), stderr.String())
	}
}

func TestServicesMisused(t *testing.T) {
	nobody := redistest.Reserve(t)
	at := servicesAt(t, nobody.Address)
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"services", "auth", "tickets"}, exitUsage, "one service is shown, or all of them"},
		{[]string{"services", ""}, exitUsage, "the name of the service is empty"},
		{[]string{"services", "ticket", "-c", at}, exitFail, `there is no service "ticket", did you mean "tickets"?`},
		{[]string{"services", "billing", "-c", at}, exitFail, `there is no service "billing", known here: auth, tickets`},
		{[]string{"services", "-c", at}, exitFail, "nobody listens at http://" + nobody.Address + "/internal/services; start the gateway, or name another address with --url"},
		{[]string{"services", "-c", file(t, small)}, exitFail, "only a running gateway knows how its services are, and no route of the gateway has the endpoint services for GET; add one with auth: required and a policy rbac, or name"},
		{[]string{"services", "-c", file(t, wrong)}, exitFail, "1 problem; nobody was asked"},
		{[]string{"breaker", "opne", "tickets"}, exitUsage, `did you mean "open"?`},
		{[]string{"breaker", "opn", "tickets", "--url", "http://x/y"}, exitUsage, `yett: there is no command "opn"; did you mean "open"?`},
		{[]string{"breaker", "opn", "tickets", "--for=10m"}, exitUsage, `yett: there is no command "opn"; did you mean "open"?`},
		{[]string{"limits", "rest", "--bearer", "b"}, exitUsage, `yett: there is no command "rest"; did you mean "reset"?`},
		{[]string{"servces", "--url", "http://x/y"}, exitUsage, `yett: there is no command "servces"; did you mean "services"?`},
		{[]string{"breaker", "--nope"}, exitUsage, "yett: unknown flag: --nope"},
		{[]string{"breaker", "open", "tickets", "--nope"}, exitUsage, "yett: unknown flag: --nope"},
		{[]string{"breaker", "open"}, exitUsage, "name the service, as yett services shows it"},
		{[]string{"breaker", "open", ""}, exitUsage, "name the service"},
		{[]string{"breaker", "open", "auth", "tickets"}, exitUsage, "one breaker is switched at a time"},
		{[]string{"breaker", "open", "auth", "--for", "10"}, exitUsage, "--for is no duration such as 10m: add a unit: 10s for seconds"},
		{[]string{"breaker", "close", "auth", "--for", ""}, exitUsage, "--for is no duration such as 10m"},
		{[]string{"breaker", "open", "auth", "--for", "721h"}, exitUsage, "--for is not from 1s to 720h"},
		{[]string{"breaker", "reset", "auth", "--for", "10m"}, exitUsage, "unknown flag: --for"},
		{[]string{"breaker", "open", "ticket", "-c", at}, exitFail, `there is no service "ticket", did you mean "tickets"?`},
		{[]string{"breaker", "open", "tickets", "-c", at}, exitFail, "nothing was changed: nobody listens at"},
		{[]string{"breaker", "open", "tickets", "-c", file(t, strings.Replace(servicesConfig, "[GET, POST]", "GET", 1))}, exitFail, "no route of the gateway has the endpoint services for POST; add one"},
	} {
		got := call(t, nil, tt.args...)
		if got.code != tt.code || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%q: %+v, want %q", tt.args, got, tt.want)
		}
	}
	if got := call(t, nil, "breaker"); got.code != exitOK || !strings.Contains(got.stdout, "reset") {
		t.Errorf("%+v", got)
	}
}

// A service's name is completed from the configuration.
func TestServicesComplete(t *testing.T) {
	name := file(t, servicesConfig)
	for _, verb := range [][]string{{"services"}, {"breaker", "open"}, {"breaker", "reset"}} {
		args := append([]string{cobra.ShellCompRequestCmd}, verb...)
		if got := call(t, nil, append(args, "-c", name, "")...); got.stdout != "auth\ntickets\n:4\n" {
			t.Errorf("%q: %+v", verb, got)
		}
		if got := call(t, nil, append(args, "-c", name, "auth", "")...); got.stdout != ":4\n" {
			t.Errorf("%q: a second one: %+v", verb, got)
		}
	}
}
