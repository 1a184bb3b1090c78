package source

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"yett/internal/config"
)

// settled is how old a file's last change has to be before its stamp is believed: another
// change within the same tick of the file system's clock would not show.
const settled = 2 * time.Second

// fileStamp is by what a file tells that it is still the same.
type fileStamp struct {
	device, inode     uint64
	size              int64
	modified, changed time.Time
}

// stampOf returns the stamp of a file, zero for one that may have changed a moment ago.
func stampOf(info fs.FileInfo) fileStamp {
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileStamp{}
	}
	st := fileStamp{device: uint64(sys.Dev), inode: sys.Ino, size: info.Size(), modified: info.ModTime(), changed: time.Unix(sys.Ctim.Unix())}
	if time.Since(st.modified) < settled || time.Since(st.changed) < settled {
		return fileStamp{}
	}
	return st
}

// readFile reads the file, if it is not the one that was seen last.
func (s *Source) readFile() (answer, error) {
	info, err := os.Stat(s.file)
	if err != nil {
		return answer{}, err
	}
	if err := regular(info, s.file); err != nil { // opening something else could do something
		return answer{}, err
	}
	f, err := os.OpenFile(s.file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be a FIFO by now
	if err != nil {
		return answer{}, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return answer{}, err
	}
	if err := regular(info, s.file); err != nil {
		return answer{}, err
	}
	st := stamp{file: stampOf(info)}
	if st.file != (fileStamp{}) && st.file == s.seen.stamp.file {
		return answer{stamp: st, same: true}, nil
	}
	data, err := readBounded(f, info.Size(), int64(s.conf.MaxSize))
	return answer{stamp: st, data: data}, err
}

func regular(info fs.FileInfo, name string) error {
	switch {
	case info.IsDir():
		return &failure{text: fmt.Sprintf("%s is a folder", name)}
	case !info.Mode().IsRegular():
		return &failure{text: fmt.Sprintf("%s is no regular file", name)}
	}
	return nil
}

// readBounded reads a file that may grow meanwhile.
func readBounded(f io.Reader, size, most int64) ([]byte, error) {
	if size > most {
		return nil, &failure{text: fmt.Sprintf("the file has %d bytes, more than %s", size, config.Size(most))}
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading it: %w", err)
	case int64(len(data)) > most:
		return nil, &failure{text: fmt.Sprintf("the file has more than %s", config.Size(most))}
	}
	return data, nil
}
