//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const (
	// targetsRate is how many requests a second the three targets get, and postsRate how many
	// of another kind.
	targetsRate = 300
	postsRate   = 100
	// targetsEjection is how these tests eject: for a second, with a slow start of two.
	targetsEjection = "balance: {slow_start: 2s}, ejection: {for: 1s}, breaker: {mode: off}"
)

// three are three targets of the service app, and clients.
type three struct {
	*load
	workers []*worker
	bad     *worker // to whom it happens
	calm    time.Time
}

// startThree starts them, and lets clients call for a while. app is what the service has
// beside targets.
func startThree(t *testing.T, app string, m manner) *three {
	t.Helper()
	s := &three{workers: startWorkers(t, 3, m)}
	s.bad = s.workers[2]
	g := guard(t, fmt.Sprintf("services:\n  app: {targets: %s, %s}\n", targets(s.workers), app))
	s.load = startLoad(t, g)
	s.calm = time.Now()
	return s
}

// both offers requests that may be repeated, and some that may not.
func (s *three) both() {
	s.offer(targetsRate, "GET", "/app/get")
	s.offer(postsRate, "POST", "/app/post")
	time.Sleep(time.Second)
}

// judgeOnce wants no POST to have reached two targets.
func (s *three) judgeOnce() {
	s.t.Helper()
	seen := make(map[int]bool)
	for _, a := range arrivals(s.workers, time.Time{}, time.Now()) {
		if a.method == "POST" && seen[a.id] {
			s.t.Errorf("POST %d has reached services twice", a.id)
		}
		seen[a.id] = seen[a.id] || a.method == "POST"
	}
}

// judgeNone wants all of them to have got a good answer.
func (s *three) judgeNone(what string, all []shot) {
	s.t.Helper()
	for _, one := range which(all, badly) {
		s.t.Errorf("%s: %s %d, sent %v after the beginning, got status %d %s from %q after %v (%v)", what, one.method, one.id, one.sent.Sub(s.calm), one.status, one.code, one.from, one.took(), one.err)
	}
}

// strays are the requests that reached the bad one, of those that were sent within a time
// in which it gets none.
func (s *three) strays(from, to time.Time) (n int) {
	s.t.Helper()
	sent := make(map[int]bool)
	for _, one := range sentWithin(s.since(from), from, to) {
		sent[one.id] = true
	}
	for _, a := range s.bad.got(time.Time{}, time.Now()) {
		if sent[a.id] {
			n++
		}
	}
	return n
}

// share is which part of the requests reached the bad one.
func (s *three) share(from, to time.Time) float64 {
	return float64(len(s.bad.got(from, to))) / float64(max(1, len(arrivals(s.workers, from, to))))
}

// A target that is killed costs those requests that it had got, as far as they can't be
// sent to another one. It is ejected, and when it is back it gets more and more.
func TestGuardsKilledTarget(t *testing.T) {
	t.Parallel()
	s := startThree(t, targetsEjection, manner{Delay: 5 * time.Millisecond})
	s.both()
	killed := time.Now()
	s.bad.kill()
	dead := time.Now()
	out := s.g.waitTarget(s.bad, "ejected", killed)
	s.bad.start(manner{Delay: 5 * time.Millisecond})
	again := time.Now()
	warming := s.g.waitTarget(s.bad, "warming", killed)
	up := s.g.waitTarget(s.bad, "up", warming.Time)
	time.Sleep(500 * time.Millisecond)
	s.end()
	all := s.since(time.Time{})
	s.judgeOnce()
	s.judgeNone("GET", byMethod(all, "GET"))
	posts := byMethod(all, "POST")
	for _, one := range which(posts, badly) {
		if one.sent.After(dead) || one.code != "BAD_GATEWAY" {
			t.Errorf("POST %d, sent %v after the kill, got status %d %s", one.id, one.sent.Sub(killed), one.status, one.code)
		}
	}
	first := s.bad.got(dead, time.Now())
	if len(first) == 0 {
		t.Fatal("it gets nothing any more")
	}
	if d := first[0].at.Sub(warming.Time); d > time.Second {
		s.tooSlow("it got nothing for %v after the ejection", d)
	}
	at := func(from, to time.Duration) float64 { return s.share(warming.Time.Add(from), warming.Time.Add(to)) }
	early, middle, late := at(0, 500*time.Millisecond), at(750*time.Millisecond, 1250*time.Millisecond), s.share(up.Time, up.Time.Add(500*time.Millisecond))
	if early > 0.8*late || late < 0.2 {
		s.tooSlow("its share is %.2f at first, %.2f in the middle, and %.2f when it is up again", early, middle, late)
	}
	s.show("before", sentWithin(all, s.calm, killed))
	s.show("one of three killed", sentWithin(all, killed, warming.Time))
	s.show("afterwards", sentWithin(all, up.Time, time.Now()))
	t.Logf("ejected after %v, started again after %v, traffic %v after the ejection's end; share %.2f, %.2f, %.2f", out.Time.Sub(killed), again.Sub(killed), first[0].at.Sub(warming.Time), early, middle, late)
}

