package config

// Config is everything that an operator can write. The doc tags are the
// source of the JSON Schema and of docs/reference.
type Config struct {
	Name            string           `yaml:"name" doc:"Name of this gateway in health answers, logs and the X-Gateway header."`
	Version         string           `yaml:"version" doc:"Version of your platform, shown by health answers; the gateway's own when empty."`
	Listeners       []Listener       `yaml:"listeners" required:"true" doc:"Addresses on which clients are served."`
	TrustedProxies  []Prefix         `yaml:"trusted_proxies" doc:"Networks of the proxies in front, as CIDR or address. Only from them are X-Forwarded-*, Forwarded and X-Request-ID believed, right to left."`
	IdentityHeaders []string         `yaml:"identity_headers" doc:"Request headers that only the gateway may set, beside those that a policy identity sets. What a client sends under these names, in any case and with - or _, is dropped on every route."`
	Store           Store            `yaml:"store" doc:"State that all nodes of this gateway share. Without redis each node keeps its own, in memory."`
	Issuers         Mapping[Issuer]  `yaml:"issuers" doc:"Who signs the tokens that callers bring, by a name of your choice. The policy jwt believes them."`
	Roles           Mapping[Role]    `yaml:"roles" doc:"Roles of callers, by the name that stands in their tokens. The policy rbac asks for them."`
	Limits          Mapping[Limit]   `yaml:"limits" doc:"Rate limits, by a name of your choice. The policy ratelimit says where they count."`
	Assertion       *Assertion       `yaml:"assertion" doc:"With what the gateway signs who calls, where a policy identity says assertion. The endpoint jwks serves the public key."`
	Overload        Overload         `yaml:"overload" doc:"When the gateway itself has too much to do."`
	Forwarded       Forwarded        `yaml:"forwarded" doc:"What a service is told about the client's side."`
	Docs            Docs             `yaml:"docs" doc:"The gateway's own OpenAPI document, made of its routes and of the services' documents. The endpoint docs serves it."`
	Shutdown        Shutdown         `yaml:"shutdown" doc:"What happens on SIGTERM and SIGINT, and to a process that another one takes the place of."`
	Reload          Reload           `yaml:"reload" doc:"How a running gateway takes changes of its configuration."`
	Log             Log              `yaml:"log" doc:"The gateway's own log and the access log."`
	Policies        Policies         `yaml:"policies" doc:"Policies of every route, by name. They run in the catalogue's order, not in the order written."`
	Services        Mapping[Service] `yaml:"services" doc:"Upstream services by name."`
	Routes          []Route          `yaml:"routes" required:"true" doc:"What is served. The most specific route wins; the order in the file means nothing."`

	// Source knows where each value was written.
	Source *Source `yaml:"-"`
}

// Listener is one address on which clients are served.
type Listener struct {
	Name      string           `yaml:"name" doc:"Name in logs."`
	Address   string           `yaml:"address" required:"true" doc:"host:port to bind; an empty host is every address, port 0 a free one."`
	Protocols []string         `yaml:"protocols" enum:"http1,h2,h2c" doc:"Protocols spoken: http1, h2 (over TLS), h2c (HTTP/2 without TLS, by prior knowledge). Default: http1, and h2 where tls is set."`
	TLS       *TLS             `yaml:"tls" doc:"Certificates; without it the listener is plain."`
	Limits    ListenerLimits   `yaml:"limits" doc:"What a request may be at most."`
	Timeouts  ListenerTimeouts `yaml:"timeouts" doc:"How long a client may take."`
	RateLimit string           `yaml:"ratelimit_fields" enum:"legacy,structured,off" doc:"How answers tell what is left of rate limits. legacy: RateLimit-Policy, -Limit, -Remaining and -Reset, of the limit nearest to its end (draft-ietf-httpapi-ratelimit-headers-06). structured: RateLimit-Policy and RateLimit with all limits (the same draft from its version 08 on). off: nothing but Retry-After."`
}

// TLS holds the certificates of a listener.
type TLS struct {
	Certificates []Certificate `yaml:"certificates" required:"true" doc:"Certificates, chosen by the name that the client asks for (SNI); the first one when none fits."`
	MinVersion   string        `yaml:"min_version" enum:"1.2,1.3" doc:"Lowest TLS version."`
}

// Certificate is a pair of PEM files.
type Certificate struct {
	Cert string `yaml:"cert" required:"true" doc:"PEM file with the certificate and its chain, relative to the configuration file."`
	Key  string `yaml:"key" required:"true" doc:"PEM file with the private key, relative to the configuration file."`
}

