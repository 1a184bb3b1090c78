//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// D33, D34, D35, D37: bodies pass byte for byte, whatever their type and method,
// while the caller is verified.
func TestD33BodiesPassByteForByte(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	var form bytes.Buffer
	upload := multipart.NewWriter(&form)
	file, err := upload.CreateFormFile("file", "scan.bin")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(bytes.Repeat([]byte{0, 1, 2, 0xff, '\r', '\n'}, 100_000))
	upload.Close()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(z, `{"name":"zipped"}`)
	z.Close()
	const odd = `{"big":12345678901234567890, "one":1.0 ,"a":1,"a":2,"e":1E+2,"u":"\u00fc\/"}` // D35: nothing of it survives being parsed
	for _, tt := range []struct{ name, method, kind, coding, body string }{
		{"text", "POST", "text/plain", "", "just words"},
		{"XML", "PUT", "application/xml", "", "<ticket/>"},
		{"bytes", "PATCH", "application/octet-stream", "", string(bytes.Repeat([]byte{0, 0xff}, 50_000))},
		{"a file", "POST", upload.FormDataContentType(), "", form.String()},
		{"D34: a form", "POST", "application/x-www-form-urlencoded", "", "a=1&b=%20+&a=2"},
		{"D34: gzip", "POST", "application/json", "gzip", zipped.String()},
		{"D35: JSON as it was signed", "POST", "application/json", "", odd},
		{"D35: JSON that is none", "POST", "application/json", "", `{"a":`},
		{"nothing", "POST", "application/json", "", ""},
		{"D37: DELETE with a body", "DELETE", "application/json", "", `{"ids":[1,2,3]}`},
		{"GET with a body", "GET", "application/json", "", `{"q":1}`},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, ", chunked ", chunked), func(t *testing.T) {
				var body io.Reader = strings.NewReader(tt.body)
				if chunked {
					body = struct{ io.Reader }{body} // whose length nobody knows
				}
				req, err := http.NewRequestWithContext(t.Context(), tt.method, s.url+"/api/v1/tickets/7/files", body)
				if err != nil {
					t.Fatal(err)
				}
				req.Header = as(tokenOf(t, "technician"))
				req.Header.Set("Content-Type", tt.kind)
				if tt.coding != "" {
					req.Header.Set("Content-Encoding", tt.coding)
				}
				resp, err := s.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				got := reached(t, answer{resp, string(text)})
				if string(got.Body) != tt.body || got.Method != tt.method {
					t.Errorf("%s of %d bytes came as %s of %d: %.100q", tt.method, len(tt.body), got.Method, len(got.Body), got.Body)
				}
				if got.Header.Get("Content-Type") != tt.kind || got.Header.Get("Content-Encoding") != tt.coding || got.Header.Get("X-User-ID") != "u-technician" {
					t.Errorf("its headers came as %v", got.Header)
				}
			})
		}
	}
}

// rawService takes one request after the other, as bytes, and answers each
// with nothing.
func rawService(t *testing.T) (url string, heads <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got := make(chan string, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go takeRequests(conn, got)
		}
	}()
	return "http://" + l.Addr().String(), got
}

// takeRequests reads requests whose bodies have a length or chunks.
func takeRequests(conn net.Conn, got chan<- string) {
	defer conn.Close()
	var seen bytes.Buffer
	in := bufio.NewReader(io.TeeReader(conn, &seen))
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		head, _, _ := strings.Cut(seen.String(), "\r\n\r\n")
		seen.Reset()
		if !strings.HasPrefix(head, "GET /openapi.json ") { // which the gateway asks for by itself
			got <- head
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n")
	}
}

// D36: a body has one length on its way to the service, and what concerns one
// connection stays there (D38).
func TestD36OneLength(t *testing.T) {
	t.Parallel()
	url, heads := rawService(t)
	s := setStage(t, nil, "CRM_SERVICE_URL="+url)
	post := "POST /api/v1/customers HTTP/1.1\r\nHost: h\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n" +
		"Authorization: Bearer " + tokenOf(t, "technician") + "\r\nContent-Type: application/json\r\n"
	for name, text := range map[string]string{
		"chunked":       post + "Transfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n",
		"many chunks":   post + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 200) + "0\r\n\r\n",
		"with a length": post + "Content-Length: 7\r\n\r\n{\"a\":1}",
		"with nothing":  post + "Content-Length: 0\r\n\r\n",
	} {
		resp, _ := sendOne(t, s.addr, text)
		if resp.StatusCode != 204 || resp.Header.Get("Keep-Alive") != "" {
			t.Errorf("%s: status %d, %v", name, resp.StatusCode, resp.Header)
		}
		head := receive(t, heads, "the request at the service")
		lower := strings.ToLower(head)
		if n := strings.Count(lower, "\r\ncontent-length:") + strings.Count(lower, "\r\ntransfer-encoding:"); n != 1 {
			t.Errorf("%s: there are %d lengths in\n%s", name, n, head)
		}
		for _, field := range []string{"x-mine", "keep-alive", "te", "connection"} {
			if strings.Contains(lower, "\r\n"+field+":") {
				t.Errorf("%s: %s went to the service in\n%s", name, field, head)
			}
		}
	}
}

