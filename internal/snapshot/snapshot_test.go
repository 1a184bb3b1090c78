package snapshot

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/problem"
	"yett/internal/sweep"
	"yett/internal/upstream"
	"yett/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// page is a page of the gateway.
type page struct{}

func (page) Serve(x *exchange.Exchange) { x.Status = 200 }

// deps is what snapshots of a test are built with. Files stand in a folder of
// the test's own.
func deps(t testing.TB) Deps {
	t.Helper()
	t.Chdir(t.TempDir())
	sweeper := sweep.New()
	t.Cleanup(sweeper.Close)
	return Deps{
		Policy:    policy.Deps{Version: "1.2.3"},
		Upstream:  upstream.Deps{Buffers: &wire.Buffers{}, Sweeper: sweeper},
		Endpoints: map[string]Endpoint{"health": page{}, "ready": page{}, "health_detailed": page{}},
	}
}

// Errors that would go twice into the same place are a mistake.
func TestErrorsHaveAPlaceOfTheirOwn(t *testing.T) {
	const config = "listeners: [{address: \":0\"}]\nroutes: [{name: a, path: /, auth: none, endpoint: health}]\nlog: {access: {output: OUTPUT, errors: ERRORS}}\n"
	for _, tt := range []struct {
		output, errors string
		bad            bool
	}{
		{"stdout", "stdout", true}, {"a.log", "./a.log", true},
		{"off", "off", false}, {"stdout", "stderr", false}, {"a.log", "b.log", false}, {"a.log", "auto", false}, {"off", "a.log", false},
	} {
		text := strings.NewReplacer("OUTPUT", tt.output, "ERRORS", tt.errors).Replace(config)
		_, err := Compile(parse(t, text), deps(t), nil)
		if (err != nil) != tt.bad || err != nil && !strings.Contains(err.Error(), "yett.yaml:3:") {
			t.Errorf("%s and %s: %v", tt.output, tt.errors, err)
		}
	}
}

// Log files that would come and go all the time are a mistake.
func TestRotationHasItsPace(t *testing.T) {
	const config = "listeners: [{address: \":0\"}]\nroutes: [{name: a, path: /, auth: none, endpoint: health}]\nlog: {rotate: ROTATE}\n"
	for rotate, want := range map[string]string{
		"{size: 10KB, age: 1m}": "", "{size: 0, age: 0s}": "", "{size: 100MB, age: 24h, keep: 0, keep_for: 720h}": "",
		"{size: 10000}": "yett.yaml:3:22: log.rotate.size: a new log file after each 10000 would be one for a few lines, write 10KB or more",
		"{age: 59s}":    "yett.yaml:3:21: log.rotate.age: a new log file every 59s is too often, write 1m or more",
	} {
		_, err := Compile(parse(t, strings.Replace(config, "ROTATE", rotate, 1)), deps(t), nil)
		if got := fmt.Sprint(err); (want == "") != (err == nil) || !strings.Contains(got, want) {
			t.Errorf("%s: %s", rotate, got)
		}
	}
}

// The example of docs/logs.md loads.
func TestLogsDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(text), "```yaml\n")
	example, _, ends := strings.Cut(example, "```")
	if !ok || !ends {
		t.Fatal("there is no example")
	}
	compile(t, "listeners: [{address: \":0\"}]\nroutes: [{name: a, path: /, auth: none, endpoint: health}]\n"+example, deps(t), nil)
}

func parse(t testing.TB, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("yett.yaml", []byte(text), nil)
	if err != nil {
		t.Fatalf("the configuration does not even decode: %v", err)
	}
	return c
}