// ListenerLimits bounds what a request may be.
type ListenerLimits struct {
	RequestLine Size `yaml:"request_line" min:"64" max:"1MB" doc:"Longest request line; 414 beyond."`
	Header      Size `yaml:"header" min:"256" max:"1MB" doc:"Largest header section, request line included; 431 beyond."`
	HeaderCount int  `yaml:"header_count" min:"1" max:"10000" doc:"Most header fields; 431 beyond."`
	ChunkLine   Size `yaml:"chunk_line" min:"16" max:"64KB" doc:"Longest chunk size line with its extensions; 400 beyond."`
	Trailer     Size `yaml:"trailer" min:"0" max:"1MB" doc:"Largest trailer section; 431 beyond."`
	Body        Size `yaml:"body" doc:"Largest request body, 0 for no limit: bodies are streamed and never held in memory. 413 beyond."`
	BodyMinRate Size `yaml:"body_min_rate" doc:"Bytes a second that a request body must bring on average after the first timeouts.body_idle, 0 for no minimum; 408 below."`
	Connections int  `yaml:"connections" min:"0" doc:"Most connections open at once, 0 for no limit; further ones wait in the kernel's queue."`
}

// ListenerTimeouts bounds how long a client may take.
type ListenerTimeouts struct {
	Header     Duration `yaml:"header" min:"10ms" doc:"From a request's first byte to the end of its header; 408 beyond. A TLS handshake has the same time."`
	Idle       Duration `yaml:"idle" min:"10ms" doc:"How long a connection may wait for its next request."`
	BodyIdle   Duration `yaml:"body_idle" min:"10ms" doc:"Longest pause within a request body; 408 beyond."`
	Write      Duration `yaml:"write" min:"10ms" doc:"How long a client may take to read a piece of the answer before the connection is closed."`
	TunnelIdle Duration `yaml:"tunnel_idle" min:"10ms" doc:"How long a tunnel (WebSocket) may be silent in both directions."`
}

// Forwarded says what a service is told about the client's side.
type Forwarded struct {
	XForwarded bool `yaml:"x_forwarded" doc:"Send X-Forwarded-For, -Proto and -Host."`
	Standard   bool `yaml:"standard" doc:"Send Forwarded (RFC 7239)."`
	Gateway    bool `yaml:"gateway" doc:"Send X-Gateway with the gateway's name."`
	Via        bool `yaml:"via" doc:"Send Via (RFC 9110 section 7.6.3)."`
}

// Shutdown says what happens on SIGTERM and SIGINT.
type Shutdown struct {
	Delay   Duration `yaml:"delay" min:"0s" max:"5m" doc:"How long the gateway goes on serving after readiness turned false, so that a load balancer sees it."`
	Grace   Duration `yaml:"grace" min:"0s" max:"1h" doc:"How long running requests get after the listeners have closed."`
	Tunnels Duration `yaml:"tunnels" min:"0s" max:"24h" doc:"How long tunnels (WebSocket) get after the listeners have closed, before they are ended. WebSockets are told with a close frame, code 1001."`
}

// Reload says how a running gateway takes changes of its configuration.
type Reload struct {
	Watch string `yaml:"watch" enum:"certificates,all,off" doc:"Which files are followed while the gateway runs, beside the signal SIGHUP and yett reload, which always read everything anew. certificates: those of listeners, services and issuers (PEM, JWKS), so that renewed ones are used. all: the configuration, .env and OpenAPI documents too; a change that is wrong is refused, and what runs goes on. off: none."`
	Keep  int    `yaml:"keep" min:"0" max:"1000" doc:"How many revisions of the configuration are kept for yett rollback, where the gateway has a state directory."`
}

// Log says where log lines go.
type Log struct {
	Level  string    `yaml:"level" enum:"debug,info,warn,error" doc:"Least level of the gateway's own log lines."`
	Format string    `yaml:"format" enum:"json,console" doc:"How the gateway's own lines are written: json, or console for people."`
	Access AccessLog `yaml:"access" doc:"One line for each request."`
	Rotate Rotate    `yaml:"rotate" doc:"What becomes of log files that grow. Several processes may write to one file."`
}

// Rotate says what becomes of log files that grow.
type Rotate struct {
	Size     Size     `yaml:"size" min:"0" doc:"A file that has grown beyond that is moved aside, and a new one begun; 0 for never."`
	Age      Duration `yaml:"age" min:"0s" doc:"A file that was begun that long ago is moved aside, and a new one begun; 0s for never."`
	Keep     int      `yaml:"keep" min:"0" max:"10000" doc:"How many files moved aside are kept, 0 for all."`
	KeepFor  Duration `yaml:"keep_for" min:"0s" doc:"How long files moved aside are kept, 0s for ever."`
	Compress bool     `yaml:"compress" doc:"Whether files moved aside are compressed with gzip."`
}

