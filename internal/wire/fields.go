package wire

import (
	"bytes"
	"strings"

	"yett/internal/exchange"
)

// parseFields reads the field lines of a head or trailer, up to and with the
// empty line (RFC 9112 section 5). It looks at each byte once: what ends a
// value is the first byte that can't be part of one.
func parseFields(b []byte, h *exchange.Header, maxCount int, detail *string) *exchange.Reason {
	for {
		if startsCRLF(b) {
			return nil
		}
		n := tokenLen(b)
		if n == 0 || n >= len(b) || b[n] != ':' {
			*detail = "invalid field name"
			return exchange.BadHeader
		}
		rest := b[n+1:]
		end := valueLen(rest)
		if !startsCRLF(rest[end:]) {
			*detail = wrongLine(rest)
			return exchange.BadHeader
		}
		if h.Len() >= maxCount {
			return exchange.HeaderTooLarge
		}
		name := exchange.View(b[:n])
		h.AddField(exchange.Field{Name: name, Value: exchange.View(trimOWS(rest[:end])), Key: exchange.KeyOf(name)})
		b = rest[end+2:]
	}
}

func startsCRLF(b []byte) bool { return len(b) >= 2 && b[0] == '\r' && b[1] == '\n' }

// wrongLine says what is wrong with a line that has a name but no valid value.
func wrongLine(value []byte) string {
	if end := bytes.IndexByte(value, '\n'); end < 1 || value[end-1] != '\r' {
		return "a line ends in LF without CR"
	}
	return "invalid byte in a field value"
}

// facts are what a header section says about framing and connection.
type facts struct {
	hosts, lengths, codings, upgrades, expects int
	host, length, upgrade, expect              string
	badCoding, otherCoding, lastChunked        bool
	connClose, connKeep, connUpgrade           bool
	hasExpect                                  bool
}

func (s *facts) collect(h *exchange.Header) {
	for i := range h.Fields() {
		f := &h.Fields()[i]
		switch f.Key {
		case exchange.KeyHost:
			s.hosts++
			s.host = f.Value
		case exchange.KeyContentLength:
			s.lengths++
			s.length = f.Value
		case exchange.KeyTransferEncoding:
			s.coding(f.Value)
		case exchange.KeyConnection:
			s.connection(f.Value)
		case exchange.KeyUpgrade:
			s.upgrades++
			s.upgrade = f.Value
		case exchange.KeyExpect:
			s.hasExpect = true
			s.expects++
			s.expect = f.Value
		}
	}
}

func (s *facts) connection(v string) {
	switch {
	case exchange.EqualFold(v, "keep-alive"): // by far the most frequent
		s.connKeep = true
	case exchange.EqualFold(v, "close"):
		s.connClose = true
	default:
		s.connKeep = s.connKeep || exchange.HasToken(v, "keep-alive")
		s.connClose = s.connClose || exchange.HasToken(v, "close")
		s.connUpgrade = s.connUpgrade || exchange.HasToken(v, "upgrade")
	}
}

// coding reads a Transfer-Encoding field. Anything but one final chunked is
// refused later.
func (s *facts) coding(v string) {
	for item := range strings.SplitSeq(v, ",") {
		item = strings.Trim(item, " \t")
		switch {
		case exchange.EqualFold(item, "chunked"):
			s.badCoding = s.badCoding || s.lastChunked // chunked twice
			s.lastChunked = true
		case ValidToken(item):
			s.otherCoding = true
			s.badCoding = s.badCoding || s.lastChunked // something after chunked
		default:
			s.badCoding = true
		}
		s.codings++
	}
}

func (s *facts) requestFraming(x *exchange.Exchange) (Message, *exchange.Reason) {
	if s.codings > 0 {
		switch {
		case s.lengths > 0:
			x.Detail = "Content-Length beside Transfer-Encoding"
			return Message{}, exchange.BadFraming
		case x.Version == exchange.HTTP10:
			x.Detail = "Transfer-Encoding in HTTP/1.0"
			return Message{}, exchange.BadFraming
		case s.badCoding || !s.lastChunked:
			x.Detail = "the last transfer coding is not chunked"
			return Message{}, exchange.BadFraming
		case s.otherCoding:
			x.Detail = "a transfer coding other than chunked"
			return Message{}, exchange.NotImplemented
		}
		return Message{Framing: ByChunks, Length: -1}, nil
	}
	if s.lengths == 0 {
		return Message{}, nil
	}
	n, ok := parseLength(s.length)
	if !ok || s.lengths > 1 {
		x.Detail = "invalid or repeated Content-Length"
		return Message{}, exchange.BadFraming
	}
	if n == 0 {
		return Message{}, nil
	}
	return Message{Framing: ByLength, Length: n}, nil
}

// keepAlive tells whether the connection persists (RFC 9112 section 9.3).
func (s *facts) keepAlive(http11 bool) bool {
	if s.connClose {
		return false
	}
	return http11 || s.connKeep
}

// parseLength takes digits only: no sign, no blank, no list (RFC 9110
// section 8.6).
func parseLength(v string) (int64, bool) {
	if len(v) == 0 || len(v) > 18 {
		return 0, false
	}
	var n int64
	for i := range len(v) {
		if !isDigit(v[i]) {
			return 0, false
		}
		n = n*10 + int64(v[i]-'0')
	}
	return n, true
}
