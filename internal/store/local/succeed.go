package local

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"yett/internal/store/memory"
)

// What both sides say when one takes the place of the other, a byte each:
//
//	old  all that it holds, while it goes on answering
//	new  haveAll
//	old  the listening socket. It answers nobody from here on
//	     what was added and forgotten meanwhile, and what limits have counted
//	new  haveChanges
//	old  yours. It answers nobody any more, whatever becomes of the new one
//
// Who asks meanwhile waits, and is told to ask the new one. When anything else happens before the
// last word, the old one goes on.
const (
	haveAll     = 'a'
	haveChanges = 'c'
	yours       = 'y'
)

const (
	// loading is how long a successor may take to load all, settling to load changes. While it
	// does the latter everybody waits.
	loading, settling = 30 * time.Second, time.Second
	// maxJournal is how many bytes may be added to sets while a successor loads.
	maxJournal = 16 << 20
)

// journal has what is added and forgotten while a successor loads what was there before.
type journal struct {
	mu      sync.Mutex
	running bool
	b       []byte // frames
}

func (j *journal) begin() {
	j.mu.Lock()
	j.running, j.b = true, nil
	j.mu.Unlock()
}

func (j *journal) note(verb byte, asked []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.running && len(j.b) <= maxJournal {
		at := len(j.b)
		j.b = end(append(begin(j.b, verb, 0), asked...), at)
	}
}

// end returns what was noted.
func (j *journal) end() ([]byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := j.b
	j.running, j.b = false, nil
	if len(b) > maxJournal {
		return nil, errors.New("too much was added meanwhile")
	}
	return b, nil
}

// handOver gives everything to the process at the other end. When that fails this one goes on.
func (s *Server) handOver(c *conn) {
	if !s.handing.TryLock() {
		return // another one is at it
	}
	defer s.handing.Unlock()
	s.gate.Lock() // or something might be forgotten after it was dumped, and not noted
	s.journal.begin()
	s.gate.Unlock()
	err := s.giveAll(c)
	if err == nil {
		err = s.giveChanges(c)
	}
	_, _ = s.journal.end()
	if err != nil {
		s.log.Warn("another process did not take the store over; this one goes on", "error", plain(err).Error())
		return
	}
	s.log.Info("another process has taken the store over")
	s.kick()
	s.empty()
	close(s.done)
}

// empty waits until all but the connection of the successor have said that another process
// serves.
func (s *Server) empty() {
	patience := time.NewTimer(stuck)
	defer patience.Stop()
	for {
		s.mu.Lock()
		n := len(s.conns)
		s.mu.Unlock()
		if n <= 1 {
			return
		}
		select {
		case <-s.left:
		case <-s.ctx.Done():
			return
		case <-patience.C:
			return
		}
	}
}

// patient is a connection each of whose writes has some time.
type patient struct {
	*conn
	most time.Duration
}

func (p patient) Write(b []byte) (int, error) {
	if err := p.conn.write(b, p.most); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (s *Server) giveAll(c *conn) error {
	w := bufio.NewWriterSize(patient{c, loading}, firstBuffer)
	if err := errors.Join(s.m.Dump(w), w.Flush()); err != nil {
		return err
	}
	return await(c, haveAll, loading)
}

// await waits for a word.
func await(c *conn, want byte, most time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(most)); err != nil {
		return err
	}
	var b [1]byte
	if _, err := c.Read(b[:]); err != nil {
		return ended(err)
	}
	if b[0] != want {
		return errFrame
	}
	return nil
}

// giveChanges holds up all who ask until the other process has everything.
func (s *Server) giveChanges(c *conn) error {
	s.gate.Lock()
	defer s.gate.Unlock()
	added, err := s.journal.end()
	if err != nil {
		return err
	}
	if err := s.forgotten(added); err != nil {
		return err
	}
	if err := giveListener(c, s.l); err != nil {
		return err
	}
	w := bufio.NewWriterSize(patient{c, settling}, firstBuffer)
	_, err = w.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(added))))
	if err == nil {
		_, err = w.Write(added)
	}
	if err := errors.Join(err, s.m.DumpChanges(w), w.Flush()); err != nil {
		return err
	}
	if err := await(c, haveChanges, settling); err != nil {
		return err
	}
	if err := c.write([]byte{yours}, settling); err != nil {
		return err
	}
	s.moved = true
	return nil
}

