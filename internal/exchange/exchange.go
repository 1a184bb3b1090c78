package exchange

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"time"
)

// Verdict is what a policy decides about a request.
type Verdict uint8

const (
	// Continue passes the request to the next link of the chain.
	Continue Verdict = iota
	// Reply stops the chain: the policy has set the answer.
	Reply
)

// Version is the protocol version that the client speaks.
type Version uint8

// The versions that engines serve.
const (
	HTTP11 Version = iota
	HTTP10
	HTTP2
)

// String returns the version as access logs write it.
func (v Version) String() string {
	switch v {
	case HTTP10:
		return "HTTP/1.0"
	case HTTP2:
		return "HTTP/2"
	default:
		return "HTTP/1.1"
	}
}

const (
	// MaxLinks is how many policies one chain can have.
	MaxLinks = 16
	// MaxParams is how many path values one route can have.
	MaxParams = 8
)

// Slot is a policy's private note about one exchange, from phase to phase.
type Slot struct {
	Int  int64
	Text string
	Any  any
}

// Param is a value that a route took from the path, percent-decoded.
type Param struct{ Name, Value string }

// Identity is who calls, as far as it has been verified. The zero Identity is
// an anonymous caller. Its texts and lists are no views: they outlive the
// exchange, may be shared with others, and must not be changed.
type Identity struct {
	// Subject is never empty for a known caller.
	Subject, Email, Tenant string
	// Plan is what the caller pays for, where a token says so.
	Plan string
	// Role is how the caller's roles are shown: the only one, or all of them
	// with commas between. Roles are what decides.
	Role  string
	Roles []string
	// Permissions and Scopes are what the caller's token grants.
	Permissions, Scopes []string
	// Issuer is the configured name of who vouches for the caller, TokenID the
	// token's jti, which may be empty. Expires is when the token ends.
	Issuer, TokenID string
	Expires         time.Time
}

// Known tells a verified caller from an anonymous one.
func (id *Identity) Known() bool { return id.Subject != "" }

// Observation is a refusal that was let pass, because its policy only
// observes.
type Observation struct {
	Reason *Reason
	Detail string
}

// Tunnel is the upstream side of a connection that switched protocols. The
// engine copies between it and the client and closes it.
type Tunnel interface {
	io.ReadWriteCloser
	// CloseWrite ends the direction to the upstream and leaves the other open.
	CloseWrite() error
	// SetDeadline bounds Read and Write, as net.Conn does.
	SetDeadline(time.Time) error
	// SetReadDeadline bounds Read alone.
	SetReadDeadline(time.Time) error
}

// Interim passes a 1xx answer to the client while the upstream works on the
// final one. Status and fields are valid during the call only.
type Interim interface {
	WriteInterim(status int, h *Header) error
}

// Canceler is an upstream call that can be given up from another goroutine.
type Canceler interface{ Cancel() }

// Releaser is a buffer that goes back to where it came from.
type Releaser interface{ Release() }

// Outbound is what the service is to see of the request, and how long it may
// take, as the route says.
type Outbound struct {
	// Path is the whole path without query. Host is the Host field; "" is the
	// target's own.
	Path, Host string
	// HostOfRoute tells that Host is the route's own choice, so that it stays whichever
	// service gets the request.
	HostOfRoute bool
	// ResponseTimeout and IdleTimeout replace the service's when positive.
	ResponseTimeout, IdleTimeout time.Duration
	// TunnelIdle replaces the listener's when positive.
	TunnelIdle time.Duration
}

