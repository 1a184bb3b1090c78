//go:build linux

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// teller is a service whose document is whatever a test says.
type teller struct {
	*httptest.Server
	tell  atomic.Pointer[http.HandlerFunc]
	asked atomic.Int64
}

func startTeller(t *testing.T) *teller {
	t.Helper()
	s := new(teller)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/openapi" {
			fmt.Fprint(w, "served")
			return
		}
		s.asked.Add(1)
		(*s.tell.Load())(w, r)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// now has the document told so from here on.
func (s *teller) now(h http.HandlerFunc) { s.tell.Store(&h) }

// text tells a text.
func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
}

// flood tells so many bytes, and says how many when it is told to.
func flood(bytes int, length bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if length {
			w.Header().Set("Content-Length", fmt.Sprint(bytes))
		}
		chunk := []byte(strings.Repeat("a: b # c\n", 1<<12))
		for sent := 0; sent < bytes; sent += len(chunk) {
			if _, err := w.Write(chunk[:min(len(chunk), bytes-sent)]); err != nil {
				return // the gateway has had enough
			}
		}
	}
}

// hang never says anything, until whoever asks has left.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// drip says something again and again, and never all.
func drip(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		_, _ = io.WriteString(w, " ")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// bomb is YAML of a few hundred bytes that stands for 10^9 values.
func bomb() string {
	b := "openapi: 3.1.0\ninfo: {title: Bomb, version: \"1\"}\npaths: {}\nx-0: &a0 [b, b, b, b, b, b, b, b, b, b]\n"
	for i := 1; i < 9; i++ {
		b += fmt.Sprintf("x-%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b
}

// refTo is a document with a reference.
func refTo(to string) string {
	return documentOf("Refs", "/desks") + "components: {schemas: {It: {$ref: " + quoted(to) + "}, Other: {$ref: '#/components/schemas/It'}}}\n"
}

// Whatever a service says instead of its document, the last good one stays, the reason is
// told, and nobody but the service is asked.
func TestDocsRefuseHostileDocuments(t *testing.T) {
	var hits atomic.Int64
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		fmt.Fprint(w, documentOf("Stolen", "/stolen"))
	}))
	t.Cleanup(admin.Close)
	services := ""
	tellers := map[string]*teller{"path": startTeller(t), "url": startTeller(t)}
	for kind, s := range tellers {
		s.now(text(documentOf("Desks", "/desks")))
		place := "path: /openapi"
		if kind == "url" {
			place = "url: " + s.URL + "/openapi"
		}
		services += fmt.Sprintf("  %s: {targets: [%q], openapi: {%s, refresh: 1s, timeout: 1s}}\n", kind, s.URL, place)
	}
	g, client := runDocs(t, services, docsRoute+
		"  - {name: path, path: /desks, auth: none, service: path}\n  - {name: url, path: /u/desks, auth: none, service: url, forward: {strip_prefix: /u}}")
	for kind := range tellers {
		eventually(t, "the good document of "+kind, func() bool { return g.sources(client)[kind] == "good" })
	}
	before := g.pathsOf(client)
	if !slices.Contains(before, "GET /desks") || !slices.Contains(before, "GET /u/desks") {
		t.Fatalf("there are %q", before)
	}
	for _, tt := range []struct {
		name string
		tell http.HandlerFunc
		why  string
	}{
		{"wrong YAML", text("openapi: 3.1.0\npaths: [\n"), "not valid YAML"},
		{"no document", text("a: 1\n"), "does not say that it is OpenAPI"},
		{"HTML", text("<!DOCTYPE html><html><body>Log in</body></html>"), "an HTML page"},
		{"404", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "none", http.StatusNotFound) }, "404 Not Found"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, admin.URL+"/redirected", http.StatusFound)
		}, "redirects are not followed"},
		{"50 MB", flood(50<<20, true), "52428800 bytes, more than 10MB"},
		{"50 MB that come unannounced", flood(50<<20, false), "has more than 10MB"},
		{"hanging", hang, "no answer within 1s"},
		{"without an end", drip, "did not end"},
		{"YAML bomb", text(bomb()), "values"},
		{"circle of references", text(refTo("#/components/schemas/Other")), "circle"},
		{"file", text(refTo("file:///etc/passwd")), `"file:///etc/passwd" leads out of the document`},
		{"loopback", text(refTo(admin.URL + "/referred")), "/referred\" leads out of the document"},
	} {
		for kind, s := range tellers {
			s.now(tt.tell)
			var state documentState
			begin := time.Now()
			eventually(t, fmt.Sprintf("%s by %s is refused for %q", tt.name, kind, tt.why), func() bool {
				state = g.docsStatus(client, kind)
				return state.State == "stale" && strings.Contains(state.Problem, tt.why)
			})
			t.Logf("%-27s %-4s after %5s: %s", tt.name, kind, time.Since(begin).Round(time.Millisecond), state.Problem)
			if state.Title != "Desks" || len(state.Problem) > 1000 || strings.ContainsAny(state.Problem, "\n\r") {
				t.Errorf("%s by %s: %+v", tt.name, kind, state)
			}
		}
		if after := g.pathsOf(client); !slices.Equal(after, before) {
			t.Errorf("%s: the operations are %q", tt.name, after)
		}
		if got := send(t, client, "GET", g.url+"/desks", "", http.Header{}); got.body != "served" {
			t.Errorf("%s: requests are answered with %d %s", tt.name, got.StatusCode, got.body)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("somebody else was asked %d times", n)
	}
	for kind, s := range tellers {
		s.now(text(documentOf("Better", "/desks")))
		eventually(t, "it is good again", func() bool { return g.docsStatus(client, kind).State == "good" })
	}
}

