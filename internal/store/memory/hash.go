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
	h = h.word(uint64(len(name)))
	for ; len(name) >= 8; name = name[8:] {
		h = h.word(word64(name))
	}
	h = h.word(rest(name))
	length := uint64(len(key))
	for ; len(key) >= 8; key = key[8:] {
		h = h.word(word64(key))
	}
	h = h.word(rest(key) | length<<56)
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

// rest reads less than 8.
func rest(s string) (w uint64) {
	for i := range len(s) {
		w |= uint64(s[i]) << (8 * i)
	}
	return w
}

// sip is the state of the hash.
type sip struct{ v0, v1, v2, v3 uint64 }

func (h sip) word(w uint64) sip {
	h.v3 ^= w
	h = h.round()
	h.v0 ^= w
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
