//go:build linux

package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// rootVariable names a bare Debian root that is there already, so that none has to be made.
const rootVariable = "YETT_DEPLOY_ROOT"

// commands are those of a section of docs/DEPLOYMENT.md.
func commands(t *testing.T, section string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "docs/DEPLOYMENT.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n## "+section+"\n")
	if !ok {
		t.Fatalf("there is no section %s", section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	comment := regexp.MustCompile(`\s+#.*`)
	for _, block := range regexp.MustCompile("(?s)```\n(.*?)```").FindAllStringSubmatch(rest, -1) {
		for line := range strings.Lines(block[1]) {
			all = append(all, comment.ReplaceAllString(strings.TrimSpace(line), ""))
		}
	}
	return all
}

// endless are commands that show something until they are ended.
var endless = regexp.MustCompile(`logs -f|monit`)

// A newcomer's path, in a bare Debian, as an ordinary user.
func TestNewcomer(t *testing.T) {
	heavy(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can change the root")
	}
	dir := os.Getenv(rootVariable)
	if dir == "" {
		dir = filepath.Join(tempDir(t), "root")
		output(t, nil, need(t, "debootstrap"), "--variant=minbase", "stable", dir)
	}
	if err := copyFile(binary, filepath.Join(dir, "usr/local/bin/yett"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := try(t, nil, "chroot", dir, "id", "newcomer"); err != nil {
		output(t, nil, "chroot", dir, "useradd", "-m", "newcomer")
	}
	var script strings.Builder
	script.WriteString("set -e\nrm -rf .local yett.yaml\n")
	for _, line := range append(commands(t, "A first configuration"), commands(t, "Cluster mode")...) {
		fmt.Fprintf(&script, "echo '$ %s'\n", line)
		switch {
		case endless.MatchString(line):
			fmt.Fprintf(&script, "timeout 2 %s || [ $? = 124 ]\n", line)
		case strings.HasSuffix(line, "init > yett.yaml"):
			fmt.Fprintf(&script, "%s\n", line)
		default:
			fmt.Fprintf(&script, "%s </dev/null\n", line)
		}
		if strings.HasPrefix(line, "yett start") {
			script.WriteString("yett health\n")
		}
	}
	write(t, filepath.Join(dir, "tmp/newcomer"), script.String())
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `mount -t proc proc "$0/proc" && ip link set lo up; exec chroot "$0" su - newcomer -c "sh /tmp/newcomer"`, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Unshareflags: syscall.CLONE_NEWNS}
	said, err := cmd.CombinedOutput()
	t.Logf("%s", said)
	if err != nil {
		t.Fatal(err)
	}
	if state := filepath.Join(dir, "home/newcomer/.local/state/yett/my-gateway"); fileExists(state) {
		t.Errorf("%s is left", state)
	}
}
