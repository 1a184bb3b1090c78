package telemetry

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"yett/internal/exchange"
	"yett/internal/jsontext"
)

// Query says what an access log line shows of a request's query.
type Query uint8

const (
	// QueryRedact shows names and hides values: "a=***&b=***". What has no "="
	// may be a bare token, so it is hidden whole.
	QueryRedact Query = iota
	// QueryKeep shows the query as it came.
	QueryKeep
	// QueryDrop shows nothing.
	QueryDrop
)

// encoder turns records into lines. It remembers what it wrote last, so it must
// not be used by two goroutines at once.
type encoder struct {
	query Query
	clock clock
	parts [knownParts]part
}

// append appends r as one line of JSON, newline included. Optional fields
// that are empty are left out.
func (e *encoder) append(dst []byte, r *Record) []byte {
	dst = append(dst, `{"time":"`...)
	dst = e.clock.append(dst, r.Time)
	dst = append(dst, prelude(r)...)
	dst = appendText(dst, `,"request_id":"`, r.RequestID)
	dst = appendAddrs(dst, r.Client, r.Peer)
	dst = appendText(dst, `,"method":"`, r.Method)
	dst = appendText(dst, `,"host":"`, r.Host)
	dst = appendText(dst, `,"path":"`, r.Path)
	if r.Query != "" {
		dst = appendQuery(dst, e.query, r.Query)
	}
	dst = e.appendPart(dst, r)
	dst = appendText(dst, `,"reason":"`, r.Reason)
	dst = appendText(dst, `,"detail":"`, r.Detail)
	dst = appendText(dst, `,"observed":"`, r.Observed)
	dst = appendText(dst, `,"user":"`, r.User)
	dst = appendCost(dst, r)
	return append(dst, "}\n"...)
}

func prelude(r *Record) string {
	if r.Failed {
		return `","level":"error","msg":"request"`
	}
	return `","level":"info","msg":"request"`
}

// knownParts is how many parts an encoder remembers.
const knownParts = 64

// part is what a line says of where a request came from and went to, and how that ended. Many
// lines have it in common.
type part struct {
	version, listener, route, service, target string // in own
	tls                                       bool
	status                                    int
	text, own                                 []byte
}

// appendPart appends the part, which most often stands in a line shortly before.
func (e *encoder) appendPart(dst []byte, r *Record) []byte {
	p := &e.parts[partOf(r)]
	if !p.is(r) {
		p.become(r)
	}
	return append(dst, p.text...)
}

// partOf spreads parts by what tells most of them apart: the port and the length of the target,
// the name of the route, and the status.
func partOf(r *Record) uint {
	n := uint(r.Status)
	for _, s := range [...]string{r.Target, r.Route} {
		n = 31*n + uint(len(s))
		if len(s) >= 2 {
			n = 31*n + uint(s[len(s)-1]) + 10*uint(s[len(s)-2])
		}
	}
	return n % knownParts
}

func (p *part) is(r *Record) bool {
	return p.status == r.Status && p.tls == r.TLS && p.target == r.Target && p.route == r.Route &&
		p.service == r.Service && p.listener == r.Listener && p.version == r.Version && len(p.text) > 0
}

// become keeps copies: what a record says may be a view. It needs no new memory once it has had
// parts of that length.
func (p *part) become(r *Record) {
	p.tls, p.status, p.own = r.TLS, r.Status, slices.Grow(p.own[:0], len(r.Version)+len(r.Listener)+len(r.Route)+len(r.Service)+len(r.Target))
	p.version, p.listener = p.keep(r.Version), p.keep(r.Listener)
	p.route, p.service, p.target = p.keep(r.Route), p.keep(r.Service), p.keep(r.Target)
	b := appendText(p.text[:0], `,"proto":"`, r.Version)
	b = appendText(b, `,"listener":"`, r.Listener)
	if r.TLS {
		b = append(b, `,"tls":true`...)
	}
	b = appendText(b, `,"route":"`, r.Route)
	b = appendText(b, `,"service":"`, r.Service)
	b = appendText(b, `,"target":"`, r.Target)
	p.text = strconv.AppendInt(append(b, `,"status":`...), int64(r.Status), 10)
}

