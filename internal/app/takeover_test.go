package app

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// counting is a service that counts connections and requests, and says its name.
type counting struct {
	*httptest.Server
	connections, requests atomic.Int64
}

func newCounting(t *testing.T, name string, status int) *counting {
	c := new(counting)
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c.requests.Add(1)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(name))
	}))
	c.Config.ConnState = connState(&c.connections)
	c.Start()
	t.Cleanup(c.Close)
	return c
}

// change returns a configuration with words replaced.
func replace(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }

// A service that did not change keeps its connections and its breaker; one that did has
// neither, nor its old settings.
func TestReloadServices(t *testing.T) {
	good, bad := newCounting(t, "good", 200), newCounting(t, "bad", 500)
	text := replace(header+`
services:
  kept: {targets: ["GOOD"]}
  broken: {targets: ["BAD"], breaker: {mode: enforce, consecutive_failures: 1}}
  slow: {targets: ["SERVICES"], timeouts: {response: 20s}}
routes:
  - {name: kept, path: /kept, auth: none, service: kept}
  - {name: broken, path: /broken, auth: none, service: broken}
  - {name: slow, path: /slow/**, auth: none, service: slow}
`, "GOOD", good.URL, "BAD", bad.URL)
	p := launch(t, text)
	p.want("/kept", 200, "good")
	p.want("/broken", 500, "")
	p.want("/broken", 503, "")
	p.reload(replace(text, "20s", "30ms"))
	p.want("/kept", 200, "good")
	p.want("/broken", 503, "")
	p.want("/slow/hold", 504, "")
	if n := good.connections.Load(); n != 1 {
		t.Errorf("%d connections to the service that is the same", n)
	}
	if n := bad.requests.Load(); n != 1 {
		t.Errorf("%d requests got through an open breaker", n)
	}
	p.reload(replace(text, "consecutive_failures: 1", "consecutive_failures: 2"))
	p.want("/broken", 500, "") // closed, as its settings are others
	p.reload(replace(text, "kept: {targets", "kept: {timeouts: {connect: 3s}, targets"))
	p.want("/kept", 200, "good")
	if n := good.connections.Load(); n != 2 {
		t.Errorf("%d connections, and the service is another", n)
	}
}

// A service that is the same falls back to the one that the new configuration means.
func TestReloadFallback(t *testing.T) {
	bad, one, two := newCounting(t, "bad", 500), newCounting(t, "one", 200), newCounting(t, "two", 200)
	text := replace(header+`
services:
  main: {targets: ["BAD"], breaker: {mode: enforce, consecutive_failures: 1, fallback: {service: other}}}
  other: {targets: ["OTHER"]}
routes:
  - {name: main, path: /main, auth: none, service: main}
  - {name: other, path: /other, auth: none, service: other}
`, "BAD", bad.URL)
	p := launch(t, replace(text, "OTHER", one.URL))
	p.want("/main", 500, "")
	p.want("/main", 200, "one")
	p.reload(replace(text, "OTHER", two.URL))
	p.want("/main", 200, "two")
	if n := bad.requests.Load(); n != 1 {
		t.Errorf("%d requests got through an open breaker", n)
	}
	p.reload(replace(text, "OTHER", two.URL, ", fallback: {service: other}", ""))
	p.want("/main", 500, "bad")
}

// Shares and mirrors are those of the new configuration; a mirror that is the same goes on counting.
func TestReloadSplitAndMirror(t *testing.T) {
	one, two, copies, others := newCounting(t, "one", 200), newCounting(t, "two", 200), newCounting(t, "", 200), newCounting(t, "", 200)
	text := replace(header+`
services:
  one: {targets: ["ONE"]}
  two: {targets: ["TWO"]}
  copies: {targets: ["COPIES"]}
routes:
  - {name: split, path: /split, auth: none, service: one, split: {to: {two: SHARE}}}
  - {name: mirror, path: /mirror, auth: none, service: one, mirror: {service: copies, share: MIRROR}}
  - {name: two, path: /two, auth: none, service: two}
`, "ONE", one.URL, "TWO", two.URL)
	p := launch(t, replace(text, "SHARE", "0%", "MIRROR", "100%", "COPIES", copies.URL))
	p.want("/split", 200, "one")
	p.want("/mirror", 200, "one")
	eventually(t, "the copy comes", func() bool { return copies.requests.Load() == 1 })
	p.reload(replace(text, "SHARE", "100%", "MIRROR", "100%", "COPIES", copies.URL))
	p.want("/split", 200, "two")
	p.want("/mirror", 200, "one")
	eventually(t, "the second copy comes", func() bool { return copies.requests.Load() == 2 })
	if m := p.Mirrors(); m[0].Sent != 2 {
		t.Errorf("the mirror that is the same has forgotten: %+v", m)
	}
	p.reload(replace(text, "SHARE", "0%", "MIRROR", "100%", "COPIES", others.URL))
	p.want("/split", 200, "one")
	p.want("/mirror", 200, "one")
	eventually(t, "the copy comes to the other service", func() bool { return others.requests.Load() == 1 })
	p.reload(replace(text, "SHARE", "0%", "MIRROR", "0%", "COPIES", others.URL))
	p.want("/mirror", 200, "one")
	if m := p.Mirrors(); m[0].Sent != 0 || copies.requests.Load() != 2 {
		t.Errorf("%+v", m)
	}
}

