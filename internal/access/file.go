package access

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/problem"
)

// The names that a table has without declaring them.
const (
	// Anonymous brings no token.
	Anonymous = "anonymous"
	// Others are all callers that are not named beside it.
	Others = "others"
)

// File is a table as it is written.
type File struct {
	Config   string                            `yaml:"config" doc:"Configuration that is tested, relative to this file."`
	Env      map[string]string                 `yaml:"env" doc:"Variables of the configuration, which win over the environment and over .env."`
	Listener string                            `yaml:"listener" doc:"Name of the listener that is asked; the first when empty."`
	Callers  config.Mapping[Caller]            `yaml:"callers" doc:"Who asks, by a name of your choice. anonymous, without a token, is there already."`
	Groups   config.Mapping[config.StringList] `yaml:"groups" doc:"Names for several callers."`
	Expect   config.Mapping[Expectation]       `yaml:"expect" doc:"What is expected in each test that says nothing about a caller."`
	Tests    []Test                            `yaml:"tests" required:"true" doc:"What is asked."`

	path string
	node config.Node
}

// Test is requests and what is expected for each of them.
type Test struct {
	Request  config.StringList           `yaml:"request" required:"true" doc:"Method and URL, such as GET /customers; or a list of them."`
	Headers  config.Mapping[string]      `yaml:"headers" doc:"Header fields. {token} stands for the caller's token, which then is not sent as Authorization."`
	Body     string                      `yaml:"body" doc:"Body of the requests."`
	IP       Address                     `yaml:"ip" doc:"Other end of the connection."`
	Listener string                      `yaml:"listener" doc:"Name of the listener that is asked, instead of the file's."`
	Expect   config.Mapping[Expectation] `yaml:"expect" doc:"What is expected, by caller or group. others are all that are not named."`
}

// Load reads a table. The error is a problem.List of everything that is wrong
// with it by itself, or says what could not be read. What it says of the
// configuration is checked when both are there.
func Load(path string, env config.Env) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the table: %w", err)
	}
	node, err := config.ParseNode(path, data, env)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, node: node}
	problems := node.Decode(f)
	problems = append(problems, f.check()...)
	problems.Sort()
	return f, problems.Err()
}

// ConfigFile returns the configuration that the table names, "" when it names
// none.
func (f *File) ConfigFile() string {
	if f.Config == "" || filepath.IsAbs(f.Config) {
		return f.Config
	}
	return filepath.Join(filepath.Dir(f.path), f.Config)
}

// Environment returns the variables of the table's configuration, those of env
// after its own.
func (f *File) Environment(env config.Env) config.Env {
	return config.Overlay(config.MapEnv(f.Env), env)
}

// check reports what is wrong with the names in a table.
func (f *File) check() problem.List {
	var problems problem.List
	add := func(path, hint, format string, args ...any) {
		problems = append(problems, f.node.Problem(path, fmt.Sprintf(format, args...), hint))
	}
	for i, name := range slices.Concat(f.Callers.Names(), f.Groups.Names()) {
		at := "callers." + name
		if i >= len(f.Callers) {
			at = "groups." + name
		}
		_, isCaller := f.Callers.Get(name)
		if name == Anonymous || name == Others || i >= len(f.Callers) && isCaller {
			add(at, "choose another", "the name %s is taken", name)
		}
	}
	for _, g := range f.Groups {
		for i, name := range g.Value {
			if !slices.Contains(f.everybody(), name) {
				add(fmt.Sprintf("groups.%s[%d]", g.Name, i), problem.DidYouMean(name, f.everybody()), "there is no caller %q", name)
			}
		}
	}
	f.checkNames("expect", f.Expect, add)
	for i := range f.Tests {
		f.checkTest(i, add)
	}
	return problems
}

func (f *File) checkTest(i int, add func(path, hint, format string, args ...any)) {
	at, t := fmt.Sprintf("tests[%d]", i), &f.Tests[i]
	for j, line := range t.Request {
		if method, url, _ := strings.Cut(line, " "); !exchange.ValidName(method) || url == "" {
			add(fmt.Sprintf("%s.request[%d]", at, j), "write METHOD URL, such as GET /customers", "%q is no request", line)
		}
	}
	f.checkNames(at+".expect", t.Expect, add)
	if len(t.Request) > 0 && len(f.pairs(i)) == 0 {
		add(at, "add expect, here or for all tests", "nothing is expected of anybody")
	}
}

