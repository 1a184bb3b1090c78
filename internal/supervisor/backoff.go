package supervisor

import "time"

// backoff tells how long to wait before a worker that has crashed is started again.
type backoff struct {
	inARow int
}

const (
	firstPause = 100 * time.Millisecond
	mostPause  = 4 * time.Second
	// mostCrashes is how often in a row a worker may crash.
	mostCrashes = 10
	// goodAgain is how long a worker has to have served for its crashes to be forgotten.
	goodAgain = 30 * time.Second
)

// next counts a crash of one that has served for a while. ok is false when it was one too many.
func (b *backoff) next(served time.Duration) (pause time.Duration, ok bool) {
	if served >= goodAgain {
		b.inARow = 0
	}
	b.inARow++
	if b.inARow > mostCrashes {
		return 0, false
	}
	return min(firstPause<<(b.inARow-1), mostPause), true
}
