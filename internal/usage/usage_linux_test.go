package usage

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// burn uses a processor for a while.
func burn(t *testing.T, d time.Duration) {
	t.Helper()
	for before := Self().CPU; Self().CPU-before < d; {
		for i := range 100000 {
			_ = i * i
		}
	}
}

func TestSelf(t *testing.T) {
	before := Self()
	kept := make([]byte, 64<<20)
	for i := 0; i < len(kept); i += 4096 {
		kept[i] = 1
	}
	burn(t, 50*time.Millisecond)
	after := Self()
	if grown := after.Memory - before.Memory; grown < 60<<20 || grown > 1<<30 {
		t.Errorf("64 MB more are %d", grown)
	}
	if after.CPU < before.CPU+50*time.Millisecond {
		t.Errorf("%v after %v", after.CPU, before.CPU)
	}
	runtime.KeepAlive(kept)
}

// Seen from outside a process uses what it says itself, to the unit of /proc.
func TestOf(t *testing.T) {
	burn(t, 30*time.Millisecond)
	before := Self()
	got, err := Of(os.Getpid())
	after := Self()
	if err != nil || got.CPU < before.CPU-3*tick || got.CPU > after.CPU+tick {
		t.Errorf("%v, from %v to %v, %v", got.CPU, before.CPU, after.CPU, err)
	}
	if off := got.Memory - after.Memory; off < -(16<<20) || off > 16<<20 {
		t.Errorf("%d, itself %d", got.Memory, after.Memory)
	}
}

// Names of programs may look like what follows them.
func TestOfOddName(t *testing.T) {
	path := t.TempDir() + "/a) R 1 2"
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(sleep, path); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	got, err := Of(cmd.Process.Pid)
	if err != nil || got.CPU > time.Second || got.Memory < 1<<12 {
		t.Errorf("%+v, %v", got, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if _, err := Of(cmd.Process.Pid); err == nil {
		t.Error("one that is gone uses something")
	}
}
