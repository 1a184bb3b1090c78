package deadline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Calls that begin together share a deadline, which none of them has to wait longer
// for than was said, and hardly less.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 40 * time.Millisecond
		d := New(timeout)
		for range 50 {
			begun, over := time.Now(), d.Next()
			go func() {
				<-over
				if took := time.Since(begun); took > timeout || took < timeout*7/8 {
					t.Errorf("a deadline came after %v", took)
				}
			}()
			time.Sleep(700 * time.Microsecond)
		}
		first, second := d.Next(), d.Next()
		if first != second {
			t.Error("two calls at the same time have different deadlines")
		}
		time.Sleep(timeout)
	})
}

func TestLate(t *testing.T) {
	if !errors.Is(ErrLate, context.DeadlineExceeded) || errors.Is(ErrLate, context.Canceled) {
		t.Error("what is late is no exceeded deadline")
	}
}
