package redistest

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the server also when the test itself is killed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
