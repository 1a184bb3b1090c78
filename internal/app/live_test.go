package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"yett/internal/control"
)

const plain = header + "routes: [{name: health, path: /health, auth: none, endpoint: health}]\n"

// What runs on a route and a service that are gone ends by itself.
func TestRunningOutlivesItsService(t *testing.T) {
	text := header + `
services: {app: {targets: ["SERVICES"]}}
routes:
  - {name: app, path: /app/**, auth: none, service: app}
`
	p := launch(t, text)
	answers := make(chan string, 1)
	go func() {
		code, body := p.get("/app/hold")
		answers <- fmt.Sprint(code, body)
	}()
	<-p.held
	events, tunnel := p.events("/app/events"), p.tunnel("/app/tunnel")
	upload, err := net.Dial("tcp", p.Addr(0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer upload.Close()
	fmt.Fprint(upload, "POST /app/upload HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 200000\r\n\r\n"+strings.Repeat("x", 100_000))
	if err := tunnel.echo(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are under way", func() bool { return p.gateway.Snapshot().Services()[0].Stats().InFlight == 4 })
	p.reload(plain)
	p.want("/app/a", 404, "")
	for range 3 {
		if err := events.next(); err != nil {
			t.Fatal(err)
		}
		if err := tunnel.echo(); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprint(upload, strings.Repeat("x", 100_000))
	b := make([]byte, 1000)
	n, err := upload.Read(b)
	if err != nil || !strings.HasPrefix(string(b[:n]), "HTTP/1.1 200") {
		t.Errorf("%v %s", err, b[:n])
	}
	p.hold <- struct{}{}
	if got := <-answers; got != "200held" {
		t.Error(got)
	}
}

// Listeners come and go. One that stays keeps its socket and its connections, whatever else is
// set about it.
func TestReloadListeners(t *testing.T) {
	const routes = `
log: {access: {output: off}}
services: {app: {targets: ["SERVICES"]}}
routes:
  - {name: app, path: /app/**, auth: none, service: app}
`
	p := launch(t, `listeners: [{name: a, address: "127.0.0.1:0"}]`+routes)
	address := p.Addr(0).String()
	p.want("/app/a", 200, "")
	p.reload(`listeners: [{name: b, address: "127.0.0.1:0"}, {name: a, address: "127.0.0.1:0", limits: {request_line: 64B}}]` + routes)
	if p.Addr(1).String() != address {
		t.Fatalf("the listener a has moved from %s to %s", address, p.Addr(1))
	}
	if n := p.listeners.serving()[1].Connections(); n != 1 {
		t.Errorf("%d connections to the listener that has stayed", n)
	}
	p.want("/app/"+strings.Repeat("a", 100), 200, "") // b has no such limit
	resp, _ := p.ask(p.client, "http://"+address+"/app/"+strings.Repeat("a", 100))
	if resp.StatusCode != 414 {
		t.Error(resp.Status)
	}
	gone := p.Addr(0).String()
	answer := make(chan string, 1)
	go func() {
		resp, body := p.ask(p.client, "http://"+gone+"/app/hold")
		answer <- fmt.Sprint(resp.StatusCode, body, resp.Close)
	}()
	<-p.held
	began := time.Now()
	p.reload(`listeners: [{name: a, address: "127.0.0.1:0"}]` + routes)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the change has waited %v for a listener that is leaving", took)
	}
	if c, err := net.Dial("tcp", gone); err == nil {
		t.Error("it still listens")
		_ = c.Close()
	}
	p.hold <- struct{}{}
	if got := <-answer; got != "200heldtrue" {
		t.Error(got)
	}
	eventually(t, "it has left", func() bool { return len(p.listeners.all()) == 1 })
}

// An address that can't be bound is refused, and what was bound before it is free again.
func TestReloadUnboundAddress(t *testing.T) {
	p := launch(t, plain)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	first := free.Addr().String()
	_ = free.Close()
	taken := p.services.Listener.Addr().String()
	two := replace(plain, `[{address: "127.0.0.1:0"}]`, fmt.Sprintf("\n  - {address: \"127.0.0.1:0\"}\n  - {address: %q}\n  - {address: %q}", first, taken))
	why := p.refuse(two)
	if !strings.Contains(why, "yett.yaml:4:") || !strings.Contains(why, "listening on "+taken) || !strings.Contains(why, "choose another port") {
		t.Error(why)
	}
	if l, err := net.Listen("tcp", first); err != nil {
		t.Errorf("what was bound for nothing is not free: %v", err)
	} else {
		_ = l.Close()
	}
	_, port, _ := net.SplitHostPort(p.Addr(0).String())
	if why := p.refuse(replace(plain, "127.0.0.1:0", "0.0.0.0:"+port)); !strings.Contains(why, "with a second change") {
		t.Error(why)
	}
	p.want("/health", 200, "")
}

// certify writes a certificate and its key, and returns who believes it.
func certify(t *testing.T, dir, name string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	replaceFile(t, filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	replaceFile(t, filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{RootCAs: pool, ServerName: name}
}

// replaceFile puts another file in the place of one, as editors do.
func replaceFile(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// handshake returns whether a certificate is shown that somebody believes.
func (p *platform) handshake(conf *tls.Config) error {
	c, err := tls.Dial("tcp", p.Addr(0).String(), conf)
	if err == nil {
		_ = c.Close()
	}
	return err
}

const withTLS = `listeners: [{address: "127.0.0.1:0", tls: {certificates: [{cert: cert.pem, key: key.pem}]}}]
log: {access: {output: off}}
RELOAD
routes: [{name: health, path: /health, auth: none, endpoint: health}]
`

// A listener begins to speak TLS, shows a certificate that was renewed, and resumes sessions as
// long as it is the same.
func TestReloadTLS(t *testing.T) {
	p := launch(t, plain)
	p.want("/health", 200, "")
	first := certify(t, p.dir, "a.example")
	first.ClientSessionCache = tls.NewLRUClientSessionCache(10)
	text := replace(withTLS, "RELOAD", "")
	p.reload(text)
	p.want("/health", 200, "") // on the connection that is there, which is plain
	secure := &http.Client{Transport: &http.Transport{TLSClientConfig: first, DisableKeepAlives: true}, Timeout: patience}
	ask := func() *http.Response {
		resp, _ := p.ask(secure, "https://"+p.Addr(0).String()+"/health")
		return resp
	}
	ask()
	p.reload(text + "# a comment\n")
	if !ask().TLS.DidResume {
		t.Error("a session is lost, and the certificate is the same")
	}
	second := certify(t, p.dir, "b.example")
	out := p.reload(text + "# a comment\n")
	if len(out.Plan.Changes) != 2 || out.Plan.Changes[0].Name != filepath.Join(p.dir, "cert.pem") {
		t.Errorf("%+v", out.Plan)
	}
	if err := p.handshake(second); err != nil {
		t.Error(err)
	}
	if err := p.handshake(first); err == nil {
		t.Error("the old certificate is shown still")
	}
	put(t, filepath.Join(p.dir, "key.pem"), "no key")
	if why := p.refuse(text); !strings.Contains(why, "yett.yaml:1:") || !strings.Contains(why, "tls.certificates[0]") {
		t.Error(why)
	}
	if err := p.handshake(second); err != nil {
		t.Error(err)
	}
}

// The store can't change in this process.
func TestReloadStore(t *testing.T) {
	p := launch(t, plain)
	why := p.refuse(plain + "store: {required: false, redis: {host: 127.0.0.1}}\n")
	if !strings.Contains(why, "store") || !strings.Contains(why, "yett upgrade") || !hasPlace.MatchString(why) {
		t.Error(why)
	}
	if s := p.Store(); s.Name != "memory" {
		t.Errorf("%+v", s)
	}
	p.reload(plain + "store: {required: false}\n") // which is asked at a start alone
}

// Names, levels, outputs and bounds are those of the new configuration.
func TestReloadTheRest(t *testing.T) {
	text := `
name: NAME
version: VERSION
listeners: [{address: "127.0.0.1:0"}]
log: {level: LEVEL, access: {output: OUTPUT}}
OVERLOAD
services: {app: {targets: ["SERVICES"]}}
routes:
  - {name: health, path: /health, auth: none, endpoint: health_detailed}
  - {name: app, path: /app, auth: none, service: app}
`
	one := replace(text, "NAME", "one", "VERSION", "1", "LEVEL", "info", "OUTPUT", "one.log", "OVERLOAD", "")
	two := replace(text, "NAME", "two", "VERSION", "2", "LEVEL", "debug", "OUTPUT", "two.log", "OVERLOAD", "overload: {memory: 16MB, run_queue: 1m}")
	p := launch(t, one)
	p.want("/app", 200, "one")
	p.want("/health", 200, `"service":"one","version":"1"`)
	child := p.Log().With("who", "child").WithGroup("g")
	child.Debug("not yet")
	p.reload(two)
	child.Debug("now", "a", 1)
	p.want("/app", 200, "two")
	p.want("/health", 200, `"service":"two","version":"2"`)
	eventually(t, "the memory is looked at", func() bool { return p.Overload().Memory > 0 })
	if log := p.log.String(); strings.Contains(log, "not yet") || !strings.Contains(log, `"msg":"now","who":"child","g":{"a":1}`) {
		t.Error(log)
	}
	p.reload(one)
	if s := p.Overload(); s.Memory != 0 {
		t.Errorf("%+v", s)
	}
	p.want("/app", 200, "one")
	for file, lines := range map[string]int{"one.log": 3, "two.log": 2} {
		eventually(t, file+" is written", func() bool {
			data, _ := os.ReadFile(filepath.Join(p.dir, file))
			return strings.Count(string(data), "\n") == lines
		})
	}
	p.want("/health", 200, `"configuration":{"revision":"`)
	p.refuse("nonsense: 1\n")
	p.want("/health", 200, `"refused":{"at":"`)
}

// Revisions are kept, and can be gone back to. What is the same is no new one.
func TestRevisions(t *testing.T) {
	p := launch(t, "name: one\n"+plain)
	first, _ := p.control.Current()
	if out := p.reload("name: one\n" + plain); len(out.Plan.Changes) != 0 || out.Revision != first || !first.Current || first.Cause != "start" {
		t.Errorf("%+v", out)
	}
	second := p.reload("name: two\n" + plain).Revision
	if second.ID == first.ID || second.Cause != "reload" {
		t.Errorf("%+v", second)
	}
	planned, err := p.Plan(t.Context(), control.Proposal{Text: "name: three\n" + plain, File: "other.yaml"})
	if err != nil || planned.Applied || len(planned.Problems) > 0 || planned.Revision.ID == second.ID || p.Config().Name != "two" {
		t.Errorf("%v %+v", err, planned)
	}
	planned, err = p.Plan(t.Context(), control.Proposal{Text: "nonsense: 1", File: "other.yaml"})
	if _, refused := p.control.Current(); err != nil || len(planned.Problems) == 0 || planned.Problems[0].File != filepath.Join(p.dir, "other.yaml") || refused != nil {
		t.Errorf("%v %+v", err, planned)
	}
	out, err := p.Reload(t.Context(), control.Proposal{Revision: "-", Cause: "rollback"})
	if err != nil || !out.Applied || out.Revision.ID != first.ID || out.Revision.Cause != "rollback" || p.Config().Name != "one" {
		t.Errorf("%v %+v", err, out)
	}
	all, err := p.Revisions(t.Context())
	if err != nil || len(all) != 2 || !all[0].Current || all[0].ID != first.ID || all[1].Current || all[1].ID != second.ID {
		t.Errorf("%v %+v", err, all)
	}
	if out, err = p.Reload(t.Context(), control.Proposal{Revision: second.ID[:8]}); err != nil || !out.Applied || p.Config().Name != "two" {
		t.Errorf("%v %+v", err, out)
	}
	if out, err = p.Reload(t.Context(), control.Proposal{Revision: "nobody"}); err != nil || out.Applied || !strings.Contains(out.Refused, first.ID) {
		t.Errorf("%v %+v", err, out)
	}
}

// A change that waits for the keys of a new issuer keeps no stop waiting.
func TestStopWhileKeysAreAwaited(t *testing.T) {
	p := launch(t, plain)
	p.write(plain + "issuers: {main: {issuer: \"http://a\", audience: [b], keys: [{jwks_url: \"SERVICES/hold\"}]}}\npolicies: {jwt: }\n")
	taken := make(chan control.Outcome, 1)
	asked, leave := context.WithCancel(t.Context())
	go func() {
		out, err := p.Reload(asked, control.Proposal{})
		if err != nil {
			t.Error(err)
		}
		taken <- out
	}()
	<-p.held
	leave() // who asked for it does not cut the waiting short
	select {
	case out := <-taken:
		t.Fatalf("it did not wait: %+v", out)
	case <-time.After(100 * time.Millisecond):
	}
	began := time.Now()
	p.endChanges()
	if out := <-taken; !out.Applied || time.Since(began) > keysTime/2 {
		t.Errorf("%v: %+v", time.Since(began), out)
	}
}

// Values of variables may be secrets, wherever they stand by mistake: a refusal names the variables.
func TestRefusalHidesValues(t *testing.T) {
	p := launch(t, plain)
	p.vars["SECRET"], p.vars["SHORT"] = "s3cr3t-of-\"somebody\"", "x:y"
	text := "listeners: [{address: \"${SECRET}\"}, {address: \"${SHORT}\"}]\n" + "routes: [{name: health, path: \"/${SECRET}{\", auth: none, endpoint: health}]\n"
	why := p.refuse(text)
	s, err := p.Status(t.Context())
	if err != nil || s.Refused == nil {
		t.Fatal(err)
	}
	if err := p.FlushLog(); err != nil {
		t.Error(err)
	}
	planned, err := p.Plan(t.Context(), control.Proposal{})
	if err != nil {
		t.Fatal(err)
	}
	for _, told := range []string{why, strings.Join(s.Refused.Why, "\n"), p.log.String(), planned.Problems.Error()} {
		if strings.Contains(told, "s3cr3t") {
			t.Errorf("it is told: %s", told)
		}
	}
	for _, want := range []string{`"${SECRET}" is not an address`, `"x:y" is not an address`} {
		if !strings.Contains(why, want) {
			t.Errorf("%s\nlacks %s", why, want)
		}
	}
}

// What lets more pass is a warning, whoever brought it.
func TestReloadWarns(t *testing.T) {
	text := header + "limits: {few: {limit: 2, window: 1h, by: ip}}\npolicies: {ratelimit: {limits: [few]}}\n" +
		"routes: [{name: health, path: /health, auth: none, endpoint: health}]\n"
	p := launch(t, text)
	p.reload(replace(text, "limit: 2", "limit: 1"))
	if strings.Contains(p.log.String(), `"level":"warn"`) {
		t.Error("a lower limit is a warning")
	}
	p.reload(replace(text, "limit: 2", "limit: 3"))
	if err := p.FlushLog(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{`"level":"warn"`, `"kind":"limit","name":"few","effect":"allows more than before"`} {
		if !strings.Contains(p.log.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}

// Before the start, and from the stop on, nothing changes.
func TestReloadOutOfTime(t *testing.T) {
	p := launch(t, plain)
	p.endChanges()
	if _, err := p.Reload(t.Context(), control.Proposal{}); err != control.ErrStopping {
		t.Error(err)
	}
	s, err := p.Status(t.Context())
	if err != nil || s.State != control.Draining || s.Memory == 0 || s.CPU == 0 || len(s.Listeners) != 1 || s.Listeners[0].Address != p.Addr(0).String() {
		t.Errorf("%v %+v", err, s)
	}
}
