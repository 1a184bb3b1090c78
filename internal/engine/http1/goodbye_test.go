package http1

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"yett/internal/engine"
)

// frame makes a frame of WebSocket.
func frame(first byte, masked bool, content []byte) []byte {
	b := []byte{first}
	mask := byte(0)
	if masked {
		mask = maskFlag
	}
	switch n := len(content); {
	case n < length16:
		b = append(b, mask|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, mask|length16), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, mask|length64), uint64(n))
	}
	if masked {
		b = append(b, 0, 0, 0, 0) // as good a key as any
	}
	return append(b, content...)
}

// However frames are cut into pieces, their ends are found.
func TestFrames(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var f frames
		for range 1 + random.IntN(5) {
			size := []int{0, 1, 125, 126, 127, 65535, 65536, random.IntN(70000)}[random.IntN(8)]
			b := frame(0x82, random.IntN(2) == 0, make([]byte, size))
			if random.IntN(2) == 0 { // as sayGoodbye reads the rest of one
				for !f.between() || len(b) > 0 {
					n := min(f.missing(), len(b))
					f.follow(b[:n])
					if b = b[n:]; f.between() != (len(b) == 0) {
						t.Fatalf("%d bytes are left of a frame with %d bytes, and between is %v", len(b), size, f.between())
					}
				}
				continue
			}
			for len(b) > 0 {
				n := 1 + random.IntN(len(b))
				f.follow(b[:n])
				if b = b[n:]; f.between() != (len(b) == 0) {
					t.Fatalf("%d bytes are left of a frame with %d bytes, and between is %v", len(b), size, f.between())
				}
			}
		}
		if f.closed {
			t.Fatal("a close frame was seen")
		}
		if f.follow(frame(0x88, false, nil)); !f.closed || !f.between() {
			t.Fatal("the close frame was not seen")
		}
	}
}

const switchingSockets = "HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: websocket\n\n"

// sockets is a service whose tunnels the test holds.
func sockets(t *testing.T, then func(p *peer)) (*running, *client) {
	t.Helper()
	r := start(t, origin(t, func(p *peer) {
		p.head()
		p.send(switchingSockets)
		then(p)
	}))
	c := r.dial()
	c.send("GET /t HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\n\n")
	if got := c.answer("GET"); got.StatusCode != 101 {
		t.Fatalf("%+v", got)
	}
	return r, c
}

// drainNow drains with tunnels late at once.
func drainNow(r *running) <-chan engine.Lost {
	lost := make(chan engine.Lost, 1)
	go func() {
		lost <- r.e.Drain(engine.Deadlines{Requests: time.Now().Add(limit), Tunnels: time.Now()})
	}()
	return lost
}

// unmask reads a close frame of a client.
func unmask(b []byte) []byte {
	if len(b) != 8 {
		return b
	}
	return []byte{b[0], b[1], b[6] ^ b[2], b[7] ^ b[3]}
}

// Both sides of a WebSocket get a close frame, and may answer.
func TestWebSocketGoodbye(t *testing.T) {
	atService := make(chan []byte, 1)
	r, c := sockets(t, func(p *peer) {
		b := make([]byte, 8)
		_, _ = io.ReadFull(p.r, b)
		atService <- b
		_, _ = p.Write(frame(0x88, false, []byte{3, 233}))
		_, _ = io.Copy(io.Discard, p.r) // until the gateway closes
	})
	lost := drainNow(r)
	got := make([]byte, 4)
	if _, err := io.ReadFull(c.r, got); err != nil || !bytes.Equal(got, []byte{0x88, 2, 3, 233}) {
		t.Errorf("the client gets % x, %v", got, err)
	}
	if got := unmask(<-atService); !bytes.Equal(got, []byte{0x88, 0x82, 3, 233}) {
		t.Errorf("the service gets % x", got)
	}
	_, _ = c.Write(frame(0x88, true, []byte{3, 233}))
	if !c.over() {
		t.Error("the connection is not closed")
	}
	if l := <-lost; l != (engine.Lost{Tunnels: 1}) {
		t.Errorf("%+v", l)
	}
	if e := r.ended(); e.reason != "shutting_down" || e.status != 101 {
		t.Errorf("%+v", e)
	}
}