// D38: connections to services are used again, by whoever calls.
func TestD38ConnectionsAreReused(t *testing.T) {
	t.Parallel()
	closes := func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }
	s := setStage(t, map[string]http.HandlerFunc{"/api/v1/customers/closes": closes})
	// Asking for the service's document is a request of the gateway's own, and may take a connection beside the first one of a client.
	s.stderr.wait(t, "the document of crm", func(line string) bool {
		return strings.Contains(line, "can't be had") && strings.Contains(line, `"service":"crm"`)
	})
	for i := range 10 {
		reached(t, s.ask(t, "POST", "/api/v1/customers", tokenOf(t, []string{"technician", "customer_user"}[i%2])))
	}
	if n := s.stubs["crm"].conns.Load(); n != 1 {
		t.Errorf("%d connections for 10 requests", n)
	}
	if got := s.ask(t, "GET", "/api/v1/customers/closes", tokenOf(t, "technician")).want(t, 200); got.Close {
		t.Error("the service's Connection: close has reached the client")
	}
}

// D39: a service is told who the client is, by what is known of the
// connection and not by what the client says.
func TestD39ServicesKnowTheClient(t *testing.T) {
	t.Parallel()
	s := setStage(t, nil)
	got := reached(t, s.ask(t, "POST", "/api/v1/auth/login", "", "X-Forwarded-For", "203.0.113.9, 10.0.0.1", "X-Forwarded-Proto", "https",
		"X-Forwarded-Host", "evil.example", "X-Real-IP", "203.0.113.9", "Forwarded", "for=203.0.113.9"))
	for name, want := range map[string][]string{
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {s.addr}, "X-Real-Ip": nil, "Forwarded": nil,
	} {
		if values := got.Header.Values(name); !slices.Equal(values, want) {
			t.Errorf("%s is %q, want %q", name, values, want)
		}
	}
}

// D41: WebSockets pass for who is known, and tell the service who that is.
func TestD41WebSocketsPass(t *testing.T) {
	t.Parallel()
	opened := make(chan http.Header, 1)
	chat := func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		opened <- r.Header
		if kind, data, err := conn.Read(r.Context()); err == nil {
			_ = conn.Write(r.Context(), kind, append([]byte("you said "), data...))
		}
	}
	s := setStage(t, map[string]http.HandlerFunc{"/api/v1/tickets/7/chat": chat})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	header := forged()
	header.Del("X-Request-Id")
	if _, resp, err := websocket.Dial(ctx, s.url+"/api/v1/tickets/7/chat", &websocket.DialOptions{HTTPHeader: header}); err == nil || resp == nil || resp.StatusCode != 401 {
		t.Fatalf("without a token: %v, %v", resp, err)
	}
	header.Set("Authorization", "Bearer "+tokenOf(t, "customer_user"))
	conn, _, err := websocket.Dial(ctx, s.url+"/api/v1/tickets/7/chat", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, data, err := conn.Read(ctx); err != nil || string(data) != "you said hello" {
		t.Errorf("%q, %v", data, err)
	}
	told := toService(received{Header: receive(t, opened, "the header of the upgrade")})
	if !slices.Equal(told["X-User-Role"], []string{"customer_user"}) || !slices.Equal(told["X-Tenant-ID"], []string{"t-1"}) {
		t.Errorf("the service is told %v", told)
	}
}

// D41: an event stream that a browser opens, with its token in the query, is
// passed on at each event by the example's real service.
func TestD41EventStreamWithTheTokenInTheQuery(t *testing.T) {
	t.Parallel()
	p := startPlatform(t)
	p.login("tech@example.com")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", p.url+"/api/v1/tickets/events?access_token="+p.token, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first, err := bufio.NewReader(resp.Body).ReadString('\n')
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || first != "retry: 3000\n" {
		t.Errorf("status %d, it begins with %q, %v", resp.StatusCode, first, err)
	}
}
