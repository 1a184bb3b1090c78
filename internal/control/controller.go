package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"yett/internal/config"
	"yett/internal/control/plan"
	"yett/internal/problem"
	"yett/internal/snapshot"
)

// Gateway is the process that a Controller changes.
type Gateway interface {
	// Parse makes a configuration of what is written. The error is a problem.List with all
	// that is wrong.
	Parse(t *config.Text) (*config.Config, error)
	// Compile makes its running form, which takes over what it can of the previous one, nil
	// for none, and starts nothing. The error is a problem.List.
	Compile(c *config.Config, previous *snapshot.Snapshot) (*snapshot.Snapshot, error)
	// Prepare does all that may still fail, such as binding addresses. Of the Change that it
	// returns, one method has to be called.
	Prepare(ctx context.Context, next *snapshot.Snapshot) (Change, error)
}

// Change is a change that is prepared.
type Change interface {
	// Commit makes it.
	Commit()
	// Undo gives up what was prepared.
	Undo()
}

// Options is what a Controller is made from.
type Options struct {
	// File is the configuration file, and Source what counts instead of it, unless nil: then
	// there is no .env either.
	File   string
	Source []byte
	// Env is where ${VAR} comes from, before .env.
	Env     config.Env
	Gateway Gateway
	// Revisions is the directory of the history, "" for none: then the texts of this process
	// are kept, in memory.
	Revisions string
	// Begin, unless empty, is the revision that Load takes instead of the file, where it is kept.
	Begin string
	Log   *slog.Logger
}

// Controller holds the configuration that runs, and puts others in its place: one after the
// other, each of them whole or not at all.
type Controller struct {
	o    Options
	turn chan struct{} // held by who changes something
	ids  identifier
	past past

	mu      sync.Mutex // guards what follows
	first   *running   // until Started
	now     *running   // nil until then
	refused *Refusal
	closed  bool
}

// running is a configuration with what it was made of. It never changes.
type running struct {
	revision  Revision
	text      *config.Text
	variables variables
	snap      *snapshot.Snapshot
}

// Errors of a Controller.
var (
	// ErrNotStarted is that nothing runs yet that could be changed.
	ErrNotStarted = errors.New("the gateway has not started yet")
	// ErrStopping is that it drains, and takes no changes.
	ErrStopping = errors.New("the gateway is stopping, and takes no changes any more")
)

// NewController makes a Controller that runs nothing yet.
func NewController(o Options) *Controller {
	return &Controller{o: o, turn: make(chan struct{}, 1), past: past{dir: o.Revisions, log: o.Log}}
}

// Load reads the configuration with which the gateway begins. The error is a problem.List, or
// says what could not be read.
func (c *Controller) Load() (*config.Config, error) {
	t, err := c.text(Proposal{Revision: c.o.Begin})
	if err != nil && c.o.Begin != "" {
		c.o.Log.Warn("the file is read, as the revision to begin with is not kept", "error", err)
		t, err = c.text(Proposal{})
	}
	if err != nil {
		return nil, err
	}
	r := &running{text: t, revision: Revision{Cause: "start", File: t.Name}, variables: make(variables)}
	conf, err := c.parse(r)
	if err != nil {
		return nil, err
	}
	c.first = r
	return conf, nil
}

// Started notes that the configuration of Load runs, in this form.
func (c *Controller) Started(s *snapshot.Snapshot) {
	c.mu.Lock()
	r := c.first
	c.first, r.snap = nil, s
	c.mu.Unlock()
	c.runs(r)
}

// Close refuses all changes from here on, and waits for one that is being made.
func (c *Controller) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.turn <- struct{}{}
	<-c.turn
}

// lock waits for its turn, and returns what runs then.
func (c *Controller) lock(ctx context.Context) (*running, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for another change of the configuration: %w", ctx.Err())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err := ctx.Err()
	switch {
	case c.closed:
		err = ErrStopping
	case c.now == nil:
		err = ErrNotStarted
	}
	if err != nil {
		<-c.turn
		return nil, err
	}
	return c.now, nil
}

func (c *Controller) unlock() { <-c.turn }

// Plan tells what a Proposal would do.
func (c *Controller) Plan(ctx context.Context, p Proposal) (Outcome, error) {
	now, err := c.lock(ctx)
	if err != nil {
		return Outcome{}, err
	}
	defer c.unlock()
	next, out := c.draft(now, p)
	next.variables.hideIn(&out)
	return out, nil
}

