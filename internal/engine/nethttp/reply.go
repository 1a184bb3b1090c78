package nethttp

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"yett/internal/engine"
	"yett/internal/exchange"
	"yett/internal/wire"
)

// reply sends the answer. It returns whether the client gets all of it; else
// the stream has to be reset.
func (s *stream) reply() bool {
	x := s.x
	if s.r.Context().Err() != nil { // nobody is there to read it
		s.gone()
		x.Reason = x.Aborted()
		x.Status = x.Reason.Status
		return false
	}
	length, hasContent := s.content()
	s.setHeader(length)
	s.w.WriteHeader(x.Status)
	clear(s.w.Header()) // net/http has taken it, and would see trailers in what Trailer names
	if !hasContent {
		return true
	}
	if whole, inMemory := x.ResponseBody.Whole(); inMemory {
		return s.sendWhole(whole)
	}
	return s.relay()
}

// content returns the value of Content-Length, "" for none, and whether
// content is sent. An answer to HEAD and a 304 keep the length that the service
// named for what it did not send.
func (s *stream) content() (length string, sent bool) {
	x := s.x
	whole, inMemory := x.ResponseBody.Whole()
	noContent := x.Status == http.StatusNotModified || x.Method == http.MethodHead
	switch {
	case x.Status == http.StatusNoContent:
		return "", false
	case noContent && len(whole) == 0:
		return x.Response.GetKey(exchange.KeyContentLength), false
	case inMemory:
		return strconv.Itoa(len(whole)), !noContent
	case x.ResponseBody.Size() >= 0:
		return strconv.FormatInt(x.ResponseBody.Size(), 10), true
	}
	return "", true
}

// setHeader copies the fields: net/http writes some of them when the handler
// has returned, and the exchange's views have ended by then.
func (s *stream) setHeader(length string) {
	h := s.w.Header()
	// A type that the service did not name is not guessed.
	h["Content-Type"] = nil
	addAll(h, "", &s.x.Response)
	if length != "" {
		h["Content-Length"] = []string{strings.Clone(length)}
	}
	if s.e.waning.Load() {
		h["Connection"] = []string{"close"} // net/http makes a GOAWAY of it
	}
}

// addAll adds copies of the fields, with a prefix before their names, but for
// those that HTTP/2 has no use for (RFC 9113 section 8.2.2).
func addAll(to http.Header, prefix string, from *exchange.Header) {
	for _, f := range from.Fields() {
		if f.Key.HopByHop() || f.Key == exchange.KeyContentLength {
			continue
		}
		name := prefix + http.CanonicalHeaderKey(strings.Clone(f.Name))
		to[name] = append(to[name], strings.Clone(f.Value))
	}
}

// sendWhole gives the content to net/http, which sends a small one together
// with the end of the stream.
func (s *stream) sendWhole(content []byte) bool {
	if err := s.write(content); err != nil {
		return s.lost(err)
	}
	return true
}

// relay sends the content as it comes, each piece at once, so that an event is
// never kept waiting. Only the last one waits for the end of the stream.
func (s *stream) relay() bool {
	body := &s.x.ResponseBody
	s.follow()
	defer s.events.Store(false)
	buf := s.e.deps.Buffers.Get(wire.LargeBuffer)
	defer buf.Release()
	if !body.Ready() {
		if err := s.flush(); err != nil {
			return s.lost(err)
		}
	}
	for {
		n, err := body.Read(buf.B)
		if n > 0 {
			last := err == io.EOF || body.BytesRead() == body.Size()
			if err := s.send(buf.B[:n], last); err != nil {
				return s.lost(err)
			}
		}
		if err == io.EOF {
			addAll(s.w.Header(), http.TrailerPrefix, &s.x.ResponseTrailer)
			return true
		}
		if err != nil && s.parted.Load() && s.events.Load() {
			s.x.Reason = exchange.ShuttingDown
			return true // the client is to come again, and is not to take it for a fault
		}
		if err != nil {
			engine.Cut(s.x, err)
			return false
		}
	}
}

// follow notes that a stream of events begins, which may last longer than requests
// when the gateway stops.
func (s *stream) follow() {
	if !engine.IsEvents(s.x) {
		return
	}
	s.events.Store(true)
	if s.e.late.Load() {
		s.cut()
	}
}

// send sends a piece of the content.
func (s *stream) send(p []byte, last bool) error {
	if err := s.write(p); err != nil || last {
		return err
	}
	return s.flush()
}

// write hands a piece to net/http, which keeps less than 4 KB of it. The
// deadline stays for what is still to be sent when the handler has returned.
func (s *stream) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	s.deadline(len(p))
	n, err := s.w.Write(p)
	s.x.BytesOut += int64(n)
	return err
}

// flush sends what net/http keeps. Afterwards nothing is to be sent for a
// while, so that no deadline holds.
func (s *stream) flush() error {
	s.deadline(0)
	err := s.control.Flush()
	_ = s.control.SetWriteDeadline(time.Time{})
	return err
}

func (s *stream) deadline(n int) {
	timeout := engine.WriteTime(time.Duration(s.set.timeouts.Write), n)
	_ = s.control.SetWriteDeadline(time.Now().Add(timeout)) // net/http's streams can
}

// lost notes that the client does not take the answer. It returns false.
func (s *stream) lost(err error) bool {
	s.x.Reason = exchange.ClientGone
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.x.Reason = exchange.WriteTimeout
	} else if r := s.x.Aborted(); r != nil {
		s.x.Reason = r
	}
	return false
}

// WriteInterim implements exchange.Interim. A 100 is net/http's to send, when
// the body is read.
func (s *stream) WriteInterim(status int, h *exchange.Header) error {
	if status == http.StatusContinue {
		return nil
	}
	header := s.w.Header()
	if h != nil {
		addAll(header, "", h)
	}
	s.w.WriteHeader(status)
	clear(header)
	return s.r.Context().Err()
}