// compile returns the snapshot of a configuration that has to be good.
func compile(t testing.TB, text string, d Deps, previous *Snapshot) *Snapshot {
	t.Helper()
	s, err := Compile(parse(t, text), d, previous)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const small = `
listeners: [{address: "127.0.0.1:0"}]
services: {app: {targets: ["http://127.0.0.1:1"]}}
routes: [{name: app, path: /**, auth: none, service: app}]
`

// Every mistake is reported at once, with its place and what to do.
func TestProblems(t *testing.T) {
	const text = `
listeners:
  - {name: a, address: "127.0.0.1:3000", protocols: [http1, h2]}
  - {name: a, address: "127.0.0.1:3000"}
  - {address: nonsense}
  - {address: ":70000"}
  - address: ":3443"
    protocols: [h2c]
    tls: {certificates: [{cert: none.pem, key: none.key}]}
identity_headers: [X-User-ID, "X User", Authorization]
policies:
  secure_headers: {}
  respond: {text: a}
services:
  good: {targets: ["http://127.0.0.1:1"]}
  lonely: {targets: ["http://127.0.0.1:1"]}
  bad:
    targets: ["ftp://a", "http://a/b", "http://a:99999", "http://u:secret@a"]
    host: "a b"
    tls: {ca: none.pem}
routes:
  - {name: typo, path: /a, auth: none, service: goood}
  - {name: nobody, path: /b, auth: none}
  - {name: two, path: /c, auth: none, service: good, policies: {respond: {text: a}}}
  - {name: auth, path: /d, auth: required, service: good}
  - {name: maybe, path: /e, auth: optional, service: good}
  - {name: host, path: /f, auth: none, service: good, forward: {host: "a b"}}
  - {name: policy, path: /g, auth: none, service: good, policies: {request_ids: {}}}
  - {name: rewrite, path: /h, auth: none, service: bad, forward: {replace: "/{nothing}"}}
  - {name: broken, path: /i, auth: none, policies: {respond: {text: "{nothing}"}}}
  - {name: pointless, path: /j, auth: none, forward: {strip_prefix: /j}, policies: {respond: {text: a}}}
`
	want := []string{
		`yett.yaml:3:61: listeners[0].protocols[1]: h2 needs TLS, add tls, or use h2c`,
		`yett.yaml:4:12: listeners[1].name: the name "a" is taken, give each listener a name of its own`,
		`yett.yaml:4:24: listeners[1].address: the address 127.0.0.1:3000 is taken by another listener, one listener can serve all routes`,
		`yett.yaml:5:15: listeners[2].address: "nonsense" is not an address, write host:port, such as "127.0.0.1:3000" or ":3000"`,
		`yett.yaml:6:15: listeners[3].address: ":70000" is not an address, `,
		`yett.yaml:8:17: listeners[4].protocols[0]: h2c is for listeners without TLS, use h2`,
		`yett.yaml:9:26: listeners[4].tls.certificates[0]: loading the certificate: `,
		`yett.yaml:10:31: identity_headers[1]: "X User" can't be the name of a header, `,
		`yett.yaml:10:41: identity_headers[2]: Authorization has a meaning of its own, name a field that only your services read`,
		`yett.yaml:12:3: policies.secure_headers: there is no policy "secure_headers", did you mean "security_headers"?`,
		`yett.yaml:13:3: policies.respond: respond answers by itself, so no other route could be reached, put it under policies of a route`,
		`yett.yaml:16:3: services.lonely: no route uses the service "lonely", remove it, or name it in a route`,
		`yett.yaml:18:15: services.bad.targets[0]: target "ftp://a": the scheme has to be http or https, write `,
		`yett.yaml:18:26: services.bad.targets[1]: target "http://a/b": a target has no path or query`,
		`yett.yaml:18:40: services.bad.targets[2]: target "http://a:99999": the port has to be 1 to 65535, `,
		`yett.yaml:18:58: services.bad.targets[3]: user and password have no place in a target, `,
		`yett.yaml:19:11: services.bad.host: "a b" is not a host, write client, target, or a host name`,
		`yett.yaml:20:15: services.bad.tls.ca: reading certificate authorities: open `,
		`yett.yaml:22:49: routes[0].service: there is no service "goood", did you mean "good"?`,
		`yett.yaml:23:5: routes[1]: nothing answers on this route, add service, endpoint, or a policy that answers, such as respond`,
		`yett.yaml:24:5: routes[2]: more than one of service, endpoint and an answering policy, keep one`,
		`yett.yaml:25:34: routes[3].auth: auth: required, but no policy on this route verifies callers, add jwt under policies, or write auth: none`,
		`yett.yaml:26:35: routes[4].auth: auth: optional, but no policy `,
		`yett.yaml:27:71: routes[5].forward.host: "a b" is not a host, `,
		`yett.yaml:28:68: routes[6].policies.request_ids: there is no policy "request_ids", did you mean "request_id"?`,
		`yett.yaml:29:76: routes[7].forward.replace: `,
		`yett.yaml:30:69: routes[8].policies.respond.text: {nothing} is no placeholder, `,
		`yett.yaml:31:45: routes[9].forward: nothing is forwarded on a route without a service, remove it`,
	}
	_, err := Compile(parse(t, text), deps(t), nil)
	var list problem.List
	if !errors.As(err, &list) {
		t.Fatalf("%T: %v", err, err)
	}
	lines := strings.Split(list.Error(), "\n")
	for i := range max(len(lines), len(want)) {
		switch {
		case i >= len(lines):
			t.Errorf("missing: %s", want[i])
		case i >= len(want):
			t.Errorf("too much: %s", lines[i])
		case !strings.HasPrefix(lines[i], want[i]):
			t.Errorf("got  %s\nwant %s", lines[i], want[i])
		}
	}
	if strings.Contains(list.Error(), "secret") {
		t.Error("a password is shown")
	}
}

func TestNoSuchPage(t *testing.T) {
	d := deps(t)
	delete(d.Endpoints, "ready")
	_, err := Compile(parse(t, `
listeners: [{address: ":0"}]
routes: [{name: a, path: /a, auth: none, endpoint: ready}]
`), d, nil)
	if err == nil || !strings.Contains(err.Error(), `routes[0].endpoint: there is no page "ready"`) {
		t.Error(err)
	}
}

// A page without keys to show does not load, nor does a policy that signs
// without one.
func TestNoKeyOfAssertions(t *testing.T) {
	d := deps(t)
	d.Endpoints["jwks"] = page{}
	text := `
listeners: [{address: ":0"}]
services: {app: {targets: ["http://127.0.0.1:1"]}}
policies: {identity: {assertion: X-Proof}}
routes:
  - {name: keys, path: /keys, auth: none, endpoint: jwks}
  - {name: app, path: /app, auth: none, service: app}
`
	_, err := Compile(parse(t, text), d, nil)
	want := []string{
		`yett.yaml:4:34: policies.identity.assertion: there is no key to sign with, add a section assertion`,
		`yett.yaml:6:53: routes[0].endpoint: there are no keys that jwks could show, add a section assertion`,
	}
	if got := strings.Split(fmt.Sprint(err), "\n"); len(got) != 2 || !strings.HasPrefix(got[0], want[0]) || !strings.HasPrefix(got[1], want[1]) {
		t.Errorf("got\n%v", err)
	}
	_, err = Compile(parse(t, text+"assertion: {key: none.pem}\n"), d, nil)
	if lines := strings.Split(fmt.Sprint(err), "\n"); len(lines) != 1 || !strings.Contains(lines[0], "assertion.key: reading the key: ") {
		t.Errorf("one mistake is reported as\n%v", err)
	}
	key(t, "own.pem")
	if s := compile(t, text+"assertion: {key: own.pem}\n", d, nil); !strings.Contains(string(s.Signer().JWKS()), "Ed25519") {
		t.Errorf("the keys are %s", s.Signer().JWKS())
	}
}

// key writes a key of assertions.
func key(t testing.TB, file string) {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// What a policy sets on one route no client can send on any: neither where the
// policy is missing, nor where it has other names, nor where it is off.
func TestReserved(t *testing.T) {
	d := deps(t)
	key(t, "own.pem")
	s := compile(t, `
listeners: [{address: "127.0.0.1:0"}]
services: {app: {targets: ["http://127.0.0.1:1"]}}
identity_headers: [X-Listed]
assertion: {key: own.pem}
policies: {identity: {headers: {X-Global: subject}, assertion: X-Proof}}
routes:
  - {name: off, path: /off, auth: none, service: app, policies: {identity: off}}
  - {name: own, path: /own, auth: none, service: app, policies: {identity: {headers: {X-Own: subject}}}}
`, d, nil)
	x := &exchange.Exchange{Method: "GET", RawPath: "/off"}
	for _, name := range []string{"X-Listed", "X-Global", "x_global", "X-Proof", "X-Own", "x.own", "X-User-ID"} {
		x.Request.Add(name, "a")
	}
	s.Manners.Enter(x)
	if got := x.Request.Fields(); len(got) != 1 || got[0].Name != "X-User-ID" { // which the list does not have any more
		t.Errorf("%v is left", got)
	}
}

// observing is the configuration of a policy that is not enforced.
type observing struct{}

func (observing) PolicyMode() policy.Mode { return policy.Observe }

// reserver is a policy with a name of its own.
type reserver struct{ policy.Base }

func (*reserver) Reserves() []string { return []string{"X-Own"} }

// Nor where the policy only observes.
func TestReservedByObservers(t *testing.T) {
	kind := policy.Define("probe", func() observing { return observing{} },
		func(observing, policy.Deps) (policy.Policy, problem.List) { return &reserver{}, nil })
	node, err := config.ParseNode("yett.yaml", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, problems := kind.Build(node, policy.Deps{})
	if _, observes := policy.Unwrap(p); !observes || len(problems) > 0 {
		t.Fatalf("%T, %v", p, problems)
	}
	if names := reserves(nil, policy.Chain{{Kind: kind, Policy: p}}); !slices.Equal(names, []string{"X-Own"}) {
		t.Errorf("%q is reserved", names)
	}
}

// pair writes a certificate for a name and its key, and returns their files.
func pair(t testing.TB, dir, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = name+".pem", name+".key"
	write(t, filepath.Join(dir, cert), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, filepath.Join(dir, key), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	return cert, key
}

func write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestListeners(t *testing.T) {
	d := deps(t)
	pair(t, ".", "a.example")
	pair(t, ".", "b.example")
	s := compile(t, `
listeners:
  - {name: plain, address: ":0"}
  - {name: both, address: ":0", protocols: [http1, h2c]}
  - {name: tls, address: ":0", tls: {certificates: [{cert: a.example.pem, key: a.example.key}, {cert: b.example.pem, key: b.example.key}]}}
  - {name: strict, address: ":0", protocols: [http1], tls: {min_version: "1.3", certificates: [{cert: a.example.pem, key: a.example.key}]}}
routes: [{name: a, path: /a, auth: none, endpoint: health}]
`, d, nil)
	type facts struct {
		name, protocols, alpn string
		tls                   uint16
		certificates          int
	}
	var got []facts
	for _, l := range s.Listeners {
		f := facts{name: l.Name, protocols: strings.Join(l.Protocols, " ")}
		if l.TLS != nil {
			f.alpn, f.tls, f.certificates = strings.Join(l.TLS.NextProtos, " "), l.TLS.MinVersion, len(l.TLS.Certificates)
		}
		got = append(got, f)
	}
	want := []facts{
		{"plain", "http1", "", 0, 0},
		{"both", "http1 h2c", "", 0, 0},
		{"tls", "http1 h2", "h2 http/1.1", tls.VersionTLS12, 2},
		{"strict", "http1", "http/1.1", tls.VersionTLS13, 1},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// A key that belongs to another certificate does not load.
func TestKeyOfAnother(t *testing.T) {
	d := deps(t)
	cert, _ := pair(t, ".", "a.example")
	_, key := pair(t, ".", "b.example")
	_, err := Compile(parse(t, fmt.Sprintf(`
listeners: [{address: ":0", tls: {certificates: [{cert: %s, key: %s}]}}]
routes: [{name: a, path: /a, auth: none, endpoint: health}]
`, cert, key)), d, nil)
	if err == nil || !strings.Contains(err.Error(), "both have to be PEM files that belong together") {
		t.Error(err)
	}
}

func TestAuthorities(t *testing.T) {
	d := deps(t)
	text := strings.Replace(small, `"]}`, `"], tls: {ca: ca.pem}}`, 1)
	write(t, "ca.pem", []byte("no certificate"))
	if _, err := Compile(parse(t, text), d, nil); err == nil || !strings.Contains(err.Error(), "services.app.tls.ca: no certificate in ca.pem") {
		t.Error(err)
	}
	cert, _ := pair(t, ".", "ca.example")
	s := compile(t, strings.Replace(text, "ca.pem", cert, 1), d, nil)
	again := compile(t, strings.Replace(text, "ca.pem", cert, 1), d, s)
	if s.Services()[0] != again.Services()[0] {
		t.Error("the file is the same, and its service was not kept")
	}
	other, _ := pair(t, ".", "other.example")
	data, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	write(t, cert, data)
	if last := compile(t, strings.Replace(text, "ca.pem", cert, 1), d, again); last.Services()[0] == again.Services()[0] {
		t.Error("the file has changed, and its service was kept")
	}
}

// Services live on while nothing about them changes.
func TestServicesAreKept(t *testing.T) {
	const text = `
listeners: [{address: "127.0.0.1:0"}]
services:
  one: {targets: ["http://127.0.0.1:1"]}
  two: {targets: ["http://127.0.0.1:2"], timeouts: {response: 1s}}
routes:
  - {name: one, path: /1, auth: none, service: one}
  - {name: two, path: /2, auth: none, service: two}
`
	d := deps(t)
	first := compile(t, text, d, nil)
	tests := []struct {
		name, from, to string
		kept           []bool
	}{
		{"nothing", "", "", []bool{true, true}},
		{"routes", "path: /1", "path: /one", []bool{true, true}},
		{"a timeout", "response: 1s", "response: 2s", []bool{true, false}},
		{"a target", "127.0.0.1:1\"", "127.0.0.1:3\"", []bool{false, true}},
		{"a name", "two", "three", []bool{true, false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			next := compile(t, strings.ReplaceAll(text, tt.from, tt.to), d, first)
			for i, kept := range tt.kept {
				if got := next.Services()[i] == first.Services()[i]; got != kept {
					t.Errorf("%s is kept: %v", first.Services()[i].Name(), got)
				}
			}
		})
	}
}

// Retire closes what the next snapshot does not use, and nothing else.
func TestRetire(t *testing.T) {
	srv := httptest.NewServer(nil)
	defer srv.Close()
	text := fmt.Sprintf(`
listeners: [{address: "127.0.0.1:0"}]
services:
  one: {targets: [%q]}
  two: {targets: [%q]}
routes:
  - {name: one, path: /1, auth: none, service: one}
  - {name: two, path: /2, auth: none, service: two}
`, srv.URL, srv.URL)
	d := deps(t)
	first := compile(t, text, d, nil)
	first.Start()
	for _, sv := range first.Services() {
		call(t, sv)
		if sv.Idle() != 1 {
			t.Fatalf("%s has %d idle connections", sv.Name(), sv.Idle())
		}
	}
	next := compile(t, strings.Replace(text, srv.URL+`"]}`+"\nroutes", srv.URL+`"], host: client}`+"\nroutes", 1), d, first)
	next.Start()
	first.Retire(next)
	one, two := first.Services()[0], first.Services()[1]
	if one.Idle() != 1 || two.Idle() != 0 {
		t.Errorf("the one that is used has %d idle connections, the other %d", one.Idle(), two.Idle())
	}
	next.Retire(nil)
	if one.Idle() != 0 {
		t.Errorf("%d connections are left", one.Idle())
	}
}

func call(t *testing.T, sv *upstream.Service) {
	t.Helper()
	var pool exchange.Pool
	x := pool.Get()
	x.Method, x.Out.Path, x.Now = "GET", "/", time.Now()
	if r := sv.Forward(x); r != nil {
		t.Fatal(r)
	}
	if _, err := io.Copy(io.Discard, &x.ResponseBody); err != nil {
		t.Fatal(err)
	}
	_ = x.ResponseBody.Close()
	pool.Put(x)
}

// Policies run in the catalogue's order; a route's replace the global ones, or
// switch them off.
func TestChains(t *testing.T) {
	s := compile(t, `
listeners: [{address: "127.0.0.1:0"}]
policies:
  security_headers:
  request_id:
routes:
  - {name: global, path: /global, auth: none, endpoint: health}
  - {name: own, path: /own, auth: none, policies: {respond: {text: a}, request_id: {header: X-Own}}}
  - {name: off, path: /off, auth: none, endpoint: health, policies: {request_id: off}}
  - {name: none, path: /none, auth: none, endpoint: health, policies: {request_id: off, security_headers: off}}
`, deps(t), nil)
	names := func(c policy.Chain) (out string) {
		for _, l := range c {
			out += l.Kind.Name + " "
		}
		return out
	}
	match := func(path string) *Route {
		x := &exchange.Exchange{Method: "GET", RawPath: path}
		r, refused := s.Match(x)
		if (refused == nil) != (path != "/nowhere") {
			t.Errorf("%s: %v", path, refused)
		}
		if refused == nil && x.Route != r.Name {
			t.Errorf("the exchange's route is %q", x.Route)
		}
		return r
	}
	for path, want := range map[string]string{
		"/global":  "request_id security_headers ",
		"/own":     "request_id security_headers respond ",
		"/off":     "security_headers ",
		"/none":    "",
		"/nowhere": "request_id security_headers ",
	} {
		if got := names(match(path).Chain); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	if match("/nowhere") != s.Nowhere() {
		t.Error("a request without a route has another place")
	}
	if match("/own").Chain[0].Policy == match("/global").Chain[0].Policy {
		t.Error("the route's own policy was not built")
	}
	if match("/own").Chain[1].Policy != match("/global").Chain[1].Policy {
		t.Error("a global policy was built anew")
	}
}

// A preflight meets the policies of the route that would get the request it
// asks about, up to the one that answers it.
func TestPreflights(t *testing.T) {
	const text = `
listeners: [{address: "127.0.0.1:0"}]
policies:
  request_id:
  security_headers:
  cors: {origins: "https://global.example"}
routes:
  - {name: any, path: /any/**, auth: none, policies: {respond: {text: a}}}
  - {name: put, path: /any/put, methods: PUT, auth: none, policies: {cors: {origins: "https://put.example"}, respond: {text: a}}}
  - {name: off, path: /any/off, methods: PUT, auth: none, policies: {cors: off, respond: {text: a}}}
  - {name: look, path: /any/look, methods: PUT, auth: none, policies: {cors: {mode: observe}, respond: {text: a}}}
  - {name: both, path: /both, methods: PUT, auth: none, policies: {respond: {text: a}}}
  - {name: options, path: /both, methods: OPTIONS, auth: none, policies: {cors: off, respond: {text: a}}}
  - {name: get, path: "/get/{id}", methods: GET, auth: none, policies: {security_headers: off, respond: {text: a}}}
  - {name: get-off, path: /get-off, methods: GET, auth: none, policies: {cors: off, respond: {text: a}}}
  - {name: get-look, path: /get-look, methods: GET, auth: none, policies: {cors: {mode: observe}, respond: {text: a}}}
  - {name: bare, path: /bare, methods: GET, auth: none, policies: {request_id: off, security_headers: off, cors: off, respond: {text: a}}}
`
	s := compile(t, text, deps(t), nil)
	const all, cut = "request_id security_headers cors respond", "request_id security_headers cors"
	tests := []struct{ path, asked, route, chain, reason, allow string }{
		{"/any/a", "PUT", "any", all, "", ""},
		{"/any/a", "OPTIONS", "any", all, "", ""},
		{"/any/put", "PUT", "put", cut, "", ""},
		{"/any/put", "GET", "any", all, "", ""},
		{"/any/off", "PUT", "any", all, "", ""},
		{"/any/look", "PUT", "any", all, "", ""},
		{"/both", "PUT", "options", "request_id security_headers respond", "", ""},
		{"/both", "GET", "options", "request_id security_headers respond", "", ""},
		{"/get/7", "GET", "get", "request_id cors", "method_not_allowed", "GET, HEAD"},
		{"/get/7", "HEAD", "get", "request_id cors", "method_not_allowed", "GET, HEAD"},
		{"/get/7", "PUT", "", cut, "method_not_allowed", "GET, HEAD"},
		{"/get/7", "no method", "", cut, "method_not_allowed", "GET, HEAD"},
		{"/get-off", "GET", "get-off", "request_id security_headers", "method_not_allowed", "GET, HEAD"},
		{"/get-look", "GET", "get-look", cut, "method_not_allowed", "GET, HEAD"},
		{"/bare", "GET", "bare", "", "method_not_allowed", "GET, HEAD"},
		{"/nowhere", "GET", "", cut, "no_route", ""},
		{"/get/%2f", "GET", "", cut, "bad_path", ""},
		{"/%zz", "GET", "", cut, "bad_path", ""},
	}
	for _, tt := range tests {
		x := &exchange.Exchange{Method: "OPTIONS", RawPath: tt.path}
		x.Request.Add("Origin", "https://put.example")
		x.Request.Add("Access-Control-Request-Method", tt.asked)
		r, refused := s.Match(x)
		var names []string
		for _, l := range r.Chain {
			names = append(names, l.Kind.Name)
		}
		reason := ""
		if refused != nil {
			reason = refused.Name
		}
		if got := strings.Join(names, " "); x.Route != tt.route || got != tt.chain || reason != tt.reason || x.Allow != tt.allow || x.Method != "OPTIONS" {
			t.Errorf("%s for %s: route %q, chain %q, reason %q, allow %q, method %s", tt.path, tt.asked, x.Route, got, reason, x.Allow, x.Method)
		}
	}
}

// What is no preflight is matched as any other request.
func TestNoPreflight(t *testing.T) {
	s := compile(t, `
listeners: [{address: "127.0.0.1:0"}]
policies: {cors: }
routes: [{name: get, path: "/get/{id}", methods: GET, auth: none, endpoint: health}]
`, deps(t), nil)
	for _, fields := range [][]string{{}, {"Origin"}, {"Access-Control-Request-Method"}} {
		x := &exchange.Exchange{Method: "OPTIONS", RawPath: "/get/7"}
		for _, name := range fields {
			x.Request.Add(name, "GET")
		}
		if r, refused := s.Match(x); r != s.Nowhere() || refused != exchange.MethodNotAllowed {
			t.Errorf("%q: %q, %v", fields, x.Route, refused)
		}
	}
	x := &exchange.Exchange{Method: "GET", RawPath: "/get/7"}
	x.Request.Add("Origin", "https://a.example")
	x.Request.Add("Access-Control-Request-Method", "PUT")
	if r, refused := s.Match(x); refused != nil || r.Name != "get" || x.Param("id") != "7" {
		t.Errorf("%q, %v", r.Name, refused)
	}
}

func TestOutbound(t *testing.T) {
	s := compile(t, `
listeners: [{address: "127.0.0.1:0"}]
services:
  target: {targets: ["http://127.0.0.1:1"]}
  client: {targets: ["http://127.0.0.1:1"], host: client}
  fixed: {targets: ["http://127.0.0.1:1"], host: fixed.example}
routes:
  - {name: normal, path: /normal/**, auth: none, service: target}
  - {name: raw, path: /raw/**, auth: none, service: client, forward: {path: unchanged}}
  - {name: strip, path: /strip/**, auth: none, service: fixed, forward: {strip_prefix: /strip}}
  - {name: replace, path: "/replace/{id}", auth: none, service: fixed, forward: {replace: "/r/{id}", host: own.example}, timeouts: {response: 1s, idle: 2s, tunnel_idle: 3s}}
`, deps(t), nil)
	tests := []struct {
		raw  string
		want exchange.Outbound
	}{
		{"/normal/a/../b//c", exchange.Outbound{Path: "/normal/b/c"}},
		{"/raw/a/../b//c", exchange.Outbound{Path: "/raw/a/../b//c", Host: "client.example:80"}},
		{"/strip/a", exchange.Outbound{Path: "/a", Host: "fixed.example"}},
		{"/replace/7", exchange.Outbound{Path: "/r/7", Host: "own.example", HostOfRoute: true,
			ResponseTimeout: time.Second, IdleTimeout: 2 * time.Second, TunnelIdle: 3 * time.Second}},
	}
	for _, tt := range tests {
		x := &exchange.Exchange{Method: "GET", RawPath: tt.raw, Authority: "client.example:80"}
		r, refused := s.Match(x)
		if refused != nil {
			t.Errorf("%s: %v", tt.raw, refused)
			continue
		}
		r.Outbound(x, r.Choose(x))
		if x.Out != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.raw, x.Out, tt.want)
		}
	}
}

// What Compile refuses changes nothing, and starts nothing.
func TestRefusedKeepsPrevious(t *testing.T) {
	d := deps(t)
	first := compile(t, small, d, nil)
	if s, err := Compile(parse(t, strings.Replace(small, "service: app", "service: ap", 1)), d, first); err == nil || s != nil {
		t.Fatalf("%v, %v", s, err)
	}
	if again := compile(t, small, d, first); again.Services()[0] != first.Services()[0] {
		t.Error("the service was not kept")
	}
}
