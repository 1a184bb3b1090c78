package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
	"unsafe"

	"yett/internal/store"
)

// What a connection is for.
const (
	forCalls     = 'c'
	forFollow    = 'f'
	forSuccessor = 's'
)

const (
	protocol = 1
	helloLen = 8
)

// hello is how either side begins. what is one of for..., or an answer.
func hello(what byte) []byte { return []byte{'y', 'e', 't', 't', protocol, what, 0, 0} }

// Answers to a hello.
const (
	welcome  = '+'
	unspoken = 'v' // another version
	refused  = '-'
)

// readHello returns what the other side says.
func readHello(r io.Reader) (what byte, err error) {
	var b [helloLen]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, err
	}
	if string(b[:4]) != "yett" {
		return 0, errors.New("whoever is there speaks another language")
	}
	if b[4] != protocol {
		return unspoken, nil
	}
	return b[5], nil
}

// Verbs of requests, and of what the server says.
const (
	doTake byte = 1 + iota
	doAdd
	doForget
	doPing
	doEnter // answered as a take of which fits and left are told
	doLeave // has no answer
	doHold  // what this process has entered and not left, on another connection; has no answer

	sayDone   // an answer
	sayFailed // why
	sayMoved  // another process serves from now on: nothing that has no answer was done
	sayAdded  // an entry of the set that is followed
	saySynced
	sayBeat
)

const (
	// frameHead is the length, the verb and the tag.
	frameHead = 4 + 1 + 4
	// maxFrame is how long a frame may be after its length.
	maxFrame = 16 << 20
)

// begin appends the head of a frame, whose length end writes.
func begin(b []byte, verb byte, tag uint32) []byte {
	return binary.LittleEndian.AppendUint32(append(b, 0, 0, 0, 0, verb), tag)
}

