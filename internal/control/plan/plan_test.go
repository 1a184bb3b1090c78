package plan

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"yett/internal/catalog"
	"yett/internal/config"
	"yett/internal/exchange"
)

// filled sets everything below v to something: pointers point, lists and mappings have one entry, and
// words are what seed makes of them.
func fill(v reflect.Value, seed int) {
	switch t := v.Type(); {
	case t == reflect.TypeFor[*config.Source](), t == reflect.TypeFor[config.Policies](), t == reflect.TypeFor[config.Node]():
	case t == reflect.TypeFor[config.Prefix]():
		v.Addr().Interface().(*config.Prefix).UnmarshalText(fmt.Appendf(nil, "10.0.0.%d", seed))
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		fill(v.Elem(), seed)
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				fill(v.Field(i), seed)
			}
		}
	case t.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(t, 1, 1))
		fill(v.Index(0), seed)
	case t.Kind() == reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"k": fmt.Sprint("text", seed)}))
	case t.Kind() == reflect.String:
		v.SetString(fmt.Sprint("text", seed))
	case t.Kind() == reflect.Bool:
		v.SetBool(seed%2 == 0)
	case v.CanInt():
		v.SetInt(int64(seed))
	case v.CanFloat():
		v.SetFloat(float64(seed) / 8)
	default:
		panic(t.String())
	}
}

// changes calls visit with each value below v that a change could concern: words, whole lists,
// mappings, and what a pointer points to.
func changes(v reflect.Value, path string, visit func(path string, v reflect.Value)) {
	switch t := v.Type(); {
	case t == reflect.TypeFor[*config.Source](), t == reflect.TypeFor[config.Policies](), t == reflect.TypeFor[config.Node]():
	case isWord(t), t.Kind() == reflect.Map:
		visit(path, v)
	case t.Kind() == reflect.Pointer:
		changes(v.Elem(), path, visit)
		visit(path, v)
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() {
				changes(v.Field(i), join(path, f.Name), visit)
			}
		}
	default:
		changes(v.Index(0), path+"[]", visit)
		visit(path, v)
	}
}

// alter makes a value another.
func alter(v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		v.SetZero()
		return
	}
	if v.Kind() == reflect.Slice {
		v.Set(reflect.Append(v, v.Index(0)))
		fill(v.Index(1), 3)
		return
	}
	fill(v, 5)
}

// TestEveryLeaf changes one setting of a configuration after the other.
func TestEveryLeaf(t *testing.T) {
	make := func() (*config.Config, []reflect.Value, []string) {
		var c config.Config
		var all []reflect.Value
		var paths []string
		fill(reflect.ValueOf(&c).Elem(), 2)
		changes(reflect.ValueOf(&c).Elem(), "", func(path string, v reflect.Value) {
			all, paths = append(all, v), append(paths, path)
		})
		return &c, all, paths
	}
	now, _, paths := make()
	if len(paths) < 250 {
		t.Fatalf("only %d settings are seen", len(paths))
	}
	if p := Compare(now, now); len(p.Changes) > 0 || len(p.NeedsProcess) > 0 {
		t.Fatalf("a configuration differs from itself: %+v", p)
	}
	for i, path := range paths {
		next, leaves, _ := make()
		alter(leaves[i])
		p := Compare(now, next)
		if len(p.Changes) == 0 {
			t.Errorf("%s: a change is not reported", path)
			continue
		}
		for _, c := range p.Changes {
			if len(c.Fields) == 0 {
				t.Errorf("%s: a change without fields: %+v", path, c)
			}
			for _, f := range c.Fields {
				if f.From == f.To && f.From != hidden {
					t.Errorf("%s: %s %s: %q is no difference", path, c.Kind, f.Path, f.From)
				}
			}
		}
		needs := len(p.NeedsProcess) > 0
		if want := strings.HasPrefix(path, "Store.") && path != "Store.Required"; needs != want {
			t.Errorf("%s: needs a process: %v", path, p.NeedsProcess)
		}
	}
}

