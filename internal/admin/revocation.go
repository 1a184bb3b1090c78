package admin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"yett/internal/exchange"
	"yett/internal/revocation"
	"yett/internal/token"
)

const (
	// defaultLife is how long a revocation counts when nobody says how long
	// the tokens live.
	defaultLife = 24 * time.Hour
	// farthestCut is how far ahead IssuedBefore may be, because clocks differ. A
	// later one would refuse fresh logins too.
	farthestCut = time.Minute
	// longestLife bounds what anybody may ask for, and what a token may say of
	// itself.
	longestLife = 10 * 366 * 24 * time.Hour
)

// Revocation is what somebody wants to be revoked, as it is written in JSON:
// exactly one of a whole token, a jti, the SHA-256 of a token in hexadecimal
// digits, and a subject.
type Revocation struct {
	Token   string `json:"token,omitempty"`
	ID      string `json:"jti,omitempty"`
	Sum     string `json:"token_sha256,omitempty"`
	Subject string `json:"subject,omitempty"`
	// IssuedBefore is for Subject: tokens issued before it are revoked; now
	// when zero.
	IssuedBefore time.Time `json:"issued_before,omitzero"`
	// Expires is when the last of the tokens ends by itself; when zero, the
	// token's own exp, else in a day.
	Expires time.Time `json:"expires,omitzero"`
}

// Mistake is why a Revocation can't be. It never quotes a token.
type Mistake struct {
	Reason *exchange.Reason
	// Field is the name in JSON of the field that is wrong, empty when it is
	// not just one.
	Field string
	// What is what is wrong with it, such as "is in the past".
	What string
}

// Error is for the log, and those who write a Revocation themselves.
func (m *Mistake) Error() string {
	if m.Field == "" {
		return m.What
	}
	return m.Field + " " + m.What
}

func wrong(reason *exchange.Reason, what string) error { return wrongField(reason, "", what) }

func wrongField(reason *exchange.Reason, field, what string) error {
	return &Mistake{reason, field, what}
}

// readRevocation reads JSON, strictly: names as they are written, each once.
// Durations count from now.
func readRevocation(body []byte, now time.Time) (r Revocation, err error) {
	in := json.NewDecoder(bytes.NewReader(body))
	if open, err := in.Token(); err != nil || open != json.Delim('{') {
		return r, wrong(exchange.BadRevocation, "no object")
	}
	seen := make(map[string]bool)
	for in.More() {
		name, err := in.Token()
		var value json.RawMessage
		if err != nil || in.Decode(&value) != nil {
			return r, wrong(exchange.BadRevocation, "no JSON")
		}
		key := name.(string) // in an object nothing else stands here
		if seen[key] {
			return r, wrong(exchange.BadRevocationField, key+" is there twice")
		}
		seen[key] = true
		if err := r.set(key, value, now); err != nil {
			return r, err
		}
	}
	if _, err := in.Token(); err != nil {
		return r, wrong(exchange.BadRevocation, "the object does not end")
	}
	if _, err := in.Token(); err != io.EOF {
		return r, wrong(exchange.BadRevocation, "something follows the object")
	}
	return r, nil
}

func (r *Revocation) set(name string, value json.RawMessage, now time.Time) error {
	switch name {
	case "token":
		return setText(&r.Token, name, value)
	case "jti":
		return setText(&r.ID, name, value)
	case "token_sha256":
		return setText(&r.Sum, name, value)
	case "subject":
		return setText(&r.Subject, name, value)
	case "issued_before":
		if r.IssuedBefore = readTime(value); r.IssuedBefore.IsZero() {
			return wrongField(exchange.BadIssuedBefore, name, "is no time")
		}
		return nil
	case "expires":
		if r.Expires = readEnd(value, now); r.Expires.IsZero() {
			return wrongField(exchange.BadExpires, name, "is no time")
		}
		return nil
	}
	if len(name) > 40 || strings.Count(name, ".") > 1 { // which may be a token
		name = "of that name"
	}
	return wrong(exchange.BadRevocationField, "there is no field "+name)
}

func setText(to *string, name string, value json.RawMessage) error {
	if json.Unmarshal(value, to) != nil || *to == "" {
		return wrongField(exchange.BadRevocationValue, name, "is no text, or empty")
	}
	return nil
}

// readEnd takes what readTime does, and how long from now.
func readEnd(value json.RawMessage, now time.Time) time.Time {
	var text string
	if json.Unmarshal(value, &text) == nil {
		if d, err := time.ParseDuration(text); err == nil {
			return now.Add(d)
		}
	}
	return readTime(value)
}

// readTime takes seconds since 1970 and RFC 3339. It returns the zero time for
// anything else, and for 1970 and before, which nobody means.
func readTime(value json.RawMessage) (at time.Time) {
	var seconds *float64
	var text string
	if json.Unmarshal(value, &seconds) == nil && seconds != nil {
		return secondsSince1970(*seconds)
	}
	if json.Unmarshal(value, &text) == nil {
		at, _ = time.Parse(time.RFC3339, text)
	}
	if at.Unix() <= 0 {
		return time.Time{}
	}
	return at
}

