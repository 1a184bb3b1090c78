package telemetry

import (
	"cmp"
	"slices"
	"time"
)

// Stats is what a gateway has served, as counts that only grow since Since: who shows rates
// takes two and subtracts.
type Stats struct {
	Since    time.Time    `json:"since"`
	At       time.Time    `json:"at"`
	Requests uint64       `json:"requests"`
	Classes  [6]uint64    `json:"classes"`  // by status / 100; 0 for what got none, 1 are tunnels
	Failed   uint64       `json:"failed"`   // a status of 500 or above, or broken off
	BytesIn  uint64       `json:"bytes_in"` // of bodies
	BytesOut uint64       `json:"bytes_out"`
	InFlight int          `json:"in_flight"` // with a service at this moment, or waiting for one
	Latency  Latencies    `json:"latency"`   // of all but tunnels
	Routes   []RouteStats `json:"routes"`    // in the order of their names
	// Refused and Observed are refusals by reason.
	Refused  map[string]int64 `json:"refused"`
	Observed map[string]int64 `json:"observed"`
	// Limits and Breakers are in the order of their names.
	Limits   []LimitStats   `json:"limits,omitempty"`
	Breakers []BreakerStats `json:"breakers,omitempty"`
}

// Names of rows that are no route.
const (
	// NoRoute are requests for which there was no route.
	NoRoute = "(none)"
	// OtherRoutes are routes that have been gone for a while, and those that are too many.
	OtherRoutes = "(others)"
)

// RouteStats is what one route has served.
type RouteStats struct {
	Name     string `json:"name"`
	Requests uint64 `json:"requests"`
	Failed   uint64 `json:"failed"`  // a status of 500 or above, or broken off
	Tunnels  uint64 `json:"tunnels"` // of the requests: they are as long as somebody likes
	Sum      uint64 `json:"sum_ns"`  // how long all but tunnels took together
}

// Mean returns how long a request took on the average, or 0 when there are none.
func (r RouteStats) Mean() time.Duration { return mean(r.Sum, since(r.Requests, r.Tunnels)) }

// LimitStats is how a limit is used.
type LimitStats struct {
	Name     string `json:"name"`
	Allowed  uint64 `json:"allowed"`
	Refused  uint64 `json:"refused"`
	Observed uint64 `json:"observed"` // would have been refused
	// Keys are callers that are near to the limit, or were refused by it a moment ago, as far as
	// they are watched: of each sort, a hundred or so.
	Keys int `json:"keys"`
}

// BreakerStats is a breaker as it is.
type BreakerStats struct {
	Service string `json:"service"`
	State   string `json:"state"` // CLOSED, OPEN or HALF_OPEN
}

// Quantile returns the time that a share of the requests took at most, such as 0.99 of them, or
// 0 when there are none.
func (s Stats) Quantile(share float64) time.Duration { return s.Latency.Quantile(share) }

// Add returns what two gateways have served together, such as two workers. A breaker is in the
// worse of its states; of a key of a limit, one can't tell whether both have seen it, so that
// there are at least as many as either has.
func (s Stats) Add(o Stats) Stats {
	out := Stats{
		Since: earlier(s.Since, o.Since), At: later(s.At, o.At),
		Requests: s.Requests + o.Requests, Failed: s.Failed + o.Failed,
		BytesIn: s.BytesIn + o.BytesIn, BytesOut: s.BytesOut + o.BytesOut,
		InFlight: s.InFlight + o.InFlight,
		Latency:  s.Latency.add(o.Latency),
		Routes:   merge(s.Routes, o.Routes, routeName, addRoute),
		Refused:  addCounts(s.Refused, o.Refused), Observed: addCounts(s.Observed, o.Observed),
		Limits:   merge(s.Limits, o.Limits, limitName, addLimit),
		Breakers: merge(s.Breakers, o.Breakers, breakerName, worseBreaker),
	}
	for i := range out.Classes {
		out.Classes[i] = s.Classes[i] + o.Classes[i]
	}
	return out
}

