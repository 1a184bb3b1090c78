//go:build linux

package deploy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mostExposed bounds what systemd-analyze says of the unit, of 0 to 10.
const mostExposed = 1.6

func TestUnitsAreRight(t *testing.T) {
	analyze := need(t, "systemd-analyze")
	dir := tempDir(t)
	for _, name := range []string{"yett.service", "yett.socket"} {
		text, err := os.ReadFile(filepath.Join(root(t), "deploy/systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), strings.ReplaceAll(string(text), "/usr/local/bin/yett", binary))
	}
	for _, name := range []string{"yett.service", "yett.socket"} {
		if said := output(t, nil, analyze, "verify", "--man=no", filepath.Join(dir, name)); said != "" {
			t.Errorf("%s: %s", name, said)
		}
	}
	said := output(t, nil, analyze, "security", "--offline=true", filepath.Join(dir, "yett.service"))
	found := regexp.MustCompile(`exposure level for yett.service: ([0-9.]+)`).FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("no level in %s", said)
	}
	if level, err := strconv.ParseFloat(found[1], 64); err != nil || level > mostExposed {
		t.Errorf("exposed by %v, want %v at most:\n%s", level, mostExposed, said)
	}
}

// The name and paths in the unit are those that other verbs and the socket unit look for.
func TestUnitsFit(t *testing.T) {
	service, socket := readUnit(t, "yett.service"), readUnit(t, "yett.socket")
	if dir, state := service.one(t, "StateDirectory"), service["Environment"]; !slices.Contains(state, "YETT_STATE=/var/lib/"+dir) {
		t.Errorf("YETT_STATE in %q is not /var/lib/%s", state, dir)
	}
	if listen := socket.one(t, "ListenStream"); !strings.HasSuffix(listen, ":3000") {
		t.Errorf("%s is not the address of the examples", listen)
	}
}

// notes are what a service tells systemd.
type notes struct {
	t    *testing.T
	conn *net.UnixConn
	main int // the number of the main process, by MAINPID
	seen []string
}

func listenForNotes(t *testing.T, path string) *notes {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) }); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	return &notes{t: t, conn: conn}
}

// wait reads until something has been said. As NotifyAccess=main has it, only the main process is heard.
func (n *notes) wait(what string) {
	n.t.Helper()
	data, oob := make([]byte, 4096), make([]byte, 128)
	_ = n.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		size, m, _, _, err := n.conn.ReadMsgUnix(data, oob)
		if err != nil {
			n.t.Fatalf("%s was not said, but %q: %v", what, n.seen, err)
		}
		if from := sender(oob[:m]); n.main != 0 && from != n.main {
			continue
		}
		said := strings.Split(string(data[:size]), "\n")
		n.seen = append(n.seen, said...)
		for _, s := range said {
			if pid, ok := strings.CutPrefix(s, "MAINPID="); ok {
				n.main, _ = strconv.Atoi(pid)
			}
		}
		if slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, what) }) {
			return
		}
	}
}

func sender(oob []byte) int {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) == 0 {
		return 0
	}
	cred, err := unix.ParseUnixCredentials(&messages[0])
	if err != nil {
		return 0
	}
	return int(cred.Pid)
}

// serviceConfig is a configuration that needs nothing but itself.
const serviceConfig = `name: %s
listeners:
  - address: "%s"
shutdown: {grace: 5s}
routes:
  - {name: health, path: /health, auth: none, endpoint: health}
  - {name: ready, path: /health/ready, auth: none, endpoint: ready}
  - {name: metrics, path: /metrics, auth: none, endpoint: metrics}
`

// serviceUser is nobody here: as the unit's DynamicUser, without any right.
const serviceUser = 64321

// service runs the exact command of the unit in its environment, without rights, and with only the
// system calls that the unit allows.
type service struct {
	installed
	t     *testing.T
	unit  unit
	notes *notes
	log   string
}

