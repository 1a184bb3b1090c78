package logfile

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// keeper compresses and removes what was moved aside, in a goroutine of its own.
type keeper struct {
	path    string
	options Options
	wake    chan struct{} // holds one
	end     context.CancelFunc
	done    chan struct{}
}

func newKeeper(path string, o Options) *keeper {
	ctx, end := context.WithCancel(context.Background())
	k := &keeper{path: path, options: o, wake: make(chan struct{}, 1), end: end, done: make(chan struct{})}
	k.look() // for what others have left
	go k.run(ctx)
	return k
}

// look has the keeper look, soon.
func (k *keeper) look() {
	select {
	case k.wake <- struct{}{}:
	default: // it is going to look anyway
	}
}

func (k *keeper) close() {
	k.end()
	<-k.done
}

func (k *keeper) run(ctx context.Context) {
	defer close(k.done)
	var tick <-chan time.Time
	if every := k.options.lookEvery(); every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		tick = t.C
	}
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-tick:
		}
		err := k.keep(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			k.options.report(fmt.Errorf("old files of %s: %w", k.path, err))
		}
		failing = err != nil
	}
}

// keep removes what need not be kept, and compresses the rest.
func (k *keeper) keep(ctx context.Context) error {
	s, err := scan(k.path)
	if err != nil {
		return err
	}
	kept := s.backups
	if n := len(kept) - k.options.Keep; k.options.Keep > 0 && n > 0 {
		kept = kept[n:]
	}
	if k.options.KeepFor > 0 {
		for len(kept) > 0 && k.options.now().Sub(kept[0].At) > k.options.KeepFor {
			kept = kept[1:]
		}
	}
	var errs []error
	for _, b := range s.backups[:len(s.backups)-len(kept)] {
		errs = append(errs, remove(b.Path))
	}
	for _, path := range s.twins {
		errs = append(errs, remove(path))
	}
	for _, path := range s.orphans {
		errs = append(errs, removeOrphan(path))
	}
	if k.options.Compress {
		for _, b := range kept {
			if !b.Compressed() {
				errs = append(errs, compress(ctx, b.Path))
			}
		}
	}
	return errors.Join(errs...)
}

// remove takes it for good when another process was faster.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeOrphan leaves the result of a compression that is under way: its source may
// have come into the directory behind the place where the look through it was.
func removeOrphan(path string) error {
	if exists(strings.TrimSuffix(path, unfinished)) {
		return nil
	}
	return remove(path)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// compress puts a compressed file in the place of a backup. The result has its name only when all of it
// is on the disk: whoever is killed before that leaves the backup, and begins anew. When another process is at
// it, or was, there is nothing to do.
func compress(ctx context.Context, path string) error {
	source, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer source.Close()
	out, err := claim(path + unfinished)
	if out == nil || err != nil {
		return err
	}
	defer out.Close()
	if !exists(path) || exists(path+gz) { // another process was at it, and is done, or nearly
		return remove(path + unfinished)
	}
	if err := pack(ctx, out, source); err != nil {
		return errors.Join(fmt.Errorf("compress %s: %w", path, err), remove(path+unfinished))
	}
	if err := os.Rename(path+unfinished, path+gz); err != nil {
		return err
	}
	return remove(path)
}

// claim opens the file that a compression writes to, for one process alone; nil when another has it.
func claim(path string) (*os.File, error) {
	out, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(out, unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = nil
		}
		return nil, errors.Join(err, out.Close())
	}
	mine, err := out.Stat()
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	if info, err := os.Stat(path); err != nil || !os.SameFile(info, mine) { // it has become the result meanwhile
		return nil, out.Close()
	}
	return out, nil
}

// pack compresses fast rather than well: the processors are there for requests.
func pack(ctx context.Context, out, source *os.File) error {
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if err := out.Truncate(0); err != nil {
		return err
	}
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, &cancelled{ctx, source}); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	like(out, info)
	if err := out.Sync(); err != nil {
		return err
	}
	return os.Chtimes(out.Name(), info.ModTime(), info.ModTime())
}

// cancelled is a reader that fails when its context ends.
type cancelled struct {
	ctx context.Context
	io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}
