package token

import (
	"bytes"
	"crypto"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"yett/internal/config"
)

// keyServer serves a key set, as an issuer does.
type keyServer struct {
	*httptest.Server
	asked atomic.Int32
	mu    sync.Mutex
	serve http.HandlerFunc
}

func newKeyServer(t *testing.T, serve http.HandlerFunc) *keyServer {
	s := &keyServer{serve: serve}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.mu.Lock()
		serve := s.serve
		s.mu.Unlock()
		serve(w, r)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *keyServer) set(serve http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve = serve
}

// keys serves public keys by their IDs.
func keys(t *testing.T, list map[string]crypto.Signer) http.HandlerFunc {
	t.Helper()
	var set jose.JSONWebKeySet
	for id, k := range list {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Public(), KeyID: id})
	}
	b, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return answer(string(b))
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

// remoteIssuer has nothing but a URL. It is fetched once an hour, so that what
// is fetched within a test has another cause.
func remoteIssuer(url string, change func(*config.KeySource)) config.Mapping[config.Issuer] {
	is := defaultIssuer()
	is.Issuer, is.Audience = "psa-platform", config.StringList{"psa-api"}
	s := defaultSource()
	s.JWKSURL, s.Refresh, s.Cooldown, s.Timeout = url, config.Duration(time.Hour), config.Duration(time.Hour), config.Duration(time.Second)
	if change != nil {
		change(&s)
	}
	is.Keys = []config.KeySource{s}
	return config.Mapping[config.Issuer]{{Name: "platform", Value: is}}
}

func started(t *testing.T, c config.Mapping[config.Issuer]) *Verifier {
	t.Helper()
	v := verifier(t, c, nil)
	v.Start()
	v.Start() // once is enough
	v.Wait(t.Context())
	return v
}

func kid(id string) map[string]any { return map[string]any{"kid": id} }

// A new key is found by the first token that names it, and tokens of the old
// one pass as long as it stands in the set.
func TestRotation(t *testing.T) {
	w := newWallet(t)
	s := newKeyServer(t, keys(t, map[string]crypto.Signer{"one": w.rsa}))
	v := started(t, remoteIssuer(s.URL, nil))
	one := sign(t, "RS256", w.rsa, good(), kid("one"))
	two := sign(t, "ES256", w.p256, good(), kid("two"))
	if got := refusal(v, one); got != "" {
		t.Fatal(got)
	}
	s.set(keys(t, map[string]crypto.Signer{"one": w.rsa, "two": w.p256}))
	var wg sync.WaitGroup
	for range 20 { // all that come while the keys are fetched wait for the one fetch
		wg.Go(func() {
			if got := refusal(v, two); got != "" {
				t.Error(got)
			}
		})
	}
	wg.Wait()
	if n := s.asked.Load(); n != 2 {
		t.Errorf("fetched %d times", n)
	}
	if got := v.States(); len(got) != 1 || got[0].Issuer != "platform" || got[0].Keys != 2 || got[0].Failing || got[0].Fetched.IsZero() {
		t.Errorf("the keys are %+v", got)
	}
	if got := refusal(v, one); got != "" {
		t.Errorf("the old key: %s", got)
	}
}

// A key that the set has no more is not believed, and what was remembered of
// its tokens is forgotten.
func TestKeyGone(t *testing.T) {
	w := newWallet(t)
	s := newKeyServer(t, keys(t, map[string]crypto.Signer{"one": w.rsa, "two": w.p256}))
	v := started(t, remoteIssuer(s.URL, nil))
	one, two := sign(t, "RS256", w.rsa, good(), kid("one")), sign(t, "ES256", w.p256, good(), kid("two"))
	for _, token := range []string{one, two, one} {
		if got := refusal(v, token); got != "" {
			t.Fatal(got)
		}
	}
	s.set(keys(t, map[string]crypto.Signer{"two": w.p256}))
	if got := refusal(v, sign(t, "RS256", w.stranger, good(), kid("three"))); got != "token_key" { // which has the set fetched
		t.Error(got)
	}
	if got := refusal(v, one); got != "token_key" {
		t.Errorf("the key is gone, and its token: %q", got)
	}
	if got := refusal(v, two); got != "" {
		t.Error(got)
	}
}