func startService(t *testing.T, address string, socket *os.File) *service {
	t.Helper()
	dir := tempDir(t)
	s := &service{t: t, unit: readUnit(t, "yett.service"), log: filepath.Join(dir, "log")}
	s.config, s.state = filepath.Join(dir, "etc/yett.yaml"), filepath.Join(dir, "run")
	write(t, s.config, fmt.Sprintf(serviceConfig, "yett", address))
	if err := errors.Join(os.Mkdir(s.state, 0o700), s.give(s.state)); err != nil {
		t.Fatal(err)
	}
	s.notes = listenForNotes(t, filepath.Join(dir, "notify"))
	cmd := s.cmd("ExecStart")
	cmd.Env = append(cmd.Env, launchVariable+"=1", allowedVariable+"="+strings.Join(s.allowed(), " "),
		"NOTIFY_SOCKET="+filepath.Join(dir, "notify"), "WATCHDOG_USEC=600000", "WATCHDOG_PID=", "SYSTEMD_EXEC_PID=")
	if socket != nil {
		cmd.ExtraFiles = []*os.File{socket}
		cmd.Env = append(cmd.Env, "LISTEN_FDS=1", "LISTEN_PID=", "LISTEN_FDNAMES=public")
	}
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	t.Cleanup(func() {
		_ = log.Close()
		if text, err := os.ReadFile(s.log); err == nil && t.Failed() {
			t.Logf("yett wrote\n%s", text)
		}
	})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killAtEnd(t, cmd.Process.Pid)
	s.notes.wait("READY=1")
	if s.notes.main != cmd.Process.Pid {
		t.Errorf("the main process is %d, want %d", s.notes.main, cmd.Process.Pid)
	}
	return s
}

// give makes the service's user the owner, where this test may.
func (s *service) give(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Chown(path, serviceUser, serviceUser)
}

// cmd is a command of the unit, launched by this program as the service's user.
func (s *service) cmd(key string) *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command(launcher(), s.command(s.unit.one(s.t, key))...)
	cmd.Env = append(s.environment(s.unit), "PATH=/usr/bin:/bin", launchVariable+"=1")
	cmd.Dir = "/"
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: serviceUser, Gid: serviceUser}}
	}
	return cmd
}

// allowed are the numbers of the system calls that the unit's filters leave; none where that
// can't be found out.
func (s *service) allowed() (numbers []string) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil || runtime.GOARCH != "amd64" {
		s.t.Log("without systemd-analyze, or on another machine, system calls are not restricted")
		return nil
	}
	known := systemCalls(s.t)
	set := map[string]bool{}
	for _, line := range s.unit["SystemCallFilter"] {
		line, without := strings.CutPrefix(line, "~")
		for _, name := range filterSets(s.t, analyze, strings.Fields(line)) {
			set[name] = !without
		}
	}
	for name, allowed := range set {
		if number, ok := known[name]; ok && allowed {
			numbers = append(numbers, number)
		}
	}
	if len(numbers) < 100 {
		s.t.Fatalf("only %d system calls are allowed", len(numbers))
	}
	return numbers
}

// filterSets are the system calls that the names of sets stand for.
func filterSets(t *testing.T, analyze string, sets []string) (calls []string) {
	t.Helper()
	for _, set := range sets {
		if !strings.HasPrefix(set, "@") {
			calls = append(calls, set)
			continue
		}
		var inner []string
		for line := range strings.Lines(output(t, nil, analyze, "syscall-filter", set)) {
			if line = strings.TrimSpace(line); line != "" && line != set && line[0] != '#' {
				inner = append(inner, line)
			}
		}
		calls = append(calls, filterSets(t, analyze, inner)...)
	}
	return calls
}

// systemCalls are the numbers of all system calls, by name, from the source of the library.
func systemCalls(t *testing.T) map[string]string {
	t.Helper()
	dir := strings.TrimSpace(output(t, nil, "go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys"))
	f, err := os.Open(filepath.Join(dir, "unix", "zsysnum_linux_amd64.go"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	known := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) == 3 && strings.HasPrefix(words[0], "SYS_") {
			known[strings.ToLower(strings.TrimPrefix(words[0], "SYS_"))] = words[2]
		}
	}
	return known
}

