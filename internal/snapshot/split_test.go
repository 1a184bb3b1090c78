package snapshot

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/upstream"
)

// sharing has services enough.
const sharing = `
listeners: [{address: ":0"}]
services:
  crm: {targets: ["http://127.0.0.1:1"], host: client}
  next: {targets: ["http://127.0.0.1:2"], host: next.example}
  beta: {targets: ["http://127.0.0.1:3"]}
`

// Each line shows its own mistake.
func TestSplitProblems(t *testing.T) {
	refused(t, sharing+`
routes:
  - {name: unknown, path: /a, auth: none, service: crm, split: {to: {nexd: 5%}}}
  - {name: itself, path: /b, auth: none, service: crm, split: {to: {crm: 5%}}}
  - {name: sum, path: /c, auth: none, service: crm, split: {to: {next: 60%, beta: 40.5%}}}
  - {name: nobody, path: /d, auth: none, split: {to: {next: 5%}}, endpoint: health}
  - {name: by, path: "/f/{id}", auth: none, service: crm, split: {to: {next: 5%}, by: [client, cookies.a, path.ids]}}
  - {name: user, path: /g, auth: none, service: crm, split: {to: {next: 5%}, by: [client, user]}}
  - {name: both, path: /h, auth: none, service: crm, split: {to: {beta: 60%, none: 50%}}}
  - {name: good, path: ["/i/{id}", /i], auth: none, service: crm, split: {to: {next: 99.5%, beta: 0.5%}, by: [path.id, header.X-A, client]}}
  - {name: prepared, path: /j, auth: none, service: crm, split: {to: {next: 0%}, by: []}}
`, []string{
		`yett.yaml:9:70: routes[0].split.to.nexd: there is no service "nexd", did you mean "next"?`,
		`yett.yaml:10:69: routes[1].split.to.crm: crm is the service of this route, which gets the rest anyway, remove it`,
		`yett.yaml:11:61: routes[2].split.to: the shares are 100.5% together, lower one: what is left goes to crm`,
		`yett.yaml:12:42: routes[3].split: there is no service on this route whose requests could be split, add service, or remove it`,
		`yett.yaml:13:96: routes[4].split.by[1]: there is no key "cookies.a", write cookie.NAME`,
		`yett.yaml:13:107: routes[4].split.by[2]: no path here has the value {ids}, did you mean "path.id"?`,
		`yett.yaml:14:91: routes[5].split.by[1]: auth: none looks at no token, so nobody is a known user here, write client, or auth: optional`,
		`yett.yaml:15:62: routes[6].split.to: the shares are 110% together`,
		`yett.yaml:15:78: routes[6].split.to.none: there is no service "none"`,
	})
}

// A service that is there twice does not even decode.
func TestSplitTwice(t *testing.T) {
	_, err := config.Parse("yett.yaml", []byte(sharing+"routes: [{name: a, path: /, auth: none, service: crm, split: {to: {next: 5%, next: 6%}}}]\n"), nil)
	if err == nil || !strings.Contains(err.Error(), "routes[0].split.to") {
		t.Errorf("got %v", err)
	}
}

func TestMirrorProblems(t *testing.T) {
	refused(t, sharing+`
routes:
  - {name: unknown, path: /a, auth: none, service: crm, mirror: {service: nexd}}
  - {name: itself, path: /b, auth: none, service: crm, mirror: {service: crm}}
  - {name: nobody, path: /c, auth: none, mirror: {service: next}, endpoint: health}
  - {name: methods, path: /d, methods: [GET, POST], auth: none, service: crm, mirror: {service: next, methods: [HEAD, PUT, get, GET, GET]}}
  - {name: none, path: /e, auth: none, service: crm, mirror: {service: next, methods: []}}
  - {name: odd, path: /f, auth: none, service: crm, mirror: {service: beta, methods: ["*", "A B", PURGE]}}
`, []string{
		`yett.yaml:9:75: routes[0].mirror.service: there is no service "nexd", did you mean "next"?`,
		`yett.yaml:10:74: routes[1].mirror.service: crm is the service of this route, so it would do everything twice, name another one`,
		`yett.yaml:11:42: routes[2].mirror: there is no service on this route whose requests could be copied, add service, or remove it`,
		`yett.yaml:12:119: routes[3].mirror.methods[1]: this route does not serve PUT, `,
		`yett.yaml:12:124: routes[3].mirror.methods[2]: method "get" is not in upper case, write GET`,
		`yett.yaml:12:134: routes[3].mirror.methods[4]: GET is there twice, remove it`,
		`yett.yaml:13:78: routes[4].mirror.methods: is an empty list, name some, or remove it: all are copied then`,
		`yett.yaml:14:87: routes[5].mirror.methods[0]: "*" is no method, such as GET or POST`,
		`yett.yaml:14:92: routes[5].mirror.methods[1]: "A B" is no method`,
	})
}

