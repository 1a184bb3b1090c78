package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/openapi"
)

func zipped(t *testing.T, text io.Reader) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.Copy(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// endless is a reader of blanks.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func blanks(n int64) io.Reader { return io.LimitReader(endless{}, n) }

func TestFetch(t *testing.T) {
	asked := make(chan *http.Request, 1)
	url := server(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		_, _ = io.WriteString(w, document("Tickets"))
	})
	f := source(t, config.OpenAPI{URL: strings.Replace(url, "://", "://me:secret@", 1) + "/openapi.json?key=hidden"})
	f.want(f.said(), "waiting")
	f.want(f.once(), "good Tickets")
	r := receive(t, asked)
	user, password, _ := r.BasicAuth()
	f.want(strings.Join([]string{r.Method, r.RequestURI, user, password, r.UserAgent(), r.Header.Get("Accept-Encoding")}, " "), "GET /openapi.json?key=hidden me secret yett-openapi gzip")
	if !strings.Contains(r.Header.Get("Accept"), "application/json") || r.Header.Get("If-None-Match") != "" {
		t.Errorf("%v", r.Header)
	}
	st := f.State()
	if st.Service != "tickets" || st.From != url+"/openapi.json" || st.Kind != KindURL || st.Version != openapi.Version31 || st.Operations != 1 || st.Size != len(document("Tickets")) ||
		st.At.IsZero() || st.Checked.Before(st.At) || st.Problem != "" {
		t.Errorf("%+v", st)
	}
	if l := f.Loaded(); l == nil || l.Document.Root.At("info").Str("title") != "Tickets" || l.Contract == nil {
		t.Errorf("%+v", l)
	}
}

// No word about a document shows what may be secret in its address.
func TestSecretsStayHidden(t *testing.T) {
	for _, to := range []string{"http://me:secret@127.0.0.1:1/openapi.json?key=secret", "http://me:secret@nobody.invalid/?secret",
		strings.Replace(fixed(t, 404, ""), "://", "://me:secret@", 1) + "/?secret", strings.Replace(fixed(t, 200, "{"), "://", "://me:secret@", 1) + "/?secret",
		fixed(t, 302, "", "Location", "http://me:secret@other.example/?secret")} {
		f := source(t, config.OpenAPI{URL: to, Timeout: config.Duration(2 * time.Second)})
		f.once()
		if all := fmt.Sprintf("%+v %v", f.State(), f.logged.take()); strings.Contains(all, "secret") || f.State().Problem == "" {
			t.Errorf("%s: %s", to, all)
		}
	}
}

func TestFetchFails(t *testing.T) {
	other := fixed(t, 200, document("Other"))
	closed := httptest.NewServer(nil)
	closed.Close()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'j'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), c-1)
	}
	for name, tt := range map[string]struct{ url, want string }{
		"nobody":          {closed.URL, "dial tcp " + strings.TrimPrefix(closed.URL, "http://") + ": connect: connection refused"},
		"missing":         {fixed(t, 404, "gone"), "the answer is 404 Not Found"},
		"broken service":  {fixed(t, 500, ""), "the answer is 500 Internal Server Error"},
		"no content":      {fixed(t, 204, ""), "the answer is 204 No Content"},
		"unknown status":  {fixed(t, 599, ""), "the answer is 599"},
		"unasked 304":     {fixed(t, 304, ""), "the answer is 304 Not Modified"},
		"login":           {fixed(t, 401, ""), "the answer is 401 Unauthorized; let the gateway read the document without logging in"},
		"redirect":        {fixed(t, 302, "", "Location", other+"/openapi.json"), "the answer is 302 Found to " + other + "/openapi.json, and redirects are not followed; name the address of the document itself"},
		"redirect to it":  {fixed(t, 308, ""), "the answer is 308 Permanent Redirect, and redirects are not followed; name the address of the document itself"},
		"HTML":            {fixed(t, 200, "\n <!DOCTYPE html>\n<html><body>Log in</body></html>"), "it is an HTML page, and no OpenAPI document; is that the address of a page, or does one have to log in?"},
		"HTML in comment": {fixed(t, 200, "<!-- x --><html>"), "it is an HTML page, and no OpenAPI document; is that the address of a page, or does one have to log in?"},
		"XML":             {fixed(t, 200, "<?xml version='1.0'?><a/>"), "it is XML, and no OpenAPI document; is that the address of a page, or does one have to log in?"},
		"damaged gzip":    {fixed(t, 200, zipped(t, strings.NewReader(document("x")))[:40], "Content-Encoding", "gzip"), "the answer's gzip is damaged"},
		"no gzip":         {fixed(t, 200, document("x"), "Content-Encoding", "gzip"), "the answer says that it is gzip, and is not"},
		"brotli":          {fixed(t, 200, document("x"), "Content-Encoding", "br"), "the answer has the encoding br; gzip is understood, or none"},
		"large head":      {fixed(t, 200, document("x"), "X", strings.Repeat("x", 64<<10)), "net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 32768 bytes; aborted"},
		"empty":           {fixed(t, 200, " "), "1:1: the document is empty"},
		"no document":     {fixed(t, 200, `{"a": 1}`), "1:1: "},
		"broken":          {fixed(t, 200, "{\n \"openapi\": \"3.1.0\","), "2:"},
		"elsewhere":       {fixed(t, 200, strings.Replace(document("x"), `"paths"`, `"components": {"schemas": {"A": {"$ref": "file:///etc/passwd"}}}, "paths"`, 1)), "1:"},
		"YAML bomb":       {fixed(t, 200, bomb), ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := source(t, config.OpenAPI{URL: tt.url + "/"})
			f.look(context.Background(), true)
			st := f.State()
			got := strings.TrimPrefix(strings.TrimPrefix(st.Problem, tt.url+"/"), ":")
			if st.Phase != Waiting || st.Problem == "" || !strings.HasPrefix(got, tt.want) || strings.HasPrefix(tt.want, "the") && got != tt.want {
				t.Errorf("%s: got %s, want %s", st.Phase, got, tt.want)
			}
			t.Log(st.Problem)
			f.changes(0)
			if lines := f.logged.take(); len(lines) != 1 || !strings.Contains(lines[0], "level=WARN") {
				t.Errorf("%q", lines)
			}
		})
	}
}

