package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// firstFD is the number of the first file that systemd hands over.
const firstFD = 3

// inheritSystemd takes the sockets of a socket unit: as many files as LISTEN_FDS says, when they
// are meant for this process. See sd_listen_fds(3).
func (s *Sockets) inheritSystemd() error {
	count, ok := take("LISTEN_FDS")
	pid, _ := take("LISTEN_PID")
	names, _ := take("LISTEN_FDNAMES")
	if !ok || pid != strconv.Itoa(os.Getpid()) {
		return nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return fmt.Errorf("LISTEN_FDS=%q is no number of sockets", count)
	}
	words := strings.Split(names, ":")
	for i := range n {
		name := "unknown"
		if i < len(words) && words[i] != "" {
			name = words[i]
		}
		if err := s.adopt(firstFD+i, "", name); err != nil {
			return fmt.Errorf("a socket that systemd hands over (%s) can't be used: %w; let the socket unit have ListenStream= with a port and no other", name, err)
		}
	}
	return nil
}

// systemd is told by datagrams how this process is, see sd_notify(3). The zero systemd tells
// nobody.
type systemd struct {
	address  string
	watchdog time.Duration // how often it wants to hear of this process, 0 for never
}

func findSystemd() systemd {
	s := systemd{}
	s.address, _ = take("NOTIFY_SOCKET")
	usec, _ := take("WATCHDOG_USEC")
	pid, forOne := take("WATCHDOG_PID")
	if n, err := strconv.ParseInt(usec, 10, 64); err == nil && n > 0 && (!forOne || pid == strconv.Itoa(os.Getpid())) {
		s.watchdog = time.Duration(n) * time.Microsecond
	}
	return s
}

// pass returns variables by which the process that comes after this one tells the same.
func (s systemd) pass() (env []string) {
	if s.address != "" {
		env = append(env, "NOTIFY_SOCKET="+s.address)
	}
	if s.watchdog > 0 {
		env = append(env, "WATCHDOG_USEC="+strconv.FormatInt(s.watchdog.Microseconds(), 10))
	}
	return env
}

// tell sends assignments, all in one datagram.
func (s systemd) tell(assignments ...string) error {
	if s.address == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.address, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("telling systemd at $NOTIFY_SOCKET: %w", err)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // nobody may be reading
	_, err = conn.Write([]byte(strings.Join(assignments, "\n")))
	return errors.Join(err, conn.Close())
}