// Whoever answers while a breaker is open must not get copies of the same requests.
func TestMirrorIsNoFallback(t *testing.T) {
	const text = `
listeners: [{address: ":0"}]
services:
  a: {targets: ["http://127.0.0.1:1"], breaker: {fallback: {service: b}}}
  b: {targets: ["http://127.0.0.1:2"], breaker: {fallback: {service: c}}}
  c: {targets: ["http://127.0.0.1:3"]}
  d: {targets: ["http://127.0.0.1:4"], breaker: {fallback: {service: e}}}
  e: {targets: ["http://127.0.0.1:5"], breaker: {fallback: {service: d}}}
  f: {targets: ["http://127.0.0.1:6"], breaker: {fallback: {body: "{}"}}}
routes:
  - {name: direct, path: /a, auth: none, service: a, mirror: {service: b}}
  - {name: behind, path: /b, auth: none, service: a, mirror: {service: c}}
  - {name: split, path: /c, auth: none, service: f, split: {to: {b: 5%}}, mirror: {service: c}}
  - {name: other, path: /d, auth: none, service: c, mirror: {service: a}}
  - {name: itself, path: /e, auth: none, service: f, split: {to: {b: 5%}}, mirror: {service: b}}
  - {name: circle, path: /f, auth: none, service: d, mirror: {service: c}}
`
	refused(t, text, []string{
		`yett.yaml:7:70: services.d.breaker.fallback.service: services fall back in a circle`,
		`yett.yaml:11:72: routes[0].mirror.service: b answers while the breaker of a is open, so it can't get copies of what goes there, name another one, or let a fall back to another one`,
		`yett.yaml:12:72: routes[1].mirror.service: c answers while the breaker of b is open, so it can't get copies of what goes there, name another one, or let b fall back to another one`,
		`yett.yaml:13:93: routes[2].mirror.service: c answers while the breaker of b is open`,
	})
}

func TestFallbackProblems(t *testing.T) {
	refused(t, `
listeners: [{address: ":0"}]
services:
  a: {targets: ["http://127.0.0.1:1"], breaker: {fallback: {service: b}}}
  b: {targets: ["http://127.0.0.1:1"], breaker: {fallback: {service: c}}}
  c: {targets: ["http://127.0.0.1:1"], breaker: {fallback: {service: b}}}
  d: {targets: ["http://127.0.0.1:1"], breaker: {fallback: {service: d}}}
  e: {targets: ["http://127.0.0.1:1"], breaker: {fallback: {service: ff}}}
  f: {targets: ["http://127.0.0.1:1"], breaker: {fallback: {service: g, status: 503, body: "{}"}}}
  g: {targets: ["http://127.0.0.1:1"], breaker: {fallback: {body: "{}"}}}
routes:
  - {name: a, path: /a, auth: none, service: a}
  - {name: d, path: /d, auth: none, service: d}
  - {name: e, path: /e, auth: none, service: e, mirror: {service: f}}
`, []string{
		`yett.yaml:5:70: services.b.breaker.fallback.service: services fall back in a circle: b -> c -> b, let the last one answer by itself`,
		`yett.yaml:7:70: services.d.breaker.fallback.service: services fall back in a circle: d -> d, let the last one answer by itself`,
		`yett.yaml:8:70: services.e.breaker.fallback.service: there is no service "ff", `,
		`yett.yaml:9:70: services.f.breaker.fallback.service: the service g answers, so there is no fixed answer with a status, a content type, headers or a body, keep one of both`,
	})
}

