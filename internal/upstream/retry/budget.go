package retry

import (
	"math"
	"sync"
	"time"

	"yett/internal/upstream/epoch"
)

const (
	// buckets is into how many parts a window is cut. Requests and retries are forgotten by
	// whole buckets.
	buckets = 10
	// ring is a power of two with room for a window and the bucket that is being filled.
	ring = 16
	mask = ring - 1

	shortest, longest = time.Second, time.Hour

	// rounding is by how much a product of a share may be off: 0.29 × 100 is a little less than 29.
	rounding = 1e-9
)

// Budget bounds retries, and second tries that are sent in advance, to a share of the
// requests, so that an outage never multiplies the load on a service that is down. Its
// methods may be called by any goroutine.
//
// The bound: whenever Take allows a retry, those that it has allowed within the last window,
// this one included, are at most
//
//	share × requests of the last window and a tenth + floor × window
//
// The last product counts as at least 1, unless floor is 0. What the floor allows comes
// second by second: at once there are floor retries (at least 1) beyond the share, at the
// start too. It is always allowed, but for when retries have outlived the requests of whose
// share they were, and would exceed the bound with it. The tenth is the price of counting in buckets.
type Budget struct {
	start       time.Time
	width       time.Duration // of a bucket
	share       float64
	floor       float64 // a second
	most, burst float64 // retries that floor allows in a window, and at once

	_        [64]byte // what is above is read by every request, what is below written
	requests [ring]epoch.Counter
	_        [64]byte

	mu      sync.Mutex
	retries [ring]taken
	since   time.Duration // from start to the last call that has the lock
	tokens  float64       // of floor
}

// taken is how many retries were taken within a bucket, from the share and from the floor.
type taken struct{ epoch, share, floor uint32 }

// NewBudget makes a Budget. share is how many retries there may be for a request: 0.2 is one
// for five requests. floor is how many retries a second are allowed however few requests
// there are. window is how long the credit of a request lasts, 1 s to 1 h; what is outside is
// moved to these. Without share and floor there are no retries.
func NewBudget(share, floor float64, window time.Duration) *Budget {
	window = min(max(window, shortest), longest)
	b := &Budget{start: time.Now(), width: window / buckets, share: amount(share), floor: amount(floor)}
	if b.floor > 0 {
		b.burst = max(1, b.floor)
		b.most = max(1, b.floor*window.Seconds())
	}
	b.tokens = b.burst
	return b
}

// amount makes 0 of what is no amount.
func amount(f float64) float64 {
	if math.IsNaN(f) || f < 0 {
		return 0
	}
	return min(f, math.MaxInt32)
}

// Request notes a request, which is a credit for retries. Retries are not noted: they earn none.
// A request that is noted late, after its credit is over, counts for nothing. now is a time
// after NewBudget.
func (b *Budget) Request(now time.Time) {
	epoch := b.epoch(now.Sub(b.start))
	b.requests[epoch&mask].Add(epoch)
}

// Take asks for one retry and tells whether it is allowed. It counts then, whether it is
// made or not.
func (b *Budget) Take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	epoch := b.move(now)
	share, floor := b.left(epoch)
	r := &b.retries[epoch&mask]
	if r.epoch != epoch {
		*r = taken{epoch: epoch}
	}
	switch {
	case share >= 1:
		r.share++
	case floor >= 1:
		r.floor++
		b.tokens--
	default:
		return false
	}
	return true
}

// Left returns how many retries would be allowed now.
func (b *Budget) Left(now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	share, floor := b.left(b.move(now))
	return int(share) + int(floor)
}

// epoch returns the number of the bucket of a time since start.
func (b *Budget) epoch(since time.Duration) uint32 { return uint32(since / b.width) }

// move goes on to now, which may be behind what others have said, and returns its bucket.
func (b *Budget) move(now time.Time) uint32 {
	if since := now.Sub(b.start); since > b.since {
		b.tokens = min(b.burst, b.tokens+b.floor*(since-b.since).Seconds())
		b.since = since
	}
	return b.epoch(b.since)
}

// left returns what is left of the share and of the floor. Requests and retries are those of
// the same buckets: the one that is being filled, and a whole window before it.
func (b *Budget) left(epoch uint32) (share, floor float64) {
	var requests, fromShare, fromFloor float64
	for e := epoch - buckets; e != epoch+1; e++ {
		requests += float64(b.requests[e&mask].Count(e))
		if r := &b.retries[e&mask]; r.epoch == e {
			fromShare += float64(r.share)
			fromFloor += float64(r.floor)
		}
	}
	share = b.share*requests - fromShare + rounding
	// A share that was spent with requests that are forgotten by now is missing here.
	floor = min(b.tokens, b.most-fromFloor+min(0, share)) + rounding
	return max(0, share), max(0, floor)
}
