package epoch

import (
	"sync"
	"testing"
)

func TestCounter(t *testing.T) {
	var c Counter
	if c.Count(0) != 0 {
		t.Error("a new one has counted")
	}
	for _, step := range []struct{ epoch, at, want uint32 }{
		{0, 0, 1}, {0, 0, 2}, {3, 3, 1}, {3, 0, 0}, {2, 3, 2}, {2, 2, 0}, {4, 4, 1}, {4, 3, 0},
		{1<<31 + 4 - 1, 1<<31 + 4 - 1, 1},
	} {
		c.Add(step.epoch)
		if got := c.Count(step.at); got != step.want {
			t.Errorf("after one in %d there are %d in %d, want %d", step.epoch, got, step.at, step.want)
		}
	}
}

// Whoever finds that somebody else has begun the epoch meanwhile adds to what is there.
func TestTurnMeetsAnother(t *testing.T) {
	var c Counter
	c.turn(3)
	c.turn(3)
	if n := c.Count(3); n != 2 {
		t.Errorf("%d of 2 counted", n)
	}
	if c.turn(2); c.Count(3) != 2 || c.Count(2) != 0 {
		t.Error("a late one counts")
	}
}

// All that come at the turn of an epoch are counted.
func TestTogether(t *testing.T) {
	var c Counter
	for epoch := range uint32(1000) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { c.Add(epoch + 1) })
		}
		wg.Wait()
		if n := c.Count(epoch + 1); n != 8 {
			t.Fatalf("epoch %d: %d of 8", epoch+1, n)
		}
	}
}