// The values of paths that a service balances by are those of any route whose requests may
// come to it: directly, by a split, as a copy, or because another one falls back to it.
func TestHashProblems(t *testing.T) {
	const text = `
listeners: [{address: ":0"}]
services:
  crm: {targets: ["http://127.0.0.1:1"], balance: {algorithm: hash, hash: [path.id, user]}, breaker: {fallback: {service: last}}}
  next: {targets: ["http://127.0.0.1:1"], balance: {algorithm: hash, hash: path.id}}
  copy: {targets: ["http://127.0.0.1:1"], balance: {algorithm: hash, hash: path.id}}
  last: {targets: ["http://127.0.0.1:1"], balance: {algorithm: hash, hash: path.id}}
  other: {targets: ["http://127.0.0.1:1"], balance: {algorithm: hash, hash: path.id}}
  lonely: {targets: ["http://127.0.0.1:1"], balance: {algorithm: hash, hash: path.id}}
  wrong: {targets: ["http://127.0.0.1:1"], balance: {algorithm: hash, hash: [ip, path.id]}}
routes:
  - {name: crm, path: ["/crm/{id}", /crm], auth: none, service: crm, split: {to: {next: 5%}}, mirror: {service: copy}}
  - {name: plain, path: /plain, auth: none, service: crm}
  - {name: other, path: "/other/{ids}", auth: none, service: other, split: {to: {wrong: 1%}}}
`
	refused(t, text, []string{
		`yett.yaml:8:77: services.other.balance.hash[0]: no path here has the value {id}, did you mean "path.ids"?`,
		`yett.yaml:9:3: services.lonely: no route uses the service "lonely"`,
		`yett.yaml:10:78: services.wrong.balance.hash[0]: there is no key "ip", write client`,
		`yett.yaml:10:82: services.wrong.balance.hash[1]: no path here has the value {id}, did you mean "path.ids"?`,
	})
}

// A request goes where its split says, with the host that the service has, unless the route
// has one of its own.
func TestChoose(t *testing.T) {
	s := compile(t, sharing+`
routes:
  - {name: all, path: /all, auth: none, service: crm, split: {to: {next: 100%, beta: 0%}}}
  - {name: none, path: /none, auth: none, service: crm, split: {to: {next: 0%}, by: client}}
  - {name: own, path: /own, auth: none, service: crm, split: {to: {next: 100%}}, forward: {host: own.example}}
  - {name: mirror, path: /mirror, auth: none, service: crm, mirror: {service: beta, share: 10%}}
`, deps(t), nil)
	for path, want := range map[string]string{"/all": "next next.example", "/none": "crm api.example:1", "/own": "next own.example", "/mirror": "crm api.example:1"} {
		x := &exchange.Exchange{Method: "GET", RawPath: path, Authority: "api.example:1"}
		r, _ := s.Match(x)
		to := r.Choose(x)
		if r.Outbound(x, to); to.Name()+" "+x.Out.Host != want || x.Out.HostOfRoute != (path == "/own") {
			t.Errorf("%s: %s %s, want %s", path, to.Name(), x.Out.Host, want)
		}
	}
	if m := s.Mirrors(); len(m) != 1 || m[0].Route != "mirror" || m[0].Service().Name() != "beta" || m[0].Share().String() != "10%" {
		t.Errorf("%+v", m)
	}
}

// Urgent are routes with priority: high, preflights about them, and pages of the gateway.
func TestUrgent(t *testing.T) {
	s := compile(t, `
listeners: [{address: ":0"}]
services: {app: {targets: ["http://127.0.0.1:1"]}}
policies: {cors: {origins: "https://a.example"}}
routes:
  - {name: high, path: /high, methods: GET, auth: none, service: app, priority: high}
  - {name: plain, path: /plain, methods: GET, auth: none, service: app}
  - {name: page, path: /page, methods: GET, auth: none, endpoint: health}
`, deps(t), nil)
	for _, tt := range []struct {
		method, path string
		want         bool
	}{
		{"GET", "/high", true}, {"GET", "/plain", false}, {"GET", "/page", true}, {"OPTIONS", "/high", true}, {"OPTIONS", "/plain", false},
		{"POST", "/high", false}, {"GET", "/nowhere", false}, {"GET", "/%zz", false},
	} {
		x := &exchange.Exchange{Method: tt.method, RawPath: tt.path}
		x.Request.Add("Origin", "https://a.example")
		x.Request.Add("Access-Control-Request-Method", "GET")
		if s.Match(x); x.Urgent != tt.want {
			t.Errorf("%s %s: %v", tt.method, tt.path, x.Urgent)
		}
	}
}

