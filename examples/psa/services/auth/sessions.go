package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"yett/examples/psa/services/kit"
)

// maxSessionsPerUser bounds what logins can make the service remember; the user's oldest session gives way.
const maxSessionsPerUser = 100

// session is a family of refresh tokens: those that came out of one login. A token is
//
//	<session ID>.<generation>.<HMAC-SHA256 of both, under the session's own key>
//
// so that a used token can be told from an invented one without remembering any: its code is right and its generation
// is an old one. Only a token that really was issued can end a session.
type session struct {
	id, userID string
	key        [32]byte
	generation int // of the one token that is still good
	expires    time.Time
}

func (s *session) token() string {
	head := s.id + "." + strconv.Itoa(s.generation)
	return head + "." + base64.RawURLEncoding.EncodeToString(s.mac(head))
}

func (s *session) mac(head string) []byte {
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write([]byte(head))
	return mac.Sum(nil)
}

// sessions are all logins that can still be refreshed.
type sessions struct {
	ttl time.Duration

	mu     sync.Mutex
	byID   map[string]*session
	byUser map[string][]*session // oldest login first
	ended  map[string]time.Time  // when users were logged out everywhere, for as long as that is not past
}

func newSessions(ttl time.Duration) *sessions {
	return &sessions{ttl: ttl, byID: map[string]*session{}, byUser: map[string][]*session{}, ended: map[string]time.Time{}}
}

// start begins a session and returns its ID and its first refresh token.
func (s *sessions) start(userID string) (id, token string) {
	begun := &session{id: kit.NewID(), userID: userID, expires: time.Now().Add(s.ttl)}
	rand.Read(begun.key[:]) // documented never to fail
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(userID)
	s.byID[begun.id] = begun
	s.byUser[userID] = append(s.byUser[userID], begun)
	return begun.id, begun.token()
}

// makeRoom forgets the user's expired sessions and, when it has too many, its oldest one.
func (s *sessions) makeRoom(userID string) {
	now := time.Now()
	for _, old := range slices.Clone(s.byUser[userID]) {
		if now.After(old.expires) || len(s.byUser[userID]) >= maxSessionsPerUser {
			s.remove(old)
		}
	}
}

// rotated is a session after a refresh. Beside an error, a set id names a session that the refresh has ended.
type rotated struct{ id, userID, token string }

// rotate exchanges a refresh token for the next one, once. A token that was exchanged before ends its session, because
// two parties hold it and the service cannot know which of them is the user.
func (s *sessions) rotate(token string) (rotated, error) {
	invalid := kit.Unauthorized(kit.CodeInvalidToken, "The refresh token is not one of a running session; log in again.")
	id, generation, mac, ok := parseRefreshToken(token)
	if !ok {
		return rotated{}, invalid
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	current, found := s.byID[id]
	if !found || !hmac.Equal(mac, current.mac(id+"."+strconv.Itoa(generation))) {
		return rotated{}, invalid
	}
	if generation != current.generation {
		s.remove(current)
		return rotated{id: id}, kit.Unauthorized(kit.CodeTokenRevoked, "The refresh token was used before; its session is ended.")
	}
	if time.Now().After(current.expires) {
		s.remove(current)
		return rotated{}, kit.Unauthorized(kit.CodeTokenExpired, "The refresh token has expired; log in again.")
	}
	current.generation++
	current.expires = time.Now().Add(s.ttl)
	return rotated{id: id, userID: current.userID, token: current.token()}, nil
}

func parseRefreshToken(token string) (id string, generation int, mac []byte, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", 0, nil, false
	}
	generation, err := strconv.Atoi(parts[1])
	if err != nil {
		return "", 0, nil, false
	}
	mac, err = base64.RawURLEncoding.DecodeString(parts[2])
	return parts[0], generation, mac, err == nil
}

// end forgets one session; an unknown ID is no matter.
func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ended, found := s.byID[id]; found {
		s.remove(ended)
	}
}

// endAll forgets every session of a user and returns their IDs, and the moment before which all tokens of them were
// issued. That is the next full second, because a token says no more of when it was issued.
func (s *sessions) endAll(userID string) (ids []string, before time.Time) {
	now := time.Now()
	before = now.Truncate(time.Second).Add(time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.ended, func(_ string, end time.Time) bool { return !end.After(now) })
	s.ended[userID] = before
	for _, ended := range slices.Clone(s.byUser[userID]) {
		ids = append(ids, ended.id)
		s.remove(ended)
	}
	return ids, before
}

// issueFrom is the earliest moment that a new token of a user may say it was issued at: who logs in in the second in
// which it was logged out everywhere gets tokens that say the next one.
func (s *sessions) issueFrom(userID string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended[userID]
}

func (s *sessions) remove(gone *session) {
	delete(s.byID, gone.id)
	rest := slices.DeleteFunc(s.byUser[gone.userID], func(other *session) bool { return other == gone })
	if len(rest) == 0 {
		delete(s.byUser, gone.userID)
		return
	}
	s.byUser[gone.userID] = rest
}
