package wire

import (
	"strconv"

	"yett/internal/exchange"
)

// AppendField appends one field line.
func AppendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// AppendLength appends a Content-Length line.
func AppendLength(dst []byte, n int64) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, "\r\n"...)
}

// appendFields appends all fields but those whose Key is in skip, a bit each.
func appendFields(dst []byte, h *exchange.Header, skip uint64) []byte {
	for i := range h.Fields() {
		if f := &h.Fields()[i]; skip>>f.Key&1 == 0 {
			dst = AppendField(dst, f.Name, f.Value)
		}
	}
	return dst
}

const framingFields = 1<<exchange.KeyContentLength | 1<<exchange.KeyTransferEncoding |
	1<<exchange.KeyConnection | 1<<exchange.KeyKeepAlive | 1<<exchange.KeyUpgrade

// AppendRequest appends the head of a request to a service. host and path are
// what the service sees; the fields are x.Request without those that frame
// the message, which m says anew.
func AppendRequest(dst []byte, x *exchange.Exchange, host, path string, m Message) []byte {
	dst = append(dst, x.Method...)
	dst = append(dst, ' ')
	dst = append(dst, path...)
	if x.HasQuery {
		dst = append(dst, '?')
		dst = append(dst, x.Query...)
	}
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, host...)
	dst = append(dst, "\r\n"...)
	dst = appendFields(dst, &x.Request, framingFields|1<<exchange.KeyHost|1<<exchange.KeyExpect)
	if x.ExpectContinue {
		dst = append(dst, "Expect: 100-continue\r\n"...)
	}
	switch {
	case x.Upgrade != "":
		dst = append(dst, "Connection: upgrade\r\n"...)
		dst = AppendField(dst, "Upgrade", x.Upgrade)
	case m.Framing == ByChunks:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case m.Framing == ByLength || m.Length == 0 && wantsLength(x.Method):
		dst = AppendLength(dst, m.Length)
	}
	return append(dst, "\r\n"...)
}

// wantsLength tells for which methods an empty body is announced, because a
// service may expect one (RFC 9110 section 8.6).
func wantsLength(method string) bool {
	return method == "POST" || method == "PUT" || method == "PATCH"
}

// Close says what the head of an answer tells the client about its connection.
type Close uint8

// What an answer says about the connection.
const (
	Persist     Close = iota // nothing: HTTP/1.1 persists by itself
	PersistOld               // keep-alive, for an HTTP/1.0 client
	CloseAfter               // close
	SwitchProto              // upgrade, with a 101
)

// AppendResponse appends the head of the answer to the client. date is the
// value of a Date field that is added when the answer has none. withLength
// keeps the Content-Length that the answer has, for a HEAD or a 304.
func AppendResponse(dst []byte, x *exchange.Exchange, m Message, c Close, date string, withLength bool) []byte {
	dst = AppendStatus(dst, x.Status)
	skip := uint64(framingFields)
	if withLength {
		skip &^= 1 << exchange.KeyContentLength
	}
	dst = appendFields(dst, &x.Response, skip)
	if date != "" && !x.Response.Has(exchange.KeyDate) {
		dst = AppendField(dst, "Date", date)
	}
	switch m.Framing {
	case ByLength:
		dst = AppendLength(dst, m.Length)
	case ByChunks:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	switch c {
	case PersistOld:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	case CloseAfter:
		dst = append(dst, "Connection: close\r\n"...)
	case SwitchProto:
		dst = append(dst, "Connection: upgrade\r\n"...)
		dst = AppendField(dst, "Upgrade", x.Upgrade)
	}
	return append(dst, "\r\n"...)
}

// AppendInterim appends a 1xx answer (RFC 9110 section 15.2).
func AppendInterim(dst []byte, status int, h *exchange.Header) []byte {
	dst = AppendStatus(dst, status)
	if h != nil {
		dst = appendFields(dst, h, framingFields)
	}
	return append(dst, "\r\n"...)
}

// AppendStatus appends a status line.
func AppendStatus(dst []byte, status int) []byte {
	if status == 200 {
		return append(dst, "HTTP/1.1 200 OK\r\n"...)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, statusText(status)...)
	return append(dst, "\r\n"...)
}

// ChunkHeadRoom is how many bytes FrameChunk needs before the data. Behind it
// two more are needed.
const ChunkHeadRoom = 10

// FrameChunk makes the n bytes at buf[ChunkHeadRoom:] a chunk, with its size
// line before and CRLF behind, in place, and returns it.
func FrameChunk(buf []byte, n int) []byte {
	const hex = "0123456789abcdef"
	buf[ChunkHeadRoom-2], buf[ChunkHeadRoom-1] = '\r', '\n'
	start := ChunkHeadRoom - 2
	for v := n; v > 0; v >>= 4 {
		start--
		buf[start] = hex[v&15]
	}
	end := ChunkHeadRoom + n
	buf[end], buf[end+1] = '\r', '\n'
	return buf[start : end+2]
}

// AppendLastChunk appends the end of a chunked body, with its trailers.
func AppendLastChunk(dst []byte, trailer *exchange.Header) []byte {
	dst = append(dst, "0\r\n"...)
	dst = appendFields(dst, trailer, 0)
	return append(dst, "\r\n"...)
}
