package apidocs

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/openapi"
	"yett/internal/openapi/source"
	"yett/internal/route"
	"yett/internal/snapshot"
)

// way is a path by which callers get to an operation of a service.
type way struct {
	route *snapshot.Route
	// path is the template under which callers reach it, shape is equal for all templates
	// that the same requests match.
	path, shape string
}

// tracer finds the ways to operations of services. What a way could be is guessed from what
// a route rewrites, and then tried out.
type tracer struct {
	snap *snapshot.Snapshot
	// entrances are the routes that are shown, by their service, in the order of the file.
	// hidden are those that are not.
	entrances, hidden map[string][]*entrance
	// asides say how a service that has no route of its own is asked all the same.
	asides map[string]absence
}

// absence is why an operation is not shown.
type absence struct {
	why string
	// hidden tells that it is not to be shown, astray that routes lead to the service, and
	// none of them by that path.
	hidden, astray bool
}

// entrance is a route with what is needed to try it out again and again.
type entrance struct {
	route    *snapshot.Route
	conf     config.Route
	patterns []*pattern
	x        *exchange.Exchange // meets the route's conditions
}

// pattern is a path of a route.
type pattern struct {
	text     string
	segments []string // without **
	spelt    []bool   // of each: it is a value, or may be spelt in another way
	rest     bool
	replace  *regexp.Regexp // what the service sees, where the route replaces the path
	names    []string       // of the values in that
}

func newTracer(s *snapshot.Snapshot) *tracer {
	t := &tracer{snap: s, entrances: make(map[string][]*entrance), hidden: make(map[string][]*entrance), asides: make(map[string]absence)}
	for _, r := range s.Routes() {
		c := r.Config()
		switch {
		case c.Service == "":
			continue
		case c.Docs == "hidden":
			t.hidden[c.Service] = append(t.hidden[c.Service], newEntrance(r))
		default:
			t.entrances[c.Service] = append(t.entrances[c.Service], newEntrance(r))
		}
		t.aside(c)
	}
	return t
}

// aside notes which services a route has beside its own.
func (t *tracer) aside(c config.Route) {
	if c.Mirror != nil {
		t.asides[c.Mirror.Service] = absence{why: fmt.Sprintf("it only gets copies of requests of the route %s", c.Name)}
	}
	if c.Split == nil {
		return
	}
	share := absence{why: fmt.Sprintf("it gets a share of the requests of the route %s, which is shown as %s has it", c.Name, c.Service)}
	if c.Docs == "hidden" {
		share = absence{why: fmt.Sprintf("it gets a share of the requests of the route %s, which has docs: hidden", c.Name), hidden: true}
	}
	for _, to := range c.Split.To {
		t.asides[to.Name] = share
	}
}

func newEntrance(r *snapshot.Route) *entrance {
	e := &entrance{route: r, conf: r.Config(), x: sampleRequest(r.Config())}
	for _, text := range e.conf.Path {
		p := &pattern{text: text}
		prefix, rest := strings.CutSuffix(text, "/**")
		p.rest, p.segments = rest, strings.Split(prefix, "/")
		for _, s := range p.segments {
			p.spelt = append(p.spelt, strings.ContainsAny(s, "{%") || !isASCII(s))
		}
		if to := e.conf.Forward.Replace; to != "" {
			p.replace, p.names = replaced(to)
		}
		e.patterns = append(e.patterns, p)
	}
	return e
}

// sampleRequest is a request that meets a route's conditions.
func sampleRequest(c config.Route) *exchange.Exchange {
	x := &exchange.Exchange{Host: "gateway.example"}
	if len(c.Host) > 0 {
		x.Host = strings.Replace(c.Host[0], "*", "sample", 1)
	}
	for _, name := range sortedKeys(c.Headers) {
		x.Request.Add(name, anyValue(c.Headers[name]))
	}
	query := make(url.Values)
	for name, value := range c.Query {
		query.Set(name, anyValue(value))
	}
	x.Query, x.HasQuery = query.Encode(), len(query) > 0
	return x
}

func anyValue(wanted string) string {
	if wanted == "*" {
		return "sample"
	}
	return wanted
}

// ways returns the ways to an operation of a service, in the order of the routes, or why
// there is none.
func (t *tracer) ways(service string, loaded *source.Loaded, o *openapi.Operation) (ways []way, why absence) {
	if o.Method == "TRACE" {
		return nil, absence{why: "TRACE passes no gateway"}
	}
	ways = t.waysBy(t.entrances[service], loaded, o)
	if len(ways) > 0 {
		return ways, absence{}
	}
	return nil, t.absent(service, loaded, o)
}

