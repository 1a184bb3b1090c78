package wire

import (
	"yett/internal/exchange"
)

// ResponseHead is what the head of an answer says.
type ResponseHead struct {
	Message
	Status int
	// Upgrade is the protocol of a 101.
	Upgrade string
}

// ParseResponse reads a complete answer head. Fields go to h as views of
// head. method is the request's: it decides whether content follows (RFC 9112
// section 6.3). ok is false when the answer is malformed, with what is wrong
// in detail.
func ParseResponse(head []byte, method string, h *exchange.Header, lim *Limits) (r ResponseHead, detail string, ok bool) {
	line, rest := cutLine(head)
	status, http11, ok := parseStatusLine(line)
	if !ok {
		return r, "invalid status line", false
	}
	r.Status = status
	if reason := parseFields(rest, h, lim.HeaderCount, &detail); reason != nil {
		if detail == "" {
			detail = reason.Name
		}
		return r, detail, false
	}
	var s facts
	s.collect(h)
	r.Upgrade = s.upgrade
	detail = s.responseFraming(&r.Message, method, status, http11)
	r.KeepAlive = s.keepAlive(http11) && r.Framing != UntilClose
	return r, detail, detail == ""
}

// parseStatusLine reads "HTTP/1.x SP 3DIGIT SP reason" (RFC 9112 section 4).
// The blank after the code may be missing, as many servers leave it out.
func parseStatusLine(line []byte) (status int, http11, ok bool) {
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' {
		return 0, false, false
	}
	for _, c := range line[9:12] {
		if !isDigit(c) {
			return 0, false, false
		}
		status = status*10 + int(c-'0')
	}
	if status < 100 || status > 599 || len(line) > 12 && line[12] != ' ' {
		return 0, false, false
	}
	return status, line[7] == '1', validValue(line[12:])
}

// responseFraming decides how the content ends. It returns what is wrong, or
// "". A length in an answer that can have no content describes what a GET
// would have had, so it is checked and not used.
func (s *facts) responseFraming(m *Message, method string, status int, http11 bool) string {
	n, valid := parseLength(s.length)
	switch {
	case s.lengths > 1 || s.lengths == 1 && !valid:
		return "invalid or repeated Content-Length"
	case s.codings > 0 && s.lengths > 0:
		return "Content-Length beside Transfer-Encoding"
	case s.codings > 0 && (!http11 || s.badCoding || s.otherCoding || !s.lastChunked):
		return "a transfer coding other than chunked"
	case method == "HEAD" || status < 200 || status == 204 || status == 304:
		m.Framing = NoBody
	case s.codings > 0:
		m.Framing, m.Length = ByChunks, -1
	case s.lengths == 1:
		m.Framing, m.Length = ByLength, n
	default:
		m.Framing, m.Length = UntilClose, -1
	}
	return ""
}
