package instance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const lockName = "lock"

// Lock is held by the one process that runs an instance. It ends with that process, whatever it
// dies of.
type Lock struct {
	mu   sync.Mutex
	file *os.File
}

// Held is the error of a lock that another process has.
type Held struct {
	// By is zero where the holder can't be told.
	By   Process
	Name string
}

// Error says who holds it.
func (h *Held) Error() string {
	if h.By.PID == 0 {
		return fmt.Sprintf("the instance %s is run by another process", h.Name)
	}
	return fmt.Sprintf("the instance %s is run by process %d", h.Name, h.By.PID)
}

// Lock takes the instance for this process, or returns a *Held.
func (d Dir) Lock() (*Lock, error) {
	path := filepath.Join(d.Path, lockName)
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("lock the instance: %w", err)
		}
		if err := flock(f); err != nil {
			return nil, errors.Join(d.held(err), f.Close())
		}
		if !same(f, path) { // deleted with its directory between opening and locking
			_ = f.Close()
			continue
		}
		l := &Lock{file: f}
		if err := l.sign(); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return l, nil
	}
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func (d Dir) held(err error) error {
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("lock the instance: %w", err)
	}
	return &Held{By: d.holder(), Name: d.Name()}
}

// signing is how long a holder may take to write down who it is.
const signing = 200 * time.Millisecond

// holder reads who holds the lock. One that has taken it this moment has not written it yet.
func (d Dir) holder() Process {
	for until := time.Now().Add(signing); ; time.Sleep(5 * time.Millisecond) {
		if p, ok := d.Holder(); ok {
			return p
		}
		if time.Now().After(until) {
			return Process{}
		}
	}
}

// Holder tells which process runs the instance, if one does. It takes no lock, which would get
// in the way of one that starts.
func (d Dir) Holder() (by Process, held bool) {
	text, err := os.ReadFile(filepath.Join(d.Path, lockName))
	if err != nil || json.Unmarshal(text, &by) != nil || !by.Alive() {
		return Process{}, false
	}
	return by, true
}

// sign writes down who holds the lock.
func (l *Lock) sign() error {
	self, err := Self()
	if err != nil {
		return err
	}
	text, err := json.Marshal(self)
	if err != nil {
		return err
	}
	// A program that has taken the place of another in the same process finds it written, and
	// needs no room on a disk that may be full.
	before := make([]byte, len(text)+1)
	if n, _ := l.file.ReadAt(before, 0); bytes.Equal(before[:n], text) {
		return nil
	}
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("write into the lock: %w", err)
	}
	if _, err := l.file.WriteAt(text, 0); err != nil {
		return fmt.Errorf("write into the lock: %w", err)
	}
	return nil
}

// same tells whether the path still leads to the open file.
func same(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// File is what holds the lock. A process that replaces itself by another program keeps it open,
// and that program takes the lock from there with Inherit.
func (l *Lock) File() *os.File {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file
}

// Inherit returns the lock that the program before has left open in this process.
func (d Dir) Inherit(f *os.File) (*Lock, error) {
	if !same(f, filepath.Join(d.Path, lockName)) {
		return nil, fmt.Errorf("what was inherited is not the lock of the instance %s", d.Name())
	}
	if err := flock(f); err != nil {
		return nil, d.held(err)
	}
	l := &Lock{file: f}
	return l, l.sign()
}

// Mend takes the instance again when somebody has removed the lock's file, or the directory with
// all that is in it, and tells whether that was so. Without it another process could take it, and
// nobody would know of this one. It is a *Held when one has.
func (d Dir) Mend(l *Lock) (mended bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if same(l.file, filepath.Join(d.Path, lockName)) {
		return false, nil
	}
	if _, err := Make(filepath.Dir(d.Path), d.Name()); err != nil {
		return false, err
	}
	again, err := d.Lock()
	if err != nil {
		return false, err
	}
	before := l.file
	l.file = again.file
	return true, before.Close()
}

// Unlock gives the instance up.
func (l *Lock) Unlock() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.file.Truncate(0), l.file.Close())
}