// absent says why no way is shown.
func (t *tracer) absent(service string, loaded *source.Loaded, o *openapi.Operation) absence {
	shown, hidden := t.entrances[service], t.hidden[service]
	if ways := t.waysBy(hidden, loaded, o); len(ways) > 0 {
		return absence{why: fmt.Sprintf("the route %s has docs: hidden", ways[0].route.Name), hidden: true}
	}
	if aside, ok := t.asides[service]; ok && len(shown) == 0 {
		return aside
	}
	fits := func(e *entrance) bool { return e.fits(o.Path) }
	return absence{
		why:    "no route leads to it",
		astray: len(shown)+len(hidden) > 0 && !slices.ContainsFunc(shown, fits) && !slices.ContainsFunc(hidden, fits),
	}
}

// otherPaths says that no route to a service sends the paths of its document, such as this one
// of n operations.
func (t *tracer) otherPaths(service, path string, n int) string {
	e := slices.Concat(t.entrances[service], t.hidden[service])[0]
	which, remedy := fmt.Sprintf("none of the %d operations of %s is reached", n, service), "forward.strip_prefix"
	if n == 1 {
		which = fmt.Sprintf("the one operation of %s is not reached", service)
	}
	if e.conf.Forward.Replace != "" {
		remedy = "forward.replace"
	}
	return fmt.Sprintf("%s: route %s sends %s, the document has %s: %s, or servers of the document?", which, e.route.Name, e.sends(), path, remedy)
}

// sends is what the service sees of the route's first path, for people.
func (e *entrance) sends() string {
	path := e.conf.Forward.Replace
	if path == "" {
		path = e.patterns[0].text
		if rest, ok := strings.CutPrefix(path, strings.TrimRight(e.conf.Forward.StripPrefix, "/")+"/"); ok {
			path = "/" + rest
		}
	}
	return strings.NewReplacer("{**}", "…", "**", "…").Replace(path)
}

// fits tells whether a path of the service is one that the route sends it, whoever else may
// take the request, and whatever its method.
func (e *entrance) fits(path string) bool {
	strip := strings.TrimRight(e.conf.Forward.StripPrefix, "/")
	return slices.ContainsFunc(e.patterns, func(p *pattern) bool {
		switch {
		case p.replace != nil:
			return p.mayTake(p.unreplace(path))
		case strip == "":
			return p.mayTake(path)
		}
		return p.mayTake(strip+path) || path == "/" && p.mayTake(strip) || p.mayTake(path) && !strings.HasPrefix(path+"/", strip+"/")
	})
}

// waysBy returns the ways to an operation by some routes.
func (t *tracer) waysBy(entrances []*entrance, loaded *source.Loaded, o *openapi.Operation) (ways []way) {
	for _, e := range entrances {
		for _, path := range e.candidates(o.Path) {
			key, ok := t.leads(e, loaded, o, path)
			if ok && !slices.ContainsFunc(ways, func(w way) bool { return w.shape == key }) {
				ways = append(ways, way{e.route, path, key})
			}
		}
	}
	return ways
}

// leads tells whether a request for the template gets to the route, and from there to the
// operation: nothing is shown which a more specific route would take, or which the service
// would take for another operation. It returns the template's shape.
func (t *tracer) leads(e *entrance, loaded *source.Loaded, o *openapi.Operation, path string) (key string, ok bool) {
	if key, ok = t.arrivesBy(e, o.Method, path); !ok {
		return "", false
	}
	there := &exchange.Exchange{RawPath: e.route.ServicePath(e.x)}
	if route.Normalize(there) != nil {
		return "", false
	}
	op, _ := loaded.Contract.Match(o.Method, there.Path)
	return key, op != nil && op.Node == o.Node && op.Path == o.Path
}

// arrives tells whether a request for the template gets to the route. It returns the
// template's shape.
func (t *tracer) arrives(r *snapshot.Route, method, path string) (key string, ok bool) {
	if method == "TRACE" {
		return "", false
	}
	return t.arrivesBy(&entrance{route: r, x: sampleRequest(r.Config())}, method, path)
}

func (t *tracer) arrivesBy(e *entrance, method, path string) (key string, ok bool) {
	if strings.ContainsAny(path, "?#") { // which would end the path of a request
		return "", false
	}
	e.x.Method, e.x.RawPath = method, fill(path)
	got, reason := t.snap.Match(e.x)
	if reason != nil || got != e.route || strings.Count(e.x.Path, "/") != strings.Count(path, "/") {
		return "", false // dot segments and doubled slashes are not what callers send
	}
	return samples.ReplaceAllString(e.x.Path, "{}"), true
}