// All places of a bad document are told, and how many there are.
func TestAllPlacesAreTold(t *testing.T) {
	f := source(t, config.OpenAPI{URL: fixed(t, 200, strings.Replace(document("x"), `"paths"`, `"components": {"schemas": {"A": {"$ref": "#/nowhere"}, "B": {"$ref": "#/nowhere"}}}, "paths"`, 1))})
	f.once()
	if st := f.State(); len(st.Problems) != 2 || !strings.HasSuffix(st.Problem, " (and 1 more)") {
		t.Errorf("%+v", st)
	}
}

// allocated returns how many bytes f has allocated.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// Of what is too large no more is read than a document may have.
func TestFetchTooLarge(t *testing.T) {
	const huge = 50 << 20
	var sent atomic.Int64
	streamed := func(announced bool) string {
		return server(t, func(w http.ResponseWriter, _ *http.Request) {
			if announced {
				w.Header().Set("Content-Length", fmt.Sprint(huge))
			}
			n, _ := io.Copy(w, blanks(huge))
			sent.Store(n)
		})
	}
	bomb := strings.Repeat(zipped(t, blanks(1<<20)), 512) // members of one gzip file
	for _, tt := range []struct{ name, url, want string }{
		{"announced", streamed(true), "waiting the answer has 52428800 bytes, more than 1MB"},
		{"streamed", streamed(false), "waiting the document has more than 1MB"},
		{"gzip bomb", fixed(t, 200, bomb, "Content-Encoding", "gzip"), "waiting the document has more than 1MB"},
		{"zipped twice as large", fixed(t, 200, zipped(t, blanks(1<<20+1)), "Content-Encoding", "gzip"), "waiting the document has more than 1MB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if len(bomb) > 1<<20 {
				t.Fatalf("the bomb has %d bytes, so it is refused before it is read", len(bomb))
			}
			f := source(t, config.OpenAPI{URL: tt.url, MaxSize: config.MB})
			if n := allocated(func() { f.want(f.once(), tt.want) }); n > 20<<20 {
				t.Errorf("%d bytes were allocated", n)
			}
			if n := sent.Load(); n > huge/2 {
				t.Errorf("%d bytes were sent", n)
			}
		})
	}
	f := source(t, config.OpenAPI{URL: fixed(t, 200, document("Fits")+strings.Repeat(" ", 1<<20-len(document("Fits")))), MaxSize: config.MB})
	f.want(f.once(), "good Fits")
}

func TestFetchZipped(t *testing.T) {
	f := source(t, config.OpenAPI{URL: fixed(t, 200, zipped(t, strings.NewReader(document("Zipped"))), "Content-Encoding", "GZIP")})
	f.want(f.once(), "good Zipped")
	if f.State().Size != len(document("Zipped")) {
		t.Errorf("%+v", f.State())
	}
}

// A server that has said by what it knows its document is asked for another one only.
func TestFetchConditionally(t *testing.T) {
	var asked []string
	fields := map[string]string{"ETag": `"1"`, "Last-Modified": "Mon, 02 Jan 2006 15:04:05 GMT"}
	url := server(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("If-None-Match")+r.Header.Get("If-Modified-Since"))
		for name, value := range fields {
			w.Header().Set(name, value)
		}
		if r.Header.Get("If-None-Match") == fields["ETag"] && fields["ETag"] != "" {
			w.WriteHeader(304)
			return
		}
		_, _ = io.WriteString(w, map[string]string{`"1"`: document("One"), `"2"`: "broken", `"3"`: document("Three")}[fields["ETag"]])
	})
	f := source(t, config.OpenAPI{URL: url})
	f.want(f.once(), "good One")
	first := f.Loaded()
	f.want(f.once(), "good One")
	if f.Loaded() != first {
		t.Error("the same document was compiled again")
	}
	f.changes(1)
	fields["ETag"] = `"2"`
	for range 2 { // the second time it is the same broken one
		if got := f.once(); !strings.HasPrefix(got, "stale One "+url) {
			t.Error(got)
		}
	}
	f.changes(1)
	fields["ETag"] = `"3"`
	f.want(f.once(), "good Three")
	f.changes(1)
	delete(fields, "Last-Modified")
	delete(fields, "ETag") // and no document
	f.once()
	const at = "Mon, 02 Jan 2006 15:04:05 GMT"
	f.want(strings.Join(asked, " "), strings.Join([]string{"", `"1"` + at, `"1"` + at, `"2"` + at, `"2"` + at, `"3"` + at}, " "))
}