// What a caller has used of a limit is remembered; new numbers count at once.
func TestReloadLimits(t *testing.T) {
	text := header + `
limits:
  few: {limit: 2, window: 1h, by: ip}
policies: {ratelimit: {limits: [few]}}
routes:
  - {name: health, path: /health, auth: none, endpoint: health}
`
	p := launch(t, text)
	p.want("/health", 200, "")
	p.want("/health", 200, "")
	p.want("/health", 429, "")
	p.reload(text + "  - {name: ready, path: /ready, auth: none, endpoint: ready}\n")
	p.want("/ready", 429, "")
	if l := p.Limits().Meter.Limits; len(l) != 1 || l[0].Allowed != 2 || l[0].Refused != 2 {
		t.Errorf("%+v", l)
	}
	p.reload(replace(text, "limit: 2", "limit: 100"))
	p.want("/health", 200, "")
	p.reload(replace(text, "limit: 2", "limit: 1"))
	p.want("/health", 429, "")
	p.reload(replace(text, "few", "other"))
	p.want("/health", 200, "")
	if l := p.Limits().Meter.Limits; len(l) != 1 || l[0].Name != "other" {
		t.Errorf("%+v", l)
	}
}

// sign makes a token with a secret.
func sign(t *testing.T, secret string) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(s).Claims(map[string]any{"sub": "somebody", "role": "user", "exp": time.Now().Add(time.Hour).Unix()}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return "Authorization: Bearer " + token
}

// A token that was verified before does not pass when its key is another, even where the
// configuration is the same and only .env is not. Real variables win over that.
func TestReloadKeys(t *testing.T) {
	const one, two = "0123456789abcdef0123456789abcde1", "0123456789abcdef0123456789abcde2"
	text := header + `
issuers: {main: {keys: [{secret: "${SECRET}"}]}}
policies: {jwt: }
routes:
  - {name: health, path: /health, auth: required, endpoint: health}
`
	dir := t.TempDir()
	dotenv := filepath.Join(dir, ".env")
	put(t, dotenv, "SECRET="+one)
	p := launch(t, text, func(o *Options) { o.File = filepath.Join(dir, "yett.yaml"); put(t, o.File, text) })
	p.file = p.o.File
	first, _ := p.control.Current()
	token := sign(t, one)
	p.want("/health", 200, "", token)
	verifier := p.tokens()
	p.reload(text)
	if p.tokens() != verifier {
		t.Error("the verifier is another, and nothing has changed")
	}
	p.reload(text + "# a comment\n")
	if p.tokens() != verifier {
		t.Error("the verifier is another, and the issuers are not")
	}
	put(t, dotenv, "SECRET="+two)
	p.reload(text)
	p.want("/health", 401, "", token)
	p.want("/health", 200, "", sign(t, two))
	second, _ := p.control.Current()
	if second.ID == first.ID || strings.Contains(p.log.String(), two) {
		t.Errorf("%+v", second)
	}
	p.vars["SECRET"] = one
	p.reload(text)
	p.want("/health", 200, "", token)
	if last, _ := p.control.Current(); last.ID != first.ID {
		t.Errorf("the same is %s and %s", last.ID, first.ID)
	}
}

// A document is read anew by a reload, and what is counted of its operations survives.
func TestReloadDocuments(t *testing.T) {
	const document = `{"openapi": "3.1.0", "info": {"title": "TITLE", "version": "1"}, "paths": {"/app/a": {"get": {"responses": {"200": {"description": "ok"}}}}}}`
	text := header + `
policies: {validate: {mode: observe}}
services:
  app: {targets: ["SERVICES"], openapi: {file: app.json}MORE}
routes:
  - {name: app, path: /app/**, auth: none, service: app}
`
	dir := t.TempDir()
	put(t, filepath.Join(dir, "app.json"), strings.Replace(document, "TITLE", "One", 1))
	p := launch(t, header+"routes: [{name: health, path: /health, auth: none, endpoint: health}]\n", func(o *Options) {
		put(t, filepath.Join(dir, "yett.yaml"), header+"routes: [{name: health, path: /health, auth: none, endpoint: health}]\n")
		o.File = filepath.Join(dir, "yett.yaml")
	})
	p.file = p.o.File
	same := replace(text, "MORE", "")
	p.reload(same)
	p.want("/app/a", 200, "")
	source := func() string {
		l := p.gateway.Snapshot().Documents().Of("app").Loaded()
		if l == nil {
			return ""
		}
		return l.Title
	}
	eventually(t, "the document is there", func() bool { return source() == "One" })
	old := p.gateway.Snapshot().Documents().Of("app")
	p.reload(replace(text, "MORE", ", timeouts: {response: 3s}")) // another service with the same document
	if p.gateway.Snapshot().Documents().Of("app") != old {
		t.Error("the document was read by somebody new")
	}
	put(t, filepath.Join(dir, "app.json"), strings.Replace(document, "TITLE", "Two", 1))
	p.reload(replace(text, "MORE", ", timeouts: {response: 3s}")) // the same, which looks at documents all the same
	eventually(t, "the new document is there", func() bool { return source() == "Two" })
	p.reload(replace(text, "openapi: {file: app.json}MORE", "retries: {budget: 1%}", "policies: {validate: {mode: observe}}\n", ""))
	if p.gateway.Snapshot().Documents().Of("app") != nil {
		t.Error("there is a document still")
	}
}

// put writes a file.
func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
