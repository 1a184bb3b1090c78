package tickets

import (
	"errors"
	"net/http"
	"time"

	"yett/examples/psa/services/kit"
)

const (
	heartbeatEvery = 15 * time.Second
	frameDeadline  = 10 * time.Second // for a client to take one frame
)

// stream is GET /api/v1/tickets/events: Server-Sent Events until the client leaves or its token stops being good.
func (s *service) stream(w http.ResponseWriter, c *kit.Call) error {
	listening, err := s.feed.join(c.Identity)
	if err != nil {
		return err
	}
	defer s.feed.leave(listening)
	out := frames{w, http.NewResponseController(w)}
	defer func() { _ = out.extend() }() // the server ends the stream after we return
	if out.open() != nil {
		return nil
	}
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	expiry := time.NewTimer(time.Until(c.Identity.ExpiresAt))
	defer expiry.Stop()
	for {
		frame := []byte(": heartbeat\n\n")
		select {
		case <-c.Context().Done():
			return nil
		case <-expiry.C:
			return nil
		case <-heartbeat.C:
		case event, more := <-listening.events:
			if !more {
				return nil
			}
			frame = event
		}
		if s.tokens.Revoked(c.Identity) || out.send(frame) != nil {
			return nil
		}
	}
}

// frames writes a stream one frame at a time, each of them at once and under its own deadline.
type frames struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// open lifts the server's deadline on reading, which would end the stream, and sends the head.
func (f frames) open() error {
	if err := f.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	f.w.Header().Set("Content-Type", "text/event-stream")
	f.w.WriteHeader(http.StatusOK)
	return f.send([]byte("retry: 3000\n\n"))
}

// extend gives what is written next its own time: a frame, or the end of the stream.
func (f frames) extend() error {
	err := f.control.SetWriteDeadline(time.Now().Add(frameDeadline))
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

func (f frames) send(frame []byte) error {
	if err := f.extend(); err != nil {
		return err
	}
	if _, err := f.w.Write(frame); err != nil {
		return err
	}
	return f.control.Flush()
}
