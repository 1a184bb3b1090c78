package http1

import (
	"crypto/rand"
	"time"
)

// A tunnel that is ended because the gateway stops ends as its protocol wants it,
// where that is known: both sides of a WebSocket get a close frame, between two
// frames, and a moment for their answers (RFC 6455 section 5.5.1). Of other
// protocols each direction is closed by itself.

// goodbyeTime is how long a side of a tunnel may take to end its frame, and to answer.
const goodbyeTime = time.Second

// part ends the tunnel: each of its directions is woken, and says goodbye.
func (t *tunnel) part() {
	if t.parting.Swap(true) {
		return
	}
	_ = t.c.nc.SetReadDeadline(past)
	_ = t.up.SetReadDeadline(past)
}

// sayGoodbye ends one direction. It returns nil, so that the direction is closed, or why
// that is of no use any more.
func (t *tunnel) sayGoodbye(d *direction, buf []byte) error {
	_ = d.late(time.Now().Add(goodbyeTime))
	if !t.sockets {
		return nil
	}
	for !d.frames.between() {
		n, err := d.src.Read(buf[:min(len(buf), d.frames.missing())])
		if werr := t.pass(d, buf[:n]); werr != nil {
			return werr
		}
		if err != nil {
			return err // a close frame within another one would be a part of that
		}
	}
	if !d.frames.closed {
		if _, err := d.dst.Write(closeFrame(d.masked)); err != nil {
			return err
		}
	}
	d.awaitClose(buf)
	return nil
}

// awaitClose reads on until the source has said goodbye, too, or is late. What it says
// before has no receiver any more.
func (d *direction) awaitClose(buf []byte) {
	for !d.frames.closed {
		n, err := d.src.Read(buf)
		d.frames.follow(buf[:n])
		if err != nil {
			return
		}
	}
}

// frames follows the frames of one direction (RFC 6455 section 5.2), as far as it takes
// to know where one ends.
type frames struct {
	head   [14]byte
	have   int    // bytes of the head
	left   uint64 // bytes of the content
	closed bool   // there was a close frame
}

const (
	opClose   = 0x8
	opMask    = 0x0f
	lastPart  = 0x80 // of the first byte
	maskFlag  = 0x80 // of the second
	length16  = 126
	length64  = 127
	goingAway = 1001 // RFC 6455 section 7.4.1
)

func (f *frames) follow(p []byte) {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(p)))
			f.left -= n
			p = p[n:]
			continue
		}
		f.head[f.have] = p[0]
		f.have++
		p = p[1:]
		if f.have == f.size() {
			f.begin()
		}
	}
}

// size is how long the head is, as far as is known.
func (f *frames) size() int {
	if f.have < 2 {
		return 2
	}
	n := 2 + lengthBytes(f.head[1])
	if f.head[1]&maskFlag != 0 {
		n += 4
	}
	return n
}

func lengthBytes(second byte) int {
	switch second &^ maskFlag {
	case length16:
		return 2
	case length64:
		return 8
	}
	return 0
}

// begin begins the content of a frame whose head is complete.
func (f *frames) begin() {
	f.left = uint64(f.head[1] &^ maskFlag)
	if n := lengthBytes(f.head[1]); n > 0 {
		f.left = 0
		for _, b := range f.head[2 : 2+n] {
			f.left = f.left<<8 | uint64(b)
		}
	}
	f.closed = f.closed || f.head[0]&opMask == opClose
	f.have = 0
}

// between tells that no frame is half through.
func (f *frames) between() bool { return f.have == 0 && f.left == 0 }

// missing is how much may be read without coming into the next frame.
func (f *frames) missing() int {
	if f.left > 0 {
		return int(min(f.left, 1<<30))
	}
	return f.size() - f.have
}

// closeFrame says that this end goes away. A client's frame is masked, with a key that
// nobody can foresee.
func closeFrame(masked bool) []byte {
	code := [2]byte{goingAway >> 8, goingAway & 0xff}
	if !masked {
		return []byte{lastPart | opClose, byte(len(code)), code[0], code[1]}
	}
	var key [4]byte
	_, _ = rand.Read(key[:]) // never fails
	return []byte{lastPart | opClose, maskFlag | byte(len(code)), key[0], key[1], key[2], key[3], code[0] ^ key[0], code[1] ^ key[1]}
}