// TestSecretFields looks at every field whose name sounds like a secret, of the configuration and of
// policies: whoever adds one has to say here that it is none, or hide it.
func TestSecretFields(t *testing.T) {
	harmless := map[string]bool{ // names of files, of headers, of claims, and the like
		"config.Certificate.key": true, "config.Config.assertion": true, "config.Assertion.key": true, "config.Assertion.previous_keys": true,
		"config.KeySource.secret_encoding": true, "config.ClaimNames.token_id": true, "jwt.Config.forward_token": true,
		"identity.Config.assertion": true, "config.Route.auth": true, "cors.Config.credentials": true, "config.Issuer.keys": true, "config.StoreMemory.keys": true,
	}
	// These hold what an operator likes, under names of their choice.
	named := map[string]bool{"config.Split.to": true, "identity.Config.headers": true}
	seen := map[reflect.Type]bool{}
	var look func(x reflect.Type)
	look = func(x reflect.Type) {
		switch {
		case seen[x], isWord(x):
			return
		case x.Kind() == reflect.Pointer, x.Kind() == reflect.Slice:
			look(x.Elem())
			return
		case x.Kind() != reflect.Struct:
			return
		}
		seen[x] = true
		for i := range x.NumField() {
			f := x.Field(i)
			n := name(f)
			look(f.Type)
			if n == "" {
				continue
			}
			m, full := mannerOf(x, f, plain), x.String()+"."+n
			if exchange.SecretName(n) && !m.hidden && !harmless[full] {
				t.Errorf("%s sounds like a secret and is shown", full)
			}
			texts := f.Type.Kind() == reflect.Map || isMapping(f.Type) && isWord(f.Type.Elem().Field(1).Type)
			if texts && !m.hidden && !m.headers && !named[full] {
				t.Errorf("%s has names that could mean secrets", full)
			}
		}
	}
	look(reflect.TypeFor[config.Config]())
	for _, e := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		if isMapping(e.Type) {
			look(e.Type.Elem().Field(1).Type)
		}
	}
	for _, c := range catalog.Configs() {
		look(reflect.TypeOf(c))
	}
	if len(seen) < 40 {
		t.Errorf("only %d types seen", len(seen))
	}
}

// word writes a value that a field of a policy may have, the nth of them.
func word(t reflect.Type, f reflect.StructField, n int) string {
	if enum := f.Tag.Get("enum"); enum != "" {
		return strings.Split(enum, ",")[n]
	}
	switch {
	case t == reflect.TypeFor[config.Duration]():
		return fmt.Sprintf("%ds", 5+n)
	case t == reflect.TypeFor[config.Size]():
		return fmt.Sprintf("%d", 2048+n)
	case t.Kind() == reflect.Bool:
		return fmt.Sprint(n == 0)
	case t.Kind() == reflect.String, t == reflect.TypeFor[config.Node]():
		return fmt.Sprintf("word%d", n)
	}
	return fmt.Sprint(300 + n)
}

// written returns lines of YAML for each field below a type: one to the field's name, the other with
// another value.
func written(t reflect.Type, f reflect.StructField, n int) []string {
	switch {
	case isWord(t):
		return []string{word(t, f, n)}
	case t.Kind() == reflect.Pointer:
		return written(t.Elem(), f, n)
	case t.Kind() == reflect.Struct:
		var all []string
		for i := range t.NumField() {
			for _, text := range written(t.Field(i).Type, t.Field(i), n) {
				all = append(all, fmt.Sprintf("{%s: %s%s}", name(t.Field(i)), text, required(t, i)))
			}
		}
		return all
	case isMapping(t), t.Kind() == reflect.Map:
		return []string{fmt.Sprintf("{X-A: %s}", word(reflect.TypeFor[string](), f, n))}
	}
	return []string{fmt.Sprintf("[%s]", written(t.Elem(), f, n)[0])}
}

// required writes the other fields that a struct needs.
func required(t reflect.Type, but int) (text string) {
	for i := range t.NumField() {
		if f := t.Field(i); i != but && f.Tag.Get("required") == "true" {
			text += fmt.Sprintf(", %s: %s", name(f), written(f.Type, f, 0)[0])
		}
	}
	return text
}

// TestEveryLeafOfPolicies changes each setting of each policy, of all routes and of one.
func TestEveryLeafOfPolicies(t *testing.T) {
	count := 0
	for policy, c := range catalog.Configs() {
		x := reflect.TypeOf(c)
		a, b := written(x, reflect.StructField{}, 0), written(x, reflect.StructField{}, 1)
		for i := range a {
			if a[i] == b[i] {
				t.Fatalf("%s: %s is no change", policy, a[i])
			}
			count++
			for _, text := range []string{"policies: {%s: %s}", "routes: [{name: a, path: /a, auth: required, policies: {%s: %s}}]"} {
				now, next := parse(t, fmt.Sprintf(text, policy, a[i])), parse(t, fmt.Sprintf(text, policy, b[i]))
				p := Compare(now, next)
				if len(p.Changes) != 1 || len(p.Changes[0].Fields) == 0 {
					t.Errorf("%s: %s to %s: %+v", policy, a[i], b[i], p.Changes)
				}
				if !Compare(now, now).Same() {
					t.Errorf("%s: %s differs from itself", policy, a[i])
				}
			}
		}
	}
	if count < 40 {
		t.Errorf("only %d settings are seen", count)
	}
}

