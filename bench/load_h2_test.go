package main

import (
	"encoding/binary"
	"io"
	"log"
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// subjectFrames are frames as a subject sends them.
type subjectFrames struct {
	h2Conn
	text strings.Builder
	enc  *hpack.Encoder
}

func newSubjectFrames() *subjectFrames {
	f := &subjectFrames{}
	f.enc = hpack.NewEncoder(&f.text)
	return f
}

func (f *subjectFrames) section(status string) []byte {
	f.text.Reset()
	if status != "" {
		_ = f.enc.WriteField(hpack.HeaderField{Name: ":status", Value: status})
	}
	_ = f.enc.WriteField(hpack.HeaderField{Name: "etag", Value: "some value"})
	return []byte(f.text.String())
}

const (
	headersEnd = h2.FlagHeadersEndHeaders
	streamEnd  = h2.FlagDataEndStream
)

func TestH2Frames(t *testing.T) {
	tests := []struct {
		name   string
		frames func(f *subjectFrames)
		status int
		body   int64
	}{
		{"plain", func(f *subjectFrames) {
			f.frame(h2.FrameHeaders, headersEnd, 1, f.section("200"))
			f.frame(h2.FrameData, streamEnd, 1, make([]byte, 7))
		}, 200, 7},
		{"no body", func(f *subjectFrames) {
			f.frame(h2.FrameHeaders, headersEnd|h2.FlagHeadersEndStream, 1, f.section("404"))
		}, 404, 0},
		{"in pieces", func(f *subjectFrames) {
			section := f.section("200")
			f.frame(h2.FrameHeaders, 0, 1, section[:3])
			f.frame(h2.FrameContinuation, 0, 1, section[3:5])
			f.frame(h2.FrameContinuation, h2.FlagContinuationEndHeaders, 1, section[5:])
			f.frame(h2.FrameData, 0, 1, make([]byte, 5000))
			f.frame(h2.FrameData, 0, 1, nil)
			f.frame(h2.FrameData, streamEnd, 1, make([]byte, 3))
		}, 200, 5003},
		{"padded, with a priority", func(f *subjectFrames) {
			padded := append([]byte{2, 0, 0, 0, 0, 16}, append(f.section("200"), 0, 0)...)
			f.frame(h2.FrameHeaders, headersEnd|h2.FlagHeadersPadded|h2.FlagHeadersPriority, 1, padded)
			f.frame(h2.FrameData, streamEnd|h2.FlagDataPadded, 1, []byte{3, 'a', 'b', 0, 0, 0})
		}, 200, 2},
		{"interim answer and trailers", func(f *subjectFrames) {
			f.frame(h2.FrameHeaders, headersEnd, 1, f.section("103"))
			f.frame(h2.FrameHeaders, headersEnd, 1, f.section("200"))
			f.frame(h2.FrameData, 0, 1, make([]byte, 4))
			f.frame(h2.FrameHeaders, headersEnd|h2.FlagHeadersEndStream, 1, f.section(""))
		}, 200, 4},
		{"others in between", func(f *subjectFrames) {
			f.frame(h2.FrameSettings, 0, 0, appendSetting(nil, h2.SettingMaxConcurrentStreams, 100))
			f.frame(h2.FramePing, 0, 0, []byte("12345678"))
			f.frame(h2.FrameHeaders, headersEnd, 1, f.section("200"))
			f.frame(h2.FrameWindowUpdate, 0, 0, []byte{0, 0, 1, 0})
			f.frame(0xfa, 0, 0, []byte("from the future"))
			f.frame(h2.FrameData, streamEnd, 1, make([]byte, 1))
		}, 200, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newSubjectFrames()
			test.frames(f)
			for cut := range len(f.out) { // in two pieces, at every place
				c := h2Client(t)
				var got []h2Stream
				note := func(s h2Stream) { got = append(got, s) }
				for _, p := range [][]byte{f.out[:cut], f.out[cut:]} {
					if err := c.take(p, note); err != nil {
						t.Fatalf("cut at %d: %v", cut, err)
					}
				}
				if len(got) != 1 || got[0].status != test.status || got[0].body != test.body {
					t.Fatalf("cut at %d: %+v, want one answer of status %d with %d bytes", cut, got, test.status, test.body)
				}
			}
		})
	}
}

