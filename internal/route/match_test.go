package route

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"yett/internal/exchange"
)

// request makes an exchange of "METHOD host/path?query" and header fields.
func request(line string, header ...string) *exchange.Exchange {
	x := new(exchange.Pool).Get()
	method, target, _ := strings.Cut(line, " ")
	target, x.Query, x.HasQuery = strings.Cut(target, "?")
	i := strings.IndexAny(target, "/*")
	x.Method, x.Host, x.RawPath = method, target[:i], target[i:]
	for i := 0; i < len(header); i += 2 {
		x.Request.Add(header[i], header[i+1])
	}
	return x
}

// answer normalises, matches, and says in a line what came of it: the name of
// the rule and the path values, or the reason and Allow.
func answer(t *Table, rules []Rule, x *exchange.Exchange) string {
	if r := Normalize(x); r != nil {
		return r.Name
	}
	res := t.Match(x)
	if res.Reason != nil {
		return strings.TrimSpace(res.Reason.Name + " " + x.Allow)
	}
	var b strings.Builder
	b.WriteString(rules[res.Index].Name)
	for _, p := range x.Params() {
		fmt.Fprintf(&b, " %s=%q", p.Name, p.Value)
	}
	return b.String()
}

type match struct {
	request string
	header  []string
	want    string
}

func checkMatches(t *testing.T, rules []Rule, tests []match) {
	t.Helper()
	table, problems := Compile(rules)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, tt := range tests {
		if got := answer(table, rules, request(tt.request, tt.header...)); got != tt.want {
			t.Errorf("%s %q: got %s, want %s", tt.request, tt.header, got, tt.want)
		}
	}
}

func TestMatchPath(t *testing.T) {
	checkMatches(t, rules(
		Rule{Name: "health", Paths: []string{"/health"}},
		Rule{Name: "slash", Paths: []string{"/dir/"}},
		Rule{Name: "user", Paths: []string{"/users/{id}"}},
		Rule{Name: "me", Paths: []string{"/users/me"}},
		Rule{Name: "file", Paths: []string{"/users/{id}/files/{file}"}},
		Rule{Name: "login", Paths: []string{"/api/v1/auth/login"}},
		Rule{Name: "api", Paths: []string{"/api/**"}},
		Rule{Name: "tenant", Paths: []string{"/t/{tenant}/**"}},
		Rule{Name: "unicode", Paths: []string{"/café/%41/@home"}},
		Rule{Name: "root", Paths: []string{"/"}},
		Rule{Name: "star", Paths: []string{"*"}},
		Rule{Name: "braces", Paths: []string{"/%7Bid%7D"}},
		Rule{Name: "colon", Paths: []string{"/%3Aid", "/do:it"}},
	), []match{
		{request: "GET h/health", want: "health"},
		{request: "GET h/health/", want: "no_route"},
		{request: "GET h/healt", want: "no_route"},
		{request: "GET h/health/x", want: "no_route"},
		{request: "GET h/Health", want: "no_route"},
		{request: "GET h/dir/", want: "slash"},
		{request: "GET h/dir", want: "no_route"},
		{request: "GET h/", want: "root"},
		{request: "GET h//", want: "root"},
		{request: "GET h/users/42", want: `user id="42"`},
		{request: "GET h/users/me", want: "me"},
		{request: "GET h/users/", want: "no_route"},
		{request: "GET h/users", want: "no_route"},
		{request: "GET h/users/42/", want: "no_route"},
		{request: "GET h/users/a%20b%3Fc%25%c3%a9", want: `user id="a b?c%é"`},
		{request: "GET h/users/a%3Bb;c", want: `user id="a;b;c"`},
		{request: "GET h/users/me/files/x", want: `file id="me" file="x"`},
		{request: "GET h/users/1/files/", want: "no_route"},
		{request: "GET h/api", want: `api **=""`},
		{request: "GET h/api/", want: `api **=""`},
		{request: "GET h/api/x", want: `api **="x"`},
		{request: "GET h/api/x/y/", want: `api **="x/y/"`},
		{request: "GET h/api/%40x%20/%3B", want: `api **="%40x%20/%3B"`},
		{request: "GET h/apix", want: "no_route"},
		{request: "GET h/:id", want: "colon"},
		{request: "GET h/%3aid", want: "colon"},
		{request: "GET h/do:it", want: "colon"},
		{request: "GET h/t/a", want: `tenant tenant="a" **=""`},
		{request: "GET h/t/a%40b/c%40/d", want: `tenant tenant="a@b" **="c%40/d"`},
		{request: "GET h/t/", want: "no_route"},
		{request: "GET h/caf%c3%a9/A/@home", want: "unicode"},
		{request: "GET h/café/%41/%40home", want: "unicode"},
		{request: "GET h/{id}", want: "braces"},
		{request: "OPTIONS h*", want: "star"},
		// the same path in other words gets the same route
		{request: "GET h/api/v1/auth/login", want: "login"},
		{request: "GET h/api/v1/users/../auth/login", want: "login"},
		{request: "GET h/api/v1/users/%2e%2E/auth/login", want: "login"},
		{request: "GET h/api//v1/./auth/login", want: "login"},
		{request: "GET h/%61pi/v1/auth/logi%6E", want: "login"},
		{request: "GET h//api/v1/auth/login", want: "login"},
		{request: "GET h/api/v1/auth/x/..%2flogin", want: "bad_path"},
		{request: "GET h/api/v1/auth%2flogin", want: "bad_path"},
		{request: "GET h/api/v1/users/..;/auth/login", want: "bad_path"},
		{request: "GET h/api/../../x", want: "bad_path"},
	})
}