// AccessLog says where access log lines go and what they show.
type AccessLog struct {
	Output string   `yaml:"output" doc:"stdout, stderr, off, or a file that is appended to."`
	Errors string   `yaml:"errors" doc:"Where lines of level error go as well: those of requests that failed (a status of 500 or above, or an answer that broke off), and, where it is a file, the gateway's own. off, auto (a file beside output, such as access-error.log beside access.log; nothing when output is no file), stdout, stderr, or a file that is appended to."`
	Format string   `yaml:"format" enum:"json,console" doc:"json, or console for people."`
	Query  string   `yaml:"query" enum:"redact,keep,drop" doc:"What becomes of query values: names only (redact), all (keep), nothing (drop)."`
	Flush  Duration `yaml:"flush" min:"0s" max:"10s" doc:"Longest time that a line waits in memory, 0s to write each at once."`
}

// Route says which requests go where.
type Route struct {
	Name         string            `yaml:"name" required:"true" doc:"Name in logs and metrics. Unique."`
	Host         StringList        `yaml:"host" doc:"Host names: exact, or *.example.org for every name below. All when empty."`
	Path         StringList        `yaml:"path" required:"true" doc:"Paths served: exact (/health), with values (/users/{id}), or everything below (/api/**, which includes /api itself)."`
	Methods      StringList        `yaml:"methods" doc:"Methods; all when empty. GET includes HEAD."`
	Headers      map[string]string `yaml:"headers" doc:"Request headers that must be there, by name; * is any value."`
	Query        map[string]string `yaml:"query" doc:"Query parameters that must be there, by name; * is any value."`
	Auth         string            `yaml:"auth" required:"true" enum:"none,optional,required" doc:"Who may pass. There is no default: a public route says none."`
	Service      string            `yaml:"service" doc:"Service that gets the request."`
	Split        *Split            `yaml:"split" doc:"Send a share of the requests to other services instead, such as a new version."`
	Mirror       *Mirror           `yaml:"mirror" doc:"Send copies of requests to another service too, to try it out."`
	Priority     string            `yaml:"priority" enum:"normal,high" doc:"high: served first, and last to be refused, when the service or the gateway has too much to do."`
	Endpoint     string            `yaml:"endpoint" enum:"health,ready,health_detailed,jwks,revocations,limits,services,docs,docs_status,metrics" doc:"Page of the gateway itself that answers, instead of a service."`
	Docs         string            `yaml:"docs" enum:"shown,hidden" doc:"Whether the route stands in the gateway's OpenAPI document."`
	Forward      Forward           `yaml:"forward" doc:"What the service sees."`
	Limits       RouteLimits       `yaml:"limits" doc:"Limits of this route instead of the listener's."`
	Timeouts     RouteTimeouts     `yaml:"timeouts" doc:"Timeouts of this route instead of the listener's and the service's."`
	AllowEncoded []string          `yaml:"allow_encoded" enum:"slash,nul" doc:"Accept %2F (slash) or %00 (nul) in the path, which are refused otherwise."`
	Policies     Policies          `yaml:"policies" doc:"Policies of this route: they replace the global one of the same name; off removes it."`
}

// Forward says what the service sees of the request's target.
type Forward struct {
	Path        string `yaml:"path" enum:"normalized,unchanged" doc:"normalized: the path that was matched, without dot segments and doubled slashes, so that gateway and service can't read it differently. unchanged: byte for byte as it came; one with a segment .. is refused then."`
	StripPrefix string `yaml:"strip_prefix" doc:"Segments removed from the front of the normalised path."`
	Replace     string `yaml:"replace" doc:"The whole path, with {name} for values of the route's path and {**} for what stood for **."`
	Host        string `yaml:"host" doc:"Host header for this route instead of the service's choice: client, target or a fixed name."`
}

// RouteLimits replaces limits of the listener.
type RouteLimits struct {
	Body          *Size `yaml:"body" doc:"Largest request body, 0 for no limit; 413 beyond."`
	RequireLength bool  `yaml:"require_length" doc:"Refuse chunked request bodies with 411."`
}

// RouteTimeouts replaces timeouts of listener and service.
type RouteTimeouts struct {
	Response   *Duration `yaml:"response" min:"1ms" doc:"Instead of the service's timeouts.response."`
	Idle       *Duration `yaml:"idle" min:"1ms" doc:"Instead of the service's timeouts.idle."`
	TunnelIdle *Duration `yaml:"tunnel_idle" min:"10ms" doc:"Instead of the listener's timeouts.tunnel_idle."`
}
