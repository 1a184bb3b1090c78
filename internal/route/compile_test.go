package route

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rules numbers rules as they stand in a file, and names those without name.
func rules(list ...Rule) []Rule {
	for i := range list {
		list[i].Index = i
		if list[i].Name == "" {
			list[i].Name = fmt.Sprintf("r%d", i)
		}
	}
	return list
}

func paths(p ...string) Rule { return Rule{Paths: p} }

func TestCompileProblems(t *testing.T) {
	long := "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}"
	tests := []struct {
		name  string
		rules []Rule
		want  []string // beginnings of the problems
	}{
		{"name missing", []Rule{{Paths: []string{"/"}}}, []string{"routes[0].name: the route has no name"}},
		{"name taken", rules(Rule{Name: "a", Paths: []string{"/a"}}, Rule{Name: "a", Paths: []string{"/b"}}),
			[]string{`routes[1].name: the name "a" is taken by routes[0]`}},
		{"no path", rules(Rule{}), []string{"routes[0].path: the route has no path"}},
		{"relative path", rules(paths("a")), []string{`routes[0].path[0]: path "a" does not start with /, write "/a"`}},
		{"empty path", rules(paths("")), []string{`routes[0].path[0]: path "" does not start with /`}},
		{"other notations", rules(paths("^~ /d", `~ /x.*`, "PathPrefix(`/d`)", `^/d/\d+$`)), []string{
			`routes[0].path[0]: path "^~ /d" does not start with /, paths have {name} and /**, no regular expressions`,
			`routes[0].path[1]: path "~ /x.*" does not start with /, paths have`,
			"routes[0].path[2]: path \"PathPrefix(`/d`)\" does not start with /, paths have",
			`routes[0].path[3]: path "^/d/\\d+$" does not start with /, paths have`}},
		{"colon in front", rules(paths("/d/:user_id", `/:id(\d+)/x`, "/:")), []string{
			`routes[0].path[0]: path "/d/:user_id": ":user_id" begins with a colon, write {user_id}; a literal colon at the front is %3A`,
			`routes[0].path[1]: path "/:id(\\d+)/x": ":id(\\d+)" begins with a colon, write {id}; `,
			`routes[0].path[2]: path "/:": ":" begins with a colon, write {name}; `}},
		{"query in path", rules(paths("/a?b=1")), []string{`routes[0].path[0]: path "/a?b=1" has a query, conditions on the query go under query`}},
		{"rest in the middle", rules(paths("/a/**/b")), []string{`routes[0].path[0]: path "/a/**/b": ** is not at the end`}},
		{"rest before slash", rules(paths("/a/**/")), []string{`routes[0].path[0]: path "/a/**/": ** is not at the end`}},
		{"one star", rules(paths("/a/*")), []string{`routes[0].path[0]: path "/a/*": "*" mixes a wildcard`}},
		{"partial star", rules(paths("/a*")), []string{`routes[0].path[0]: path "/a*": "a*" mixes a wildcard with other characters`}},
		{"partial value", rules(paths("/{id}.json")), []string{`routes[0].path[0]: path "/{id}.json": "{id}.json" mixes`}},
		{"open brace", rules(paths("/{id")), []string{`routes[0].path[0]: path "/{id": "{id" mixes`}},
		{"value without name", rules(paths("/{}")), []string{`routes[0].path[0]: path "/{}": "" is no name`}},
		{"bad value name", rules(paths("/{1a}")), []string{`routes[0].path[0]: path "/{1a}": "1a" is no name`}},
		{"rest as value", rules(paths("/{**}")), []string{`routes[0].path[0]: path "/{**}": "**" is no name`}},
		{"value twice", rules(paths("/{a}/{a}")), []string{`routes[0].path[0]: path "/{a}/{a}": the value {a} is there twice`}},
		{"too many values", rules(paths(long+"/{i}"), paths(long+"/**"), paths(long)), []string{
			`routes[0].path[0]: path "` + long + `/{i}" has 9 values, there can be 8`,
			`routes[1].path[0]: path "` + long + `/**" has 9 values`}},
		{"doubled slash", rules(paths("/a//b")), []string{`routes[0].path[0]: path "/a//b": a slash is doubled`}},
		{"dot segments", rules(paths("/a/../b", "/.", "/%2e%2E", "/..%2fx")), []string{
			`routes[0].path[0]: path "/a/../b": no request has a segment ".."`,
			`routes[0].path[1]: path "/.": no request has a segment "."`,
			`routes[0].path[2]: path "/%2e%2E": no request has a segment "%2e%2E"`,
			`routes[0].path[3]: path "/..%2fx": no request has a segment "..%2fx"`}},
		{"bad characters", rules(paths("/a b", "/%zz", `/a\b`, "/a#")), []string{
			`routes[0].path[0]: path "/a b": no request has`, `routes[0].path[1]: path "/%zz": no request has`,
			`routes[0].path[2]: path "/a\\b": no request has`, `routes[0].path[3]: path "/a#": no request has`}},
		{"encoded slash", rules(paths("/a%2fb")), []string{`routes[0].path[0]: path "/a%2Fb" needs an encoded slash, the route has to say allow_encoded: [slash]`}},
		{"encoded NUL", rules(paths("/a%00")), []string{`routes[0].path[0]: path "/a%00" needs an encoded NUL, the route has to say allow_encoded: [nul]`}},
		{"path twice", rules(paths("/{a}", "/{b}")), []string{`routes[0].path[1]: path "/{b}" is there twice`}},
		{"equal when normal", rules(paths("/%61", "/a")), []string{`routes[0].path[1]: path "/a" is there twice`}},

		{"hosts", rules(Rule{Hosts: []string{"*", "a.*.org", "http://a.org", "a.org:80", "::1", "a.org.", "bücher.de", "a..b", "",
			"*.", "[::1", "[1.2.3.4]", strings.Repeat("a.", 130) + "org", strings.Repeat("a", 64)}, Paths: []string{"/"}}), []string{
			`routes[0].host[0]: host "*" is no host pattern, leave host out to match all`,
			`routes[0].host[1]: host "a.*.org" is no host pattern, a wildcard is *. in front of a name`,
			`routes[0].host[2]: host "http://a.org" is no host pattern, write the name alone`,
			`routes[0].host[3]: host "a.org:80" is no host pattern, write it without the port`,
			`routes[0].host[4]: host "::1" is no host pattern, write it without the port; an IPv6 address needs brackets`,
			`routes[0].host[5]: host "a.org." is no host pattern, leave the final dot out`,
			`routes[0].host[6]: host "bücher.de" is no host pattern, names are letters`,
			`routes[0].host[7]: host "a..b" is no host pattern`,
			`routes[0].host[8]: host "" is no host pattern`,
			`routes[0].host[9]: host "*." is no host pattern`,
			`routes[0].host[10]: host "[::1" is no IPv6 address in brackets`,
			`routes[0].host[11]: host "[1.2.3.4]" is no IPv6 address in brackets`,
			`routes[0].host[12]: host "a.a.`,
			`routes[0].host[13]: host "aaaa`}},
		{"host twice", rules(Rule{Hosts: []string{"a.org", "A.Org"}, Paths: []string{"/"}}), []string{`routes[0].host[1]: host "A.Org" is there twice`}},

		{"methods", rules(Rule{Methods: []string{"get", "*", "A B", "", "GET", "GET"}, Paths: []string{"/"}}), []string{
			`routes[0].methods[0]: method "get" is not in upper case, write GET`,
			`routes[0].methods[1]: "*" is no method, leave methods out for all`,
			`routes[0].methods[2]: "A B" is no method`,
			`routes[0].methods[3]: "" is no method`,
			`routes[0].methods[5]: method GET is there twice`}},

		{"headers", rules(Rule{Headers: map[string]string{"a b": "*", "Host": "x", "X-A": "1", "x-a": "2", "X-B": " v"}, Paths: []string{"/"}}), []string{
			`routes[0].headers.Host: a condition on Host, use host`,
			`routes[0].headers.X-B: no request has the value " v"`,
			`routes[0].headers.a b: "a b" is no header name`,
			`routes[0].headers.x-a: header "x-a" is there twice`}},
		{"query", rules(Rule{Query: map[string]string{"": "1"}, Paths: []string{"/"}}), []string{`routes[0].query: a query value has no name`}},

		{"no conflict with what is broken", rules(paths("/a"), Rule{Paths: []string{"/a"}, Headers: map[string]string{"Host": "x"}}), []string{`routes[1].headers.Host`}},
		{"all at once", rules(Rule{Name: "x", Hosts: []string{"*"}, Methods: []string{"get"}, Paths: []string{"a", "/**/"}}, Rule{Name: "x"}), []string{
			`routes[1].name: the name "x"`, `routes[0].methods[0]`, `routes[0].host[0]`, `routes[0].path[0]`, `routes[0].path[1]`, `routes[1].path: `}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkProblems(t, tt.rules, tt.want) })
	}
}

