package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/control"
)

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

// platform is a gateway before services that a test has made, with its configuration in a file.
type platform struct {
	*App
	t         *testing.T
	dir, file string
	services  *httptest.Server
	vars      map[string]string
	log       *output
	client    *http.Client
	hold      chan struct{} // closed when held requests may end
	held      chan struct{} // of each held request
}

// header begins all configurations of these tests.
const header = "listeners: [{address: \"127.0.0.1:0\"}]\nlog: {access: {output: off}}\n"

// launch runs a gateway with a configuration, in which SERVICES is the address of the services.
func launch(t *testing.T, text string, change ...func(*Options)) *platform {
	t.Helper()
	p := &platform{t: t, dir: t.TempDir(), vars: make(map[string]string), log: new(output), hold: make(chan struct{}), held: make(chan struct{}, 100)}
	p.services = httptest.NewServer(http.HandlerFunc(p.serve))
	p.file = filepath.Join(p.dir, "yett.yaml")
	p.write(text)
	o := Options{File: p.file, Version: "test", Stdout: io.Discard, Stderr: p.log, Env: config.MapEnv(p.vars)}
	for _, f := range change {
		f(&o)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	p.App = a
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.client = &http.Client{Transport: &http.Transport{}, Timeout: patience}
	var released sync.Once
	t.Cleanup(func() {
		released.Do(func() { close(p.hold) })
		p.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Error(err)
		}
		p.services.CloseClientConnections()
		p.services.Close()
		if t.Failed() {
			t.Log(p.log)
		}
	})
	return p
}

// serve is what the services do: by the last part of the path.
func (p *platform) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:] {
	case "hold": // answers when it may
		p.held <- struct{}{}
		<-p.hold
		fmt.Fprint(w, "held")
	case "fail":
		w.WriteHeader(500)
	case "events":
		for {
			if _, err := fmt.Fprintf(w, "data: %s\n\n", time.Now()); err != nil || r.Context().Err() != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	case "tunnel":
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(c, rw)
	default:
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%s %d %s", r.URL.Path, n, r.Header.Get("X-Gateway"))
	}
}

// whole puts the services into a configuration.
func (p *platform) whole(text string) string {
	return strings.ReplaceAll(text, "SERVICES", p.services.URL)
}

func (p *platform) write(text string) {
	p.t.Helper()
	if err := os.WriteFile(p.file, []byte(p.whole(text)), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// reload has the configuration taken, which must be right.
func (p *platform) reload(text string) control.Outcome {
	p.t.Helper()
	p.write(text)
	out, err := p.Reload(p.t.Context(), control.Proposal{})
	if err != nil || !out.Applied {
		p.t.Fatalf("it was refused: %v, %+v", err, out)
	}
	return out
}

// refuse has the configuration refused, and returns why.
func (p *platform) refuse(text string) string {
	p.t.Helper()
	before, _ := p.control.Current()
	p.write(text)
	out, err := p.Reload(p.t.Context(), control.Proposal{})
	if err != nil || out.Applied || len(out.Problems) == 0 && out.Refused == "" {
		p.t.Fatalf("it was not refused: %v, %+v", err, out)
	}
	after, refused := p.control.Current()
	if after != before || refused == nil {
		p.t.Errorf("%+v runs after %+v, refused is %+v", after, before, refused)
	}
	return strings.Join(refused.Why, "\n")
}

func (p *platform) url(path string) string { return "http://" + p.Addr(0).String() + path }

// get returns the status and the body of an answer.
func (p *platform) get(path string, fields ...string) (int, string) {
	p.t.Helper()
	resp, body := p.ask(p.client, p.url(path), fields...)
	return resp.StatusCode, body
}

func (p *platform) ask(client *http.Client, url string, fields ...string) (*http.Response, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), "GET", url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp, string(body)
}

// want asks for a path and wants that answer.
func (p *platform) want(path string, status int, body string, fields ...string) {
	p.t.Helper()
	if code, got := p.get(path, fields...); code != status || !strings.Contains(got, body) {
		p.t.Errorf("%s: %d %s, want %d %s", path, code, got, status, body)
	}
}

// tunnel is a connection through the gateway that echoes.
type tunnel struct {
	net.Conn
	r *bufio.Reader
}

func (p *platform) tunnel(path string) *tunnel {
	p.t.Helper()
	c, err := net.Dial("tcp", p.Addr(0).String())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * patience))
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path)
	tu := &tunnel{c, bufio.NewReader(c)}
	resp, err := http.ReadResponse(tu.r, nil)
	if err != nil || resp.StatusCode != 101 {
		p.t.Fatalf("no tunnel: %v, %+v", err, resp)
	}
	return tu
}

// echo sends a line and returns whether it came back.
func (tu *tunnel) echo() error {
	if _, err := io.WriteString(tu, "hello\n"); err != nil {
		return err
	}
	line, err := tu.r.ReadString('\n')
	if err == nil && line != "hello\n" {
		return fmt.Errorf("got %q", line)
	}
	return err
}

// events is an answer without an end.
type events struct {
	body io.ReadCloser
	r    *bufio.Reader
}

func (p *platform) events(path string) *events {
	p.t.Helper()
	resp, err := (&http.Client{Transport: &http.Transport{}}).Get(p.url(path))
	if err != nil || resp.StatusCode != 200 {
		p.t.Fatalf("no events: %v, %+v", err, resp)
	}
	p.t.Cleanup(func() { _ = resp.Body.Close() })
	return &events{resp.Body, bufio.NewReader(resp.Body)}
}

func (e *events) next() error {
	for {
		line, err := e.r.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "data: ") {
			return err
		}
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// connState counts connections of clients.
func connState(n *atomic.Int64) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			n.Add(1)
		}
	}
}
