package meter

import "hash/maphash"

// id stands for a limit's name and a caller's key. Nobody outside can make two of
// them the same, because the seeds are of this process.
type id struct{ a, b uint64 }

// ids makes them.
type ids struct{ a, b maphash.Seed }

func newIDs() ids { return ids{maphash.MakeSeed(), maphash.MakeSeed()} }

func (s *ids) of(name, key string) id {
	return id{sum(s.a, name, key), sum(s.b, name, key)}
}

func sum(seed maphash.Seed, name, key string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	_, _ = h.WriteString(name)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(key)
	return h.Sum64()
}