// A frame that is half sent is sent to its end first.
func TestGoodbyeBetweenFrames(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 1000)
	half := make(chan struct{})
	r, c := sockets(t, func(p *peer) {
		all := frame(0x81, false, content)
		_, _ = p.Write(all[:500])
		<-half
		_, _ = p.Write(all[500:])
		_, _ = p.Write(frame(0x81, false, []byte("too late")))
		_, _ = p.Write(frame(0x88, false, nil))
		_, _ = io.Copy(io.Discard, p.r)
	})
	if _, err := c.r.Peek(500); err != nil {
		t.Fatal(err)
	}
	lost := drainNow(r)
	eventually(t, "the tunnel is told", r.e.late.Load)
	close(half)
	_, _ = c.Write(frame(0x88, true, nil))
	got, err := io.ReadAll(c.r)
	if want := append(frame(0x81, false, content), 0x88, 2, 3, 233); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the client gets %d bytes that end with % x, %v", len(got), got[max(0, len(got)-8):], err)
	}
	<-lost
}

// Whoever never answers, or stops within a frame, is not waited for.
func TestGoodbyeInVain(t *testing.T) {
	for name, half := range map[string]bool{"silent": false, "within a frame": true} {
		t.Run(name, func(t *testing.T) {
			r, c := sockets(t, func(p *peer) {
				if half {
					_, _ = p.Write(frame(0x81, false, make([]byte, 1000))[:500])
				}
				<-p.over
			})
			if half {
				_, _ = c.r.Peek(500)
			}
			begun := time.Now()
			<-drainNow(r)
			if took := time.Since(begun); took > 3*goodbyeTime {
				t.Errorf("it took %v", took)
			}
			if n := r.e.Connections(); n != 0 {
				t.Errorf("%d connections are left", n)
			}
		})
	}
}

// Of another protocol each direction is closed, and nothing is said.
func TestGoodbyeToOthers(t *testing.T) {
	r := start(t, origin(t, echo))
	c := r.dial()
	c.upgrade()
	lost := drainNow(r)
	if got, err := io.ReadAll(c.r); err != nil || len(got) != 0 {
		t.Errorf("the client gets %q, %v", got, err)
	}
	_ = c.Close()
	if l := <-lost; l != (engine.Lost{Tunnels: 1}) {
		t.Errorf("%+v", l)
	}
}

// A tunnel that begins when they are late already is ended at once.
func TestTunnelComesLate(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	r := start(t, origin(t, func(p *peer) {
		p.head()
		close(asked)
		<-answer
		p.send(switchingSockets)
		_, _ = io.Copy(io.Discard, p.r)
	}))
	c := r.dial()
	c.send("GET /t HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\n\n")
	<-asked
	lost := drainNow(r)
	eventually(t, "tunnels are late", r.e.late.Load)
	close(answer)
	if got := c.answer("GET"); got.StatusCode != 101 {
		t.Fatalf("%+v", got)
	}
	if got, err := io.ReadAll(c.r); err != nil || !bytes.Equal(got, []byte{0x88, 2, 3, 233}) {
		t.Errorf("the client gets % x, %v", got, err)
	}
	<-lost
}

