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
