package wire

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"yett/internal/exchange"
)

// testLimits are small enough to reach and large enough for every table.
func testLimits() *Limits {
	return &Limits{FirstLine: 1000, Header: 3000, HeaderCount: 20, ChunkLine: 100, Trailer: 200}
}

// arrivals are the ways in which bytes can reach a Reader. What a message
// means must not depend on them.
func arrivals() map[string]func(string) io.Reader {
	return map[string]func(string) io.Reader{
		"at once":       func(s string) io.Reader { return strings.NewReader(s) },
		"byte by byte":  func(s string) io.Reader { return iotest.OneByteReader(strings.NewReader(s)) },
		"half by half":  func(s string) io.Reader { return iotest.HalfReader(strings.NewReader(s)) },
		"end with data": func(s string) io.Reader { return iotest.DataErrReader(strings.NewReader(s)) },
	}
}

// parsed is a request as wire understood it.
type parsed struct {
	x      *exchange.Exchange
	d      *Reader
	m      Message
	reason *exchange.Reason
	err    error
}

// parseFrom reads one request head from src.
func parseFrom(src io.Reader, lim *Limits) parsed {
	var pool exchange.Pool
	p := parsed{x: pool.Get(), d: new(Reader)}
	p.d.Reset(src, new(Buffers))
	head, err := p.d.ReadHead(lim)
	if err != nil {
		p.err, p.reason = err, RequestReason(err)
		return p
	}
	p.m, p.reason = ParseRequest(head, p.x, lim)
	return p
}

// String describes the request in one line, for tables.
func (p parsed) String() string {
	switch {
	case p.reason != nil:
		return p.reason.Name
	case p.err != nil:
		return p.err.Error()
	}
	x := p.x
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", x.Method, x.RawPath)
	if x.HasQuery {
		b.WriteString("?" + x.Query)
	}
	fmt.Fprintf(&b, " %s host=%s", x.Version, x.Host)
	describeMessage(&b, p.m)
	if x.Upgrade != "" {
		b.WriteString(" upgrade=" + x.Upgrade)
	}
	if x.ExpectContinue {
		b.WriteString(" expect")
	}
	return b.String()
}

func describeMessage(b *strings.Builder, m Message) {
	switch m.Framing {
	case ByLength:
		fmt.Fprintf(b, " length=%d", m.Length)
	case ByChunks:
		b.WriteString(" chunked")
	case UntilClose:
		b.WriteString(" until-close")
	}
	if !m.KeepAlive {
		b.WriteString(" close")
	}
}

// rowsEach runs a table of inputs and descriptions in every arrival.
func rowsEach(t *testing.T, rows [][2]string, describe func(io.Reader) string) {
	t.Helper()
	for name, arrive := range arrivals() {
		t.Run(name, func(t *testing.T) {
			for _, row := range rows {
				if got := describe(arrive(row[0])); got != row[1] {
					t.Errorf("%q\n got  %s\n want %s", row[0], got, row[1])
				}
			}
		})
	}
}

func describeRequest(r io.Reader) string { return parseFrom(r, testLimits()).String() }

// bodyOf reads the content of the message that p is the head of.
func (p parsed) bodyOf(lim *Limits, read func(io.Reader) ([]byte, error)) ([]byte, *Body, error) {
	b := new(Body)
	b.Init(p.d, p.m, &p.x.RequestTrailer, lim)
	content, err := read(b)
	return content, b, err
}

// rest returns what follows the message in the stream.
func (p parsed) rest() string {
	unread := bytes.Clone(p.d.Unread())
	after, _ := io.ReadAll(p.d.src)
	return string(unread) + string(after)
}
