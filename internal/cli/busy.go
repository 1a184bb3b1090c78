package cli

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"yett/internal/config"
)

// recorder remembers which variables a configuration asked for.
type recorder map[string]bool

func (r recorder) env(env config.Env) config.Env {
	return func(key string) (string, bool) {
		r[key] = true
		return env(key)
	}
}

// explainBusy says who holds an address that could not be bound, and what to
// write instead. hasPort tells that the configuration asks for PORT.
func explainBusy(err error, listeners []config.Listener, hasPort bool) error {
	at, ok := busyAddress(err)
	if !ok {
		return err
	}
	hint := "listeners[].address"
	i := slices.IndexFunc(listeners, func(l config.Listener) bool {
		_, port, err := net.SplitHostPort(l.Address)
		return err == nil && port == strconv.Itoa(int(at.Port()))
	})
	if i >= 0 {
		hint = fmt.Sprintf("listeners[%d].address", i)
	}
	if hasPort {
		hint = fmt.Sprintf("PORT=%d or %s", nextPort(at.Port()), hint)
	}
	return fmt.Errorf("%s; choose another with %s", describeBusy(at), hint)
}

// describeBusy says that an address is taken, and by whom.
func describeBusy(at netip.AddrPort) string {
	where := "every address"
	if at.Addr().IsValid() {
		where = at.Addr().String()
	}
	return fmt.Sprintf("port %d on %s is in use by %s", at.Port(), where, holder("/proc", at))
}

// busyAddress returns the address of an error of listening that says that it
// is in use. An address without a host is not valid, but has its port.
func busyAddress(err error) (netip.AddrPort, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || !errors.Is(err, syscall.EADDRINUSE) {
		return netip.AddrPort{}, false
	}
	tcp, ok := op.Addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), true
}

// nextPort is another port to try.
func nextPort(port uint16) uint16 {
	if port == 65535 {
		return 8080
	}
	return port + 1
}

// holder names the process that listens on an address, as far as this one may
// see: proc is where Linux tells.
func holder(proc string, at netip.AddrPort) string {
	for _, inode := range listening(proc, at) {
		if pid, ok := owner(proc, inode); ok {
			name, err := os.ReadFile(filepath.Join(proc, pid, "comm"))
			if err != nil {
				return "pid " + pid
			}
			return fmt.Sprintf("%s (pid %s)", bytes.TrimSpace(name), pid)
		}
	}
	return "another process"
}

// listening returns the inodes of the sockets that listen where at can't.
func listening(proc string, at netip.AddrPort) []string {
	var inodes []string
	for _, name := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(proc, "net", name))
		if err != nil {
			continue
		}
		inodes = append(inodes, parseListening(f, at)...)
		f.Close()
	}
	return inodes
}

// parseListening reads a table such as /proc/net/tcp: of each line the second
// word is the local address, the fourth the state, the tenth the inode.
func parseListening(table io.Reader, at netip.AddrPort) []string {
	const stateListen = "0A"
	var inodes []string
	for lines := bufio.NewScanner(table); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 10 || words[3] != stateListen {
			continue
		}
		if local, ok := parseKernelAddr(words[1]); ok && collide(local, at) {
			inodes = append(inodes, words[9])
		}
	}
	return inodes
}

func collide(a, b netip.AddrPort) bool {
	if a.Port() != b.Port() {
		return false
	}
	everywhere := func(x netip.Addr) bool { return !x.IsValid() || x.IsUnspecified() }
	return everywhere(a.Addr()) || everywhere(b.Addr()) || a.Addr().Unmap() == b.Addr().Unmap()
}

// parseKernelAddr reads an address as /proc/net/tcp writes it: words of 32
// bits as hexadecimal numbers in the machine's own byte order, which is taken
// to be little-endian, a colon, and the port.
func parseKernelAddr(s string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	addr, ok := netip.AddrFromSlice(raw)
	n, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(addr, uint16(n)), ok && err == nil
}

// owner returns the process that has a socket open.
func owner(proc, inode string) (pid string, ok bool) {
	links, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*"))
	if err != nil {
		return "", false
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == "socket:["+inode+"]" {
			return filepath.Base(filepath.Dir(filepath.Dir(link))), true
		}
	}
	return "", false
}
