package validate

import (
	"runtime"

	"yett/internal/exchange"
)

// turns has a place for each message that is looked into at the same time, of all policies:
// finding faults takes the time of a core, and memory, which callers must not multiply.
var turns = make(chan struct{}, runtime.GOMAXPROCS(0))

// takeTurn waits for a place, as long as the exchange lasts. Where it returns true, endTurn has
// to be called.
func takeTurn(x *exchange.Exchange) bool {
	select {
	case turns <- struct{}{}:
		return true
	default:
	}
	select {
	case turns <- struct{}{}:
		return true
	case <-x.Context().Done():
		return false
	}
}

func endTurn() { <-turns }
