//go:build linux

package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// Checks find out about a target without a request that fails: it is down when it hangs, is
// not well or has gone, and up again when that is over.
func TestGuardsHealthChecks(t *testing.T) {
	t.Parallel()
	s := startThree(t, "health: {path: /health, interval: 100ms, timeout: 100ms, unhealthy: 2, healthy: 2}, balance: {slow_start: 0s}, ejection: {failures: 0}, retries: {most: 0}, timeouts: {response: 1s}, breaker: {mode: off}", manner{})
	s.offer(targetsRate, "GET", "/app/get")
	time.Sleep(500 * time.Millisecond)
	for _, tt := range []struct {
		name       string
		fail, heal func()
	}{
		{"hangs", func() { s.bad.signal(syscall.SIGSTOP) }, func() { s.bad.signal(syscall.SIGCONT) }},
		{"answers 500", func() { s.bad.behave(manner{Status: 500}) }, func() { s.bad.behave(manner{}) }},
		{"is gone", s.bad.kill, func() { s.bad.start(manner{}) }},
	} {
		failed := time.Now()
		tt.fail()
		down := s.g.waitTarget(s.bad, "down", failed)
		time.Sleep(300 * time.Millisecond)
		healed := time.Now()
		tt.heal()
		up := s.g.waitTarget(s.bad, "up", healed)
		eventually(t, fmt.Sprintf("%s: it gets requests again", tt.name), func() bool {
			time.Sleep(5 * time.Millisecond)
			return len(s.bad.got(up.Time, time.Now())) > 0
		})
		time.Sleep(200 * time.Millisecond)
		all := s.since(s.calm)
		s.judgeNone(tt.name, sentWithin(all, down.Time.Add(time.Millisecond), healed))
		if n := s.strays(down.Time.Add(time.Millisecond), healed); n > 0 {
			t.Errorf("%s: %d requests reached it while it was down", tt.name, n)
		}
		if took := down.Time.Sub(failed); took > 2*time.Second {
			s.tooSlow("%s: down after %v", tt.name, took)
		}
		bad := which(sentWithin(all, failed, down.Time), badly)
		t.Logf("%s: down after %v (%s), %d requests failed until then; up %v after it was well", tt.name, down.Time.Sub(failed), down.Cause, len(bad), up.Time.Sub(healed))
	}
	s.end()
}
