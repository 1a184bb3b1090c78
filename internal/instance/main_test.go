package instance

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// The test binary is run again as a process that takes a lock, or that only lives.
func TestMain(m *testing.M) {
	switch os.Getenv("INSTANCE_TEST") {
	case "":
		os.Exit(m.Run())
	case "live":
		fmt.Println("here")
		time.Sleep(time.Minute)
	case "lock":
		lockUntilStdinEnds(Dir{Path: os.Getenv("INSTANCE_DIR")})
	}
}

func lockUntilStdinEnds(d Dir) {
	if _, err := d.Lock(); err != nil {
		fmt.Println("refused:", err)
		return
	}
	fmt.Println("held")
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
}

// again starts the test binary in a mode, and returns its first line.
func again(t *testing.T, mode string, env ...string) (cmd *exec.Cmd, line string) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "INSTANCE_TEST="+mode), env...)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd, line
}
