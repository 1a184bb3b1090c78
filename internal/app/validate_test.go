package app

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/openapi/contract"
)

const validated = `
openapi: 3.1.0
info: {title: Tickets, version: "1"}
paths:
  /tickets:
    get:
      parameters:
        - {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 100}}
        - {name: state, in: query, required: true, schema: {enum: [open, closed]}}
        - {name: ids, in: query, explode: false, schema: {type: array, maxItems: 3, items: {type: integer}}}
        - {name: tag, in: query, schema: {type: array, items: {type: string, maxLength: 4}}}
        - {name: range, in: query, style: pipeDelimited, explode: false, schema: {type: array, items: {type: integer}}}
        - {name: where, in: query, style: deepObject, schema: {type: object, properties: {owner: {type: string}, level: {type: integer}}, additionalProperties: false}}
        - {name: filter, in: query, content: {application/json: {schema: {type: object, required: [a]}}}}
        - {name: X-Tenant, in: header, required: true, schema: {type: string, pattern: "^[a-z]+$"}}
        - {name: X-Numbers, in: header, schema: {type: array, items: {type: integer}}}
        - {name: session, in: cookie, schema: {type: string, minLength: 8}}
      responses: {"200": {$ref: "#/components/responses/Some"}}
    post:
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: "#/components/schemas/Ticket"}}
          application/x-www-form-urlencoded: {schema: {$ref: "#/components/schemas/Ticket"}}
          text/plain: {schema: {type: string, maxLength: 10}}
          application/octet-stream: {}
      responses: {"200": {$ref: "#/components/responses/Some"}}
    options: {responses: {"200": {$ref: "#/components/responses/Some"}}}
  /tickets/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
    get: {responses: {"200": {$ref: "#/components/responses/Some"}}}
    delete: {responses: {"200": {$ref: "#/components/responses/Some"}}}
    put:
      requestBody: {content: {application/json: {schema: {type: [object, "null"]}}}}
      responses: {"200": {$ref: "#/components/responses/Some"}}
  /files/{name}.{ext}:
    get:
      parameters:
        - {name: name, in: path, required: true, schema: {type: string, maxLength: 5}}
        - {name: ext, in: path, required: true, schema: {enum: [png, txt]}}
      responses: {"200": {$ref: "#/components/responses/Some"}}
  /labels/{l}:
    get:
      parameters: [{name: l, in: path, required: true, style: label, schema: {type: array, items: {type: integer}}}]
      responses: {"200": {$ref: "#/components/responses/Some"}}
  /answers:
    get:
      responses:
        "200":
          description: d
          headers: {X-Total: {required: true, schema: {type: integer}}}
          content: {application/json: {schema: {type: object, required: [ok]}}}
        "204": {description: d, content: {application/json: {schema: {type: object}}}}
  /events: {get: {responses: {"200": {description: d, content: {text/event-stream: {schema: {type: string}}}}}}}
  /upload: {post: {requestBody: {content: {application/json: {schema: {type: object}}}}, responses: {"200": {$ref: "#/components/responses/Some"}}}}
components:
  responses: {Some: {description: d}}
  schemas:
    Ticket:
      type: object
      required: [title]
      additionalProperties: false
      properties:
        title: {type: string, minLength: 1, maxLength: 20}
        level: {type: integer, minimum: 1}
        a/b~c: {type: object, properties: {"": {type: array, items: {type: boolean}}}}
`

const validating = `
listeners: [{address: "127.0.0.1:0", protocols: [http1, h2c], timeouts: {body_idle: 400ms}}]
log: {access: {output: stdout, flush: 0s, query: keep}}
services: {app: {targets: ["%s"], openapi: {file: "%s", refresh: 1h}}}
routes:
  - {name: enforce, path: /e/**, auth: none, service: app, forward: {strip_prefix: /e}, policies: {validate: {body: 2KB}}}
  - {name: refuse, path: /r/**, auth: none, service: app, forward: {strip_prefix: /r}, policies: {validate: {unknown: refuse, body: 2KB}}}
  - {name: observe, path: /o/**, auth: none, service: app, forward: {strip_prefix: /o}, policies: {validate: {mode: observe, unknown: refuse, body: 2KB}}}
  - {name: small, path: /s/**, auth: none, service: app, forward: {strip_prefix: /s}, limits: {body: 20B}, policies: {validate: {}}}
  - {name: replaced, path: "/v1/ticket/{id}", auth: none, service: app, forward: {replace: "/tickets/{id}"}, policies: {validate: {}}}
  - {name: raw, path: /tickets/**, auth: none, service: app, forward: {path: unchanged}, policies: {validate: {}}}
`