// A target that is stopped accepts, and never answers. With tries that have a time, that
// costs time, and no more.
func TestGuardsStoppedTarget(t *testing.T) {
	t.Parallel()
	s := startThree(t, targetsEjection+", retries: {on: [connect, reset, timeout], try_timeout: 100ms}, timeouts: {response: 1s}", manner{Delay: 5 * time.Millisecond})
	s.both()
	stopped := time.Now()
	s.bad.signal(syscall.SIGSTOP)
	out := s.g.waitTarget(s.bad, "ejected", stopped)
	time.Sleep(500 * time.Millisecond)
	s.bad.signal(syscall.SIGCONT)
	back := s.g.waitTarget(s.bad, "warming", stopped)
	time.Sleep(500 * time.Millisecond)
	s.end()
	all := s.since(time.Time{})
	s.judgeOnce()
	for _, one := range which(byMethod(all, "GET"), badly) {
		s.tooSlow("GET %d, sent %v after the stop, got status %d %s", one.id, one.sent.Sub(stopped), one.status, one.code)
	}
	posts := which(byMethod(all, "POST"), badly)
	for _, one := range posts {
		if one.sent.After(out.Time.Add(time.Millisecond)) || one.code != "GATEWAY_TIMEOUT" {
			s.tooSlow("POST %d, sent %v after the stop, got status %d %s", one.id, one.sent.Sub(stopped), one.status, one.code)
		}
	}
	if n := len(s.bad.got(back.Time, time.Now())); n == 0 {
		t.Error("it gets nothing any more")
	}
	if took := out.Time.Sub(stopped); took > 2*time.Second {
		s.tooSlow("ejected after %v", took)
	}
	s.show("before", sentWithin(all, s.calm, stopped))
	s.show("stopped, not ejected", sentWithin(all, stopped, out.Time))
	s.show("ejected", sentWithin(all, out.Time.Add(time.Millisecond), back.Time))
	s.show("back", sentWithin(all, back.Time, time.Now()))
	t.Logf("ejected after %v, back after %v", out.Time.Sub(stopped), back.Time.Sub(stopped))
}

