package supervisor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"yett/internal/control"
	"yett/internal/control/socket"
	"yett/internal/control/watch"
	"yett/internal/problem"
	"yett/internal/snapshot"
)

// errNobody is a cluster without a worker that could be asked.
var errNobody = errors.New("no worker serves; yett status says why, and yett restart tries again")

// client is a worker that can be asked.
type client struct {
	*socket.Client
	id int
}

// serving returns those that serve, the first first.
func (s *Supervisor) serving() (all []client, err error) {
	for _, m := range s.members() {
		if m.w == nil || m.shown.State != control.Ready {
			continue
		}
		c, err := m.w.call()
		if err != nil {
			return nil, fmt.Errorf("worker %d: %w", m.shown.ID, err)
		}
		all = append(all, client{Client: c, id: m.shown.ID})
	}
	if len(all) == 0 {
		return nil, errNobody
	}
	return all, nil
}

// Plan implements control.Instance.
func (s *Supervisor) Plan(ctx context.Context, p control.Proposal) (control.Outcome, error) {
	all, err := s.serving()
	if err != nil {
		return control.Outcome{}, err
	}
	return all[0].Plan(ctx, p)
}

// Revisions implements control.Instance.
func (s *Supervisor) Revisions(ctx context.Context) ([]control.Revision, error) {
	all, err := s.serving()
	if err != nil {
		return nil, err
	}
	return all[0].Revisions(ctx)
}

// Reopen implements control.Instance.
func (s *Supervisor) Reopen(ctx context.Context) error {
	all, err := s.serving()
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range all {
		if err := c.Reopen(ctx); err != nil {
			errs = append(errs, fmt.Errorf("worker %d: %w", c.id, err))
		}
	}
	return errors.Join(errs...)
}

// Reload implements control.Instance. The workers are asked one after the other; when the first
// refuses, nothing has changed.
func (s *Supervisor) Reload(ctx context.Context, p control.Proposal) (control.Outcome, error) {
	done, err := s.take(ctx)
	if err != nil {
		return control.Outcome{}, err
	}
	defer done()
	defer s.waiting.Reloading()()
	before := s.sums() // of what is read below, or earlier
	out, err := s.reload(ctx, p)
	s.note(p, out, err)
	if out.Applied {
		s.learnConfig()
	}
	for path := range s.sums() {
		if _, had := before[path]; !had {
			before[path] = snapshot.SumOf(path) // it is followed from now on
		}
	}
	s.watcher.Follow(before)
	return out, err
}

// learnConfig reads what the supervisor has to know of the configuration that the workers have
// taken. When the file is another by now, that is the next change.
func (s *Supervisor) learnConfig() {
	conf, err := s.o.Check()
	if err != nil {
		return
	}
	s.mu.Lock()
	s.conf.StopTime, s.conf.Follow = conf.StopTime, conf.Follow
	s.mu.Unlock()
}

// sums are those of the files that are followed, as they are now.
func (s *Supervisor) sums() map[string]watch.Sum {
	s.mu.Lock()
	defer s.mu.Unlock()
	sums := make(map[string]watch.Sum)
	for _, path := range s.conf.Follow {
		sums[path] = snapshot.SumOf(path)
	}
	return sums
}

// filesChanged takes the configuration anew.
func (s *Supervisor) filesChanged(paths []string) {
	s.log.Info("files have changed", "files", paths)
	out, err := s.Reload(context.Background(), control.Proposal{Cause: "watch"})
	if why := refusalOf(out, err); why != "" {
		s.log.Error("the change was not taken; what ran goes on", "why", why)
	}
}

func (s *Supervisor) reload(ctx context.Context, p control.Proposal) (control.Outcome, error) {
	all, err := s.serving()
	if err != nil {
		return control.Outcome{}, err
	}
	plan, err := all[0].Plan(ctx, p)
	byProcess := plan.Plan.NeedsProcesses()
	if err != nil || len(plan.Problems) > 0 || plan.Refused != "" && len(byProcess) == 0 {
		return plan, err
	}
	if len(byProcess) > 0 {
		return s.reloadByProcess(ctx, p, plan)
	}
	return s.reloadInPlace(ctx, p, all)
}