// Propose takes a configuration, or refuses it: then the Outcome says why, and everything is
// as before. The error says why it could not even be looked at.
func (c *Controller) Propose(ctx context.Context, p Proposal) (Outcome, error) {
	now, err := c.lock(ctx)
	if err != nil {
		return Outcome{}, err
	}
	defer c.unlock()
	next, out := c.draft(now, p)
	c.take(ctx, now, next, &out)
	return out, nil
}

// Renew reads the files of keys and certificates anew that belong to what runs, be it what
// stands in the configuration file by now or not.
func (c *Controller) Renew(ctx context.Context, cause string) (Outcome, error) {
	now, err := c.lock(ctx)
	if err != nil {
		return Outcome{}, err
	}
	defer c.unlock()
	next := *now
	out := Outcome{Revision: now.revision}
	next.snap, err = c.compile(now.snap.Config, now.snap)
	c.found(&out, err)
	out.Revision.Cause = cause
	c.plan(&out, now, &next)
	c.take(ctx, now, &next, &out)
	return out, nil
}

// draft makes the running form of a Proposal, and tells what it would change, or why it can't be.
func (c *Controller) draft(now *running, p Proposal) (*running, Outcome) {
	next := &running{revision: Revision{Cause: p.Cause}, variables: make(variables)}
	if next.revision.Cause == "" {
		next.revision.Cause = "reload"
	}
	out := Outcome{Revision: next.revision}
	var err error
	if next.text, err = c.text(p); err != nil {
		out.Refused = err.Error()
		return next, out
	}
	next.revision.File = next.text.Name
	conf, err := c.parse(next)
	if err == nil {
		next.snap, err = c.compile(conf, now.snap)
	}
	c.found(&out, err)
	out.Revision = next.revision
	if next.snap != nil {
		c.plan(&out, now, next)
	}
	return next, out
}

// found notes why a configuration is refused.
func (c *Controller) found(out *Outcome, err error) {
	if err != nil && !errors.As(err, &out.Problems) {
		out.Refused = err.Error()
	}
}

// plan notes what would be another.
func (c *Controller) plan(out *Outcome, now, next *running) {
	if next.snap == nil {
		return
	}
	out.Plan = plan.Compare(now.snap.Config, next.snap.Config)
	for _, file := range slices.Sorted(maps.Keys(next.snap.Files())) {
		if before, had := now.snap.Files()[file]; had && before != next.snap.Files()[file] {
			out.Plan.Changes = append(out.Plan.Changes, plan.Change{Kind: "file", Name: file, What: plan.Changed, Effect: "is used from now on"})
		}
	}
	if len(out.Plan.NeedsProcess) > 0 {
		out.Refused = needsProcess(next.snap.Config, out.Plan.NeedsProcess)
	}
}

// take makes a draft run, unless it is refused already.
func (c *Controller) take(ctx context.Context, now, next *running, out *Outcome) {
	cause := out.Revision.Cause
	if len(out.Problems) == 0 && out.Refused == "" {
		if err := c.swap(ctx, now, next); err != nil {
			out.Refused = err.Error()
		}
	}
	if len(out.Problems) > 0 || out.Refused != "" {
		next.variables.hideIn(out)
		c.refuse(out)
		return
	}
	out.Applied = true
	c.mu.Lock()
	c.refused = nil
	out.Revision = c.now.revision
	c.mu.Unlock()
	if len(out.Plan.Changes) > 0 || out.Revision.ID != now.revision.ID {
		c.o.Log.Info("the configuration was changed", "revision", out.Revision.ID, "cause", cause, "changes", len(out.Plan.Changes))
	}
	for _, change := range out.Plan.Changes {
		if change.Weaker {
			c.o.Log.Warn("something may pass that was refused before", change.Attrs()...)
		}
	}
}

// swap makes next run, unless that is what runs.
func (c *Controller) swap(ctx context.Context, now, next *running) error {
	sameFiles := maps.Equal(now.snap.Files(), next.snap.Files())
	if next.revision.ID == now.revision.ID && next.text.Name == now.text.Name && sameFiles {
		now.snap.Documents().Start() // which has them looked at, in the background
		return nil
	}
	change, err := c.o.Gateway.Prepare(ctx, next.snap)
	if err != nil {
		return err
	}
	change.Commit()
	c.runs(next)
	return nil
}

