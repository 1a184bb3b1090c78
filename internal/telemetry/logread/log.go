package logread

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"yett/internal/telemetry/logfile"
)

// longest is how much of a line without an end is held before it counts as one.
const longest = 1 << 20

// entry is a line, its end included.
type entry struct {
	at   time.Time
	line []byte
}

// log is one log file with those that were moved aside from it.
type log struct {
	path   string
	filter *Filter
	judge  judge

	backups []logfile.Backup // what was moved aside before file
	file    *os.File         // nil while it isn't there
	offset  int64            // read so far
	broken  []error          // of backups that could not be read, or only in part
	partial []byte           // of a line whose end isn't there yet
}

func openLog(path string, f *Filter) (*log, error) {
	l := &log{path: path, filter: f, judge: newJudge(f)}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

// settleTries bounds how often a log that is moved aside right now is looked at again.
const settleTries = 100

// open opens the file together with what belongs before it.
func (l *log) open() error {
	for range settleTries {
		before, err := logfile.Backups(l.path)
		if err != nil {
			return err
		}
		file, err := os.Open(l.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		after, err := logfile.Backups(l.path)
		if err == nil && newest(before).Equal(newest(after)) {
			l.close()
			l.backups, l.file, l.offset, l.partial = after, file, 0, nil
			return nil
		}
		if file != nil {
			_ = file.Close() // only read
		}
		if err != nil {
			return err
		}
	}
	return errors.New(l.path + " is moved aside faster than it can be read")
}

func newest(b []logfile.Backup) time.Time {
	if len(b) == 0 {
		return time.Time{}
	}
	return b[len(b)-1].At
}

func (l *log) close() {
	if l.file != nil {
		_ = l.file.Close() // only read
		l.file = nil
	}
}

// exists tells that there is something to be read.
func (l *log) exists() bool { return l.file != nil || len(l.backups) > 0 }

// all calls do for each line that is wanted, the oldest first, until it returns false.
func (l *log) all(do func(entry) bool) error {
	for _, b := range l.backups {
		if b.At.Before(l.filter.Since) {
			continue // all its lines are older
		}
		if goOn, err := l.readBackup(b, do); err != nil || !goOn {
			return err
		}
	}
	_, err := l.readFile(do)
	return err
}

// last returns the last n lines that are wanted. It reads only as many files as it takes.
func (l *log) last(n int) ([]entry, error) {
	ring := ring{room: n}
	if _, err := l.readFile(ring.add); err != nil {
		return nil, err
	}
	found := ring.lines()
	for _, b := range slices.Backward(l.backups) {
		if len(found) >= n || b.At.Before(l.filter.Since) {
			break
		}
		ring.reset(n - len(found))
		l.judge = newJudge(l.filter) // these lines are not behind those that were read before
		if _, err := l.readBackup(b, ring.add); err != nil {
			return nil, err
		}
		found = append(ring.lines(), found...)
	}
	return found, nil
}

// readBackup reads a file that was moved aside. One that was removed meanwhile holds nothing; one that is
// broken, what can be read of it, and the others are read all the same.
func (l *log) readBackup(b logfile.Backup, do func(entry) bool) (goOn bool, err error) {
	goOn, err = l.readWhole(b, do)
	if err != nil && b.Compressed() && !errors.Is(err, fs.ErrPermission) {
		l.broken = append(l.broken, err)
		return true, nil
	}
	return goOn, err
}

func (l *log) readWhole(b logfile.Backup, do func(entry) bool) (goOn bool, err error) {
	f, err := os.Open(b.Path)
	if errors.Is(err, fs.ErrNotExist) && !b.Compressed() { // but it may just have been compressed
		b.Path += ".gz"
		f, err = os.Open(b.Path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	var r io.Reader = f
	if b.Compressed() {
		if r, err = gzip.NewReader(f); err != nil {
			return false, &fs.PathError{Op: "read", Path: b.Path, Err: err}
		}
	}
	rest, goOn, err := l.read(r, nil, do)
	if err != nil {
		return false, &fs.PathError{Op: "read", Path: b.Path, Err: err}
	}
	if goOn && len(rest) > 0 { // who wrote it was killed
		goOn = l.give(append(rest, '\n'), do)
	}
	return goOn, nil
}

// readFile reads what is new in the file.
func (l *log) readFile(do func(entry) bool) (goOn bool, err error) {
	if l.file == nil {
		return true, nil
	}
	info, err := l.file.Stat()
	if err != nil {
		return false, err
	}
	if info.Size() < l.offset { // somebody has emptied it
		l.offset, l.partial = 0, nil
	}
	more := io.NewSectionReader(l.file, l.offset, info.Size()-l.offset)
	l.partial, goOn, err = l.read(more, l.partial, do)
	l.offset = info.Size()
	return goOn, err
}

// read calls do for each line, of which the first begins with what is in front. It returns what has no
// end.
func (l *log) read(r io.Reader, front []byte, do func(entry) bool) (rest []byte, goOn bool, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	line := front
	for {
		part, err := in.ReadSlice('\n')
		if len(line) == 0 && err == nil {
			if !l.give(part, do) {
				return nil, false, nil
			}
			continue
		}
		line = append(line, part...)
		switch {
		case err == nil || len(line) > longest && errors.Is(err, bufio.ErrBufferFull):
			if !bytes.HasSuffix(line, []byte{'\n'}) {
				line = append(line, '\n')
			}
			if !l.give(line, do) {
				return nil, false, nil
			}
			line = nil
		case errors.Is(err, io.EOF):
			return line, true, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, false, err
		}
	}
}

// give calls do with a line that is wanted. The line stays the caller's.
func (l *log) give(line []byte, do func(entry) bool) bool {
	at, wanted := l.judge.wants(line)
	return !wanted || do(entry{at, line})
}

// poll calls do for what was written since, also into files that were moved aside meanwhile.
func (l *log) poll(do func(entry) bool) error {
	if _, err := l.readFile(do); err != nil {
		return err
	}
	info, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it comes, or there is none
	}
	if err != nil {
		return err
	}
	var old os.FileInfo
	if l.file != nil {
		if old, err = l.file.Stat(); err != nil || os.SameFile(old, info) {
			return err
		}
		// It was moved aside since: nobody writes to it any more, but somebody may have until then.
		if _, err := l.readFile(do); err != nil {
			return err
		}
		if len(l.partial) > 0 {
			l.give(append(l.partial, '\n'), do)
		}
	}
	seen := newest(l.backups)
	if l.file != nil { // until it was looked for, or another file could get its number
		defer l.file.Close()
		l.file = nil
	}
	if err := l.open(); err != nil {
		return err
	}
	for _, b := range between(l.backups, seen, old) {
		if _, err := l.readBackup(b, do); err != nil {
			return err
		}
	}
	_, err = l.readFile(do)
	return err
}

// between returns the backups made after those that were seen, without the file that was read before it
// became one. Where that has already been compressed, it is the first of them.
func between(all []logfile.Backup, seen time.Time, read os.FileInfo) []logfile.Backup {
	i := slices.IndexFunc(all, func(b logfile.Backup) bool { return b.At.After(seen) })
	if i < 0 {
		return nil
	}
	later := all[i:]
	if read == nil {
		return later
	}
	if j := slices.IndexFunc(later, func(b logfile.Backup) bool {
		info, err := os.Stat(b.Path)
		return err == nil && os.SameFile(info, read)
	}); j >= 0 {
		return later[j+1:]
	}
	if later[0].Compressed() || isGone(later[0].Path) {
		return later[1:]
	}
	return later
}

// isGone tells that a file was compressed, or removed, since it was found.
func isGone(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// ring keeps the last lines.
type ring struct {
	room int
	kept []entry
	next int
}

func (r *ring) reset(room int) { *r = ring{room: room} }

// add copies the line.
func (r *ring) add(e entry) bool {
	switch {
	case r.room == 0:
	case len(r.kept) < r.room:
		r.kept = append(r.kept, entry{e.at, bytes.Clone(e.line)})
	default:
		k := &r.kept[r.next]
		k.at, k.line = e.at, append(k.line[:0], e.line...)
		r.next = (r.next + 1) % r.room
	}
	return true
}

func (r *ring) lines() []entry {
	return append(r.kept[r.next:len(r.kept):len(r.kept)], r.kept[:r.next]...)
}
