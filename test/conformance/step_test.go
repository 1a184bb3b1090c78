package conformance

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"yett/internal/catalog"
	"yett/internal/exchange"
)

// script is one case.
type script struct {
	name  string
	conf  conf
	steps []step
	// log is what the access log has afterwards, "status reason" for each
	// exchange, joined by commas.
	log string
	// cut allows that the origin was called in vain, any number of times: what
	// it got must not be a complete request.
	cut bool
}

// step is something that one side does, or sees.
type step func(*stage)

// stage is where a script is played: a client, a gateway and an origin.
type stage struct {
	t        *testing.T
	addr     string
	client   *socket
	other    *socket // another client, where there is one
	listener net.Listener
	accepted chan net.Conn
	origin   *socket // the connection that the last request came on
	writing  chan error
}

// play runs scripts, each with a gateway of its own.
func play(t *testing.T, scripts []script) {
	t.Helper()
	names := map[string]bool{}
	for _, s := range scripts {
		if names[s.name] {
			t.Errorf("two cases are named %q", s.name)
		}
		names[s.name] = true
		t.Run(strings.ReplaceAll(s.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s.play(t)
		})
	}
}

func (s script) play(t *testing.T) {
	st := &stage{t: t, accepted: make(chan net.Conn, 100)}
	st.listen()
	a, log := start(t, s.conf, st.listener.Addr().String())
	st.addr = a.Addr(0).String()
	st.dial()
	func() {
		defer st.leave()
		for _, step := range s.steps {
			step(st)
		}
	}()
	stop(t, a)
	if s.cut {
		st.nothingWhole()
	} else {
		st.nothingLeft()
	}
	var logged []string
	attempts := 0
	for _, l := range log.lines(t) {
		logged = append(logged, strings.TrimSpace(fmt.Sprintf("%d %s", l.Status, l.Reason)))
		attempts += l.Attempts
	}
	if got := strings.Join(logged, ", "); got != s.log {
		t.Errorf("the access log has %q, want %q", got, s.log)
	}
	if st.origin == nil && attempts > 0 && !s.cut && !strings.Contains(s.log, "connect_failed") {
		t.Errorf("the origin was called")
	}
}

// listen is the origin's side: it takes connections and leaves them to the
// script.
func (st *stage) listen() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		st.t.Fatal(err)
	}
	st.listener = ln
	st.t.Cleanup(func() { _ = ln.Close() })
	go func() {
		defer close(st.accepted)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			st.accepted <- c
		}
	}()
}

func (st *stage) dial() {
	c, err := net.DialTimeout("tcp", st.addr, patience)
	if err != nil {
		st.t.Fatal(err)
	}
	st.client = &socket{Conn: c, who: "client"}
}

// leave closes the client, so that the gateway can stop.
func (st *stage) leave() {
	_ = st.client.Close()
	if st.writing != nil {
		<-st.writing
	}
	if st.t.Failed() && st.origin != nil {
		_ = st.origin.Close()
	}
}

// nothingLeft checks that the origin got nothing that the script does not
// know of.
func (st *stage) nothingLeft() {
	st.t.Helper()
	_ = st.listener.Close()
	for c := range st.accepted {
		st.t.Error("the origin was called once more")
		_ = c.Close()
	}
	if st.origin != nil {
		_ = st.origin.SetReadDeadline(time.Now().Add(patience))
		if st.origin.pending == "" {
			buf := make([]byte, 1000)
			n, _ := st.origin.Read(buf)
			st.origin.pending = string(buf[:n])
		}
		if st.origin.pending != "" {
			st.t.Errorf("the origin also gets %s", show(st.origin.pending))
		}
		_ = st.origin.Close()
	}
}

// nothingWhole checks that every request that the origin got ended before its
// end.
func (st *stage) nothingWhole() {
	st.t.Helper()
	_ = st.listener.Close()
	if st.origin != nil {
		st.incomplete(st.origin)
	}
	for c := range st.accepted {
		st.incomplete(&socket{Conn: c, who: "origin"})
	}
}

func (st *stage) incomplete(s *socket) {
	st.t.Helper()
	defer s.Close()
	for s.fill(st.t) == nil {
	}
	br := bufio.NewReader(strings.NewReader(s.all.String()))
	req, err := http.ReadRequest(br)
	if err == nil {
		_, err = io.Copy(io.Discard, req.Body)
	}
	if err == nil {
		st.t.Errorf("the origin gets a complete request: %s", show(s.all.String()))
	}
}

// The client's side.

// ok is what a client gets of the answer "ok", originOK what the origin sends.
const (
	ok       = "HTTP/1.1 200 OK\r\nX-Request-ID: ID\r\nDate: NOW\r\nContent-Length: 2\r\n\r\nok"
	originOK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	okClose  = "HTTP/1.1 200 OK\r\nX-Request-ID: ID\r\nDate: NOW\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
)

