package route

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"yett/internal/exchange"
)

// The reference says what the package comment says, as plainly as it can: it
// tries every host and path of every rule and keeps the best.

// fit is one host and path of a rule that fits a request, the method aside.
type fit struct {
	rule   *Rule
	score  []string // greater is more specific, the first difference counts
	params string
}

// referenceMatch returns what answer returns.
func referenceMatch(t *testing.T, rules []Rule, x *exchange.Exchange) string {
	var best *fit
	allow := map[string]bool{}
	for i := range rules {
		for _, f := range referenceFits(&rules[i], x) {
			method := referenceMethod(f.rule, x.Method)
			if method == "" {
				referenceAllow(f.rule, x, allow)
				continue
			}
			f.score = append(f.score, method)
			if best != nil && slices.Equal(f.score, best.score) {
				t.Fatalf("only names tell %q and %q apart for %s %s%s", f.rule.Name, best.rule.Name, x.Method, x.Host, x.Path)
			}
			if best == nil || slices.Compare(f.score, best.score) > 0 {
				best = &f
			}
		}
	}
	switch {
	case best != nil && referencePermits(best.rule, x):
		return best.rule.Name + best.params
	case best != nil:
		return "bad_path"
	case len(allow) > 0:
		list := []string{}
		for m := range allow {
			list = append(list, m)
		}
		slices.Sort(list)
		return "method_not_allowed " + strings.Join(list, ", ")
	case strings.Contains(x.Path, "%2F") || strings.Contains(x.Path, "%00"):
		return "bad_path"
	}
	return "no_route"
}

func referencePermits(r *Rule, x *exchange.Exchange) bool {
	return (r.AllowSlash || !strings.Contains(x.Path, "%2F")) && (r.AllowNUL || !strings.Contains(x.Path, "%00"))
}

func referenceAllow(r *Rule, x *exchange.Exchange, allow map[string]bool) {
	if !referencePermits(r, x) {
		return
	}
	for _, m := range r.Methods {
		allow[m] = true
		if m == "GET" {
			allow["HEAD"] = true
		}
	}
}

// referenceMethod says how well a method fits, "" if it doesn't.
func referenceMethod(r *Rule, method string) string {
	switch {
	case slices.Contains(r.Methods, method):
		return "3 named"
	case method == "HEAD" && slices.Contains(r.Methods, "GET"):
		return "2 by way of GET"
	case len(r.Methods) == 0:
		return "1 all"
	}
	return ""
}

func referenceFits(r *Rule, x *exchange.Exchange) []fit {
	values := 0
	query, _ := url.ParseQuery(x.Query)
	for name, want := range r.Query {
		if got, ok := query[name]; !ok || want != "*" && want != got[0] {
			return nil
		}
		if want != "*" {
			values++
		}
	}
	for name, want := range r.Headers {
		if got, ok := x.Request.Lookup(name); !ok || want != "*" && want != got {
			return nil
		}
		if want != "*" {
			values++
		}
	}
	conditions := fmt.Sprintf("%d of which %d", len(r.Headers)+len(r.Query), values)
	var fits []fit
	hosts := r.Hosts
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	for _, h := range hosts {
		for _, p := range r.Paths {
			host := referenceHost(h, x.Host)
			path, params, ok := referencePath(p, x.Path)
			if host != "" && ok {
				fits = append(fits, fit{r, []string{host, path, conditions}, params})
			}
		}
	}
	return fits
}

func referenceHost(pattern, host string) string {
	suffix, wild := strings.CutPrefix(strings.ToLower(pattern), "*")
	switch {
	case pattern == "":
		return "1 none"
	case wild && strings.HasSuffix(host, suffix) && len(host) > len(suffix):
		return fmt.Sprintf("2 wildcard %03d", len(suffix))
	case !wild && suffix == host:
		return "3 exact"
	}
	return ""
}

