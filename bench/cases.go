package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// conf is what a case adds to a subject's configuration template.
type conf struct {
	Top    string // nginx: in http; HAProxy: in global; Yett: at the top level
	Route  string // nginx: in location; HAProxy: in frontend; Yett: in the route
	Tables string // HAProxy: sections of their own, for stick tables
	// Service is what Yett has in the service, Targets further hosts that stand for
	// the upstream.
	Service string
	Targets []string
	// Routes returns Yett's routes, instead of one for every path; Services are those
	// that they need beside the case's.
	Routes   func() string
	Services string
	// Files are written beside the configuration, by name.
	Files map[string]func() string
	// Redis tells that Yett has its store there. The harness starts one.
	Redis bool
	// Guarded tells that a request with a bad token has to get a 401, which is
	// tried before anything is measured.
	Guarded bool
}

// request is what the load generator sends. A case with its own Authorization
// or further header fields states them.
type request struct {
	Method        string
	Path          string          // with its query
	Authorization string          // 300 bytes that are no token when empty
	Token         func() string   // instead, what is dear to make: a bearer token
	Tokens        func() []string // instead, a different bearer token in each request
	Anonymous     bool            // no Authorization at all
	Header        []string        // further "Name: value" lines
	Body          int             // bytes
	JSON          string          // the body, instead of bytes that mean nothing
}

// badToken is the request with a token that nobody has signed.
func (r request) badToken() request {
	r.Authorization, r.Token, r.Tokens = "", nil, nil
	return r
}

// answer is what a right answer looks like.
type answer struct {
	Status int   `json:"status"`
	Body   int64 `json:"body"` // bytes, or anySize
}

const anySize = -1

// ok is an answer with that many body bytes.
func ok(body int64) answer { return answer{Status: 200, Body: body} }

// protocol is how the load generator talks to the subjects.
type protocol string

const (
	keepAlive protocol = ""      // HTTP/1.1, connections stay open
	closing   protocol = "close" // HTTP/1.1, a new connection for each request
	overTLS   protocol = "tls"   // HTTP/1.1 over TLS 1.3, connections stay open
	http2     protocol = "h2"    // HTTP/2 over TLS 1.3
)

// benchCase is one kind of traffic and how each subject is configured for it.
type benchCase struct {
	Name string
	// About says in a few words what it is, for the report.
	About string
	// Quick tells that it belongs to the short run; the full one has all cases.
	Quick    bool
	Protocol protocol
	Conns    int // open at once, those of the protocol when 0
	Request  request
	Want     answer
	Conf     map[string]conf // by subject; one that is not named sits the case out
	// Variants are subjects in further configurations, measured in the same run.
	Variants []variant
	Targets  []target
}

// variant is a subject in another configuration than the case's own, such as
// "yett (plain)" beside "yett".
type variant struct {
	Of   string // name of the subject
	Name string
	Conf conf
	Want answer // the case's own when zero
	// Request is what this one is sent instead of the case's.
	Request *request
}

// entrant is a subject as a case configures it.
type entrant struct {
	subject
	conf    conf
	want    answer
	request request
}

// entrants returns who takes part in the case, in the order of the report.
func (c benchCase) entrants(subjects []subject) []entrant {
	var out []entrant
	for _, s := range subjects {
		if c.Protocol == http2 && s.noH2 {
			continue
		}
		if conf, ok := c.Conf[s.name]; ok {
			out = append(out, entrant{s, conf, c.Want, c.Request})
		}
		for _, v := range c.Variants {
			if v.Of == s.name {
				named := s
				named.label = fmt.Sprintf("%s (%s)", s.label, v.Name)
				out = append(out, entrant{named, v.Conf, cmp.Or(v.Want, c.Want), *cmp.Or(v.Request, &c.Request)})
			}
		}
	}
	return out
}

// target is the most that a subject or variant may cost, as a multiple of
// another one. Both are given by their labels.
type target struct {
	Subject string
	Against string
	AtMost  float64
}

const (
	caseIdle = "idle"
	// idleTarget is the most memory that an idle connection may cost Yett.
	idleTarget = 4 << 10
)

// bare returns the configurations that only forward.
func bare() map[string]conf {
	return with(bareOthers(), map[string]conf{
		"yett":    {Top: "log: {access: {output: off}}", Route: "auth: none"},
		"nginx":   {Top: "access_log off;"},
		"haproxy": {},
	})
}

// logged returns the configurations that forward and write an access log.
func logged() map[string]conf {
	return with(loggedOthers(), map[string]conf{
		"yett": {Top: "log: {access: {output: access.log}}", Route: "auth: none"},
		// nginx is given its cheapest way to write a log file.
		"nginx": {Top: "access_log access.log combined buffer=64k flush=1s;"},
		// HAProxy logs to a socket or a descriptor; the harness makes standard output a file.
		"haproxy": {Top: "log stdout format raw daemon", Route: "log global\noption httplog"},
	})
}

// conns is how many connections the load generator has open to a subject.
func (c benchCase) conns() int {
	if c.Conns == 0 && c.Protocol == http2 {
		return activeConns / h2Streams
	}
	return cmp.Or(c.Conns, activeConns)
}

// mostConns is the largest number of connections that a case has.
func mostConns() int {
	most := 0
	for _, c := range cases() {
		most = max(most, c.conns())
	}
	return most
}

