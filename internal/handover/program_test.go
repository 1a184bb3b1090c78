package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const childVariable = "HANDOVER_TEST_CHILD"

// childMain is what a child does: it says its mode on every connection, when it is ready.
func childMain(mode string) int {
	sockets, err := Inherit()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	waiting, err := Waiters()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	switch mode {
	case "fails":
		waiting.Failed("the moon is full")
		return 1
	case "crashes":
		panic("as it should")
	case "ends":
		return 0
	case "hangs":
		time.Sleep(time.Hour)
	case "babbles":
		_, _ = waiting.starter.WriteString("hello\n")
		time.Sleep(time.Hour)
	case "closes":
		_ = waiting.starter.Close()
		time.Sleep(time.Hour)
	}
	if err := serveChild(sockets, waiting); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serveChild(sockets *Sockets, waiting *Waiting) error {
	ln, err := sockets.Listen(context.Background(), os.Getenv("HANDOVER_TEST_ADDRESS"))
	if err != nil {
		return err
	}
	said := "nothing"
	heir, err := Predecessor()
	if err != nil {
		return err
	}
	if heir != nil {
		if _, err := io.WriteString(heir, "?"); err != nil {
			return err
		}
		text, err := io.ReadAll(heir)
		if err != nil {
			return err
		}
		said = string(text)
	}
	if err := waiting.Ready(); err != nil {
		return err
	}
	nc, err := ln.Accept()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(nc, "%d heard %s, %v", os.Getpid(), said, sockets.Unused())
	return errors.Join(err, nc.Close())
}

func testProgram(t *testing.T, mode string) Program {
	t.Helper()
	t.Setenv(childVariable, mode)
	p, err := Started(os.Args[:1])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSuccessorServes(t *testing.T) {
	var s Sockets
	ln := listenOn(t, &s, "127.0.0.1:0")
	t.Setenv("HANDOVER_TEST_ADDRESS", ln.Addr().String())
	n, err := testProgram(t, "serves").Start(&s, &Waiting{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Kill()
	heir := n.Heir()
	if _, err := io.ReadFull(heir, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(heir, "the tale"); err != nil {
		t.Fatal(err)
	}
	_ = heir.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := n.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	got, err := io.ReadAll(nc)
	if want := fmt.Sprintf("%d heard the tale, []", n.PID()); string(got) != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	<-n.Ended()
}

func TestSuccessorFails(t *testing.T) {
	for mode, want := range map[string]string{
		"fails":   "the moon is full",
		"crashes": "ended before it was ready (exit status 2)",
		"ends":    "ended before it was ready (exit status 0)",
		"babbles": "something else",
		"closes":  "no program that knows of handing over",
		"hangs":   "too late",
	} {
		t.Run(mode, func(t *testing.T) {
			var s Sockets
			listenOn(t, &s, "127.0.0.1:0")
			n, err := testProgram(t, mode).Start(&s, &Waiting{})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Heir().Close()
			limit := patience
			if mode == "hangs" {
				limit = 300 * time.Millisecond
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("too late"))
			defer cancel()
			if err := n.Wait(ctx); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
			select {
			case <-n.Ended():
			default:
				t.Error("the process still runs")
			}
		})
	}
}

func TestNoProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gone")
	if _, err := (Program{Path: path, Args: []string{path}}).Start(&Sockets{}, &Waiting{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}

// systemd's sockets are taken by the address to which they are bound.
func TestSystemdSockets(t *testing.T) {
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=serves", "HANDOVER_TEST_ADDRESS="+ln.Addr().String(), "LISTEN_FDS=1", "LISTEN_FDNAMES=web")
	cmd.ExtraFiles, cmd.Stderr = []*os.File{f}, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(nc)
	if want := fmt.Sprintf("%d heard nothing, []", cmd.Process.Pid); string(got) != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// Sockets that are meant for another process are left alone.
func TestSystemdOfSomebodyElse(t *testing.T) {
	t.Setenv("LISTEN_FDS", "2")
	t.Setenv("LISTEN_PID", "1")
	s, err := Inherit()
	if err != nil || len(s.Unused()) != 0 {
		t.Errorf("%v, %v", s, err)
	}
}

// The program is found as a shell would, before the working directory changes; another name
// hides nothing.
func TestStarted(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	link := filepath.Join(dir, "prog")
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	t.Setenv("PATH", dir)
	for name, want := range map[string]string{link: link, "./prog": link, "prog": link, "another name": self} {
		if p, err := Started([]string{name, "run"}); err != nil || p.Path != want || p.Args[0] != name {
			t.Errorf("%s: %+v, %v, want %s", name, p, err, want)
		}
	}
	if _, err := Started(nil); err == nil {
		t.Error("a process without a name was found")
	}
}
