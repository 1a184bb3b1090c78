package exchange

// Reason says why the gateway answered an exchange itself, or cut it. The
// list is closed: each value is an error code, a log field, a metric label
// and a row of the reference. A nil *Reason means that nothing was refused.
type Reason struct {
	// Name is what logs and metrics show, such as "no_route".
	Name string
	// Code is the error code of the answer, such as "NOT_FOUND".
	Code string
	// Status is the HTTP status of the answer.
	Status int
	// Message is what the caller may read. It never quotes an upstream.
	Message string
	// Help is what an operator reads in the reference: cause and remedy.
	Help string
}

// The reasons of the gateway itself. Policies bring their own.
var (
	BadRequestLine      = &Reason{"bad_request_line", "BAD_REQUEST", 400, "The request line is malformed", "The first line is not `METHOD SP target SP HTTP/1.x CRLF` (RFC 9112 section 3)."}
	BadHeader           = &Reason{"bad_header", "BAD_REQUEST", 400, "A header field is malformed", "A field name or value has bytes that RFC 9112 section 5 forbids, is folded, or ends in a bare LF or CR."}
	BadHost             = &Reason{"bad_host", "BAD_REQUEST", 400, "The Host header is missing, repeated or malformed", "HTTP/1.1 needs exactly one valid Host (RFC 9112 section 3.2)."}
	BadFraming          = &Reason{"bad_framing", "BAD_REQUEST", 400, "The message length is ambiguous", "Content-Length is malformed, repeated, or stands beside Transfer-Encoding, or a coding other than a final chunked is named (RFC 9112 section 6)."}
	BadChunk            = &Reason{"bad_chunk", "BAD_REQUEST", 400, "The chunked body is malformed", "A chunk size line, chunk end or trailer breaks RFC 9112 section 7.1."}
	BadPath             = &Reason{"bad_path", "BAD_REQUEST", 400, "The path is malformed", "Percent-encoding is broken, dot segments leave the root, or an encoded slash or NUL came on a route that does not allow it."}
	TruncatedBody       = &Reason{"truncated_body", "BAD_REQUEST", 400, "The request body ended early", "The client closed or half-closed before the announced length."}
	HeaderTimeout       = &Reason{"header_timeout", "REQUEST_TIMEOUT", 408, "The request header did not arrive in time", "See `timeouts.header` of the listener."}
	BodyTimeout         = &Reason{"body_timeout", "REQUEST_TIMEOUT", 408, "The request body arrived too slowly", "See `timeouts.body_idle` and `limits.body_min_rate` of the listener."}
	LengthRequired      = &Reason{"length_required", "LENGTH_REQUIRED", 411, "A Content-Length is required", "The route sets `limits.require_length` and the body came chunked."}
	BodyTooLarge        = &Reason{"body_too_large", "PAYLOAD_TOO_LARGE", 413, "The request body is too large", "See `limits.body` of the listener or route."}
	URITooLong          = &Reason{"uri_too_long", "URI_TOO_LONG", 414, "The request target is too long", "See `limits.request_line` of the listener."}
	BadExpectation      = &Reason{"bad_expectation", "EXPECTATION_FAILED", 417, "The expectation can't be met", "Expect names something other than 100-continue."}
	HeaderTooLarge      = &Reason{"header_too_large", "HEADER_TOO_LARGE", 431, "The request header is too large", "See `limits.header` and `limits.header_count` of the listener."}
	NotImplemented      = &Reason{"not_implemented", "NOT_IMPLEMENTED", 501, "The method or coding is not implemented", "CONNECT, TRACE, or a transfer coding other than chunked."}
	BadVersion          = &Reason{"bad_version", "HTTP_VERSION_NOT_SUPPORTED", 505, "The HTTP version is not supported", "The request line names a version other than HTTP/1.0 or HTTP/1.1."}
	NoRoute             = &Reason{"no_route", "NOT_FOUND", 404, "Nothing is here", "No route matches host, path, header and query. `yett routes` lists what does."}
	MethodNotAllowed    = &Reason{"method_not_allowed", "METHOD_NOT_ALLOWED", 405, "The method is not allowed here", "A route matches but for its methods; Allow lists them."}
	ConnectFailed       = &Reason{"connect_failed", "BAD_GATEWAY", 502, "The service can't be reached", "The target refused the connection, or its name does not resolve."}
	ConnectTimeout      = &Reason{"connect_timeout", "GATEWAY_TIMEOUT", 504, "The service can't be reached in time", "See `timeouts.connect` of the service."}
	UpstreamReset       = &Reason{"upstream_reset", "BAD_GATEWAY", 502, "The service closed the connection", "The target closed or reset the connection before its answer's head was complete."}
	UpstreamBad         = &Reason{"upstream_malformed", "BAD_GATEWAY", 502, "The service sent a malformed answer", "The answer breaks RFC 9112: status line, fields, framing or limits."}
	UpstreamTimeout     = &Reason{"upstream_timeout", "GATEWAY_TIMEOUT", 504, "The service did not answer in time", "See `timeouts.response` of the service."}
	UpstreamCut         = &Reason{"upstream_cut", "BAD_GATEWAY", 502, "The service's answer was cut short", "The answer's head was sent already; the body broke off, so the client's connection was closed."}
	NoTarget            = &Reason{"no_target", "SERVICE_UNAVAILABLE", 503, "The service is unavailable", "The service has no target that could take the request."}
	PoolExhausted       = &Reason{"pool_exhausted", "SERVICE_UNAVAILABLE", 503, "The service is busy", "All connections to the service were in use for longer than `timeouts.queue`."}
	BreakerOpen         = &Reason{"breaker_open", "SERVICE_UNAVAILABLE", 503, "The service is unavailable for the moment", "The service has failed, so it is not called for a while: see `breaker` of the service. `yett services` shows since when and why; Retry-After says when it is tried again."}
	ServiceOverloaded   = &Reason{"service_overloaded", "SERVICE_UNAVAILABLE", 503, "The service has too much to do", "As many requests as `concurrency` of the service allows were with it, or waited."}
	GatewayOverloaded   = &Reason{"gateway_overloaded", "SERVICE_UNAVAILABLE", 503, "The gateway has too much to do", "The gateway's own memory or run queue is past the bound of `overload`, so a share of the requests is refused."}
	UpgradeRefused      = &Reason{"upgrade_refused", "BAD_GATEWAY", 502, "The service switched protocols unasked", "The target answered 101 to a request that asked for no upgrade."}
	ShuttingDown        = &Reason{"shutting_down", "SERVICE_UNAVAILABLE", 503, "The gateway is shutting down", "The time to finish was over; see `shutdown.grace`."}
	ClientGone          = &Reason{"client_gone", "CLIENT_CLOSED_REQUEST", 499, "The client went away", "The client closed its connection before the answer was complete; the upstream call was cancelled."}
	WriteTimeout        = &Reason{"write_timeout", "CLIENT_CLOSED_REQUEST", 499, "The client did not read the answer in time", "See `timeouts.write` of the listener."}
	TunnelIdle          = &Reason{"tunnel_idle", "TUNNEL_IDLE", 499, "The tunnel was idle for too long", "See `timeouts.tunnel_idle` of the listener."}
	BadRevocation       = &Reason{"bad_revocation", "BAD_REQUEST", 400, "The body is not one JSON object", "What is sent to the endpoint revocations is a single JSON object, and nothing after it; see docs/revocation.md."}
	BadRevocationType   = &Reason{"bad_revocation_type", "UNSUPPORTED_MEDIA_TYPE", 415, "The body has to be application/json", "What is sent to the endpoint revocations says so in Content-Type, which no page of another site can do without being asked first."}
	BadRevocationField  = &Reason{"bad_revocation_field", "BAD_REQUEST", 400, "A field is unknown or repeated: there are jti, token, token_sha256, subject, issued_before and expires", "Names are read as they are written, in lower case. The log says which field it was."}
	BadRevocationTarget = &Reason{"bad_revocation_target", "BAD_REQUEST", 400, "Exactly one of jti, token, token_sha256 and subject has to be there, and issued_before only beside subject", "Send one request for each token or subject."}
	BadRevocationValue  = &Reason{"bad_revocation_value", "BAD_REQUEST", 400, "jti and subject are texts that are not empty, token is a whole JWT, token_sha256 has 64 hexadecimal digits", "The log says which field it was."}
	BadExpires          = &Reason{"bad_revocation_expires", "BAD_REQUEST", 400, "expires is no time: there are seconds since 1970, RFC 3339, and durations from now such as 15m", "A date alone is no time: write 2026-01-31T09:30:00Z."}
	PastExpires         = &Reason{"bad_revocation_expires_past", "BAD_REQUEST", 400, "expires is in the past", "It is when the last of the tokens ends by itself: what has ended need not be revoked. When the time is right, check the clocks."}
	FarExpires          = &Reason{"bad_revocation_expires_far", "BAD_REQUEST", 400, "expires is more than ten years ahead", "Numbers are seconds since 1970: milliseconds are too far ahead."}
	BadIssuedBefore     = &Reason{"bad_revocation_issued_before", "BAD_REQUEST", 400, "issued_before is no time: there are seconds since 1970, and RFC 3339", "A date alone is no time: write 2026-01-31T09:30:00Z."}
	FarIssuedBefore     = &Reason{"bad_revocation_issued_before_far", "BAD_REQUEST", 400, "issued_before is more than a minute ahead", "It would lock the subject out until then, fresh logins too. Numbers are seconds since 1970, not milliseconds; when the time is right, check the clocks."}
	BadLimitsQuery      = &Reason{"bad_limits_query", "BAD_REQUEST", 400, "The query has limit and top to look, key and limit to reset, each once, and top is a number from 0 to 1000", "The endpoint limits refuses a query that it does not understand, so that a misspelt limit does not reset all of them. The log says what was wrong."}
	NoSuchLimit         = &Reason{"no_such_limit", "BAD_REQUEST", 400, "There is no limit of that name", "The name has to stand under `limits` of the configuration; the endpoint limits lists them."}
	BadLimitKey         = &Reason{"bad_limit_key", "BAD_REQUEST", 400, "The limit counts under no such key: write it as the endpoint shows it, such as user:42, ip:203.0.113.7 or everyone", "A key has the parts that the limit counts by, with | between them. `yett limits` shows who is near a limit."}
	NothingToForget     = &Reason{"nothing_to_forget", "BAD_REQUEST", 400, "The limit counts requests that run, so there is nothing to forget", "A limit with `concurrent` counts down by itself, when the requests end."}
	BadServicesQuery    = &Reason{"bad_services_query", "BAD_REQUEST", 400, "The query has service to look; service, breaker (open, close or reset) and, with open and close, for (1s to 720h) to switch a breaker, each once", "The endpoint services refuses a query that it does not understand, and a body: what is wanted stands in the query. The log says what was wrong."}
	BadServicesType     = &Reason{"bad_services_type", "UNSUPPORTED_MEDIA_TYPE", 415, "The Content-Type has to be application/json", "A POST to the endpoint services says so, though it has no body: no page of another site can do that without being asked first."}
	NoSuchService       = &Reason{"no_such_service", "BAD_REQUEST", 400, "There is no service of that name", "The name has to stand under `services` of the configuration; the endpoint services lists them."}
	NoBreaker           = &Reason{"no_breaker", "BAD_REQUEST", 400, "The service has no breaker", "Its `breaker.mode` is off, so there is nothing to open, close or reset."}
	BadDocsQuery        = &Reason{"bad_docs_query", "BAD_REQUEST", 400, "The query has version, 3.0 or 3.1, once", "The endpoint docs serves the document as OpenAPI 3.1, and as 3.0 with version=3.0. The log says what was wrong."}
	DocsWaiting         = &Reason{"documents_waiting", "SERVICE_UNAVAILABLE", 503, "The document is being made", "The gateway has just started, and makes its first OpenAPI document; Retry-After says when to come back. When this stays so, the log says what went wrong, or the services' documents are very large."}
	BadDocsStatusQuery  = &Reason{"bad_docs_status_query", "BAD_REQUEST", 400, "The query has service, once", "The endpoint docs_status shows all services, or the one that is named. The log says what was wrong."}
	Internal            = &Reason{"internal", "INTERNAL_SERVER_ERROR", 500, "Something went wrong in the gateway", "A fault in the gateway; the log has the details."}
)

