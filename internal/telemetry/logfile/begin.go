package logfile

import (
	"bytes"
	"os"
	"time"
)

// begin returns when a file was begun, by its first line, else by what the file system knows: when
// it was made, or else changed.
func begin(f *os.File) time.Time {
	var head [256]byte
	n, _ := f.ReadAt(head[:], 0) // less than that is there most of the time
	if t, ok := TimeOf(head[:n]); ok {
		return t
	}
	if t, ok := born(f); ok {
		return t
	}
	if info, err := f.Stat(); err == nil {
		return info.ModTime()
	}
	return time.Time{}
}

// TimeOf returns the time with which a line begins, be it of JSON or for people.
func TimeOf(line []byte) (time.Time, bool) {
	line = bytes.TrimPrefix(line, []byte(`{"time":"`))
	end := bytes.IndexAny(line, "\" \n")
	if end < len("2006-01-02T15:04:05Z") || end > len("2006-01-02T15:04:05.000000000-07:00") {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(line[:end]))
	return t, err == nil
}