// referencePath gives 4 for a literal, 3 for a value, 2 for the end and 1 for
// **, for each segment.
func referencePath(pattern, path string) (score, params string, ok bool) {
	if pattern == "*" || path == "*" {
		return "4", "", pattern == path
	}
	want, got := strings.Split(pattern[1:], "/"), strings.Split(path[1:], "/")
	for i, w := range want {
		if w == "**" {
			return score + "1", params + fmt.Sprintf(" **=%q", strings.Join(got[min(i, len(got)):], "/")), true
		}
		if i >= len(got) {
			return "", "", false
		}
		plain, err := url.PathUnescape(got[i])
		if err != nil {
			return "", "", false
		}
		switch {
		case strings.HasPrefix(w, "{") && plain != "":
			score += "3"
			params += fmt.Sprintf(" %s=%q", strings.Trim(w, "{}"), plain)
		case w == plain:
			score += "4"
		default:
			return "", "", false
		}
	}
	return score + "2", params, len(want) == len(got)
}

// dice makes rules and requests from a small vocabulary, so that they meet.
// With dense they meet at every turn: few hosts, conditions and paths.
type dice struct {
	*rand.Rand
	dense bool
}

func newDice(seed uint64) dice {
	return dice{rand.New(rand.NewPCG(seed, 0)), seed%2 == 0}
}

func (d dice) pick(from ...string) string { return from[d.IntN(len(from))] }

