package conformance

import (
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// patience is how long a step waits for its event.
const patience = 10 * time.Second

// changing is what differs from run to run.
var changing = regexp.MustCompile(`(?m)^X-Request-ID: [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\r$` +
	`|^Date: [A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT\r$` +
	`|^Host: 127.0.0.1:\d+\r$` +
	`|^X-Proof: eyJhbGciOiJFZERTQSIs[\w-]+\.eyJ[\w-]+\.[\w-]{86}\r$`)

// settle puts a word for what differs from run to run.
func settle(s string) string {
	return changing.ReplaceAllStringFunc(s, func(line string) string {
		switch line[0] {
		case 'D':
			return "Date: NOW\r"
		case 'H':
			return "Host: ORIGIN\r"
		}
		if strings.HasPrefix(line, "X-Proof") {
			return "X-Proof: ASSERTION\r"
		}
		return "X-Request-ID: ID\r"
	})
}

// socket is one side's raw connection, with what was read and not yet
// expected.
type socket struct {
	net.Conn
	who     string
	pending string
	all     strings.Builder // everything that was read
}

// fill reads once more. It returns io.EOF at the end of the stream.
func (s *socket) fill(t *testing.T) error {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err // closed by the script
	}
	buf := make([]byte, 64<<10)
	n, err := s.Read(buf)
	s.pending += string(buf[:n])
	s.all.Write(buf[:n])
	if n > 0 {
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%s: nothing comes, so far %s", s.who, show(s.pending))
	}
	return err
}

// expect reads until exactly want has come, and keeps what follows.
func (s *socket) expect(t *testing.T, want string) {
	t.Helper()
	for {
		got := settle(s.pending)
		if rest, ok := strings.CutPrefix(got, want); ok {
			s.pending = unsettled(s.pending, want, len(rest))
			return
		}
		if whole := got[:1+strings.LastIndexByte(got, '\n')]; len(got) > len(want)+200 || !strings.HasPrefix(want, whole) {
			t.Fatalf("%s gets\n%s\nwant\n%s", s.who, show(got), show(want))
		}
		if err := s.fill(t); err != nil {
			t.Fatalf("%s gets\n%s\nthen %v, want\n%s", s.who, show(got), err, show(want))
		}
	}
}

// unsettled returns what follows want in raw, which is at least n bytes.
func unsettled(raw, want string, n int) string {
	at := len(raw) - n
	for at > 0 && settle(raw[:at]) != want {
		at--
	}
	return raw[at:]
}

// head reads a head, up to and with the empty line.
func (s *socket) head(t *testing.T) string {
	t.Helper()
	for {
		if head, rest, ok := strings.Cut(s.pending, "\r\n\r\n"); ok {
			s.pending = rest
			return head + "\r\n\r\n"
		}
		if err := s.fill(t); err != nil {
			t.Fatalf("%s gets %s, then %v, within a head", s.who, show(s.pending), err)
		}
	}
}

// take reads n bytes.
func (s *socket) take(t *testing.T, n int) string {
	t.Helper()
	for len(s.pending) < n {
		if err := s.fill(t); err != nil {
			t.Fatalf("%s gets %s, then %v, want %d bytes", s.who, show(s.pending), err, n)
		}
	}
	out := s.pending[:n]
	s.pending = s.pending[n:]
	return out
}

// end waits for the end of the stream, before which nothing more may come.
func (s *socket) end(t *testing.T) error {
	t.Helper()
	if s.pending != "" {
		t.Fatalf("%s gets %s, want the end", s.who, show(s.pending))
	}
	err := s.fill(t)
	if err == nil {
		t.Fatalf("%s gets %s, want the end", s.who, show(s.pending))
	}
	return err
}

// ended waits for a clean end.
func (s *socket) ended(t *testing.T) {
	t.Helper()
	if err := s.end(t); err != io.EOF {
		t.Fatalf("%s: %v, want a clean end", s.who, err)
	}
}

// send writes. The other side may be gone already: what matters is what comes
// back.
func (s *socket) send(t *testing.T, text string) error {
	t.Helper()
	if err := s.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, err := io.WriteString(s.Conn, text)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%s can't send", s.who)
	}
	return err
}

// show makes bytes readable, and short.
func show(s string) string {
	if len(s) > 1500 {
		s = s[:1000] + "..." + s[len(s)-400:]
	}
	return "  " + strings.ReplaceAll(strings.ReplaceAll(quote(s), `\r\n`, "\\r\\n\n  "), `\"`, `"`)
}

func quote(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\n':
			b.WriteString(`\n`)
		case c < ' ' || c > '~':
			b.WriteString(`\x` + string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15]))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