// reloadInPlace has all workers take it. When a later one refuses what the first took, the
// earlier ones go back.
func (s *Supervisor) reloadInPlace(ctx context.Context, p control.Proposal, all []client) (first control.Outcome, err error) {
	before, err := all[0].Status(ctx)
	if err != nil {
		return first, err
	}
	for i, c := range all {
		out, err := c.Reload(ctx, p)
		if i == 0 && err == nil {
			first = out
		}
		why := refusalOf(out, err)
		if why == "" && out.Revision.ID != first.Revision.ID {
			why = "the file has changed while it was being taken; reload again"
		}
		if why == "" {
			continue
		}
		if i == 0 {
			return out, err
		}
		back := s.goBack(ctx, all[:i+1], before.Revision.ID)
		out.Applied, out.Revision = false, before.Revision
		out.Refused = fmt.Sprintf("worker %d refused what worker %d took: %s; %s", c.id, all[0].id, why, back)
		return out, nil
	}
	s.learn(first.Revision.ID)
	return first, nil
}

// refusalOf is why it was not taken, or empty.
func refusalOf(out control.Outcome, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case len(out.Problems) > 0:
		return out.Problems.Error()
	case !out.Applied:
		return out.Refused
	}
	return ""
}

// goBack brings workers back to a revision, and says what became of that.
func (s *Supervisor) goBack(ctx context.Context, all []client, revision string) string {
	var failed []string
	for _, c := range all {
		out, err := c.Reload(ctx, control.Proposal{Revision: revision, Cause: "rollback"})
		if why := refusalOf(out, err); why != "" {
			failed = append(failed, fmt.Sprintf("worker %d: %s", c.id, why))
		}
	}
	if failed == nil {
		return "all run what they ran before"
	}
	return "some could not be brought back, yett restart brings all to one state: " + strings.Join(failed, "; ")
}

// reloadByProcess puts new workers in the place of all, for what only a new process can take.
func (s *Supervisor) reloadByProcess(ctx context.Context, p control.Proposal, plan control.Outcome) (control.Outcome, error) {
	what := strings.Join(plan.Plan.NeedsProcesses(), ", ")
	if p.Text != "" || p.Revision != "" {
		plan.Applied = false
		plan.Refused = fmt.Sprintf("%s can only be taken by new processes, which read the file: write it there, then yett reload", what)
		return plan, nil
	}
	plan.Refused = ""
	if err := s.renewAll(ctx, s.o.Running); err != nil {
		return refusedOutcome(plan, err)
	}
	plan.Applied = true
	plan.Revision.ID = s.revision()
	return plan, nil
}

// renewAll reads the configuration anew and puts new workers in the place of all. Addresses that
// are no longer served are given up: the old ones in the end, or the added ones when it fails.
func (s *Supervisor) renewAll(ctx context.Context, program string) error {
	s.mu.Lock()
	before := s.conf
	s.mu.Unlock()
	err, replaced := s.renew(ctx), 0
	if err == nil {
		replaced, err = s.roll(ctx, program)
	}
	s.mu.Lock()
	switch {
	case err != nil && replaced == 0:
		s.conf = before
	case err != nil: // some of each are there, and the addresses of both are needed
		s.mu.Unlock()
		return err
	}
	served := s.conf.Listeners
	s.mu.Unlock()
	s.unbind(served)
	return err
}

func (s *Supervisor) revision() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// refusedOutcome says in an Outcome why new workers could not be started.
func refusedOutcome(out control.Outcome, err error) (control.Outcome, error) {
	var found problem.List
	if errors.As(err, &found) {
		out.Problems = found
		return out, nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, errStopping) {
		return out, err
	}
	out.Refused = err.Error()
	return out, nil
}

// note keeps why a reload was refused, for the status.
func (s *Supervisor) note(p control.Proposal, out control.Outcome, err error) {
	why := refusalOf(out, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = nil
	if why != "" {
		s.refused = &control.Refusal{At: time.Now(), Cause: p.Cause, Why: strings.Split(why, "\n")}
	}
}

// learn remembers what the workers run, for those that are started after a crash.
func (s *Supervisor) learn(revision string) {
	s.mu.Lock()
	s.current = revision
	s.mu.Unlock()
	s.save("")
}

// learnRevision asks a worker what it runs.
func (s *Supervisor) learnRevision(ctx context.Context) {
	all, err := s.serving()
	if err != nil {
		return
	}
	if st, err := all[0].Status(ctx); err == nil {
		s.learn(st.Revision.ID)
	}
}
