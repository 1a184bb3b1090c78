package telemetry

import (
	"net/netip"
	"strings"
	"time"

	"yett/internal/exchange"
)

// Record is what is known about one request when it is over. Its strings may
// be views into buffers that are reused as soon as the call that takes the
// Record returns: whoever keeps one has to clone it.
type Record struct {
	// Time is when the request's head was complete.
	Time      time.Time
	RequestID string
	// Client is the caller's address after trusted proxies have been believed,
	// Peer the other end of the socket.
	Client, Peer netip.Addr
	// Method, Host, Path and Query are as the client sent them, Query without
	// its '?'.
	Method, Host, Path, Query string
	// Version is the protocol, such as "HTTP/1.1".
	Version  string
	Listener string
	TLS      bool

	// Route, Service and Target are empty when the request got none.
	Route, Service, Target string
	// Status is the answer's, 0 when the client left before there was one.
	Status int
	// Reason says why the gateway refused or cut the exchange, and is empty for
	// what went well. Detail adds words for the operator; it stands alone where a
	// fallback has answered.
	Reason, Detail string
	// Failed tells that the gateway or the service failed, not the client: a
	// status of 500 or above, or an answer that broke off.
	Failed bool
	// Observed are refusals of policies that only observe, for people to read.
	Observed string
	// User is the verified subject, empty for anonymous callers.
	User string

	// BytesIn and BytesOut count body bytes from and to the client.
	BytesIn, BytesOut int64
	// Duration is the time from the request's head to the end of the answer,
	// UpstreamDuration that of the upstream up to its answer's head.
	Duration, UpstreamDuration time.Duration
	// Attempts is how often the upstream was tried, 0 when it wasn't asked.
	Attempts int
}

// Of makes r the record of an exchange that is over.
func (r *Record) Of(x *exchange.Exchange, took time.Duration) {
	*r = Record{
		Time: x.Now, RequestID: x.RequestID, Client: x.Client, Peer: x.Peer.Addr(),
		Method: x.Method, Host: x.Host, Path: x.RawPath, Query: x.Query, Version: x.Version.String(),
		Listener: x.Listener, Route: x.Route, Service: x.Service, Target: x.Target,
		Status: x.Status, Detail: x.Detail, User: x.Identity.Subject,
		BytesIn: x.BytesIn, BytesOut: x.BytesOut, TLS: x.Secure,
		Duration: took, UpstreamDuration: x.UpstreamTime, Attempts: x.Attempts,
		Failed: Failed(x),
	}
	if x.Reason != nil {
		r.Reason = x.Reason.Name
	}
	if list := x.Observed(); len(list) > 0 {
		r.Observed = observed(list)
	}
}

// Failed is Record.Failed of an exchange. A reason may have come when the answer's head had gone
// out already.
func Failed(x *exchange.Exchange) bool {
	return x.Status >= 500 || x.Reason != nil && x.Reason.Status >= 500
}

// observed writes refusals that were let pass for the log, as "reason: detail",
// with semicolons between.
func observed(list []exchange.Observation) string {
	var b strings.Builder
	for i, o := range list {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(o.Reason.Name)
		if o.Detail != "" {
			b.WriteString(": ")
			b.WriteString(o.Detail)
		}
	}
	return b.String()
}
