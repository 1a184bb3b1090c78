package engine

import (
	"bytes"
	"runtime"
	"testing"
	"testing/synctest"
)

// goroutine returns what tells the calling goroutine from others.
func goroutine() string {
	b := make([]byte, 64)
	b = b[:runtime.Stack(b, false)]
	name, _, _ := bytes.Cut(b, []byte("["))
	return string(name)
}

// One after the other, connections have the same goroutine.
func TestCrewStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		defer close(over)
		seen := make(map[string]int)
		c := NewCrew(func(int) { seen[goroutine()]++ }, over)
		for range 3 {
			c.Take(1)
			synctest.Wait()
		}
		if len(seen) != 1 {
			t.Errorf("%v", seen)
		}
	})
}

// Connections never wait for one another, and of the goroutines that they needed at once some
// stay, and no more than that.
func TestCrewGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over, held := make(chan struct{}), make(chan struct{})
		started := make(chan struct{}, 3*mostResting)
		c := NewCrew(func(int) { started <- struct{}{}; <-held }, over)
		for range 3 * mostResting {
			c.Take(1)
		}
		synctest.Wait()
		if n := len(started); n != 3*mostResting {
			t.Errorf("%d of %d are served", n, 3*mostResting)
		}
		close(held)
		synctest.Wait()
		if n := c.resting.Load(); n != mostResting {
			t.Errorf("%d rest, want %d", n, mostResting)
		}
		close(over)
		synctest.Wait()
		if n := c.resting.Load(); n != 0 {
			t.Errorf("%d rest when everything is over", n)
		}
	})
}
