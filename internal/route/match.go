package route

import (
	"strings"

	"yett/internal/exchange"
)

// Table finds the rule of a request. It never changes, so any number of
// goroutines may use it.
type Table struct {
	exact   map[string]*site // by host
	below   map[string]*site // wildcards, by what follows "*."
	longest int              // length of the longest key of below
	any     *site
	methods []string // sorted; the bit of a method is its position
	spots   []*spot  // the most specific first
}

// site holds the entries of one host pattern. Paths without wildcards, which
// come before all others, are found whole; the rest is a tree of segments.
type site struct {
	static  map[string][]entry
	lengths uint64 // of paths in static: the bit length%64 for each
	root    node
}

// node is a place between two segments. Each list of entries is in the order
// in which they are tried.
type node struct {
	only     edge             // the literal, when there is but one
	literals map[string]*node // all of them, when there are more
	value    *node
	end      []entry // the path ends here
	rest     []entry // ** begins here
}

type edge struct {
	text string
	to   *node
}

func newTable(methods []string, spots []*spot) *Table {
	t := &Table{exact: map[string]*site{}, below: map[string]*site{}, any: newSite(), methods: methods, spots: spots}
	for _, s := range spots {
		t.site(s.host).add(s)
	}
	return t
}

func newSite() *site { return &site{static: map[string][]entry{}} }

func (t *Table) site(host string) *site {
	if host == "" {
		return t.any
	}
	sites := t.exact
	if suffix, ok := strings.CutPrefix(host, "*."); ok {
		sites, host, t.longest = t.below, suffix, max(t.longest, len(suffix))
	}
	if sites[host] == nil {
		sites[host] = newSite()
	}
	return sites[host]
}

func (s *site) add(sp *spot) {
	if sp.path.literal() {
		s.static[sp.shape] = append(s.static[sp.shape], sp.entry)
		s.lengths |= 1 << (len(sp.shape) % 64)
		return
	}
	n := &s.root
	for _, seg := range sp.path.segments {
		n = n.child(seg)
	}
	if sp.path.rest {
		n.rest = append(n.rest, sp.entry)
	} else {
		n.end = append(n.end, sp.entry)
	}
}

// child returns the node behind a segment and makes it if need be.
func (n *node) child(seg segment) *node {
	if seg.value {
		if n.value == nil {
			n.value = &node{}
		}
		return n.value
	}
	if to := n.literal(seg.text); to != nil {
		return to
	}
	to := &node{}
	switch {
	case n.literals != nil:
		n.literals[seg.text] = to
	case n.only.to != nil:
		n.literals = map[string]*node{n.only.text: n.only.to, seg.text: to}
		n.only = edge{}
	default:
		n.only = edge{seg.text, to}
	}
	return to
}

// literal returns the node behind a literal, nil if there is none. Comparing
// one string is a good deal cheaper than asking a map.
func (n *node) literal(text string) *node {
	if n.literals != nil {
		return n.literals[text]
	}
	if n.only.text == text {
		return n.only.to
	}
	return nil
}

// Rows lists every host and path of every rule, the most specific first: of
// two rows that fit a request, the upper one takes it. The list is the
// caller's.
func (t *Table) Rows() []Row {
	rows := make([]Row, len(t.spots))
	for i, s := range t.spots {
		rows[i] = s.row()
	}
	return rows
}

// Result is what Match found: the Index of the rule, or why there is none.
type Result struct {
	// Index is the Index of the Rule that takes the request, -1 if none does.
	Index int
	// Reason is nil, NoRoute, MethodNotAllowed or BadPath.
	Reason *exchange.Reason
}

// Match finds the rule of a request after Normalize. It reads Host, Path,
// Method, Request and Query, and sets the path values: percent-decoded, and as
// "**" what stood for ** without its leading slash and not decoded. It sets
// Allow when the answer is MethodNotAllowed.
//
// A path with %2F or %00 is BadPath unless the most specific rule that fits
// allows it.
func (t *Table) Match(x *exchange.Exchange) Result {
	x.ResetParams()
	x.Allow = ""
	s := search{x: x, path: matchForm(x, x.Path), method: methodBit(t.methods, x.Method)}
	e := t.find(&s)
	switch {
	case e != nil && e.permits(x):
		s.addParams(e)
		return Result{Index: e.index}
	case e != nil:
		return Result{-1, exchange.BadPath}
	case s.allow != 0:
		x.Allow = t.allow(x, s.allow)
		return Result{-1, exchange.MethodNotAllowed}
	case x.EncodedSlash || x.EncodedNUL:
		return Result{-1, exchange.BadPath}
	default:
		return Result{-1, exchange.NoRoute}
	}
}

