package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// attempts bounds how often a file may be moved away between opening and locking it.
	attempts = 100
	// rotatePause is how long a file that could not be moved aside is left alone.
	rotatePause = time.Minute
)

// File is a log file that is open for appending. Its methods may be called by several goroutines.
type File struct {
	named   string // as the operator wrote it
	options Options

	mu     sync.Mutex // guards what is below, held while writing
	file   *os.File
	path   string // named, without symbolic links
	plain  bool   // an ordinary file
	lonely bool   // without locks: the file is not moved aside
	begun  time.Time
	size   int64 // when it was written to last
	// rotateAfter is when moving it aside is tried again, and astray tells that it goes on into a
	// file that the name doesn't lead to.
	rotateAfter time.Time
	astray      bool

	keeper *keeper // nil where nothing is moved aside
}

// Open opens a log file, and makes it when it isn't there: its owner may read and write it, its group
// may read it. It waits for nobody, not even for the reader of a named pipe. What earlier processes
// have left half done is brought to its end in the background. Close ends that.
func Open(name string, o Options) (*File, error) {
	f := &File{named: name, options: o}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

// open takes the file that the name leads to, in the place of the one before.
func (f *File) open() error {
	path := f.named
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	file, info, err := openAppend(path)
	if err != nil {
		return err
	}
	if f.file != nil {
		_ = f.file.Close() // everything in it was written
	}
	f.file, f.path, f.plain = file, path, info.Mode().IsRegular() && !isStream(f.named)
	f.begun, f.size, f.astray = time.Time{}, 0, false
	f.keep()
	return nil
}

// isStream tells that a name stands for something of this process, such as /dev/stdout, even where that
// has been sent into a file: others go on writing there.
func isStream(name string) bool {
	return strings.HasPrefix(name, "/dev/") || strings.HasPrefix(name, "/proc/")
}

// keep has somebody look after what is moved aside from the file that is open.
func (f *File) keep() {
	if f.keeper != nil {
		if f.keeper.path == f.path {
			return
		}
		f.keeper.close()
		f.keeper = nil
	}
	if f.plain && f.options.rotates() {
		f.keeper = newKeeper(f.path, f.options)
	}
}

// openAppend opens without waiting. Who opens a named pipe for reading too needs no other reader, and
// writes into it until it is full.
func openAppend(path string) (*os.File, os.FileInfo, error) {
	const flags = os.O_APPEND | os.O_CREATE | syscall.O_NONBLOCK
	file, err := os.OpenFile(path, flags|os.O_RDWR, 0o640)
	if errors.Is(err, fs.ErrPermission) { // it may be for writing only
		file, err = os.OpenFile(path, flags|os.O_WRONLY, 0o640)
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, info, nil
}

// Write appends whole lines, all of them to one file. When it fails, n tells how much was written:
// whole lines again, in an ordinary file.
func (f *File) Write(lines []byte) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.plain {
		return f.file.Write(lines)
	}
	size, err := f.hold(int64(len(lines)))
	if err != nil {
		return 0, err
	}
	defer unlock(f.file)
	return f.append(lines, size)
}

// hold takes the lock of the file that the name leads to, when there is room in it. It returns its size.
func (f *File) hold(more int64) (size int64, err error) {
	for range attempts {
		if err := f.lock(); err != nil {
			return 0, err
		}
		info, err := f.file.Stat()
		if err != nil {
			unlock(f.file)
			return 0, err
		}
		there, err := f.isThere(info)
		if there && !(f.due(info.Size(), more) && f.rotate()) {
			return info.Size(), nil
		}
		unlock(f.file)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = f.open()
		}
		if err != nil && !f.mayGoOn(err) {
			return 0, err
		}
		if err != nil {
			return f.holdAstray()
		}
		if !f.plain { // somebody has put a pipe there
			return 0, nil
		}
	}
	return 0, fmt.Errorf("%s is moved away each time that it is opened", f.path)
}

func (f *File) lock() error {
	if f.lonely {
		return nil
	}
	err := lock(f.file, 0)
	if errors.Is(err, errNoLocks) {
		f.lonely = true
		if f.options.rotates() {
			f.options.report(fmt.Errorf("%s is not moved aside: %w", f.path, err))
		}
		return nil
	}
	return err
}

