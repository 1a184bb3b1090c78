//go:build poison

package exchange

import (
	"strings"
	"testing"
)

// TestPutPoisonsViews checks that a view which outlives its exchange shows.
func TestPutPoisonsViews(t *testing.T) {
	var pool Pool
	x := pool.Get()
	kept := x.Keep([]byte("value"))
	cloned := strings.Clone(kept)
	pool.Put(x)
	if kept == "value" || cloned != "value" {
		t.Errorf("the view is still %q, the clone %q", kept, cloned)
	}
	b := []byte("value")
	Poison(b)
	if string(b) != "\xdb\xdb\xdb\xdb\xdb" {
		t.Errorf("a poisoned buffer holds %q", b)
	}
}

// TestHeadRoomIsPoisoned checks that a view of a head which outlives the head, or its exchange,
// shows: the next head would be written over it.
func TestHeadRoomIsPoisoned(t *testing.T) {
	var pool Pool
	x := pool.Get()
	for _, end := range []func(){func() { x.HeadRoom() }, func() { pool.Put(x) }} {
		kept := View(append(x.HeadRoom(), "value"...))
		if kept != "value" {
			t.Fatalf("the head is %q before it ends", kept)
		}
		if end(); kept == "value" {
			t.Error("the head is as it was")
		}
	}
}
