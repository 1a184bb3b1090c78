package wire

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httputil"
	"strings"
	"testing"

	"yett/internal/exchange"
)

func TestAppendRequest(t *testing.T) {
	for _, tt := range []struct{ name, in, path, want string }{
		{"plain", "GET /a HTTP/1.1\r\nHost: h\r\nA: 1\r\na: 2\r\n\r\n", "/b",
			"GET /b HTTP/1.1\r\nHost: up:80\r\nA: 1\r\na: 2\r\n\r\n"},
		{"query", "GET /a?b=c&d HTTP/1.1\r\nHost: h\r\n\r\n", "/a",
			"GET /a?b=c&d HTTP/1.1\r\nHost: up:80\r\n\r\n"},
		{"empty query", "GET /a? HTTP/1.1\r\nHost: h\r\n\r\n", "/a",
			"GET /a? HTTP/1.1\r\nHost: up:80\r\n\r\n"},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "*",
			"OPTIONS * HTTP/1.1\r\nHost: up:80\r\n\r\n"},
		{"HTTP/1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "/",
			"GET / HTTP/1.1\r\nHost: up:80\r\n\r\n"},
		{"absolute", "GET http://other/x?y HTTP/1.1\r\nHost: h\r\n\r\n", "/x",
			"GET /x?y HTTP/1.1\r\nHost: up:80\r\n\r\n"},
		{"framing is said anew", "POST / HTTP/1.1\r\nHost: h\r\ncontent-length: 005\r\nConnection: close\r\nKeep-Alive: x\r\nUpgrade: y\r\n\r\n", "/",
			"POST / HTTP/1.1\r\nHost: up:80\r\nContent-Length: 5\r\n\r\n"},
		{"chunked", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n", "/",
			"PUT / HTTP/1.1\r\nHost: up:80\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"empty POST", "POST / HTTP/1.1\r\nHost: h\r\n\r\n", "/",
			"POST / HTTP/1.1\r\nHost: up:80\r\nContent-Length: 0\r\n\r\n"},
		{"empty PUT", "PUT / HTTP/1.1\r\nHost: h\r\n\r\n", "/",
			"PUT / HTTP/1.1\r\nHost: up:80\r\nContent-Length: 0\r\n\r\n"},
		{"empty DELETE", "DELETE / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "/",
			"DELETE / HTTP/1.1\r\nHost: up:80\r\n\r\n"},
		{"expect", "PUT / HTTP/1.1\r\nHost: h\r\nexpect: 100-CONTINUE\r\nContent-Length: 3\r\n\r\n", "/",
			"PUT / HTTP/1.1\r\nHost: up:80\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"},
		{"expect without body", "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n", "/",
			"PUT / HTTP/1.1\r\nHost: up:80\r\nContent-Length: 0\r\n\r\n"},
		{"upgrade", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, x\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n", "/",
			"GET / HTTP/1.1\r\nHost: up:80\r\nSec-WebSocket-Version: 13\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{"h2c", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", "/",
			"GET / HTTP/1.1\r\nHost: up:80\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parseFrom(strings.NewReader(tt.in), testLimits())
			if p.reason != nil || p.err != nil {
				t.Fatal(p)
			}
			if got := string(AppendRequest(nil, p.x, "up:80", tt.path, p.m)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestAppendResponse(t *testing.T) {
	const date = "Mon, 02 Jan 2006 15:04:05 GMT"
	for _, tt := range []struct {
		name       string
		status     int
		fields     string
		m          Message
		c          Close
		date       string
		withLength bool
		want       string
	}{
		{"length", 200, "A: 1\r\nContent-Length: 7\r\n", Message{Framing: ByLength, Length: 3}, Persist, "", false,
			"HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 3\r\n\r\n"},
		{"zero length", 200, "", Message{Framing: ByLength}, Persist, "", false,
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"chunked", 404, "", Message{Framing: ByChunks, Length: -1}, Persist, "", false,
			"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"until close", 200, "", Message{Framing: UntilClose}, CloseAfter, "", false,
			"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
		{"HEAD keeps the length", 200, "Content-Length: 7\r\n", Message{}, Persist, "", true,
			"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"},
		{"204 has none", 204, "Content-Length: 7\r\n", Message{}, Persist, "", false,
			"HTTP/1.1 204 No Content\r\n\r\n"},
		{"keep-alive", 200, "Connection: close\r\nKeep-Alive: timeout=5\r\n", Message{Framing: ByLength}, PersistOld, "", false,
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"},
		{"date is added", 200, "", Message{Framing: ByLength}, Persist, date, false,
			"HTTP/1.1 200 OK\r\nDate: " + date + "\r\nContent-Length: 0\r\n\r\n"},
		{"date is kept", 200, "date: x\r\n", Message{Framing: ByLength}, Persist, date, false,
			"HTTP/1.1 200 OK\r\ndate: x\r\nContent-Length: 0\r\n\r\n"},
		{"switch", 101, "Upgrade: other\r\nA: b\r\n", Message{}, SwitchProto, "", false,
			"HTTP/1.1 101 Switching Protocols\r\nA: b\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{"unknown status", 299, "", Message{}, Persist, "", false, "HTTP/1.1 299 \r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var pool exchange.Pool
			x := pool.Get()
			x.Status, x.Upgrade = tt.status, "websocket"
			var detail string
			if r := parseFields([]byte(tt.fields+"\r\n"), &x.Response, 20, &detail); r != nil {
				t.Fatal(detail)
			}
			if got := string(AppendResponse(nil, x, tt.m, tt.c, tt.date, tt.withLength)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestAppendInterim(t *testing.T) {
	if got := string(AppendInterim(nil, 100, nil)); got != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Errorf("100: %q", got)
	}
	var h exchange.Header
	h.Add("Link", "</a>")
	h.Add("Content-Length", "3")
	if got := string(AppendInterim(nil, 103, &h)); got != "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" {
		t.Errorf("103: %q", got)
	}
}

func TestAppendLastChunk(t *testing.T) {
	var h exchange.Header
	if got := string(AppendLastChunk(nil, &h)); got != "0\r\n\r\n" {
		t.Errorf("without trailers: %q", got)
	}
	h.Add("A", "b")
	h.Add("C", "")
	if got := string(AppendLastChunk(nil, &h)); got != "0\r\nA: b\r\nC: \r\n\r\n" {
		t.Errorf("with trailers: %q", got)
	}
}

func TestFrameChunk(t *testing.T) {
	for _, n := range []int{1, 9, 10, 15, 16, 255, 256, 4095, 4096, 65535, LargeBuffer - ChunkHeadRoom - 2, LargeBuffer, 1 << 20} {
		buf := make([]byte, ChunkHeadRoom+n+2)
		data := buf[ChunkHeadRoom : ChunkHeadRoom+n]
		for i := range data {
			data[i] = byte(i)
		}
		want := append(fmt.Appendf(nil, "%x\r\n", n), data...)
		want = append(want, "\r\n"...)
		got := FrameChunk(buf, n)
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %q...", n, got[:min(len(got), 20)])
		}
		if &got[len(got)-1] != &buf[len(buf)-1] {
			t.Errorf("%d bytes: the chunk was not framed in place", n)
		}
		plain, err := io.ReadAll(httputil.NewChunkedReader(io.MultiReader(bytes.NewReader(got), strings.NewReader("0\r\n\r\n"))))
		if err != nil || !bytes.Equal(plain, buf[ChunkHeadRoom:ChunkHeadRoom+n]) {
			t.Errorf("%d bytes come back as %d, %v", n, len(plain), err)
		}
	}
}
