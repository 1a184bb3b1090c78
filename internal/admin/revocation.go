package admin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// mistake is why a Revocation can't be, with words for the log. It never
// quotes a token.
type mistake struct {
	reason *exchange.Reason
	detail string
}

// Error is for those who write a Revocation themselves.
func (m *mistake) Error() string { return m.detail + ": " + m.reason.Message }

func wrong(reason *exchange.Reason, detail string) error { return &mistake{reason, detail} }

// readRevocation reads JSON, strictly: names as they are written, each once.
func readRevocation(body []byte) (r Revocation, err error) {
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
		if err := r.set(key, value); err != nil {
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

func (r *Revocation) set(name string, value json.RawMessage) error {
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
		return setTime(&r.IssuedBefore, name, value)
	case "expires":
		return setTime(&r.Expires, name, value)
	}
	if len(name) > 40 || strings.Count(name, ".") > 1 { // which may be a token
		name = "of that name"
	}
	return wrong(exchange.BadRevocationField, "there is no field "+name)
}

func setText(to *string, name string, value json.RawMessage) error {
	if json.Unmarshal(value, to) != nil || *to == "" {
		return wrong(exchange.BadRevocationValue, name)
	}
	return nil
}

// setTime takes seconds since 1970 and RFC 3339.
func setTime(to *time.Time, name string, value json.RawMessage) error {
	var seconds *float64
	var text string
	if json.Unmarshal(value, &seconds) == nil && seconds != nil {
		*to = secondsSince1970(*seconds)
	} else if json.Unmarshal(value, &text) == nil {
		*to, _ = time.Parse(time.RFC3339, text)
	}
	if to.Unix() <= 0 { // nobody means 1970, and the zero time is long before
		return wrong(exchange.BadRevocationTime, name)
	}
	return nil
}

// secondsSince1970 returns the zero time for what no clock will ever show.
func secondsSince1970(s float64) time.Time {
	const lastYear = 253402300799 // 9999
	if !(s > 0 && s < lastYear) {
		return time.Time{}
	}
	whole, part := math.Modf(s)
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
			return nil, wrong(exchange.BadRevocationValue, "token_sha256")
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
		return wrong(exchange.BadRevocationValue, "token_sha256")
	case !r.Expires.IsZero() && (!r.Expires.After(now) || r.Expires.After(now.Add(longestLife))):
		return wrong(exchange.BadRevocationTime, "expires")
	}
	return nil
}

// token revokes a token by what it is, and by its jti when it has one. Nothing
// is verified: who may revoke may also revoke what is no good.
func (r Revocation) token(now time.Time) ([]revocation.Entry, error) {
	id, exp, ok := claims(r.Token)
	if !ok {
		return nil, wrong(exchange.BadRevocationValue, "token")
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
