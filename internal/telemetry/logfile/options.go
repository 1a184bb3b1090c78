package logfile

import (
	"cmp"
	"time"
)

// Options says when a file is moved aside, and what becomes of it then. The zero value never moves it.
type Options struct {
	// Size is how large a file may become, in bytes; 0 for any size. A batch that is larger has a file of its own.
	Size int64
	// Age is how long after its beginning a file is moved aside, before the next batch; 0 for never.
	Age time.Duration
	// Keep is how many files that were moved aside are kept, 0 for all, and KeepFor how long, 0 for ever.
	Keep    int
	KeepFor time.Duration
	// Compress has files that were moved aside compressed with gzip.
	Compress bool
	// OnError is told, from any goroutine, what does not keep lines from being written: that the file
	// can't be moved aside, compressed, or followed to a new one. Once for each time that it begins.
	// May be nil.
	OnError func(error)
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// rotates tells whether files are ever moved aside.
func (o *Options) rotates() bool { return o.Size > 0 || o.Age > 0 }

func (o *Options) now() time.Time {
	if o.Now != nil {
		return o.Now()
	}
	return time.Now()
}

func (o *Options) report(err error) {
	if o.OnError != nil {
		o.OnError(err)
	}
}

// lookEvery is how often somebody looks for files that have been kept long enough.
func (o *Options) lookEvery() time.Duration {
	if o.KeepFor == 0 {
		return 0
	}
	return max(min(cmp.Or(o.KeepFor/10, 1), time.Hour), time.Second)
}
