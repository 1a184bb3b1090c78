// Package handover gives listening sockets from one process to the next, and tells who waits
// for it that a process is ready: a process that starts another of the same program, a
// supervisor, systemd, or a process manager of Node. It also starts the process that takes this
// one's place.
//
// Between processes of this program go three things, each named by a variable of the
// environment: the sockets (YETT_SOCKETS), a pipe for one line that says that the new process is
// ready or why it can't be (YETT_READY), and a pair of sockets by which it gets what its
// predecessor keeps in memory (YETT_HEIR).
package handover

// The variables that processes of this program give each other.
const (
	socketsVariable = "YETT_SOCKETS"
	readyVariable   = "YETT_READY"
	heirVariable    = "YETT_HEIR"
)
