package revocation

import (
	"strconv"
	"strings"
	"time"

	"yett/internal/store"
)

// Set is the name of the list in the store.
const Set = "revocations"

// Slack is how long an entry is kept behind the end of its tokens: a token may
// pass for some minutes longer, as the issuer's leeway says, and clocks
// differ.
const Slack = 10 * time.Minute

// Kind is what an entry goes by.
type Kind string

// The kinds of entries.
const (
	ByID      Kind = "jti"
	BySum     Kind = "token_sha256"
	BySubject Kind = "subject"
)

// Entry revokes tokens.
type Entry struct {
	Kind Kind
	// ID is the jti for ByID, and the subject for BySubject.
	ID string
	// Sum is the SHA-256 of the token for BySum.
	Sum [32]byte
	// Before is for BySubject: tokens issued before it are revoked, and those
	// that don't say when. It counts in whole milliseconds.
	Before time.Time
	// Expires is when the last of the tokens ends by itself.
	Expires time.Time
}

// stored returns the entry as it stands in the store: a letter for the kind,
// and what identifies the entry.
func (e Entry) stored() store.Entry {
	until := e.Expires.Add(Slack)
	switch e.Kind {
	case BySum:
		return store.Entry{Member: "h:" + string(e.Sum[:]), Until: until}
	case BySubject:
		return store.Entry{Member: "s:" + strconv.FormatInt(e.Before.UnixMilli(), 10) + ":" + e.ID, Until: until}
	}
	return store.Entry{Member: "i:" + e.ID, Until: until}
}

// record is an entry as the list holds it: times in milliseconds since 1970,
// Slack included.
type record struct {
	kind   Kind
	id     string
	sum    [32]byte
	before int64
	until  int64
}

// read is the inverse of stored. ok is false for what no version known here
// has written.
func read(e store.Entry) (r record, ok bool) {
	letter, rest, _ := strings.Cut(e.Member, ":")
	r.until = e.Until.UnixMilli()
	switch letter {
	case "i":
		r.kind, r.id = ByID, rest
		return r, rest != ""
	case "h":
		r.kind = BySum
		return r, copy(r.sum[:], rest) == len(r.sum) && len(rest) == len(r.sum)
	case "s":
		before, subject, _ := strings.Cut(rest, ":")
		ms, err := strconv.ParseInt(before, 10, 64)
		r.kind, r.id, r.before = BySubject, subject, ms
		return r, subject != "" && err == nil
	}
	return r, false
}

// entry is the inverse of a record.
func (r record) entry() Entry {
	return Entry{Kind: r.kind, ID: r.id, Sum: r.sum, Before: time.UnixMilli(r.before), Expires: time.UnixMilli(r.until).Add(-Slack)}
}
