package config

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]string{
		"500ms": "500ms", "1m30s": "1m30s", "15m": "15m", "1h": "1h", "90m": "1h30m", "3600s": "1h", "0s": "0s", "1.5s": "1.5s", "2h0m5s": "2h0m5s",
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.String() != want {
			t.Errorf("%s: got %s, %v", text, d, err)
		}
		var again Duration
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Errorf("%s is written as %s, which reads as %s, %v", text, d, again, err)
		}
	}
	for _, text := range []string{"", "5", "0", "-1s", "+1s", "5 s", "1d", "s", "1e3", "1h-5m"} {
		d := Duration(time.Second)
		if err := d.UnmarshalText([]byte(text)); err == nil || d != Duration(time.Second) {
			t.Errorf("%q: got %s, %v", text, d, err)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]struct {
		bytes Size
		again string
	}{
		"0": {0, "0"}, "512": {512, "512"}, "512B": {512, "512"}, "64KB": {64 << 10, "64KB"}, "64kb": {64 << 10, "64KB"},
		"10MB": {10 << 20, "10MB"}, "1GB": {1 << 30, "1GB"}, "1024KB": {1 << 20, "1MB"}, "1025": {1025, "1025"}, "8589934591GB": {8589934591 << 30, "8589934591GB"},
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want.bytes || s.String() != want.again {
			t.Errorf("%s: got %d, written %s, %v", text, int64(s), s, err)
		}
	}
	for _, text := range []string{"", "KB", "-1", "+1", "1.5KB", "1 KB", "1K", "1KiB", "1TB", "1BK", "8589934592GB", "9223372036854775808"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %d", text, int64(s))
		}
	}
}

func TestPrefix(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "10.0.0.1": "10.0.0.1/32", "::1": "::1/128", "fd00::/8": "fd00::/8", "::ffff:10.0.0.1": "10.0.0.1/32", "0.0.0.0/0": "0.0.0.0/0",
	} {
		var p Prefix
		if err := p.UnmarshalText([]byte(text)); err != nil || p.String() != want {
			t.Errorf("%s: got %s, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "10.0.0.1/8", "10.0.0.0/33", "example.org", "fe80::1%eth0", "::ffff:10.0.0.0/104", "10.0.0", "1.2.3.4:80"} {
		var p Prefix
		if err := p.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %s", text, p)
		}
	}
}
