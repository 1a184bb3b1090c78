package handover

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(childVariable); mode != "" { // this process is to be a child, see childMain
		os.Exit(childMain(mode))
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what has to happen.
const patience = 10 * time.Second

func listenOn(t *testing.T, s *Sockets, address string) net.Listener {
	t.Helper()
	ln, err := s.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

func port(t *testing.T, ln net.Listener) string {
	t.Helper()
	_, p, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// inherit hands the sockets over within this process.
func inherit(t *testing.T, from *Sockets) *Sockets {
	t.Helper()
	files, env, err := from.Pass(firstFD)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(files)
	var all []passed
	text, _ := strings.CutPrefix(env[0], socketsVariable+"=")
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if all[i].FD != firstFD+i {
			t.Errorf("file %d is said to be %d", firstFD+i, all[i].FD)
		}
		if all[i].FD, err = syscall.Dup(int(f.Fd())); err != nil {
			t.Fatal(err)
		}
	}
	again, _ := json.Marshal(all)
	t.Setenv(socketsVariable, string(again))
	s, err := Inherit()
	if err != nil {
		t.Fatal(err)
	}
	if _, there := os.LookupEnv(socketsVariable); there {
		t.Error("the variable stays in the environment")
	}
	t.Cleanup(func() { _ = s.CloseUnused() })
	return s
}

// What is handed over is found under each way to write its address.
func TestInheritedAddresses(t *testing.T) {
	for _, tt := range []struct {
		first, then string // PORT stands for the port that the first got
		same        bool
	}{
		{"127.0.0.1:0", "127.0.0.1:0", true},
		{"127.0.0.1:0", "127.0.0.1:PORT", true},
		{"127.0.0.1:0", "localhost:PORT", true},
		{"127.0.0.1:0", "[::ffff:127.0.0.1]:PORT", true},
		{"localhost:0", "LOCALHOST:0", true},
		{":0", "0.0.0.0:PORT", true},
		{"0.0.0.0:0", "[::]:PORT", true},
		{"[::]:0", ":PORT", true},
		{":0", "0.0.0.0:0", true},
		{"[::1]:0", "[0:0:0:0:0:0:0:1]:PORT", true},
		{"127.0.0.1:0", "127.0.0.2:PORT", false},
		{"127.0.0.1:0", "127.0.0.2:0", false},
		{"127.0.0.1:0", "[::1]:PORT", false},
		{"127.0.0.1:0", ":PORT", false},
		{":0", "127.0.0.1:PORT", false},
	} {
		t.Run(tt.first+" "+tt.then, func(t *testing.T) {
			var old Sockets
			first := listenOn(t, &old, tt.first)
			next := inherit(t, &old)
			then := listenOn(t, next, strings.ReplaceAll(tt.then, "PORT", port(t, first)))
			if same := len(next.Unused()) == 0; same != tt.same {
				t.Errorf("the inherited socket of %s was taken for %s: %v", first.Addr(), then.Addr(), same)
			}
			if tt.same && first.Addr().String() != then.Addr().String() {
				t.Errorf("%s became %s", first.Addr(), then.Addr())
			}
		})
	}
}

// Listeners of one address share a queue; the socket goes with the last of them.
func TestOneQueue(t *testing.T) {
	var s Sockets
	first := listenOn(t, &s, "127.0.0.1:0")
	second := listenOn(t, &s, first.Addr().String())
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", second.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	nc, err := second.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.Close()
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", second.Addr().String()); err == nil {
		t.Error("the socket is still there")
	}
	if err := second.Close(); err == nil {
		t.Error("closing twice says nothing")
	}
}

// Each call for port 0 returns another socket, and a new process gets each once, in order.
func TestPortZero(t *testing.T) {
	var old Sockets
	first, second := listenOn(t, &old, "127.0.0.1:0"), listenOn(t, &old, "127.0.0.1:0")
	if first.Addr().String() == second.Addr().String() {
		t.Fatal("two listeners have one port")
	}
	next := inherit(t, &old)
	for i, want := range []net.Listener{first, second} {
		if got := listenOn(t, next, "127.0.0.1:0"); got.Addr().String() != want.Addr().String() {
			t.Errorf("call %d got %s, want %s", i+1, got.Addr(), want.Addr())
		}
	}
	if third := listenOn(t, next, "127.0.0.1:0"); third.Addr().String() == first.Addr().String() {
		t.Error("a third call got what the first has")
	}
}

// A handed over socket serves on when the process that bound it closes its own.
func TestQueueOutlivesItsFirstProcess(t *testing.T) {
	var old Sockets
	first := listenOn(t, &old, "127.0.0.1:0")
	next := listenOn(t, inherit(t, &old), first.Addr().String())
	client, err := net.Dial("tcp", first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	_ = next.(*listener).SetDeadline(time.Now().Add(patience))
	nc, err := next.Accept()
	if err != nil {
		t.Fatalf("the connection that waited is lost: %v", err)
	}
	_ = nc.Close()
}

func TestCloseUnused(t *testing.T) {
	var old Sockets
	used, unused := listenOn(t, &old, "127.0.0.1:0"), listenOn(t, &old, "127.0.0.2:0")
	next := inherit(t, &old)
	listenOn(t, next, used.Addr().String())
	if got := fmt.Sprint(next.Unused()); got != "["+unused.Addr().String()+"]" {
		t.Errorf("unused: %s", got)
	}
	if err := next.CloseUnused(); err != nil {
		t.Error(err)
	}
	_ = unused.Close()
	if _, err := net.Dial("tcp", unused.Addr().String()); err == nil {
		t.Error("the unused socket is still there")
	}
}

// What overlaps with a socket that is held may be bound beside it, by us, and by nobody else.
func TestOverlap(t *testing.T) {
	var s Sockets
	wide := listenOn(t, &s, ":0")
	narrow := listenOn(t, &s, "127.0.0.1:"+port(t, wide))
	client, err := net.Dial("tcp", narrow.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_ = narrow.(*listener).SetDeadline(time.Now().Add(patience))
	nc, err := narrow.Accept()
	if err != nil {
		t.Fatalf("the narrower address does not get its connections: %v", err)
	}
	_ = nc.Close()
	var stranger Sockets
	for _, address := range []string{narrow.Addr().String(), wide.Addr().String()} {
		if _, err := stranger.Listen(t.Context(), address); err == nil {
			t.Errorf("somebody else could bind %s", address)
		}
	}
}

func TestListenFails(t *testing.T) {
	var s Sockets
	for _, address := range []string{"127.0.0.1", "127.0.0.1:99999", "256.0.0.1:0", "no-such-host.invalid:80"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := s.Listen(ctx, address); err == nil {
			t.Errorf("%q was bound", address)
		}
		cancel()
	}
}

func TestInheritRefuses(t *testing.T) {
	var lc net.ListenConfig
	unix, err := lc.Listen(t.Context(), "unix", "@yett-handover-"+strconv.Itoa(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	f, err := unix.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	null, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ value, want string }{
		{"nonsense", "can't be read"},
		{`[{"fd":0}]`, "not the number of a socket"},
		{`[{"fd":9999}]`, "no listening socket"},
		{fmt.Sprintf(`[{"fd":%d}]`, null), "no listening socket"},
		{fmt.Sprintf(`[{"fd":%d}]`, fd), "not on TCP"},
	} {
		t.Setenv(socketsVariable, tt.value)
		if _, err := Inherit(); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "unset it") {
			t.Errorf("%s: %v", tt.value, err)
		}
	}
}