// lines is an access log that tests wait for.
type lines struct {
	mu   sync.Mutex
	text []byte
	more chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	select {
	case l.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

// of returns the line that holds all of the texts, when it is there.
func (l *lines) of(t *testing.T, texts ...string) string {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		l.mu.Lock()
		text := string(l.text)
		l.mu.Unlock()
		for line := range strings.Lines(text) {
			if !slices.ContainsFunc(texts, func(want string) bool { return !strings.Contains(line, want) }) {
				return line
			}
		}
		select {
		case <-l.more:
		case <-late:
			t.Fatalf("no line with %q in\n%.3000s", texts, text)
		}
	}
}

// checked is a gateway that validates, and its service.
type checked struct {
	t    *testing.T
	addr string
	log  *lines
	app  *App
	got  chan got
}

// got is what the service has got.
type got struct {
	path, body string
	trailer    http.Header
	err        error
}

// startChecked starts both, with changes of the configuration, each an old text and a new one.
func startChecked(t *testing.T, handler http.HandlerFunc, changes ...string) *checked {
	t.Helper()
	c := &checked{t: t, log: &lines{more: make(chan struct{}, 1)}, got: make(chan got, 100)}
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handler != nil {
			handler(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		c.got <- got{r.URL.Path, string(body), r.Trailer.Clone(), err}
	}))
	t.Cleanup(up.Close)
	file := filepath.Join(t.TempDir(), "openapi.yaml")
	if err := os.WriteFile(file, []byte(validated), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{File: "yett.yaml", Source: fmt.Appendf(nil, strings.NewReplacer(changes...).Replace(validating), up.URL, file), Env: config.MapEnv(nil), Stdout: c.log, Stderr: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop(context.Background()) })
	c.app, c.addr = a, a.Addr(0).String()
	return c
}

func (c *checked) contract() *contract.Contract {
	return c.app.gateway.Snapshot().Documents().Of("app").Loaded().Contract
}

func (c *checked) tally(method, path string) *contract.Tally {
	op, _ := c.contract().Match(method, path)
	if op == nil {
		c.t.Fatalf("no operation %s %s", method, path)
	}
	return op.Tally
}