const (
	getPing = "GET /ping HTTP/1.1\r\nHost: h\r\n\r\n"
	pong    = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nX-Request-ID: ID\r\nDate: NOW\r\nContent-Length: 4\r\n\r\npong"
)

// forwarded is a case in which one request without a body passes: what the
// client sends, and what the origin gets of it.
func forwarded(name, in, out string) script {
	return script{name: name, steps: []step{send(in), got(out), answer(originOK), want(ok), kept}, log: "200"}
}

// rejected is a case in which the gateway refuses a request whose framing
// can't be trusted. Another request behind it must never be answered.
func rejected(name, in string, status int, code, reason string) script {
	return script{name: name, steps: []step{send(in, getPing), refused(status, code), closed},
		log: fmt.Sprintf("%d %s", status, reason)}
}

// send has the client send.
func send(parts ...string) step {
	return func(st *stage) {
		st.t.Helper()
		if err := st.client.send(st.t, strings.Join(parts, "")); err != nil {
			st.t.Fatalf("client: %v", err)
		}
	}
}

// pour has the client send a lot while the script goes on. It may fail: the
// gateway need not take it.
func pour(size int, piece string) step {
	return func(st *stage) {
		st.writing = make(chan error, 1)
		go func() {
			text := strings.Repeat(piece, size/len(piece))
			_ = st.client.SetWriteDeadline(time.Now().Add(patience))
			_, err := st.client.Write([]byte(text))
			st.writing <- err
		}()
	}
}

// dribble has the client send byte by byte, without waiting.
func dribble(text string) step {
	return func(st *stage) {
		st.t.Helper()
		for i := range len(text) {
			if err := st.client.send(st.t, text[i:i+1]); err != nil {
				st.t.Fatalf("client: %v", err)
			}
		}
	}
}

// want has the client get exactly this.
func want(parts ...string) step {
	return func(st *stage) {
		st.t.Helper()
		st.client.expect(st.t, strings.Join(parts, ""))
	}
}

// refused has the client get an error of the gateway, and what that says
// about the connection.
func refused(status int, code string) step { return refusal(status, code, true) }

// refusedKept is refused on a connection that stays.
func refusedKept(status int, code string) step { return refusal(status, code, false) }

func refusal(status int, code string, closes bool) step {
	return func(st *stage) {
		st.t.Helper()
		head := st.client.head(st.t)
		fields := fieldsOf(st.t, head)
		if line, _, _ := strings.Cut(head, "\r\n"); !strings.HasPrefix(line, fmt.Sprintf("HTTP/1.1 %d ", status)) {
			n, _ := strconv.Atoi(fields["Content-Length"])
			st.t.Fatalf("client gets\n%s%s\nwant %d %s", show(head), show(st.client.take(st.t, n)), status, code)
		}
		n, err := strconv.Atoi(fields["Content-Length"])
		if err != nil {
			st.t.Fatalf("no length in\n%s", show(head))
		}
		checkShape(st.t, st.client.take(st.t, n), status, code, fields)
		if got := fields["Connection"] == "close"; got != closes {
			st.t.Fatalf("Connection: close is %v, want %v", got, closes)
		}
	}
}

func fieldsOf(t *testing.T, head string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, l := range strings.Split(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n")[1:] {
		name, value, ok := strings.Cut(l, ": ")
		if _, twice := out[name]; twice || !ok {
			t.Fatalf("field %q is malformed or there twice", l)
		}
		out[name] = value
	}
	return out
}

// checkShape checks the one form that all errors have.
func checkShape(t *testing.T, body string, status int, code string, fields map[string]string) {
	t.Helper()
	var shape struct {
		Error struct {
			Code      string    `json:"code"`
			Message   string    `json:"message"`
			Status    int       `json:"status"`
			Timestamp time.Time `json:"timestamp"`
			RequestID string    `json:"request_id"`
		} `json:"error"`
	}
	dec := json.NewDecoder(strings.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&shape); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	e := shape.Error
	if e.Code != code || e.Status != status || e.Message == "" || time.Since(e.Timestamp).Abs() > time.Minute {
		t.Fatalf("error %s, want %d %s", body, status, code)
	}
	if e.RequestID != fields["X-Request-ID"] || len(e.RequestID) != 36 {
		t.Errorf("request ID %q in the body, %q in the head", e.RequestID, fields["X-Request-ID"])
	}
	if !slices.ContainsFunc(catalog.Reasons(), func(r *exchange.Reason) bool { return r.Code == code && r.Message == e.Message }) {
		t.Errorf("%q is not on the list of what the gateway says", e.Message)
	}
	checkRefusalFields(t, status, fields)
}

