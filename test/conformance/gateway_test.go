package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"yett/internal/app"
)

// conf is what a case changes in the configuration, as lines of YAML for one
// place of it each.
type conf struct {
	limits, timeouts string // of the listener
	service          string // of the service, such as its timeouts
	route            string // of the route to the service
	top              string // of the whole
}

const configuration = `
name: yett
listeners:
  - name: main
    address: "127.0.0.1:0"
    limits:
      connections: 1000
%s
%s
log:
  level: error
  access:
    output: stdout
    query: keep
    flush: 0s
policies:
  request_id: {}
services:
  origin:
    targets: ["http://%s"]
    host: client
    retries: {most: 0} # what is looked at is one try
    breaker: {mode: off}
%s
routes:
  - name: origin
    path: ["/**", "*"]
    auth: none
    service: origin
%s
  - name: ping
    path: /ping
    auth: none
    policies:
      respond:
        status: 200
        text: pong
%s
`

// quiet leaves out what the gateway tells a service about the client, so that
// the bytes that a service gets are the client's own.
const quiet = `
forwarded:
  x_forwarded: false
  gateway: false
`

func (c conf) yaml(origin string) string {
	top := c.top
	if !strings.Contains(top, "forwarded:") {
		top += quiet
	}
	return fmt.Sprintf(configuration, indent(6, c.limits), section("    timeouts:\n", indent(6, c.timeouts)), origin,
		indent(4, c.service), indent(4, c.route), top)
}

func section(name, lines string) string {
	if lines == "" {
		return ""
	}
	return name + lines
}

func indent(n int, lines string) string {
	if lines == "" {
		return ""
	}
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(lines, "\n", "\n"+pad)
}

// start runs a gateway in front of an origin. The access log ends when the
// gateway has stopped.
func start(t *testing.T, c conf, origin string) (*app.App, *accessLog) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "yett.yaml")
	if err := os.WriteFile(file, []byte(c.yaml(origin)), 0o600); err != nil {
		t.Fatal(err)
	}
	log := new(accessLog)
	own := new(errorLog)
	a, err := app.New(app.Options{File: file, Version: "test", Stdout: log, Stderr: own})
	if err != nil {
		t.Fatalf("%v\n%s", err, c.yaml(origin))
	}
	if err := a.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if text := own.String(); text != "" {
			t.Errorf("the gateway reports: %s", text)
		}
	})
	return a, log
}

// stop drains the gateway. Everything on it has ended by then, or the case
// has failed.
func stop(t *testing.T, a *app.App) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	begin := time.Now()
	if err := a.Stop(ctx); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("stopping took %v: something hangs", took)
	}
}

// accessLog gathers access log lines.
type accessLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *accessLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// line is what a case looks at.
type line struct {
	Status    int    `json:"status"`
	Reason    string `json:"reason"`
	Detail    string `json:"detail"`
	Path      string `json:"path"`
	RequestID string `json:"request_id"`
	Attempts  int    `json:"attempts"`
}

// lines returns what has been logged, without pings.
func (l *accessLog) lines(t *testing.T) []line {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []line
	dec := json.NewDecoder(&l.buf)
	for {
		var one line
		err := dec.Decode(&one)
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatalf("the access log is no JSON: %v", err)
		}
		if one.RequestID == "" {
			t.Errorf("a line without a request ID: %+v", one)
		}
		if one.Path != "/ping" {
			out = append(out, one)
		}
	}
}

// errorLog gathers the gateway's own log, which stays empty unless something
// is wrong with the gateway itself.
type errorLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *errorLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *errorLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
