package nethttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/wire"
)

func TestRequestBecomesExchange(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		s := start(t, secure, listener(), func(x *exchange.Exchange) {
			var b strings.Builder
			fmt.Fprintf(&b, "%s %q %q %q %v %v\n", x.Method, x.Host, x.RawPath, x.Query, x.HasQuery, x.Version)
			fmt.Fprintf(&b, "secure=%v peer=%v local=%v limit=%d empty=%v now=%v upgrade=%q\n", x.Secure,
				x.Peer.Addr(), "http://"+x.Local.String() == x.Authority, x.BodyLimit, x.RequestBody.Empty(), x.Now.IsZero(), x.Upgrade)
			for _, f := range x.Request.Fields() {
				fmt.Fprintf(&b, "%s: %s (%v)\n", f.Name, f.Value, f.Key == exchange.KeyOf(f.Name))
			}
			x.ResponseBody.SetBytes([]byte(b.String()))
		})
		r, err := http.NewRequestWithContext(t.Context(), "PURGE", s.url+"/a%2Fb/%7e?q=%41&", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "WWW.Example.ORG.:8443"
		r.Header = http.Header{
			"Cookie": {"a=1; b=2"}, "X-Two": {"1", "2"}, "Accept": {"*/*"}, "X_user_id": {"root"},
			"User-Agent": {"test"}, "Te": {"trailers"}, "Accept-Encoding": {"identity"},
		}
		resp, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		want := fmt.Sprintf("PURGE %q %q %q true HTTP/2\n", "www.example.org", "/a%2Fb/%7e", "q=%41&") +
			fmt.Sprintf("secure=%v peer=127.0.0.1 local=false limit=0 empty=true now=false upgrade=\"\"\n", secure) +
			"Host: WWW.Example.ORG.:8443 (true)\n" +
			"Accept: */* (true)\nAccept-Encoding: identity (true)\nCookie: a=1; b=2 (true)\nTe: trailers (true)\n" +
			"User-Agent: test (true)\nX-Two: 1 (true)\nX-Two: 2 (true)\nX_user_id: root (true)\n"
		if err != nil || string(got) != want {
			t.Errorf("the exchange is\n%s\nwant\n%s\n(%v)", got, want, err)
		}
		if resp.ProtoMajor != 2 {
			t.Errorf("the answer is %s", resp.Proto)
		}
	})
}

func TestAddressesAreOfTheSocket(t *testing.T) {
	s := start(t, false, listener(), func(x *exchange.Exchange) {
		x.ResponseBody.SetBytes([]byte("http://" + x.Local.String()))
		if !x.Peer.IsValid() || x.Peer == x.Local {
			x.Status = 500
		}
	})
	if resp, body := s.do(t, "GET", "/", nil, nil); body != s.url || resp.StatusCode != 200 {
		t.Errorf("local address %s, want %s; status %d", body, s.url, resp.StatusCode)
	}
}

func TestBodiesBothWays(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		s := start(t, secure, listener(), func(x *exchange.Exchange) {
			x.Response.Add("X-Size", fmt.Sprint(x.RequestBody.Size()))
			x.ResponseBody.SetSource(&source{read: x.RequestBody.Read}, x.RequestBody.Size())
		})
		for _, n := range []int{0, 1, 4096, 4097, 64 << 10, 3 << 20} {
			for _, known := range []bool{true, false} {
				content := bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n]
				var body io.Reader = bytes.NewReader(content)
				size := int64(n)
				if !known {
					body, size = io.MultiReader(body), -1
				}
				resp, got := s.do(t, "POST", "/", body, nil)
				if got != string(content) || resp.ContentLength != size || resp.Header.Get("X-Size") != fmt.Sprint(size) {
					t.Errorf("%d bytes, known %v: got %d, Content-Length %d, size %s", n, known, len(got), resp.ContentLength, resp.Header.Get("X-Size"))
				}
				if o := <-s.core.done; o.in != int64(n) || o.out != int64(n) || o.reason != nil {
					t.Errorf("%d bytes, known %v: noted %+v", n, known, o)
				}
			}
		}
	})
}

