package wire

import (
	"bytes"
	"strings"

	"yett/internal/exchange"
)

// Framing is how the end of a message is known (RFC 9112 section 6).
type Framing uint8

// The ways in which a message ends.
const (
	NoBody     Framing = iota // with its head
	ByLength                  // after Content-Length bytes
	ByChunks                  // with the last chunk and its trailers
	UntilClose                // with the connection: answers only
)

// Message is what a head says about the message and the connection.
type Message struct {
	Framing Framing
	Length  int64 // of the content in bytes, when Framing is ByLength
	// KeepAlive tells that the sender will take another message afterwards.
	KeepAlive bool
}

// ParseRequest reads a complete request head into x. Strings in x are views
// of head. When the request has to be refused, x holds what could be read, so
// that the log can say what came.
func ParseRequest(head []byte, x *exchange.Exchange, lim *Limits) (Message, *exchange.Reason) {
	line, rest := cutLine(head)
	target, reason := parseRequestLine(line, x)
	if reason == nil {
		reason = parseFields(rest, &x.Request, lim.HeaderCount, &x.Detail)
	}
	var m Message
	if reason == nil {
		m, reason = requestSemantics(target, x)
	}
	return m, reason
}

func requestSemantics(target string, x *exchange.Exchange) (Message, *exchange.Reason) {
	var s facts
	s.collect(&x.Request)
	if r := setAuthority(x, &s); r != nil {
		return Message{}, r
	}
	if r := setTarget(target, x); r != nil {
		return Message{}, r
	}
	if x.Method == "TRACE" || x.Method == "CONNECT" {
		x.Detail = "method " + x.Method
		return Message{}, exchange.NotImplemented
	}
	m, r := s.requestFraming(x)
	if r != nil {
		return m, r
	}
	m.KeepAlive = s.keepAlive(x.Version == exchange.HTTP11)
	setUpgrade(x, &s, m)
	return m, setExpect(x, &s, m)
}

// cutLine splits off the first line, which is known to end in CRLF.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	return b[:i-1], b[i+1:]
}

func parseRequestLine(line []byte, x *exchange.Exchange) (string, *exchange.Reason) {
	n := tokenLen(line)
	if n == 0 || n == len(line) || line[n] != ' ' {
		x.Detail = "no valid method"
		return "", exchange.BadRequestLine
	}
	x.Method = exchange.View(line[:n])
	rest := line[n+1:]
	i := bytes.IndexByte(rest, ' ')
	if i <= 0 {
		x.Detail = "no target or no version"
		return "", exchange.BadRequestLine
	}
	target, version := rest[:i], rest[i+1:]
	if r := parseVersion(version, x); r != nil {
		return "", r
	}
	for _, c := range target {
		if c <= ' ' || c == 0x7f {
			x.Detail = "control character in the target"
			return "", exchange.BadRequestLine
		}
	}
	t := exchange.View(target)
	splitTarget(t, x)
	return t, nil
}

