package memory

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"yett/internal/store"
	"yett/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() store.Store {
		s := New(Options{})
		t.Cleanup(s.Close)
		return func() store.Store { return s }
	})
}

// held returns how many members each set holds, and whether a sweep is to come.
func held(s *Store) (sets map[string]int, sweeps bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sets = make(map[string]int)
	for name, in := range s.sets {
		sets[name] = len(in.until)
	}
	return sets, s.sweeper != nil
}

// What has ended leaves memory without anybody adding anything, and then
// nothing runs any more.
func TestEndedLeavesMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		defer s.Close()
		storetest.Add(t, s, "a", storetest.In(time.Second, "soon"), storetest.In(time.Hour, "later"))
		storetest.Add(t, s, "b", storetest.In(time.Second, "soon"))
		time.Sleep(time.Second + sweepEvery)
		synctest.Wait()
		if sets, sweeps := held(s); len(sets) != 1 || sets["a"] != 1 || !sweeps {
			t.Errorf("it holds %v, sweeps: %v", sets, sweeps)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if sets, sweeps := held(s); len(sets) != 0 || sweeps {
			t.Errorf("it holds %v, sweeps: %v", sets, sweeps)
		}
		storetest.Add(t, s, "a", storetest.In(time.Second, "again"))
		time.Sleep(time.Second + sweepEvery)
		synctest.Wait()
		if sets, _ := held(s); len(sets) != 0 {
			t.Errorf("it holds %v", sets)
		}
	})
}

// An entry that ended a moment ago, and was not swept yet, is not told.
func TestEndedIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		defer s.Close()
		storetest.Add(t, s, "a", storetest.In(time.Second, "soon"))
		time.Sleep(time.Second)
		r, stop := storetest.Follow(t, s, "a")
		defer stop()
		r.WaitSyncs(t, 1)
		if got := r.Members(); len(got) != 0 {
			t.Errorf("told were %v", got)
		}
	})
}