// isThere tells whether the name still leads to the file that is open.
func (f *File) isThere(open os.FileInfo) (bool, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return false, err
	}
	return os.SameFile(info, open), nil
}

// mayGoOn tells whether lines may go on into the file that is open although the name can't be
// followed to another: when it is still somewhere, as somebody has moved its directory, and not a
// backup, which may already be compressed.
func (f *File) mayGoOn(err error) bool {
	target, unknown := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.descriptor()))
	if unknown != nil || strings.HasSuffix(target, " (deleted)") {
		return false
	}
	stem, ext := split(filepath.Base(f.path))
	rest, ok := strings.CutPrefix(strings.TrimSuffix(filepath.Base(target), ext), stem+"-")
	if _, isBackup := time.Parse(stampLayout, rest); ok && isBackup == nil {
		return false
	}
	if !f.astray {
		f.astray = true
		f.options.report(fmt.Errorf("lines go on into %s: %w", target, err))
	}
	return true
}

func (f *File) descriptor() (n int) {
	_ = onDescriptor(f.file, func(fd int) error { n = fd; return nil }) // 0 when it is closed
	return n
}

func (f *File) holdAstray() (int64, error) {
	if err := f.lock(); err != nil {
		return 0, err
	}
	info, err := f.file.Stat()
	if err != nil {
		unlock(f.file)
		return 0, err
	}
	return info.Size(), nil
}

// due tells whether the file has to be moved aside before more bytes are written to it.
func (f *File) due(size, more int64) bool {
	if size < f.size { // somebody has emptied it
		f.begun = time.Time{}
	}
	f.size = size
	if size == 0 || f.lonely || !f.options.rotates() || f.options.now().Before(f.rotateAfter) {
		return false
	}
	if f.options.Size > 0 && size+more > f.options.Size {
		return true
	}
	if f.options.Age == 0 {
		return false
	}
	if f.begun.IsZero() {
		f.begun = begin(f.file)
	}
	return f.options.now().Sub(f.begun) >= f.options.Age
}

// rotate moves the file aside, whose lock is held. It makes a new one with the same permissions, unless
// another process is faster, and opens that the next time.
func (f *File) rotate() bool {
	old, err := f.file.Stat()
	if err == nil {
		if f.torn(old.Size()) { // or the first line of the next file would go on behind it for who reads both
			_, _ = f.file.Write([]byte{'\n'})
		}
		err = moveAside(f.path, f.options.now())
	}
	if err != nil {
		if f.rotateAfter.IsZero() {
			f.options.report(fmt.Errorf("%s is not moved aside: %w", f.path, err))
		}
		f.rotateAfter = f.options.now().Add(rotatePause)
		return false
	}
	f.rotateAfter = time.Time{}
	if next, _, err := openAppend(f.path); err == nil {
		like(next, old)
		_ = next.Close()
	}
	f.keeper.look()
	return true
}

// like gives a file the permissions and, as far as that is allowed, the owner of another.
func like(f *os.File, as os.FileInfo) {
	_ = f.Chmod(as.Mode().Perm())
	if owner, ok := as.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(owner.Uid), int(owner.Gid))
	}
}

// append writes behind the last whole line. size is the file's, whose lock is held.
func (f *File) append(lines []byte, size int64) (int, error) {
	if f.torn(size) { // somebody was killed while writing
		n, err := f.file.Write([]byte{'\n'})
		if err != nil {
			return 0, err
		}
		size += int64(n)
	}
	n, err := f.file.Write(lines)
	if err != nil && n > 0 {
		whole := bytes.LastIndexByte(lines[:n], '\n') + 1
		if f.file.Truncate(size+int64(whole)) == nil {
			n = whole
		}
	}
	f.size = size + int64(n)
	return n, err
}

// torn tells that the file ends within a line.
func (f *File) torn(size int64) bool {
	if size == 0 {
		return false
	}
	var last [1]byte
	_, err := f.file.ReadAt(last[:], size-1)
	return err == nil && last[0] != '\n'
}

// Close closes the file, and ends what goes on in the background: a compression that is under way
// begins anew the next time that the file is opened.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keeper != nil {
		f.keeper.close()
	}
	return f.file.Close()
}
