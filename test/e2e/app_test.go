//go:build linux

package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// appConfig has one service behind everything.
const appConfig = `
listeners:
  - address: "127.0.0.1:${PORT:-0}"
shutdown:
  delay: ${DELAY:-0s}
  grace: ${GRACE:-10s}
policies:
  request_id:
services:
  app:
    targets: ["${APP}"]
routes:
  - {name: ready, path: /health/ready, auth: none, endpoint: ready}
  - {name: app, path: /**, auth: none, service: app}
`

// app is a service whose requests to /wait/... tell that they have arrived and
// then wait until they are released or given up.
type app struct {
	*httptest.Server
	arrived, left chan string
	release       chan struct{}
}

func startApp(t *testing.T) *app {
	t.Helper()
	a := &app{arrived: make(chan string, 10), left: make(chan string, 10), release: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "hello")
	})
	mux.HandleFunc("/wait/", func(w http.ResponseWriter, r *http.Request) {
		a.arrived <- r.URL.Path
		select {
		case <-a.release:
			_, _ = io.WriteString(w, "released")
		case <-r.Context().Done():
			a.left <- r.URL.Path
		}
	})
	a.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

// receive waits for a value of a channel.
func receive[T any](t *testing.T, from <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

// eventually tries until it succeeds.
func eventually(t *testing.T, what string, try func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !try() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