// parse reads a part of a configuration; that required keys are missing is no fault.
func parse(t *testing.T, text string, env ...string) *config.Config {
	t.Helper()
	variables := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		variables[name] = value
	}
	c, err := config.Parse("yett.yaml", []byte(text), config.MapEnv(variables))
	if err == nil {
		return c
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		if !strings.Contains(line, "missing key") {
			t.Fatalf("%s\n%s", err, text)
		}
	}
	return c
}

// text is a plan in a few lines, for tables.
func text(p Plan) string {
	var b strings.Builder
	for _, c := range p.Changes {
		fmt.Fprintf(&b, "%s %s %s", c.What, c.Kind, c.Name)
		if c.Effect != "" {
			fmt.Fprintf(&b, " (%s)", c.Effect)
		}
		if c.Weaker {
			b.WriteString(" WEAKER")
		}
		b.WriteString("\n")
		for _, f := range c.Fields {
			fmt.Fprintf(&b, "  %s: %q -> %q\n", f.Path, f.From, f.To)
		}
	}
	return b.String()
}

func TestCompare(t *testing.T) {
	for _, test := range []struct {
		name, now, next string
		env             []string
		want            string
	}{
		{name: "order, comments and defaults", now: `
services:
  a: {targets: ["http://127.0.0.1:1"]}
  b: {targets: ["http://127.0.0.1:2"], timeouts: {connect: 2000ms}}
routes:
- {name: x, path: [/x, /y], methods: [GET, POST], auth: none, service: a}
- {name: z, path: /z, auth: none, service: b}
policies: {cors: {origins: [https://a, https://b]}}`, next: `
policies: {cors: {origins: [https://b, https://a], max_age: 24h}, identity: off}
routes: # another order
- {auth: none, name: z, path: [/z], service: b, forward: {path: normalized}, policies: {respond: off}}
- {name: x, path: [/y, /x], methods: [POST, GET], auth: none, service: a, policies: {cors: {origins: [https://a, https://b]}}}
services:
  b: {targets: ["http://127.0.0.1:2"]}
  a: {targets: ["http://127.0.0.1:1"], timeouts: {connect: 2s}}
`},
		{name: "variables are what they are worth", now: `name: ${A}`, next: `name: ${B:-yett1}`, env: []string{"A=yett1"}},
		{name: "services", now: `
services:
  kept: {targets: ["http://127.0.0.1:1"]}
  moved: {targets: ["http://127.0.0.1:2", "http://127.0.0.1:3"]}
  documented: {targets: ["http://127.0.0.1:5"]}
  gone: {targets: ["http://127.0.0.1:4"]}`, next: `
services:
  new: {targets: ["http://127.0.0.1:6"], timeouts: {response: 90s}}
  kept: {targets: ["http://127.0.0.1:1"]}
  documented: {targets: ["http://127.0.0.1:5"], openapi: {path: /openapi.json}}
  moved: {targets: ["http://127.0.0.1:2", "http://127.0.0.1:7"], breaker: {fallback: {status: 503, body: sorry}}}`, want: `
added service new
  targets: "" -> "http://127.0.0.1:6"
  timeouts.response: "" -> "1m30s"
changed service documented (keeps its connections, its breaker and its counters)
  openapi.path: "" -> "/openapi.json"
changed service moved (gets new connections; its breaker and its counters begin anew)
  targets: "http://127.0.0.1:3" -> ""
  targets: "" -> "http://127.0.0.1:7"
  breaker.fallback: "" -> "{status: 503, body: sorry}"
removed service gone (its connections close when what runs there has ended)
  targets: "http://127.0.0.1:4" -> ""
`},
		{name: "routes", now: `
routes:
- {name: a, path: /a, methods: [GET, POST], auth: required, service: x}
- {name: b, path: /b, auth: none, service: x}`, next: `
routes:
- {name: a, path: /a, methods: GET, auth: none, service: x, limits: {body: 10MB}}
- {name: c, path: /c, auth: none, policies: {respond: {text: hi}}}`, want: `
changed route a (is public now) WEAKER
  methods: "GET, POST" -> "GET"
  auth: "required" -> "none"
  limits.body: "" -> "10MB"
added route c (is public)
  path: "" -> "/c"
  auth: "" -> "none"
  policies.respond: "" -> "{text: hi}"
removed route b (streams that run live on)
  path: "/b" -> ""
  auth: "none" -> ""
  service: "x" -> ""
`},
		{name: "guards", now: `
policies: {jwt: , rbac: {min_role: admin}, cors: {origins: https://a}}
routes: [{name: a, path: /a, auth: required, service: x}, {name: b, path: /b, auth: required, policies: {rbac: off, ratelimit: {limits: api}}}]`, next: `
policies: {rbac: {min_role: admin}, cors: {origins: https://b}, jwt: {mode: observe}}
routes: [{name: a, path: /a, auth: optional, service: x, policies: {rbac: off}}, {name: b, path: /b, auth: required, policies: {cors: off}}]`, want: `
changed policy cors (on 1 of 2 routes; others have one of their own)
  origins: "https://a" -> "https://b"
changed policy jwt (only watches now, on all routes) WEAKER
  mode: "enforce" -> "observe"
changed route a (lets callers without a token pass now; jwt only watches now; has no rbac any more) WEAKER
  auth: "required" -> "optional"
  policies.rbac: "{min_role: admin}" -> "off"
changed route b (has no ratelimit any more; jwt only watches now) WEAKER
  policies.cors: "{origins: [https://a]}" -> "off"
  policies.rbac: "off" -> "{min_role: admin}"
  policies.ratelimit: "{limits: [api]}" -> ""
`},
		{name: "limits", now: `
limits:
  a: {limit: 10, window: 1m, by: ip}
  b: {limit: 10, window: 1m, by: ip}
  c: {limit: 10, window: 1m, by: ip, callers: [{for: "plan:gold", limit: 50}, {for: known, limit: 20}]}
  d: {concurrent: 5, by: ip}
  e: {limit: 10, window: 1m, by: ip}`, next: `
limits:
  a: {limit: 20, window: 2m, by: ip}
  b: {limit: 10, window: 30s, by: ip}
  c: {limit: 10, window: 1m, by: ip, callers: [{for: known, limit: 20}]}
  d: {concurrent: 5, by: ip, mode: observe}`, want: `
changed limit a (allows more than before) WEAKER
  limit: "10" -> "20"
  window: "1m" -> "2m"
changed limit b (allows more than before) WEAKER
  window: "1m" -> "30s"
changed limit c
  callers: "{for: [plan:gold], limit: 50}, {for: [known], limit: 20}" -> "{for: [known], limit: 20}"
changed limit d (only watches now) WEAKER
  mode: "enforce" -> "observe"
removed limit e (is no longer counted) WEAKER
  limit: "10" -> ""
  window: "1m" -> ""
  by: "ip" -> ""
`},
		{name: "listeners", now: `
listeners:
- {name: a, address: ":1"}
- {address: ":2"}
- {name: c, address: ":3"}
- {address: ":4"}`, next: `
listeners:
- {name: other, address: ":3"}
- {name: a, address: ":5"}
- {address: ":2", limits: {body: 1MB}}
- {address: ":6", tls: {certificates: [{cert: a.pem, key: b.pem}]}}`, want: `
changed listener other (keeps its socket and its connections)
  name: "c" -> "other"
changed listener a (the new address is opened, the old one closed)
  address: ":1" -> ":5"
changed listener :2 (keeps its socket and its connections)
  limits.body: "0" -> "1MB"
added listener :6 (is opened)
  address: "" -> ":6"
  tls: "" -> "{certificates: [{cert: a.pem, key: b.pem}]}"
removed listener :4 (is closed; what runs there ends as in a shutdown)
  address: ":4" -> ""
`},
		{name: "sections", now: `
name: a
identity_headers: [X-A]
shutdown: {grace: 10s}
log: {access: {output: a.log}}`, next: `
name: b
identity_headers: [X-A, X-B]
trusted_proxies: [10.0.0.0/8]
shutdown: {grace: 90s}
assertion: {key: k.pem}
roles: {boss: {level: 3}}
issuers: {own: {keys: [{pem: a.pem}]}}
overload: {memory: 64MB}`, want: `
changed gateway 
  name: "a" -> "b"
  trusted_proxies: "" -> "10.0.0.0/8"
  identity_headers: "X-A" -> "X-A, X-B"
added issuer own (its tokens are believed)
  keys: "" -> "{pem: a.pem}"
added role boss
  level: "" -> "3"
added assertion 
  key: "" -> "k.pem"
changed overload 
  memory: "0" -> "64MB"
changed shutdown 
  grace: "10s" -> "1m30s"
changed log 
  access.output: "a.log" -> "stdout"
`},
		{name: "store", now: `{}`, next: `store: {required: false, memory: {keys: 5000}, redis: {sentinel: {primary: p, addresses: ["a:1"], password: hidden-one}}}`, want: `
changed store  (needs new processes: yett upgrade starts them, and drops nothing)
  redis.sentinel: "" -> "{primary: p, addresses: [a:1], password: (hidden)}"
  memory.keys: "1000000" -> "5000"
  required: "true" -> "false"
`},
		{name: "required alone", now: `{}`, next: `store: {required: false}`, want: `
changed store  (counts when a process starts)
  required: "true" -> "false"
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := text(Compare(parse(t, test.now, test.env...), parse(t, test.next, test.env...)))
			if got != strings.TrimPrefix(test.want, "\n") {
				t.Errorf("got:\n%s\nwant:%s", got, test.want)
			}
		})
	}
}

// TestSecrets has one text in all places where a secret may stand, and nothing of it may be seen.
func TestSecrets(t *testing.T) {
	const form = `
issuers: {a: {keys: [{secret: "%[1]s"}]}, b: {keys: [{jwks_url: "https://user:%[1]s@host/keys?token=%[1]s&x=1"}]}}
store: {redis: {host: h, password: "%[1]s", sentinel: {primary: p, addresses: ["a:1"], password: "%[1]s"}}}
services:
  a:
    targets: ["http://%[1]s@127.0.0.1:1"]
    balance: {sticky: {cookie: c, secret: "%[1]s"}}
    health: {path: "/h?access_token=%[1]s"}
    breaker: {fallback: {headers: {X-Api-Key: "%[1]s"}, body: "${V}"}}
policies: {security_headers: {set: {X-Note: "${V}"}}, request_id: {header: X-A}}
routes:
- {name: a, path: /a, auth: none, headers: {X-Whatever: "%[1]s"}, query: {q: "%[1]s"}, policies: {respond: {json: {a: "x${V}"}}}}
- {name: b, path: /b, auth: none, policies: {respond: {text: "x${V}", headers: {Set-Cookie: "eyJhbGciOiJIUzI1NiJ9.%[1]s.c2ln"}}}}
`
	one := parse(t, fmt.Sprintf(form, "geheim1"), "V=geheim1")
	two := parse(t, fmt.Sprintf(form, "geheim2"), "V=geheim2")
	for _, p := range []Plan{Compare(one, two), Compare(two, one), Compare(nil, one), Compare(one, nil)} {
		if len(p.Changes) < 7 {
			t.Errorf("only %d changes: %s", len(p.Changes), text(p))
		}
		shown, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(shown), "geheim") {
			t.Errorf("a secret is shown: %s", text(p))
		}
	}
	p := Compare(one, two)
	fields := 0
	for _, c := range p.Changes {
		fields += len(c.Fields)
	}
	if fields < 15 {
		t.Errorf("%d fields: a change of a secret is not seen: %s", fields, text(p))
	}
}

func TestShorten(t *testing.T) {
	long := strings.Repeat("a", 200)
	from, to := shorten(long+"x"+long, long+"y"+long)
	if from == to || len([]rune(from)) > longest+2 || !strings.HasPrefix(from, "…") {
		t.Errorf("%q %q", from, to)
	}
	if from, to := shorten("a", "b"); from != "a" || to != "b" {
		t.Errorf("%q %q", from, to)
	}
	if from, to := shorten("", "a\n"+long); from != "" || !strings.HasSuffix(to, "…") {
		t.Errorf("%q %q", from, to)
	}
}

func TestNeedsProcesses(t *testing.T) {
	now := parse(t, `listeners: [{name: a, address: ":1"}, {name: b, address: ":2"}]`)
	next := parse(t, `{listeners: [{name: a, address: ":3"}, {name: b, address: ":2", limits: {body: 1MB}}, {address: ":4"}], store: {redis: {host: r}}}`)
	got := fmt.Sprint(Compare(now, next).NeedsProcesses())
	if want := "[store.redis.host listeners.a listeners.:4]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func BenchmarkCompare(b *testing.B) {
	var text strings.Builder
	text.WriteString("policies: {cors: {origins: https://a}}\nroutes:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "- {name: r%d, path: /r%d, auth: none, headers: {X: y}, policies: {cors: {origins: https://b}}}\n", i, i)
	}
	c, _ := config.Parse("yett.yaml", []byte(text.String()), nil)
	for b.Loop() {
		Compare(c, c)
	}
}
