package meter

import (
	"fmt"
	"testing"
)

// someIDs makes n ids.
func someIDs(n int) []id {
	s, all := newIDs(), make([]id, n)
	for i := range all {
		all[i] = s.of("limit", fmt.Sprint("key", i))
	}
	return all
}

// allocates fails when f allocates in steady state.
func allocates(t *testing.T, f func()) {
	t.Helper()
	if raceDetector {
		return
	}
	if n := testing.AllocsPerRun(1000, f); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
}

func TestChains(t *testing.T) {
	c, ids := newChains[int](4), someIDs(1000)
	for i, id := range ids {
		*c.add(id) = i
	}
	for i := 0; i < len(ids); i += 2 {
		c.remove(ids[i])
		c.remove(ids[i])
	}
	for i, id := range ids {
		switch p := c.find(id); {
		case i%2 == 0 && p != nil:
			t.Fatalf("%d was removed and is there", i)
		case i%2 == 1 && (p == nil || *p != i):
			t.Fatalf("%d is not there any more", i)
		}
	}
	if c.len() != 500 || c.spare != spareLinks {
		t.Errorf("it has %d entries and keeps %d", c.len(), c.spare)
	}
	if p := c.add(ids[0]); *p != 0 {
		t.Error("an entry is made of what another has left")
	}
}

// len counts the entries, slowly.
func (c *chains[T]) len() int {
	n := 0
	for _, l := range c.buckets {
		for ; l != nil; l = l.next {
			n++
		}
	}
	return n
}