func TestMatchAsterisk(t *testing.T) {
	checkMatches(t, rules(paths("/**"), paths("/")), []match{
		{request: "OPTIONS h*", want: "no_route"},
	})
}

func TestMatchHost(t *testing.T) {
	host := func(name string, hosts []string, p ...string) Rule { return Rule{Name: name, Hosts: hosts, Paths: p} }
	checkMatches(t, rules(
		host("exact", []string{"api.Example.org", "[::1]"}, "/a", "/x/{v}"),
		host("long", []string{"*.b.example.org"}, "/a", "/long/**"),
		host("short", []string{"*.example.org"}, "/a", "/short"),
		host("any", nil, "/a", "/x/y", "/any"),
	), []match{
		{request: "GET api.example.org/a", want: "exact"},
		{request: "GET [::1]/a", want: "exact"},
		{request: "GET x.example.org/a", want: "short"},
		{request: "GET x.y.example.org/a", want: "short"},
		{request: "GET b.example.org/a", want: "short"},
		{request: "GET x.b.example.org/a", want: "long"},
		{request: "GET y.x.b.example.org/a", want: "long"},
		{request: "GET example.org/a", want: "any"},
		{request: "GET .example.org/a", want: "any"},
		{request: "GET xexample.org/a", want: "any"},
		{request: "GET a.org/a", want: "any"},
		{request: "GET /a", want: "any"},
		{request: "GET " + strings.Repeat("a.", 4000) + "b.example.org/a", want: "long"},
		// no path of the more specific host fits
		{request: "GET api.example.org/short", want: "short"},
		{request: "GET api.example.org/any", want: "any"},
		{request: "GET x.b.example.org/short", want: "short"},
		{request: "GET x.b.example.org/any", want: "any"},
		{request: "GET x.b.example.org/none", want: "no_route"},
		// host comes before path
		{request: "GET api.example.org/x/y", want: `exact v="y"`},
		{request: "GET a.org/x/y", want: "any"},
	})
}

