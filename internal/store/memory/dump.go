package memory

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"yett/internal/store"
)

// A dump is a magic word and frames: what is in it, its length, that, and its CRC. The first
// frame tells the version, whether these are changes, when it was written, and the seed of the
// ids; the last is empty, so that one that was cut off is noticed. Numbers are varints, times microseconds after the dump.
const (
	dumpMagic   = "yett\x00mem"
	dumpVersion = 1

	frameHeader  = 'H'
	frameRecords = 'R'
	frameSet     = 'S'
	frameEnd     = 'E'

	// maxFrame is the longest frame that Load reads, fullFrame when Dump begins another.
	maxFrame, fullFrame = 64 << 20, 64 << 10
)

// ErrForeign tells that a dump can't be merged: what counts here was counted under other ids,
// because the store was asked before it has loaded anything. Sets are loaded.
var ErrForeign = errors.New("limits have counted here already, before the first dump was loaded")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Dump writes all that the store holds, in a form that Load of this or a later version reads:
// sets, and what limits have counted, together with the secret that hides their keys. It holds
// up nobody for more than a moment; what changes meanwhile may be in it or not. It needs
// little memory itself.
func (s *Store) Dump(w io.Writer) error { return s.dump(w, time.Now(), false) }

// DumpChanges writes what limits have counted since the last Dump, for a store that has loaded
// that, and nothing since. Sets are not told, nor that nothing is counted of somebody any more:
// what was forgotten, given back as a whole or dropped meanwhile stays in the other store.
func (s *Store) DumpChanges(w io.Writer) error { return s.dump(w, time.Now(), true) }

func (s *Store) dump(w io.Writer, now time.Time, changes bool) error {
	l := s.limits.Load()
	d := &dumper{w: w, clock: l.clock(now), changes: changes}
	d.raw([]byte(dumpMagic))
	d.frame(frameHeader, dumpHead{changes, now.UnixMicro(), l.seed}.append(nil))
	if !changes {
		s.dumpSets(d)
	}
	for i := range l.shards {
		l.shards[i].dump(d)
	}
	d.frame(frameEnd, nil)
	if d.err != nil {
		return fmt.Errorf("dump the store: %w", d.err)
	}
	return nil
}

// Tell has DumpChanges tell what a limit has counted under a key, dumped before or not.
func (s *Store) Tell(name, key string) {
	l := s.limits.Load()
	i := l.id(name, key)
	sh := l.shard(i)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if slot := sh.find(i); slot > 0 {
		sh.at(slot).dumped = false
	}
}

// dumper writes frames until one fails.
type dumper struct {
	w     io.Writer
	err   error
	clock int64 // when the dump began, by the clock of the limits
	// changes tells to leave out what was dumped before.
	changes bool
	buf     []byte
}

func (d *dumper) raw(b []byte) {
	if d.err == nil {
		_, d.err = d.w.Write(b)
	}
}

func (d *dumper) frame(kind byte, payload []byte) {
	var head [5]byte
	head[0] = kind
	binary.LittleEndian.PutUint32(head[1:], uint32(len(payload)))
	sum := crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, payload)
	d.raw(head[:])
	d.raw(payload)
	d.raw(binary.LittleEndian.AppendUint32(nil, sum))
}

// dumpSets copies one set at a time, because its followers are told under the same lock.
func (s *Store) dumpSets(d *dumper) {
	s.mu.Lock()
	names := make([]string, 0, len(s.sets))
	for name := range s.sets {
		names = append(names, name)
	}
	s.mu.Unlock()
	for _, name := range names {
		b := appendText(d.buf[:0], name)
		for _, e := range s.members(name) {
			if b = appendText(binary.AppendVarint(b, e.Until.UnixMilli()), e.Member); len(b) >= fullFrame {
				d.frame(frameSet, b)
				b = appendText(b[:0], name)
			}
		}
		d.frame(frameSet, b)
		d.buf = b
	}
}

// members returns what a set holds.
func (s *Store) members(name string) []store.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, ok := s.sets[name]
	if !ok {
		return nil
	}
	all, now := make([]store.Entry, 0, len(in.until)), time.Now()
	for member, until := range in.until {
		if until.After(now) {
			all = append(all, store.Entry{Member: member, Until: until})
		}
	}
	return all
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// dump writes the records, a few at a time.
func (s *shard) dump(d *dumper) {
	for slot := uint32(1); slot != 0 && d.err == nil; {
		d.buf, slot = s.appendSome(d.buf[:0], slot, d)
		if len(d.buf) > 0 {
			d.frame(frameRecords, d.buf)
		}
	}
}

// appendSome appends records from a number on, and returns the number of the next, 0 after the
// last.
func (s *shard) appendSome(b []byte, slot uint32, d *dumper) ([]byte, uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; slot <= s.made; slot++ {
		if len(b) >= fullFrame {
			return b, slot
		}
		r := s.at(slot)
		if r.kind == 0 || r.end.time()+late <= d.clock || d.changes && r.dumped {
			continue
		}
		var st state
		s.load(&st, slot)
		b = r.append(b, &st, d.clock)
		r.dumped = true
	}
	return b, 0
}

// append writes a record, of which st was loaded.
func (r *record) append(b []byte, st *state, clock int64) []byte {
	b = append(seed{r.id.high, r.id.low}.append(b), r.kind)
	b = binary.AppendUvarint(b, uint64(r.share))
	b = binary.AppendVarint(b, r.first.time()-clock)
	b = binary.AppendVarint(b, r.end.time()-clock)
	if st.algorithm != store.SlidingWindow {
		return binary.AppendUvarint(b, r.number())
	}
	b = binary.AppendUvarint(b, uint64(st.n))
	for i := range st.n {
		b = binary.AppendVarint(b, st.entry(i).last.time()-clock)
		b = binary.AppendUvarint(b, uint64(st.entry(i).count()))
	}
	return b
}

