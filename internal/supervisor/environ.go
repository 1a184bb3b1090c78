package supervisor

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// handed are variables that name open files, and what else means one process and no other.
func handed() []string {
	return []string{
		"YETT_SOCKETS", "YETT_READY", "YETT_HEIR", RevisionVariable, StoreVariable, lockVariable,
		"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE",
	}
}

// forNextProgram is the environment of the program that takes the place of this one: systemd
// goes on hearing from it.
func forNextProgram(environ []string) []string { return without(environ, handed()) }

// forChildren is the environment of workers, of which systemd hears nothing.
func forChildren(environ []string) []string {
	return without(environ, append(handed(), "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "MAINPID"))
}

func without(environ, names []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(names, name)
	})
}

func has(environ []string, name string) bool {
	return slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, name+"=") })
}

// takeNumber returns the open file whose number a variable has, and clears it.
func takeNumber(name string) (fd uintptr, ok bool) {
	text, set := os.LookupEnv(name)
	if !set {
		return 0, false
	}
	_ = os.Unsetenv(name)
	n, err := strconv.Atoi(text)
	if err != nil || n < 3 {
		return 0, false
	}
	syscall.CloseOnExec(n)
	return uintptr(n), true
}