// client returns one that speaks HTTP/1.1 or HTTP/2, and compresses nothing.
func client(t *testing.T, http2 bool) *http.Client {
	tr := &http.Transport{DisableCompression: true, Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(http2)
	tr.Protocols.SetHTTP1(!http2)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// do sends a request, chunked when asked for, and returns the answer, read.
func (c *checked) do(cl *http.Client, method, path, body string, chunked bool, fields ...string) (*http.Response, string) {
	c.t.Helper()
	var r io.Reader = strings.NewReader(body)
	if chunked {
		r = io.MultiReader(r)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+c.addr+path, r)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	resp, err := cl.Do(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, string(b)
}

// places returns the details of a refusal, as "in pointer" with commas between.
func places(t *testing.T, body string) string {
	t.Helper()
	var e struct {
		Error struct {
			Details []struct{ In, Pointer, Message string }
		}
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Errorf("%v in %s", err, body)
	}
	var out []string
	for _, d := range e.Error.Details {
		if d.Message == "" {
			t.Errorf("nothing is said of %s %s", d.In, d.Pointer)
		}
		out = append(out, d.In+" "+d.Pointer)
	}
	return strings.Join(out, ", ")
}

const asJSON = "application/json"

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

// requests are good where details and status are empty.
var requests = []struct {
	name, method, path string
	fields             []string
	body               string
	status             int
	details            string
}{
	{"all that is needed", "GET", "/tickets?state=open", nil, "", 0, ""},
	{"HEAD is served by GET", "HEAD", "/tickets?state=open", nil, "", 0, ""},
	{"what is not documented may come", "GET", "/tickets?state=open&other=1", []string{"X-Other", "1"}, "", 0, ""},
	{"a required one is missing", "GET", "/tickets", nil, "", 400, "query /state"},
	{"one of several values", "GET", "/tickets?state=lost", nil, "", 400, "query /state"},
	{"there twice", "GET", "/tickets?state=open&state=closed", nil, "", 400, "query /state"},
	{"a name in percent-encoding", "GET", "/tickets?%73tate=open", nil, "", 0, ""},
	{"a broken percent-encoding", "GET", "/tickets?state=%zz", nil, "", 400, "query /state"},
	{"at the bound", "GET", "/tickets?state=open&limit=100", nil, "", 0, ""},
	{"above the bound", "GET", "/tickets?state=open&limit=101", nil, "", 400, "query /limit"},
	{"no number", "GET", "/tickets?state=open&limit=ten", nil, "", 400, "query /limit"},
	{"a fraction", "GET", "/tickets?state=open&limit=1.5", nil, "", 400, "query /limit"},
	{"empty", "GET", "/tickets?state=open&limit=", nil, "", 400, "query /limit"},
	{"a list", "GET", "/tickets?state=open&ids=1,2,3", nil, "", 0, ""},
	{"a list with a wrong item", "GET", "/tickets?state=open&ids=1,x,3", nil, "", 400, "query /ids/1"},
	{"too long a list", "GET", "/tickets?state=open&ids=1,2,3,4", nil, "", 400, "query /ids"},
	{"a list of parameters", "GET", "/tickets?state=open&tag=a&tag=b", nil, "", 0, ""},
	{"a list of parameters with a wrong one", "GET", "/tickets?state=open&tag=a&tag=abcde", nil, "", 400, "query /tag/1"},
	{"with pipes", "GET", "/tickets?state=open&range=1%7C2", nil, "", 0, ""},
	{"with pipes, wrong", "GET", "/tickets?state=open&range=1%7Cx", nil, "", 400, "query /range/1"},
	{"an object", "GET", "/tickets?state=open&where[owner]=me&where[level]=3", nil, "", 0, ""},
	{"an object, wrong", "GET", "/tickets?state=open&where[level]=x", nil, "", 400, "query /where/level"},
	{"an object, unknown member", "GET", "/tickets?state=open&where[other]=x", nil, "", 400, "query /where/other"},
	{"JSON in the query", "GET", "/tickets?state=open&filter=%7B%22a%22%3A1%7D", nil, "", 0, ""},
	{"JSON in the query, incomplete", "GET", "/tickets?state=open&filter=%7B%7D", nil, "", 400, "query /filter/a"},
	{"JSON in the query, none", "GET", "/tickets?state=open&filter=%7B", nil, "", 400, "query /filter"},
	{"a header that does not match", "GET", "/tickets?state=open", []string{"X-Tenant", "ACME"}, "", 400, "header /X-Tenant"},
	{"a list in a header", "GET", "/tickets?state=open", []string{"X-Numbers", "1, 2"}, "", 0, ""},
	{"a list in a header, wrong", "GET", "/tickets?state=open", []string{"X-Numbers", "1, b"}, "", 400, "header /X-Numbers/1"},
	{"a cookie", "GET", "/tickets?state=open", []string{"Cookie", "a=b; session=12345678"}, "", 0, ""},
	{"a cookie, too short", "GET", "/tickets?state=open", []string{"Cookie", "session=hunter2"}, "", 400, "cookie /session"},
	{"all places at once", "GET", "/tickets?limit=0", []string{"X-Tenant", "?", "Cookie", "session=x"}, "", 400, "query /limit, query /state, header /X-Tenant, cookie /session"},
	{"in the path", "GET", "/tickets/7", nil, "", 0, ""},
	{"in the path, wrong", "GET", "/tickets/seven", nil, "", 400, "path /id"},
	{"in the path, with a blank", "DELETE", "/tickets/7%208", nil, "", 400, "path /id"},
	{"two in a segment", "GET", "/files/a.b.png", nil, "", 400, "path /ext"}, // the first dot ends the name
	{"two in a segment, right", "GET", "/files/ab.png", nil, "", 0, ""},
	{"two in a segment, both wrong", "GET", "/files/abcdef.gif", nil, "", 400, "path /ext, path /name"},
	{"a label", "GET", "/labels/.1,2", nil, "", 0, ""},
	{"a label without its dot", "GET", "/labels/1", nil, "", 400, "path /l"},
	{"a body", "POST", "/tickets", []string{"Content-Type", asJSON}, `{"title":"x","level":1}`, 0, ""},
	{"a body with a charset", "POST", "/tickets", []string{"Content-Type", "Application/JSON; charset=UTF-8"}, `{"title":"x"}`, 0, ""},
	{"no body", "POST", "/tickets", []string{"Content-Type", asJSON}, "", 400, "body "},
	{"a member is missing", "POST", "/tickets", []string{"Content-Type", asJSON}, `{}`, 400, "body /title"},
	{"several are wrong", "POST", "/tickets", []string{"Content-Type", asJSON}, `{"title":"","level":0,"more":1}`, 400, "body /level, body /more, body /title"},
	{"deep inside, under strange names", "POST", "/tickets", []string{"Content-Type", asJSON}, `{"title":"x","a/b~c":{"":[true,1]}}`, 400, "body /a~1b~0c//1"},
	{"of another type", "POST", "/tickets", []string{"Content-Type", asJSON}, `[]`, 400, "body "},
	{"not JSON", "POST", "/tickets", []string{"Content-Type", asJSON}, `{"title":`, 400, "body "},
	{"twice the same name", "POST", "/tickets", []string{"Content-Type", asJSON}, `{"title":"x","title":"y"}`, 400, "body /title"},
	{"not UTF-8", "POST", "/tickets", []string{"Content-Type", asJSON}, "{\"title\":\"\xff\"}", 400, "body "},
	{"something behind it", "POST", "/tickets", []string{"Content-Type", asJSON}, `{"title":"x"}{}`, 400, "body "},
	{"a type that is not taken", "POST", "/tickets", []string{"Content-Type", "application/xml"}, `<a/>`, 400, "header /Content-Type"},
	{"no type", "POST", "/tickets", nil, `{"title":"x"}`, 400, "header /Content-Type"},
	{"a form", "POST", "/tickets", []string{"Content-Type", "application/x-www-form-urlencoded"}, "title=a+b&level=3", 0, ""},
	{"a form, wrong", "POST", "/tickets", []string{"Content-Type", "application/x-www-form-urlencoded"}, "title=&level=x", 400, "body /level, body /title"},
	{"a text", "POST", "/tickets", []string{"Content-Type", "text/plain"}, "0123456789", 0, ""},
	{"a text, too long", "POST", "/tickets", []string{"Content-Type", "text/plain"}, "0123456789a", 400, "body "},
	{"what nobody looks into may be large", "POST", "/tickets", []string{"Content-Type", "application/octet-stream"}, strings.Repeat("\x00{", 5000), 0, ""},
	{"compressed", "POST", "/tickets", []string{"Content-Type", asJSON, "Content-Encoding", "gzip"}, zipped(`{"title":"x"}`), 0, ""},
	{"compressed, of a wrong type", "POST", "/tickets", []string{"Content-Type", "image/png", "Content-Encoding", "gzip"}, zipped(`{}`), 400, "header /Content-Type"},
	{"too large", "POST", "/tickets", []string{"Content-Type", asJSON}, `{"title":"` + strings.Repeat("x", 2100) + `"}`, 413, ""},
	{"much too large", "POST", "/tickets", []string{"Content-Type", asJSON}, `{"title":"` + strings.Repeat("x", 300_000) + `"}`, 413, ""},
	{"a body that need not be", "PUT", "/tickets/7", nil, "", 0, ""},
	{"null where that is good", "PUT", "/tickets/7", []string{"Content-Type", asJSON}, "null", 0, ""},
	{"a preflight", "OPTIONS", "/tickets/7", []string{"Origin", "https://a.example", "Access-Control-Request-Method", "PUT"}, "", 0, ""},
	{"OPTIONS that is documented", "OPTIONS", "/tickets", nil, "", 0, ""},
}

// Each request, by each protocol: with enforce it is refused for exactly what is wrong, or
// reaches the service as it was sent. With observe it always does, and the log has why it
// should not have.
func TestValidatedRequests(t *testing.T) {
	c := startChecked(t, nil)
	n := 0
	for way, cl := range map[string]*http.Client{"http1": client(t, false), "h2c": client(t, true)} {
		for _, chunked := range []bool{false, true} {
			for i, r := range requests {
				if chunked && r.body == "" {
					continue
				}
				n++
				t.Run(fmt.Sprintf("%s/%s chunked %v", r.name, way, chunked), func(t *testing.T) {
					c.t = t
					c.check(cl, i, chunked, n)
				})
			}
		}
	}
}

func (c *checked) check(cl *http.Client, i int, chunked bool, n int) {
	t, r := c.t, requests[i]
	id := fmt.Sprintf("mark=%d", n)
	mark := map[bool]string{true: "&", false: "?"}[strings.Contains(r.path, "?")] + id
	fields := slices.Clone(r.fields)
	if !slices.Contains(fields, "X-Tenant") {
		fields = append(fields, "X-Tenant", "acme")
	}
	status := max(r.status, 200)
	for _, prefix := range []string{"/e", "/r"} {
		resp, body := c.do(cl, r.method, prefix+r.path+mark, r.body, chunked, fields...)
		if resp.StatusCode != status {
			t.Fatalf("%s: %d %s", prefix, resp.StatusCode, body)
		}
		switch {
		case status == 200:
			c.reached(r.body)
		case r.method != "HEAD":
			if got := places(t, body); got != r.details {
				t.Errorf("%s: %q, want %q, in %s", prefix, got, r.details, body)
			}
			for _, secret := range []string{"hunter2", "12345678", strings.Repeat("x", 70)} {
				if strings.Contains(body, secret) {
					t.Errorf("%s repeats %s: %s", prefix, secret, body)
				}
			}
		}
	}
	path, _, _ := strings.Cut(r.path, "?")
	var bad int64
	op, _ := c.contract().Match(r.method, path)
	if op != nil {
		bad = op.Tally.BadRequests.Load()
	}
	resp, body := c.do(cl, r.method, "/o"+r.path+mark, r.body, chunked, fields...)
	if resp.StatusCode != 200 {
		t.Errorf("observe: %d %s", resp.StatusCode, body)
	}
	c.reached(r.body)
	line := c.log.of(t, `"route":"observe"`, id+`"`)
	first, _, _ := strings.Cut(r.details, ", ")
	if want := r.status == 400; want != strings.Contains(line, `"observed":"request_invalid: `+first) {
		t.Errorf("observe, want %q: %s", first, line)
	}
	if op != nil && op.Tally.BadRequests.Load()-bad != map[bool]int64{true: 1}[r.status == 400] {
		t.Errorf("observe counts %d", op.Tally.BadRequests.Load()-bad)
	}
}

// reached checks that the service has got a request, as it was sent.
func (c *checked) reached(body string) {
	c.t.Helper()
	select {
	case g := <-c.got:
		if g.body != body || g.err != nil {
			c.t.Errorf("the service got %d bytes of %d, %v: %.200q", len(g.body), len(body), g.err, g.body)
		}
	case <-time.After(5 * time.Second):
		c.t.Fatal("the service got nothing")
	}
}

// The documents of routes that rewrite are those of the service, whatever the client writes.
func TestValidatedRewrites(t *testing.T) {
	c := startChecked(t, nil)
	cl := client(t, false)
	for path, want := range map[string]string{
		"/v1/ticket/7": "", "/v1/ticket/x": "path /id",
		"/tickets/7": "", "/tickets/x": "path /id", "/%74ickets/x": "path /id", "//tickets//x": "path /id", "/tickets/./x": "path /id",
	} {
		resp, body := c.do(cl, "GET", path, "", false)
		switch {
		case want == "":
			if resp.StatusCode != 200 {
				t.Errorf("%s: %d %s", path, resp.StatusCode, body)
			}
			c.reached("")
		case places(t, body) != want:
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
}

// What the document does not know is let pass and counted, or refused.
func TestUndocumentedRequests(t *testing.T) {
	c := startChecked(t, nil)
	cl := client(t, false)
	for _, tt := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/nowhere/17", 404, ""},
		{"GET", "/tickets/", 404, ""},
		{"GET", "/TICKETS", 404, ""},
		{"PATCH", "/tickets/7", 405, "GET, HEAD, PUT, DELETE"},
		{"PURGE", "/tickets", 405, "GET, HEAD, POST, OPTIONS"},
		{"OPTIONS", "/tickets/7", 405, "GET, HEAD, PUT, DELETE"},
		{"GET", "/upload", 405, "POST"},
	} {
		resp, body := c.do(cl, tt.method, "/r"+tt.path, "", false)
		if resp.StatusCode != tt.status || resp.Header.Get("Allow") != tt.allow || places(t, body) != "" {
			t.Errorf("%s %s: %d, Allow %q, %s", tt.method, tt.path, resp.StatusCode, resp.Header.Get("Allow"), body)
		}
		for _, prefix := range []string{"/e", "/o"} {
			if resp, body := c.do(cl, tt.method, prefix+tt.path, "", false); resp.StatusCode != 200 {
				t.Errorf("%s %s: %d %s", tt.method, prefix+tt.path, resp.StatusCode, body)
			}
			c.reached("")
		}
	}
	all, more := c.contract().Unknown.List()
	if len(all) != 7 || more != 0 || all[0].Calls != 3 || !slices.ContainsFunc(all, func(u contract.UnknownCount) bool { return u.Path == "/nowhere/{}" && u.Calls == 3 }) {
		t.Errorf("unknown: %v, %d more", all, more)
	}
	c.log.of(t, `"route":"observe"`, "/o/nowhere/17", `"observed":"undocumented"`)
	c.log.of(t, `"route":"observe"`, "PURGE", `"observed":"method_undocumented"`)
}

// A route's own limit comes before that of the policy, and nothing is read for it in vain.
func TestValidatedAfterTheRoutesLimit(t *testing.T) {
	c := startChecked(t, nil)
	for _, chunked := range []bool{false, true} {
		resp, body := c.do(client(t, false), "POST", "/s/tickets", `{"title":"longer than 20 bytes"}`, chunked, "Content-Type", asJSON)
		if resp.StatusCode != 413 || !strings.Contains(body, "PAYLOAD_TOO_LARGE") {
			t.Errorf("chunked %v: %d %s", chunked, resp.StatusCode, body)
		}
	}
	conn := c.dial()
	fmt.Fprint(conn, "POST /s/tickets HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
	if line := conn.line(); !strings.HasPrefix(line, "HTTP/1.1 413") {
		t.Errorf("a body that is too large is asked for: %s", line)
	}
}

// raw is a connection on which a test writes bytes.
type raw struct {
	net.Conn
	*bufio.Reader
	t *testing.T
}

func (r *raw) Read(p []byte) (int, error) { return r.Reader.Read(p) }

func (c *checked) dial() *raw {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &raw{conn, bufio.NewReader(conn), c.t}
}

func (r *raw) line() string {
	r.t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		r.t.Fatalf("%q, %v", line, err)
	}
	return strings.TrimSpace(line)
}

const head = "POST %s/tickets HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n%s\r\n\r\n"

// A client that waits for a 100 gets it once the policy wants to see the body, and not where
// the head is enough to refuse.
func TestValidatedContinue(t *testing.T) {
	c := startChecked(t, nil)
	for _, prefix := range []string{"/e", "/o"} {
		conn := c.dial()
		fmt.Fprintf(conn, head, prefix, "Content-Length: 13\r\nExpect: 100-continue")
		if line := conn.line(); !strings.HasPrefix(line, "HTTP/1.1 100") {
			t.Fatalf("%s: %s", prefix, line)
		}
		conn.line()
		fmt.Fprint(conn, `{"title":"x"}`)
		if line := conn.line(); !strings.HasPrefix(line, "HTTP/1.1 200") {
			t.Errorf("%s: %s", prefix, line)
		}
		c.reached(`{"title":"x"}`)
	}
	conn := c.dial()
	fmt.Fprint(conn, "POST /e/tickets HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: 13\r\nExpect: 100-continue\r\n\r\n")
	if line := conn.line(); !strings.HasPrefix(line, "HTTP/1.1 400") {
		t.Errorf("of a wrong type: %s", line)
	}
}

// Trailers pass, though the body was looked at; so does the framing.
func TestValidatedTrailers(t *testing.T) {
	c := startChecked(t, nil)
	conn := c.dial()
	fmt.Fprintf(conn, head, "/e", "Transfer-Encoding: chunked\r\nTrailer: X-Sum")
	fmt.Fprint(conn, "d\r\n{\"title\":\"x\"}\r\n0\r\nX-Sum: 42\r\n\r\n")
	if line := conn.line(); !strings.HasPrefix(line, "HTTP/1.1 200") {
		t.Error(line)
	}
	select {
	case g := <-c.got:
		if g.body != `{"title":"x"}` || g.trailer.Get("X-Sum") != "42" {
			t.Errorf("the service got %q, %v", g.body, g.trailer)
		}
	case <-time.After(20 * time.Second):
		t.Error("the service got nothing")
	}
}

// Slow clients and those that leave meet what they would without the policy; nobody waits for
// them, and the service does not get half of a request.
func TestValidatedSlowClients(t *testing.T) {
	c := startChecked(t, nil)
	for _, prefix := range []string{"/e", "/o"} {
		for name, rest := range map[string]string{
			"known": "Content-Length: 1500\r\n\r\n{", "expected": "Content-Length: 1500\r\nExpect: 100-continue\r\n\r\n{", "chunked": "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"tit",
		} {
			begin := "POST " + prefix + "/tickets?" + name + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
			conn := c.dial()
			fmt.Fprint(conn, begin, rest)
			line := conn.line()
			if strings.HasPrefix(line, "HTTP/1.1 100") {
				conn.line()
				line = conn.line()
			}
			if !strings.HasPrefix(line, "HTTP/1.1 408") {
				t.Errorf("%s, %s: %s", prefix, name, line)
			}
			conn = c.dial()
			fmt.Fprint(conn, strings.Replace(begin, name, name+"-gone", 1), rest)
			_ = conn.Conn.(*net.TCPConn).CloseWrite()
			c.log.of(t, `"`+name+`-gone"`, prefix+"/tickets", `"reason":"truncated_body"`)
		}
	}
	select {
	case g := <-c.got:
		t.Errorf("the service got %+v", g)
	default:
	}
}

// A large upload that is only observed streams, with little memory, and arrives as it was sent.
func TestValidatedUploads(t *testing.T) {
	const size = 32 << 20
	arrived := make(chan error, 1)
	first := make(chan struct{}, 1)
	c := startChecked(t, func(w http.ResponseWriter, r *http.Request) {
		pattern, buf, n := sequence{}, make([]byte, 32<<10), 0
		for {
			m, err := r.Body.Read(buf)
			if n == 0 && m > 0 {
				first <- struct{}{}
			}
			want := make([]byte, m)
			_, _ = pattern.Read(want)
			if n += m; !bytes.Equal(buf[:m], want) || err != nil && (err != io.EOF || n != size) {
				arrived <- fmt.Errorf("wrong within %d bytes, %w", n, err)
				return
			}
			if err != nil {
				arrived <- nil
				return
			}
		}
	}, "body_idle: 400ms", "body_idle: 30s")
	for way, cl := range map[string]*http.Client{"http1": client(t, false), "h2c": client(t, true)} {
		for _, known := range []bool{true, false} {
			var peak uint64
			body := io.MultiReader(io.LimitReader(&sequence{}, size-1), &last{first, &peak}) // the end is not sent before the beginning arrives
			req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+c.addr+"/o/upload", body)
			req.Header.Set("Content-Type", asJSON)
			if req.ContentLength = -1; known {
				req.ContentLength = size
			}
			resp, err := cl.Do(req)
			if err != nil {
				t.Fatalf("%s, known %v: %v", way, known, err)
			}
			_ = resp.Body.Close()
			if err := <-arrived; err != nil || resp.StatusCode != 200 {
				t.Errorf("%s, known %v: %d, %v", way, known, resp.StatusCode, err)
			}
			if peak > 20<<20 {
				t.Errorf("%s, known %v: %d MB in use", way, known, peak>>20)
			}
		}
	}
	if n := c.tally("POST", "/upload").Unchecked.Load(); n != 4 {
		t.Errorf("%d count as unchecked", n)
	}
}

// sequence is bytes that tell when one is lost or doubled.
type sequence struct{ n uint32 }

func (s *sequence) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(s.n * 2654435761 >> 24)
		s.n++
	}
	return len(p), nil
}

// last is the last byte, which waits until the first ones have arrived.
type last struct {
	first chan struct{}
	peak  *uint64
}

func (l *last) Read(p []byte) (int, error) {
	if l.first == nil {
		return 0, io.EOF
	}
	<-l.first
	l.first = nil
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	*l.peak = m.HeapAlloc
	s := sequence{32<<20 - 1}
	_, _ = s.Read(p[:1])
	return 1, nil
}