// runs notes what runs from now on.
func (c *Controller) runs(r *running) {
	c.mu.Lock()
	again := c.now != nil && c.now.revision.ID == r.revision.ID
	if again {
		r.revision.Since, r.revision.Cause = c.now.revision.Since, c.now.revision.Cause
	} else {
		r.revision.Since = time.Now()
	}
	r.revision.Current = true
	c.now = r
	c.mu.Unlock()
	if !again {
		c.past.add(r.revision, r.text.Data, r.snap.Config.Reload.Keep)
	}
}

func (c *Controller) parse(r *running) (conf *config.Config, err error) {
	defer contain(c.o.Log, &err)
	t := *r.text
	t.Env = r.variables.over(t.Env)
	if conf, err = c.o.Gateway.Parse(&t); err != nil {
		return nil, err
	}
	r.revision.ID = c.ids.of(t.Data, r.variables)
	return conf, nil
}

func (c *Controller) compile(conf *config.Config, previous *snapshot.Snapshot) (s *snapshot.Snapshot, err error) {
	defer contain(c.o.Log, &err)
	return c.o.Gateway.Compile(conf, previous)
}

// contain makes a fault in the gateway a refusal: what runs must not end because of a
// configuration that does not.
func contain(log *slog.Logger, err *error) {
	if fault := recover(); fault != nil {
		log.Error("a fault in the gateway ended looking at a configuration", "fault", fault, "stack", string(debug.Stack()))
		*err = errors.New("a fault in the gateway ended looking at it; the log has more")
	}
}

// text reads what a Proposal means.
func (c *Controller) text(p Proposal) (*config.Text, error) {
	t := &config.Text{Name: c.o.File, Env: c.o.Env}
	switch {
	case p.Text != "":
		t.Data = []byte(p.Text)
	case p.Revision != "":
		r, data, err := c.past.find(p.Revision, c.current())
		if err != nil {
			return nil, err
		}
		t.Data = data
		if r.File != "" {
			t.Name = r.File
		}
	case c.o.Source != nil:
		t.Data = c.o.Source
	default:
		return config.ReadText(c.o.File, c.o.Env)
	}
	if p.File != "" {
		t.Name = c.beside(p.File)
	}
	if c.o.Source != nil {
		return t, nil
	}
	return t, t.ReadDotenv(config.DotenvBeside(c.o.File))
}

// beside returns a name without a folder as one beside the configuration file, because that is
// where the files are that it may name.
func (c *Controller) beside(name string) string {
	if filepath.Base(name) == name {
		return filepath.Join(filepath.Dir(c.o.File), name)
	}
	return name
}

// needsProcess says where settings are that this process can't take, a line for each, and what
// to do.
func needsProcess(c *config.Config, settings []string) string {
	var all problem.List
	for _, path := range settings {
		all = append(all, c.Source.Problem(path, "can't change in a running process", "yett upgrade starts a new one with it, and drops nothing"))
	}
	return all.Error()
}

// refuse keeps why a Proposal was refused, and tells the log.
func (c *Controller) refuse(out *Outcome) {
	r := &Refusal{At: time.Now(), Cause: out.Revision.Cause, Why: reasons(out.Problems, out.Refused)}
	c.mu.Lock()
	c.refused = r
	c.mu.Unlock()
	c.o.Log.Warn("a configuration was refused; what ran goes on", "cause", r.Cause, "problems", len(r.Why), "error", r.Why[0])
}

// mostReasons is how many problems of a refusal are kept.
const mostReasons = 50

// reasons are the lines of a Refusal.
func reasons(problems problem.List, refused string) []string {
	var lines []string
	for i, p := range problems {
		if i == mostReasons {
			lines = append(lines, fmt.Sprintf("and %d more", len(problems)-i))
			break
		}
		lines = append(lines, p.String())
	}
	if refused != "" {
		lines = append(lines, strings.Split(refused, "\n")...)
	}
	return lines
}

// current returns the ID of what runs.
func (c *Controller) current() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == nil {
		return ""
	}
	return c.now.revision.ID
}

// Current returns what runs, and what was refused since, or nil. Before Started nothing runs.
func (c *Controller) Current() (Revision, *Refusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == nil {
		return Revision{}, c.refused
	}
	return c.now.revision, c.refused
}

// Text returns what is written of what runs, nil before Started.
func (c *Controller) Text() *config.Text {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == nil {
		return nil
	}
	return c.now.text
}

// Revisions lists what ran, the newest first.
func (c *Controller) Revisions() ([]Revision, error) { return c.past.list(c.current()) }