func TestAnswerWithoutContent(t *testing.T) {
	for _, tc := range []struct {
		name, method string
		status       int
		named        string // Content-Length of the service
		whole        string
		length       int64 // -1: none
	}{
		{"HEAD with the service's length", "HEAD", 200, "1234", "", 1234},
		{"HEAD without a length", "HEAD", 200, "", "", -1},
		{"HEAD of a page of the gateway", "HEAD", 404, "", "not here", 8},
		{"304 with the service's length", "GET", 304, "99", "", 99},
		{"204", "GET", 204, "5", "", 0}, // net/http's client says 0 where there is no field
		{"GET of nothing", "GET", 200, "", "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := start(t, false, listener(), func(x *exchange.Exchange) {
				x.Status = tc.status
				if tc.named != "" {
					x.Response.Add("content-length", tc.named)
				}
				x.ResponseBody.SetBytes([]byte(tc.whole))
			})
			r, err := http.NewRequestWithContext(t.Context(), tc.method, s.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := s.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body := make([]byte, 1) // not all of it: net/http's client misses the content of a 304 that names a length
			if n, _ := resp.Body.Read(body); resp.StatusCode != tc.status || n > 0 || resp.ContentLength != tc.length {
				t.Errorf("%d, length %d, body %q", resp.StatusCode, resp.ContentLength, body[:n])
			}
			if tc.status == 204 && resp.Header.Get("Content-Length") != "" {
				t.Error("a 204 has a Content-Length")
			}
		})
	}
}

// The answer's strings end with the exchange, while net/http may still have
// them to write: the memory is overwritten here as the next exchange would.
func TestAnswerIsCopied(t *testing.T) {
	var memory []byte
	s := start(t, false, listener(), func(x *exchange.Exchange) {
		memory = []byte("X-View value body")
		x.Response.Add(exchange.View(memory[:6]), exchange.View(memory[7:12]))
		x.ResponseBody.SetBytes(memory[13:])
		x.ResponseTrailer.Add("unused", "")
	})
	done := s.core.done
	s.core.done = make(chan outcome) // unbuffered: Done waits until the memory is spoilt
	go func() {
		o := <-s.core.done
		copy(memory, "!!!!!!!!!!!!!!!!!!!!")
		done <- o
	}()
	resp, body := s.do(t, "GET", "/", nil, nil)
	if body != "body" || resp.Header.Get("X-View") != "value" {
		t.Errorf("body %q, header %v", body, resp.Header)
	}
	<-done
}

func TestAnswerHeader(t *testing.T) {
	s := start(t, false, listener(), func(x *exchange.Exchange) {
		for _, f := range [][2]string{
			{"connection", "close"}, {"Keep-Alive", "timeout=5"}, {"Upgrade", "h2c"}, {"Transfer-Encoding", "chunked"},
			{"Proxy-Connection", "close"}, {"set-cookie", "a=1"}, {"Set-Cookie", "b=2"}, {"Date", "Thu, 01 Jan 1970 00:00:00 GMT"},
			{"Content-Length", "77"},
		} {
			x.Response.Add(f[0], f[1])
		}
		x.ResponseBody.SetBytes([]byte("<html>"))
	})
	resp, body := s.do(t, "GET", "/", nil, nil)
	want := http.Header{"Set-Cookie": {"a=1", "b=2"}, "Date": {"Thu, 01 Jan 1970 00:00:00 GMT"}, "Content-Length": {"6"}}
	if fmt.Sprint(resp.Header) != fmt.Sprint(want) || body != "<html>" {
		t.Errorf("header %v, want %v; body %q", resp.Header, want, body)
	}
	// Connection: close does not end the client's connection.
	s.do(t, "GET", "/", nil, nil)
	if n := s.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestEventArrivesBeforeTheNext(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		events := make(chan string)
		s := start(t, secure, listener(), func(x *exchange.Exchange) {
			x.Response.Add("Content-Type", "text/event-stream")
			x.ResponseBody.SetSource(pieces(events), -1)
		})
		resp, err := s.client.Get(s.url) // returns with the head, before any event
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		buf := make([]byte, 100)
		for _, text := range []string{"data: 1\n\n", "data: 2\n\n"} {
			events <- text
			n, err := resp.Body.Read(buf)
			if string(buf[:n]) != text || err != nil {
				t.Fatalf("read %q, %v", buf[:n], err)
			}
		}
		close(events)
		if n, err := resp.Body.Read(buf); n != 0 || err != io.EOF {
			t.Errorf("at the end: %d bytes, %v", n, err)
		}
	})
}

