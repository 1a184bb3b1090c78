package nethttp

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"yett/internal/exchange"
	"yett/internal/wire"
)

// blanks may stand around a field value in HTTP/1.1 but are no part of it.
const blanks = " \t"

// read takes the request into the exchange and returns why it is refused, or
// nil. What HTTP/1.1 refuses is refused here in the same order: a service gets
// the request in HTTP/1.1, where a blank in a method or a path would be the end
// of it, and net/http lets those pass.
func (s *stream) read() *exchange.Reason {
	s.x.Method = s.r.Method
	s.setTarget(s.r.RequestURI)
	if r := s.checkSize(); r != nil {
		return r
	}
	if r := s.checkLine(); r != nil {
		return r
	}
	s.setFields()
	if r := s.setHost(); r != nil {
		return r
	}
	if r := s.checkTarget(); r != nil {
		return r
	}
	if s.r.Method == http.MethodTrace || s.r.Method == http.MethodConnect {
		return s.because(exchange.NotImplemented, "method "+s.r.Method)
	}
	if r := s.checkLength(); r != nil {
		return r
	}
	if s.x.Request.Has(exchange.KeyExpect) { // net/http takes 100-continue out and sees to it
		return exchange.BadExpectation
	}
	s.setBody()
	return nil
}

func (s *stream) because(r *exchange.Reason, detail string) *exchange.Reason {
	s.x.Detail = detail
	return r
}

func (s *stream) setTarget(t string) {
	s.x.RawPath, s.x.Query, s.x.HasQuery = strings.Cut(t, "?")
}

// loggedTarget is how much of a target that is too long goes to the log.
const loggedTarget = 256

// checkSize applies the listener's limits, to the bytes that the request
// would have in HTTP/1.1, so that a limit means the same in both.
func (s *stream) checkSize() *exchange.Reason {
	line := len(s.r.Method) + len(s.r.RequestURI) + len("  HTTP/1.1")
	if line > int(s.set.limits.RequestLine) {
		s.setTarget(s.r.RequestURI[:min(len(s.r.RequestURI), loggedTarget)])
		return exchange.URITooLong
	}
	size, count := line+len("\r\n"), 0
	if s.r.Host != "" && len(s.r.Header["Host"]) == 0 {
		size, count = size+len("Host: \r\n")+len(s.r.Host), 1
	}
	for name, values := range s.r.Header {
		count += len(values)
		for _, v := range values {
			size += len(name) + len(": \r\n") + len(v)
		}
	}
	if size > int(s.set.limits.Header) || count > s.set.limits.HeaderCount {
		return exchange.HeaderTooLarge
	}
	return nil
}

// checkLine refuses what could not stand in a request line.
func (s *stream) checkLine() *exchange.Reason {
	if !wire.ValidToken(s.r.Method) {
		return s.because(exchange.BadRequestLine, "no valid method")
	}
	for _, c := range []byte(s.r.RequestURI) {
		if c <= ' ' || c == 0x7f {
			return s.because(exchange.BadRequestLine, "control character in the target")
		}
	}
	return nil
}

// checkTarget wants the forms of RFC 9113 section 8.3.1: a path, or an asterisk
// for OPTIONS.
func (s *stream) checkTarget() *exchange.Reason {
	switch {
	case strings.HasPrefix(s.r.RequestURI, "/"), s.r.Method == http.MethodConnect:
		return nil
	case s.r.RequestURI != "*":
		return s.because(exchange.BadRequestLine, "target is no path")
	case s.r.Method != http.MethodOptions:
		return s.because(exchange.BadRequestLine, "asterisk form without OPTIONS")
	}
	return nil
}

// setFields takes the header. net/http has lost the order of the names, so
// they are sorted; values of one name are in order. Pseudo fields are none, and
// what announces trailers was taken out.
func (s *stream) setFields() {
	h := &s.x.Request
	if s.r.Host != "" {
		h.AddField(exchange.Field{Name: "Host", Value: s.r.Host, Key: exchange.KeyHost})
	}
	for _, name := range slices.Sorted(maps.Keys(s.r.Header)) {
		key := exchange.KeyOf(name)
		if key == exchange.KeyHost || strings.HasPrefix(name, ":") {
			continue
		}
		for _, v := range s.r.Header[name] {
			h.AddField(exchange.Field{Name: name, Value: strings.Trim(v, blanks), Key: key})
		}
	}
	if len(s.r.Trailer) > 0 {
		names := slices.Sorted(maps.Keys(s.r.Trailer))
		h.AddField(exchange.Field{Name: "Trailer", Value: strings.Join(names, ", "), Key: exchange.KeyTrailer})
	}
}

// setHost takes :authority, or Host where that is missing. A Host beside it has
// to say the same (RFC 9113 section 8.3.1).
func (s *stream) setHost() *exchange.Reason {
	for i, h := range s.r.Header["Host"] {
		if i > 0 || !exchange.EqualFold(h, s.r.Host) {
			return s.because(exchange.BadHost, "more than one host")
		}
	}
	host, ok := wire.SplitHost(s.r.Host)
	if !ok {
		return s.because(exchange.BadHost, "invalid :authority")
	}
	s.x.Authority = s.r.Host
	s.x.Host = strings.ToLower(strings.TrimSuffix(host, "."))
	return nil
}

// checkLength wants at most one Content-Length that says what net/http
// expects: that takes the first of several, 0 for one that is no number, and
// none of a request that ends with its header.
func (s *stream) checkLength() *exchange.Reason {
	lengths := s.r.Header["Content-Length"]
	if len(lengths) == 0 {
		return nil
	}
	n, err := strconv.ParseUint(lengths[0], 10, 63)
	if err != nil || len(lengths) > 1 || int64(n) != s.r.ContentLength {
		return s.because(exchange.BadFraming, "invalid, repeated or untrue Content-Length")
	}
	return nil
}
