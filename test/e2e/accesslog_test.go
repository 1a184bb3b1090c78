//go:build linux

package e2e

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Whatever becomes of a request, it leaves exactly one line.
func TestAccessLogHasOneLineForEach(t *testing.T) {
	backend := startApp(t)
	g := run(t, write(t, "yett.yaml", appConfig), "APP="+backend.URL)
	client := newClient(t)
	send(t, client, "GET", g.url+"/good?token=hunter2&page=3&plain", "", nil)
	send(t, client, "POST", g.url+"/upload", "twelve bytes", nil)
	send(t, client, "GET", g.url+"/%00", "", nil)
	sendRaw(t, g.addr, "GET /twohosts HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
	sendRaw(t, g.addr, "GET /nonsense HTTP/9.9\r\n\r\n")
	sendRaw(t, g.addr, "\x16\x03\x01 this is TLS\r\n\r\n")
	abort(t, g, backend, "/wait/aborted")
	g.waitLog("/wait/aborted")
	g.signal(sigterm)
	if code := g.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	log := g.log()
	var got []string
	for _, e := range log {
		got = append(got, strings.Join([]string{e.Method, e.Path, e.Reason}, " "))
		if !uuid4.MatchString(e.RequestID) {
			t.Errorf("%+v has no request ID", e)
		}
	}
	want := []string{
		"GET /good ", "POST /upload ", "GET /%00 bad_path", "GET /twohosts bad_host",
		"GET  bad_version", "  bad_request_line", "GET /wait/aborted client_gone",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("the access log tells of\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, e := range log {
		switch e.Path {
		case "/good":
			if e.Query != "token=***&page=***&***" || e.Status != 200 || e.BytesOut != 5 || e.Route != "app" || e.Service != "app" {
				t.Errorf("%+v", e)
			}
		case "/upload":
			if e.BytesIn != 12 {
				t.Errorf("12 bytes came in, and the log says %d", e.BytesIn)
			}
		case "/wait/aborted":
			if e.Status != 499 {
				t.Errorf("who leaves has status %d", e.Status)
			}
		}
	}
	if strings.Contains(g.stdout.String()+g.stderr.String(), "hunter2") {
		t.Error("a query value is in the logs")
	}
}

// sendRaw sends bytes and waits until the gateway closes the connection.
func sendRaw(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("after %q: %v", text, err)
	}
	return string(got)
}

// abort sends a request and leaves while the service works on it. The service
// notices.
func abort(t *testing.T, g *gateway, backend *app, path string) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", g.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	client := newClient(t)
	go func() {
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		failed <- err
	}()
	receive(t, backend.arrived, "the request at the service")
	leave()
	if err := receive(t, failed, "the end of the call"); !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
	receive(t, backend.left, "the service to hear that the caller has left")
}
