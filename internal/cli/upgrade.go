package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"yett/internal/app"
	"yett/internal/handover"
)

// next is a process that is to take the place of this one.
type next struct {
	successor *handover.Successor
	heir      *app.Heir
	since     time.Time
	stop      context.CancelCauseFunc
	result    chan error
	answer    chan<- error // takes one
}

// over is where it is told what became of it; nil, on which nobody ever writes, when there is none.
func (n *next) over() <-chan error {
	if n == nil {
		return nil
	}
	return n.result
}

func (n *next) pid() int { return n.successor.PID() }

// upgrade starts a process that takes the place of this one when it is ready. answer is told what
// became of it.
func (s *single) upgrade(answer chan<- error) {
	err := s.tryUpgrade(answer)
	if err == nil {
		return
	}
	s.Log().Error("no new process takes the place of this one", "error", err)
	answer <- err
}

func (s *single) tryUpgrade(answer chan<- error) error {
	if err := s.replaceable(); err != nil {
		return err
	}
	if s.next != nil {
		return errUpgrading
	}
	if !s.changing.TryLock() {
		return errors.New("a configuration is being taken; try again when it has been")
	}
	err := s.start(answer)
	if err != nil {
		s.changing.Unlock()
	}
	return err
}

func (s *single) start(answer chan<- error) error {
	successor, err := s.program.Start(s.sockets, s.waiting)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(context.Background())
	n := &next{successor: successor, since: time.Now(), stop: stop, result: make(chan error, 1), answer: answer}
	n.heir = s.Bequeath(successor.Heir())
	s.next = n
	s.Log().Info("a new process is starting", "pid", n.pid(), "program", s.program.Path)
	go func() {
		limit, cancel := context.WithTimeoutCause(ctx, s.readyTimeout,
			fmt.Errorf("it was not ready within %s (--ready-timeout)", s.readyTimeout))
		defer cancel()
		n.result <- successor.Wait(limit)
	}()
	return nil
}

// settle notes what became of it, and returns whether it is ready.
func (n *next) settle(s *single, err error) (ready bool) {
	defer func() { n.answer <- err }()
	if err != nil {
		n.heir.Disown()
		s.Log().Error("the new process did not become ready; this one goes on", "pid", n.pid(), "error", err)
		err = fmt.Errorf("the new process did not become ready, and the old one goes on: %w", err)
		s.changing.Unlock()
		return false
	}
	s.Log().Info("a new process serves", "pid", n.pid(), "after", time.Since(n.since).String())
	return true
}

// errStopped is why a process is ended that was about to take the place of one that is to stop.
var errStopped = errors.New("the gateway was stopped meanwhile")

// giveUp ends it, because both are to stop.
func (n *next) giveUp(s *single) {
	n.stop(errStopped)
	if n.settle(s, <-n.result) { // it was ready a moment before
		n.successor.Stop()
		n.heir.Disown()
	}
}