// checkNames checks the names under expect, and that no caller is in two of
// its groups.
func (f *File) checkNames(at string, expect config.Mapping[Expectation], add func(path, hint, format string, args ...any)) {
	known := slices.Concat(f.everybody(), f.Groups.Names(), []string{Others})
	owner := make(map[string]string)
	for _, e := range expect {
		if !slices.Contains(known, e.Name) {
			add(at+"."+e.Name, problem.DidYouMean(e.Name, known), "there is no caller or group %q", e.Name)
			continue
		}
		members, ok := f.Groups.Get(e.Name)
		if !ok {
			continue
		}
		for _, name := range *members {
			_, single := expect.Get(name)
			if first, taken := owner[name]; taken && !single {
				add(at+"."+e.Name, "write what is expected of "+name+" alone", "%s is in both groups, %s and %s", name, first, e.Name)
			}
			owner[name] = e.Name
		}
	}
}

// everybody returns the names of all callers.
func (f *File) everybody() []string { return append([]string{Anonymous}, f.Callers.Names()...) }

// pair is a caller in one test, and what is expected.
type pair struct {
	caller string
	expect *Expectation
	at     string // where that is written
}

// pairs returns who asks in a test. What the test says wins over what the file
// says for all, and a caller's own name over a group, that over others.
func (f *File) pairs(i int) []pair {
	var out []pair
	for _, caller := range f.everybody() {
		own, at := f.find(f.Tests[i].Expect, caller)
		where := fmt.Sprintf("tests[%d].expect.%s", i, at)
		if own == nil {
			own, _ = f.find(f.Expect, caller)
			where = fmt.Sprintf("tests[%d].request", i)
		}
		if own != nil {
			out = append(out, pair{caller, own, where})
		}
	}
	return out
}

// find returns what is expected of a caller, and under which name.
func (f *File) find(expect config.Mapping[Expectation], caller string) (*Expectation, string) {
	if e, ok := expect.Get(caller); ok {
		return e, caller
	}
	for _, e := range expect {
		if members, ok := f.Groups.Get(e.Name); ok && slices.Contains(*members, caller) {
			return &e.Value, e.Name
		}
	}
	e, _ := expect.Get(Others)
	return e, Others
}

// checkAgainst reports what the table says of a configuration and is not so:
// a slip there would have a test pass for the wrong reason.
func (f *File) checkAgainst(c *config.Config) problem.List {
	var problems problem.List
	for _, e := range f.Callers {
		for _, p := range e.Value.check(c) {
			problems = append(problems, f.node.Problem("callers."+e.Name+"."+p.Path, p.What, p.Hint))
		}
	}
	names := namesOf(c)
	listener := func(at, name string) {
		if name != "" && !slices.Contains(names["listener"], name) {
			problems = append(problems, f.node.Problem(at, fmt.Sprintf("there is no listener %q", name), problem.DidYouMean(name, names["listener"])))
		}
	}
	expect := func(at string, all config.Mapping[Expectation]) {
		for _, e := range all {
			if p, ok := e.Value.unknown(names); ok {
				problems = append(problems, f.node.Problem(at+"."+e.Name, p.What, p.Hint))
			}
		}
	}
	listener("listener", f.Listener)
	expect("expect", f.Expect)
	for i, t := range f.Tests {
		listener(fmt.Sprintf("tests[%d].listener", i), t.Listener)
		expect(fmt.Sprintf("tests[%d].expect", i), t.Expect)
	}
	problems.Sort()
	return problems
}

// namesOf returns the names of a configuration that a table may name.
func namesOf(c *config.Config) map[string][]string {
	names := map[string][]string{"service": c.Services.Names()}
	add := func(kind, name string) {
		if name != "" && !slices.Contains(names[kind], name) {
			names[kind] = append(names[kind], name)
		}
	}
	for _, l := range c.Listeners {
		add("listener", l.Name)
	}
	for _, p := range c.Policies {
		add("policy", p.Name)
	}
	for _, r := range c.Routes {
		add("route", r.Name)
		add("endpoint", r.Endpoint)
		for _, p := range r.Policies {
			add("policy", p.Name)
		}
	}
	return names
}