func TestTrailersBothWays(t *testing.T) {
	s := start(t, false, listener(), func(x *exchange.Exchange) {
		x.Response.Add("Trailer", "X-Sum, X-Named")
		x.Response.Add("X-Named", x.Request.Get("Trailer"))
		content, err := io.ReadAll(&x.RequestBody)
		if err != nil {
			x.Status = 500
		}
		x.ResponseTrailer.Add("x-sum", fmt.Sprintf("%d %s", len(content), x.RequestTrailer.Get("X-Check")))
		x.ResponseTrailer.Add("X-Forwarded", fmt.Sprint(x.RequestTrailer.Has(exchange.KeyXForwardedFor)))
		x.ResponseBody.SetSource(&source{read: strings.NewReader("done").Read}, -1)
	})
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.url, io.MultiReader(strings.NewReader("12345")))
	if err != nil {
		t.Fatal(err)
	}
	r.Trailer = http.Header{"X-Check": {"ok"}, "X-Forwarded-For": {"192.0.2.1"}}
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "done" || err != nil {
		t.Errorf("body %q, %v", body, err)
	}
	if named := resp.Header.Get("X-Named"); named != "X-Check, X-Forwarded-For" {
		t.Errorf("the request announced %q", named)
	}
	want := http.Header{"X-Named": nil, "X-Sum": {"5 ok"}, "X-Forwarded": {"false"}}
	if fmt.Sprint(resp.Trailer) != fmt.Sprint(want) {
		t.Errorf("trailer %v, want %v", resp.Trailer, want)
	}
}

