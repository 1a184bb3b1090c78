package memory

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// seed makes ids that nobody outside can foresee, or make collide. It goes along with what
// is dumped, so that a process after this one finds the records again.
type seed struct{ a, b uint64 }

func newSeed() seed {
	var b [16]byte
	_, _ = rand.Read(b[:]) // which never fails
	return readSeed(b[:])
}

func readSeed(b []byte) seed {
	return seed{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

// append writes what readSeed reads.
func (s seed) append(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, s.a), s.b)
}

// id hashes a name and a key, by SipHash-1-3 with 128 bits. Both are filled up to whole words,
// with their lengths among them, so that no two pairs are the same words.
func (s seed) id(name, key string) id {
	h := sip{s.a ^ 0x736f6d6570736575, s.b ^ 0x646f72616e646f6d ^ 0xee, s.a ^ 0x6c7967656e657261, s.b ^ 0x7465646279746573}
	h = h.word(uint64(len(name))).whole(name).word(rest(name))
	h = h.whole(key).word(rest(key) | uint64(len(key))<<56)
	h.v2 ^= 0xee
	h = h.round().round().round()
	low := h.v0 ^ h.v1 ^ h.v2 ^ h.v3
	h.v1 ^= 0xdd
	h = h.round().round().round()
	return id{high: h.v0 ^ h.v1 ^ h.v2 ^ h.v3, low: low}
}

// word64 reads 8 bytes, which the compiler turns into one load.
func word64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// rest reads what is left behind the last whole 8 bytes.
func rest(s string) uint64 {
	n := len(s) % 8
	if n < len(s) { // with bytes before them, in one load
		return word64(s[len(s)-8:]) >> (64 - 8*n)
	}
	if n >= 4 {
		return uint64(word32(s)) | uint64(word32(s[n-4:]))<<(8*(n-4))
	}
	if n == 0 {
		return 0
	}
	return uint64(s[0]) | uint64(s[n/2])<<(8*(n/2)) | uint64(s[n-1])<<(8*(n-1))
}

// word32 reads 4 bytes.
func word32(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// sip is the state of the hash.
type sip struct{ v0, v1, v2, v3 uint64 }

func (h sip) word(w uint64) sip {
	h.v3 ^= w
	h = h.round()
	h.v0 ^= w
	return h
}

// whole takes all words of a text that have 8 bytes.
func (h sip) whole(s string) sip {
	for ; len(s) >= 8; s = s[8:] {
		w := word64(s)
		h.v3 ^= w
		h = h.round()
		h.v0 ^= w
	}
	return h
}

func (h sip) round() sip {
	h.v0 += h.v1
	h.v2 += h.v3
	h.v1 = bits.RotateLeft64(h.v1, 13) ^ h.v0
	h.v3 = bits.RotateLeft64(h.v3, 16) ^ h.v2
	h.v0 = bits.RotateLeft64(h.v0, 32) + h.v3
	h.v2 += h.v1
	h.v3 = bits.RotateLeft64(h.v3, 21) ^ h.v0
	h.v1 = bits.RotateLeft64(h.v1, 17) ^ h.v2
	h.v2 = bits.RotateLeft64(h.v2, 32)
	return h
}