// A stream of events ends as if it were complete; other answers do not.
func TestEventsEnd(t *testing.T) {
	for kind, whole := range map[string]bool{"text/event-stream; charset=utf-8": true, "text/plain": false} {
		t.Run(kind, func(t *testing.T) {
			r := start(t, origin(t, func(p *peer) {
				p.head()
				p.send("HTTP/1.1 200 OK\nContent-Type: " + kind + "\nTransfer-Encoding: chunked\n\n7\ndata: 1\n")
				<-p.over
			}))
			c := r.dial()
			c.send("GET / HTTP/1.1\nHost: a\n\n")
			if _, err := c.r.Peek(100); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the stream is known", func() bool { return r.lasting() == whole })
			begun := time.Now()
			lost := r.e.Drain(engine.Deadlines{Requests: begun.Add(ms300), Tunnels: begun.Add(ms300 / 2)})
			if want := (engine.Lost{Tunnels: 1}); whole && lost != want {
				t.Errorf("%+v, want %+v", lost, want)
			}
			if want := (engine.Lost{Requests: 1}); !whole && lost != want {
				t.Errorf("%+v, want %+v", lost, want)
			}
			got, err := io.ReadAll(c.r)
			if ended := bytes.HasSuffix(got, []byte("\r\n0\r\n\r\n")); ended != whole {
				t.Errorf("the answer ends with %q, %v", got[max(0, len(got)-20):], err)
			}
			if e := r.ended(); e.reason != "shutting_down" {
				t.Errorf("%+v", e)
			}
		})
	}
}

const ms300 = 300 * time.Millisecond

// lasting tells whether any connection has a tunnel or a stream of events.
func (r *running) lasting() bool {
	return r.e.count((*conn).lasting) > 0
}

// Events outlive the deadline of requests.
func TestEventsHaveTheirOwnDeadline(t *testing.T) {
	second := make(chan struct{})
	r := start(t, origin(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\nContent-Type: text/event-stream\nTransfer-Encoding: chunked\n\n7\ndata: 1\n")
		<-second
		p.send("7\ndata: 2\n0\n\n")
	}))
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: a\n\n")
	eventually(t, "the stream is known", r.lasting)
	idle := r.dial()
	busy := make(chan engine.Lost, 1)
	go func() {
		busy <- r.e.Drain(engine.Deadlines{Requests: time.Now().Add(50 * time.Millisecond), Tunnels: time.Now().Add(limit)})
	}()
	if _, err := idle.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the idle connection: %v", err)
	}
	time.AfterFunc(100*time.Millisecond, func() { close(second) })
	if got := c.answer("GET"); got.body != "data: 1data: 2" {
		t.Errorf("%q", got.body)
	}
	if lost := <-busy; lost != (engine.Lost{}) {
		t.Errorf("%+v", lost)
	}
}

// From Wane on answers are the last ones, and connections that wait stay.
func TestWane(t *testing.T) {
	for _, lot := range []bool{false, true} {
		r := start(t, origin(t, always(ok)), func(s *setup) { s.lot = lot })
		c := r.dial()
		if got := c.get("/"); got.Close {
			t.Error("closed too early")
		}
		r.e.Wane()
		fresh := r.dial()
		if got := fresh.get("/"); !got.Close || got.body != "ok" || !fresh.over() {
			t.Errorf("%+v", got)
		}
		if got := c.get("/"); !got.Close || got.body != "ok" || !c.over() {
			t.Errorf("%+v", got)
		}
	}
}

// A request that has come when idle connections are closed is answered, and never reset, be
// its connection new, resting, or parked.
func TestDrainAnswersWhatHasCome(t *testing.T) {
	for range 50 {
		for _, lot := range []bool{false, true} {
			r := start(t, origin(t, always(ok)), func(s *setup) { s.lot = lot })
			clients := []*client{r.dial(), r.dial(), r.dial()}
			clients[0].get("/")
			clients[1].get("/")
			eventually(t, "all are there", func() bool { return r.e.Connections() == 3 })
			r.e.Wane()
			go func() { _ = r.e.Drain(engine.Until(time.Now().Add(limit))) }()
			for _, c := range clients {
				if _, err := io.WriteString(c.TCPConn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
					continue // closed before: there is nothing to lose
				}
				b, err := io.ReadAll(c.r)
				if len(b) > 0 && (err != nil || !bytes.HasSuffix(b, []byte("\r\n\r\nok"))) {
					t.Fatalf("half an answer: %q, %v", b, err)
				}
			}
		}
	}
}
