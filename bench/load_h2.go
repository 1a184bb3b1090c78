package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// h2Streams is how many requests are under way at once on a connection of HTTP/2.
	h2Streams = 8
	// h2Window is how much a subject may send on a connection before it hears that
	// there is room for more; h2StreamWindow how much on a stream, and it never hears
	// of more there. Both are what Go's client gives.
	h2Window       = 1 << 30
	h2StreamWindow = 4 << 20

	h2FrameHead = 9
	h2MaxFrame  = 16 << 10
	h2TableSize = 4096 // of HPACK, when nobody says anything else
)

// h2Conn is the client's side of a connection of HTTP/2 (RFC 9113) that sends
// one request again and again.
type h2Conn struct {
	out []byte // frames to be sent
	in  []byte // of a frame whose end has not come yet

	// first and again are the header section of the first request and of all that
	// follow: the first one has filled HPACK's table.
	first, again []byte
	lastID       uint32
	streams      [h2Streams]h2Stream

	fields  *hpack.Decoder
	status  int    // in the header section that is being read, 0 for none
	section uint32 // the stream that it belongs to
	ends    bool   // the stream has nothing behind it
	taken   int    // bytes of DATA since the subject heard of more room
}

// h2Stream is a request under way and what has come of its answer.
type h2Stream struct {
	id     uint32 // 0 when it is free
	sent   time.Duration
	status int
	body   int64
}

// newH2Conn begins a connection for a request as HTTP/1.1 would send it.
func newH2Conn(request []byte) (*h2Conn, error) {
	c := &h2Conn{}
	c.fields = hpack.NewDecoder(h2TableSize, func(f hpack.HeaderField) {
		if f.Name == ":status" {
			c.status, _ = strconv.Atoi(f.Value) // 0 is no good status either
		}
	})
	if err := c.encode(request); err != nil {
		return nil, err
	}
	c.out = append(c.out, h2.ClientPreface...)
	settings := appendSetting(nil, h2.SettingEnablePush, 0)
	settings = appendSetting(settings, h2.SettingInitialWindowSize, h2StreamWindow)
	c.frame(h2.FrameSettings, 0, 0, settings)
	c.frame(h2.FrameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, h2Window))
	return c, nil
}

func appendSetting(p []byte, id h2.SettingID, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(p, uint16(id)), value)
}

// encode prepares the header sections.
func (c *h2Conn) encode(request []byte) error {
	fields, err := h2Fields(request)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	encode := func() []byte {
		b.Reset()
		for _, f := range fields {
			_ = e.WriteField(f) // a buffer takes everything
		}
		return bytes.Clone(b.Bytes())
	}
	c.first, c.again = encode(), encode()
	if !bytes.Equal(c.again, encode()) {
		return errors.New("header fields are too many for HPACK's table")
	}
	return nil
}

// h2Fields returns the fields of a request without a body.
func h2Fields(request []byte) ([]hpack.HeaderField, error) {
	head, body, _ := strings.Cut(string(request), "\r\n\r\n")
	if body != "" {
		return nil, errors.New("requests with a body are not sent over HTTP/2")
	}
	lines := strings.Split(head, "\r\n")
	parts := strings.Fields(lines[0])
	if len(parts) != 3 {
		return nil, fmt.Errorf("no request line: %q", lines[0])
	}
	fields := []hpack.HeaderField{{Name: ":method", Value: parts[0]}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: parts[1]}}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		name = strings.ToLower(name)
		if name == "host" { // pseudo-fields come first, and Host does in our requests
			name = ":authority"
		}
		fields = append(fields, hpack.HeaderField{Name: name, Value: value})
	}
	return fields, nil
}

// request adds the next request to what is to be sent.
func (c *h2Conn) request(now time.Duration) error {
	s := c.find(0)
	if s == nil {
		return errors.New("no stream is free")
	}
	section := c.again
	if c.lastID == 0 {
		section = c.first
		c.lastID = 1
	} else {
		c.lastID += 2
	}
	*s = h2Stream{id: c.lastID, sent: now}
	c.frame(h2.FrameHeaders, h2.FlagHeadersEndHeaders|h2.FlagHeadersEndStream, s.id, section)
	return nil
}

// find returns the stream with that number, a free one for 0.
func (c *h2Conn) find(id uint32) *h2Stream {
	for i := range c.streams {
		if c.streams[i].id == id {
			return &c.streams[i]
		}
	}
	return nil
}

func (c *h2Conn) frame(kind h2.FrameType, flags h2.Flags, stream uint32, payload []byte) {
	n := len(payload)
	c.out = append(c.out, byte(n>>16), byte(n>>8), byte(n), byte(kind), byte(flags))
	c.out = binary.BigEndian.AppendUint32(c.out, stream)
	c.out = append(c.out, payload...)
}