// Exchange is one request and its answer. Engines get it from a Pool, one
// goroutine works on it, and Release ends it; only Abort may be called from
// another goroutine.
type Exchange struct {
	// Method, Host (lower case, without port), Authority (the Host field as it
	// came), RawPath (as it came, without query), Path (normalised, see package
	// route) and Query (without '?') are views, valid until Release.
	Method, Host, Authority, RawPath, Path, Query string
	// Secure tells that the request came over TLS, or that a trusted proxy
	// says so.
	Secure  bool
	Version Version
	// HasQuery tells "/a?" from "/a".
	HasQuery bool
	// EncodedSlash and EncodedNUL tell that Path holds %2F or %00.
	EncodedSlash, EncodedNUL bool

	Request, Response               Header
	RequestBody, ResponseBody       Body
	RequestTrailer, ResponseTrailer Header
	// KeepRequestTrailer tells which trailers of the request may go on to the
	// service, nil for all: what a client can't say in a header it can't say
	// behind the body either.
	KeepRequestTrailer func(*Field) bool

	Identity Identity
	// Peer is the other end of the client's socket, Client the caller's
	// address after trusted proxies have been believed, Local our own end.
	Peer, Local netip.AddrPort
	// PeerTrusted tells that Peer is a listed proxy, so that what it says about
	// the caller can be believed.
	PeerTrusted bool
	Client      netip.Addr
	// Now is when the request's head was complete. Policies use it instead of
	// a clock.
	Now       time.Time
	RequestID string

	// PassPreflight tells that this is a CORS preflight which the service is to
	// answer, where there is one. It can't say who calls, so whoever asks for that
	// lets it pass to a service.
	PassPreflight bool

	// Urgent tells that the route is served first when there is too much to do.
	Urgent bool
	// Copy tells that this is a copy for a mirror: nobody gets its answer, so nothing
	// may answer it in place of the service.
	Copy bool

	// Status is the answer's status. Reason is set when the gateway answered
	// by itself or cut the exchange, Detail adds words for the log only, also where
	// a fallback has answered and there is no Reason.
	Status int
	Reason *Reason
	Detail string
	// Details is a JSON array that a refusal shows under details, "" for none.
	Details string
	// Allow is the value of the Allow field of a 405.
	Allow string
	// RetryAfter in seconds goes into the answer of a refusal when positive.
	RetryAfter int
	// Limits is what the parts of the policy ratelimit share, which stand at several
	// places of the chain. It is theirs alone.
	Limits any
	// Challenge is the WWW-Authenticate field of a refusal, "" for none.
	Challenge string

	Out Outbound

	// Upgrade is the protocol that the client wants to switch to, or "".
	Upgrade string
	// ExpectContinue tells that the client waits for a 100 before its body.
	ExpectContinue bool
	// Unsized tells that the client did not announce the length of the request's
	// body, even if all of it has come by now.
	Unsized bool
	// BodyLimit is the largest request body in bytes, 0 for any.
	BodyLimit int64
	Tunnel    Tunnel
	Interim   Interim
	// CloseClient asks the engine to close the client's connection after the
	// answer, because its framing can't be trusted any more.
	CloseClient bool

	// Listener, Route, Service and Target are names for logs and metrics.
	Listener, Route, Service, Target string
	// Bound is what the gateway needs again when the exchange ends.
	Bound any
	// UpstreamTime is the time from the first attempt to the answer's head,
	// Attempts how many there were. Sent tells that a service may have seen the
	// request, or a part of it.
	UpstreamTime time.Duration
	Attempts     int
	Sent         bool
	// BytesIn and BytesOut count body bytes from and to the client.
	BytesIn, BytesOut int64

	params  *[MaxParams]Param // these two are kept from exchange to exchange
	slots   *[MaxLinks]Slot
	nparams int
	used    int // links of the chain that ran, see Ran
	arena   []byte
	head    []byte // see HeadRoom
	held    []Releaser
	// observed is kept from exchange to exchange, as held is.
	observed []Observation

	mu       sync.Mutex
	aborted  *Reason
	canceler Canceler
	ctx      context.Context
	stop     context.CancelFunc
}

// Slot returns the note of link i of the chain.
func (x *Exchange) Slot(i int) *Slot {
	if x.slots == nil {
		x.slots = new([MaxLinks]Slot)
	}
	return &x.slots[i]
}

// SetRan notes how many links of the chain have run their Request phase.
func (x *Exchange) SetRan(n int) { x.used = n }

// Ran returns how many links of the chain have run their Request phase.
func (x *Exchange) Ran() int { return x.used }

// AddParam notes a path value. Values beyond MaxParams are refused by the
// compiler of routes, so there is no error here.
func (x *Exchange) AddParam(name, value string) {
	if x.params == nil {
		x.params = new([MaxParams]Param)
	}
	if x.nparams < MaxParams {
		x.params[x.nparams] = Param{name, value}
		x.nparams++
	}
}

// ResetParams forgets all path values.
func (x *Exchange) ResetParams() { x.nparams = 0 }

// Params returns the path values in order. The slice is valid until Release.
func (x *Exchange) Params() []Param {
	if x.params == nil {
		return nil
	}
	return x.params[:x.nparams]
}

// Param returns the path value of that name, or "".
func (x *Exchange) Param(name string) string {
	for i := range x.nparams {
		if x.params[i].Name == name {
			return x.params[i].Value
		}
	}
	return ""
}

// Refuse makes the answer a refusal. The gateway turns it into the error
// shape. It returns Reply, so that a policy can return it.
func (x *Exchange) Refuse(r *Reason) Verdict {
	x.Reason, x.Status = r, r.Status
	return Reply
}

// RefuseWith is Refuse with words for the log.
func (x *Exchange) RefuseWith(r *Reason, detail string) Verdict {
	x.Detail = detail
	return x.Refuse(r)
}

// Observe takes the refusal back and notes it: the exchange goes on as if the
// policy had let it pass.
func (x *Exchange) Observe() {
	x.observed = append(x.observed, Observation{x.Reason, x.Detail})
	x.Reason, x.Status, x.Detail, x.Details, x.Challenge, x.RetryAfter = nil, 0, "", "", "", 0
}