func byName(s *Snapshot, name string) *upstream.Service {
	i := slices.IndexFunc(s.Services(), func(sv *upstream.Service) bool { return sv.Name() == name })
	return s.Services()[i]
}

// A service that was taken over falls back to the new one of a changed service, and only from
// the start of the new snapshot on: what is only checked changes nothing.
func TestFallBackFollows(t *testing.T) {
	const text = `
listeners: [{address: ":0"}]
services:
  a: {targets: ["http://127.0.0.1:1"], breaker: {fallback: {service: b}}}
  b: {targets: ["http://127.0.0.1:2"]}
routes: [{name: a, path: /a, auth: none, service: a}]
`
	d := deps(t)
	first := compile(t, text, d, nil)
	first.Start()
	x := new(exchange.Exchange)
	a := byName(first, "a")
	if a.FallsBackTo(x) != byName(first, "b") || byName(first, "b").FallsBackTo(x) != nil {
		t.Error("it does not fall back")
	}
	next := compile(t, strings.Replace(text, "127.0.0.1:2", "127.0.0.1:3", 1), d, first)
	if byName(next, "a") != a || byName(next, "b") == byName(first, "b") {
		t.Fatal("the wrong services were taken over")
	}
	if a.FallsBackTo(x) != byName(first, "b") {
		t.Error("compiling has changed what runs")
	}
	next.Start()
	if a.FallsBackTo(x) != byName(next, "b") {
		t.Error("it falls back to a service that is gone")
	}
	first.Retire(next)
	next.Retire(nil)
}

// A mirror survives a change that does not concern it, with its counts.
func TestMirrorIsKept(t *testing.T) {
	const text = sharing + `
routes:
  - {name: a, path: /a, auth: none, service: crm, mirror: {service: next}}
  - {name: b, path: /b, auth: none, service: crm, mirror: {service: beta}}
`
	d := deps(t)
	first := compile(t, text, d, nil)
	first.Start()
	x := &exchange.Exchange{Method: "GET", Service: "crm", Attempts: 1}
	for _, tt := range []struct{ old, new, kept string }{
		{"path: /a", "path: /aa", "true true"},
		{"name: a", "name: aa", "false true"},
		{"{service: next}", "{service: next, share: 50%}", "false true"},
		{"127.0.0.1:3", "127.0.0.1:4", "true false"},
	} {
		next := compile(t, strings.Replace(text, tt.old, tt.new, 1), d, first)
		a, b := next.Mirrors(), first.Mirrors()
		if got := fmt.Sprint(a[0].Mirror == b[0].Mirror, " ", a[1].Mirror == b[1].Mirror); got != tt.kept {
			t.Errorf("%s for %s: kept are %s, want %s", tt.new, tt.old, got, tt.kept)
		}
	}
	next := compile(t, strings.Replace(text, "127.0.0.1:3", "127.0.0.1:4", 1), d, first)
	next.Start()
	old := first.Mirrors()[1]
	first.Retire(next)
	for _, m := range []*upstream.Mirror{old.Mirror, next.Mirrors()[0].Mirror} {
		m.Copy(x)
	}
	if old.Stats().LeftOut != 1 || next.Mirrors()[0].Stats().Sent != 1 {
		t.Errorf("retired: %+v, kept: %+v", old.Stats(), next.Mirrors()[0].Stats())
	}
	next.Retire(nil)
}

// The example of docs/canary.md loads.
func TestCanaryDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/canary.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	if len(blocks) != 1 {
		t.Fatalf("%d examples", len(blocks))
	}
	example, _, _ := strings.Cut(blocks[0], "```")
	s := compile(t, `
listeners: [{address: ":0"}]
issuers: {main: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}}
policies: {jwt: }
`+example, deps(t), nil)
	if m := s.Mirrors(); len(m) != 1 || m[0].Route != "reports" || m[0].Service().Name() != "crm-next" {
		t.Errorf("%+v", m)
	}
}