// A set that names a key twice has it once.
func TestKeyTwice(t *testing.T) {
	w := newWallet(t)
	twice := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: w.rsa.Public(), KeyID: "one"}, {Key: w.rsa.Public(), KeyID: "one"}}}
	b, err := json.Marshal(twice)
	if err != nil {
		t.Fatal(err)
	}
	s := newKeyServer(t, answer(string(b)))
	v := started(t, remoteIssuer(s.URL, nil))
	one := sign(t, "RS256", w.rsa, good(), kid("one"))
	if got := refusal(v, one); got != "" {
		t.Fatal(got)
	}
	s.set(keys(t, map[string]crypto.Signer{"two": w.p256}))
	if got := refusal(v, sign(t, "ES256", w.p256, good(), kid("two"))); got != "" {
		t.Fatal(got)
	}
	if got := refusal(v, one); got != "token_key" {
		t.Errorf("the key is gone, and its token: %q", got)
	}
}

// While keys are fetched, so many requests wait and no more.
func TestWaitersAreBounded(t *testing.T) {
	w := newWallet(t)
	s := newKeyServer(t, keys(t, map[string]crypto.Signer{"one": w.rsa}))
	v := started(t, remoteIssuer(s.URL, func(c *config.KeySource) { c.Timeout = config.Duration(time.Minute) }))
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	s.set(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	token := sign(t, "RS256", w.stranger, good(), kid("two"))
	outcomes := make(chan string, maxWaiting+50)
	var wg sync.WaitGroup
	for range maxWaiting + 50 {
		wg.Go(func() { outcomes <- refusal(v, token) })
	}
	<-arrived
	for range 50 { // these come back although nothing was fetched
		if got := <-outcomes; got != "token_keys_unavailable" {
			t.Error(got)
		}
	}
	if n := len(outcomes); n > 0 {
		t.Errorf("%d more did not wait", n)
	}
	close(release)
	wg.Wait()
}

// Who waits for a fetch that had begun before the key was there looks once more.
func TestJoinedTooEarly(t *testing.T) {
	w := newWallet(t)
	s := newKeyServer(t, keys(t, map[string]crypto.Signer{"one": w.rsa}))
	v := started(t, remoteIssuer(s.URL, nil))
	arrived, release := make(chan struct{}), make(chan struct{})
	old, fresh := keys(t, map[string]crypto.Signer{"one": w.rsa}), keys(t, map[string]crypto.Signer{"one": w.rsa, "two": w.p256})
	s.set(func(rw http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		old(rw, r)
	})
	r := v.remotes()[0]
	flight := r.begin(t.Context()) // in the background, as every now and then
	<-arrived
	s.set(fresh)
	done := make(chan string)
	go func() { done <- refusal(v, sign(t, "ES256", w.p256, good(), kid("two"))) }()
	for r.waiting.Load() == 0 {
		runtime.Gosched()
	}
	close(release)
	<-flight
	if got := <-done; got != "" {
		t.Error(got)
	}
}

// The query of a URL may be secret.
func TestLogHidesTheQuery(t *testing.T) {
	s := newKeyServer(t, http.NotFound)
	s.CloseClientConnections()
	s.Close()
	var log bytes.Buffer
	v, _ := New(remoteIssuer(s.URL+"/keys?apikey=hidden", nil), Deps{Log: slog.New(slog.NewTextHandler(&log, nil))})
	v.Start()
	v.Wait(t.Context())
	v.Close()
	if text := log.String(); strings.Contains(text, "hidden") || !strings.Contains(text, s.URL+"/keys") || !strings.Contains(text, "refused") {
		t.Error(text)
	}
}

// Whoever makes up key IDs causes one fetch in a while, whatever they send.
func TestRandomKeyIDs(t *testing.T) {
	w := newWallet(t)
	s := newKeyServer(t, keys(t, map[string]crypto.Signer{"one": w.rsa}))
	v := started(t, remoteIssuer(s.URL, nil))
	template := sign(t, "RS256", w.stranger, good(), kid("x"))
	rest := template[strings.IndexByte(template, '.'):]
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 1250 {
				token := seg(fmt.Sprintf(`{"alg":"RS256","kid":"%d-%d"}`, worker, i)) + rest
				if got := refusal(v, token); got != "token_key" {
					t.Error(got)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := s.asked.Load(); n != 2 { // at start, and for the first of them
		t.Errorf("10,000 tokens caused %d fetches", n-1)
	}
	if got := refusal(v, sign(t, "RS256", w.rsa, good(), kid("one"))); got != "" {
		t.Errorf("a good token meanwhile: %s", got)
	}
}

// An issuer that is down, slow, or sends rubbish refuses no good token.
func TestIssuerInTrouble(t *testing.T) {
	w := newWallet(t)
	release := make(chan struct{})
	defer close(release)
	troubles := map[string]http.HandlerFunc{
		"500":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"404":        http.NotFound,
		"no JSON":    answer("<html>"),
		"empty":      answer(""),
		"empty set":  answer(`{"keys":[]}`),
		"other JSON": answer(`[1,2]`),
		"null":       answer("null"),
		"bad keys":   answer(`{"keys":[{"kty":"RSA"},{"kty":"oct","k":"AAAA"},{},7,null]}`),
		"a secret":   answer(`{"keys":[{"kty":"oct","kid":"one","alg":"HS256","k":"` + seg(secret) + `"}]}`),
		"huge":       answer(`{"keys":[` + strings.Repeat(" ", maxSet) + `]}`),
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		},
		"loop": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) },
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{")
		},
		"reset": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"slow": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		},
	}
	for name, trouble := range troubles {
		t.Run(name, func(t *testing.T) {
			s := newKeyServer(t, keys(t, map[string]crypto.Signer{"one": w.rsa}))
			v := started(t, remoteIssuer(s.URL, func(c *config.KeySource) {
				c.Refresh, c.Timeout, c.Cooldown = config.Duration(10*time.Millisecond), config.Duration(50*time.Millisecond), config.Duration(time.Millisecond)
			}))
			for refusal(v, sign(t, "RS256", w.rsa, good(), kid("one"))) != "" { // the first fetch may take longer than it has
			}
			s.set(trouble)
			before := s.asked.Load()
			unknown := sign(t, "RS256", w.stranger, good(), kid("two"))
			for s.asked.Load() < before+3 { // several fetches go wrong
				if got := refusal(v, unknown); got != "token_keys_unavailable" && got != "token_key" {
					t.Fatal(got)
				}
				v.cache.forget()
				if got := refusal(v, sign(t, "RS256", w.rsa, good(), kid("one"))); got != "" {
					t.Fatalf("a good token: %s", got)
				}
			}
			if got := refusal(v, sign(t, "HS256", []byte(secret), good(), kid("one"))); got != "token_algorithm" {
				t.Errorf("a token signed with a published secret: %q", got)
			}
			s.set(keys(t, map[string]crypto.Signer{"two": w.stranger}))
			deadline := time.Now().Add(10 * time.Second)
			for refusal(v, unknown) != "" {
				if time.Now().After(deadline) {
					t.Fatal("the new key is never found")
				}
			}
		})
	}
}

