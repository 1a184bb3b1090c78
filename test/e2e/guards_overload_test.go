//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// memory returns a figure of a process in MB, such as VmRSS or VmHWM, the most that it
// ever was.
func (p *process) memory(figure string) float64 {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), figure+":")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		p.t.Fatalf("%s: %v", figure, err)
	}
	return kb / 1000
}

const (
	// overloadWarm is how long an adaptive bound has to find out, and overloadTime how long
	// what comes then is measured.
	overloadWarm = 1500 * time.Millisecond
	overloadTime = 2 * time.Second
)

// overload is a service that can do so much, and is offered five times that.
type overload struct {
	*load
	w    *worker
	peak float64 // answers a second, when it has as much to do as it can
	p99  time.Duration
}

// startOverload measures what the service can do when it has no more to do than it can.
func startOverload(t *testing.T, concurrency string) *overload {
	t.Helper()
	s := &overload{w: startWorker(t, "a", manner{Hands: 8, Delay: 20 * time.Millisecond})}
	target := targets([]*worker{s.w})
	g := guard(t, `  - {name: urgent, path: /urgent/**, auth: none, service: app, priority: high}
  - {name: plain, path: /plain/**, auth: none, service: plain}
services:
  app: {targets: `+target+`, concurrency: `+concurrency+`}
  plain: {targets: `+target+`}
`)
	s.load = startLoad(t, g)
	s.peak, s.p99 = s.measure()
	return s
}

// measure returns how many answers a second the service gives to as many clients as keep
// it busy, and the 99th percentile of what they take.
func (s *overload) measure() (peak float64, p99 time.Duration) {
	l := startLoad(s.t, s.g)
	l.call(12, "GET", "/plain/get")
	time.Sleep(300 * time.Millisecond)
	begun := time.Now()
	time.Sleep(time.Second)
	ended := time.Now()
	l.end()
	some := gotWithin(l.since(time.Time{}), begun, ended)
	return float64(len(some)) / ended.Sub(begun).Seconds(), percentile(some, 0.99)
}

// Offered five times what it can do, a service goes on doing what it can, about as fast as
// ever; whoever is too much is told so at once, and whoever is urgent is not.
func TestGuardsOverload(t *testing.T) {
	for _, tt := range []struct{ name, concurrency string }{
		{"fixed", "{max: 10, queue: 8, queue_time: 50ms}"},
		{"adaptive", "{adaptive: true, least: 4, max: 200, queue: 8, queue_time: 50ms}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := startOverload(t, tt.concurrency)
			before := s.g.memory("VmRSS")
			s.offer(5*s.peak, "GET", "/app/get")
			s.offer(s.peak/20, "GET", "/urgent/get")
			time.Sleep(overloadWarm)
			begun := time.Now()
			time.Sleep(overloadTime)
			ended := time.Now()
			s.end()
			s.judge(gotWithin(s.since(time.Time{}), begun, ended), ended.Sub(begun))
			most := s.g.memory("VmHWM")
			t.Logf("memory of the gateway %.0f MB, %.0f MB before", most, before)
			if most > before+64 {
				t.Errorf("the gateway had %.0f MB, %.0f MB before", most, before)
			}
		})
	}
}

func (s *overload) judge(all []shot, lasted time.Duration) {
	t := s.t
	t.Helper()
	accepted, refused := which(all, well), which(all, badly)
	goodput := float64(len(accepted)) / lasted.Seconds()
	urgent := which(all, func(one *shot) bool { return strings.HasPrefix(one.path, "/urgent") })
	for i := range refused {
		if one := &refused[i]; one.status != http.StatusServiceUnavailable || one.code != "SERVICE_UNAVAILABLE" || one.retryIn < 1 || one.retryAfter != fmt.Sprint(one.retryIn) {
			t.Errorf("a refusal is %d %s, Retry-After %q (%v)", one.status, one.code, one.retryAfter, one.err)
			break
		}
	}
	p99 := percentile(accepted, 0.99)
	t.Logf("peak %.0f/s with p99 %v; offered %.1f times that: goodput %.0f %%, p50 %v, p99 %v; refusals p50 %v; urgent: %d of %d served",
		s.peak, s.p99.Round(time.Millisecond), float64(len(all))/lasted.Seconds()/s.peak, 100*goodput/s.peak, percentile(accepted, 0.5).Round(time.Millisecond), p99.Round(time.Millisecond),
		percentile(refused, 0.5).Round(10*time.Microsecond), len(which(urgent, well)), len(urgent))
	if goodput < 0.75*s.peak || p99 > 3*s.p99 { // the machine may have become busier meanwhile
		peak, slow := s.measure()
		t.Logf("and after it, peak %.0f/s with p99 %v", peak, slow.Round(time.Millisecond))
		s.peak, s.p99 = min(s.peak, peak), max(s.p99, slow)
	}
	if goodput < 0.75*s.peak {
		s.tooSlow("goodput is %.0f/s, and was %.0f/s", goodput, s.peak)
	}
	if p99 > 3*s.p99+50*time.Millisecond {
		s.tooSlow("the 99th percentile is %v, and was %v", p99, s.p99)
	}
	if len(refused) == 0 || len(urgent) == 0 || len(which(urgent, well)) < len(urgent)*9/10 {
		s.tooSlow("%d refused; urgent: %v", len(refused), outcomes(urgent))
	}
}
