package meter

const (
	// tableShards is into how many parts a table is cut, each with a mutex of its own.
	tableShards = 64
	// spareLinks is how many links a shard keeps for later. What a burst needed
	// beyond goes back to the garbage collector.
	spareLinks = 256
)

// tableShard tells in which part of a table an id is.
func (i id) tableShard() int { return int(i.a % tableShards) }

// chains is a hash table that never allocates in steady state: its buckets stay as
// many as they are, and links that are free are used again. Whoever uses it holds a
// lock. The zero value is not usable, see newChains.
type chains[T any] struct {
	buckets []*link[T]
	free    *link[T]
	spare   int
}

type link[T any] struct {
	id    id
	next  *link[T]
	value T
}

// newChains makes a table that is quick with about as many entries as it has buckets,
// which are a power of two, and slower with more.
func newChains[T any](buckets int) chains[T] {
	return chains[T]{buckets: make([]*link[T], buckets)}
}

func (c *chains[T]) bucket(id id) **link[T] { return &c.buckets[id.b&uint64(len(c.buckets)-1)] }

// find returns what is held for id, or nil. It is valid until remove.
func (c *chains[T]) find(id id) *T {
	for l := *c.bucket(id); l != nil; l = l.next {
		if l.id == id {
			return &l.value
		}
	}
	return nil
}

// add makes an entry, the zero value, for an id that has none.
func (c *chains[T]) add(id id) *T {
	l := c.free
	if l == nil {
		l = new(link[T])
	} else {
		c.free, c.spare = l.next, c.spare-1
	}
	b := c.bucket(id)
	l.id, l.next, *b = id, *b, l
	return &l.value
}

// remove drops the entry of id, if there is one.
func (c *chains[T]) remove(id id) {
	for p := c.bucket(id); *p != nil; p = &(*p).next {
		if l := *p; l.id == id {
			*p = l.next
			*l = link[T]{}
			if c.spare < spareLinks {
				l.next, c.free, c.spare = c.free, l, c.spare+1
			}
			return
		}
	}
}
