package contract

import (
	"cmp"
	"slices"
	"strings"
)

// Places of methods in a segmentNode.
const (
	methodGET = iota
	methodPUT
	methodPOST
	methodDELETE
	methodOPTIONS
	methodHEAD
	methodPATCH
	methodTRACE
	methodOther // has no operations
	methodCount
)

func methodIndex(method string) int {
	switch method {
	case "GET":
		return methodGET
	case "PUT":
		return methodPUT
	case "POST":
		return methodPOST
	case "DELETE":
		return methodDELETE
	case "OPTIONS":
		return methodOPTIONS
	case "HEAD":
		return methodHEAD
	case "PATCH":
		return methodPATCH
	case "TRACE":
		return methodTRACE
	}
	return methodOther
}

// segmentNode is a place in the tree of all paths, one level for each segment. Names of
// templates are no part of it, so that paths may name the same segment differently.
type segmentNode struct {
	literal map[string]*segmentNode
	// mixed are segments with both, such as "{name}.json", those with more text first.
	mixed []mixedNode
	whole *segmentNode // "{name}"
	leaf  *[methodCount]*Operation
}

type mixedNode struct {
	segment *segment
	below   *segmentNode
}

// segment is one of a template: texts and names take turns, beginning and ending with a
// text, which may be empty.
type segment struct {
	texts []string
	names []string
}

func (s *segment) isWhole() bool { return len(s.names) == 1 && s.texts[0] == "" && s.texts[1] == "" }

func (s *segment) size() (n int) {
	for _, t := range s.texts {
		n += len(t)
	}
	return n
}

// next takes the value of name number i off the front of what is left of a segment. No
// value is empty.
func (s *segment) next(i int, rest string) (value, after string, ok bool) {
	text := s.texts[i+1]
	at := 0
	switch {
	case i == len(s.names)-1:
		at = len(rest) - len(text)
		if at < 1 || rest[at:] != text {
			return "", "", false
		}
	default:
		if len(rest) < 1 {
			return "", "", false
		}
		if at = 1 + strings.Index(rest[1:], text); at < 1 {
			return "", "", false
		}
	}
	return rest[:at], rest[at+len(text):], true
}

// matches tells whether a segment of a path fits.
func (s *segment) matches(path string) bool {
	rest, ok := strings.CutPrefix(path, s.texts[0])
	for i := 0; ok && i < len(s.names); i++ {
		_, rest, ok = s.next(i, rest)
	}
	return ok && rest == ""
}

// splitTemplate reads a template. what is why it can't be used.
func splitTemplate(path string) (segments []segment, names []string, what string) {
	if path == "" || path[0] != '/' {
		return nil, nil, "a path begins with a slash"
	}
	if strings.ContainsAny(path, "?#") {
		return nil, nil, "a path has neither a query nor a fragment"
	}
	for text := range strings.SplitSeq(path[1:], "/") {
		s, ok := splitSegment(text)
		if !ok {
			return nil, nil, "the braces of a path take turns, with a name between them, and something between two names"
		}
		segments = append(segments, s)
		names = append(names, s.names...)
	}
	if hasTwins(names) {
		return nil, nil, "a path has each name once"
	}
	if len(names) > maxPathNames {
		return nil, nil, "a path has too many names"
	}
	return segments, names, ""
}

// maxPathNames is how many names a path can have.
const maxPathNames = 16

func splitSegment(text string) (s segment, ok bool) {
	for {
		before, rest, found := strings.Cut(text, "{")
		if strings.Contains(before, "}") || found && len(s.names) > 0 && before == "" {
			return s, false
		}
		s.texts = append(s.texts, normalText(before))
		if !found {
			return s, true
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || name == "" || strings.Contains(name, "{") {
			return s, false
		}
		s.names = append(s.names, name)
		text = after
	}
}

// normalText writes text of a path in the normal form of package route: what means the same
// with and without percent-encoding has none, and the rest is in upper case.
func normalText(s string) string {
	const upper = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c, encoded := s[i], false
		if c == '%' && i+2 < len(s) {
			high, ok1 := hexDigit(s[i+1])
			low, ok2 := hexDigit(s[i+2])
			if ok1 && ok2 {
				c, encoded = high<<4|low, true
				i += 2
			}
		}
		if isUnreserved(c) || !encoded && strings.IndexByte("!$&'()*+,;=:@", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', upper[c>>4], upper[c&15]})
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// add puts an operation into the tree. It returns the one that is there already.
func (n *segmentNode) add(o *Operation) *Operation {
	for i := range o.segments {
		n = n.child(&o.segments[i])
	}
	if n.leaf == nil {
		n.leaf = new([methodCount]*Operation)
	}
	at := &n.leaf[methodIndex(o.Method)]
	if *at == nil {
		*at = o
		return nil
	}
	return *at
}

func (n *segmentNode) child(s *segment) *segmentNode {
	switch {
	case s.isWhole():
		if n.whole == nil {
			n.whole = new(segmentNode)
		}
		return n.whole
	case len(s.names) > 0:
		return n.mixedChild(s)
	}
	below := n.literal[s.texts[0]]
	if below == nil {
		if n.literal == nil {
			n.literal = make(map[string]*segmentNode)
		}
		below = new(segmentNode)
		n.literal[s.texts[0]] = below
	}
	return below
}

func (n *segmentNode) mixedChild(s *segment) *segmentNode {
	for _, m := range n.mixed {
		if slices.Equal(m.segment.texts, s.texts) {
			return m.below
		}
	}
	below := new(segmentNode)
	n.mixed = append(n.mixed, mixedNode{s, below})
	slices.SortStableFunc(n.mixed, func(a, b mixedNode) int { return cmp.Compare(b.segment.size(), a.segment.size()) })
	return below
}

// match goes down the tree: text before names, and back up where that leads nowhere. known
// becomes true where the path is there.
func (n *segmentNode) match(path string, method int, known *bool) *Operation {
	if path == "" {
		if n.leaf == nil {
			return nil
		}
		*known = true
		return n.leaf[method]
	}
	text, rest := path[1:], ""
	if i := strings.IndexByte(text, '/'); i >= 0 {
		text, rest = text[:i], text[i:]
	}
	if below := n.literal[text]; below != nil {
		if o := below.match(rest, method, known); o != nil {
			return o
		}
	}
	for i := range n.mixed {
		if n.mixed[i].segment.matches(text) {
			if o := n.mixed[i].below.match(rest, method, known); o != nil {
				return o
			}
		}
	}
	if n.whole != nil && text != "" {
		return n.whole.match(rest, method, known)
	}
	return nil
}

// pathValues takes the values of all names out of a path, in order. ok is false where the
// path is not the operation's.
func (o *Operation) pathValues(path string, values *[maxPathNames]string) (ok bool) {
	n := 0
	for i := range o.segments {
		if path == "" {
			return false
		}
		text, rest := path[1:], ""
		if at := strings.IndexByte(text, '/'); at >= 0 {
			text, rest = text[:at], text[at:]
		}
		path = rest
		s := &o.segments[i]
		if text, ok = strings.CutPrefix(text, s.texts[0]); !ok {
			return false
		}
		for j := range s.names {
			if values[n], text, ok = s.next(j, text); !ok {
				return false
			}
			n++
		}
	}
	return path == ""
}