func TestMatchMethod(t *testing.T) {
	checkMatches(t, rules(
		Rule{Name: "get", Paths: []string{"/a"}, Methods: []string{"GET"}},
		Rule{Name: "post", Paths: []string{"/a"}, Methods: []string{"POST", "OPTIONS"}},
		Rule{Name: "head", Paths: []string{"/h"}, Methods: []string{"HEAD", "PURGE"}},
		Rule{Name: "get h", Paths: []string{"/h"}, Methods: []string{"GET"}},
		Rule{Name: "rest h", Paths: []string{"/h"}},
		Rule{Name: "item", Paths: []string{"/i/{id}"}, Methods: []string{"GET"}},
		Rule{Name: "items", Paths: []string{"/i/**"}, Methods: []string{"PUT"}},
		Rule{Name: "apex", Hosts: []string{"a.io"}, Paths: []string{"/a"}, Methods: []string{"DELETE"}},
		Rule{Name: "v2", Paths: []string{"/v"}, Methods: []string{"PUT"}, Headers: map[string]string{"V": "2"}},
		Rule{Name: "v", Paths: []string{"/v"}, Methods: []string{"GET"}},
	), []match{
		{request: "GET h/a", want: "get"},
		{request: "HEAD h/a", want: "get"},
		{request: "POST h/a", want: "post"},
		{request: "get h/a", want: "method_not_allowed GET, HEAD, OPTIONS, POST"},
		{request: "FOO h/a", want: "method_not_allowed GET, HEAD, OPTIONS, POST"},
		{request: "HEAD h/h", want: "head"},
		{request: "PURGE h/h", want: "head"},
		{request: "GET h/h", want: "get h"},
		{request: "FOO h/h", want: "rest h"},
		// what a more specific route does not take goes to the next
		{request: "PUT h/i/1", want: `items **="1"`},
		{request: "GET h/i/1", want: `item id="1"`},
		{request: "FOO h/i/1", want: "method_not_allowed GET, HEAD, PUT"},
		{request: "GET h/i/1/2", want: "method_not_allowed PUT"},
		{request: "GET a.io/a", want: "get"},
		{request: "FOO a.io/a", want: "method_not_allowed DELETE, GET, HEAD, OPTIONS, POST"},
		// a route whose conditions fail allows nothing
		{request: "PUT h/v", want: "method_not_allowed GET, HEAD"},
		{request: "PUT h/v", header: []string{"v", "2"}, want: "v2"},
		{request: "FOO h/v", header: []string{"v", "2"}, want: "method_not_allowed GET, HEAD, PUT"},
		{request: "FOO h/none", want: "no_route"},
	})
}

