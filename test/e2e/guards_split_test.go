//go:build linux

package e2e

import (
	"fmt"
	"math"
	"syscall"
	"testing"
	"time"
)

// A share of the requests goes to the next version, as they are and by who sends them.
func TestGuardsSplit(t *testing.T) {
	t.Parallel()
	w := startWorkers(t, 2, manner{})
	g := guard(t, fmt.Sprintf(`  - {name: canary, path: /canary/**, auth: none, service: app, split: {to: {next: 20%%}}}
services:
  app: {targets: %s}
  next: {targets: %s}
`, targets(w[:1]), targets(w[1:])))
	l := startLoad(t, g)
	l.call(8, "GET", "/canary/get")
	eventually(t, "a thousand are answered", func() bool { time.Sleep(10 * time.Millisecond); return len(l.since(time.Time{})) >= 1000 })
	l.end()
	all := l.since(time.Time{})
	next := which(all, func(one *shot) bool { return one.from == "b" })
	share := float64(len(next)) / float64(len(all))
	if t.Logf("%.1f %% of %d went to the next version", 100*share, len(all)); math.Abs(share-0.2) > 0.065 { // five times the deviation
		t.Errorf("its share is %.3f", share)
	}
	if bad := which(all, badly); len(bad) > 0 {
		t.Errorf("%v", outcomes(all))
	}
	if sent := len(w[1].got(time.Time{}, time.Now())); sent != len(next) {
		t.Errorf("%d requests reached the next version, and %d were answered by it", sent, len(next))
	}
}

// A service that gets copies may be there, hang, or be gone: nobody else notices.
func TestGuardsMirror(t *testing.T) {
	t.Parallel()
	w := startWorkers(t, 2, manner{Delay: 2 * time.Millisecond})
	shadow := w[1]
	g := guard(t, fmt.Sprintf(`  - {name: mirrored, path: /mirrored/**, auth: none, service: app, mirror: {service: shadow, max: 20}}
services:
  app: {targets: %s}
  shadow: {targets: %s, timeouts: {response: 10s}}
`, targets(w[:1]), targets(w[1:])))
	l := startLoad(t, g)
	l.offer(200, "GET", "/app/get") // beside, without a mirror
	l.offer(200, "GET", "/mirrored/get")
	l.offer(50, "POST", "/mirrored/post")
	during := func(what string) {
		begun := time.Now()
		time.Sleep(time.Second)
		some := sentWithin(l.since(begun), begun, time.Now())
		plain := which(some, func(one *shot) bool { return one.path == "/app/get" })
		copied := which(some, func(one *shot) bool { return one.path != "/app/get" })
		l.show(what+": copied", copied)
		l.show(what+": not copied", plain)
		if bad := which(some, badly); len(bad) > 0 {
			t.Errorf("%s: %v", what, outcomes(some))
		}
		if with, without := percentile(copied, 0.5), percentile(plain, 0.5); with > 2*without+10*time.Millisecond {
			l.tooSlow("%s: requests that are copied take %v, others %v", what, with, without)
		}
	}
	during("mirror works")
	had := len(shadow.got(time.Time{}, time.Now()))
	if had < 200 {
		t.Errorf("%d copies have come", had)
	}
	shadow.signal(syscall.SIGSTOP)
	during("mirror hangs")
	shadow.signal(syscall.SIGCONT)
	eventually(t, "those that hung come", func() bool { time.Sleep(5 * time.Millisecond); return len(shadow.got(time.Time{}, time.Now())) > had })
	shadow.kill()
	during("mirror is gone")
	l.end()
	seen := make(map[int]int)
	for _, a := range shadow.got(time.Time{}, time.Now()) {
		if seen[a.id]++; seen[a.id] > 1 && a.method == "POST" {
			t.Errorf("POST %d was copied %d times", a.id, seen[a.id])
		}
	}
}
