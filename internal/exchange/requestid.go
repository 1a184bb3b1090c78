package exchange

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// NewRequestID sets x.RequestID to a fresh UUID version 4 (RFC 9562 section
// 5.4) and returns it. Like all views it is valid until Release.
//
// The 122 random bits come from math/rand/v2's top-level functions: ChaCha8,
// seeded by the system for each thread and reseeded as it goes. That is as
// unpredictable as an ID has to be, since a request ID is no secret: it only
// must not repeat, nor be guessed by who wants to muddle somebody's logs. It
// takes no system call and no lock.
func (x *Exchange) NewRequestID() string {
	var u [16]byte
	binary.NativeEndian.PutUint64(u[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(u[8:], rand.Uint64())
	u[6] = u[6]&0x0f | 0x40 // version 4
	u[8] = u[8]&0x3f | 0x80 // variant 10

	b := x.Bytes(36)
	hex.Encode(b[:8], u[:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:], u[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	x.RequestID = View(b)
	return x.RequestID
}