func TestEarlyHints(t *testing.T) {
	s := start(t, false, listener(), func(x *exchange.Exchange) {
		var hints exchange.Header
		hints.Add("link", "</a.css>; rel=preload")
		for _, status := range []int{100, 103} {
			if err := x.Interim.WriteInterim(status, &hints); err != nil {
				x.Status = 500
			}
		}
		if err := x.Interim.WriteInterim(102, nil); err != nil {
			x.Status = 500
		}
		x.ResponseBody.SetBytes([]byte("page"))
	})
	var got []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			got = append(got, fmt.Sprint(code, h))
			return nil
		},
	})
	r, err := http.NewRequestWithContext(ctx, "GET", s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if want := []string{"103 map[Link:[</a.css>; rel=preload]]", "102 map[]"}; !slices.Equal(got, want) {
		t.Errorf("interim answers %q, want %q", got, want)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Link") != "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

func TestExpectContinue(t *testing.T) {
	s := start(t, false, listener(), func(x *exchange.Exchange) {
		if x.RawPath == "/refused" {
			x.Refuse(exchange.BodyTooLarge)
			return
		}
		x.ResponseBody.SetSource(&source{read: x.RequestBody.Read}, -1)
	})
	header := http.Header{"Expect": {"100-continue"}}
	if resp, body := s.do(t, "POST", "/", strings.NewReader("hello"), header); body != "hello" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	<-s.core.done
	if resp, _ := s.do(t, "POST", "/refused", strings.NewReader("hello"), header); resp.StatusCode != 413 {
		t.Errorf("%d", resp.StatusCode)
	}
	if o := <-s.core.done; o.in != 0 || o.reason != exchange.BodyTooLarge {
		t.Errorf("%+v", o)
	}
}

// A small body of known length can be had whole, any other streams.
func TestGather(t *testing.T) {
	s := start(t, false, listener(), func(x *exchange.Exchange) {
		if x.RawPath == "/begun" {
			if _, err := x.RequestBody.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
		if err := x.RequestBody.Gather(); err != nil {
			t.Error(err)
		}
		whole, _ := x.RequestBody.Whole()
		x.Response.Add("X-Whole", fmt.Sprint(len(whole)))
		if x.RequestBody.Streams() {
			x.ResponseBody.SetSource(&source{read: x.RequestBody.Read}, -1)
		} else {
			x.ResponseBody.SetBytes(whole)
		}
	})
	for _, tc := range []struct {
		name, path string
		size       int
		unknown    bool
		trailer    bool
		whole      int
	}{
		{name: "small", size: 5, whole: 5},
		{name: "largest", size: wire.LargeBuffer - 1, whole: wire.LargeBuffer - 1},
		{name: "larger", size: wire.LargeBuffer},
		{name: "of unknown length", size: 5, unknown: true},
		{name: "with a trailer", size: 5, trailer: true},
		{name: "begun", path: "/begun", size: 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			content := strings.Repeat("a", tc.size)
			r, err := http.NewRequestWithContext(t.Context(), "POST", s.url+tc.path, io.MultiReader(strings.NewReader(content)))
			if err != nil {
				t.Fatal(err)
			}
			if !tc.unknown {
				r.ContentLength = int64(tc.size)
			}
			if tc.trailer {
				r.Trailer = http.Header{"X-Sum": {"1"}}
			}
			resp, err := s.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if rest := len(content) - len(got); err != nil || rest > 1 || rest == 1 && tc.path != "/begun" {
				t.Errorf("%d of %d bytes came back, %v", len(got), len(content), err)
			}
			if whole := resp.Header.Get("X-Whole"); whole != fmt.Sprint(tc.whole) {
				t.Errorf("%s bytes were whole, want %d", whole, tc.whole)
			}
			if o := <-s.core.done; o.in != int64(tc.size) {
				t.Errorf("%d bytes were noted", o.in)
			}
		})
	}
}

// A refusal while the client is still sending reaches it, and the connection
// goes on.
func TestRefusedWhileSending(t *testing.T) {
	s := start(t, false, listener(), func(x *exchange.Exchange) {
		if x.RequestBody.Empty() {
			return
		}
		x.RequestBody.Limit(100)
		if _, err := io.ReadAll(&x.RequestBody); errors.Is(err, exchange.ErrBodyTooLarge) {
			x.Refuse(exchange.BodyTooLarge)
			x.ResponseBody.SetBytes([]byte("too large"))
		}
	})
	more, feed := io.Pipe()
	go func() {
		for {
			if _, err := feed.Write(make([]byte, 1000)); err != nil {
				return
			}
		}
	}()
	defer more.Close()
	if resp, body := s.do(t, "POST", "/", more, nil); resp.StatusCode != 413 || body != "too large" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if resp, _ := s.do(t, "GET", "/", nil, nil); resp.StatusCode != 200 || s.Connections() != 1 {
		t.Errorf("afterwards %d, %d connections", resp.StatusCode, s.Connections())
	}
}

func TestClientThatLeavesCancels(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		started := make(chan struct{})
		s := start(t, secure, listener(), func(x *exchange.Exchange) {
			close(started)
			<-x.Context().Done()
			x.Refuse(x.Aborted())
			x.ResponseBody.SetBytes([]byte("nobody reads this"))
		})
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "GET", s.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			<-started
			cancel()
		}()
		resp, err := s.client.Do(r)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("answer %v, error %v", resp, err)
		}
		if o := <-s.core.done; o.reason != exchange.ClientGone || o.status != 499 || o.out != 0 {
			t.Errorf("%+v", o)
		}
	})
}

