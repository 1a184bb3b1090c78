// Package handover gives listening sockets from one process to the next, and tells who waits
// for it that a process is ready: a process that starts another of the same program, a
// supervisor, or systemd.
package handover

import (
	"context"
	"net"
	"os"
)

// Sockets are listening sockets that came from another process, and those bound here.
type Sockets struct{}

// Inherit takes the sockets that the environment tells of: those of a process of this program
// ($YETT_SOCKETS) or of systemd ($LISTEN_FDS). It clears these variables.
func Inherit() (*Sockets, error) { return &Sockets{}, nil }

// Listen returns the inherited socket of that address, or a new one. Several calls for one
// address return sockets that share one queue.
func (s *Sockets) Listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", address)
}

// Pass returns what a new process needs to inherit all sockets: files to hand over, of which the first
// becomes number first, and variables for its environment. The caller closes the files.
func (s *Sockets) Pass(first int) (files []*os.File, env []string, err error) { return nil, nil, nil }

// CloseUnused closes inherited sockets that no Listen has asked for.
func (s *Sockets) CloseUnused() error { return nil }

// Waiting is who waits for this process: nobody, a process that started it ($YETT_READY, a pipe),
// systemd ($NOTIFY_SOCKET), Node's process managers ($NODE_CHANNEL_FD).
type Waiting struct{}

// Waiters finds them in the environment, and clears the variables.
func Waiters() (*Waiting, error) { return &Waiting{}, nil }

// Ready tells that this process serves.
func (w *Waiting) Ready() error { return nil }

// Failed tells why this process can't serve.
func (w *Waiting) Failed(why error) {}

// Stopping tells that this process drains.
func (w *Waiting) Stopping() {}

// Reloading tells that a new configuration is being taken, and when that is over.
func (w *Waiting) Reloading() (done func()) { return func() {} }

// Status shows a line in systemctl status.
func (w *Waiting) Status(line string) {}