// Load adds what Dump wrote to what the store holds. What has ended since is left out. What
// both have of a caller is not added up: of two uses the larger and the later wins, so that to
// load the same, or a later dump of the same store, does no harm, and nobody gets anything back.
// A store that has counted nothing as yet takes the dump's ids over, so the first Load comes
// before the first Take; a dump with other ids is ErrForeign after that. What can't be read is
// an error; what came before it is loaded. What DumpChanges wrote takes the place of what is
// here.
func (s *Store) Load(r io.Reader) error {
	if err := s.load(&frames{r: r}, time.Now()); err != nil {
		return fmt.Errorf("load what a store has dumped: %w", err)
	}
	return nil
}

func (s *Store) load(in *frames, now time.Time) error {
	head, err := in.header()
	if err != nil {
		return err
	}
	l, foreign := s.adopt(head.seed)
	passed := max(0, now.UnixMicro()-head.written) // a clock put back is no reason to let go of anything
	clock := l.clock(now)
	for {
		kind, p, err := in.next()
		switch {
		case err != nil:
			return err
		case kind == frameEnd:
			return foreign
		case kind == frameSet:
			err = s.loadSet(p)
		case kind == frameRecords && foreign == nil:
			err = l.loadRecords(p, clock-passed, clock, head.changes)
		case kind != frameRecords:
			err = fmt.Errorf("a part of a kind that is not known, %q", kind)
		}
		if err != nil {
			return err
		}
	}
}

// adopt returns limits whose ids are made by a seed, or ErrForeign.
func (s *Store) adopt(of seed) (*limits, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.limits.Load()
	switch {
	case l.seed == of:
		return l, nil
	case !l.empty():
		return l, ErrForeign
	}
	l = newLimits(s.keys, of)
	s.limits.Store(l)
	return l, nil
}

// empty tells whether nothing has ever been counted.
func (l *limits) empty() bool {
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		made := sh.made
		sh.mu.Unlock()
		if made > 0 {
			return false
		}
	}
	return true
}

func (s *Store) loadSet(p payload) error {
	name, now := p.text(), time.Now()
	var entries []store.Entry
	for p.more() {
		e := store.Entry{Until: time.UnixMilli(p.varint()), Member: p.text()}
		if e.Until.After(now) {
			entries = append(entries, e)
		}
	}
	if p.bad || len(entries) == 0 {
		return p.err()
	}
	return s.Add(context.Background(), name, entries...)
}

// frames reads frames.
type frames struct {
	r   io.Reader
	buf bytes.Buffer
}

type dumpHead struct {
	changes bool
	written int64 // microseconds since 1970
	seed    seed
}

func (h dumpHead) append(b []byte) []byte {
	b = binary.AppendUvarint(b, dumpVersion)
	if h.changes {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	return h.seed.append(binary.AppendVarint(b, h.written))
}

func (f *frames) header() (h dumpHead, err error) {
	var magic [len(dumpMagic)]byte
	if _, err := io.ReadFull(f.r, magic[:]); err != nil {
		return h, cut(err)
	}
	if string(magic[:]) != dumpMagic {
		return h, errors.New("it is no dump of a store")
	}
	kind, p, err := f.next()
	if err != nil {
		return h, err
	}
	version := p.uvarint()
	if kind == frameHeader && !p.bad && version > dumpVersion {
		return h, fmt.Errorf("it was written by a later version of this program, in form %d; this one reads up to %d", version, dumpVersion)
	}
	h.changes, h.written, h.seed = p.bytes(1)[0] == 1, p.varint(), readSeed(p.bytes(16))
	if kind != frameHeader || version == 0 || p.more() {
		p.bad = true
	}
	return h, p.err()
}

// next returns the next frame, which is good until the one after it.
func (f *frames) next() (kind byte, p payload, err error) {
	var head [5]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, p, cut(err)
	}
	n := int64(binary.LittleEndian.Uint32(head[1:])) + crc32.Size
	if n > maxFrame {
		return 0, p, errCorrupt
	}
	f.buf.Reset()
	if _, err := io.CopyN(&f.buf, f.r, n); err != nil { // which needs no more memory than there is
		return 0, p, cut(err)
	}
	b := f.buf.Bytes()
	p.b = b[:len(b)-crc32.Size]
	if crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, p.b) != binary.LittleEndian.Uint32(b[len(p.b):]) {
		return 0, p, errCorrupt
	}
	return head[0], p, nil
}

var errCorrupt = errors.New("it is corrupt")

// cut says what the end of a dump in its middle means.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it was cut off")
	}
	return err
}

// payload is read piece by piece. Once something is wrong, all that is read is zero.
type payload struct {
	b   []byte
	bad bool
}

func (p *payload) err() error {
	if p.bad {
		return errCorrupt
	}
	return nil
}

func (p *payload) more() bool { return !p.bad && len(p.b) > 0 }

func (p *payload) skip(n int) {
	if n <= 0 {
		p.bad = true
		return
	}
	p.b = p.b[n:]
}

func (p *payload) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if p.skip(n); p.bad {
		return 0
	}
	return v
}

func (p *payload) varint() int64 {
	v, n := binary.Varint(p.b)
	if p.skip(n); p.bad {
		return 0
	}
	return v
}

func (p *payload) text() string {
	n := p.uvarint()
	if n > uint64(len(p.b)) {
		p.bad = true
		return ""
	}
	s := string(p.b[:n])
	p.b = p.b[n:]
	return s
}

// bytes returns n bytes, in any case.
func (p *payload) bytes(n int) []byte {
	if p.bad || len(p.b) < n {
		p.bad = true
		return make([]byte, n)
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}