// Before the keys were ever had, nobody can say whether a token is good: that
// is not the caller's fault.
func TestNeverFetched(t *testing.T) {
	w := newWallet(t)
	s := newKeyServer(t, http.NotFound)
	v := started(t, remoteIssuer(s.URL, nil))
	if got := refusal(v, sign(t, "RS256", w.rsa, good(), kid("one"))); got != "token_keys_unavailable" {
		t.Error(got)
	}
	if got := v.States(); got[0].Keys != 0 || !got[0].Failing || !got[0].Fetched.IsZero() {
		t.Errorf("the keys are %+v", got)
	}
	if got := refusal(v, sign(t, "HS256", []byte(secret), good(), kid("one"))); got != "token_key" { // a public set has no secrets
		t.Error(got)
	}
}

// A set is looked at once for tokens without an ID too, when none of its keys
// fits.
func TestRotationWithoutIDs(t *testing.T) {
	w := newWallet(t)
	s := newKeyServer(t, keys(t, map[string]crypto.Signer{"": w.rsa}))
	v := started(t, remoteIssuer(s.URL, nil))
	if got := refusal(v, sign(t, "RS256", w.rsa, good(), nil)); got != "" {
		t.Fatal(got)
	}
	s.set(keys(t, map[string]crypto.Signer{"": w.stranger}))
	if got := refusal(v, sign(t, "RS256", w.stranger, good(), nil)); got != "" {
		t.Error(got)
	}
}

// What ends a verifier ends its fetches.
func TestCloseEndsFetching(t *testing.T) {
	arrived := make(chan struct{}, 1)
	s := newKeyServer(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	v := verifier(t, remoteIssuer(s.URL, func(c *config.KeySource) { c.Timeout = config.Duration(time.Minute) }), nil)
	v.Start()
	<-arrived
	v.Close()
	v.Wait(t.Context())
}