// h2Client is a client's side with a request under way on stream 1.
func h2Client(t *testing.T) *h2Conn {
	t.Helper()
	c, err := newH2Conn(request{Method: "GET", Path: "/"}.bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.request(0); err != nil {
		t.Fatal(err)
	}
	return c
}

// What is no whole answer fails.
func TestH2FramesErrors(t *testing.T) {
	tests := map[string]func(f *subjectFrames){
		"reset":               func(f *subjectFrames) { f.frame(h2.FrameRSTStream, 0, 1, make([]byte, 4)) },
		"going away":          func(f *subjectFrames) { f.frame(h2.FrameGoAway, 0, 0, make([]byte, 8)) },
		"pushed":              func(f *subjectFrames) { f.frame(h2.FramePushPromise, headersEnd, 1, make([]byte, 4)) },
		"too large":           func(f *subjectFrames) { f.frame(h2.FrameData, 0, 1, make([]byte, h2MaxFrame+1)) },
		"bad padding":         func(f *subjectFrames) { f.frame(h2.FrameData, h2.FlagDataPadded, 1, []byte{9, 1}) },
		"bad header section":  func(f *subjectFrames) { f.frame(h2.FrameHeaders, headersEnd, 1, []byte{0xff, 0xff}) },
		"no such stream":      func(f *subjectFrames) { f.frame(h2.FrameHeaders, headersEnd, 3, f.section("200")) },
		"data of no stream":   func(f *subjectFrames) { f.frame(h2.FrameData, streamEnd, 3, nil) },
		"data of stream zero": func(f *subjectFrames) { f.frame(h2.FrameData, streamEnd, 0, nil) },
		"second answer": func(f *subjectFrames) {
			for range 2 {
				f.frame(h2.FrameHeaders, headersEnd|h2.FlagHeadersEndStream, 1, f.section("200"))
			}
		},
		"too few streams": func(f *subjectFrames) {
			f.frame(h2.FrameSettings, 0, 0, appendSetting(nil, h2.SettingMaxConcurrentStreams, h2Streams-1))
		},
		"small table": func(f *subjectFrames) {
			f.frame(h2.FrameSettings, 0, 0, appendSetting(nil, h2.SettingHeaderTableSize, 100))
		},
	}
	for name, frames := range tests {
		t.Run(name, func(t *testing.T) {
			f := newSubjectFrames()
			frames(f)
			if err := h2Client(t).take(f.out, func(h2Stream) {}); err == nil {
				t.Error("no error")
			}
		})
	}
}

// A subject that has sent half a window hears of more room, so that it never waits.
func TestH2MakesRoom(t *testing.T) {
	c := h2Client(t)
	c.taken = h2Window/2 - 10
	c.out = nil
	f := newSubjectFrames()
	f.frame(h2.FrameHeaders, headersEnd, 1, f.section("200"))
	f.frame(h2.FrameData, 0, 1, make([]byte, 9))
	if err := c.take(f.out, nil); err != nil || len(c.out) > 0 {
		t.Fatalf("error %v, and %x is sent too early", err, c.out)
	}
	f.out = nil
	f.frame(h2.FrameData, 0, 1, make([]byte, 5))
	if err := c.take(f.out, nil); err != nil {
		t.Fatal(err)
	}
	if len(c.out) != h2FrameHead+4 || h2.FrameType(c.out[3]) != h2.FrameWindowUpdate || binary.BigEndian.Uint32(c.out[h2FrameHead:]) != h2Window/2+4 {
		t.Errorf("%x is sent, want a WINDOW_UPDATE of what has come", c.out)
	}
}

func TestH2RefusesBodies(t *testing.T) {
	if _, err := newH2Conn(request{Method: "POST", Path: "/", Body: 1}.bytes()); err == nil {
		t.Error("a body is left out in silence")
	}
}
