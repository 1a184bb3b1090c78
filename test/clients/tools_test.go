//go:build linux

package clients

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// command is a program that runs and ends.
type command struct {
	dir     string
	env     []string // beside that of the test
	timeout time.Duration
}

// run returns what it wrote. It is killed when it takes too long.
func (c command) run(t *testing.T, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), c.env...)
	cmd.WaitDelay = time.Second // its children may hold the pipes
	var out, log strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	return out.String(), log.String(), errors.Join(err, ctx.Err())
}

// must is run for what has to succeed.
func (c command) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	stdout, stderr, err := c.run(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

// unreachable is what npm and go say when there is no way to a registry.
var unreachable = regexp.MustCompile(`ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|` +
	`dial tcp|no such host|i/o timeout|TLS handshake timeout|module lookup disabled`)

// skipWithout skips a test when tools could not be fetched because there is
// nowhere to fetch them from. Other errors fail it.
func skipWithout(t *testing.T, what, log string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case unreachable.MatchString(log):
		t.Skipf("%s can't be fetched: %s", what, unreachable.FindString(log))
	default:
		t.Fatalf("%s: %v\n%s", what, err, log)
	}
}

// needNode skips a test where there is no node that the tools run on.
func needNode(t *testing.T) {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("no %s here", name)
		}
	}
	version := strings.TrimSpace(command{timeout: patience}.must(t, "node", "--version"))
	var major, minor int
	if _, err := fmt.Sscanf(version, "v%d.%d", &major, &minor); err != nil {
		t.Fatalf("node --version says %q", version)
	}
	if major < 20 || major == 20 && minor < 19 { // engines of package.json
		t.Skipf("node %s is too old; the tools need 20.19", version)
	}
}

// npmFiles say what npm installs.
var npmFiles = []string{"package.json", "package-lock.json", ".npmrc"}

// installing is held while a test looks for the packages and installs them, so
// that another one finds them.
var installing sync.Mutex

// modules returns the folder node_modules with what package-lock.json names. It
// is kept in the user's cache for the next time.
func modules(t *testing.T) string {
	t.Helper()
	needNode(t)
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("nowhere to keep npm packages: %v", err)
	}
	sum, content := sha256.New(), make(map[string][]byte)
	for _, name := range npmFiles {
		if content[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(sum, "%d %s\n", len(content[name]), content[name])
	}
	place := filepath.Join(cache, "yett", fmt.Sprintf("test-clients-%x", sum.Sum(nil)[:6]))
	installing.Lock()
	defer installing.Unlock()
	if _, err := os.Stat(place); err == nil {
		return filepath.Join(place, "node_modules")
	}
	install(t, place, content)
	return filepath.Join(place, "node_modules")
}

// install has npm install into a folder that is there when it is complete.
func install(t *testing.T, place string, content map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		t.Skipf("nowhere to keep npm packages: %v", err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(place), "installing-")
	if err != nil {
		t.Skipf("nowhere to keep npm packages: %v", err)
	}
	defer os.RemoveAll(temp)
	for name, text := range content {
		put(t, filepath.Join(temp, name), text)
	}
	_, log, err := command{dir: temp, timeout: 3 * patience}.run(t, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000")
	if errors.Is(err, context.DeadlineExceeded) {
		t.Skip("npm packages can't be fetched in three minutes")
	}
	skipWithout(t, "npm packages", log, err)
	if err := os.Rename(temp, place); err != nil {
		if _, other := os.Stat(place); other != nil { // nobody else was faster
			t.Fatal(err)
		}
	}
}

// workspace makes a folder with copies of files, in which packages of npm are
// found.
func workspace(t *testing.T, modules string, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	copyInto(t, dir, files...)
	put(t, filepath.Join(dir, "package.json"), []byte(`{"type": "module"}`))
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func copyInto(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, filepath.Base(name)), text)
	}
}