// end writes the length of the frame that begins at a place of b and goes to its end.
func end(b []byte, at int) []byte {
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

var errFrame = errors.New("the other side says what can't be understood")

// cut returns the first frame of b, and what is behind it. ok is false when it is not there
// as a whole.
func cut(b []byte) (verb byte, tag uint32, body, rest []byte, ok bool, err error) {
	if len(b) < frameHead {
		return 0, 0, nil, b, false, nil
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n < frameHead-4 || n > maxFrame {
		return 0, 0, nil, nil, false, errFrame
	}
	if len(b) < 4+n {
		return 0, 0, nil, b, false, nil
	}
	return b[4], binary.LittleEndian.Uint32(b[5:]), b[frameHead : 4+n], b[4+n:], true, nil
}

// room returns b with what was read so far, from which taken bytes are done, at its beginning,
// and room for more: for all of the frame that begins there.
func room(b []byte, taken int) []byte {
	rest := len(b) - taken
	need := rest + 1
	if rest >= 4 {
		need = max(need, 4+int(min(binary.LittleEndian.Uint32(b[taken:]), maxFrame)))
	}
	switch {
	case need > cap(b):
		next := make([]byte, rest, max(firstBuffer, need))
		copy(next, b[taken:])
		return next
	case cap(b) > 4*firstBuffer && need < firstBuffer: // it was large once
		next := make([]byte, rest, firstBuffer)
		copy(next, b[taken:])
		return next
	}
	return b[:copy(b, b[taken:])]
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// The bits of a take's first byte.
const (
	actionBits     = 0x03
	algorithmShift = 2 // two bits
	softBit        = 1 << 4
	leastBit       = 1 << 5 // there is a Least
	aheadBit       = 1 << 6 // there is an Ahead
)

// appendTakes appends what a call of Take asks.
func appendTakes(b []byte, takes []store.Take) []byte {
	b = append(b, byte(len(takes)))
	for i := range takes {
		b = appendTake(b, &takes[i])
	}
	return b
}

func appendTake(b []byte, t *store.Take) []byte {
	bits := byte(t.Action) | byte(t.Rule.Algorithm)<<algorithmShift
	if t.Soft {
		bits |= softBit
	}
	if t.Least != 0 {
		bits |= leastBit
	}
	if t.Ahead != 0 {
		bits |= aheadBit
	}
	b = appendText(appendText(append(b, bits), t.Name), t.Key)
	b = binary.AppendVarint(binary.AppendVarint(b, t.Rule.Limit), int64(t.Rule.Window))
	if t.Rule.Algorithm == store.TokenBucket {
		b = binary.AppendVarint(b, t.Rule.Burst)
	}
	b = binary.AppendVarint(b, t.Cost)
	if t.Least != 0 {
		b = binary.AppendVarint(b, t.Least)
	}
	if t.Ahead != 0 {
		b = binary.AppendVarint(b, int64(t.Ahead))
	}
	return b
}

// body is read piece by piece. Once something is wrong, all that is read is zero.
type body struct {
	b   []byte
	bad bool
}

func (p *body) byte() byte {
	if len(p.b) == 0 {
		p.bad = true
		return 0
	}
	c := p.b[0]
	p.b = p.b[1:]
	return c
}

func (p *body) number() int64 {
	if len(p.b) > 0 && p.b[0] < 0x80 { // most are small
		c := p.b[0]
		p.b = p.b[1:]
		return int64(c>>1) ^ -int64(c&1)
	}
	v, n := binary.Varint(p.b)
	if n <= 0 {
		p.bad, p.b = true, nil
		return 0
	}
	p.b = p.b[n:]
	return v
}

// view is a text that is good as long as the body is.
func (p *body) view() string {
	n, used := binary.Uvarint(p.b)
	if used <= 0 || n > uint64(len(p.b)-used) {
		p.bad, p.b = true, nil
		return ""
	}
	b := p.b[used : used+int(n)]
	p.b = p.b[used+int(n):]
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// takes reads what appendTakes wrote, into out. Names and keys are views.
func (p *body) takes(out []store.Take) []store.Take {
	for n := p.byte(); n > 0 && !p.bad; n-- {
		bits := p.byte()
		t := store.Take{Action: store.Action(bits & actionBits), Soft: bits&softBit != 0, Name: p.view(), Key: p.view()}
		t.Rule = store.Rule{Algorithm: store.Algorithm(bits >> algorithmShift & 3), Limit: p.number(), Window: time.Duration(p.number())}
		if t.Rule.Algorithm == store.TokenBucket {
			t.Rule.Burst = p.number()
		}
		t.Cost = p.number()
		if bits&leastBit != 0 {
			t.Least = p.number()
		}
		if bits&aheadBit != 0 {
			t.Ahead = time.Duration(p.number())
		}
		out = append(out, t)
	}
	return out
}

// appendResults appends what came of takes.
func appendResults(b []byte, takes []store.Take) []byte {
	for i := range takes {
		t := &takes[i]
		fits := byte(0)
		if t.Fits {
			fits = 1
		}
		b = binary.AppendVarint(append(b, fits), t.Granted)
		b = binary.AppendVarint(b, t.Left)
		b = binary.AppendVarint(binary.AppendVarint(b, int64(t.More)), int64(t.Wait))
	}
	return b
}

// result is what came of a take.
type result struct {
	fits          bool
	granted, left int64
	more, wait    time.Duration
}

// results reads what appendResults wrote.
func (p *body) results(out []result) {
	for i := range out {
		out[i] = result{p.byte() == 1, p.number(), p.number(), time.Duration(p.number()), time.Duration(p.number())}
	}
	p.bad = p.bad || len(p.b) > 0
}

func (r *result) into(t *store.Take) {
	t.Fits, t.Granted, t.Left, t.More, t.Wait = r.fits, r.granted, r.left, r.more, r.wait
}

// flightKey is the key of what runs.
func flightKey(b []byte, name, key string) []byte { return append(appendText(b, name), key...) }

func appendEntry(b []byte, e store.Entry) []byte {
	return appendText(binary.AppendVarint(b, e.Until.UnixMilli()), e.Member)
}

// entry reads what appendEntry wrote, into memory of its own.
func (p *body) entry() store.Entry {
	until := time.UnixMilli(p.number())
	return store.Entry{Until: until, Member: string([]byte(p.view()))}
}

// appendAdd appends what Add asks.
func appendAdd(b []byte, set string, entries []store.Entry) ([]byte, error) {
	b = appendText(b, set)
	for _, e := range entries {
		b = appendEntry(b, e)
	}
	if len(b) > maxFrame {
		return nil, fmt.Errorf("%d bytes are too many to be added at once, at most %d", len(b), maxFrame)
	}
	return b, nil
}

// add reads what appendAdd wrote, into memory of its own.
func (p *body) add() (set string, entries []store.Entry) {
	set = string([]byte(p.view()))
	for len(p.b) > 0 && !p.bad {
		entries = append(entries, p.entry())
	}
	return set, entries
}
