package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Service is a named upstream.
type Service struct {
	Targets     []string        `yaml:"targets" required:"true" doc:"Addresses as http://host:port or https://host:port, with weight=N behind a blank for one that is to get N times as much as others. srv+http://NAME (or srv+https) finds hosts, ports and weights in the SRV records of that name."`
	Resolve     string          `yaml:"resolve" enum:"name,addresses" doc:"What a host name with several addresses is. name: one target, whose connections spread over its addresses. addresses: a target for each address, balanced, checked and ejected by itself."`
	DNSRefresh  Duration        `yaml:"dns_refresh" min:"1s" doc:"How often target names are resolved again when DNS does not say how long its answer is good, as for names of the hosts file. Otherwise that time counts, from 1s to 5m."`
	Host        string          `yaml:"host" doc:"Host header sent: client (as it came), target (the target's own), or any fixed name."`
	TLS         ServiceTLS      `yaml:"tls" doc:"For https targets."`
	Timeouts    ServiceTimeouts `yaml:"timeouts" doc:"How long the service may take."`
	Connections Connections     `yaml:"connections" doc:"Connections to each target."`
	Limits      ServiceLimits   `yaml:"limits" doc:"What an answer may be at most."`
	Balance     Balance         `yaml:"balance" doc:"Which target gets a request."`
	Health      Health          `yaml:"health" doc:"Checks of each target, by requests of the gateway's own."`
	Ejection    Ejection        `yaml:"ejection" doc:"Targets that fail or are slow get no requests for a while."`
	Retries     Retries         `yaml:"retries" doc:"Requests that failed are tried once more where that does no harm: idempotent methods, those with an Idempotency-Key, and those of which no byte was sent. The body has to be whole in memory (up to 64KB, with a Content-Length)."`
	Hedge       Hedge           `yaml:"hedge" doc:"GET and HEAD requests whose answer is late are sent to a second target too; the first answer counts. Taken from the budget of retries."`
	Breaker     Breaker         `yaml:"breaker" doc:"Stops calling a service that fails, and finds out when it is well again."`
	OpenAPI     OpenAPI         `yaml:"openapi" doc:"The service's own OpenAPI document. It becomes a part of the gateway's, and the policies validate and mock go by it."`
	Concurrency Concurrency     `yaml:"concurrency" doc:"How many requests may be with the service at once; 503 with Retry-After beyond."`
}

// SetDefaults sends each target its own host.
func (s *Service) SetDefaults() {
	s.Host, s.Resolve = "target", "name"
	s.DNSRefresh = seconds(10)
}

// ServiceTLS says how https targets are verified.
type ServiceTLS struct {
	CA         string `yaml:"ca" doc:"PEM file with the certificate authorities to believe, relative to the configuration file; the system's when empty."`
	ServerName string `yaml:"server_name" doc:"Name that the target's certificate must have; the target's host when empty."`
}

// ServiceTimeouts bounds how long a service may take.
type ServiceTimeouts struct {
	Connect  Duration `yaml:"connect" min:"1ms" doc:"To connect, TLS included; 504 beyond."`
	Response Duration `yaml:"response" min:"1ms" doc:"From the end of the request to the answer's head, further tries included; 504 beyond. Deadlines are looked at 20 times a second: never early, and up to 100ms late."`
	Idle     Duration `yaml:"idle" min:"1ms" doc:"Longest pause within an answer's body or while the service does not read the request. Event streams need more than their heartbeat."`
	Queue    Duration `yaml:"queue" min:"0s" doc:"How long a request may wait for a free connection; 503 beyond."`
}

// SetDefaults expects a service in the same network.
func (t *ServiceTimeouts) SetDefaults() {
	*t = ServiceTimeouts{Connect: seconds(2), Response: seconds(30), Idle: seconds(60), Queue: seconds(1)}
}