// cases lists what is measured, in the order of the report.
func cases() []benchCase {
	return slices.Concat(forwardingCases(), protocolCases(), []benchCase{
		headersCase(),
		routesCase(),
		chainCase(),
		refusalCase(),
		limitsCase(),
		limitedCase(),
		rs256Case(),
		coldCase(),
		guardsCase(),
		validateGetCase(),
		validatePostCase(),
	})
}

// forwardingCases are requests and answers of several sizes, and clients of several
// numbers, for those who only forward.
func forwardingCases() []benchCase {
	get := func(size int64) request { return request{Method: "GET", Path: fmt.Sprintf("/b/%d", size)} }
	post := func(size int) request { return request{Method: "POST", Path: "/sink", Body: size} }
	faster := []target{{"yett", "nginx", 0.9}, {"yett", "haproxy", 0.9}}
	noDearer := []target{{"yett", "nginx", 1}, {"yett", "haproxy", 1}}
	bulk := []target{{"yett", "nginx", 1.1}}
	return []benchCase{
		{Name: "plain", About: "200 bytes, and nothing but forwarding", Quick: true,
			Request: get(200), Want: ok(200), Conf: bare(), Targets: faster},
		{Name: "plain-logged", About: "200 bytes and a line in an access log",
			Request: get(200), Want: ok(200), Conf: logged(), Targets: noDearer},
		{Name: "4k", About: "answers of 4 KB", Request: get(4 << 10), Want: ok(4 << 10), Conf: bare()},
		{Name: "64k", About: "answers of 64 KB", Quick: true, Request: get(64 << 10), Want: ok(64 << 10), Conf: bare(), Targets: bulk},
		{Name: "1m", About: "answers of 1 MB", Request: get(1 << 20), Want: ok(1 << 20), Conf: bare(), Targets: bulk},
		{Name: "post-10k", About: "uploads of 10 KB", Quick: true, Request: post(10 << 10), Want: ok(2), Conf: bare(), Targets: bulk},
		{Name: "post-64k", About: "uploads of 64 KB", Request: post(64 << 10), Want: ok(2), Conf: bare(), Targets: bulk},
		{Name: "post-1m", About: "uploads of 1 MB", Request: post(1 << 20), Want: ok(2), Conf: bare(), Targets: bulk},
		{Name: "conns-1", About: "200 bytes, one client alone", Conns: 1, Request: get(200), Want: ok(200), Conf: bare()},
		crowdCase(),
	}
}

// crowdCase has more clients than Yett keeps idle connections to a service, unless
// told: what comes back above that is closed, and opened anew for the next request.
func crowdCase() benchCase {
	all := bare()
	asItComes := all["yett"]
	kept := asItComes
	kept.Service = "connections: {idle: 1000}"
	all["yett"] = kept
	return benchCase{
		Name: "conns-1000", About: "200 bytes, 1,000 clients at once", Conns: 1000,
		Request: request{Method: "GET", Path: "/b/200"}, Want: ok(200), Conf: all,
		Variants: []variant{{Of: "yett", Name: "as it comes", Conf: asItComes}},
	}
}

// protocolCases are other ways to ask for the same.
func protocolCases() []benchCase {
	get := func(size int64) request { return request{Method: "GET", Path: fmt.Sprintf("/b/%d", size)} }
	return []benchCase{
		{Name: "close", About: "200 bytes, a new connection for each request", Quick: true, Protocol: closing,
			Request: get(200), Want: ok(200), Conf: bare(), Targets: []target{{"yett", "nginx", 1.1}}},
		{Name: "tls", About: "200 bytes over TLS 1.3", Quick: true, Protocol: overTLS,
			Request: get(200), Want: ok(200), Conf: bare(), Targets: []target{{"yett", "haproxy", 1.2}}},
		{Name: "tls-64k", About: "answers of 64 KB over TLS 1.3", Protocol: overTLS,
			Request: get(64 << 10), Want: ok(64 << 10), Conf: bare()},
		{Name: "h2", About: "200 bytes over HTTP/2 and TLS 1.3, 8 requests at once on each of 8 connections", Quick: true, Protocol: http2,
			Request: get(200), Want: ok(200), Conf: bare(), Targets: []target{{"yett", "caddy", 0.7}}},
	}
}

// bytes returns the request as it goes over the wire: eight header fields, of
// the size that a browser application's API calls have.
func (r request) bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.Method, r.Path)
	b.WriteString("Host: " + benchHost + "\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
		"Accept: application/json, text/plain, */*\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\n" +
		"Accept-Language: en-GB,en;q=0.5\r\n" +
		r.authorization() +
		"X-Custom: a value that means nothing\r\n" +
		"Referer: https://app.example.com/orders\r\n")
	for _, line := range r.Header {
		b.WriteString(line + "\r\n")
	}
	switch {
	case r.JSON != "":
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(r.JSON))
	case r.Body > 0:
		fmt.Fprintf(&b, "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n", r.Body)
	}
	b.WriteString("\r\n")
	b.WriteString(r.JSON)
	b.WriteString(strings.Repeat("u", r.Body))
	return b.Bytes()
}

// authorization returns the field's line, or nothing.
func (r request) authorization() string {
	switch {
	case r.Anonymous:
		return ""
	case r.Token != nil:
		return "Authorization: Bearer " + r.Token() + "\r\n"
	case r.Tokens != nil:
		return "Authorization: Bearer " + r.Tokens()[0] + "\r\n"
	case r.Authorization == "":
		return "Authorization: Bearer " + strings.Repeat("eyJhbGciOi", 30)[:300-len("Bearer ")] + "\r\n"
	}
	return "Authorization: " + r.Authorization + "\r\n"
}
