package app

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"yett/internal/revocation"
	"yett/internal/store"
	"yett/internal/store/memory"
)

// A process that takes the place of another gets what that one keeps in memory: what limits have
// counted, and revocations. It asks for it when nothing can fail any more, and has it before it
// serves. Until the old one has drained, it hears of each revocation that is made there, and last
// of all that was counted there. Of what both have counted of a caller in the meantime the larger
// counts: nobody gets anything back, and the old one serves no more than one more request on each
// of its connections. What the new one counts, or revokes, the old one never hears of.
//
// Both talk by messages: their kind, the length of what follows as four bytes, and that.

const (
	msgPiece = 'P' // of what Dump of the memory writes
	msgWhole = '.' // it is complete
	msgEntry = 'E' // JSON of a store.Entry, of the revocations
)

// mostMessage bounds a message, in bytes.
const mostMessage = 1 << 20

// messages writes them.
type messages struct{ w io.Writer }

func (m messages) send(kind byte, content []byte) error {
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(content)))
	_, err := m.w.Write(append(head, content...))
	return err
}

// Write sends pieces of a dump.
func (m messages) Write(p []byte) (n int, err error) {
	for n < len(p) {
		piece := p[n:min(len(p), n+mostMessage)]
		if err := m.send(msgPiece, piece); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}

func receive(r io.Reader) (kind byte, content []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > mostMessage {
		return 0, nil, fmt.Errorf("a message of %d bytes is too large", n)
	}
	content = make([]byte, n)
	if _, err = io.ReadFull(r, content); err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return head[0], content, err
}

// Heir is a process that is to take the place of this one.
type Heir struct {
	here  *memory.Store
	conn  io.ReadWriteCloser
	stop  context.CancelFunc
	ended sync.WaitGroup
	wake  chan struct{} // entries were added

	mu      sync.Mutex
	entries []store.Entry
}

// Bequeath tells on conn what this process keeps in memory, as soon as it is asked for, and goes
// on telling until Leave, or until the heir is disowned. It closes conn.
func (a *App) Bequeath(conn io.ReadWriteCloser) *Heir {
	ctx, stop := context.WithCancel(context.Background())
	h := &Heir{here: a.here, conn: conn, stop: stop, wake: make(chan struct{}, 1)}
	h.ended.Go(func() { h.serve(ctx) })
	return h
}

// Disown ends it.
func (h *Heir) Disown() {
	h.stop()
	_ = h.conn.Close()
	h.ended.Wait()
}

// lastTime is how long the heir may take to hear the last.
const lastTime = 10 * time.Second

// finish tells the last, and ends it.
func (h *Heir) finish() {
	h.stop()
	late := time.AfterFunc(lastTime, func() { _ = h.conn.Close() })
	h.ended.Wait()
	late.Stop()
	_ = h.conn.Close()
}

// serve tells all, until the heir is gone.
func (h *Heir) serve(ctx context.Context) {
	if _, err := io.ReadFull(h.conn, make([]byte, 1)); err != nil {
		return
	}
	m := messages{h.conn}
	if h.here.Dump(m) != nil || m.send(msgWhole, nil) != nil {
		return
	}
	var following sync.WaitGroup
	following.Go(func() { h.here.Follow(ctx, revocation.Set, h) })
	defer following.Wait()
	for over := false; !over; {
		select {
		case <-h.wake:
		case <-ctx.Done():
			over = true
		}
		for _, e := range h.take() {
			text, err := json.Marshal(e)
			if err != nil || m.send(msgEntry, text) != nil {
				return
			}
		}
	}
	if h.here.Dump(m) == nil {
		_ = m.send(msgWhole, nil)
	}
}

// Added implements store.Follower.
func (h *Heir) Added(e store.Entry) {
	h.mu.Lock()
	h.entries = append(h.entries, e)
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *Heir) take() []store.Entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.entries
	h.entries = nil
	return all
}

// Synced implements store.Follower.
func (h *Heir) Synced() {}

// Lost implements store.Follower. The memory can't be lost.
func (h *Heir) Lost(error) {}

// inherit takes what the process before this one keeps in memory, and goes on taking it beside
// everything else.
func (a *App) inherit() error {
	conn := a.o.Predecessor
	if conn == nil {
		return nil
	}
	_, err := conn.Write([]byte("?"))
	if err == nil {
		err = a.loadDump(&dump{r: conn})
	}
	if err != nil {
		return errors.Join(fmt.Errorf("taking over limits and revocations of the process before this one: %w", err), conn.Close())
	}
	over := make(chan struct{})
	a.later(func() {
		defer close(over)
		if err := a.inheritRest(conn); err != nil {
			a.log.Warn("the last of what the process before this one has counted is lost", "error", err)
		}
	})
	a.later(func() {
		select {
		case <-over:
		case <-a.closing:
		}
		_ = conn.Close()
	})
	return nil
}

// inheritRest takes what comes until the process before this one has ended.
func (a *App) inheritRest(conn io.Reader) error {
	for {
		kind, content, err := receive(conn)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case kind == msgEntry:
			err = a.inheritEntry(content)
		case kind == msgPiece:
			err = a.loadDump(&dump{r: conn, piece: bytes.NewReader(content)})
		}
		if err != nil {
			return err
		}
	}
}

func (a *App) loadDump(d *dump) error {
	if err := a.here.Load(d); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, d) // to the message behind it
	return err
}

func (a *App) inheritEntry(text []byte) error {
	var e store.Entry
	if err := json.Unmarshal(text, &e); err != nil {
		return err
	}
	return a.here.Add(context.Background(), revocation.Set, e)
}

// dump reads the pieces of one.
type dump struct {
	r     io.Reader
	piece *bytes.Reader
	whole bool
}

// Read implements io.Reader.
func (d *dump) Read(p []byte) (int, error) {
	for d.piece == nil || d.piece.Len() == 0 {
		if d.whole {
			return 0, io.EOF
		}
		kind, content, err := receive(d.r)
		switch {
		case err == io.EOF:
			return 0, io.ErrUnexpectedEOF
		case err != nil:
			return 0, err
		case kind == msgWhole:
			d.whole = true
		case kind == msgPiece:
			d.piece = bytes.NewReader(content)
		default:
			return 0, fmt.Errorf("a message of kind %q within a dump", kind)
		}
	}
	return d.piece.Read(p)
}
