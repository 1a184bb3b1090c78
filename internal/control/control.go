// Package control is how a running gateway is changed and asked: what an instance says about
// itself, what a change would do, what became of it. Package control/socket carries these
// values between processes as JSON. control/plan compares configurations, control/history keeps
// the revisions.
package control

import (
	"context"
	"time"

	"yett/internal/control/plan"
	"yett/internal/problem"
	"yett/internal/telemetry"
)

// What an Instance or a Worker is doing.
const (
	Starting = "starting"
	Ready    = "ready"
	Draining = "draining"
	Stopped  = "stopped" // a worker that is not there
	Failing  = "failing" // a worker that has crashed too often, and is not started again
)

// Instance is a running gateway, of one process or of many.
type Instance interface {
	// Status tells how it is.
	Status(ctx context.Context) (Status, error)
	// Stats tells what it has served, of all its workers together.
	Stats(ctx context.Context) (telemetry.Stats, error)
	// Plan tells what a configuration would change, and changes nothing.
	Plan(ctx context.Context, p Proposal) (Outcome, error)
	// Reload takes a configuration, in all of its processes or in none. One that is wrong is
	// no error: the Outcome says what is wrong.
	Reload(ctx context.Context, p Proposal) (Outcome, error)
	// Revisions lists what ran, the newest first.
	Revisions(ctx context.Context) ([]Revision, error)
	// Reopen opens the log files anew.
	Reopen(ctx context.Context) error
	// Stop drains and ends it. It returns when the draining has begun.
	Stop(ctx context.Context) error
	// Upgrade puts a new process of the program on disk in its place, see Upgrade. It returns
	// when the new one is ready, or the old one stays.
	Upgrade(ctx context.Context) error
}

// Cluster is an Instance of many processes.
type Cluster interface {
	Instance
	// Restart puts new workers in the place of all, one at a time.
	Restart(ctx context.Context) error
	// Scale changes how many workers there are.
	Scale(ctx context.Context, workers int) error
}

// Proposal is a configuration that somebody wants.
type Proposal struct {
	// Text is the configuration; when it is empty, the instance's file is read, and its .env.
	Text string `json:"text,omitempty"`
	// Revision, unless empty, wants what ran under this one. "-" is the one before the current.
	Revision string `json:"revision,omitempty"`
	// File is what problems call the text.
	File string `json:"file,omitempty"`
	// Cause is who wants it, for the history: reload, signal, watch, rollback.
	Cause string `json:"cause,omitempty"`
}

// Outcome is what a Proposal did or would do.
type Outcome struct {
	// Applied tells that it runs now. A Proposal that changes nothing is applied too.
	Applied  bool     `json:"applied"`
	Revision Revision `json:"revision"`
	// Plan is what is, or would be, another.
	Plan plan.Plan `json:"plan"`
	// Problems is why it is refused.
	Problems problem.List `json:"problems,omitempty"`
	// Refused is why it is refused although it is right in itself, such as an address that can't
	// be bound, or a setting that needs a new process.
	Refused string `json:"refused,omitempty"`
}

// Revision is one configuration that ran, runs, or was refused.
type Revision struct {
	// ID is a short hash of what was written.
	ID    string    `json:"id"`
	Since time.Time `json:"since,omitzero"` // of one that runs, or ran
	Cause string    `json:"cause"`
	File  string    `json:"file,omitempty"`
	// Current tells that it runs.
	Current bool `json:"current,omitempty"`
}

// Refusal is a change that was not taken.
type Refusal struct {
	At    time.Time `json:"at"`
	Cause string    `json:"cause"`
	// Why is one line for each problem, without values of secrets.
	Why []string `json:"why"`
}

// Status is what an instance says about itself.
type Status struct {
	Name    string    `json:"name"`
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	State   string    `json:"state"`
	// Env is production or development, of an instance that yett start has started.
	Env       string     `json:"env,omitempty"`
	File      string     `json:"file"`
	Revision  Revision   `json:"revision"`
	Refused   *Refusal   `json:"refused,omitempty"` // the last, when it came after Revision
	Listeners []Listener `json:"listeners"`
	// Workers are those of a cluster.
	Workers []Worker `json:"workers,omitempty"`
	// Dropped is how many log lines never reached their file.
	Dropped uint64 `json:"log_lines_dropped"`
	Usage
}

// Usage is what a process uses.
type Usage struct {
	CPU         time.Duration `json:"cpu_ns"`      // since it was started
	Memory      int64         `json:"memory"`      // resident, bytes
	Connections int           `json:"connections"` // of clients
}

// Listener is an address that is served.
type Listener struct {
	Name    string `json:"name,omitempty"`
	Address string `json:"address"` // with its real port
	TLS     bool   `json:"tls,omitempty"`
}

// Worker is one process of a cluster.
type Worker struct {
	ID       int       `json:"id"` // from 1 on
	PID      int       `json:"pid,omitempty"`
	State    string    `json:"state"`
	Started  time.Time `json:"started,omitzero"`
	Restarts int       `json:"restarts"` // after crashes, and for its memory
	// Why says why it is not ready, or why it was started again last.
	Why      string `json:"why,omitempty"`
	Version  string `json:"version,omitempty"`
	Revision string `json:"revision,omitempty"`
	Usage
}