// A document that can refer to itself, as trees do, is good.
func TestDocsTakeRecursiveSchemas(t *testing.T) {
	file := write(t, "tree.yaml", documentOf("Tree", "/desks")+"components: {schemas: {Tree: {type: object, properties: {children: {type: array, items: {$ref: '#/components/schemas/Tree'}}}}}}\n")
	g, client := runDocs(t, fmt.Sprintf("  desks: {targets: [\"http://127.0.0.1:1\"], openapi: {file: %q}}", file), docsRoute+"  - {name: desks, path: /desks, auth: none, service: desks}")
	if s := g.docsStatus(client, "desks"); s.State != "good" {
		t.Errorf("%+v", s)
	}
}

// Documents that never come delay no start, whether there are ten of them or none.
func TestDocsDelayNoStart(t *testing.T) {
	services, routes := "", docsRoute
	for i := range 10 {
		s := startTeller(t)
		s.now(hang)
		services += fmt.Sprintf("  s%d: {targets: [%q], openapi: {path: /openapi, timeout: 1m}}\n", i, s.URL)
		routes += fmt.Sprintf("  - {name: s%d, path: /s%[1]d, auth: none, service: s%[1]d}\n", i)
	}
	without := strings.ReplaceAll(services, ", openapi: {path: /openapi, timeout: 1m}", "")
	took := func(services string) time.Duration {
		begin := time.Now()
		g, client := runDocs(t, services, routes)
		d := time.Since(begin)
		if got := send(t, client, "GET", g.url+"/s3", "", http.Header{}); got.body != "served" {
			t.Errorf("requests are answered with %d %s", got.StatusCode, got.body)
		}
		send(t, client, "GET", g.url+"/api-docs.json", "", http.Header{}).want(t, 200)
		return d
	}
	var with, none time.Duration
	for range 3 { // the best of them: others use this machine too
		none = quicker(none, took(without))
		with = quicker(with, took(services))
	}
	t.Logf("ready after %s with ten documents that hang, %s without", with.Round(time.Millisecond), none.Round(time.Millisecond))
	if with > none+time.Second {
		t.Errorf("ready after %s with ten documents that hang, %s without", with, none)
	}
}

// quicker is the smaller of two durations, of which the first may not be there yet.
func quicker(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// bigDocument has about as many bytes, and another title each time.
func bigDocument(bytes int, title string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"openapi":"3.1.0","info":{"title":%q,"version":"1"},"paths":{"/desks":{"get":{"responses":{"200":{"description":"All"}}}}`, title)
	for i := 0; b.Len() < bytes; i++ {
		fmt.Fprintf(&b, `,"/desks/%d/{id}":{"get":{"operationId":"get%d","summary":"Read %d","description":%q,"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],`+
			`"responses":{"200":{"description":"It","content":{"application/json":{"schema":{"type":"object","required":["id"],"properties":{"id":{"type":"string","format":"uuid"},"name":{"type":"string","maxLength":100}}}}}}}}}`,
			i, i, i, strings.Repeat("What it is good for. ", 30))
	}
	return b.String() + "}}"
}

// Requests don't wait while a large document is parsed and merged again and again.
func TestDocsDelayNoRequests(t *testing.T) {
	s := startTeller(t)
	const size = 9 << 20
	var n atomic.Int64
	body := bigDocument(size, "Desks 0000000")
	s.now(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Replace(body, "0000000", fmt.Sprintf("%07d", n.Add(1)), 1))
	})
	g, client := runDocs(t, fmt.Sprintf("  desks: {targets: [%q], openapi: {path: /openapi, refresh: 1s}}", s.URL), docsRoute+"  - {name: desks, path: /desks/**, auth: none, service: desks}")
	measure := func(what string, until func() bool) {
		var all []time.Duration
		for !until() {
			begin := time.Now()
			send(t, client, "GET", g.url+"/desks", "", http.Header{}).want(t, 200)
			all = append(all, time.Since(begin))
			time.Sleep(time.Millisecond) // a steady load, not all that the machine has
		}
		slices.Sort(all)
		p99 := all[len(all)*99/100]
		t.Logf("%s: %d requests, p50 %s, p99 %s, longest %s", what, len(all), all[len(all)/2], p99, all[len(all)-1])
		if p99 > 2*time.Second {
			t.Errorf("%s: requests take %s", what, p99)
		}
	}
	eventually(t, "the large document is there", func() bool { return g.sources(client)["desks"] == "good" })
	seen := n.Load()
	measure("while 9 MB are parsed and merged", func() bool { return n.Load() >= seen+4 })
	if title := g.docsStatus(client, "desks").Title; !strings.HasPrefix(title, "Desks ") {
		t.Errorf("the document is %q", title)
	}
	s.now(hang)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	measure("at rest", func() bool { return ctx.Err() != nil })
}