func (d dice) some(most int, from ...string) []string {
	var list []string
	for range d.IntN(most + 1) {
		if v := d.pick(from...); !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

func (d dice) conditions(names ...string) map[string]string {
	m := map[string]string{}
	for _, name := range names {
		if d.IntN(4) == 0 && (!d.dense || d.IntN(4) == 0) {
			m[name] = d.pick("*", "1", "2")
		}
	}
	return m
}

func (d dice) pattern() string {
	if d.dense {
		return d.pick("/", "/**", "/{x}/**", "/{x}", "/{y}/", "/a", "/a/", "/a/**", "/a/{x}", "/a/{y}/", "/a/{x}/**", "/a/{y}/b")
	}
	if d.IntN(20) == 0 {
		return "*"
	}
	var p string
	for i := range d.IntN(4) {
		p += "/" + d.pick("a", "b", "@", fmt.Sprintf("{v%d}", i), fmt.Sprintf("{w%d}", i))
	}
	return p + d.pick("", "/", "/**", "/a", "/{z}")
}

func (d dice) rules() []Rule {
	var list []Rule
	for range 1 + d.IntN(9) {
		r := Rule{Hosts: d.some(2, "a.io", "b.a.io", "*.a.io", "*.b.a.io", "*.io"),
			Methods: d.some(3, "GET", "HEAD", "PUT", "POST"),
			Headers: d.conditions("H", "Accept"), Query: d.conditions("q", "r"),
			AllowSlash: d.IntN(3) == 0, AllowNUL: d.IntN(3) == 0}
		if d.dense {
			r.Hosts = d.some(1, "a.io")
		}
		for range 1 + d.IntN(3) {
			if p := d.pattern(); p != "" {
				r.Paths = append(r.Paths, p)
			}
		}
		if len(r.Paths) > 0 {
			list = append(list, r)
		}
	}
	return rules(list...)
}

func (d dice) request() *exchange.Exchange {
	path := ""
	for range d.IntN(6) {
		s := d.pick("a", "b", "a", "b", "c", "@")
		if d.IntN(8) == 0 {
			s = d.pick("%40", "x%2Fy", "%00", "%C3%A9")
		}
		path += "/" + s
	}
	path += d.pick("", "/")
	if path == "" {
		path = d.pick("*", "/")
	}
	query := url.Values{}
	for name, v := range d.conditions("q", "r") {
		query.Set(name, v)
	}
	x := request(d.pick("GET", "HEAD", "PUT", "FOO") + " " +
		d.pick("a.io", "b.a.io", "c.a.io", "x.b.a.io", "x.y.b.a.io", "c.io", "io", "other") + path + "?" + query.Encode())
	for name, v := range d.conditions("h", "accept") {
		x.Request.Add(name, v)
	}
	return x
}

// accepted takes rules out until Compile accepts the rest. What it says no
// request reaches is held against the reference.
func (d dice) accepted(t *testing.T, list []Rule) (*Table, []Rule) {
	for {
		table, problems := Compile(list)
		if len(problems) == 0 {
			return table, list
		}
		for _, p := range problems {
			if strings.Contains(p.What, "no request reaches") && len(problems) == 1 {
				d.checkUnreachable(t, list, p.Path)
			}
		}
		var index int
		if _, err := fmt.Sscanf(problems[0].Path, "routes[%d]", &index); err != nil {
			t.Fatal(problems)
		}
		list = rules(slices.DeleteFunc(list, func(r Rule) bool { return r.Index == index })...)
	}
}

// checkUnreachable gives the path a rule of its own name, which may then take
// no request.
func (d dice) checkUnreachable(t *testing.T, list []Rule, place string) {
	var i, j int
	if _, err := fmt.Sscanf(place, "routes[%d].path[%d]", &i, &j); err != nil {
		t.Fatal(place)
	}
	if len(list[i].Hosts) > 1 {
		return // the problem does not say which of them it is about
	}
	lost := list[i]
	lost.Name, lost.Paths = "lost", []string{list[i].Paths[j]}
	list = slices.Clone(list)
	list[i].Paths = slices.Delete(slices.Clone(list[i].Paths), j, j+1)
	list = append(list, lost)
	for range 200 {
		x := d.request()
		if Normalize(x) != nil {
			continue
		}
		if got := referenceMatch(t, list, x); strings.HasPrefix(got, "lost") {
			t.Fatalf("%s is said to be unreachable but takes %s %s%s", lost.Paths[0], x.Method, x.Host, x.Path)
		}
	}
}

// checkReachable makes for every host and path the request that is most its
// own, which it has to take: else Compile should have refused it.
func checkReachable(t *testing.T, list []Rule) {
	for i := range list {
		r := &list[i]
		hosts := r.Hosts
		if len(hosts) == 0 {
			hosts = []string{"zz"}
		}
		for _, host := range hosts {
			for _, p := range r.Paths {
				if !referenceReaches(t, list, r, minimalHost(host), p) {
					t.Fatalf("nothing reaches %s%s of %q", host, p, r.Name)
				}
			}
		}
	}
}

func referenceReaches(t *testing.T, list []Rule, r *Rule, host, p string) bool {
	path := minimalPath(p)
	rest := strings.HasSuffix(p, "/**")
	tails := []string{""}
	if rest {
		tails = []string{"", "/", "/zz", "/zz/", "/zz/zz", "/zz/zz/", "/zz/zz/zz/zz/zz/zz"}
	}
	methods := r.Methods
	if len(methods) == 0 {
		methods = []string{"OTHER"}
	}
	if slices.Contains(methods, "GET") {
		methods = append(slices.Clone(methods), "HEAD")
	}
	for _, tail := range tails {
		for _, m := range methods {
			if path+tail == "" {
				continue
			}
			if got := referenceMatch(t, list, minimalRequest(r, m, host, path+tail)); got == r.Name || strings.HasPrefix(got, r.Name+" ") {
				return true
			}
		}
	}
	return false
}

func minimalHost(pattern string) string { return strings.Replace(pattern, "*", "zz", 1) }

// minimalPath puts what no literal is in the place of values, and nothing in
// that of **.
func minimalPath(pattern string) string {
	pieces := strings.Split(strings.TrimSuffix(pattern, "/**"), "/")
	for i, s := range pieces {
		if strings.HasPrefix(s, "{") {
			pieces[i] = "zz"
		}
	}
	return strings.Join(pieces, "/")
}

// minimalRequest meets the conditions of a rule and no others.
func minimalRequest(r *Rule, method, host, path string) *exchange.Exchange {
	fresh := func(v string) string { return strings.Replace(v, "*", "zz", 1) }
	query := url.Values{}
	for name, v := range r.Query {
		query.Set(name, fresh(v))
	}
	x := request(method + " " + host + path + "?" + query.Encode())
	for name, v := range r.Headers {
		x.Request.Add(name, fresh(v))
	}
	x.Path = x.RawPath
	return x
}

// FuzzMatch holds Compile and Match against the reference.
func FuzzMatch(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		d := newDice(seed)
		table, list := d.accepted(t, d.rules())
		checkReachable(t, list)
		for range 50 {
			x := d.request()
			got := answer(table, list, x)
			if x.Path == "" {
				continue
			}
			if want := referenceMatch(t, list, x); got != want {
				t.Fatalf("%s %s%s?%s %v\ngot  %s\nwant %s\n%+v", x.Method, x.Host, x.Path, x.Query, x.Request.Fields(), got, want, list)
			}
		}
	})
}