func (p *part) keep(s string) string {
	at := len(p.own)
	p.own = append(p.own, s...)
	return exchange.View(p.own[at:])
}

func appendCost(dst []byte, r *Record) []byte {
	dst = append(dst, `,"bytes_in":`...)
	dst = strconv.AppendInt(dst, r.BytesIn, 10)
	dst = append(dst, `,"bytes_out":`...)
	dst = strconv.AppendInt(dst, r.BytesOut, 10)
	dst = append(dst, `,"duration_ms":`...)
	dst = appendMillis(dst, r.Duration)
	if r.Attempts > 0 {
		dst = append(dst, `,"upstream_ms":`...)
		dst = appendMillis(dst, r.UpstreamDuration)
		dst = append(dst, `,"attempts":`...)
		dst = strconv.AppendInt(dst, int64(r.Attempts), 10)
	}
	return dst
}

// appendText appends a field whose key, with comma, colon and the value's first
// quote, is given, unless the value is empty.
func appendText(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	return append(jsontext.AppendEscaped(append(dst, key...), value), '"')
}

// appendAddrs appends the caller's address, and the socket's where a proxy
// stands between. An address holds nothing to escape but an IPv6 zone.
func appendAddrs(dst []byte, client, peer netip.Addr) []byte {
	client, peer = client.Unmap(), peer.Unmap()
	if client.IsValid() {
		dst = appendAddr(append(dst, `,"client":"`...), client)
	}
	if peer.IsValid() && peer != client {
		dst = appendAddr(append(dst, `,"peer":"`...), peer)
	}
	return dst
}

func appendAddr(dst []byte, a netip.Addr) []byte {
	return append(a.WithZone("").AppendTo(dst), '"')
}

func appendQuery(dst []byte, how Query, query string) []byte {
	switch how {
	case QueryKeep:
		return appendText(dst, `,"query":"`, query)
	case QueryDrop:
		return dst
	default:
		dst = append(dst, `,"query":"`...)
		dst = appendRedacted(dst, query)
		return append(dst, '"')
	}
}

func appendRedacted(dst []byte, query string) []byte {
	for {
		pair, rest, more := strings.Cut(query, "&")
		name, _, hasValue := strings.Cut(pair, "=")
		if hasValue {
			dst = append(jsontext.AppendEscaped(dst, name), '=')
		}
		if pair != "" {
			dst = append(dst, "***"...)
		}
		if !more {
			return dst
		}
		dst = append(dst, '&')
		query = rest
	}
}

// appendMillis appends a duration as a number of milliseconds with three
// decimals, that is to the microsecond. A clock that was set back counts as
// no time.
func appendMillis(dst []byte, d time.Duration) []byte {
	us := max(d.Microseconds(), 0)
	dst = strconv.AppendInt(dst, us/1000, 10)
	return appendThousandths(append(dst, '.'), int(us%1000))
}

func appendThousandths(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
}

// clock formats times, and remembers the text of the second that it saw last:
// most lines of a busy gateway share it with the line before.
type clock struct {
	second int64
	text   [len("2006-01-02T15:04:05.")]byte
	valid  bool
}

// append appends t in UTC as RFC 3339 with milliseconds.
func (c *clock) append(dst []byte, t time.Time) []byte {
	if s := t.Unix(); !c.valid || s != c.second {
		var text [64]byte
		full := jsontext.AppendTime(text[:0], t)
		if len(full) != jsontext.TimeLen { // a year of five digits
			return append(dst, full...)
		}
		copy(c.text[:], full)
		c.second, c.valid = s, true
	}
	dst = append(dst, c.text[:]...)
	dst = appendThousandths(dst, t.Nanosecond()/1e6)
	return append(dst, 'Z')
}