// reload runs the unit's ExecReload.
func (s *service) reload() (said string, code int) {
	s.t.Helper()
	cmd := s.cmd("ExecReload")
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// answers asks for a page.
func answers(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return string(text), err
}

func (s *service) serves(address string) {
	s.t.Helper()
	if _, err := answers(s.t.Context(), "http://"+address+"/health"); err != nil {
		s.t.Error(err)
	}
}

// The unit through a whole life: start, watchdog, reload, a wrong configuration, upgrade, stop.
func TestServiceUnderSystemd(t *testing.T) {
	s := startService(t, "127.0.0.1:0", nil)
	first := s.notes.main
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", first)); err != nil || len(s.allowed()) > 0 && !strings.Contains(string(text), "Seccomp:\t2") {
		t.Errorf("its system calls are not restricted: %v", err)
	}
	// root, who is not the service's user, sees it.
	st := status(t, s.state)
	if len(st.Listeners) != 1 || st.State != "ready" {
		t.Fatalf("%+v", st)
	}
	address := st.Listeners[0].Address
	s.serves(address)
	s.notes.wait("WATCHDOG=1")

	write(t, s.config, fmt.Sprintf(serviceConfig, "yett", "127.0.0.1:0")+"  - {name: more, path: /more, auth: none, endpoint: health}\n")
	if said, code := s.reload(); code != 0 || !strings.Contains(said, "more") {
		t.Errorf("reload exits with %d and says %s", code, said)
	}
	s.notes.wait("RELOADING=1")
	s.notes.wait("READY=1")
	write(t, s.config, fmt.Sprintf(serviceConfig, "yett", "127.0.0.1:0")+"  - {name: wrong, pth: /more, auth: none, endpoint: health}\n")
	if said, code := s.reload(); code != 1 || !strings.Contains(said, "yett.yaml:9") {
		t.Errorf("reload exits with %d and says %s", code, said)
	}
	s.serves(address)
	write(t, s.config, fmt.Sprintf(serviceConfig, "yett", "127.0.0.1:0"))

	if err := syscall.Kill(first, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	s.notes.wait("MAINPID=")
	second := s.notes.main
	killAtEnd(t, second)
	if second == first {
		t.Error("the main process has not changed")
	}
	if code := reap(t, first); code != 0 {
		t.Errorf("the old process exits with %d", code)
	}
	s.serves(address)
	s.notes.wait("WATCHDOG=1")
	eventually(t, "the new process is found", func() bool { return status(t, s.state).PID == second })
	if said, code := s.reload(); code != 0 {
		t.Errorf("reload of the new process exits with %d and says %s", code, said)
	}

	if err := syscall.Kill(second, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.notes.wait("STOPPING=1")
	if code := reap(t, second); code != 0 {
		t.Errorf("it exits with %d", code)
	}
	s.nothingForbidden()
}

// nothingForbidden looks for what the restrictions have kept from working.
func (s *service) nothingForbidden() {
	s.t.Helper()
	text, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "not permitted") || strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, `"level":"WARN"`) {
			s.t.Errorf("it says %s", line)
		}
	}
}

// With the socket unit, systemd holds the address of the examples: [::]:PORT stands for :PORT.
func TestServiceWithSocketUnit(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", strings.Replace(readUnit(t, "yett.socket").one(t, "ListenStream"), ":3000", ":0", 1))
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	s := startService(t, ":"+port, file)
	if err := ln.Close(); err != nil { // the service has the socket
		t.Fatal(err)
	}
	s.serves("127.0.0.1:" + port)
	s.serves("[::1]:" + port)
	if err := syscall.Kill(s.notes.main, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := reap(t, s.notes.main); code != 0 {
		t.Errorf("it exits with %d", code)
	}
	s.nothingForbidden()
}