// secondsSince1970 returns the zero time for what is not behind 1970, and the
// last year that is written with four digits for all that follow.
func secondsSince1970(s float64) time.Time {
	const lastYear = 253402300799 // 9999
	if s <= 0 {
		return time.Time{}
	}
	whole, part := math.Modf(min(s, lastYear))
	return time.Unix(int64(whole), int64(part*1e9))
}

// Entries returns what has to go on the list. The error says what is wrong
// with the Revocation.
func (r Revocation) Entries(now time.Time) ([]revocation.Entry, error) {
	if err := r.check(now); err != nil {
		return nil, err
	}
	expires := r.Expires
	if expires.IsZero() {
		expires = now.Add(defaultLife)
	}
	switch {
	case r.ID != "":
		return []revocation.Entry{{Kind: revocation.ByID, ID: r.ID, Expires: expires}}, nil
	case r.Sum != "":
		e := revocation.Entry{Kind: revocation.BySum, Expires: expires}
		if n, err := hex.Decode(e.Sum[:], []byte(r.Sum)); err != nil || n != len(e.Sum) {
			return nil, badSum()
		}
		return []revocation.Entry{e}, nil
	case r.Subject != "":
		before := r.IssuedBefore
		if before.IsZero() {
			before = now
		}
		return []revocation.Entry{{Kind: revocation.BySubject, ID: r.Subject, Before: before, Expires: expires}}, nil
	}
	return r.token(now)
}

func (r Revocation) check(now time.Time) error {
	targets := 0
	for _, target := range []string{r.Token, r.ID, r.Sum, r.Subject} {
		if target != "" {
			targets++
		}
	}
	switch {
	case targets != 1:
		return wrong(exchange.BadRevocationTarget, "fields are missing, or too many")
	case r.Subject == "" && !r.IssuedBefore.IsZero():
		return wrong(exchange.BadRevocationTarget, "issued_before without subject")
	case len(r.Sum) != 0 && len(r.Sum) != hex.EncodedLen(sha256.Size):
		return badSum()
	case r.IssuedBefore.After(now.Add(farthestCut)):
		return wrongField(exchange.FarIssuedBefore, "issued_before", "is more than a minute ahead: fresh tokens would be refused too")
	case r.Expires.IsZero():
		return nil
	case !r.Expires.After(now):
		return wrongField(exchange.PastExpires, "expires", "is in the past")
	case r.Expires.After(now.Add(longestLife)):
		return wrongField(exchange.FarExpires, "expires", "is more than ten years ahead")
	}
	return nil
}

func badSum() error {
	return wrongField(exchange.BadRevocationValue, "token_sha256", "is not 64 hexadecimal digits")
}

// Examine tells what would become of a whole token without being revoked. One
// that has ended by itself need not be. One that would not pass anyway may be
// another than the one that is meant, which the warning says; it never quotes
// the token. There is none when the keys are not there, nor for what is no
// whole token.
func (r Revocation) Examine(v *token.Verifier, now time.Time) (ended bool, warning string) {
	if r.Token == "" {
		return false, ""
	}
	_, reason, _ := v.Verify(r.Token, now)
	switch reason {
	case token.Expired:
		return true, ""
	case nil, token.Revoked, token.NotActive, token.Unavailable: // it is whole, or nobody knows
		return false, ""
	}
	return false, fmt.Sprintf("this token would not pass anyway (%s): is it whole?", reason.Name)
}

// token revokes a token by what it is, and by its jti when it has one. Nothing
// is verified: who may revoke may also revoke what is no good. See Examine.
func (r Revocation) token(now time.Time) ([]revocation.Entry, error) {
	id, exp, ok := claims(r.Token)
	if !ok {
		return nil, wrongField(exchange.BadRevocationValue, "token", "is not a whole JWT")
	}
	expires := r.Expires
	if exp.After(expires) { // a shorter life than the token's own would let it come back
		expires = exp
	}
	if expires.IsZero() {
		expires = now.Add(defaultLife)
	}
	if latest := now.Add(longestLife); expires.After(latest) {
		expires = latest
	}
	entries := []revocation.Entry{{Kind: revocation.BySum, Sum: sha256.Sum256([]byte(r.Token)), Expires: expires}}
	if id != "" {
		entries = append(entries, revocation.Entry{Kind: revocation.ByID, ID: id, Expires: expires})
	}
	return entries, nil
}

// claims takes a JWT apart, and returns its jti and exp as far as it has them.
func claims(text string) (id string, exp time.Time, ok bool) {
	_, fields, err := token.Decode(text) // as strictly as a request's is read
	if err != nil {
		return "", time.Time{}, false
	}
	id, _ = fields["jti"].(string)
	seconds, _ := fields["exp"].(float64)
	return id, secondsSince1970(seconds), true
}