// Connections bounds the connections to each target.
type Connections struct {
	Max         int      `yaml:"max" min:"0" doc:"Most connections to one target at once, 0 for no limit."`
	Idle        int      `yaml:"idle" min:"0" doc:"Most idle connections kept to one target."`
	IdleTimeout Duration `yaml:"idle_timeout" min:"10ms" doc:"How long an idle connection is kept. Less than what the service itself keeps."`
}

// SetDefaults keeps idle connections a little less long than the 60 seconds
// after which most servers and load balancers close them.
func (c *Connections) SetDefaults() {
	*c = Connections{Max: 1024, Idle: 1024, IdleTimeout: seconds(55)}
}

// ServiceLimits bounds what an answer may be.
type ServiceLimits struct {
	Header      Size `yaml:"header" min:"256" max:"1MB" doc:"Largest header section of an answer; 502 beyond."`
	HeaderCount int  `yaml:"header_count" min:"1" max:"10000" doc:"Most header fields of an answer; 502 beyond."`
}

// SetDefaults is more generous than towards clients: a service is trusted.
func (l *ServiceLimits) SetDefaults() { *l = ServiceLimits{Header: 64 * KB, HeaderCount: 200} }

// Balance says which target gets a request.
type Balance struct {
	Algorithm  string     `yaml:"algorithm" enum:"least_requests,round_robin,hash" doc:"least_requests: of two targets drawn by chance, the one with fewer requests in flight for its weight. round_robin: in turn, by weight. hash: requests with the same key get the same target, as long as that has not too much to do."`
	Hash       StringList `yaml:"hash" doc:"What makes the key of hash: client (its address), user, header.NAME, cookie.NAME, path.NAME (a value of the route's path). Several make a mix. A request that has none of them is balanced as with least_requests."`
	LoadFactor float64    `yaml:"load_factor" min:"1.05" max:"100" doc:"With hash, how much more than its fair share of the requests in flight a target takes before the next one gets them."`
	Sticky     *Sticky    `yaml:"sticky" doc:"A client keeps its target by a cookie. A target that can't be used is replaced, and the cookie with it."`
	SlowStart  Duration   `yaml:"slow_start" min:"0s" max:"10m" doc:"A target that returns, or is new, gets a share that grows within this time from a tenth to all of its weight; 0s for all at once."`
	Panic      Share      `yaml:"panic" min:"0%" max:"100%" doc:"When fewer than this share of the targets can be used, all are used as if they were well: a check that is wrong must not take a service down. 0% uses the others only when none is left."`
}

// SetDefaults picks by two random choices.
func (b *Balance) SetDefaults() {
	*b = Balance{Algorithm: "least_requests", LoadFactor: 1.25, SlowStart: seconds(10), Panic: 0.5}
}

// Sticky binds a client to a target.
type Sticky struct {
	Cookie string   `yaml:"cookie" required:"true" doc:"Name of the cookie. It is HttpOnly, and Secure where the request came over TLS."`
	Secret string   `yaml:"secret" required:"true" doc:"With what the cookie is signed, 16 bytes or more, the same on all nodes. The cookie does not tell the target's address."`
	MaxAge Duration `yaml:"max_age" min:"0s" max:"8760h" doc:"How long the browser keeps it; 0s until it is closed."`
	Path   string   `yaml:"path" doc:"Path of the cookie."`
}

// SetDefaults covers the whole site.
func (s *Sticky) SetDefaults() { s.Path = "/" }

// Health says how targets are checked.
type Health struct {
	Path      string     `yaml:"path" doc:"Path that is asked for with GET, such as /health, with a query if need be. Empty: no checks."`
	Interval  Duration   `yaml:"interval" min:"10ms" max:"1h" doc:"From one check to the next, give or take a tenth."`
	Timeout   Duration   `yaml:"timeout" min:"1ms" max:"5m" doc:"How long a check may take."`
	Healthy   int        `yaml:"healthy" min:"1" max:"100" doc:"Checks in a row that have to succeed before a target that was down is used again."`
	Unhealthy int        `yaml:"unhealthy" min:"1" max:"100" doc:"Checks in a row that have to fail before a target is down."`
	Status    StringList `yaml:"status" doc:"Statuses that mean well, such as 200 or 200-399."`
	Host      string     `yaml:"host" doc:"Host header of checks; what requests have when empty (the target's own where that is the client's)."`
}

