package memory

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"testing"
)

// Dumps hold ids: what a seed makes of a name and a key stays what it is.
func TestIDs(t *testing.T) {
	s := seed{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	for _, c := range []struct {
		name, key string
		want      id
	}{
		{"", "", id{0x172646ecbb9712ff, 0xa3ab1f11dcb99629}},
		{"limit", "user-1", id{0x1e930b88c3100b63, 0xebc6f566ed01bfed}},
		{"a-longer-name", "ip 192.0.2.1, and what else is in it", id{0x4485f06af53b2f16, 0xc13c1e8ea8a25964}},
	} {
		if got := s.id(c.name, c.key); got != c.want {
			t.Errorf("%q, %q: %#x", c.name, c.key, got)
		}
	}
}

// Where one word ends and the other begins, how long they are, and each bit of them matters.
func TestIDsDiffer(t *testing.T) {
	s, seen := newSeed(), make(map[id]string)
	note := func(name, key string) {
		i := s.id(name, key)
		if other, ok := seen[i]; ok {
			t.Errorf("%q, %q has the id of %s", name, key, other)
		}
		seen[i] = name + "," + key
	}
	for n := range 20 {
		for k := range 20 {
			note(strings.Repeat("a", n), strings.Repeat("a", k))
			note(strings.Repeat("\x00", n+1), strings.Repeat("\x00", k))
		}
	}
	base, flipped := s.id("limit", "user-12345678"), 0
	for i := range 8 * 13 {
		key := []byte("user-12345678")
		key[i/8] ^= 1 << (i % 8)
		other := s.id("limit", string(key))
		flipped += bits.OnesCount64(base.high^other.high) + bits.OnesCount64(base.low^other.low)
	}
	if mean := float64(flipped) / (8 * 13); mean < 60 || mean > 68 {
		t.Errorf("a bit of the key changes %.1f bits of 128", mean)
	}
	if s.id("a", "b") == newSeed().id("a", "b") {
		t.Error("another seed makes the same id")
	}
}

// What is left behind whole words is read in several ways, by how much there is.
func TestRest(t *testing.T) {
	const text = "\x01\x82\x03\x84\x05\x86\x07\x88\x09\x8a\x0b\x8c\x0d\x8e\x0f\x90\x11\x92\x13\x94"
	for n := range len(text) {
		want := uint64(0)
		for i := range n % 8 {
			want |= uint64(text[n-n%8+i]) << (8 * i)
		}
		if got := rest(text[:n]); got != want {
			t.Errorf("of %d bytes: %#x, want %#x", n, got, want)
		}
	}
}

func BenchmarkID(b *testing.B) {
	s, m := newSeed(), maphash.MakeSeed()
	b.Run("sip", func(b *testing.B) {
		for b.Loop() {
			s.id("api-calls", "user 1234567890")
		}
	})
	b.Run("sip, caller", func(b *testing.B) {
		for b.Loop() {
			s.id("user", "user:bbd1e0c4-284c-48b5-b7ae-477e8237382e")
		}
	})
	b.Run("maphash", func(b *testing.B) { // what a process can't hand on
		for b.Loop() {
			n := maphash.String(m, "api-calls")
			_ = id{maphash.String(m, "user 1234567890") ^ n, maphash.String(m, "user 1234567890") ^ bits.RotateLeft64(n, 32)}
		}
	})
}
