package token

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/problem"
	"yett/internal/revocation"
)

// Verifier verifies tokens. It serves many goroutines at the same time.
type Verifier struct {
	issuers []*issuer
	byName  map[string]*issuer // by iss; "" is the one that takes any
	revoked *revocation.List
	cache   cache
	start   sync.Once
	// ctx is of all fetches, refreshing of what begins them by itself.
	ctx, refreshing context.Context
	stop, retire    context.CancelFunc
}

// Deps is what a Verifier uses.
type Deps struct {
	// Revoked is asked about each token; nil for none.
	Revoked *revocation.List
	// Resolve returns the place of a file that the configuration names.
	Resolve func(file string) string
	// Log is told when keys can't be fetched; nil for nobody.
	Log *slog.Logger
	// Previous is the Verifier that this one follows, or nil. What it has
	// fetched from the same URLs is taken over.
	Previous *Verifier
}

// Verified is a token that has passed. It is shared and must not be changed.
type Verified struct {
	Identity exchange.Identity
	// Issuer is the place of the issuer in the configuration, from 0.
	Issuer int
	// Algorithm is what the token is signed with, KeyID what it calls its key.
	Algorithm, KeyID string

	raw     string
	hash    uint64
	until   int64 // when it ends, in milliseconds since 1970
	key     *key
	revoked revocation.Token
}

// New checks the issuers and loads their keys; those behind a URL are fetched
// from Start on. Paths of problems begin with "issuers".
func New(c config.Mapping[config.Issuer], deps Deps) (*Verifier, problem.List) {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{byName: make(map[string]*issuer), revoked: deps.Revoked}
	v.ctx, v.stop = context.WithCancel(context.Background())
	v.refreshing, v.retire = context.WithCancel(v.ctx)
	v.cache.init()
	var problems problem.List
	for i, e := range c {
		at := "issuers." + e.Name
		is := newIssuer(i, e.Name, e.Value, deps, at, &problems)
		if other, taken := v.byName[is.iss]; taken {
			problems.Add(at+".issuer", taken2(is.iss, other.name), "give each issuer its own iss; several keys of one issuer stand under its keys")
		}
		v.byName[is.iss] = is
		v.issuers = append(v.issuers, is)
	}
	return v, problems
}

func taken2(iss, other string) string {
	if iss == "" {
		return fmt.Sprintf("is missing, as it is of %s", other)
	}
	return fmt.Sprintf("%q is the issuer of %s too", iss, other)
}

// Start begins to fetch the keys that are behind URLs, once.
func (v *Verifier) Start() {
	v.start.Do(func() {
		for _, r := range v.remotes() {
			go r.run(v.refreshing, v.ctx)
		}
	})
}

// Wait returns when each URL has been tried once, or when ctx ends. Start has
// to come first.
func (v *Verifier) Wait(ctx context.Context) {
	for _, r := range v.remotes() {
		select {
		case <-r.tried:
		case <-ctx.Done():
			return
		}
	}
}

// Retire ends what Start began. Tokens of requests that still come are verified, and those that
// wait for keys get them.
func (v *Verifier) Retire() { v.retire() }

// Close ends all fetches too.
func (v *Verifier) Close() { v.stop() }

func (v *Verifier) remotes() []*remote {
	var all []*remote
	for _, is := range v.issuers {
		for _, s := range is.sources {
			if s.remote != nil {
				all = append(all, s.remote)
			}
		}
	}
	return all
}

// State is how the keys of an issuer are.
type State struct {
	Issuer string
	// Keys is how many are known.
	Keys int
	// Failing tells that a URL could not be fetched when it was tried last.
	Failing bool
	// Fetched is when a URL was fetched last, zero for never, or where there is
	// none.
	Fetched time.Time
}

// States returns how the keys of each issuer are, in order.
func (v *Verifier) States() []State {
	states := make([]State, len(v.issuers))
	for i, is := range v.issuers {
		states[i].Issuer = is.name
		for _, s := range is.sources {
			states[i].Keys += len(s.all())
			if s.remote == nil {
				continue
			}
			states[i].Failing = states[i].Failing || s.remote.failing()
			if at := s.remote.lastFetch(); at.After(states[i].Fetched) {
				states[i].Fetched = at
			}
		}
	}
	return states
}

// Names returns the configured names of the issuers, in order.
func (v *Verifier) Names() []string {
	names := make([]string, len(v.issuers))
	for i, is := range v.issuers {
		names[i] = is.name
	}
	return names
}

// Verify checks a token that came at a moment. It returns what the token says,
// or why it does not pass, with words for the log.
//
// It allocates nothing for a token that it has seen. It may wait for a fetch
// of keys when the token names one that nobody knows.
func (v *Verifier) Verify(raw string, now time.Time) (*Verified, *exchange.Reason, string) {
	hash := v.cache.hash(raw)
	generation := v.generation()
	if found, seen := v.cache.get(raw, hash, now.Unix()); found != nil && !found.key.retired.Load() {
		switch {
		case found.until <= now.UnixMilli():
			return nil, Expired, "seen before"
		case seen.Load() == generation:
			return found, nil, ""
		case !v.revoked.Revoked(&found.revoked):
			seen.Store(generation)
			return found, nil, ""
		}
		return nil, Revoked, "seen before"
	}
	t, reason, detail := v.verify(raw, now)
	if reason != nil {
		return nil, reason, detail
	}
	if v.revoked != nil && v.revoked.Revoked(&t.revoked) {
		return nil, Revoked, revokedWords(t)
	}
	t.hash = hash
	v.cache.put(t, generation, now)
	return t, nil, ""
}

func revokedWords(t *Verified) string { return "subject " + strconv.Quote(t.Identity.Subject) }

// generation is that of the list of revoked tokens. It is read before the list
// is asked, so that what is added in between is seen the next time.
func (v *Verifier) generation() uint64 {
	if v.revoked == nil {
		return 0
	}
	return v.revoked.Generation()
}

// verify is Verify for a token that was not seen before, but for revocation.
func (v *Verifier) verify(raw string, now time.Time) (*Verified, *exchange.Reason, string) {
	p, err := parse(raw)
	if err != nil {
		return nil, Malformed, err.Error()
	}
	is := v.issuerOf(p)
	if is == nil {
		return nil, Issuer, "iss is " + quote(p.iss())
	}
	k, reason, detail := is.find(v.ctx, p)
	if reason != nil {
		return nil, reason, detail
	}
	return is.accept(p, k, now)
}

// issuerOf returns the issuer that the token says it is from. That is only
// where to look for keys: the signature decides.
func (v *Verifier) issuerOf(p *parsed) *issuer {
	if is, ok := v.byName[p.iss()]; ok {
		return is
	}
	return v.byName[""]
}

// quote shows a text of a token in the log, shortened.
func quote(s string) string {
	if len(s) > 80 {
		s = s[:80]
	}
	return strconv.Quote(s)
}
