package cli

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"yett/internal/config"
)

const tcpTable = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1001 1 0 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1002 1 0 100 0 0 10 0
   2: 0100007F:0BB8 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 1003 1 0 100 0 0 10 0
   3: broken
   4: 0200007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1004 1 0 100 0 0 10 0
`

const tcp6Table = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2001 1 0 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2002 1 0 100 0 0 10 0
`

func TestParseListening(t *testing.T) {
	for _, test := range []struct {
		table, at string
		want      []string
	}{
		{tcpTable, "127.0.0.1:3000", []string{"1001"}}, // not the connection 1003
		{tcpTable, "0.0.0.0:3000", []string{"1001", "1004"}},
		{tcpTable, "[::]:3000", []string{"1001", "1004"}},
		{tcpTable, "192.0.2.1:80", []string{"1002"}}, // who listens everywhere is in the way
		{tcpTable, "127.0.0.1:3001", nil},
		{tcp6Table, "[::1]:3000", []string{"2001"}},
		{tcp6Table, "127.0.0.1:8080", []string{"2002"}}, // IPv4 in a socket for both
	} {
		if got := parseListening(strings.NewReader(test.table), netip.MustParseAddrPort(test.at)); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.at, got, test.want)
		}
	}
	everywhere := netip.AddrPortFrom(netip.Addr{}, 3000)
	if got := parseListening(strings.NewReader(tcpTable), everywhere); !slices.Equal(got, []string{"1001", "1004"}) {
		t.Errorf("every address: %v", got)
	}
}

func TestHolder(t *testing.T) {
	proc := t.TempDir()
	write := func(name, text string) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(proc, name)), 0o700),
			os.WriteFile(filepath.Join(proc, name), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(proc, name)), 0o700),
			os.Symlink(target, filepath.Join(proc, name))); err != nil {
			t.Fatal(err)
		}
	}
	write("net/tcp", tcpTable)
	write("123/comm", "nginx\n")
	link("socket:[9]", "123/fd/3")
	link("socket:[1001]", "123/fd/4")
	link("socket:[1002]", "200/fd/4") // whose name can't be read
	for at, want := range map[string]string{
		"127.0.0.1:3000": "nginx (pid 123)",
		"127.0.0.1:80":   "pid 200",
		"127.0.0.2:3000": "another process", // whose files can't be seen
		"127.0.0.1:1":    "another process",
	} {
		if got := holder(proc, netip.MustParseAddrPort(at)); got != want {
			t.Errorf("%s is held by %q, want %q", at, got, want)
		}
	}
	if got := holder(filepath.Join(proc, "none"), netip.MustParseAddrPort("127.0.0.1:80")); got != "another process" {
		t.Errorf("without /proc: %q", got)
	}
}

func TestExplainBusy(t *testing.T) {
	busy := func(ip net.IP, port int) error {
		return &net.OpError{Op: "listen", Net: "tcp", Addr: &net.TCPAddr{IP: ip, Port: port}, Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	listeners := []config.Listener{{Address: ":1"}, {Address: "127.0.0.1:65535"}}
	for _, test := range []struct {
		name    string
		err     error
		hasPort bool
		want    []string
	}{
		{"the second listener", busy(net.IPv4(127, 0, 0, 1), 65535), false, []string{"port 65535 on 127.0.0.1 is in use by", "; choose another with listeners[1].address"}},
		{"with PORT", busy(net.IPv4(127, 0, 0, 1), 65535), true, []string{"PORT=8080 or listeners[1].address"}},
		{"every address", busy(nil, 1), true, []string{"port 1 on every address", "PORT=2 or listeners[0].address"}},
		{"something else", errors.New("no such host"), true, []string{"no such host"}},
	} {
		got := explainBusy(test.err, listeners, test.hasPort).Error()
		for _, want := range test.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q does not say %q", test.name, got, want)
			}
		}
	}
}
