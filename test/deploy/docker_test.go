//go:build linux

package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// mostImage bounds the image, in bytes.
const mostImage = 45 << 20

// image is the last stage of the Dockerfile, made by hand: a file system, and what is run in it.
type image struct {
	container

	env         []string
	entry, args []string
	health      []string
}

// makeImage does what the last stage says.
func makeImage(t *testing.T) *image {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "deploy/docker/Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	stages := strings.Split(strings.ReplaceAll(string(text), "\\\n", ""), "\nFROM ")
	im := &image{container: container{Root: filepath.Join(tempDir(t), "root")}}
	lines := strings.Split(stages[len(stages)-1], "\n")
	if lines[0] != "scratch" {
		t.Fatalf("the last stage is made from %s", lines[0])
	}
	// What a runtime adds: places for what it mounts.
	for _, dir := range []string{"proc", "etc/yett"} {
		if err := os.MkdirAll(filepath.Join(im.Root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range lines[1:] {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			im.do(t, line)
		}
	}
	return im
}

func (im *image) do(t *testing.T, line string) {
	t.Helper()
	verb, rest, _ := strings.Cut(line, " ")
	var err error
	switch verb {
	case "COPY":
		err = im.copy(strings.Fields(rest))
	case "ENV":
		im.env = append(im.env, strings.Fields(rest)...)
	case "USER":
		im.User, err = strconv.Atoi(strings.Split(rest, ":")[0])
	case "ENTRYPOINT":
		err = json.Unmarshal([]byte(rest), &im.entry)
	case "CMD":
		err = json.Unmarshal([]byte(rest), &im.args)
	case "HEALTHCHECK":
		_, command, _ := strings.Cut(rest, "CMD ")
		err = json.Unmarshal([]byte(command), &im.health)
	case "EXPOSE", "STOPSIGNAL":
	default:
		err = errors.New("this test does not know that")
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
}

// copy takes what the stage before has made from this machine.
func (im *image) copy(words []string) error {
	owner := 0
	for len(words) > 2 {
		if user, ok := strings.CutPrefix(words[0], "--chown="); ok {
			owner, _ = strconv.Atoi(strings.Split(user, ":")[0])
		}
		words = words[1:]
	}
	to := filepath.Join(im.Root, words[1])
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	var err error
	switch words[0] {
	case "/out/yett":
		err = copyFile(binary, to, 0o755)
	case "/etc/ssl/certs/ca-certificates.crt":
		if err = copyFile(words[0], to, 0o644); errors.Is(err, fs.ErrNotExist) {
			err = nil // this machine has none; nothing here asks for them
			to = im.Root
		}
	case "/out/run":
		err = os.Mkdir(to, 0o755)
	default:
		err = errors.New("no such file is made before")
	}
	return errors.Join(err, os.Chown(to, owner, owner))
}

func copyFile(from, to string, mode fs.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, mode)
}

// start runs the image as docker run does, in namespaces of its own. It returns when it serves.
func (im *image) start(t *testing.T) (pid int) {
	t.Helper()
	text, err := json.Marshal(im.container)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(launcher(), append(im.entry, im.args...)...)
	cmd.Env = append(im.env, launchVariable+"=1", containerVariable+"="+string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	log, err := os.Create(filepath.Join(filepath.Dir(im.Root), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	t.Cleanup(func() {
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("yett wrote\n%s", text)
		}
	})
	if err := cmd.Start(); err != nil {
		t.Skipf("this machine makes no namespaces: %v", err)
	}
	pid = cmd.Process.Pid
	killAtEnd(t, pid)
	eventually(t, "the health check passes", func() bool {
		_, err := im.exec(t, pid, im.health...)
		return err == nil
	})
	return pid
}

// exec is docker exec.
func (im *image) exec(t *testing.T, pid int, command ...string) (string, error) {
	t.Helper()
	args := []string{"--target", strconv.Itoa(pid), "--mount", "--pid", "--net", "--root", "--wd=/", "--setuid", strconv.Itoa(im.User), "--setgid", strconv.Itoa(im.User), "--"}
	return try(t, append([]string{"PATH=/usr/bin"}, im.env...), need(t, "nsenter"), append(args, command...)...)
}

func needContainers(t *testing.T) {
	t.Helper()
	need(t, "nsenter")
	if os.Geteuid() != 0 {
		t.Skip("only root makes a container here")
	}
}

// The image as in docs/DEPLOYMENT.md: a read-only root, no rights, the state in memory.
func TestImage(t *testing.T) {
	needContainers(t)
	im := makeImage(t)
	config := tempDir(t)
	write(t, filepath.Join(config, "yett.yaml"), fmt.Sprintf(serviceConfig, "yett", ":3000"))
	im.Bind = map[string]string{"/etc/yett": config}
	im.tmpfs("/run/yett:mode=0700,uid=65532,gid=65532")
	pid := im.start(t)

	var size int64
	_ = filepath.WalkDir(im.Root, func(_ string, d fs.DirEntry, err error) error {
		if info, infoErr := d.Info(); err == nil && infoErr == nil && info.Mode().IsRegular() {
			size += info.Size()
			if base := d.Name(); base != "yett" && base != "ca-certificates.crt" {
				t.Errorf("%s is in the image", base)
			}
		}
		return nil
	})
	if size > mostImage {
		t.Errorf("the image has %d bytes", size)
	}
	if said, err := im.exec(t, pid, "/usr/bin/yett", "status"); err != nil {
		t.Errorf("status: %v %s", err, said)
	}
	write(t, filepath.Join(config, "yett.yaml"), fmt.Sprintf(serviceConfig, "yett", ":3000")+"  - {name: more, path: /more, auth: none, endpoint: health}\n")
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new route serves", func() bool {
		_, err := im.exec(t, pid, "/usr/bin/yett", "health", "--url", "http://127.0.0.1:3000/more")
		return err == nil
	})
	// It is process 1, and what came after it would end with it.
	if said, err := im.exec(t, pid, "/usr/bin/yett", "upgrade"); err == nil || !strings.Contains(said, "start a container with the new image") {
		t.Errorf("upgrade: %v %s", err, said)
	}
	if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	if said, err := im.exec(t, pid, im.health...); err != nil {
		t.Errorf("health after SIGUSR2: %v %s", err, said)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := reap(t, pid); code != 0 {
		t.Errorf("it exits with %d", code)
	}
}

// A pod of the chart: an emptyDir belongs to root, and everybody may write into it. The
// ConfigMap changes as the kubelet does that, by another link.
func TestImageInPod(t *testing.T) {
	needContainers(t)
	im := makeImage(t)
	config := tempDir(t)
	configMap(t, config, "..1", chartConfig(t))
	if err := os.Symlink("..data/yett.yaml", filepath.Join(config, "yett.yaml")); err != nil {
		t.Fatal(err)
	}
	im.Bind = map[string]string{"/etc/yett": config}
	im.tmpfs(chartStatePlace(t) + ":mode=2777,gid=65532")
	pid := im.start(t)
	if said, err := im.exec(t, pid, "/usr/bin/yett", "status"); err != nil {
		t.Errorf("status: %v %s", err, said)
	}
	configMap(t, config, "..2", chartConfig(t)+"  - {name: more, path: /more, auth: none, endpoint: health}\n")
	eventually(t, "the new route serves", func() bool {
		_, err := im.exec(t, pid, "/usr/bin/yett", "health", "--url", "http://127.0.0.1:3000/more")
		return err == nil
	})
	configMap(t, config, "..3", chartConfig(t)+"  - {name: wrong, pth: /more}\n")
	eventually(t, "status shows the refusal", func() bool {
		said, _ := im.exec(t, pid, "/usr/bin/yett", "status")
		return strings.Contains(said, "refused") && strings.Contains(said, "pth")
	})
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	reap(t, pid)
}

// configMap makes ..data a link to a folder with that configuration.
func configMap(t *testing.T, dir, version, text string) {
	t.Helper()
	write(t, filepath.Join(dir, version, "yett.yaml"), text)
	link := filepath.Join(dir, "..data_tmp")
	if err := errors.Join(os.Symlink(version, link), os.Rename(link, filepath.Join(dir, "..data"))); err != nil {
		t.Fatal(err)
	}
}
