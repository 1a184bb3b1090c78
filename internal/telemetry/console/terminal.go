package console

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// IsTerminal tells whether what is written to w is seen by somebody at once.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	c, err := f.SyscallConn()
	if err != nil {
		return false
	}
	is := false
	err = c.Control(func(fd uintptr) {
		_, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
		is = err == nil
	})
	return is && err == nil
}

// StyleFor is how lines look on w: with colours on a terminal that can show them, unless its user
// wants none (https://no-color.org). env looks a variable up; nil stands for an environment without any.
func StyleFor(w io.Writer, env func(string) (string, bool)) Style {
	get := func(name string) string {
		if env == nil {
			return ""
		}
		v, _ := env(name)
		return v
	}
	return Style{Colour: IsTerminal(w) && get("TERM") != "dumb" && get("NO_COLOR") == ""}
}