func checkProblems(t *testing.T, rules []Rule, want []string) {
	t.Helper()
	table, problems := Compile(rules)
	if (table == nil) != (len(problems) > 0) {
		t.Error("a table with problems, or none without")
	}
	for i, p := range problems {
		if p.Hint == "" {
			t.Errorf("no hint: %s", p)
		}
		if i < len(want) && !strings.HasPrefix(p.String(), want[i]) {
			t.Errorf("got  %s\nwant %s", p, want[i])
		}
	}
	if len(problems) != len(want) {
		t.Errorf("%d problems, want %d:\n%v", len(problems), len(want), problems)
	}
}

func TestCompileConflicts(t *testing.T) {
	header := func(path string, h ...string) Rule {
		r := Rule{Paths: []string{path}, Headers: map[string]string{}}
		for i := 0; i < len(h); i += 2 {
			r.Headers[h[i]] = h[i+1]
		}
		return r
	}
	method := func(path string, m ...string) Rule { return Rule{Paths: []string{path}, Methods: m} }
	host := func(path string, h ...string) Rule { return Rule{Paths: []string{path}, Hosts: h} }
	same := func(i, j int, where, other string) string {
		return fmt.Sprintf("routes[%d].path[%d]: %s takes the same requests as route %q, remove one", i, j, where, other)
	}
	tie := func(i int, where, other string) string {
		return fmt.Sprintf("routes[%d].path[0]: %s is neither more nor less specific than route %q", i, where, other)
	}
	lost := func(i int, where, others string) string {
		return fmt.Sprintf("routes[%d].path[0]: no request reaches %s: more specific routes take all of them, they are %s", i, where, others)
	}
	tests := []struct {
		name  string
		rules []Rule
		want  []string
	}{
		{"same path", rules(paths("/a"), paths("/a")), []string{same(1, 0, "/a", "r0")}},
		{"same path, other value names", rules(paths("/u/{id}"), paths("/u/{name}")), []string{same(1, 0, "/u/{name}", "r0")}},
		{"same path in Unicode", rules(paths("/é"), paths("/%c3%a9")), []string{same(1, 0, "/%C3%A9", "r0")}},
		{"same as with reserved characters", rules(paths("/@a"), paths("/%40a")), []string{same(1, 0, "/@a", "r0")}},
		{"second path of a list", rules(paths("/a", "/b"), paths("/c", "/b")), []string{same(1, 1, "/b", "r0")}},
		{"three times", rules(paths("/a"), paths("/a"), paths("/a")), []string{same(1, 0, "/a", "r0"), same(2, 0, "/a", "r0")}},
		{"same in two hosts", rules(host("/a", "a.io", "b.io"), host("/a", "a.io", "b.io")), []string{
			same(1, 0, "a.io/a", "r0"), same(1, 0, "b.io/a", "r0")}},
		{"host in another case", rules(host("/a", "a.io"), host("/a", "A.IO")), []string{same(1, 0, "a.io/a", "r0")}},
		{"different hosts", rules(host("/a", "a.io"), host("/a", "*.a.io"), host("/a", "*.io"), paths("/a")), nil},
		{"slash counts", rules(paths("/a"), paths("/a/"), paths("/a/**")), nil},
		{"literal that looks like a wildcard", rules(paths("/%7Bx%7D"), paths("/{x}"), paths("/%2A%2A"), paths("/**")), nil},

		{"methods apart", rules(method("/a", "GET"), method("/a", "POST"), paths("/a")), nil},
		{"a method in common", rules(method("/a", "GET", "POST"), method("/a", "PUT", "POST")), []string{same(1, 0, "/a", "r0")}},
		{"HEAD apart from GET", rules(method("/a", "GET"), method("/a", "HEAD")), nil},
		{"HEAD twice", rules(method("/a", "GET", "HEAD"), method("/a", "HEAD")), []string{same(1, 0, "/a", "r0")}},

		{"header values apart", rules(header("/a", "V", "1"), header("/a", "v", "2"), header("/a", "V", "*"), paths("/a")), nil},
		{"same header", rules(header("/a", "V", "1"), header("/a", "v", "1")), []string{same(1, 0, "/a", "r0")}},
		{"different headers", rules(header("/a", "V", "1"), header("/a", "W", "1")), []string{tie(1, "/a", "r0")}},
		{"different headers, one more", rules(header("/a", "V", "1"), header("/a", "W", "1", "Z", "1")), nil},
		{"different headers, a value less", rules(header("/a", "V", "1"), header("/a", "W", "*")), nil},
		{"different headers, methods apart", rules(
			Rule{Paths: []string{"/a"}, Methods: []string{"GET"}, Headers: map[string]string{"V": "1"}},
			Rule{Paths: []string{"/a"}, Methods: []string{"PUT"}, Headers: map[string]string{"W": "1"}}), nil},
		{"different headers, one for all methods", rules(
			Rule{Paths: []string{"/a"}, Methods: []string{"GET"}, Headers: map[string]string{"V": "1"}},
			Rule{Paths: []string{"/a"}, Headers: map[string]string{"W": "1"}}), nil},
		{"different headers that exclude each other in one", rules(header("/a", "V", "1", "W", "1"), header("/a", "V", "2", "Z", "1")), nil},
		{"a value and a presence crosswise", rules(header("/a", "V", "1", "W", "*"), header("/a", "V", "*", "W", "1")), []string{tie(1, "/a", "r0")}},
		{"header and query of one name", rules(header("/a", "v", "1"), Rule{Paths: []string{"/a"}, Query: map[string]string{"v": "2"}}),
			[]string{tie(1, "/a", "r0")}},
		{"query in another case", rules(Rule{Paths: []string{"/a"}, Query: map[string]string{"v": "1"}},
			Rule{Paths: []string{"/a"}, Query: map[string]string{"V": "2"}}), []string{tie(1, "/a", "r0")}},

		{"all below is taken", rules(paths("/a/**"), paths("/a", "/a/"), paths("/a/{x}/**")), []string{lost(0, "/a/**", "r1, r2")}},
		{"all below is taken, deeper", rules(paths("/a/**"), paths("/a", "/a/", "/a/{x}", "/a/{y}/"), paths("/a/{x}/{y}/**")),
			[]string{lost(0, "/a/**", "r1, r2")}},
		{"everything is taken", rules(paths("/**"), paths("/"), paths("/{x}/**")), []string{lost(0, "/**", "r1, r2")}},
		{"methods together take all", rules(method("/**", "GET", "PUT"), method("/", "GET"), method("/", "PUT"), paths("/{x}/**")),
			[]string{lost(0, "/**", "r1, r2, r3")}},
		{"methods by depth take all", rules(method("/**", "GET", "PUT"), paths("/"), method("/{x}/**", "GET"),
			method("/{x}", "PUT"), method("/{x}/", "PUT"), method("/{x}/{y}/**", "PUT")), []string{lost(0, "/**", "r1, r2, r3, r4, r5")}},
		{"one method is left", rules(method("/**", "GET", "PUT"), method("/", "GET"), paths("/{x}/**")), nil},
		{"HEAD is left", rules(method("/**", "GET"), method("/", "GET"), method("/{x}/**", "PUT", "HEAD")), nil},
		{"unknown methods are left", rules(paths("/**"), method("/", "GET"), method("/{x}/**", "GET")), nil},
		{"the prefix is left", rules(paths("/a/**"), paths("/a/"), paths("/a/{x}/**")), nil},
		{"the prefix with slash is left", rules(paths("/a/**"), paths("/a"), paths("/a/{x}/**")), nil},
		{"what is below is left", rules(paths("/a/**"), paths("/a", "/a/", "/a/{x}")), nil},
		{"requests without the header are left", rules(paths("/**"), paths("/"), header("/{x}/**", "V", "*")), nil},
		{"the header implies it", rules(header("/**", "V", "1"), paths("/"), header("/{x}/**", "V", "*")), []string{lost(0, "/**", "r1, r2")}},
		{"another header value is left", rules(header("/**", "V", "1"), paths("/"), header("/{x}/**", "V", "2")), nil},
		{"another host's routes take nothing", rules(host("/**", "a.io"), host("/", "a.io"), paths("/{x}/**")), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkProblems(t, tt.rules, tt.want) })
	}
}

