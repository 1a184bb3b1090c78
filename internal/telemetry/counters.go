package telemetry

import (
	"cmp"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/exchange"
)

const (
	// maxRoutes is how many routes are counted by themselves, with those that are gone.
	maxRoutes = 4096
	// keepGone is how long a route that is gone keeps its counts: somebody may bring it back,
	// and who watches sees how it ended.
	keepGone = 15 * time.Minute
	// routeStep is by how many the counts of routes grow, so that those of two lanes share no
	// cache line.
	routeStep = 64
)

// Counters counts requests that are over. It is cut into lanes, of which each core uses one, so
// that cores neither wait for each other nor fetch each other's memory: counting costs what
// taking and freeing a lock costs that nobody else wants.
type Counters struct {
	since time.Time
	lanes []*lane
	mine  sync.Pool // of *lane: what was used last on this core
	turn  atomic.Uint32

	mu    sync.Mutex // guards the fields below
	named map[string]*place
	free  []int // places of routes that are gone for good
	next  int   // the first place that was never used
}

// lane is the counts of one core.
type lane struct {
	mu                sync.Mutex
	bytesIn, bytesOut uint64
	failed            uint64
	sum               uint64
	classes           [6]uint64
	routes            []routeCounts
	buckets           [Buckets]uint64
}

// routeCounts is what RouteStats tells.
type routeCounts struct{ requests, failed, tunnels, sum uint64 }

// Places of routes that are none.
const (
	nowhere = iota
	others
	firstRoute
)

// Route is where the requests of a route are counted. Routes of the same name count together
// once Counters.Use knows them, until then as requests without a route.
type Route struct {
	name string
	at   atomic.Pointer[place]
}

// place is where a route stands in every lane. Its number is read while the lane is locked: so
// nobody counts in a place after it was given to another route.
type place struct {
	name   string
	number atomic.Int32
	gone   time.Time // since when, zero while it is there; guarded by Counters.mu
}

// NewRoute makes a Route, "" for requests without one.
func NewRoute(name string) *Route { return &Route{name: strings.Clone(name)} }

// NewCounters makes Counters that begin now.
func NewCounters(now time.Time) *Counters {
	c := &Counters{since: now, named: make(map[string]*place), next: firstRoute}
	for range 2 * runtime.GOMAXPROCS(0) {
		c.lanes = append(c.lanes, &lane{routes: make([]routeCounts, routeStep)})
	}
	c.mine.New = func() any { return c.lanes[int(c.turn.Add(1))%len(c.lanes)] }
	return c
}

// Count counts an exchange that is over. Failed is what Record.Failed tells.
func (c *Counters) Count(x *exchange.Exchange, r *Route, took time.Duration, failed bool) {
	mine := c.mine.Get().(*lane)
	l := mine
	if !l.mu.TryLock() {
		l = c.quiet(mine)
	}
	l.count(x, l.at(r), took, failed)
	l.mu.Unlock()
	c.mine.Put(mine)
}

// quiet locks another lane, because somebody reads this one, or has lost the core while
// counting. It waits only when there are as many of those as lanes.
func (c *Counters) quiet(busy *lane) *lane {
	for _, l := range c.lanes {
		if l.mu.TryLock() {
			return l
		}
	}
	busy.mu.Lock()
	return busy
}

// at returns the counts of a route.
func (l *lane) at(r *Route) *routeCounts {
	if r == nil {
		return &l.routes[nowhere]
	}
	p := r.at.Load()
	if p == nil {
		return &l.routes[nowhere]
	}
	return &l.routes[p.number.Load()]
}

func (l *lane) count(x *exchange.Exchange, r *routeCounts, took time.Duration, failed bool) {
	class := x.Status / 100
	if class < 0 || class >= len(l.classes) {
		class = 0
	}
	l.classes[class]++
	l.bytesIn += uint64(max(x.BytesIn, 0))
	l.bytesOut += uint64(max(x.BytesOut, 0))
	r.requests++
	if failed {
		l.failed++
		r.failed++
	}
	if class == 1 { // its time is up to both ends
		r.tunnels++
		return
	}
	took = max(took, 0)
	l.buckets[bucketOf(took)]++
	l.sum += uint64(took)
	r.sum += uint64(took)
}