func TestMatchConditions(t *testing.T) {
	with := func(name string, headers, query map[string]string) Rule {
		return Rule{Name: name, Paths: []string{"/a"}, Headers: headers, Query: query}
	}
	type m = map[string]string
	checkMatches(t, rules(
		with("plain", nil, nil),
		with("v1", m{"X-Version": "1"}, nil),
		with("v2", m{"X-Version": "2"}, nil),
		with("v", m{"x-version": "*"}, nil),
		with("v1 json", m{"X-Version": "1", "Content-Type": "application/json"}, nil),
		with("debug", nil, m{"debug": "*", "a b": "c d&é"}),
		with("empty", m{"X-Version": "0"}, m{"q": "", "r": "*"}),
		Rule{Name: "only", Paths: []string{"/o"}, Query: m{"k": "1"}},
		Rule{Name: "deep", Paths: []string{"/{x}/b"}, Headers: m{"V": "1"}},
		Rule{Name: "shallow", Paths: []string{"/**"}, Headers: m{"V": "*"}},
	), []match{
		{request: "GET h/a", want: "plain"},
		{request: "GET h/a", header: []string{"X-VERSION", "1"}, want: "v1"},
		{request: "GET h/a", header: []string{"x-version", "2"}, want: "v2"},
		{request: "GET h/a", header: []string{"x-version", "3"}, want: "v"},
		{request: "GET h/a", header: []string{"x-version", ""}, want: "v"},
		{request: "GET h/a", header: []string{"x-version", "2", "X-Version", "1"}, want: "v2"},
		{request: "GET h/a", header: []string{"content-type", "application/json", "x-version", "1"}, want: "v1 json"},
		{request: "GET h/a", header: []string{"content-type", "text/plain", "x-version", "1"}, want: "v1"},
		{request: "GET h/a?debug&a+b=c%20d%26%c3%A9", want: "debug"},
		{request: "GET h/a?x&&%64ebug=1&a%20b=c+d%26é", want: "debug"},
		{request: "GET h/a?debug&a+b=x&a+b=c+d%26é", want: "plain"},
		{request: "GET h/a?debug&a+b=c%20d%26%c3%A9x", want: "plain"},
		{request: "GET h/a?debug&a+b=c%20d%26%c3", want: "plain"},
		{request: "GET h/a?debug&a+b=c%20d%26%c3%", want: "plain"},
		{request: "GET h/a?Debug&a+b=c%20d%26é", want: "plain"},
		{request: "GET h/a?q&r", header: []string{"x-version", "0"}, want: "empty"},
		{request: "GET h/a?q=&r=1", header: []string{"x-version", "0"}, want: "empty"},
		{request: "GET h/a?q=1&r", header: []string{"x-version", "0"}, want: "v"},
		{request: "GET h/o?k=1", want: "only"},
		{request: "GET h/o?k=2", want: "no_route"},
		{request: "GET h/o?k=1&k=2", want: "only"},
		{request: "GET h/o", want: "no_route"},
		{request: "GET h/z/b", header: []string{"v", "1"}, want: `deep x="z"`},
		{request: "GET h/z/b", header: []string{"v", "2"}, want: `shallow **="z/b"`},
		{request: "GET h/z/b", want: "no_route"},
	})
}

func TestMatchEncoded(t *testing.T) {
	checkMatches(t, rules(
		Rule{Name: "project", Paths: []string{"/p/{id}"}, AllowSlash: true, Methods: []string{"GET"}},
		Rule{Name: "nul", Paths: []string{"/n/{id}"}, AllowNUL: true},
		Rule{Name: "strict", Paths: []string{"/p/a%2Fb/**"}, AllowSlash: true},
		Rule{Name: "closed", Paths: []string{"/c/{id}"}},
		Rule{Name: "open", Paths: []string{"/c/**"}, AllowSlash: true},
		Rule{Name: "no slash", Paths: []string{"/m/{id}"}, Methods: []string{"GET"}},
	), []match{
		{request: "GET h/p/a%2fc", want: `project id="a/c"`},
		{request: "GET h/p/a%2fb", want: `strict **=""`},
		{request: "GET h/p/a%2Fb/c%2fd", want: `strict **="c%2Fd"`},
		{request: "GET h/p/%00", want: "bad_path"},
		{request: "GET h/p/..%2fx", want: "bad_path"},
		{request: "GET h/p/x%2f..%2fy", want: "bad_path"},
		{request: "POST h/p/a%2fc", want: "method_not_allowed GET, HEAD"},
		{request: "GET h/n/a%00", want: `nul id="a\x00"`},
		{request: "GET h/n/a%2f", want: "bad_path"},
		// the most specific route that fits decides, not the most lenient
		{request: "GET h/c/a%2fb", want: "bad_path"},
		{request: "GET h/c/a/b%2fc", want: `open **="a/b%2Fc"`},
		{request: "POST h/m/a%2fb", want: "bad_path"},
		{request: "GET h/none/%2f", want: "bad_path"},
		{request: "GET h/none/%5c", want: "no_route"},
	})
}