// Sub returns what was served since an earlier picture of the same gateway; Since is when that
// was taken. A count that has become smaller, as that of several workers does when one of them
// ends, has grown by 0. What a gateway has served that began later is all of it. What tells how
// something is at one moment stays as it is.
func (s Stats) Sub(before Stats) Stats {
	out := s
	if s.Since.After(before.At) {
		before = Stats{}
	}
	out.Since = later(s.Since, before.At)
	out.Requests, out.Failed = since(s.Requests, before.Requests), since(s.Failed, before.Failed)
	out.BytesIn, out.BytesOut = since(s.BytesIn, before.BytesIn), since(s.BytesOut, before.BytesOut)
	for i := range out.Classes {
		out.Classes[i] = since(s.Classes[i], before.Classes[i])
	}
	out.Latency = s.Latency.sub(before.Latency)
	out.Routes = subtract(s.Routes, before.Routes, routeName, subRoute)
	out.Refused, out.Observed = subCounts(s.Refused, before.Refused), subCounts(s.Observed, before.Observed)
	out.Limits = subtract(s.Limits, before.Limits, limitName, subLimit)
	out.Breakers = slices.Clone(s.Breakers)
	return out
}

func routeName(r RouteStats) string     { return r.Name }
func limitName(l LimitStats) string     { return l.Name }
func breakerName(b BreakerStats) string { return b.Service }

func addRoute(a, b RouteStats) RouteStats {
	return RouteStats{a.Name, a.Requests + b.Requests, a.Failed + b.Failed, a.Tunnels + b.Tunnels, a.Sum + b.Sum}
}

func subRoute(r, before RouteStats) RouteStats {
	return RouteStats{
		r.Name, since(r.Requests, before.Requests), since(r.Failed, before.Failed),
		since(r.Tunnels, before.Tunnels), since(r.Sum, before.Sum),
	}
}

func addLimit(a, b LimitStats) LimitStats {
	return LimitStats{a.Name, a.Allowed + b.Allowed, a.Refused + b.Refused, a.Observed + b.Observed, max(a.Keys, b.Keys)}
}

func subLimit(l, before LimitStats) LimitStats {
	return LimitStats{
		l.Name, since(l.Allowed, before.Allowed), since(l.Refused, before.Refused),
		since(l.Observed, before.Observed), l.Keys,
	}
}

// worseBreaker returns the one that lets less through.
func worseBreaker(a, b BreakerStats) BreakerStats {
	if badness(b.State) > badness(a.State) {
		return b
	}
	return a
}

func badness(state string) int { return slices.Index([]string{"CLOSED", "HALF_OPEN", "OPEN"}, state) }

// merge returns the rows of both in the order of their names, those of one name as one.
func merge[T any](a, b []T, name func(T) string, add func(T, T) T) []T {
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(name(a), name(b)) })
	var out []T
	for _, row := range all {
		if last := len(out) - 1; last >= 0 && name(out[last]) == name(row) {
			out[last] = add(out[last], row)
			continue
		}
		out = append(out, row)
	}
	return out
}

// subtract returns the rows of now, less those of the same name before.
func subtract[T any](now, before []T, name func(T) string, sub func(T, T) T) []T {
	old := make(map[string]T, len(before))
	for _, row := range before {
		old[name(row)] = row
	}
	out := slices.Clone(now)
	for i, row := range out {
		if was, ok := old[name(row)]; ok {
			out[i] = sub(row, was)
		}
	}
	return out
}

func addCounts(a, b map[string]int64) map[string]int64 {
	out := make(map[string]int64, len(a))
	for _, m := range []map[string]int64{a, b} {
		for name, n := range m {
			out[name] += n
		}
	}
	return out
}

// subCounts leaves out what has not grown.
func subCounts(now, before map[string]int64) map[string]int64 {
	out := make(map[string]int64)
	for name, n := range now {
		if n -= before[name]; n > 0 {
			out[name] = n
		}
	}
	return out
}

// since is how much a count has grown.
func since(now, before uint64) uint64 {
	if now < before {
		return 0
	}
	return now - before
}

// earlier returns the earlier time, of one alone the other.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
