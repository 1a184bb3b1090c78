package supervisor

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// own returns the variables that mean one process and no other.
func own() []string {
	return []string{
		"YETT_SOCKETS", "YETT_READY", WorkerVariable, RevisionVariable, StoreVariable, lockVariable,
		"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
		"MAINPID", "NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE",
	}
}

func withoutOwn(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(own(), name)
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
