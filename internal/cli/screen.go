package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// screen is where something is shown again and again.
type screen struct {
	to io.Writer
	// terminal is nil where what was shown stays.
	terminal *os.File
	// paint, unless nil, adds colours to what a terminal is about to show.
	paint func(text string) string
}

// screen is where the standard output goes. A terminal that can't move its cursor is
// none.
func (p Process) screen() screen {
	s := screen{to: p.Stdout}
	f, ok := p.Stdout.(*os.File)
	if !ok || p.getenv("TERM") == "dumb" {
		return s
	}
	if _, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
		s.terminal = f
	}
	return s
}

// redraws tells that what is shown takes the place of what was before.
func (s screen) redraws() bool { return s.terminal != nil }

// painted returns the screen with colours, where it is a terminal whose user has not said
// that there should be none (https://no-color.org).
func (p Process) painted(paint func(string) string) screen {
	s := p.screen()
	if s.terminal != nil && p.getenv("NO_COLOR") == "" {
		s.paint = paint
	}
	return s
}

// coloured is what to write for a text.
func (s screen) coloured(text string) string {
	if s.paint == nil {
		return text
	}
	return s.paint(text)
}

// print writes lines below those that are there.
func (s screen) print(text string) error {
	_, err := io.WriteString(s.to, s.coloured(text))
	return err
}

// show writes lines. On a terminal they take the place of what was there, without a
// flicker, and as far as there is room.
func (s screen) show(text string) error {
	if s.terminal != nil {
		// Cleared from the left: at the right border that would take the last character.
		text = "\x1b[H\x1b[K" + strings.ReplaceAll(s.coloured(s.fit(text)), "\n", "\n\x1b[K") + "\x1b[J"
	}
	_, err := io.WriteString(s.to, text)
	return err
}

// fit cuts what the terminal has no room for: the cursor stands in its last line.
func (s screen) fit(text string) string {
	size, err := unix.IoctlGetWinsize(int(s.terminal.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Row < 3 || size.Col == 0 { // of a size that nobody knows
		return text
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	room := int(size.Row) - 1
	if len(lines) > room {
		more := len(lines) - room + 1
		lines = append(lines[:room-1], fmt.Sprintf("… and %s", count(more, "line")))
	}
	for i, l := range lines {
		if r := []rune(l); len(r) > int(size.Col) {
			lines[i] = string(r[:size.Col-1]) + "…"
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
