package handover

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// notifySocket is systemd's end.
func notifySocket(t *testing.T) *net.UnixConn {
	t.Helper()
	dir, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

func datagram(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b[:n]), "\n", " ")
}

func TestSystemdHears(t *testing.T) {
	conn := notifySocket(t)
	w, err := Waiters()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, there := os.LookupEnv("NOTIFY_SOCKET"); there || !w.Notifies() {
		t.Error("the variable stays in the environment, or was not read")
	}
	if err := w.Ready(); err != nil {
		t.Fatal(err)
	}
	w.Reloading()()
	w.Status("two\nlines")
	w.Stopping()
	w.Succeeded(77)
	w.Stopping() // no longer ours to say
	w.silent = false
	w.Status("end")
	for _, want := range []string{
		"READY=1 MAINPID=" + strconv.Itoa(os.Getpid()), `RELOADING=1 MONOTONIC_USEC=[1-9]\d+`, "READY=1",
		"STATUS=two; lines", "STOPPING=1 STATUS=draining", "MAINPID=77", "STATUS=end",
	} {
		if got := datagram(t, conn); !regexp.MustCompile("^" + want + "$").MatchString(got) {
			t.Errorf("systemd hears %q, want %q", got, want)
		}
	}
}

func TestWatchdog(t *testing.T) {
	conn := notifySocket(t)
	t.Setenv("WATCHDOG_USEC", "30000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	w, err := Waiters()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Ready(); err != nil {
		t.Fatal(err)
	}
	datagram(t, conn)
	for range 3 {
		if got := datagram(t, conn); got != "WATCHDOG=1" {
			t.Errorf("systemd hears %q", got)
		}
	}
	w.Close()
	if pass := strings.Join(w.systemd.pass(), " "); !strings.Contains(pass, "NOTIFY_SOCKET=/") || !strings.Contains(pass, "WATCHDOG_USEC=30000") {
		t.Errorf("the next process gets %s", pass)
	}
}

// A successor leaves it to the process before it to say who is the main one.
func TestSuccessorIsSilentAtFirst(t *testing.T) {
	conn := notifySocket(t)
	r, fd := childPipe(t)
	t.Setenv(readyVariable, strconv.Itoa(fd))
	w, err := Waiters()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Ready(); err != nil {
		t.Fatal(err)
	}
	if err := listenTo(r); err != nil {
		t.Error(err)
	}
	w.Status("later")
	if got := datagram(t, conn); got != "STATUS=later" {
		t.Errorf("systemd hears %q", got)
	}
}

// childPipe returns a pipe and the number of its writing end, which is somebody else's to close.
func childPipe(t *testing.T) (*os.File, int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	fd, err := syscall.Dup(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	return r, fd
}

func TestNodeHears(t *testing.T) {
	for mode, want := range map[string]string{"": "\"ready\"\n", "json": "\"ready\"\n", "advanced": ""} {
		r, fd := childPipe(t)
		t.Setenv("NODE_CHANNEL_FD", strconv.Itoa(fd))
		t.Setenv("NODE_CHANNEL_SERIALIZATION_MODE", mode)
		w, err := Waiters()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Ready(); err != nil || !w.Managed() {
			t.Errorf("%v, managed: %v", err, w.Managed())
		}
		if got, _ := bufio.NewReader(r).ReadString('\n'); got != want {
			t.Errorf("%s: it hears %q", mode, got)
		}
	}
}

func TestNobodyWaits(t *testing.T) {
	w, err := Waiters()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Ready(); err != nil || w.Managed() || w.Notifies() {
		t.Errorf("%v, %+v", err, w)
	}
	w.Stopping()
	w.Failed("nobody hears it")
	w.Close()
}

func TestWaitersRefuse(t *testing.T) {
	for _, value := range []string{"x", "1", "9999"} {
		t.Setenv(readyVariable, value)
		if _, err := Waiters(); err == nil || !strings.Contains(err.Error(), "is no open file") {
			t.Errorf("%s: %v", value, err)
		}
	}
}