// SetDefaults checks every ten seconds where a path is given.
func (h *Health) SetDefaults() {
	*h = Health{Interval: seconds(10), Timeout: seconds(2), Healthy: 2, Unhealthy: 3, Status: StringList{"200-299"}}
}

// Ejection takes single targets out.
type Ejection struct {
	Failures   int      `yaml:"failures" min:"0" max:"1000000" doc:"Failures in a row, as breaker.failures has them, after which a target is ejected; 0 never."`
	SlowerThan float64  `yaml:"slower_than" min:"0" max:"1000" doc:"A target that typically takes this many times as long as the others is ejected, such as 3; 0 never. Not for targets that do different work, as with hash."`
	SlowLeast  Duration `yaml:"slow_least" min:"0s" max:"1h" doc:"Whoever typically answers within this time is not slow."`
	For        Duration `yaml:"for" min:"10ms" max:"1h" doc:"How long a target is ejected: once as long, the next time in a row twice, and so on. It always returns."`
	ForMost    Duration `yaml:"for_most" min:"10ms" max:"24h" doc:"Longest ejection; for, if that is longer."`
	MostOut    Share    `yaml:"most_out" min:"0%" max:"100%" doc:"Share of the targets that may be ejected at once. A single target never is."`
}

// SetDefaults ejects what does not answer.
func (e *Ejection) SetDefaults() {
	*e = Ejection{Failures: 5, SlowLeast: Duration(10 * time.Millisecond), For: seconds(10), ForMost: seconds(300), MostOut: 0.5}
}

// Retries says when a request is tried once more.
type Retries struct {
	Most        int        `yaml:"most" min:"0" max:"8" doc:"Further tries of a request; 0 for none. Another target than those that failed is taken where there is one."`
	On          StringList `yaml:"on" doc:"What is tried again: connect, reset (the connection ended before the answer), timeout, malformed, and statuses such as 503 or 502-504."`
	TryTimeout  Duration   `yaml:"try_timeout" min:"0s" max:"1h" doc:"How long one try may take, within timeouts.response for all; 0s leaves it all to the first. Never early, and up to 100ms late. Useful with on: timeout."`
	Backoff     Duration   `yaml:"backoff" min:"0s" max:"1m" doc:"Longest pause before the first further try, twice as long before each next; how much of it is left to chance. Where no connection could be made and another target is there, the first one comes at once."`
	BackoffMost Duration   `yaml:"backoff_most" min:"0s" max:"5m" doc:"Longest pause; backoff, if that is longer. A Retry-After of the service is waited for when it is not longer than that, and else its answer goes to the client."`
	Budget      Share      `yaml:"budget" min:"0%" max:"100%" doc:"Tries that are added, as a share of the requests of the last ten seconds. When it is used up, a failure is a failure."`
	Floor       float64    `yaml:"floor" min:"0" max:"10000" doc:"Added tries a second that are allowed whatever the budget, for services with few requests."`
}

// SetDefaults tries once more what could not be sent or came to nothing.
func (r *Retries) SetDefaults() {
	*r = Retries{Most: 1, On: StringList{"connect", "reset"}, Backoff: Duration(25 * time.Millisecond), BackoffMost: seconds(1), Budget: 0.2, Floor: 3}
}

// Hedge says when a second target is asked.
type Hedge struct {
	After      Duration `yaml:"after" min:"0s" max:"1m" doc:"How late an answer has to be; with percentile, at least."`
	Percentile float64  `yaml:"percentile" min:"0" max:"99.9" doc:"Later than so many of a hundred answers of the last seconds, such as 95; 0 for after alone. Both 0: no hedging."`
}

