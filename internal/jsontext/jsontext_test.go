package jsontext

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestAppendQuoted(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", `""`},
		{"plain text / <b>", `"plain text / <b>"`},
		{`say "hi" \ there`, `"say \"hi\" \\ there"`},
		{"a\nb\rc\td", `"a\nb\rc\td"`},
		{"\x00\x1b\x1f\x7f", `"\u0000\u001b\u001f` + "\x7f" + `"`},
		{"grüße 日本 🦊", `"grüße 日本 🦊"`},
		{"a\xffb", "\"a\uFFFDb\""},
		{"\xc0\xaf", "\"\uFFFD\uFFFD\""},                          // overlong
		{"\xed\xa0\x80", `"` + strings.Repeat("\uFFFD", 3) + `"`}, // half of a surrogate pair
		{"cut \xf0\x9f\xa6", `"cut ` + strings.Repeat("\uFFFD", 3) + `"`},
		{"\u2028", "\"\u2028\""},
	}
	for _, tt := range tests {
		if got := string(AppendQuoted(nil, tt.in)); got != tt.want {
			t.Errorf("AppendQuoted(%q) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

// Every byte at every place of a word has to be seen, whatever stands beside it.
func TestPlainPrefix(t *testing.T) {
	for at := range 20 {
		for c := range 256 {
			s := []byte("abcdefghijklmnopqrst")
			s[at] = byte(c)
			want := len(s)
			if !plain[c] {
				want = at
			}
			if got := plainPrefix(string(s)); got != want {
				t.Fatalf("byte %#x at %d: %d, want %d", c, at, got, want)
			}
		}
	}
}

func FuzzAppendQuoted(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\\n\x00", "abcdefg\x7f\x80\x1f", "\xff\xc0\xaf", "日本\xe6", "\xf4\x90\x80\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := AppendQuoted([]byte("before"), s)
		if !strings.HasPrefix(string(got), "before") {
			t.Fatalf("%q: what stood in the buffer is gone", s)
		}
		got = got[len("before"):]
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q became %s: %v", s, got, err)
		}
		if want := toValid(s); back != want {
			t.Errorf("%q came back as %q, want %q", s, back, want)
		}
		if !utf8.Valid(got) {
			t.Errorf("%q became %q, which is not UTF-8", s, got)
		}
		if n := MaxEscaped(s); len(got)-2 > n {
			t.Errorf("%q takes %d bytes, MaxEscaped says %d", s, len(got)-2, n)
		}
	})
}

// toValid replaces each broken byte by U+FFFD (strings.ToValidUTF8 replaces a
// run of them by one).
func toValid(s string) string {
	return string([]rune(s))
}

func TestAppendTime(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	tests := map[string]time.Time{
		"2026-01-02T03:04:05.006Z": time.Date(2026, 1, 2, 5, 4, 5, 6_999_999, zone),
		"1999-12-31T23:59:59.999Z": time.Date(1999, 12, 31, 23, 59, 59, 999_000_000, time.UTC),
	}
	for want, at := range tests {
		if got := string(AppendTime(nil, at)); got != want || len(got) != TimeLen {
			t.Errorf("AppendTime(%v) = %s, want %s", at, got, want)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	buf := make([]byte, 0, 256)
	at := time.Now()
	if n := testing.AllocsPerRun(100, func() {
		buf = AppendQuoted(buf[:0], "a \"quoted\" name \xff and grüße")
		buf = AppendTime(buf, at)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppendQuoted(b *testing.B) {
	buf := make([]byte, 0, 256)
	for name, s := range map[string]string{"plain": "/api/v1/tickets/4711/comments", "mixed": "/api/v1/größe/\"x\""} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = AppendQuoted(buf[:0], s)
			}
		})
	}
}
