package breaker

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"yett/internal/store"
)

// Set is the name of the set in which nodes tell each other of transitions.
const Set = "breakers"

// kind is what a notice is about.
type kind string

// The kinds of notices. The last three are manual.
const (
	tripped    kind = "tripped"
	closed     kind = "closed"
	heldOpen   kind = "held-open"
	heldClosed kind = "held-closed"
	reset      kind = "reset"
)

// notice is what a node tells the others. Times are in milliseconds since 1970.
type notice struct {
	service string
	kind    kind
	at      int64
	until   int64 // of tripped, and of a hold that has an end; 0 otherwise
	node    string
	cause   string
}

const (
	// version begins each member. What a later version writes is not for this one.
	version = "1"
	// maxText is how long a text in a notice may be, in bytes.
	maxText = 300
	// maxTime is the latest time that can be told, in the year 9999.
	maxTime = 253_402_300_799_999
)

// member returns the notice as it stands in the store: seven words, the texts quoted.
func (n *notice) member() string {
	b := make([]byte, 0, 128)
	b = append(b, version+" "...)
	b = append(b, n.kind...)
	b = strconv.AppendInt(append(b, ' '), n.at, 10)
	b = strconv.AppendInt(append(b, ' '), n.until, 10)
	for _, text := range []string{n.service, n.node, n.cause} {
		b = strconv.AppendQuote(append(b, ' '), text)
	}
	return string(b)
}

// parse is the inverse of member. It takes nothing that member would not write, as
// anybody may have put it there.
func parse(member string) (n notice, ok bool) {
	if len(member) > 4*maxText {
		return n, false
	}
	words := strings.SplitN(member, " ", 5)
	if len(words) != 5 || words[0] != version {
		return n, false
	}
	at, errAt := strconv.ParseInt(words[2], 10, 64)
	until, errUntil := strconv.ParseInt(words[3], 10, 64)
	n = notice{kind: kind(words[1]), at: at, until: until}
	rest := words[4]
	for _, to := range []*string{&n.service, &n.node, &n.cause} {
		if *to, rest, ok = unquote(rest); !ok {
			return n, false
		}
	}
	ok = errAt == nil && errUntil == nil && n.service != "" && n.node != "" && n.timely() && n.member() == member
	return n, ok
}

// unquote takes a quoted text off s, and the space behind it.
func unquote(s string) (text, rest string, ok bool) {
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", false
	}
	text, err = strconv.Unquote(quoted)
	rest = strings.TrimPrefix(s[len(quoted):], " ")
	return text, rest, err == nil && tellable(text)
}

// tellable tells whether a text may be in a notice: it comes into logs and pages.
func tellable(text string) bool {
	return len(text) <= maxText && utf8.ValidString(text) && strings.IndexFunc(text, unprintable) < 0
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// shortened returns a text as one that may be in a notice.
func shortened(text string) string {
	text = strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "")
}

// timely tells whether the times of a notice make sense for its kind.
func (n *notice) timely() bool {
	if n.at <= 0 || n.at > maxTime || n.until < 0 || n.until > maxTime {
		return false
	}
	switch n.kind {
	case tripped:
		return n.until > 0
	case heldOpen, heldClosed:
		return true
	case closed, reset:
		return n.until == 0
	}
	return false
}

func (n *notice) manual() bool { return n.kind != tripped && n.kind != closed }

func (n *notice) hold() bool { return n.kind == heldOpen || n.kind == heldClosed }

// after tells whether n is the later one. Of two at the same time that is the one whose
// node has the greater name, and whose text is greater, so that all nodes agree.
func (n *notice) after(o *notice) bool {
	switch {
	case o == nil:
		return true
	case n.at != o.at:
		return n.at > o.at
	case n.node != o.node:
		return n.node > o.node
	}
	return n.member() > o.member()
}

// holds tells whether what the notice says still is so at a time. That something has
// closed is so until it is told otherwise.
func (n *notice) holds(now int64) bool {
	switch n.kind {
	case tripped:
		return n.until > now
	case heldOpen, heldClosed:
		return n.until == 0 || n.until > now
	}
	return true
}

// within returns a number of milliseconds as a duration.
func within(ms int64) time.Duration {
	return time.Duration(min(ms, longest.Milliseconds())) * time.Millisecond
}

// told is a notice that this node knows.
type told struct {
	notice
	// end is when it leaves the set.
	end int64
	// pass is in which pass the store has told it last, 0 for never.
	pass uint64
}

func (t *told) entry() store.Entry {
	return store.Entry{Member: t.member(), Until: time.UnixMilli(t.end)}
}

const (
	// kept is how long that something has closed stays in the set, at least.
	kept = store.Skew
	// farthest is how long anything stays there without being added again, and refresh
	// what is left of that when it is.
	farthest = 30 * 24 * time.Hour
	refresh  = 15 * 24 * time.Hour
)

// ownEnd is when a notice may leave the set, were there no older ones.
func (n *notice) ownEnd(now int64) int64 {
	most := now + farthest.Milliseconds()
	switch {
	case n.until > 0:
		return min(n.until, most)
	case n.hold():
		return most
	}
	return now + kept.Milliseconds()
}

// topic is what nodes have told of a service. Manual notices and others are kept apart:
// what a breaker does by itself ends no hold of which it has not heard as yet. It is
// guarded by the Board's mutex.
type topic struct {
	breaker      *Breaker // nil while nobody has joined
	auto, manual *told
	// done is the notice that the breaker follows, or has made.
	done *told
}

// put notes a notice unless a later one of its sort is known. One that is known already
// is the same with the later end.
func (t *topic) put(n notice, end int64, pass uint64) *told {
	place := &t.auto
	if n.manual() {
		place = &t.manual
	}
	old := *place
	if old != nil && old.notice == n {
		old.end, old.pass = max(old.end, end), pass
		return old
	}
	if old != nil && !n.after(&old.notice) {
		return nil
	}
	*place = &told{n, end, pass}
	return *place
}

// latest returns the notice that decides: a hold, or what has come after the last manual
// one and the end of that, or the manual one. It may be nil.
func (t *topic) latest(now int64) *told {
	switch {
	case t.manual == nil:
		return t.auto
	case t.auto == nil || t.manual.hold() && t.manual.holds(now):
		return t.manual
	case t.auto.after(&t.manual.notice) && t.auto.at >= t.manual.until:
		return t.auto
	}
	return t.manual
}

// standing returns the notices that others have to know: the last manual one, which may
// end a hold there, and what has come after it. Either may be nil.
func (t *topic) standing(now int64) [2]*told {
	if latest := t.latest(now); latest != t.manual {
		return [2]*told{t.manual, latest}
	}
	return [2]*told{t.manual}
}

// lastEnd is when the last of all notices that are known leaves the set.
func (t *topic) lastEnd() (end int64) {
	for _, n := range []*told{t.auto, t.manual} {
		if n != nil {
			end = max(end, n.end)
		}
	}
	return end
}

// lastAt is the time of the latest notice.
func (t *topic) lastAt() (at int64) {
	for _, n := range []*told{t.auto, t.manual} {
		if n != nil {
			at = max(at, n.at)
		}
	}
	return at
}