// take handles received bytes. It calls done for each stream that has its whole
// answer, which is free again by then.
func (c *h2Conn) take(p []byte, done func(h2Stream)) error {
	if len(c.in) > 0 {
		c.in = append(c.in, p...)
		p = c.in
	}
	for len(p) >= h2FrameHead {
		size := int(p[0])<<16 | int(p[1])<<8 | int(p[2])
		if size > h2MaxFrame {
			return fmt.Errorf("frame of %d bytes, more than allowed", size)
		}
		if len(p) < h2FrameHead+size {
			break
		}
		ended, err := c.handle(h2.FrameType(p[3]), h2.Flags(p[4]), binary.BigEndian.Uint32(p[5:])&(1<<31-1), p[h2FrameHead:h2FrameHead+size])
		if err != nil {
			return err
		}
		if ended != nil {
			whole := *ended
			*ended = h2Stream{}
			done(whole)
		}
		p = p[h2FrameHead+size:]
	}
	c.in = append(c.in[:0], p...)
	return nil
}

// handle returns the stream that has ended with a frame, if one has.
func (c *h2Conn) handle(kind h2.FrameType, flags h2.Flags, stream uint32, payload []byte) (*h2Stream, error) {
	switch kind {
	case h2.FrameData:
		return c.handleData(flags, stream, payload)
	case h2.FrameHeaders:
		fragment, err := fragmentOf(flags, payload)
		if err != nil {
			return nil, err
		}
		c.status, c.section, c.ends = 0, stream, flags.Has(h2.FlagHeadersEndStream)
		return c.handleSection(flags.Has(h2.FlagHeadersEndHeaders), fragment)
	case h2.FrameContinuation:
		return c.handleSection(flags.Has(h2.FlagContinuationEndHeaders), payload)
	case h2.FrameSettings:
		return nil, c.handleSettings(flags, payload)
	case h2.FramePing:
		if !flags.Has(h2.FlagPingAck) {
			c.frame(h2.FramePing, h2.FlagPingAck, 0, payload)
		}
	case h2.FrameRSTStream, h2.FrameGoAway, h2.FramePushPromise:
		return nil, fmt.Errorf("subject sent %v on stream %d: %x", kind, stream, payload)
	}
	return nil, nil // of room to send, or nothing that we know
}

func (c *h2Conn) handleData(flags h2.Flags, stream uint32, payload []byte) (*h2Stream, error) {
	s := c.find(stream)
	if s == nil || stream == 0 {
		return nil, fmt.Errorf("DATA on stream %d, which has no request", stream)
	}
	c.makeRoom(len(payload))
	data, err := unpad(flags.Has(h2.FlagDataPadded), payload)
	if err != nil {
		return nil, err
	}
	s.body += int64(len(data))
	if flags.Has(h2.FlagDataEndStream) {
		return s, nil
	}
	return nil, nil
}

// makeRoom tells the subject of room for what has come, half a window at a time.
func (c *h2Conn) makeRoom(n int) {
	c.taken += n
	if c.taken >= h2Window/2 {
		c.frame(h2.FrameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, uint32(c.taken)))
		c.taken = 0
	}
}

// handleSection takes a piece of a header section.
func (c *h2Conn) handleSection(last bool, fragment []byte) (*h2Stream, error) {
	if _, err := c.fields.Write(fragment); err != nil {
		return nil, fmt.Errorf("read header section: %w", err)
	}
	if !last {
		return nil, nil
	}
	if err := c.fields.Close(); err != nil {
		return nil, fmt.Errorf("read header section: %w", err)
	}
	s := c.find(c.section)
	if s == nil || c.section == 0 {
		return nil, fmt.Errorf("header section on stream %d, which has no request", c.section)
	}
	if c.status != 0 { // trailers have none; an interim answer's is overwritten
		s.status = c.status
	}
	if c.ends {
		return s, nil
	}
	return nil, nil
}

// fragmentOf returns the header section's part of a HEADERS frame.
func fragmentOf(flags h2.Flags, payload []byte) ([]byte, error) {
	p, err := unpad(flags.Has(h2.FlagHeadersPadded), payload)
	if err != nil || !flags.Has(h2.FlagHeadersPriority) {
		return p, err
	}
	const priority = 5
	if len(p) < priority {
		return nil, errors.New("HEADERS frame too short")
	}
	return p[priority:], nil
}

// unpad removes padding, and the length that stands before.
func unpad(padded bool, p []byte) ([]byte, error) {
	if !padded {
		return p, nil
	}
	if len(p) == 0 || len(p)-1 < int(p[0]) {
		return nil, errors.New("frame shorter than its padding")
	}
	return p[1 : len(p)-int(p[0])], nil
}

func (c *h2Conn) handleSettings(flags h2.Flags, payload []byte) error {
	if flags.Has(h2.FlagSettingsAck) {
		return nil
	}
	for ; len(payload) >= 6; payload = payload[6:] {
		id, value := h2.SettingID(binary.BigEndian.Uint16(payload)), binary.BigEndian.Uint32(payload[2:])
		switch {
		case id == h2.SettingMaxConcurrentStreams && value < h2Streams:
			return fmt.Errorf("subject takes %d requests at once, want %d", value, h2Streams)
		case id == h2.SettingHeaderTableSize && value < h2TableSize:
			return fmt.Errorf("subject has a table of %d bytes for header fields, want %d", value, h2TableSize)
		}
	}
	c.frame(h2.FrameSettings, h2.FlagSettingsAck, 0, nil)
	return nil
}
