package twin

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ofConnection tells which fields concern one connection, or how a message is
// framed on it.
func ofConnection(name string) bool {
	switch strings.ToLower(name) {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return true
	}
	return false
}

// comparable tells which fields two answers to the same request must have in
// common: Date is of the moment, and HTTP/1.1 can't name a length beside a
// transfer coding.
func comparable(name string) bool {
	return !ofConnection(name) && name != "Date" && name != "Content-Length"
}

func compareHeaders(what string, one, two http.Header) []string {
	var diff []string
	names := slices.AppendSeq(slices.Collect(maps.Keys(one)), maps.Keys(two))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		a, b := settleAll(one.Values(name)), settleAll(two.Values(name))
		if comparable(name) && !slices.Equal(a, b) {
			diff = append(diff, fmt.Sprintf("%s %s: %q and %q", what, name, a, b))
		}
	}
	return diff
}

// settle puts a name in place of what is different each time, IDs (a UUID of
// version 4), times, and assertions of the gateway (a JSON Web Token with EdDSA),
// and of what the service is told about the protocol. A small chunked body may
// reach it with a length.
func settle(s string) string {
	for _, v := range []struct {
		name    string
		pattern *regexp.Regexp
	}{
		{"<id>", regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b`)},
		{"<time>", regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)},
		{"<assertion>", regexp.MustCompile(`\beyJhbGciOiJFZERTQSI[\w-]*\.[\w-]+\.[\w-]+`)},
		{`"Via":["<version> `, regexp.MustCompile(`"Via":\["(1\.1|2) `)},
		{"", regexp.MustCompile(`"Content-Length":\["\d+"\],`)},
	} {
		s = v.pattern.ReplaceAllLiteralString(s, v.name)
	}
	return s
}

func settleAll(values []string) []string {
	settled := make([]string, len(values))
	for i, v := range values {
		settled[i] = settle(v)
	}
	return settled
}

// The comparison must be able to fail, and must not fail for what has to
// differ.
func TestDifferences(t *testing.T) {
	const one, two = "6fa459ea-ee8a-4ca4-894e-db77e160355e", "16fd2706-8baf-433b-82eb-8c7fada847da"
	a := answer{status: 200, body: []byte("id " + one + " at 2026-01-02T03:04:05.678Z"), header: http.Header{
		"X-Request-Id": {one}, "Date": {"now"}, "Connection": {"close"}, "Content-Length": {"1"}, "Set-Cookie": {"a=1", "b=2"}}}
	b := answer{status: 200, body: []byte("id " + two + " at 2026-01-02T03:04:06.000Z"), header: http.Header{
		"X-Request-Id": {two}, "Date": {"then"}, "Set-Cookie": {"a=1", "b=2"}}}
	if diff := differences(a, b); diff != nil {
		t.Errorf("equal answers differ: %q", diff)
	}
	for name, change := range map[string]func(*answer){
		"status":     func(b *answer) { b.status = 404 },
		"body":       func(b *answer) { b.body = append(b.body, '!') },
		"shape":      func(b *answer) { b.header["X-Request-Id"] = []string{"other"} },
		"order":      func(b *answer) { b.header["Set-Cookie"] = []string{"b=2", "a=1"} },
		"missing":    func(b *answer) { delete(b.header, "Set-Cookie") },
		"additional": func(b *answer) { b.header["Server"] = []string{"x"} },
		"trailer":    func(b *answer) { b.trailer = http.Header{"X-Sum": {"1"}} },
	} {
		changed := b
		changed.header = maps.Clone(b.header)
		change(&changed)
		if diff := differences(a, changed); len(diff) != 1 {
			t.Errorf("%s: %q", name, diff)
		}
	}
}