func parseVersion(v []byte, x *exchange.Exchange) *exchange.Reason {
	switch string(v) {
	case "HTTP/1.1":
		x.Version = exchange.HTTP11
		return nil
	case "HTTP/1.0":
		x.Version = exchange.HTTP10
		return nil
	}
	if len(v) == 8 && string(v[:5]) == "HTTP/" && isDigit(v[5]) && v[6] == '.' && isDigit(v[7]) {
		return exchange.BadVersion
	}
	x.Detail = "no valid version"
	return exchange.BadRequestLine
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// splitTarget sets path and query of a target without authority.
func splitTarget(t string, x *exchange.Exchange) {
	x.RawPath, x.Query, x.HasQuery = strings.Cut(t, "?")
}

// setTarget takes the target in one of the forms of RFC 9112 section 3.2. The
// authority of the absolute form wins over Host.
func setTarget(t string, x *exchange.Exchange) *exchange.Reason {
	switch {
	case t[0] == '/', x.Method == "CONNECT":
		return nil
	case t == "*":
		if x.Method == "OPTIONS" {
			return nil
		}
		x.Detail = "asterisk form without OPTIONS"
		return exchange.BadRequestLine
	}
	scheme, rest, ok := strings.Cut(t, "://")
	if !ok || !exchange.EqualFold(scheme, "http") && !exchange.EqualFold(scheme, "https") {
		x.Detail = "target is neither a path nor an http URL"
		return exchange.BadRequestLine
	}
	end := strings.IndexAny(rest, "/?")
	authority, path := rest, "/"
	if end >= 0 {
		authority, path = rest[:end], rest[end:]
	}
	splitTarget(path, x)
	switch {
	case end < 0 && x.Method == "OPTIONS":
		x.RawPath = "*" // as RFC 9112 section 3.2.4 says
	case x.RawPath == "":
		x.RawPath = "/"
	}
	return setHost(authority, x)
}

// setAuthority takes the Host field: exactly one in HTTP/1.1, at most one in
// HTTP/1.0 (RFC 9112 section 3.2).
func setAuthority(x *exchange.Exchange, s *facts) *exchange.Reason {
	if s.hosts > 1 || s.hosts == 0 && x.Version == exchange.HTTP11 {
		x.Detail = "not exactly one Host"
		return exchange.BadHost
	}
	if s.hosts == 0 {
		return nil
	}
	return setHost(s.host, x)
}

func setHost(authority string, x *exchange.Exchange) *exchange.Reason {
	host, ok := SplitHost(authority)
	if !ok {
		x.Detail = "invalid Host"
		return exchange.BadHost
	}
	x.Authority = authority
	x.Host = lowerHost(host, x)
	return nil
}

// lowerHost lowers the case and drops the final dot of an absolute name. It
// copies only when something changes.
func lowerHost(host string, x *exchange.Exchange) string {
	host = strings.TrimSuffix(host, ".")
	for i := range len(host) {
		if c := host[i]; 'A' <= c && c <= 'Z' {
			b := x.Bytes(len(host))
			for j := range b {
				b[j] = host[j]
				if 'A' <= b[j] && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return exchange.View(b)
		}
	}
	return host
}

// setUpgrade notes the protocol that the client asks for. A request with a
// body stays a plain request, and h2c is never passed on: a service that
// accepted it would take later requests past the gateway.
func setUpgrade(x *exchange.Exchange, s *facts, m Message) {
	name, _, _ := strings.Cut(s.upgrade, "/")
	if x.Version == exchange.HTTP11 && s.connUpgrade && s.upgrades == 1 && m.Framing == NoBody &&
		!exchange.EqualFold(name, "h2c") && ValidUpgrade(s.upgrade) {
		x.Upgrade = s.upgrade
	}
}

// ValidUpgrade tells whether v names one protocol, with or without version
// (RFC 9110 section 7.8).
func ValidUpgrade(v string) bool {
	name, version, hasVersion := strings.Cut(v, "/")
	return ValidToken(name) && (!hasVersion || ValidToken(version))
}

func setExpect(x *exchange.Exchange, s *facts, m Message) *exchange.Reason {
	if !s.hasExpect || x.Version == exchange.HTTP10 {
		return nil // HTTP/1.0 knows no expectations (RFC 9110 section 10.1.1)
	}
	if s.expects > 1 || !exchange.EqualFold(s.expect, "100-continue") {
		return exchange.BadExpectation
	}
	x.ExpectContinue = m.Framing != NoBody
	return nil
}

// Glimpse takes method and path from a head that is incomplete or refused, for
// the log, as far as they can be made out.
func Glimpse(head []byte, x *exchange.Exchange) {
	if i := bytes.IndexByte(head, '\n'); i >= 0 {
		head = head[:i]
	}
	n := tokenLen(head)
	if n == 0 || n >= len(head) || n > 32 || head[n] != ' ' {
		return
	}
	x.Method = exchange.View(head[:n])
	target := head[n+1:]
	if i := bytes.IndexByte(target, ' '); i >= 0 {
		target = target[:i]
	}
	if len(target) > 0 && target[0] == '/' {
		splitTarget(exchange.View(bytes.TrimRight(target[:min(len(target), 256)], "\r")), x)
	}
}
