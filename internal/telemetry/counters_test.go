package telemetry

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/usage"
)

var began = time.Unix(1e9, 0)

func served(c *Counters, r *Route, status int, took time.Duration) {
	c.Count(&exchange.Exchange{Status: status, BytesIn: 3, BytesOut: 7}, r, took, status >= 500)
}

func TestCount(t *testing.T) {
	c := NewCounters(began)
	a, none, unknown := NewRoute("a"), NewRoute(""), NewRoute("unknown")
	c.Use([]*Route{none, a, NewRoute("quiet")}, began)
	for _, status := range []int{200, 299, 301, 404, 503, 0, -1, 700, 101} {
		served(c, a, status, time.Millisecond)
	}
	served(c, none, 404, time.Microsecond)
	served(c, unknown, 404, -time.Second)
	served(c, nil, 500, time.Hour)
	got := c.Stats(began.Add(time.Minute))
	ms := uint64(time.Millisecond)
	want := Stats{
		Since: began, At: began.Add(time.Minute), Requests: 12, Classes: [6]uint64{3, 1, 2, 1, 3, 2}, Failed: 3,
		BytesIn: 36, BytesOut: 84, Latency: got.Latency,
		Routes: []RouteStats{
			{NoRoute, 3, 1, 0, uint64(time.Microsecond + time.Hour)},
			{"a", 9, 2, 1, 8 * ms},
			{"quiet", 0, 0, 0, 0},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	l := got.Latency
	if l.Total() != 11 || l.Counts[0] != 2 || l.Counts[bucketOf(time.Millisecond)] != 8 || l.Counts[Buckets-1] != 1 {
		t.Errorf("%+v", l)
	}
	if m := got.Routes[1].Mean(); m != time.Millisecond {
		t.Errorf("mean %v", m)
	}
}

// named returns routes.
func named(names ...string) (all []*Route) {
	for _, n := range names {
		all = append(all, NewRoute(n))
	}
	return all
}

// requests returns the rows that have counted.
func requests(c *Counters, at time.Time) map[string]uint64 {
	out := make(map[string]uint64)
	for _, r := range c.Stats(at).Routes {
		out[r.Name] = r.Requests
	}
	return out
}

// A route keeps its counts from one configuration to the next by its name; one that is gone
// keeps them for a while, also for what began before.
func TestRoutesThatComeAndGo(t *testing.T) {
	c := NewCounters(began)
	first, second := named("a", "b"), named("b", "c")
	c.Use(first, began)
	served(c, first[0], 200, 1)
	served(c, first[1], 200, 1)
	c.Use(second, began)
	served(c, second[0], 200, 1) // b
	served(c, second[1], 200, 1) // c
	served(c, first[0], 200, 1)  // a, which began before
	if got, want := requests(c, began.Add(keepGone-1)), (map[string]uint64{"a": 2, "b": 2, "c": 1}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	later := began.Add(keepGone)
	if got, want := requests(c, later), (map[string]uint64{OtherRoutes: 2, "b": 2, "c": 1}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	third := named("b", "c", "d") // d gets the place of a
	c.Use(third, later)
	served(c, first[0], 200, 1) // still a
	served(c, third[2], 200, 1)
	if got, want := requests(c, later), (map[string]uint64{OtherRoutes: 3, "b": 2, "c": 1, "d": 1}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	back := named("a", "b") // one that was away for long begins anew
	c.Use(back, later)
	served(c, back[0], 200, 1)
	if got, want := requests(c, later.Add(keepGone-1)), (map[string]uint64{OtherRoutes: 3, "a": 1, "b": 2, "c": 1, "d": 1}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// One that comes back in time is as if it had never been away.
func TestRouteReturns(t *testing.T) {
	c := NewCounters(began)
	c.Use(named("a"), began)
	c.Use(nil, began)
	back := named("a")
	c.Use(back, began.Add(keepGone-1))
	served(c, back[0], 200, 1)
	if got := requests(c, began.Add(3*keepGone)); !reflect.DeepEqual(got, map[string]uint64{"a": 1}) {
		t.Errorf("got %v", got)
	}
}

// However many routes come, as many are counted by themselves as there is room for, and those
// that are there push out those that are gone.
func TestRoutesAreBounded(t *testing.T) {
	c := NewCounters(began)
	many := func(from int) (all []*Route) {
		for i := range maxRoutes + 10 {
			all = append(all, NewRoute(fmt.Sprint(from+i)))
		}
		return all
	}
	for round := range 3 {
		all := many(round * 10000)
		c.Use(all, began.Add(time.Duration(round)))
		for _, r := range all {
			served(c, r, 200, 1)
		}
		got := requests(c, began)
		gone := uint64(round*(maxRoutes+10)) + 10
		if len(got) != maxRoutes+1 || got[OtherRoutes] != gone || got[fmt.Sprint(round*10000)] != 1 {
			t.Fatalf("round %d: %d rows, %d others, want %d", round, len(got), got[OtherRoutes], gone)
		}
	}
	for _, l := range c.lanes {
		if len(l.routes) > firstRoute+maxRoutes+routeStep {
			t.Fatalf("room for %d", len(l.routes))
		}
	}
}

// Nothing is lost or counted twice while routes come and go and others look.
func TestCountersTogether(t *testing.T) {
	const workers, each = 8, 3000
	c := NewCounters(began)
	var wg, looking sync.WaitGroup
	stop := make(chan struct{})
	all := named("a", "b", "c", "d")
	c.Use(all, began)
	looking.Go(func() {
		now, last := began, uint64(0)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			now = now.Add(keepGone)
			c.Use(all[i%4:], now)
			if n := c.Stats(now).Requests; n < last {
				t.Errorf("%d after %d", n, last)
			} else {
				last = n
			}
		}
	})
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				served(c, all[(w+i)%4], 200, time.Duration(i)*time.Microsecond)
			}
		})
	}
	wg.Wait()
	close(stop)
	looking.Wait()
	s, byRoute := c.Stats(began), uint64(0)
	for _, r := range s.Routes {
		byRoute += r.Requests
	}
	if s.Requests != workers*each || byRoute != s.Requests || s.Latency.Total() != s.Requests || s.BytesOut != 7*s.Requests {
		t.Errorf("%d requests, %d by route, %d timed", s.Requests, byRoute, s.Latency.Total())
	}
}

// BenchmarkCount measures the time of the processor too: that on the wall is shared with others.
func BenchmarkCount(b *testing.B) {
	c := NewCounters(began)
	r := NewRoute("a")
	c.Use([]*Route{r}, began)
	b.ReportAllocs()
	before := usage.Self().CPU
	b.RunParallel(func(pb *testing.PB) {
		x := &exchange.Exchange{Status: 200, BytesOut: 100}
		for took := time.Duration(0); pb.Next(); took += 997 {
			c.Count(x, r, took&0xffffff, false)
		}
	})
	b.ReportMetric(float64(usage.Self().CPU-before)/float64(b.N), "cpu-ns/op")
}
