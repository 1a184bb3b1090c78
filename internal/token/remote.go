package token

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/config"
	"yett/internal/problem"
)

const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
	maxHops    = 3
	// maxWaiting is how many requests wait for one URL: whoever makes up key IDs
	// must not hold more of them than that.
	maxWaiting = 256
)

// remote fetches a key set from a URL: at Start, every now and then, and when a
// token names a key that nobody knows. While it can't be had, the last good one
// counts.
type remote struct {
	url, ca    string
	client     *http.Client
	source     *source
	algorithms []string
	log        *slog.Logger
	refresh    time.Duration
	cooldown   time.Duration
	tried      chan struct{} // closed after the first fetch, however it went
	once       sync.Once
	failed     atomic.Bool  // the last fetch, or there was none yet
	last       atomic.Int64 // when a fetch went well last, in seconds since 1970

	waiting atomic.Int32 // tokens that wait for a fetch

	mu     sync.Mutex
	flight chan struct{} // closed when the fetch that runs is over; nil for none
	asked  time.Time     // when a token caused a fetch last
}

func newRemote(c config.KeySource, s *source, deps Deps, at string, problems *problem.List) *remote {
	r := &remote{
		url: c.JWKSURL, ca: c.CA, source: s, algorithms: c.Algorithms,
		refresh: time.Duration(c.Refresh), cooldown: time.Duration(c.Cooldown),
		tried: make(chan struct{}),
	}
	r.failed.Store(true)
	r.takeOver(deps.Previous, c)
	shown := checkURL(c.JWKSURL, at+".jwks_url", problems)
	r.log = deps.Log.With("keys", shown)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 32 << 10
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pool, err := authorities(deps.Resolve(c.CA))
		if err != nil {
			problems.Add(at+".ca", err.Error(), "name a PEM file with CERTIFICATE blocks")
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	r.client = &http.Client{Transport: transport, Timeout: time.Duration(c.Timeout), CheckRedirect: stay}
	return r
}

// takeOver begins with the keys that a verifier before this one has of the same
// URL: they go on counting while it can't be fetched.
func (r *remote) takeOver(previous *Verifier, c config.KeySource) {
	if previous == nil {
		return
	}
	for _, old := range previous.remotes() {
		if old.url == r.url && old.ca == c.CA && slices.Equal(old.algorithms, r.algorithms) {
			r.source.keys.Store(old.source.keys.Load())
			r.last.Store(old.last.Load())
			return
		}
	}
}

// checkURL returns the URL as logs may show it.
func checkURL(text, at string, problems *problem.List) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		problems.Add(at, "this is no URL of a key set", "write https://host/path")
		return ""
	}
	if u.User != nil {
		problems.Add(at, "user and password have no place in it", "key sets are public")
	}
	if u.Scheme == "http" && !near(u.Hostname()) {
		problems.Add(at, "keys that come without TLS can be anybody's", "write https://, or name a host within your own network")
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// near tells whether a host can only be within the operator's own network.
func near(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
	}
	if !strings.Contains(host, ".") {
		return true
	}
	for _, end := range []string{".localhost", ".local", ".internal", ".svc", ".home.arpa"} {
		if strings.HasSuffix(host, end) {
			return true
		}
	}
	return false
}

func authorities(file string) (*x509.CertPool, error) {
	data, err := config.ReadKeyFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading certificate authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, errors.New("there is no certificate in the file")
	}
	return pool, nil
}

// stay follows redirects within the same server only.
func stay(req *http.Request, via []*http.Request) error {
	if len(via) > maxHops || req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// failing tells whether the last fetch went wrong.
func (r *remote) failing() bool { return r.failed.Load() }

// lastFetch returns when a fetch went well last, zero for never.
func (r *remote) lastFetch() time.Time {
	if at := r.last.Load(); at > 0 {
		return time.Unix(at, 0)
	}
	return time.Time{}
}

// run fetches until ctx ends. fetches is for the fetches themselves, which others may wait for.
func (r *remote) run(ctx, fetches context.Context) {
	defer r.client.CloseIdleConnections()
	retry := firstRetry
	for ctx.Err() == nil {
		r.await(ctx, r.begin(fetches))
		wait := r.refresh*9/10 + rand.N(r.refresh/5+1)
		if r.failing() {
			wait = min(retry, r.refresh)
			retry = min(2*retry, lastRetry)
		} else {
			retry = firstRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// asking is what came of asking for an unknown key.
type asking uint8

const (
	tooSoon asking = iota // another token has caused a fetch a short while ago
	crowded               // too many wait for the fetch that runs
	joined                // it was waited for one that ran already
	fetched               // one was made
)

// ask fetches on behalf of a token with an unknown key, unless another token
// has caused that a short while ago, and waits for the end.
func (r *remote) ask(ctx context.Context) asking {
	flight, how := r.board(ctx)
	if how == tooSoon {
		return how
	}
	if r.waiting.Add(1) > maxWaiting {
		how = crowded
	} else {
		r.await(ctx, flight)
	}
	r.waiting.Add(-1)
	return how
}

// board returns the fetch to wait for.
func (r *remote) board(ctx context.Context) (<-chan struct{}, asking) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flight != nil {
		return r.flight, joined
	}
	if !r.asked.IsZero() && time.Since(r.asked) < r.cooldown {
		return nil, tooSoon
	}
	r.asked = time.Now()
	return r.launch(ctx), fetched
}

func (r *remote) await(ctx context.Context, flight <-chan struct{}) {
	select {
	case <-flight:
	case <-ctx.Done():
	}
}

// begin starts a fetch, or returns the one that runs.
func (r *remote) begin(ctx context.Context) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flight != nil {
		return r.flight
	}
	return r.launch(ctx)
}

// launch starts a fetch. The caller holds the lock.
func (r *remote) launch(ctx context.Context) chan struct{} {
	flight := make(chan struct{})
	r.flight = flight
	go func() {
		r.note(r.fetch(ctx))
		r.mu.Lock()
		r.flight = nil
		r.mu.Unlock()
		close(flight)
		r.once.Do(func() { close(r.tried) })
	}()
	return flight
}

// note logs when fetching begins to fail and when it is right again.
func (r *remote) note(err error) {
	before := r.failed.Swap(err != nil)
	first := true
	select {
	case <-r.tried:
		first = false
	default:
	}
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil && (first || !before):
		r.log.Warn("keys can't be fetched; those that are known go on counting", "error", err.Error(), "known", len(r.source.all()))
	case err == nil && before:
		r.log.Info("keys were fetched", "known", len(r.source.all()))
	}
}

// fetch fetches the set once.
func (r *remote) fetch(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return fmt.Errorf("asking for keys: %w", err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the URL, whose query may be secret
		}
		return fmt.Errorf("asking for keys: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking for keys: the answer is %s", resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxSet+1))
	if err != nil {
		return fmt.Errorf("reading keys: %w", err)
	}
	if len(data) > maxSet {
		return fmt.Errorf("reading keys: the set has more than %d bytes", maxSet)
	}
	keys, skipped, err := readSet(data, r.algorithms, false)
	if err != nil {
		return fmt.Errorf("reading keys: %w", err)
	}
	if len(skipped) > 0 {
		r.log.Debug("some keys are left out", "error", errors.Join(skipped...).Error())
	}
	r.source.replace(keys)
	r.last.Store(time.Now().Unix())
	return nil
}