// Use tells which routes there are from now on. Those of the same name as before keep their
// counts. Others are gone, and their counts go to OtherRoutes after a while, or when there are
// too many; what of them still runs is counted there then.
func (c *Counters) Use(routes []*Route, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.named {
		if p.gone.IsZero() {
			p.gone = now
		}
	}
	more := 0
	for _, r := range routes {
		if p := c.named[r.name]; p != nil {
			p.gone = time.Time{}
		} else {
			more++
		}
	}
	c.forget(now.Add(-keepGone))
	c.makeRoom(more)
	places := make([]*place, len(routes))
	for i, r := range routes {
		places[i] = c.place(r.name)
	}
	for _, l := range c.lanes {
		l.grow(c.next)
	}
	for i, r := range routes { // from here on they are counted there
		r.at.Store(places[i])
	}
}

// place returns where a route is counted.
func (c *Counters) place(name string) *place {
	if p := c.named[name]; p != nil {
		return p
	}
	p := &place{name: name}
	if name == "" {
		return p // which is nowhere
	}
	number := c.number()
	p.number.Store(int32(number))
	if number != others {
		c.named[name] = p
	}
	return p
}

// number returns one that no route has, or others when there are too many.
func (c *Counters) number() int {
	if n := len(c.free); n > 0 {
		number := c.free[n-1]
		c.free = c.free[:n-1]
		return number
	}
	if c.next == firstRoute+maxRoutes {
		return others
	}
	c.next++
	return c.next - 1
}

// grow makes room for routes up to that number.
func (l *lane) grow(to int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lack := to - len(l.routes); lack > 0 {
		l.routes = append(l.routes, make([]routeCounts, (lack+routeStep-1)/routeStep*routeStep)...)
	}
}

// makeRoom drops routes that are gone, those first that have been for longest, until there is
// room for so many more.
func (c *Counters) makeRoom(more int) {
	lack := more - len(c.free) - (firstRoute + maxRoutes - c.next)
	if lack <= 0 {
		return
	}
	gone := slices.SortedFunc(maps.Values(c.named), func(a, b *place) int { return a.gone.Compare(b.gone) })
	for _, p := range gone {
		if lack > 0 && !p.gone.IsZero() {
			c.drop(p)
			lack--
		}
	}
}

// forget drops the routes that are gone since then or longer.
func (c *Counters) forget(since time.Time) {
	for _, p := range c.named {
		if !p.gone.IsZero() && !p.gone.After(since) {
			c.drop(p)
		}
	}
}

// drop gives the counts of a route to others, and its place to whoever comes next.
func (c *Counters) drop(p *place) {
	number := int(p.number.Swap(others))
	delete(c.named, p.name)
	for _, l := range c.lanes {
		l.fold(number)
	}
	c.free = append(c.free, number)
}

func (l *lane) fold(number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.routes[others].add(&l.routes[number])
	l.routes[number] = routeCounts{}
}

func (r *routeCounts) add(o *routeCounts) {
	r.requests += o.requests
	r.failed += o.failed
	r.tunnels += o.tunnels
	r.sum += o.sum
}

func (r *routeCounts) stats(name string) RouteStats {
	return RouteStats{Name: name, Requests: r.requests, Failed: r.failed, Tunnels: r.tunnels, Sum: r.sum}
}

// Stats returns what was counted. Refusals, limits and breakers are others'.
func (c *Counters) Stats(now time.Time) Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(now.Add(-keepGone))
	sum := lane{routes: make([]routeCounts, c.next)}
	for _, l := range c.lanes {
		l.addTo(&sum)
	}
	s := Stats{
		Since: c.since, At: now, Classes: sum.classes, Failed: sum.failed,
		BytesIn: sum.bytesIn, BytesOut: sum.bytesOut,
		Latency: Latencies{Counts: trimmed(sum.buckets[:]), Sum: sum.sum},
		Routes:  c.routes(sum.routes),
	}
	for _, n := range sum.classes {
		s.Requests += n
	}
	return s
}

func (l *lane) addTo(sum *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum.bytesIn += l.bytesIn
	sum.bytesOut += l.bytesOut
	sum.failed += l.failed
	sum.sum += l.sum
	for i, n := range l.classes {
		sum.classes[i] += n
	}
	for i, n := range l.buckets {
		sum.buckets[i] += n
	}
	for i := range sum.routes {
		sum.routes[i].add(&l.routes[i])
	}
}

// routes returns the rows of routes. What is no route has one only where it has counted.
func (c *Counters) routes(counts []routeCounts) []RouteStats {
	all := make([]RouteStats, 0, len(c.named)+firstRoute)
	for name, p := range c.named {
		all = append(all, counts[p.number.Load()].stats(name))
	}
	for number, name := range []string{nowhere: NoRoute, others: OtherRoutes} {
		if counts[number].requests > 0 {
			all = append(all, counts[number].stats(name))
		}
	}
	slices.SortFunc(all, func(a, b RouteStats) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