func (e *entry) permits(x *exchange.Exchange) bool {
	return (e.slash || !x.EncodedSlash) && (e.nul || !x.EncodedNUL)
}

// allow returns the names of a set of methods as the Allow field lists them
// (RFC 9110 section 10.2.1).
func (t *Table) allow(x *exchange.Exchange, set uint64) string {
	size := 0
	for _, m := range t.methods {
		size += len(m) + len(", ")
	}
	list := x.Bytes(size)[:0]
	for i, m := range t.methods {
		if set>>i&1 == 0 {
			continue
		}
		if len(list) > 0 {
			list = append(list, ", "...)
		}
		list = append(list, m...)
	}
	return exchange.View(list)
}

// search is one walk through the table.
type search struct {
	x      *exchange.Exchange
	path   string // in match form
	method uint64
	allow  uint64                     // methods of the entries that fit but for the method
	values [exchange.MaxParams]string // of the segments between root and node
	rest   int                        // where in path ** began
}

func (t *Table) find(s *search) *entry {
	host := s.x.Host
	if site := t.exact[host]; site != nil {
		if e := site.find(s); e != nil {
			return e
		}
	}
	if e := t.findBelow(s, host); e != nil {
		return e
	}
	return t.any.find(s)
}

// findBelow tries the wildcards, the longest first. What no wildcard is long
// enough for is not looked up, so a long Host costs nothing.
func (t *Table) findBelow(s *search, host string) *entry {
	if len(t.below) == 0 {
		return nil
	}
	for i := max(1, len(host)-t.longest-1); i < len(host); i++ {
		if host[i] != '.' {
			continue
		}
		if site := t.below[host[i+1:]]; site != nil {
			if e := site.find(s); e != nil {
				return e
			}
		}
	}
	return nil
}

func (t *site) find(s *search) *entry {
	if t.lengths>>(len(s.path)%64)&1 == 1 {
		if e := s.pick(t.static[s.path]); e != nil {
			return e
		}
	}
	if !strings.HasPrefix(s.path, "/") {
		return nil
	}
	return s.visit(&t.root, 1, 0)
}

// visit finds the entry for the path from position at on, which is the start
// of a segment, or beyond the end when there is none. Alternatives are tried
// in the order of the package comment. A node has one parent and is visited
// through it alone, so one search visits each node at most once.
func (s *search) visit(n *node, at, nvalues int) *entry {
	if at > len(s.path) {
		if e := s.pick(n.end); e != nil {
			return e
		}
		return s.pickRest(n, at)
	}
	if n.only.to == nil && n.literals == nil && n.value == nil {
		return s.pickRest(n, at)
	}
	end := len(s.path)
	if i := strings.IndexByte(s.path[at:], '/'); i >= 0 {
		end = at + i
	}
	if child := n.literal(s.path[at:end]); child != nil {
		if e := s.visit(child, end+1, nvalues); e != nil {
			return e
		}
	}
	if n.value != nil && at < end {
		s.values[nvalues] = s.path[at:end]
		if e := s.visit(n.value, end+1, nvalues+1); e != nil {
			return e
		}
	}
	return s.pickRest(n, at)
}

func (s *search) pickRest(n *node, at int) *entry {
	e := s.pick(n.rest)
	if e != nil {
		s.rest = at
	}
	return e
}

// pick returns the first entry that fits, and notes the methods of those that
// would fit with another method.
func (s *search) pick(entries []entry) *entry {
	for i := range entries {
		e := &entries[i]
		switch {
		case !s.fits(e.conditions):
		case e.methods&s.method != 0:
			return e
		case e.permits(s.x):
			s.allow |= e.methods
		}
	}
	return nil
}

func (s *search) fits(conditions []condition) bool {
	for i := range conditions {
		if !conditions[i].holds(s.x) {
			return false
		}
	}
	return true
}

func (s *search) addParams(e *entry) {
	for i, name := range e.names {
		if name == restName {
			s.x.AddParam(name, s.remainder())
			continue
		}
		s.x.AddParam(name, unescape(s.x, s.values[i]))
	}
}

// remainder returns what stood for **, as it is in the path.
func (s *search) remainder() string {
	switch {
	case s.rest > len(s.path):
		return ""
	case len(s.path) == len(s.x.Path): // nothing had to be decoded
		return s.x.Path[s.rest:]
	}
	return afterSlashes(s.x.Path, strings.Count(s.path[:s.rest], "/"))
}

// afterSlashes returns what follows the nth slash of a path.
func afterSlashes(path string, n int) string {
	for ; n > 0; n-- {
		path = path[strings.IndexByte(path, '/')+1:]
	}
	return path
}
