package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// stampLayout is the time in the name of a file that was moved aside, in UTC.
	stampLayout = "2006-01-02T15-04-05.000"
	gz          = ".gz"
	// unfinished is behind the name of what is being compressed.
	unfinished = gz + ".tmp"
)

// Backup is a file that was moved aside.
type Backup struct {
	// Path is where it is, with .gz when it is compressed.
	Path string
	// At is when it was moved aside: all of its lines were written before that.
	At time.Time
}

// Compressed tells whether it has to be read through gzip.
func (b Backup) Compressed() bool { return strings.HasSuffix(b.Path, gz) }

// Backups returns the files that were moved aside from the log file at path, the oldest first. One
// that is there both compressed and not, because who compressed it was killed, is there once. No
// file, and no directory, is no error.
func Backups(path string) ([]Backup, error) {
	found, err := scan(path)
	return found.backups, err
}

// scanned is what was found beside a log file.
type scanned struct {
	backups []Backup
	// twins are backups that are there compressed too.
	twins []string
	// orphans are results of compressions whose source is gone.
	orphans []string
}

// scan looks through the directory of a log file.
func scan(path string) (scanned, error) {
	dir, name := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return scanned{}, fmt.Errorf("look for old log files: %w", err)
	}
	stem, ext := split(name)
	var s scanned
	plain, packed, half := map[time.Time]string{}, map[time.Time]string{}, map[time.Time]string{}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), stem+"-")
		if !ok || len(rest) < len(stampLayout) || !e.Type().IsRegular() {
			continue
		}
		at, err := time.Parse(stampLayout, rest[:len(stampLayout)])
		if err != nil {
			continue
		}
		switch rest[len(stampLayout):] {
		case ext:
			plain[at] = dir + e.Name()
		case ext + gz:
			packed[at] = dir + e.Name()
		case ext + unfinished:
			half[at] = dir + e.Name()
		}
	}
	for at, p := range packed {
		s.backups = append(s.backups, Backup{Path: p, At: at})
	}
	for at, p := range plain {
		if _, twin := packed[at]; twin {
			s.twins = append(s.twins, p)
			continue
		}
		s.backups = append(s.backups, Backup{Path: p, At: at})
	}
	for at, p := range half {
		if _, source := plain[at]; !source {
			s.orphans = append(s.orphans, p)
		}
	}
	slices.SortFunc(s.backups, func(a, b Backup) int { return a.At.Compare(b.At) })
	return s, nil
}

// split cuts a name before its extension. A hidden file's name is no extension.
func split(name string) (stem, ext string) {
	ext = filepath.Ext(name)
	if stem = strings.TrimSuffix(name, ext); stem == "" {
		return name, ""
	}
	return stem, ext
}

func backupName(path string, at time.Time) string {
	dir, name := filepath.Split(path)
	stem, ext := split(name)
	return dir + stem + "-" + at.Format(stampLayout) + ext
}

// moveAside gives a log file the name of a backup. Names grow, even when the clock is set back or is
// not fine enough, so that their order is that of the files; and none takes the place of another.
// Whoever calls it holds the file's lock.
func moveAside(path string, now time.Time) error {
	s, err := scan(path)
	if err != nil {
		return err
	}
	at := now.UTC().Truncate(time.Millisecond)
	if n := len(s.backups); n > 0 && !at.After(s.backups[n-1].At) {
		at = s.backups[n-1].At.Add(time.Millisecond)
	}
	for {
		err := renameNew(path, backupName(path, at))
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		at = at.Add(time.Millisecond)
	}
}

// renameNew is a rename that replaces nothing. Not all file systems can do that in one step; where it takes
// two, the lock keeps other processes from what is between.
func renameNew(from, to string) error {
	err := renameNoReplace(from, to)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		if _, err := os.Lstat(to); err == nil {
			return fs.ErrExist
		}
		return os.Rename(from, to)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
