package app

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/telemetry"
)

const statsConf = `
name: api
listeners: [{address: "127.0.0.1:0", protocols: [http1, h2c]}]
log: {access: {output: off}}
services:
  bad: {targets: ["%s"], breaker: {consecutive_failures: 2, open_for: 1h, open_most: 1h}, retries: {most: 0}}
  good: {targets: ["%[1]s"]}
  plain: {targets: ["%[1]s"], breaker: {mode: off}}
limits: {few: {limit: 1, window: 1h, by: ip}}
routes:
  - {name: bad, path: /bad, auth: none, service: bad}
  - {name: good, path: /good, auth: none, service: good}
  - {name: plain, path: /plain, auth: none, service: plain, policies: {ratelimit: {limits: [few]}}}
`

// What monit shows is there: counts, limits with those they refused, breakers as they stand.
func TestStats(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(500)
		}
		_, _ = w.Write([]byte("0123456789"))
	}))
	defer up.Close()
	a, err := New(Options{File: "yett.yaml", Source: fmt.Appendf(nil, statsConf, up.URL), Env: config.MapEnv(nil), Stdout: t.Output(), Stderr: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Stop(context.Background()) }()
	c, err := net.Dial("tcp", a.Addr(0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for _, path := range []string{"/bad", "/bad", "/good", "/plain", "/plain"} {
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Write(t.Output()); err != nil {
			t.Fatal(err)
		}
	}
	s := settled(t, a, 5)
	if want := [6]uint64{2: 2, 4: 1, 5: 2}; s.Classes != want || s.Failed != 2 || s.InFlight != 0 || s.BytesOut < 40 {
		t.Errorf("%+v", s)
	}
	if want := []telemetry.BreakerStats{{Service: "bad", State: "OPEN"}, {Service: "good", State: "CLOSED"}}; !reflect.DeepEqual(s.Breakers, want) {
		t.Errorf("breakers %+v", s.Breakers)
	}
	if want := []telemetry.LimitStats{{Name: "few", Allowed: 1, Refused: 1, Keys: 1}}; !reflect.DeepEqual(s.Limits, want) {
		t.Errorf("limits %+v", s.Limits)
	}
	if s.Refused["rate_limited"] != 1 || len(s.Observed) != 0 {
		t.Errorf("refused %v, observed %v", s.Refused, s.Observed)
	}
	if u := a.Usage(); u.Connections != 1 || u.CPU <= 0 || u.Memory < 1<<20 {
		t.Errorf("%+v", u)
	}
	if n := a.logs.Dropped(); n != 0 {
		t.Errorf("%d lines dropped", n)
	}
}

// settled returns the stats when so many requests are over: a client has its answer a moment
// before its request is counted.
func settled(t *testing.T, a *App, requests uint64) telemetry.Stats {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s, err := a.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.Requests == requests {
			return s
		}
		if time.Now().After(until) {
			t.Fatalf("%+v", s)
		}
	}
}
