//go:build linux

package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// launchVariable makes the test's own program what systemd is between fork and exec: it takes
// rights away, tells the process its number, and becomes the service.
const launchVariable = "YETT_DEPLOY_LAUNCH"

// allowedVariable has the numbers of the system calls that are allowed, with spaces between them.
const allowedVariable = "YETT_DEPLOY_ALLOWED"

// launch becomes the program of the arguments; it returns only when that fails.
func launch() error {
	runtime.LockOSThread()
	pid := strconv.Itoa(os.Getpid())
	var env []string
	for _, e := range os.Environ() {
		name, value, _ := strings.Cut(e, "=")
		switch name {
		case launchVariable, allowedVariable, containerVariable:
		case "LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID":
			env = append(env, name+"="+pid)
		default:
			env = append(env, name+"="+value)
		}
	}
	if text := os.Getenv(containerVariable); text != "" {
		if err := contain(text); err != nil {
			return fmt.Errorf("make a container: %w", err)
		}
	}
	path, err := exec.LookPath(os.Args[1])
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if text := os.Getenv(allowedVariable); text != "" {
		if err := restrict(strings.Fields(text)); err != nil {
			return fmt.Errorf("restrict system calls: %w", err)
		}
	}
	return syscall.Exec(path, os.Args[1:], env)
}

// Offsets in struct seccomp_data.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// restrict lets this thread, and what it becomes, make these system calls alone; others fail with
// EPERM. As RestrictAddressFamilies= and MemoryDenyWriteExecute= do, it also refuses sockets but
// those of IP and Unix, and memory that can be written and executed.
func restrict(allowed []string) error {
	const (
		load = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		is   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret  = unix.BPF_RET | unix.BPF_K
	)
	refuse := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	allow := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW}
	program := []unix.SockFilter{
		{Code: load, K: offsetArch}, {Code: is, K: unix.AUDIT_ARCH_X86_64, Jt: 1}, refuse,
		{Code: load, K: offsetNumber},
		// socket(AF_UNIX, AF_INET, AF_INET6)
		{Code: is, K: unix.SYS_SOCKET, Jf: 6},
		{Code: load, K: offsetArgs},
		{Code: is, K: unix.AF_UNIX, Jt: 3}, {Code: is, K: unix.AF_INET, Jt: 2}, {Code: is, K: unix.AF_INET6, Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT)}, allow,
		// mmap(PROT_WRITE | PROT_EXEC)
		{Code: is, K: unix.SYS_MMAP, Jt: 1}, {Code: is, K: unix.SYS_MPROTECT, Jf: 5},
		{Code: load, K: offsetArgs + 16}, {Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: unix.PROT_WRITE | unix.PROT_EXEC},
		{Code: is, K: unix.PROT_WRITE | unix.PROT_EXEC, Jf: 1}, refuse, allow,
	}
	for _, text := range allowed {
		number, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return err
		}
		program = append(program, unix.SockFilter{Code: is, K: uint32(number), Jf: 1}, allow)
	}
	program = append(program, refuse)
	p := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&p)))
	if errno != 0 {
		return errno
	}
	return nil
}
