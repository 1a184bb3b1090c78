package wire

import (
	"sync"

	"yett/internal/exchange"
)

const (
	// SmallBuffer holds the head of nearly every message, in bytes.
	SmallBuffer = 4 << 10
	// LargeBuffer is what bodies are copied through, in bytes: 64 KB of content
	// and the head before it.
	LargeBuffer = 68 << 10
	// HugeBuffer is for streams that fill a large one, in bytes: each doubling
	// halves the system calls, and beyond this the processor's cache is left.
	HugeBuffer = 260 << 10
)

// Buffer is a piece of memory from Buffers. B has its full length.
type Buffer struct {
	B    []byte
	home *sync.Pool
}

// Release gives the buffer back. No view of it may be used afterwards.
func (b *Buffer) Release() {
	exchange.Poison(b.B)
	if b.home != nil {
		b.home.Put(b)
	}
}

// Buffers hands out buffers in three sizes. The zero Buffers is ready, and one
// serves both sides of the gateway.
type Buffers struct{ small, large, huge sync.Pool }

// Get returns a buffer of at least n bytes. It belongs to the caller until
// Release. Buffers beyond HugeBuffer are left to the garbage collector.
func (p *Buffers) Get(n int) *Buffer {
	switch {
	case n <= SmallBuffer:
		return get(&p.small, SmallBuffer)
	case n <= LargeBuffer:
		return get(&p.large, LargeBuffer)
	case n <= HugeBuffer:
		return get(&p.huge, HugeBuffer)
	default:
		return &Buffer{B: make([]byte, n)}
	}
}

func get(pool *sync.Pool, size int) *Buffer {
	if b, ok := pool.Get().(*Buffer); ok {
		return b
	}
	return &Buffer{B: make([]byte, size), home: pool}
}

// Receive reads what is there at once with read, which does not block: into a
// small buffer, and when that is filled on into a large one. Without bytes it
// returns no buffer, and read's error.
func (p *Buffers) Receive(read func([]byte) (int, error)) (*Buffer, int, error) {
	b := p.Get(SmallBuffer)
	n, err := read(b.B)
	if n == 0 {
		b.Release()
		return nil, 0, err
	}
	if n == len(b.B) {
		large := p.Get(LargeBuffer)
		copy(large.B, b.B)
		b.Release()
		b = large
		more, _ := read(b.B[n:]) // an error shows again at the next read
		n += more
	}
	return b, n, nil
}

// Fit returns a buffer for the next piece of a stream after one of n bytes: a
// quiet stream holds a small one, a busy one a large one, and one that fills
// that a huge one. b is given back when it is not the one.
func (p *Buffers) Fit(b *Buffer, n int) *Buffer {
	size := LargeBuffer
	switch {
	case n < SmallBuffer/2:
		size = SmallBuffer
	case n >= LargeBuffer-2*ChunkHeadRoom, len(b.B) == HugeBuffer && n >= LargeBuffer/2:
		size = HugeBuffer
	}
	if size == len(b.B) {
		return b
	}
	b.Release()
	return p.Get(size)
}