// checkRefusalFields checks the header that all errors have: nothing of what a
// service may have said is in it.
func checkRefusalFields(t *testing.T, status int, fields map[string]string) {
	t.Helper()
	if fields["Content-Type"] != "application/json; charset=utf-8" || fields["Cache-Control"] != "no-store" || fields["Date"] == "" {
		t.Errorf("fields of an error: %v", fields)
	}
	if len(fields["X-Request-ID"]) != 36 || (fields["Allow"] != "") != (status == 405) {
		t.Errorf("fields of an error: %v", fields)
	}
	for name := range fields {
		switch name {
		case "Content-Type", "Cache-Control", "X-Request-ID", "Date", "Content-Length", "Connection", "Allow":
		default:
			t.Errorf("an error has the field %s", name)
		}
	}
}

// closed has the client see a clean end, and nothing before it.
func closed(st *stage) {
	st.t.Helper()
	st.client.ended(st.t)
}

// broken has the client see the connection end, cleanly or not: the message
// is known to be incomplete by its own framing.
func broken(st *stage) {
	st.t.Helper()
	_ = st.client.end(st.t)
}

// reset has the client see a reset: for messages whose end is the end of the
// connection.
func reset(st *stage) {
	st.t.Helper()
	if err := st.client.end(st.t); !isReset(err) {
		st.t.Fatalf("client: %v, want a reset", err)
	}
}

// kept shows that the connection can be used on.
func kept(st *stage) {
	st.t.Helper()
	send(getPing)(st)
	want(pong)(st)
}

// gone has the client close its connection.
func gone(st *stage) { _ = st.client.Close() }

// goneHard has the client reset its connection.
func goneHard(st *stage) {
	_ = st.client.Conn.(*net.TCPConn).SetLinger(0)
	_ = st.client.Close()
}

// halfClose has the client end its direction.
func halfClose(st *stage) { _ = st.client.Conn.(*net.TCPConn).CloseWrite() }

// again has the client open another connection.
func again(st *stage) {
	st.t.Helper()
	_ = st.client.Close()
	st.dial()
}

// The origin's side.

// got has the origin get exactly this, on the connection that it has, or on
// its first.
func got(parts ...string) step {
	return func(st *stage) {
		st.t.Helper()
		if st.origin == nil {
			accept(st)
		}
		st.origin.expect(st.t, strings.Join(parts, ""))
	}
}

// gotRequest has the origin get a GET of a path without fields of the client.
func gotRequest(path string) step {
	return got("GET " + path + " HTTP/1.1\r\nHost: h\r\nX-Request-ID: ID\r\n\r\n")
}

// accept has the origin take a new connection.
func accept(st *stage) {
	st.t.Helper()
	select {
	case c := <-st.accepted:
		st.origin = &socket{Conn: c, who: "origin"}
	case <-time.After(patience):
		_ = st.client.SetReadDeadline(time.Now().Add(time.Millisecond))
		buf := make([]byte, 4096)
		n, err := st.client.Read(buf)
		st.t.Fatalf("the origin gets no connection; client gets %s, %v", show(string(buf[:n])), err)
	}
}

// answer has the origin send.
func answer(parts ...string) step {
	return func(st *stage) {
		st.t.Helper()
		if err := st.origin.send(st.t, strings.Join(parts, "")); err != nil {
			st.t.Fatalf("origin: %v", err)
		}
	}
}

// answerAnyway has the origin send what the gateway need not take.
func answerAnyway(text string) step {
	return func(st *stage) { _ = st.origin.send(st.t, text) }
}

// originCloses has the origin close its connection.
func originCloses(st *stage) { _ = st.origin.Close() }

// originResets has the origin reset its connection.
func originResets(st *stage) {
	_ = st.origin.Conn.(*net.TCPConn).SetLinger(0)
	_ = st.origin.Close()
}

// originHalfCloses has the origin end its direction.
func originHalfCloses(st *stage) { _ = st.origin.Conn.(*net.TCPConn).CloseWrite() }

// originLeaves has the origin take no connections any more.
func originLeaves(st *stage) { _ = st.listener.Close() }

// originLeft has the origin see that the gateway has closed its connection,
// and nothing before that.
func originLeft(st *stage) {
	st.t.Helper()
	_ = st.origin.end(st.t)
	_ = st.origin.Close()
}

// originEnded has the origin see that the gateway has ended its direction.
func originEnded(st *stage) {
	st.t.Helper()
	st.origin.ended(st.t)
}

// originTakes has the origin read n bytes, whatever they are.
func originTakes(n int) step {
	return func(st *stage) {
		st.t.Helper()
		for n := n; n > 0; {
			part := min(n, 32<<10)
			st.origin.take(st.t, part)
			n -= part
		}
	}
}