// Breaker says when a service is not called any more.
type Breaker struct {
	Mode                string     `yaml:"mode" enum:"enforce,observe,off" doc:"enforce answers 503 at once while it is open; observe only logs, counts and shows; off has no breaker."`
	Failures            StringList `yaml:"failures" doc:"What is a failure: connect, timeout, reset, malformed, truncated (the answer broke off), and statuses such as 502-504. Those of 400 to 499 can't be, 501 and 505 are not by default, and a client that leaves never is one."`
	ConsecutiveFailures int        `yaml:"consecutive_failures" min:"0" max:"1000000" doc:"Opens after that many failures in a row; 0 never for that."`
	FailureRatio        Share      `yaml:"failure_ratio" min:"0%" max:"100%" doc:"Opens when that share of the requests within window has failed; 0% never for that. Answers from 400 to 499 count on neither side."`
	SlowCall            Duration   `yaml:"slow_call" min:"0s" max:"1h" doc:"An answer whose head takes longer is slow; 0s: none is."`
	SlowRatio           Share      `yaml:"slow_ratio" min:"0%" max:"100%" doc:"Opens when that share of the answers within window was slow; 0% never for that."`
	Window              Duration   `yaml:"window" min:"100ms" max:"1h" doc:"How far back the ratios look."`
	MinRequests         int        `yaml:"min_requests" min:"1" max:"1000000" doc:"So many requests have to have been within window before a ratio means something."`
	OpenFor             Duration   `yaml:"open_for" min:"10ms" max:"24h" doc:"How long it stays open, with up to a fifth more by chance; twice as long after each time that probing failed."`
	OpenMost            Duration   `yaml:"open_most" min:"10ms" max:"24h" doc:"Longest time that it stays open; open_for, if that is longer."`
	Probes              int        `yaml:"probes" min:"1" max:"1000" doc:"Half open, so many requests are let through to find out; all others are refused."`
	Successes           int        `yaml:"successes" min:"1" max:"1000" doc:"So many of them have to succeed to close it. One failure opens it again."`
	Shared              bool       `yaml:"shared" doc:"Tell the other nodes, by the store, when it opens and closes."`
	Fallback            *Fallback  `yaml:"fallback" doc:"What answers while it is open, instead of 503."`
}

// SetDefaults opens after five failures in a row, or when half of all fails. 501 and 505 are
// about the request alone: a client with a strange method must not open it for others.
func (b *Breaker) SetDefaults() {
	*b = Breaker{
		Mode: "enforce", Failures: StringList{"connect", "timeout", "reset", "malformed", "truncated", "500", "502-504", "506-599"},
		ConsecutiveFailures: 5, FailureRatio: 0.5, SlowRatio: 0.5, Window: seconds(10), MinRequests: 20,
		OpenFor: seconds(30), OpenMost: seconds(300), Probes: 2, Successes: 2,
	}
}

// Fallback answers instead of a service whose breaker is open.
type Fallback struct {
	Service     string            `yaml:"service" doc:"Another service, which gets the request. If its breaker is open too, its fallback answers."`
	Status      int               `yaml:"status" min:"200" max:"599" doc:"Status of a fixed answer, where no service is named."`
	ContentType string            `yaml:"content_type" doc:"Its Content-Type."`
	Headers     map[string]string `yaml:"headers" doc:"Further header fields of the fixed answer."`
	Body        string            `yaml:"body" doc:"Its body."`
}

// SetDefaults answers JSON.
func (f *Fallback) SetDefaults() {
	f.Status, f.ContentType = 200, "application/json; charset=utf-8"
}