// Content that is the same is not compiled again, whatever a server says of it.
func TestSameContent(t *testing.T) {
	content := document("One")
	url := server(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, content) })
	f := source(t, config.OpenAPI{URL: url})
	f.want(f.once(), "good One")
	first := f.Loaded()
	f.want(f.once(), "good One")
	if f.Loaded() != first {
		t.Error("the same document was compiled again")
	}
	content = "broken"
	f.once()
	bad := f.State().Problems
	f.once()
	if again := f.State().Problems; len(bad) == 0 || &again[0] != &bad[0] {
		t.Error("the same broken document was read again")
	}
	content = document("One")
	f.want(f.once(), "good One")
	if f.Loaded() != first {
		t.Error("the same document was compiled again, after a broken one")
	}
}

// A document that becomes bad leaves the last good one, whatever is wrong, and is told once.
func TestBadAfterGood(t *testing.T) {
	var answer atomic.Pointer[http.HandlerFunc]
	url := server(t, func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) })
	say := func(status int, body string) {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); _, _ = io.WriteString(w, body) })
		answer.Store(&h)
	}
	f := source(t, config.OpenAPI{URL: url})
	say(200, document("One"))
	f.want(f.once(), "good One")
	f.changes(1)
	first := f.Loaded()
	say(500, "")
	f.want(f.once(), "stale One the answer is 500 Internal Server Error")
	f.changes(1)
	say(404, "")
	f.want(f.once(), "stale One the answer is 404 Not Found")
	say(200, "<html>")
	f.once()
	f.changes(0)
	if f.Loaded() != first {
		t.Error("the document has changed")
	}
	say(200, document("Two"))
	f.want(f.once(), "good Two")
	f.changes(1)
	if got := first.Document.Root.At("info").Str("title"); got != "One" {
		t.Errorf("what readers have kept has become %s", got)
	}
	say(200, document("Three"))
	f.want(f.once(), "good Three")
	lines := f.logged.take()
	want := []string{"was loaded", "can't be had any more", "is good again", "was loaded"}
	if len(lines) != len(want) {
		t.Fatalf("%q", lines)
	}
	for i := range want {
		if !strings.Contains(lines[i], want[i]) {
			t.Errorf("got %s, want %s", lines[i], want[i])
		}
	}
}

// A server that never answers, or never ends its answer, delays neither start nor end.
func TestHangingServer(t *testing.T) {
	for name, said := range map[string]string{"silent": "", "in the head": "HTTP/1.1 200 OK\r\n", "in the body": "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"} {
		t.Run(name, func(t *testing.T) {
			url, asked := hanging(t, said)
			f := source(t, config.OpenAPI{URL: url})
			began := time.Now()
			f.Start()
			if took := time.Since(began); took > time.Second {
				t.Errorf("starting took %s", took)
			}
			receive(t, asked)
			began = time.Now()
			f.Close()
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("closing took %s", took)
			}
			if f.said() != "waiting" || !f.State().Checked.IsZero() {
				t.Errorf("a look that was given up says: %+v", f.State())
			}
			late := source(t, config.OpenAPI{URL: url, Timeout: config.Duration(50 * time.Millisecond)})
			if got := late.once(); got != "waiting no answer within 50ms" && got != "waiting the answer did not end within 50ms" {
				t.Error(got)
			}
		})
	}
}

// hanging is a server that says no more than that, and tells when it has.
func hanging(t *testing.T, said string) (url string, asked chan struct{}) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked, over := make(chan struct{}, 10), make(chan struct{})
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1))
			_, _ = io.WriteString(c, said)
			asked <- struct{}{}
			go func() { <-over; _ = c.Close() }()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); close(over); <-served })
	return "http://" + ln.Addr().String(), asked
}

// What the contract passes over is known, and the rest of the document counts.
func TestNotes(t *testing.T) {
	text := strings.Replace(document("Odd"), `"responses"`, `"parameters": [{"name": "q", "in": "query", "schema": {"type": "string", "pattern": "("}}], "responses"`, 1)
	f := source(t, config.OpenAPI{URL: fixed(t, 200, text)})
	f.want(f.once(), "good Odd")
	if st := f.State(); len(st.Notes) != 1 || st.Notes[0].Line != 1 || st.Operations != 1 {
		t.Errorf("%+v", st)
	}
	if ops := f.Loaded().Contract.Operations(); len(ops) != 1 || ops[0].Path != "/tickets" {
		t.Errorf("%+v", ops)
	}
}
