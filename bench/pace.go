package main

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// pacer sends requests over a loader's connections on a schedule, whether
// answers have come or not: an open loop. A request that is due while all
// connections wait for answers is sent when one is free, and its latency counts
// from when it was due. So a subject that stalls is charged for all the requests
// that a client would have made meanwhile, not for the one under way alone.
type pacer struct {
	*loader
	interval float64   // nanoseconds between two requests
	turnOf   int       // connection that is tried first
	late     histogram // what the generator itself sent too late
	behind   int64     // requests that were due and never sent
}

func newPacer(l *loader, rate float64) *pacer {
	return &pacer{loader: l, interval: float64(time.Second) / rate}
}

// beOnTime makes short waits end when they should: the kernel may add 50 µs
// to those of ordinary threads.
func beOnTime() error {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set timer slack: %w", err)
	}
	return nil
}

// run sends what is due within the given time and then takes the answers to
// the requests that are under way.
func (p *pacer) run(d time.Duration) error {
	p.stopping = true // an answer makes no connection send by itself
	begin := time.Since(p.start)
	end := begin + d
	total := int(float64(d) / p.interval)
	due := func(n int) time.Duration { return begin + time.Duration(float64(n)*p.interval) }
	sent, waited := 0, false // waited: for a connection, with the next request
	for sent < total {
		now := time.Since(p.start)
		c := p.free()
		switch {
		case now >= end && c == nil:
			p.giveUp(due, sent, total, end)
			total = sent
		case p.open == 0:
			return fmt.Errorf("no connection left: %w", p.failure)
		case c != nil && due(sent) <= now:
			p.sendDue(c, due(sent), now, waited)
			sent++
			waited = false
		case c == nil && due(sent) <= now:
			waited = true
			if err := p.await(end - now); err != nil {
				return err
			}
		default:
			if err := p.await(due(sent) - now); err != nil {
				return err
			}
		}
	}
	if err := p.drain(); err != nil {
		return err
	}
	p.active += time.Since(p.start) - begin
	return nil
}

// sendDue makes the request count from when it was due.
func (p *pacer) sendDue(c *loadConn, due, now time.Duration, waited bool) {
	if !waited {
		p.late.add(now - due)
	}
	p.send(c)
	c.sent = due
}

// giveUp counts requests that can't be sent any more with the least that they
// would have taken.
func (p *pacer) giveUp(due func(n int) time.Duration, from, to int, end time.Duration) {
	for n := from; n < to; n++ {
		p.latency.add(end - due(n))
		p.behind++
	}
}

// free returns a connection that waits for nothing, in turn, or nil.
func (p *pacer) free() *loadConn {
	for range p.conns {
		c := p.conns[p.turnOf]
		p.turnOf = (p.turnOf + 1) % len(p.conns)
		if c.under == 0 && !c.dead {
			return c
		}
	}
	return nil
}

// spin is how long before the time it is better to look again and again than to
// sleep: waking up takes about as long.
const spin = 20 * time.Microsecond

// await handles what is ready, waiting for it at most the given time, which is
// exact to microseconds.
func (p *pacer) await(d time.Duration) error {
	if d > spin {
		timeout := unix.NsecToTimespec(int64(d - spin))
		_, err := unix.Ppoll([]unix.PollFd{{Fd: int32(p.poll.fd), Events: unix.POLLIN}}, &timeout, nil)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("wait for sockets: %w", err)
		}
	}
	return p.turn(0)
}

// describe adds what only a schedule has, and begins to count anew.
func (p *pacer) describe(w *window) {
	w.Late, w.Behind = p.late.quantile(0.99), p.behind
	p.late, p.behind = histogram{}, 0
}