// forgotten has counts told that began after what was there had been forgotten: the other process
// forgets them too.
func (s *Server) forgotten(added []byte) error {
	return eachFrame(added, func(verb byte, asked []byte) {
		if verb == doForget {
			p := body{b: asked}
			s.m.Tell(p.view(), p.view())
		}
	})
}

// eachFrame reads what a journal has.
func eachFrame(b []byte, do func(verb byte, asked []byte)) error {
	for len(b) > 0 {
		verb, _, asked, rest, ok, err := cut(b)
		if err != nil || !ok || verb != doAdd && verb != doForget {
			return errFrame
		}
		do(verb, asked)
		b = rest
	}
	return nil
}

// giveListener sends the socket that clients connect to, with a byte.
func giveListener(c *conn, l *net.UnixListener) error {
	f, err := l.File()
	if err != nil {
		return err
	}
	defer f.Close()
	if err := c.SetWriteDeadline(time.Now().Add(settling)); err != nil {
		return err
	}
	_, _, err = c.WriteMsgUnix([]byte{0}, syscall.UnixRights(int(f.Fd())), nil)
	return err
}

// kick wakes all connections, to say that another process serves, and takes no more.
func (s *Server) kick() {
	_ = s.l.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
}

// Succeed takes the place of the server at path: what it holds goes to m, which is empty, and
// the socket is returned, to be served. When it fails, the other one goes on.
func Succeed(ctx context.Context, path string, m *memory.Store) (*net.UnixListener, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	l, err := succeed(ctx, path, m)
	if err != nil {
		return nil, fmt.Errorf("take over the store at %s: %w", path, err)
	}
	return l, nil
}

func succeed(ctx context.Context, path string, m *memory.Store) (*net.UnixListener, error) {
	c, err := dial(ctx, path, forSuccessor)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if err := c.SetReadDeadline(time.Now().Add(loading)); err != nil {
		return nil, err
	}
	if err := m.Load(bufio.NewReaderSize(c, firstBuffer)); err != nil {
		return nil, err
	}
	if err := c.write([]byte{haveAll}, settling); err != nil {
		return nil, err
	}
	l, err := takeListener(c)
	if err != nil {
		return nil, err
	}
	if err := takeChanges(ctx, c, m); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// takeChanges loads what has changed meanwhile, and waits for the last word.
func takeChanges(ctx context.Context, c *conn, m *memory.Store) error {
	r := bufio.NewReaderSize(c, firstBuffer)
	if err := replay(ctx, r, m); err != nil {
		return err
	}
	if err := m.Load(r); err != nil {
		return err
	}
	if err := c.write([]byte{haveChanges}, settling); err != nil {
		return err
	}
	return await(c, yours, 4*settling) // the other one has given up long before
}

// replay does what a journal says.
func replay(ctx context.Context, r io.Reader, m *memory.Store) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return ended(err)
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxJournal+maxFrame {
		return errFrame
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return ended(err)
	}
	return eachFrame(b, func(verb byte, asked []byte) {
		_ = apply(ctx, m, verb, asked) // what the other one has refused is refused here too
	})
}

// takeListener receives the socket that clients connect to.
func takeListener(c *conn) (*net.UnixListener, error) {
	if err := c.SetReadDeadline(time.Now().Add(loading)); err != nil {
		return nil, err
	}
	b, oob := make([]byte, 1), make([]byte, syscall.CmsgSpace(4))
	n, got, _, _, err := c.ReadMsgUnix(b, oob)
	if err != nil || n == 0 {
		return nil, ended(err)
	}
	messages, err := syscall.ParseSocketControlMessage(oob[:got])
	if err != nil || len(messages) != 1 {
		return nil, errFrame
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errFrame
	}
	f := os.NewFile(uintptr(fds[0]), "listener")
	defer f.Close()
	syscall.CloseOnExec(fds[0])
	any, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	l, ok := any.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(errFrame, any.Close())
	}
	return l, nil
}
