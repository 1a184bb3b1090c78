//go:build linux

package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// containerVariable has a container as JSON.
const containerVariable = "YETT_DEPLOY_CONTAINER"

// container is what docker run makes of an image, with --read-only --cap-drop ALL.
type container struct {
	Root string // of the image
	User int
	// Bind are directories of the machine, by their place in the container, read-only.
	Bind map[string]string
	// Tmpfs are the options of directories in memory, by their place.
	Tmpfs map[string]string
}

// contain makes this process, which is the first of its own namespaces, live in a container.
func contain(text string) error {
	var c container
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	if err := loopback(); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	if err := c.mount(); err != nil {
		return err
	}
	if err := errors.Join(unix.Chroot(c.Root), unix.Chdir("/")); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	for capability := range unix.CAP_LAST_CAP + 1 {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(capability), 0, 0, 0); err != nil {
			return fmt.Errorf("drop a capability: %w", err)
		}
	}
	// By syscall, for all threads.
	return errors.Join(syscall.Setgroups(nil), syscall.Setresgid(c.User, c.User, c.User), syscall.Setresuid(c.User, c.User, c.User))
}

// loopback brings the only interface of a new network up.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return errors.Join(unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr), unix.Close(fd))
}

func (c container) mount() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	bind := func(from, to string) error {
		if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", to, err)
		}
		return unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID, "")
	}
	if err := bind(c.Root, c.Root); err != nil {
		return err
	}
	for to, from := range c.Bind {
		if err := bind(from, filepath.Join(c.Root, to)); err != nil {
			return err
		}
	}
	for to, options := range c.Tmpfs {
		if err := unix.Mount("tmpfs", filepath.Join(c.Root, to), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options); err != nil {
			return fmt.Errorf("mount %s with %s: %w", to, options, err)
		}
	}
	return unix.Mount("proc", filepath.Join(c.Root, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
}

// tmpfs reads the value of docker's --tmpfs: PLACE:OPTIONS.
func (c *container) tmpfs(value string) {
	place, options, _ := strings.Cut(value, ":")
	if c.Tmpfs == nil {
		c.Tmpfs = map[string]string{}
	}
	c.Tmpfs[place] = options
}
