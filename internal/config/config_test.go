package config

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"yett/internal/problem"
)

// sample stands for the configuration of a policy.
type sample struct {
	Origins StringList       `yaml:"origins" required:"true" doc:"Origins."`
	MaxAge  Duration         `yaml:"max_age" min:"1s" max:"24h" doc:"Age."`
	Tiers   []tier           `yaml:"tiers" doc:"Tiers."`
	Levels  map[string]uint8 `yaml:"levels" min:"1" doc:"Levels."`
	Ratio   float64          `yaml:"ratio" min:"0" max:"1" doc:"Ratio."`
	Burst   int              `yaml:"burst" min:"1" doc:"Burst; as large as the limit when not set."`
	Extra   Node             `yaml:"extra" doc:"Anything."`
	Note    *string          `yaml:"note" doc:"Note."`
}

type tier struct {
	Name  string `yaml:"name" required:"true" doc:"Name."`
	Limit int    `yaml:"limit" min:"1" doc:"Limit."`
}

func (t *tier) SetDefaults() { t.Limit = 5 }

type nothing struct{}

func samplePolicies() map[string]any {
	return map[string]any{
		"cors":      &sample{MaxAge: seconds(60), Ratio: 0.5},
		"requestid": &nothing{},
		"gzip":      &nothing{},
		"jwt":       &tier{Limit: 5},
	}
}

