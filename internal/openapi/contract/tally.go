package contract

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"yett/internal/exchange"
)

// Tally counts what came of calls of one operation, since the process runs. It outlives the
// document: see Contract.Inherit.
type Tally struct {
	Calls, BadRequests, BadAnswers atomic.Int64
	// Unchecked are requests whose bodies should have been looked at, and were too large,
	// compressed, or broke off. UncheckedAnswers are such answers, those of unknown length too.
	Unchecked, UncheckedAnswers atomic.Int64
}

// Inherit goes on with the counts of an older edition of the document, which may be nil, also
// while that is still in use. Operations are the same when method and path are; calls that
// only the older one does not know are no longer among the unknown. It is called before anybody uses the
// contract.
func (c *Contract) Inherit(old *Contract) {
	if old == nil {
		return
	}
	c.Unknown = old.Unknown
	c.Unknown.forget(c)
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

// Allowed returns the methods that the document has for a path, HEAD where it has GET. The path
// is one that Match takes.
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
	// longestPath and longestMethod are how much of a path and a method is kept, in bytes.
	longestPath, longestMethod = 256, 32
)

// Unknown counts calls that a document does not know. Paths that differ only in what looks
// like an identifier are one; of those that come when there are many already, only the
// number is kept. The zero Unknown is ready, and may be used by many at the same time.
type Unknown struct {
	mu    sync.RWMutex
	calls map[UnknownCall]*atomic.Int64
	more  atomic.Int64
}

// UnknownCall is a kind of calls. Path has {} where paths have had identifiers.
type UnknownCall struct{ Method, Path string }

// Add counts a call. It keeps neither text, and allocates nothing for kinds that it has
// counted before.
func (u *Unknown) Add(method, path string) {
	var room [2 * longestPath]byte
	call := UnknownCall{method[:min(len(method), longestMethod)], exchange.View(appendLikeness(room[:0], path))}
	u.mu.RLock()
	n, full := u.calls[call], len(u.calls) >= mostUnknown
	u.mu.RUnlock()
	switch {
	case n != nil:
		n.Add(1)
	case full:
		u.more.Add(1)
	default:
		u.begin(UnknownCall{strings.Clone(call.Method), strings.Clone(call.Path)})
	}
}

// begin counts a call of a kind that may be new.
func (u *Unknown) begin(call UnknownCall) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := u.calls[call]
	switch {
	case n == nil && len(u.calls) >= mostUnknown:
		u.more.Add(1)
		return
	case n == nil:
		if u.calls == nil {
			u.calls = make(map[UnknownCall]*atomic.Int64)
		}
		n = new(atomic.Int64)
		u.calls[call] = n
	}
	n.Add(1)
}

// forget removes the kinds of calls that a document knows.
func (u *Unknown) forget(c *Contract) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for call := range u.calls {
		if op, _ := c.Match(call.Method, call.Path); op != nil {
			delete(u.calls, call)
		}
	}
}

// UnknownCount is how often a kind of calls came.
type UnknownCount struct {
	UnknownCall
	Calls int64
}

// List returns the kinds of calls, the most frequent first, and the number of calls of
// which no more is known.
func (u *Unknown) List() (all []UnknownCount, more int64) {
	u.mu.RLock()
	for call, n := range u.calls {
		all = append(all, UnknownCount{call, n.Load()})
	}
	u.mu.RUnlock()
	slices.SortFunc(all, func(a, b UnknownCount) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	return all, u.more.Load()
}

// appendLikeness appends a path, which is in normal form, with {} for each segment that looks
// like an identifier.
func appendLikeness(b []byte, path string) []byte {
	rest := path[:min(len(path), longestPath)]
	for more := true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if identifies(segment) {
			segment = "{}"
		}
		b = append(b, segment...)
		if more {
			b = append(b, '/')
		}
	}
	if len(path) > longestPath {
		b = append(b, "..."...)
	}
	return b
}

// longestWord is how long a word may be in a path, in bytes, to be taken for one.
const longestWord = 24

// identifies tells whether a segment looks like an identifier: a number, a UUID, a hash, or
// any other text with more digits, or more letters in a row, than words have.
func identifies(segment string) bool {
	digits, row, most := 0, 0, 0
	for i := range len(segment) {
		switch c := segment[i]; {
		case c == '%' || c == '@':
			return true
		case c == '-' || c == '_' || c == '.':
			row = 0
			continue
		case '0' <= c && c <= '9':
			digits++
		}
		row++
		most = max(most, row)
	}
	return most > longestWord || digits > 0 && (digits == len(segment) || digits > 2 || len(segment) > longestWord)
}
