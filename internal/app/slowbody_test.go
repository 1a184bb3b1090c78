package app

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
)

// What a client says slowly holds no place that others wait for.
func TestSlowBodiesHoldNoPlaces(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200) }))
	defer up.Close()
	addr := serve(t, fmt.Sprintf(loginConf, up.URL, "path.user"))
	for range 5 { // the attacker, from any address
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "POST /login/victim HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\na")
	}
	got := ""
	for range 20 { // the gateway has met them all in one of these at the latest
		got = statusOf(t, addr, "POST /login/victim HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
		if !strings.Contains(got, "200") {
			break
		}
	}
	if !strings.Contains(got, "200") {
		t.Errorf("the victim: %s", got)
	}
}

const loginConf = `
listeners: [{address: "127.0.0.1:0", protocols: [http1, h2c]}]
services: {app: {targets: ["%s"]}}
limits: {login: {limit: 5, window: 1h, by: %s, counts: 400-499}}
policies: {ratelimit: {limits: [login]}}
routes: [{name: r, path: "/login/{user}", auth: none, service: app}]
`

func serve(t *testing.T, conf string) string {
	t.Helper()
	a, err := New(Options{File: "yett.yaml", Source: []byte(conf), Env: config.MapEnv(nil), Stdout: t.Output(), Stderr: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop(context.Background()) })
	return a.Addr(0).String()
}

func statusOf(t *testing.T, addr, head string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, head)
	_ = c.SetReadDeadline(time.Now().Add(15 * time.Second))
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line) + fmt.Sprint(err)
}
