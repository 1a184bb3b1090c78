package main

import (
	"strings"
	"testing"
)

func TestMessageFeed(t *testing.T) {
	tests := []struct {
		name   string
		stream string
		start  string
		body   int64
	}{
		{"no body", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1", 0},
		{"no fields", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1", 0},
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK", 5},
		{"length in lower case", "HTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\nabc", "HTTP/1.1 200 OK", 3},
		{"length zero", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 No Content", 0},
		{"body like a head", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\r\n\r\n", "HTTP/1.1 200 OK", 4},
		{
			"chunked",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
			"HTTP/1.1 200 OK", 14,
		},
		{
			"chunked with trailer",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\r\n\r\n0\r\nDigest: x\r\n\r\n",
			"HTTP/1.1 200 OK", 2,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// Twice the message, cut in two at every place: neither the cut nor
			// what comes next may matter.
			twice := test.stream + test.stream
			for cut := range len(twice) {
				var m message
				ends := feedAll(t, &m, twice[:cut])
				ends += feedAll(t, &m, twice[cut:])
				if ends != 2 {
					t.Fatalf("cut at %d: %d messages, want 2", cut, ends)
				}
				if string(m.start) != test.start || m.body != test.body {
					t.Fatalf("cut at %d: %q with %d body bytes, want %q with %d", cut, m.start, m.body, test.start, test.body)
				}
			}
		})
	}
}

// feedAll returns how many messages ended within text.
func feedAll(t *testing.T, m *message, text string) int {
	t.Helper()
	ends := 0
	for p := []byte(text); len(p) > 0; {
		n, done, err := m.feed(p)
		if err != nil {
			t.Fatalf("feed %q: %v", p, err)
		}
		if done {
			ends++
		}
		p = p[n:]
	}
	return ends
}

func TestMessageFeedByByte(t *testing.T) {
	const stream = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
	var m message
	ends := 0
	for _, b := range []byte(stream) {
		ends += feedAll(t, &m, string(b))
	}
	if ends != 1 || m.body != 3 {
		t.Errorf("%d messages with %d body bytes, want 1 with 3", ends, m.body)
	}
}

func TestMessageFeedErrors(t *testing.T) {
	tests := map[string]string{
		"length not a number": "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"length negative":     "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"chunk size":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"chunk end":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
		"endless head":        strings.Repeat("x", maxHead+1),
	}
	for name, stream := range tests {
		t.Run(name, func(t *testing.T) {
			var m message
			if _, _, err := m.feed([]byte(stream)); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestStatusOf(t *testing.T) {
	tests := map[string]int{
		"HTTP/1.1 200 OK":  200,
		"HTTP/1.0 404":     404,
		"HTTP/1.1 20":      0,
		"HTTP/1.1 abc":     0,
		"SMTP/1.1 200 OK!": 0,
		"":                 0,
	}
	for line, want := range tests {
		if got := statusOf([]byte(line)); got != want {
			t.Errorf("statusOf(%q) = %d, want %d", line, got, want)
		}
	}
}