func TestClientThatLeavesWithinTheAnswer(t *testing.T) {
	events := make(chan string, 1)
	gone := make(chan struct{})
	s := start(t, false, listener(), func(x *exchange.Exchange) {
		events <- "one"
		ctx := x.Context()
		x.ResponseBody.SetSource(&source{
			read: func(p []byte) (int, error) {
				select {
				case text := <-events:
					return copy(p, text), nil
				case <-ctx.Done():
					return 0, errors.New("cancelled")
				}
			},
			closed: func() { close(gone) },
		}, -1)
	})
	resp, err := s.client.Get(s.url)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	if n, err := resp.Body.Read(buf); string(buf[:n]) != "one" || err != nil {
		t.Fatalf("%q %v", buf[:n], err)
	}
	resp.Body.Close()
	<-gone
	if o := <-s.core.done; o.reason != exchange.ClientGone || o.status != 200 || o.out != 3 {
		t.Errorf("%+v", o)
	}
}

// A client that resets its stream within its body is told apart from one that
// ends it early.
func TestClientThatLeavesWithinItsBody(t *testing.T) {
	failed := make(chan error, 1)
	s := start(t, false, listener(), func(x *exchange.Exchange) {
		_, err := io.ReadAll(&x.RequestBody)
		failed <- err
	})
	ctx, cancel := context.WithCancel(t.Context())
	more, feed := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, "POST", s.url, more)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = feed.Write([]byte("part"))
		cancel()
	}()
	if _, err := s.client.Do(r); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := <-failed; !errors.Is(err, exchange.ClientGone) {
		t.Errorf("reading gave %v", err)
	}
}

// An answer that breaks off must not look complete, whether its length was
// named or not.
func TestBrokenAnswerIsReset(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		for _, size := range []int64{-1, 1000, 4} {
			s := start(t, secure, listener(), func(x *exchange.Exchange) {
				first := true
				x.ResponseBody.SetSource(&source{read: func(p []byte) (int, error) {
					if !first {
						return 0, errors.New("the service has died")
					}
					first = false
					return copy(p, "part"), nil
				}}, size)
			})
			resp, err := s.client.Get(s.url)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if err == nil || err == io.EOF {
				t.Errorf("size %d: the client takes the answer for complete", size)
			}
			if o := <-s.core.done; o.reason != exchange.UpstreamCut || o.detail != "the service has died" {
				t.Errorf("size %d: %+v", size, o)
			}
		}
	})
}

func TestFaultCostsOneStream(t *testing.T) {
	s := start(t, false, listener(), func(x *exchange.Exchange) {
		if x.RawPath == "/fault" {
			panic("a fault")
		}
	})
	if resp, err := s.client.Get(s.url + "/fault"); err == nil {
		t.Errorf("the client got %d", resp.StatusCode)
	}
	if resp, _ := s.do(t, "GET", "/", nil, nil); resp.StatusCode != 200 || s.Connections() != 1 {
		t.Errorf("afterwards %d, %d connections", resp.StatusCode, s.Connections())
	}
}

// A fault while the answer streams gives back what the service's answer holds.
func TestFaultClosesTheAnswer(t *testing.T) {
	closed := make(chan struct{})
	s := start(t, false, listener(), func(x *exchange.Exchange) {
		if x.RawPath != "/fault" {
			return
		}
		x.ResponseBody.SetSource(&source{
			read:   func([]byte) (int, error) { panic("a fault") },
			closed: func() { close(closed); panic("another fault") },
		}, 10)
	})
	resp, err := s.client.Get(s.url + "/fault")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("the client takes the answer for complete")
	}
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("the answer was left open")
	}
	if resp, _ := s.do(t, "GET", "/", nil, nil); resp.StatusCode != 200 || s.Connections() != 1 {
		t.Errorf("afterwards %d, %d connections", resp.StatusCode, s.Connections())
	}
}

// A client may leave at the moment its exchange ends: the next one that uses
// the same memory is not its own.
func TestLeavingAfterTheEnd(t *testing.T) {
	e, _ := newEngine(listener(), nil)
	s := e.begin(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	x := s.x
	s.release()
	s.gone()
	if r := x.Aborted(); r != nil {
		t.Errorf("a released exchange was aborted: %v", r)
	}
}
