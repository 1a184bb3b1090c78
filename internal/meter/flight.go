package meter

import "sync"

// flights counts the requests that run, for each key. A key of which none runs takes
// no memory, so the table is bounded by how many requests run at once.
type flights struct{ shards [tableShards]flightShard }

type flightShard struct {
	mu   sync.Mutex
	runs chains[int64]
	_    [16]byte // to the end of the cache line
}

// flightBuckets is how many keys a shard finds at once, without searching.
const flightBuckets = 256

func newFlights() *flights {
	f := new(flights)
	for i := range f.shards {
		f.shards[i].runs = newChains[int64](flightBuckets)
	}
	return f
}

// enter counts one more request of id that runs, unless that would be more than limit,
// and tells how many more may. Whoever got ok calls leave once.
func (f *flights) enter(id id, limit int64) (ok bool, left int64) {
	s := &f.shards[id.tableShard()]
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.runs.find(id)
	switch {
	case limit < 1:
		return false, 0
	case n == nil:
		n = s.runs.add(id)
	case *n >= limit:
		return false, 0
	}
	*n++
	return true, limit - *n
}

// leave takes back what enter has counted. An id of which nothing runs is left alone.
func (f *flights) leave(id id) {
	s := &f.shards[id.tableShard()]
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.runs.find(id)
	if n == nil {
		return
	}
	if *n--; *n == 0 {
		s.runs.remove(id)
	}
}
