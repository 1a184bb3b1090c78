//go:build linux

package e2e

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// What the shell had open when it started a gateway is not kept open in the background: whoever reads from
// such a pipe would wait for ever.
func TestStartKeepsNothingOpen(t *testing.T) {
	config := write(t, "yett.yaml", "name: quiet\n"+appConfig)
	ours, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	env := []string{"YETT_STATE=" + stateDir(t), "APP=http://127.0.0.1:1"}
	cmd := exec.Command(binary, "start", "-i", "1", "-c", config)
	cmd.Env, cmd.ExtraFiles = env, []*os.File{theirs}
	out, err := cmd.CombinedOutput()
	t.Cleanup(func() {
		stop := exec.Command(binary, "stop", "quiet")
		stop.Env = env
		if text, err := stop.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, text)
		}
	})
	if err := errors.Join(err, theirs.Close(), ours.SetReadDeadline(time.Now().Add(patience))); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if n, err := ours.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the pipe is still open: %v", err)
	}
}