// candidates returns the templates under which callers might reach a template of the
// service.
func (e *entrance) candidates(path string) (all []string) {
	strip := strings.TrimRight(e.conf.Forward.StripPrefix, "/")
	for _, p := range e.patterns {
		switch {
		case p.replace != nil:
			all = p.add(all, p.unreplace(path))
		case strip != "" && path == "/":
			all = p.add(all, strip)
			fallthrough
		case strip != "":
			all = p.add(all, strip+path)
			fallthrough
		default:
			all = p.add(all, path)
		}
	}
	return all
}

// add adds a template as far as the pattern takes it: where the pattern has a literal and the
// template a value, only that literal gets through.
func (p *pattern) add(all []string, template string) []string {
	if !p.mayTake(template) {
		return all
	}
	segments := strings.Split(template, "/")
	for i, own := range p.segments {
		if !strings.Contains(own, "{") && own != segments[i] && wholeValue.MatchString(segments[i]) {
			segments[i] = own
		}
	}
	if narrowed := strings.Join(segments, "/"); !slices.Contains(all, narrowed) {
		all = append(all, narrowed)
	}
	return all
}

// mayTake sorts out what a pattern can't take, for little: each operation is held against each
// route of its service.
func (p *pattern) mayTake(template string) bool {
	if template == "" {
		return false
	}
	rest, more := template, true
	for i, own := range p.segments {
		if !more {
			return false
		}
		var s string
		s, rest, more = strings.Cut(rest, "/")
		if own != s && !p.spelt[i] && !strings.ContainsAny(s, "{%") && isASCII(s) {
			return false // spelling can't make these the same
		}
	}
	return !more || p.rest
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// replaced makes an expression of what a route puts in place of the path. It finds what the
// values in it are.
func replaced(replace string) (expr *regexp.Regexp, names []string) {
	text, last := "^", 0
	for _, at := range braces.FindAllStringIndex(replace, -1) {
		text += regexp.QuoteMeta(replace[last:at[0]])
		name := replace[at[0]+1 : at[1]-1]
		if name == "**" {
			text += "(.*)"
		} else {
			text += "([^/]+)"
		}
		names, last = append(names, name), at[1]
	}
	return regexp.MustCompile(text + regexp.QuoteMeta(replace[last:]) + "$"), names
}

// unreplace returns the path under which callers reach a template of the service, "" for none.
func (p *pattern) unreplace(path string) string {
	found := p.replace.FindStringSubmatch(path)
	if found == nil {
		return ""
	}
	values := make(map[string]string)
	for i, name := range p.names {
		values["{"+name+"}"] = found[i+1]
	}
	return p.apart(values, path)
}

// apart fills values into a pattern. Those that the service does not see get other names where
// its template has a value of the same name.
func (p *pattern) apart(values map[string]string, path string) string {
	public := braces.ReplaceAllStringFunc(strings.Join(p.segments, "/"), func(value string) string {
		if own, passed := values[value]; passed {
			return own
		}
		name := value[1 : len(value)-1]
		for n := 2; strings.Contains(path, value) || n > 2 && strings.Contains(p.text, value); n++ {
			value = "{" + name + strconv.Itoa(n) + "}"
		}
		return value
	})
	if rest, passed := values["{**}"]; passed {
		return public + "/" + rest
	}
	return public
}

var (
	// braces finds the values of a template.
	braces     = regexp.MustCompile(`\{[^{}/]*\}`)
	wholeValue = regexp.MustCompile(`^\{[^{}/]*\}$`)
)

// valuesOf are the names of the values of a template.
func valuesOf(template string) (names []string) {
	for _, value := range braces.FindAllString(template, -1) {
		names = append(names, value[1:len(value)-1])
	}
	return names
}

// odd is what a value of a sample must not have.
var odd = regexp.MustCompile(`[^A-Za-z0-9]`)

// fill puts something into each value of a template that no literal is likely to be, and that
// is another one for each name.
func fill(template string) string {
	return braces.ReplaceAllStringFunc(template, func(value string) string {
		return "0!" + odd.ReplaceAllString(value[1:len(value)-1], "-") + "!0"
	})
}

// samples finds what fill has put in.
var samples = regexp.MustCompile(`0![A-Za-z0-9-]*!0`)
