package telemetry

import (
	"bytes"
	"io"
	"sync"
)

// outlet is the output of an AccessLog, and the batch that is on its way there.
type outlet struct {
	open Opener

	mu    sync.Mutex // guards the fields below, held while writing
	out   io.WriteCloser
	batch []byte
	sent  int // of batch

	nextMu sync.Mutex
	next   io.WriteCloser // takes the place of out; nil most of the time
}

// put gives it the next batch. The one before has been sent. The outlet keeps it until then.
func (o *outlet) put(batch []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.batch, o.sent = batch, 0
}

// send writes what is left of the batch. After an error it goes on where it was the next time, so that
// no line is torn.
func (o *outlet) send() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.out.Write(o.batch[o.sent:])
	o.sent += n
	if err == nil {
		o.batch, o.sent = nil, 0
	}
	return err
}

// reopen opens a new output, which turn puts in the place of the old one. It waits for nobody.
func (o *outlet) reopen() error {
	out, err := o.open()
	if err != nil {
		return err
	}
	o.nextMu.Lock()
	unused := o.next
	o.next = out
	o.nextMu.Unlock()
	if unused != nil {
		return unused.Close()
	}
	return nil
}

// turn goes over to an output that was opened meanwhile, and tells whether there was one. A line that the
// old one has in part, the new one gets whole.
func (o *outlet) turn() (turned bool, err error) {
	o.nextMu.Lock()
	next := o.next
	o.next = nil
	o.nextMu.Unlock()
	if next == nil {
		return false, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	old := o.out
	o.out = next
	o.sent = bytes.LastIndexByte(o.batch[:o.sent], '\n') + 1
	return true, old.Close()
}

// unsent returns how many lines of the batch are not written.
func (o *outlet) unsent() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Count(o.batch[o.sent:], []byte{'\n'})
}

func (o *outlet) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.out.Close()
}
