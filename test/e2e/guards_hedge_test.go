//go:build linux

package e2e

import (
	"math"
	"testing"
	"time"
)

// Requests whose answer is late are sent to a second target: a slow one costs little, and
// the others get little more to do. What may not be repeated is not.
func TestGuardsHedge(t *testing.T) {
	const late, slow = 15 * time.Millisecond, 150 * time.Millisecond
	s := startThree(t, "hedge: {after: 15ms}, ejection: {failures: 0}, balance: {algorithm: round_robin}, retries: {most: 0, budget: 50%}", manner{Delay: fastAnswer})
	s.offer(targetsRate, "GET", "/app/get")
	s.offer(postsRate/2, "POST", "/app/post")
	time.Sleep(time.Second)
	begun := time.Now()
	s.bad.behave(manner{Delay: slow})
	time.Sleep(2 * time.Second)
	ended := time.Now()
	s.end()
	all := s.since(time.Time{})
	s.judgeNone("always", all)
	s.judgeOnce()
	gets := byMethod(all, "GET")
	before, after := sentWithin(gets, s.calm.Add(300*time.Millisecond), begun.Add(-slow)), sentWithin(gets, begun, ended.Add(-slow))
	s.show("all fast", before)
	s.show("one slow, hedged", after)
	s.show("one slow, POST", sentWithin(byMethod(all, "POST"), begun, ended))
	hedges := s.g.services(newClient(t)).Services["app"].Hedges
	reached := len(arrivals(s.workers, time.Time{}, time.Now()))
	t.Logf("%d hedges of %d requests, %d reached the targets: %.0f %% more", hedges, len(all), reached, 100*(float64(reached)/float64(len(all))-1))
	// A third of them are late. On a busy machine some hedges are too.
	if was, is := percentile(before, 0.9), percentile(after, 0.9); is > late+2*was+slow/3 {
		s.tooSlow("the 90th percentile was %v, and is %v", was, is)
	}
	// A hedge whose first try is answered meanwhile may be taken back before it is sent.
	if extra, most := reached-len(all), int(math.Ceil(0.5*float64(len(all))+3*4)); hedges == 0 || extra > int(hedges) || extra < int(hedges)*8/10 || int(hedges) > most {
		t.Errorf("%d hedges, %d reached the targets beside %d requests, want up to %d", hedges, extra, len(all), most)
	}
}