func TestMatchBacktracks(t *testing.T) {
	checkMatches(t, rules(
		Rule{Name: "1", Paths: []string{"/a/b/c"}},
		Rule{Name: "2", Paths: []string{"/a/{x}/d"}},
		Rule{Name: "3", Paths: []string{"/{x}/b/e"}},
		Rule{Name: "4", Paths: []string{"/a/b/{x}/f"}},
		Rule{Name: "5", Paths: []string{"/{x}/{y}/{z}/g"}},
		Rule{Name: "6", Paths: []string{"/a/**"}, Methods: []string{"GET"}},
		Rule{Name: "7", Paths: []string{"/{x}/{y}/**"}},
	), []match{
		{request: "GET h/a/b/c", want: "1"},
		{request: "GET h/a/b/d", want: `2 x="b"`},
		{request: "GET h/a/b/e", want: `6 **="b/e"`},
		{request: "PUT h/a/b/e", want: `3 x="a"`},
		{request: "PUT h/a/b/c/f", want: `4 x="c"`},
		{request: "PUT h/a/b/c/g", want: `5 x="a" y="b" z="c"`},
		{request: "PUT h/a/b/c/h", want: `7 x="a" y="b" **="c/h"`},
		{request: "PUT h/a", want: "method_not_allowed GET, HEAD"},
	})
}

// manyValues are rules for every path of n segments that are each "a" or a
// value, and then "end": the worst that backtracking can meet.
func manyValues(n int) []Rule {
	var list []Rule
	for set := range 1 << n {
		path := ""
		for i := range n {
			if set>>i&1 == 1 {
				path += fmt.Sprintf("/{v%d}", i)
			} else {
				path += "/a"
			}
		}
		list = append(list, paths(path+"/end"))
	}
	return rules(list...)
}

func TestMatchIsBounded(t *testing.T) {
	const n = exchange.MaxParams
	table, problems := Compile(manyValues(n))
	if problems != nil {
		t.Fatal(problems)
	}
	// Visits go along the edges of a tree, so their number is bounded by that of
	// its nodes, and that by the length of all patterns.
	nodes, parents := 0, map[*node]int{}
	var count func(*node)
	count = func(n *node) {
		nodes++
		children := []*node{n.value, n.only.to}
		for _, c := range n.literals {
			children = append(children, c)
		}
		for _, c := range children {
			if c != nil {
				parents[c]++
				count(c)
			}
		}
	}
	count(&table.any.root)
	for _, p := range parents {
		if p != 1 {
			t.Fatal("a node has several parents")
		}
	}
	if limit := (1<<n)*(n+1) + 1; nodes > limit {
		t.Errorf("%d nodes for %d segments", nodes, limit)
	}
	x := request("GET h" + strings.Repeat("/a", n) + "/no")
	Normalize(x)
	start := time.Now()
	if r := table.Match(x); r.Reason != exchange.NoRoute {
		t.Errorf("got %v", r)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("took %v for %d nodes", d, nodes)
	}
}

func TestMatchForgetsTheLast(t *testing.T) {
	table, _ := Compile(rules(Rule{Paths: []string{"/a/{x}"}, Methods: []string{"GET"}}))
	x := request("PUT h/a/1")
	Normalize(x)
	if table.Match(x); x.Allow != "GET, HEAD" {
		t.Fatal(x.Allow)
	}
	x.Method = "GET"
	if r := table.Match(x); r.Reason != nil || x.Allow != "" || x.Param("x") != "1" {
		t.Error(r, x.Allow, x.Params())
	}
	x.RawPath = "/b"
	Normalize(x)
	if r := table.Match(x); r.Index != -1 || len(x.Params()) != 0 {
		t.Error(r, x.Params())
	}
}

func TestEmptyTable(t *testing.T) {
	checkMatches(t, nil, []match{{request: "GET h/", want: "no_route"}})
	table, _ := Compile(nil)
	if r := table.Match(&exchange.Exchange{}); r.Reason != exchange.NoRoute {
		t.Error(r)
	}
}
