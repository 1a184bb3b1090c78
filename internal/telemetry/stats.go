package telemetry

import "time"

// Stats is what a gateway has served, as counts that only grow since Since: who shows rates
// takes two and subtracts.
type Stats struct {
	Since    time.Time    `json:"since"`
	At       time.Time    `json:"at"`
	Requests uint64       `json:"requests"`
	Classes  [6]uint64    `json:"classes"` // by status / 100; 0 for what got none
	BytesIn  uint64       `json:"bytes_in"`
	BytesOut uint64       `json:"bytes_out"`
	Latency  Latencies    `json:"latency"`
	Routes   []RouteStats `json:"routes"`
	// Refused and Observed are refusals by reason.
	Refused  map[string]int64 `json:"refused"`
	Observed map[string]int64 `json:"observed"`
	// Limits and Breakers are what monit shows beside.
	Limits   []LimitStats   `json:"limits,omitempty"`
	Breakers []BreakerStats `json:"breakers,omitempty"`
}

// Latencies is how many requests took how long.
type Latencies struct {
	// Counts of buckets; which ends where, Bound tells.
	Counts []uint64 `json:"counts"`
	Sum    uint64   `json:"sum_ns"`
}

// RouteStats is what one route has served.
type RouteStats struct {
	Name     string `json:"name"`
	Requests uint64 `json:"requests"`
	Failed   uint64 `json:"failed"` // a status of 500 or above, or broken off
	Sum      uint64 `json:"sum_ns"`
}

// LimitStats is how a limit is used.
type LimitStats struct {
	Name    string `json:"name"`
	Refused uint64 `json:"refused"`
	Keys    int    `json:"keys"` // counted now
}

// BreakerStats is a breaker as it is.
type BreakerStats struct {
	Service string `json:"service"`
	State   string `json:"state"`
}
