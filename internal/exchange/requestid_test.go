package exchange

import (
	"regexp"
	"testing"
)

func TestNewRequestIDIsUUIDv4(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	var pool Pool
	x := pool.Get()
	defer pool.Put(x)
	seen := map[string]bool{}
	var ones, zeros [36]byte // every free bit has to be seen as 1 and as 0
	for i := range zeros {
		zeros[i] = 0xff
	}
	for range 2000 {
		id := x.NewRequestID()
		if !form.MatchString(id) {
			t.Fatalf("%q is not a UUID version 4", id)
		}
		if x.RequestID != id {
			t.Fatalf("x.RequestID is %q instead of %q", x.RequestID, id)
		}
		if seen[id] {
			t.Fatalf("%q came twice", id)
		}
		seen[id] = true
		for i := range id {
			ones[i] |= nibble(id[i])
			zeros[i] &= nibble(id[i])
		}
	}
	for i := range ones {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23 || i == 14:
		case i == 19: // variant: two free bits
			if ones[i] != 0xb || zeros[i] != 0x8 {
				t.Errorf("digit %d: bits %x and %x, want the lower two random", i, ones[i], zeros[i])
			}
		case ones[i] != 0xf || zeros[i] != 0:
			t.Errorf("digit %d: bits %x and %x, want all four random", i, ones[i], zeros[i])
		}
	}
}

func nibble(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c & 0xf
}

func BenchmarkNewRequestID(b *testing.B) {
	var pool Pool
	x := pool.Get()
	b.ReportAllocs()
	for b.Loop() {
		x.arena = x.arena[:0]
		x.NewRequestID()
	}
}