// Concurrency bounds the requests in flight.
type Concurrency struct {
	Max       int      `yaml:"max" min:"0" max:"1000000" doc:"Most requests in flight to the service; 0 for no fixed bound. With adaptive, the highest that it may go: 1000 for 0, or least if that is more."`
	Adaptive  bool     `yaml:"adaptive" doc:"Find the bound by the time that answers take: it sinks when they get slower under load, and rises while they do not."`
	Least     int      `yaml:"least" min:"1" max:"1000000" doc:"The lowest that an adaptive bound goes."`
	Queue     int      `yaml:"queue" min:"0" max:"1000000" doc:"Most requests that wait for a place, those of routes with priority: high first. Beyond, 503."`
	QueueTime Duration `yaml:"queue_time" min:"1ms" max:"1m" doc:"Longest wait for a place."`
}

// SetDefaults has no bound, and a short queue for whoever sets one.
func (c *Concurrency) SetDefaults() {
	*c = Concurrency{Least: 10, Queue: 100, QueueTime: Duration(100 * time.Millisecond)}
}

// Split sends a share of a route's requests elsewhere.
type Split struct {
	To Mapping[Share] `yaml:"to" required:"true" doc:"Services and the share of the requests that each gets, such as crm-next: 5%. The rest goes to service. Policies and limits of the route know the name in service alone, whoever gets the request."`
	By StringList     `yaml:"by" doc:"Who is always sent to the same one: client, user, header.NAME, cookie.NAME, path.NAME. Several make a mix. Left to chance for each request when empty, and where a request has none of them."`
}

// Mirror sends copies of requests to a service whose answers nobody gets.
type Mirror struct {
	Service string     `yaml:"service" required:"true" doc:"Service that gets the copies. Its answers are thrown away, and its failures concern nobody but its own breaker."`
	Share   Share      `yaml:"share" min:"0%" max:"100%" doc:"Share of the requests that is copied. Those with bodies over 64KB or of unknown length are not, nor upgrades."`
	Methods StringList `yaml:"methods" doc:"Methods whose requests are copied; all when empty. A copy of a POST is done twice where both services share what it changes."`
	Max     int        `yaml:"max" min:"1" max:"100000" doc:"Most copies in flight; further ones are left out, so that a slow service holds nothing up."`
}

// SetDefaults copies everything.
func (m *Mirror) SetDefaults() { m.Share, m.Max = 1, 100 }

// Overload says when the gateway itself has too much to do.
type Overload struct {
	Memory   Size     `yaml:"memory" doc:"Memory of the process beyond which a growing share of the requests is refused with 503; 0 for no bound. Leave it room: 80 % of what the machine or container grants."`
	RunQueue Duration `yaml:"run_queue" min:"0s" max:"1m" doc:"How long the gateway's own work (goroutines) may wait for one of its processors, typically, before a growing share of the requests is refused with 503; 0s for no bound. Other processes on the machine hardly show in it. Routes with priority: high, and the gateway's own pages, are served as long as anything is."`
}

// Share is a part of a whole, written as 20%. It is kept as 0.2.
type Share float64

// Shape describes how a share is written.
func (s *Share) Shape() Shape {
	return Shape{Name: "share", Want: "a share such as 5% or 0.5%", Pattern: `[0-9]+(\.[0-9]+)?%`}
}

// UnmarshalText reads a number and a percent sign.
func (s *Share) UnmarshalText(text []byte) error {
	number, percent := strings.CutSuffix(string(text), "%")
	v, err := strconv.ParseFloat(number, 64)
	switch {
	case err != nil || strings.ContainsAny(number, "+-xXpPiInN"):
		return errors.New("write a number and a percent sign, such as 5%")
	case !percent && v > 0 && v <= 1:
		return fmt.Errorf("write %s (or %s%% if you mean that)", Share(v), number)
	case !percent:
		return errors.New("write " + number + "%")
	}
	*s = Share(v / 100)
	return nil
}

// String returns the share as an operator writes it.
func (s Share) String() string {
	return strconv.FormatFloat(float64(s)*100, 'g', 6, 64) + "%"
}

// MarshalText returns the share as an operator writes it.
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
