// Package wire translates between HTTP/1.1 bytes and exchanges (RFC 9112).
// It knows buffers and io.Reader, but no socket, no clock and no policy, and
// serves both sides: requests from clients and answers from services.
//
// It is strict where differences between two readers of one message become
// request smuggling: every line ends in CRLF, a name touches its colon,
// nothing is folded, and a message has exactly one way to know its length.
package wire
