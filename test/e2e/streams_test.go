//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"yett/examples/psa/services/kit"
)

// events is an open stream of Server-Sent Events.
type events struct {
	t      *testing.T
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

func openEvents(t *testing.T, p *platform) *events {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", p.url+"/api/v1/tickets/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	s := &events{t: t, lines: bufio.NewScanner(resp.Body), cancel: cancel}
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || ct != "text/event-stream" {
		t.Fatalf("status %d, Content-Type %q", resp.StatusCode, ct)
	}
	if !s.lines.Scan() || s.lines.Text() != "retry: 3000" { // sent before there is any event
		t.Fatalf("the stream begins with %q, %v", s.lines.Text(), s.lines.Err())
	}
	return s
}

// next waits for the data of the next event.
func (s *events) next() string {
	s.t.Helper()
	for s.lines.Scan() {
		if data, ok := strings.CutPrefix(s.lines.Text(), "data: "); ok {
			return data
		}
	}
	s.t.Fatalf("the stream ended: %v", s.lines.Err())
	return ""
}

func (s *events) close() { s.cancel() }

// Every event arrives before the next one happens: nothing is held back.
func TestEventsArriveAtOnce(t *testing.T) {
	p := startPlatform(t)
	p.login("tech@example.com")
	stream := openEvents(t, p)
	var delays []time.Duration
	for i := range 100 {
		subject := "Ticket " + strconv.Itoa(i)
		begun := time.Now()
		p.call("POST", "/api/v1/tickets", `{"subject":"`+subject+`","customerId":"`+kit.DemoID("customer", "bakery")+`"}`).want(t, 201)
		if data := stream.next(); !strings.Contains(data, `"`+subject+`"`) {
			t.Fatalf("event %d is %s", i, data)
		}
		delays = append(delays, time.Since(begun))
	}
	slices.Sort(delays)
	t.Logf("from sending the change to its event: median %s, longest %s", delays[len(delays)/2], delays[len(delays)-1])
	stream.close()
	if e := p.waitLog("/api/v1/tickets/events"); e.Route != "ticket-events" || e.Reason != "client_gone" {
		t.Errorf("%+v", e)
	}
}

// echoServer sends back every WebSocket message.
func echoServer(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered
		}
		defer conn.CloseNow()
		conn.SetReadLimit(maxMessage)
		for {
			kind, data, err := conn.Read(r.Context())
			if err != nil || conn.Write(r.Context(), kind, data) != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return server
}

const maxMessage = 1 << 20

// messageSizes are mostly small, with some of every size up to a megabyte.
func messageSizes(n int) []int {
	random := rand.New(rand.NewPCG(1, 2))
	sizes := make([]int, n)
	for i := range sizes {
		most := 1 << 10
		switch {
		case i%1000 == 999:
			most = maxMessage
		case i%50 == 49:
			most = 64 << 10
		}
		sizes[i] = 1 + random.IntN(most)
	}
	sizes[0], sizes[n/2] = 1, maxMessage
	return sizes
}

func TestWebSocketEcho(t *testing.T) {
	g := run(t, write(t, "yett.yaml", appConfig), "APP="+echoServer(t).URL)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, g.url+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxMessage)
	if !uuid4.MatchString(resp.Header.Get("X-Request-ID")) {
		t.Errorf("the 101 has X-Request-ID %q", resp.Header.Get("X-Request-ID"))
	}
	sizes := messageSizes(10_000)
	pattern := bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz-"), maxMessage/37+1)
	sent := make(chan error, 1)
	go func() {
		for i, size := range sizes { // each begins elsewhere, so that none is taken for another
			if err := conn.Write(ctx, websocket.MessageBinary, message(pattern, i, size)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i, size := range sizes {
		kind, data, err := conn.Read(ctx)
		if err != nil || kind != websocket.MessageBinary || !bytes.Equal(data, message(pattern, i, size)) {
			t.Fatalf("message %d of %d bytes came back with %d bytes, %v, %v", i, size, len(data), kind, err)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Errorf("closing: %v", err)
	}
	if e := g.waitLog("/echo"); e.Status != 101 || e.Reason != "" {
		t.Errorf("%+v", e)
	}
}

func message(pattern []byte, i, size int) []byte {
	from := min(i%37, len(pattern)-size)
	return pattern[from : from+size]
}