func loadFull(t *testing.T) *Config {
	t.Helper()
	c, err := Load("testdata/full.yaml", MapEnv(map[string]string{"PATHS": "/login, /logout"}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFull(t *testing.T) {
	c := loadFull(t)
	if c.Name != "gate" || c.Version != "1.10" || c.Listeners[0].Address != ":3000" {
		t.Errorf("texts: %q %q %q", c.Name, c.Version, c.Listeners[0].Address)
	}
	limits := ListenerLimits{RequestLine: 4096, Header: 16 * KB, HeaderCount: 64, ChunkLine: 512, Body: 10 * MB, BodyMinRate: KB, Connections: 1000}
	if c.Listeners[0].Limits != limits {
		t.Errorf("limits: %+v", c.Listeners[0].Limits)
	}
	limits.Header = 8 * KB
	if c.Listeners[1].Limits != limits {
		t.Errorf("merged limits: %+v", c.Listeners[1].Limits)
	}
	if c.Listeners[1].Timeouts.Idle != seconds(75) || c.Listeners[1].TLS != nil || c.Listeners[0].TLS.MinVersion != "1.3" {
		t.Errorf("listeners: %+v", c.Listeners)
	}
	if !slices.Equal(c.IdentityHeaders, []string{"X-User-ID"}) {
		t.Errorf("a list adds to its default: %v", c.IdentityHeaders)
	}
	if names := c.Services.Names(); !slices.Equal(names, []string{"auth", "crm"}) {
		t.Errorf("services: %v", names)
	}
	crm, ok := c.Services.Get("crm")
	if !ok || crm.Host != "target" || crm.Timeouts.Response != seconds(30) || crm.Connections.Idle != 1024 {
		t.Errorf("defaults of a service: %+v", crm)
	}
	if _, ok := c.Services.Get("billing"); ok {
		t.Error("found a service that was not written")
	}
	r := c.Routes[0]
	if !slices.Equal(r.Path, []string{"/login", "/logout"}) || !slices.Equal(r.Methods, []string{"POST"}) || r.Headers["X-Debug"] != "true" || r.Query["v"] != "2" {
		t.Errorf("route: %+v", r)
	}
	if *r.Limits.Body != MB || *r.Timeouts.TunnelIdle != Duration(3*60)*seconds(60) || c.Routes[1].Limits.Body != nil || c.Routes[1].Forward.Path != "normalized" {
		t.Errorf("route: %+v", r)
	}
	cors, _ := r.Policies.Get("cors")
	gzip, ok := r.Policies.Get("gzip")
	if _, none := r.Policies.Get("jwt"); !cors.Off || gzip.Off || !ok || none {
		t.Errorf("policies: %+v", r.Policies)
	}
}

func TestLimits(t *testing.T) {
	c := loadFull(t)
	if names := c.Limits.Names(); !slices.Equal(names, []string{"auth", "crm"}) || c.Listeners[1].RateLimit != "legacy" || c.Listeners[0].RateLimit != "structured" {
		t.Errorf("%v, %+v", names, c.Listeners)
	}
	all, _ := c.Limits.Get("auth")
	if all.Limit != 100 || all.Window != seconds(15*60) || !slices.Equal(all.By, []string{"ip", "path.id"}) || !slices.Equal(all.Counts, []string{"401", "400-499"}) ||
		len(all.Except) != 2 || all.Fields || all.Callers[0].Burst != 50 || !all.Callers[1].Unlimited {
		t.Errorf("%+v", all)
	}
	want := Limit{Concurrent: 10, By: StringList{"user"}, Callers: []CallerLimit{{For: StringList{"known"}, Concurrent: 50}}, Algorithm: "sliding_window",
		IPv4Prefix: 32, IPv6Prefix: 64, Cost: 1, Mode: "enforce", Precision: "exact", OnStoreFailure: "local", Fields: true}
	if few, _ := c.Limits.Get("crm"); !reflect.DeepEqual(*few, want) {
		t.Errorf("%+v", few)
	}
}

// TestFullHasEveryKey keeps the example, and with it the schema's test, whole.
func TestFullHasEveryKey(t *testing.T) {
	c := loadFull(t)
	written := map[string]bool{}
	digits := strings.NewReplacer("[0]", "", "[1]", "", "[2]", "", "[3]", "", ".auth.", ".*.", ".crm.", ".*.")
	for path := range c.Source.keys {
		written[digits.Replace(path)] = true
	}
	var check func(reflect.Type, string)
	check = func(typ reflect.Type, path string) {
		for _, f := range fieldsOf(typ) {
			below := join(path, f.name)
			if !written[below] {
				t.Errorf("%s is not in full.yaml", below)
			}
			inner, suffix, ok := innerStruct(reflect.New(f.typ).Elem())
			if ok {
				check(inner.Type(), below+strings.ReplaceAll(strings.ReplaceAll(suffix, "[]", ""), "<name>", "*"))
			}
		}
	}
	check(reflect.TypeFor[Config](), "")
}

func TestNode(t *testing.T) {
	c := loadFull(t)
	entry, _ := c.Policies.Get("cors")
	into := sample{MaxAge: seconds(60), Ratio: 0.5}
	if problems := entry.Config.Decode(&into); len(problems) > 0 {
		t.Fatal(problems)
	}
	if into.MaxAge != seconds(3600) || into.Ratio != 0.5 || into.Levels["admin"] != 9 || into.Note != nil {
		t.Errorf("got %+v", into)
	}
	if !slices.Equal(into.Tiers, []tier{{"gold", 7}, {"silver", 5}}) {
		t.Errorf("tiers %+v", into.Tiers)
	}
	var extra struct {
		Any []string `yaml:"any"`
	}
	if problems := into.Extra.Decode(&extra); len(problems) > 0 || !slices.Equal(extra.Any, []string{"thing", "1", "true"}) {
		t.Errorf("extra %+v, %v", extra, problems)
	}
	for path, want := range map[string]string{
		"":                "testdata/full.yaml:37:3: policies.cors: x",
		"origins[1]":      "testdata/full.yaml:38:38: policies.cors.origins[1]: x",
		"tiers[1].name":   "testdata/full.yaml:42:15: policies.cors.tiers[1].name: x",
		"tiers[0].absent": "testdata/full.yaml:41:9: policies.cors.tiers[0].absent: x",
		"absent[3].a":     "testdata/full.yaml:37:3: policies.cors.absent[3].a: x",
	} {
		if got := entry.Config.Problem(path, "x", "").String(); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	located := entry.Config.Locate(problem.List{{Path: "max_age", What: "a"}, {File: "other", Line: 3, Column: 4, What: "b"}})
	if got, want := located.Error(), "testdata/full.yaml:39:14: policies.cors.max_age: a\nother:3:4: b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNodeMistakes(t *testing.T) {
	node, err := ParseNode("f", []byte("origin: a\nmax_age: 2h\ntiers: [{limit: 0}, {name: b, limit: x}]\nlevels: {a: 256, b: 0, c: -1}\nratio: 1.5\nburst: 1e3\nnote: [a]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var into sample
	problems := node.Decode(&into)
	problems.Sort()
	want := `f:1:1: unknown key "origin", did you mean "origins"?
f:1:1: missing key "origins" (origins)
f:3:9: tiers[0]: missing key "name" (name)
f:3:17: tiers[0].limit: want at least 1, got 0
f:3:38: tiers[1].limit: want a whole number, got "x"
f:4:13: levels.a: want a whole number of 0 or more, got 256
f:4:21: levels.b: want at least 1, got 0
f:4:27: levels.c: want a whole number of 0 or more, got -1
f:5:8: ratio: want at most 1, got 1.5
f:6:8: burst: want a whole number, got "1e3"
f:7:7: note: want a text, got a list`
	if got := problems.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if p := node.Decode(into); len(p) != 1 {
		t.Errorf("decoded into something that is no pointer: %v", p)
	}
	if p := node.Decode(&struct {
		C chan int `yaml:"burst"`
	}{}); len(p) == 0 {
		t.Error("decoded into a channel")
	}
	if p := node.Decode(&struct {
		M map[int]int `yaml:"levels"`
	}{}); len(p) == 0 {
		t.Error("decoded into a map of numbers")
	}
}

// TestZeroNode holds that a policy without configuration gets its defaults,
// and is asked for what has none.
func TestZeroNode(t *testing.T) {
	into := tier{Limit: 9}
	if got := (Node{}).Decode(&into).Error(); got != `missing key "name" (name)` || into.Limit != 9 {
		t.Errorf("got %s, %+v", got, into)
	}
	c, err := Parse("f", []byte("listeners: [{address: \":0\"}]\nroutes: [{name: a, path: /, auth: none}]\npolicies:\n  jwt:\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Policies[0].Config.Decode(&into).Error(), `f:4:3: policies.jwt: missing key "name" (name)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSource(t *testing.T) {
	c := loadFull(t)
	for path, want := range map[string]string{
		"":                         "testdata/full.yaml:2:1: x, y",
		"name":                     "testdata/full.yaml:2:7: name: x, y",
		"routes[0]":                "testdata/full.yaml:72:5: routes[0]: x, y",
		"routes[0].service":        "testdata/full.yaml:79:14: routes[0].service: x, y",
		"routes[1].service":        "testdata/full.yaml:89:5: routes[1].service: x, y",
		"routes[9].service":        "testdata/full.yaml:71:1: routes[9].service: x, y",
		"services.auth":            "testdata/full.yaml:48:3: services.auth: x, y",
		"services.auth.targets[1]": "testdata/full.yaml:49:40: services.auth.targets[1]: x, y",
		"listeners[1].limits.body": "testdata/full.yaml:18:13: listeners[1].limits.body: x, y",
		"nowhere.at[1].all":        "testdata/full.yaml:2:1: nowhere.at[1].all: x, y",
	} {
		if got := c.Source.Problem(path, "x", "y").String(); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if got, want := c.Source.KeyProblem("routes[0].policies.cors", "x", "").String(), "testdata/full.yaml:88:16: routes[0].policies.cors: x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := c.Source.KeyProblem("routes[0].nothing", "x", "").Line, 72; got != want {
		t.Errorf("got line %d, want %d", got, want)
	}
	if got := c.Source.Resolve("tls/a.crt"); got != filepath.Join("testdata", "tls", "a.crt") {
		t.Errorf("resolved to %s", got)
	}
	if got := c.Source.Resolve("/tls/a.crt"); got != "/tls/a.crt" {
		t.Errorf("resolved to %s", got)
	}
	if got := c.Source.Locate(problem.List{{Path: "name", What: "x"}}).Error(); got != "testdata/full.yaml:2:7: name: x" {
		t.Errorf("located as %s", got)
	}
	var none *Source
	if got := none.Problem("a", "x", "") != none.KeyProblem("a", "x", "") || none.Name() != "" || none.Resolve("a") != "a"; got {
		t.Error("the nil source knows something")
	}
}

func TestDefaults(t *testing.T) {
	c := Defaults()
	if c.Name != "yett" || len(c.IdentityHeaders) != 4 || c.Forwarded != (Forwarded{XForwarded: true, Gateway: true}) ||
		c.Shutdown.Grace != seconds(10) || c.Log.Level != "info" || c.Log.Access.Query != "redact" {
		t.Errorf("got %+v", c)
	}
	plain, err := Parse("f", []byte("listeners: [{address: \":0\", tls: {certificates: [{cert: a, key: b}]}}]\nroutes: [{name: a, path: /, auth: none}]\n"), nil)
	if err != nil || plain.Listeners[0].TLS.MinVersion != "1.2" {
		t.Errorf("got %+v, %v", plain, err)
	}
	again := Defaults()
	again.IdentityHeaders[0] = "changed"
	if c.IdentityHeaders[0] == "changed" {
		t.Error("defaults share memory")
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := write("yett.yaml", "name: ${NAME}\nversion: ${V}\nlisteners: [{address: \":0\"}]\nroutes: [{name: a, path: /, auth: none}]\n")
	write(".env", "NAME=file\nV=7\n")
	c, err := Load(path, MapEnv(map[string]string{"NAME": "real"}))
	if err != nil || c.Name != "real" || c.Version != "7" {
		t.Errorf("got %+v, %v", c, err)
	}

	write(".env", "NAME=x\nV='secret\n")
	_, err = Load(path, nil)
	want := filepath.Join(dir, ".env") + ":2:3: the value of V has no closing quote\n" +
		path + ":2:10: version: ${V} is not set, set it in the environment or in .env, or write ${V:-default}"
	var problems problem.List
	if !errors.As(err, &problems) || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}

	_, err = Load(filepath.Join(dir, "absent.yaml"), nil)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "read the configuration: ") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(filepath.Join(dir, ".env")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, ".env"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err = Load(path, nil); err == nil || !strings.HasPrefix(err.Error(), "read the variables of the configuration: ") {
		t.Errorf("got %v", err)
	}
}

func TestEnv(t *testing.T) {
	t.Setenv("YETT_TEST_VARIABLE", "os")
	env := Overlay(nil, MapEnv(map[string]string{"A": ""}), MapEnv(map[string]string{"A": "below", "B": "b"}), OSEnv())
	for key, want := range map[string]string{"A": "", "B": "b", "YETT_TEST_VARIABLE": "os"} {
		if got, ok := env(key); !ok || got != want {
			t.Errorf("%s: got %q, %v", key, got, ok)
		}
	}
	if _, ok := env("YETT_TEST_ABSENT"); ok {
		t.Error("found a variable that is not set")
	}
}

// TestMinimal holds that the example in hints is right.
func TestMinimal(t *testing.T) {
	if _, err := Parse("f", []byte(minimal), nil); err != nil {
		t.Error(err)
	}
	if !json.Valid([]byte(`"` + strings.ReplaceAll(minimal, `"`, `\"`) + `"`)) {
		t.Error("the example does not fit on a line")
	}
}

// Tools that write YAML 1.1 quote on and off, which are booleans there: that is the same.
func TestQuotedOnAndOff(t *testing.T) {
	c, err := Parse("yett.yaml", []byte(`
listeners: [{address: ":0"}]
policies: {cors: "off"}
services:
  a: {targets: ["http://a:1"], breaker: {"mode": "off"}, "retries": {"on": ["connect"]}}
routes: [{name: a, path: /, auth: none, service: a}]
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := c.Services.Get("a"); a.Breaker.Mode != "off" || len(a.Retries.On) != 1 || a.Retries.On[0] != "connect" {
		t.Errorf("%+v", a)
	}
}

// What stands in a document for others too, or for another day, is there and yet was not
// written for its place.
func TestWrote(t *testing.T) {
	c, err := Parse("yett.yaml", []byte(`
listeners: [{address: ":0"}]
services:
  a: {targets: ["http://a:1", "${URL:-http://a:2}"], timeouts: &t {connect: 1s, idle: "${IDLE:-5}s"}}
  b: {targets: ["http://b:1"], timeouts: *t}
  c: {targets: ["http://b:1"], timeouts: {<<: *t, queue: 1s}}
routes: [{name: a, path: /, auth: none, service: a}]
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][2]bool{
		"a": {true, true}, "a.targets[0]": {true, true}, "a.targets[1]": {true, false}, "a.targets[2]": {false, false},
		"a.timeouts": {true, true}, "a.timeouts.connect": {true, true}, "a.timeouts.idle": {true, false}, "a.timeouts.queue": {false, false}, "a.health": {false, false},
		"b.timeouts": {true, false}, "b.timeouts.connect": {true, false}, "b.timeouts.queue": {false, false},
		"c.timeouts": {true, true}, "c.timeouts.connect": {true, false}, "c.timeouts.queue": {true, true},
	} {
		path = "services." + path
		if got := [2]bool{c.Source.Has(path), c.Source.Wrote(path)}; got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	var none *Source
	if none.Has("name") || none.Wrote("name") {
		t.Error("what was not read has nothing")
	}
}