func TestTooManyMethods(t *testing.T) {
	var list []Rule
	for i := range maxMethods + 1 {
		list = append(list, Rule{Paths: []string{fmt.Sprintf("/%d", i)}, Methods: []string{fmt.Sprintf("M%d", i)}})
	}
	checkProblems(t, rules(list...), []string{
		"routes[62].methods[0]: too many different methods", "routes[63].methods[0]: too many different methods"})
	if _, problems := Compile(rules(list[:maxMethods-1]...)); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestRows(t *testing.T) {
	table, problems := Compile(rules(
		Rule{Name: "all", Paths: []string{"/**"}},
		Rule{Name: "any host", Paths: []string{"/a/{id}", "/a"}, Methods: []string{"PUT", "GET"}},
		Rule{Name: "wild", Hosts: []string{"*.io", "*.B.io"}, Paths: []string{"/**"}},
		Rule{Name: "exact", Hosts: []string{"x.b.io"}, Paths: []string{"/a/**", "/a"}},
		Rule{Name: "cond", Hosts: []string{"x.b.io"}, Paths: []string{"/a"}, Headers: map[string]string{"X-V": "2"}, Query: map[string]string{"d": "*"}},
		Rule{Name: "present", Paths: []string{"/a"}, Headers: map[string]string{"V": "*"}},
		Rule{Name: "equal", Paths: []string{"/a"}, Headers: map[string]string{"V": "1"}},
		Rule{Name: "head", Paths: []string{"/a"}, Methods: []string{"HEAD"}},
		Rule{Name: "every method", Paths: []string{"/a"}},
		Rule{Name: "star", Paths: []string{"*"}},
	))
	if problems != nil {
		t.Fatal(problems)
	}
	want := []string{
		`x.b.io/a [] ["header x-v=2" "query d=*"] cond 4`,
		`x.b.io/a [] [] exact 3`,
		`x.b.io/a/** [] [] exact 3`,
		`*.b.io/** [] [] wild 2`,
		`*.io/** [] [] wild 2`,
		`* [] [] star 9`,
		`/a [] ["header v=1"] equal 6`,
		`/a [] ["header v=*"] present 5`,
		`/a ["HEAD"] [] head 7`,
		`/a ["GET" "PUT"] [] any host 1`,
		`/a [] [] every method 8`,
		`/a/{id} ["GET" "PUT"] [] any host 1`,
		`/** [] [] all 0`,
	}
	var got []string
	for _, r := range table.Rows() {
		got = append(got, fmt.Sprintf("%s%s %q %q %s %d", r.Host, r.Path, r.Methods, r.Conditions, r.Name, r.Index))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
