package telemetry

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"yett/internal/exchange"
)

func realistic() Record {
	return Record{
		Time:      time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC),
		RequestID: "0190a7c4-5a1e-4c1b-9d61-2f0b8f1f6a10",
		Client:    netip.MustParseAddr("203.0.113.77"),
		Peer:      netip.MustParseAddr("10.0.0.2"),
		Method:    "GET", Host: "api.example.org", Path: "/api/v1/tickets/4711/comments", Query: "page=2&token=secret",
		Version: "HTTP/1.1", Listener: "public", TLS: true,
		Route: "tickets", Service: "tickets", Target: "10.0.1.7:3003",
		Status: 200, User: "5b1f6a10-0190-4c1b-9d61-2f0b8f1f6a10",
		BytesIn: 0, BytesOut: 5321,
		Duration: 12345678 * time.Nanosecond, UpstreamDuration: 11_002 * time.Microsecond, Attempts: 1,
	}
}

func TestLine(t *testing.T) {
	e := encoder{}
	full := realistic()
	full.Reason, full.Detail = "upstream_cut", `read "body": EOF`
	tests := []struct {
		name   string
		record Record
		want   string
	}{
		{"full", full, `{"time":"2026-01-02T03:04:05.678Z","level":"info","msg":"request","request_id":"0190a7c4-5a1e-4c1b-9d61-2f0b8f1f6a10",` +
			`"client":"203.0.113.77","peer":"10.0.0.2","method":"GET","host":"api.example.org","path":"/api/v1/tickets/4711/comments","query":"page=***&token=***",` +
			`"proto":"HTTP/1.1","listener":"public","tls":true,"route":"tickets","service":"tickets","target":"10.0.1.7:3003","status":200,` +
			`"reason":"upstream_cut","detail":"read \"body\": EOF","user":"5b1f6a10-0190-4c1b-9d61-2f0b8f1f6a10",` +
			`"bytes_in":0,"bytes_out":5321,"duration_ms":12.345,"upstream_ms":11.002,"attempts":1}` + "\n"},
		{"least", Record{Time: time.Unix(0, 0)}, `{"time":"1970-01-01T00:00:00.000Z","level":"info","msg":"request","status":0,"bytes_in":0,"bytes_out":0,"duration_ms":0.000}` + "\n"},
		{"hostile", Record{Time: time.Unix(1, 0), Method: "GET", Path: "/\"\n\x00\xff", Detail: "a\\b", Status: 400},
			`{"time":"1970-01-01T00:00:01.000Z","level":"info","msg":"request","method":"GET","path":"/\"\n\u0000` + "\uFFFD" + `","status":400,"detail":"a\\b","bytes_in":0,"bytes_out":0,"duration_ms":0.000}` + "\n"},
		{"mapped address", Record{Time: time.Unix(1, 0), Client: netip.MustParseAddr("::ffff:192.0.2.1"), Peer: netip.MustParseAddr("192.0.2.1")},
			`{"time":"1970-01-01T00:00:01.000Z","level":"info","msg":"request","client":"192.0.2.1","status":0,"bytes_in":0,"bytes_out":0,"duration_ms":0.000}` + "\n"},
		{"zone of an address", Record{Time: time.Unix(1, 0), Client: netip.MustParseAddr("fe80::1").WithZone("\"\n")},
			`{"time":"1970-01-01T00:00:01.000Z","level":"info","msg":"request","client":"fe80::1","status":0,"bytes_in":0,"bytes_out":0,"duration_ms":0.000}` + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(e.append(nil, &tt.record))
			if got != tt.want {
				t.Errorf("got  %swant %s", got, tt.want)
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("not JSON: %s", got)
			}
		})
	}
}

// A part of a line that is remembered is that of the record: whatever came before, and whatever
// has become of the memory that a record's texts stood in.
func TestPartsAreOfTheirRecord(t *testing.T) {
	var e encoder
	buffer := make([]byte, 0, 64)
	view := func(text string, n int) string { return exchange.View(append(buffer[:0], fmt.Sprint(text, n)...)) }
	for i := range 5000 {
		r := realistic()
		r.Status, r.TLS = 200+i%3, i%2 == 0
		switch n := i * 7919 % 1000; i % 6 {
		case 0:
			r.Target = view("10.0.0.1:", n)
		case 1:
			r.Route = view("route \"", n)
		case 2:
			r.Service = view("service", n)
		case 3:
			r.Listener = view("listener", n)
		case 4:
			r.Version = view("HTTP/", n)
		case 5:
			r.Target, r.Route, r.Service, r.Listener = "", "", "", ""
		}
		if got, want := string(e.append(nil, &r)), string(new(encoder).append(nil, &r)); got != want {
			t.Fatalf("record %d:\ngot  %swant %s", i, got, want)
		}
	}
}

func TestQuery(t *testing.T) {
	tests := []struct {
		query, redacted string
	}{
		{"a=1&b=2", "a=***&b=***"},
		{"a=", "a=***"},
		{"a=1=2", "a=***"},
		{"eyJhbGciOiJIUzI1NiJ9", "***"},
		{"a=1&eyJhbGci&", "a=***&***&"},
		{"&", "&"},
		{"=secret", "=***"},
		{`n"m=1`, `n\"m=***`},
	}
	for _, tt := range tests {
		if got := string(appendQuery(nil, QueryRedact, tt.query)); got != `,"query":"`+tt.redacted+`"` {
			t.Errorf("%q redacted: %s", tt.query, got)
		}
	}
	if got := string(appendQuery(nil, QueryKeep, `a="1"`)); got != `,"query":"a=\"1\""` {
		t.Errorf("kept: %s", got)
	}
	if got := string(appendQuery(nil, QueryDrop, "a=1")); got != "" {
		t.Errorf("dropped: %s", got)
	}
}

func TestMillis(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.000", 999: "0.000", time.Microsecond: "0.001", 50 * time.Microsecond: "0.050",
		time.Millisecond: "1.000", time.Hour: "3600000.000", -time.Second: "0.000",
	} {
		if got := string(appendMillis(nil, d)); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

func TestClockFollowsTheSecond(t *testing.T) {
	var c clock
	at := time.Date(2026, 12, 31, 23, 59, 59, 998_000_000, time.UTC)
	for _, step := range []time.Duration{0, time.Millisecond, time.Millisecond, -3 * time.Millisecond, 48 * time.Hour} {
		at = at.Add(step)
		want := at.Format("2006-01-02T15:04:05.000Z")
		if got := string(c.append(nil, at)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := string(c.append(nil, time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC))); !strings.HasPrefix(got, "12345-") {
		t.Errorf("year 12345 is %s", got)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("/a", "a=1&b", "secret\x00", uint8(0))
	f.Add("\xff\"\\", "=&&", "\n", uint8(1))
	f.Fuzz(func(t *testing.T, path, query, detail string, how uint8) {
		e := encoder{query: Query(how % 3)}
		line := e.append(nil, &Record{Time: time.Unix(1, 0), Path: path, Query: query, Detail: detail})
		if !json.Valid(line) {
			t.Fatalf("not JSON: %q", line)
		}
		if n := strings.Count(string(line), "\n"); n != 1 || line[len(line)-1] != '\n' {
			t.Fatalf("%d line ends: %q", n, line)
		}
	})
}