// blackHole is an address at which connections hang: the queue of those that nobody
// accepts is full, so the kernel drops what would open one more.
func blackHole(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + strconv.Itoa(name.(*syscall.SockaddrInet4).Port)
	for range 10 {
		c, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if os.IsTimeout(err) {
			return address
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Skip("the kernel completes connections that nobody accepts")
	return ""
}

// A target that is not reached costs nobody an answer: nothing was sent, so even a POST is
// sent to another one.
func TestGuardsBlackHole(t *testing.T) {
	t.Parallel()
	s := &three{workers: startWorkers(t, 2, manner{Delay: 5 * time.Millisecond})}
	hole := &worker{name: "hole", address: blackHole(t)}
	s.load = startLoad(t, guard(t, fmt.Sprintf("services:\n  app: {targets: %s, timeouts: {connect: 100ms}, %s}\n", targets(append(s.workers, hole)), targetsEjection)))
	s.calm = time.Now()
	s.both()
	out := s.g.waitTarget(hole, "ejected", time.Time{})
	back := s.g.waitTarget(hole, "warming", out.Time)
	again := s.g.waitTarget(hole, "ejected", back.Time)
	s.end()
	all := s.since(time.Time{})
	s.judgeOnce()
	s.judgeNone("while one can't be reached", all)
	s.show("black hole, not ejected", sentWithin(all, s.calm, out.Time))
	s.show("ejected", sentWithin(all, out.Time, back.Time))
	s.show("tried again", sentWithin(all, back.Time, again.Time))
	t.Logf("ejected after %v, and again %v after its return, until %v later", out.Time.Sub(s.calm), again.Time.Sub(back.Time), again.Until.Sub(again.Time))
	if first, second := out.Until.Sub(out.Time), again.Until.Sub(again.Time); second < first*3/2 {
		t.Errorf("ejected for %v, and the next time in a row for %v", first, second)
	}
}

// D24: an answer that breaks off is a failure of the target, whose head was good. Clients
// see that it is broken, until the target is ejected.
func TestD24BrokenBodiesEject(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		// late is how long a broken answer takes.
		late time.Duration
	}{{"cut", cut, 0}, {"nothing more comes", stall, 200 * time.Millisecond}} {
		t.Run(tt.name, func(t *testing.T) {
			s := startThree(t, "balance: {slow_start: 0s}, ejection: {for: 2s}, timeouts: {idle: 200ms}, breaker: {mode: off}", manner{Delay: 2 * time.Millisecond})
			s.offer(targetsRate, "GET", "/app/get")
			time.Sleep(500 * time.Millisecond)
			begun := time.Now()
			s.bad.behave(manner{Delay: 2 * time.Millisecond, Body: tt.body})
			out := s.g.waitTarget(s.bad, "ejected", begun)
			s.bad.behave(manner{Delay: 2 * time.Millisecond})
			time.Sleep(700 * time.Millisecond)
			s.end()
			all := s.since(time.Time{})
			broken := which(all, badly)
			for _, one := range broken {
				if one.status != 200 || one.err == nil || one.from != s.bad.name || one.took() > tt.late+time.Second {
					t.Errorf("sent %v after the beginning: status %d from %q after %v (%v)", one.sent.Sub(begun), one.status, one.from, one.took(), one.err)
				}
			}
			s.judgeNone("before", gotWithin(all, s.calm, begun))
			s.judgeNone("ejected", sentWithin(all, out.Time.Add(time.Millisecond), time.Now()))
			if n := len(broken); n < 5 || n > 5+targetsRate/2 {
				t.Errorf("%d answers were broken", n)
			}
			if n := s.strays(out.Time.Add(time.Millisecond), time.Now()); n > 0 {
				t.Errorf("%d requests reached it while it was ejected", n)
			}
			t.Logf("ejected after %v, %q; %d broken answers", out.Time.Sub(begun), out.Cause, len(broken))
		})
	}
}

// These are how fast the workers of the tests of slowness are, and how slow the bad one.
const (
	fastAnswer = 5 * time.Millisecond
	slowAnswer = 10 * fastAnswer
)

// A target that is ten times slower than the others is ejected, and all is as fast as
// before.
func TestGuardsSlowTarget(t *testing.T) {
	s := startThree(t, "ejection: {slower_than: 3, for: 10s}", manner{Delay: fastAnswer})
	s.offer(targetsRate, "GET", "/app/get")
	time.Sleep(1500 * time.Millisecond)
	begun := time.Now()
	s.bad.behave(manner{Delay: slowAnswer})
	out := s.g.waitTarget(s.bad, "ejected", begun)
	time.Sleep(1500 * time.Millisecond)
	s.end()
	all := s.since(time.Time{})
	s.judgeNone("always", all)
	before := sentWithin(all, s.calm.Add(300*time.Millisecond), begun.Add(-slowAnswer))
	settled := out.Time.Add(2 * slowAnswer)
	after := sentWithin(all, settled, time.Now())
	s.show("all fast", before)
	s.show("one slow", sentWithin(all, begun, out.Time))
	s.show("ejected", after)
	t.Logf("ejected after %v: %s", out.Time.Sub(begun), out.Cause)
	if n := s.strays(out.Time.Add(time.Millisecond), time.Now()); n > 0 {
		t.Errorf("%d requests reached it while it was ejected", n)
	}
	if was, is := percentile(before, 0.99), percentile(after, 0.99); is > 2*was+slowAnswer {
		s.tooSlow("the 99th percentile was %v, and is %v", was, is)
	}
}