// Reasons lists the reasons of the gateway itself in the order of the
// reference. The slice is the caller's.
func Reasons() []*Reason {
	return []*Reason{
		BadRequestLine, BadHeader, BadHost, BadFraming, BadChunk, BadPath, TruncatedBody,
		HeaderTimeout, BodyTimeout, LengthRequired, BodyTooLarge, URITooLong, BadExpectation,
		HeaderTooLarge, NotImplemented, BadVersion, NoRoute, MethodNotAllowed,
		ConnectFailed, ConnectTimeout, UpstreamReset, UpstreamBad, UpstreamTimeout, UpstreamCut,
		NoTarget, PoolExhausted, BreakerOpen, ServiceOverloaded, GatewayOverloaded, UpgradeRefused, ShuttingDown, ClientGone, WriteTimeout, TunnelIdle,
		BadRevocation, BadRevocationType, BadRevocationField, BadRevocationTarget, BadRevocationValue,
		BadExpires, PastExpires, FarExpires, BadIssuedBefore, FarIssuedBefore,
		BadLimitsQuery, NoSuchLimit, BadLimitKey, NothingToForget,
		BadServicesQuery, BadServicesType, NoSuchService, NoBreaker, BadDocsQuery, DocsWaiting, BadDocsStatusQuery, Internal,
	}
}

// Error makes a Reason usable as an error between layers.
func (r *Reason) Error() string { return r.Name + ": " + r.Message }
