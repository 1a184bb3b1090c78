package telemetry

import (
	"maps"
	"sync"
	"testing"

	"yett/internal/exchange"
)

func TestTally(t *testing.T) {
	quota := &exchange.Reason{Name: "quota"}
	tally := NewTally([]*exchange.Reason{exchange.NoRoute, exchange.BadPath, quota})
	add := func(refused *exchange.Reason, observed ...*exchange.Reason) {
		var x exchange.Exchange
		for _, r := range observed {
			x.Refuse(r)
			x.Observe()
		}
		x.Reason = refused
		tally.Add(&x)
	}
	add(nil)
	add(exchange.NoRoute)
	add(exchange.NoRoute, quota)
	add(nil, quota, exchange.BadPath)
	add(&exchange.Reason{Name: "unknown"}, &exchange.Reason{Name: "unknown too"}) // a closed list stays closed
	refused, observed := tally.Counts()
	if want := map[string]int64{"no_route": 2}; !maps.Equal(refused, want) {
		t.Errorf("refused: %v, want %v", refused, want)
	}
	if want := map[string]int64{"quota": 2, "bad_path": 1}; !maps.Equal(observed, want) {
		t.Errorf("observed: %v, want %v", observed, want)
	}
}

// A Tally counts for many goroutines at once, without allocating.
func TestTallyIsShared(t *testing.T) {
	tally := NewTally(exchange.Reasons())
	x := exchange.Exchange{Reason: exchange.NoRoute}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				tally.Add(&x)
			}
		})
	}
	wg.Wait()
	if refused, _ := tally.Counts(); refused["no_route"] != 8000 {
		t.Errorf("counted %d of 8000", refused["no_route"])
	}
	if n := testing.AllocsPerRun(100, func() { tally.Add(&x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNilTally(t *testing.T) {
	var tally *Tally
	tally.Add(&exchange.Exchange{Reason: exchange.NoRoute})
	if refused, observed := tally.Counts(); len(refused) != 0 || len(observed) != 0 {
		t.Errorf("counted %v %v", refused, observed)
	}
}
