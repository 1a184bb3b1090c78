package history

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const lockName = ".lock"

// How long Add waits for another process, and how often it looks. Who has the lock writes one small
// file.
const (
	patience = 2 * time.Second
	looking  = 5 * time.Millisecond
)

// lock keeps all other writers out, of this process and of others, until unlock is called. It ends
// with the process in any case.
func (h *History) lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(h.dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for until := time.Now().Add(patience); ; time.Sleep(looking) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) || time.Now().After(until) {
			break
		}
	}
	_ = f.Close()
	return nil, fmt.Errorf("another process holds %s: %w", f.Name(), err)
}
