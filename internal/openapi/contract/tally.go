package contract

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Tally counts what came of calls of one operation, since the process runs. It outlives the
// document: see Contract.Inherit.
type Tally struct {
	Calls, BadRequests, BadAnswers atomic.Int64
	// Unchecked are requests, UncheckedAnswers answers, whose bodies were too large to look at,
	// or of unknown length.
	Unchecked, UncheckedAnswers atomic.Int64
}

// Inherit goes on with the counts of an older edition of the document, which may be nil.
// Operations are the same when method and path are. It is called before anybody uses the
// contract.
func (c *Contract) Inherit(old *Contract) {
	if old == nil {
		return
	}
	c.Unknown = old.Unknown
	tallies := make(map[[2]string]*Tally, len(old.operations))
	for _, o := range old.operations {
		tallies[[2]string{o.Method, o.Path}] = o.Tally
	}
	for _, o := range c.operations {
		if t := tallies[[2]string{o.Method, o.Path}]; t != nil {
			o.Tally = t
		}
	}
}

// Allowed returns the methods that the document has for a path, HEAD where it has GET.
func (c *Contract) Allowed(path string) (methods []string) {
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
		if op, _ := c.Match(m, path); op != nil {
			methods = append(methods, m)
		}
	}
	return methods
}

const (
	// mostUnknown is how many kinds of calls are told apart that a document does not know.
	mostUnknown = 200
	// longestUnknown is how long a path is shown, in bytes.
	longestUnknown = 256
)

// Unknown counts calls that a document does not know. Paths that differ only in what looks
// like an identifier are one; of those that come when there are many already, only the
// number is kept.
type Unknown struct {
	mu    sync.Mutex
	calls map[UnknownCall]int64
	more  int64
}

// UnknownCall is a kind of calls. Path has {} where paths have had identifiers.
type UnknownCall struct{ Method, Path string }

// Add counts a call.
func (u *Unknown) Add(method, path string) {
	call := UnknownCall{method, likeness(path)}
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.calls[call]; !known && len(u.calls) >= mostUnknown {
		u.more++
		return
	}
	if u.calls == nil {
		u.calls = make(map[UnknownCall]int64)
	}
	call.Method = strings.Clone(call.Method) // it is a view
	u.calls[call]++
}

// UnknownCount is how often a kind of calls came.
type UnknownCount struct {
	UnknownCall
	Calls int64
}

// List returns the kinds of calls, the most frequent first, and the number of calls of
// which no more is known.
func (u *Unknown) List() (all []UnknownCount, more int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for call, n := range u.calls {
		all = append(all, UnknownCount{call, n})
	}
	slices.SortFunc(all, func(a, b UnknownCount) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	return all, u.more
}

// likeness is a path with {} for each segment that looks like an identifier. It is a text of
// its own.
func likeness(path string) string {
	if len(path) > longestUnknown {
		path = path[:longestUnknown] + "..."
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if identifies(s) {
			segments[i] = "{}"
		}
	}
	return strings.Join(segments, "/")
}

// identifies tells whether a segment looks like an identifier: a number, a UUID, a hash, or
// any other text with more digits than words have.
func identifies(segment string) bool {
	digits, letters := 0, 0
	for i := range len(segment) {
		switch c := segment[i]; {
		case '0' <= c && c <= '9':
			digits++
		case c == '%' || c == '@':
			return true
		default:
			letters++
		}
	}
	return digits > 0 && (letters == 0 || digits > 2 || len(segment) > 24)
}
