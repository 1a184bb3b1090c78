package telemetry

import (
	"bytes"
	"fmt"
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

// reopen puts a new output in the place of the old one. A line that the old one has in part, the new
// one gets whole.
func (o *outlet) reopen() error {
	out, err := o.open()
	if err != nil {
		return err
	}
	o.mu.Lock()
	old := o.out
	o.out = out
	o.sent = bytes.LastIndexByte(o.batch[:o.sent], '\n') + 1
	o.mu.Unlock()
	if err := old.Close(); err != nil {
		return fmt.Errorf("close the old output: %w", err)
	}
	return nil
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
