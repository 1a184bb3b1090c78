package upstream

import "yett/internal/exchange"

type Keyer struct{}

func (*Keyer) Key(*exchange.Exchange) (uint64, bool) { return 0, false }