// Note notes what would be wrong with an answer that is passed on all the same.
func (x *Exchange) Note(r *Reason, detail string) {
	x.observed = append(x.observed, Observation{r, detail})
}

// Observed returns the refusals that were let pass, in order. The slice is
// valid until Release.
func (x *Exchange) Observed() []Observation { return x.observed }

// Elapsed returns the time since Now.
func (x *Exchange) Elapsed() time.Duration { return time.Since(x.Now) }

// Bytes returns n bytes that are valid until Release. They hold rubbish.
func (x *Exchange) Bytes(n int) []byte {
	if cap(x.arena)-len(x.arena) < n {
		x.arena = make([]byte, 0, max(2*cap(x.arena), n, 512)) // the old block lives as long as its views
	}
	at := len(x.arena)
	x.arena = x.arena[:at+n]
	return x.arena[at : at+n : at+n]
}

// Keep copies b into memory that is valid until Release.
func (x *Exchange) Keep(b []byte) string {
	p := x.Bytes(len(b))
	copy(p, b)
	return View(p)
}

// headRoom holds the head of nearly every message, in bytes.
const headRoom = 4 << 10

// HeadRoom returns an empty slice with room for the head of a message that is about to
// be written. The room is used again for the next one: the head to the service first,
// and then that to the client.
func (x *Exchange) HeadRoom() []byte {
	if x.head == nil {
		x.head = make([]byte, 0, headRoom)
	}
	poison(x.head[:cap(x.head)])
	return x.head
}

// Hold keeps a buffer that views point to until Release, and releases it then.
func (x *Exchange) Hold(r Releaser) { x.held = append(x.held, r) }

// Watch names the upstream call that Abort has to cancel, nil for none. It
// returns the reason when the exchange was aborted already.
func (x *Exchange) Watch(c Canceler) *Reason {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.canceler = c
	return x.aborted
}

// Aborted returns why the exchange was given up, or nil.
func (x *Exchange) Aborted() *Reason {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.aborted
}

// Abort gives the exchange up: the upstream call is cancelled and the context
// ends. It may be called from any goroutine, but not after Release.
func (x *Exchange) Abort(r *Reason) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.aborted != nil {
		return
	}
	x.aborted = r
	if x.canceler != nil {
		x.canceler.Cancel()
	}
	if x.stop != nil {
		x.stop()
	}
}

// Context returns a context that ends when the exchange is aborted or
// released. It is made on first use, because the fast path needs none.
func (x *Exchange) Context() context.Context {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ctx == nil {
		x.ctx, x.stop = context.WithCancel(context.Background())
		if x.aborted != nil {
			x.stop()
		}
	}
	return x.ctx
}

// Pool hands out exchanges. The zero Pool is ready.
type Pool struct{ p sync.Pool }

// Get returns an empty Exchange.
func (p *Pool) Get() *Exchange {
	if x, ok := p.p.Get().(*Exchange); ok {
		return x
	}
	return &Exchange{
		Request:  Header{fields: make([]Field, 0, 32)},
		Response: Header{fields: make([]Field, 0, 32)},
		arena:    make([]byte, 0, 1024),
	}
}

// Put releases the Exchange: all its views end.
func (p *Pool) Put(x *Exchange) {
	x.reset()
	p.p.Put(x)
}

const keepArena = 16 << 10

func (x *Exchange) reset() {
	for _, r := range x.held {
		r.Release()
	}
	poison(x.arena[:cap(x.arena)])
	poison(x.head[:cap(x.head)])
	arena := x.arena[:0]
	if cap(arena) > keepArena {
		arena = make([]byte, 0, 1024)
	}
	if x.stop != nil {
		x.stop()
	}
	for _, h := range [...]*Header{&x.Request, &x.Response, &x.RequestTrailer, &x.ResponseTrailer} {
		h.Reset()
	}
	clear(x.held)
	clear(x.observed)
	if x.slots != nil {
		clear(x.slots[:x.used])
	}
	clear(x.Params())
	x.clear(arena)
}

// clear makes everything zero but the memory that is kept. It saves that in
// variables: a literal with all of it would be put together elsewhere, and
// copied.
func (x *Exchange) clear(arena []byte) {
	req, resp, rqt, rst := x.Request, x.Response, x.RequestTrailer, x.ResponseTrailer
	params, slots, held, observed, head := x.params, x.slots, x.held, x.observed, x.head
	*x = Exchange{}
	x.Request, x.Response, x.RequestTrailer, x.ResponseTrailer = req, resp, rqt, rst
	x.params, x.slots, x.arena, x.held, x.observed, x.head = params, slots, arena, held[:0], observed[:0], head
}
