package apidocs

import (
	"fmt"

	"yett/internal/openapi"
)

// bounds are how large a document may become.
type bounds struct{ nodes, bytes int }

// usual bounds leave room for some 50,000 operations.
var usual = bounds{nodes: 5_000_000, bytes: 64 << 20}

func (b bounds) String() string {
	return fmt.Sprintf("%d values or %d MB of JSON", b.nodes, b.bytes>>20)
}

// budget counts what a document in the making has, and ends making it by a panic with one of
// the values below. References let a small document of a service become a very large one.
type budget struct {
	most   bounds // zero for none
	spent  bounds
	copied int // nodes since the last charge
	stop   func() bool
}

// ended is why a document was not made.
type ended int

const (
	_        ended = iota
	tooLarge       // the bounds are reached
	stopped        // nobody wants it any more
)

// lookEvery is after how many nodes it is asked whether anybody wants the document: some
// tenths of a millisecond.
const lookEvery = 1024

// copy counts a node that is being copied.
func (b *budget) copy() {
	b.copied++
	if b.copied%lookEvery == 0 {
		b.look()
	}
}

// charge counts what has been finished.
func (b *budget) charge(n *openapi.Node) {
	b.copied = 0
	b.count(n)
	b.look()
}

func (b *budget) count(n *openapi.Node) {
	if n == nil {
		return
	}
	b.spent.nodes++
	b.spent.bytes += written(n.Text)
	for _, item := range n.Items {
		b.count(item)
	}
	for _, m := range n.Members {
		b.spent.bytes += written(m.Name)
		b.count(m.Value)
	}
}

// written is about how many bytes a text has in JSON.
func written(text string) int {
	n := len(text) + len(`"",`)
	for i := range len(text) {
		if text[i] < ' ' {
			n += len(`\u0000`) - 1
		}
	}
	return n
}

// look ends making the document where that has to be.
func (b *budget) look() {
	if b.stop != nil && b.stop() {
		panic(stopped)
	}
	if b.most != (bounds{}) && (b.spent.nodes+b.copied > b.most.nodes || b.spent.bytes > b.most.bytes) {
		panic(tooLarge)
	}
}

// within calls f, and returns why it was ended, 0 if it was not.
func within(f func()) (why ended) {
	defer func() {
		if fault := recover(); fault != nil {
			var ok bool
			if why, ok = fault.(ended); !ok {
				panic(fault)
			}
		}
	}()
	f()
	return 0
}
