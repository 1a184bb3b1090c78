package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

const (
	// enterPage saves what the terminal shows and takes all of it, without a cursor, and cuts
	// lines that are too long instead of folding them.
	enterPage = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J"
	leavePage = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// livePage is a terminal that shows one page, drawn again and again. Close gives it back as it was;
// whoever opens one defers that, so that a fault leaves the terminal usable too.
type livePage struct {
	to   *os.File
	keys *keyboard // nil where the input is no terminal
	once sync.Once
}

// openLive takes the terminal that a screen is, and the keys of stdin where that is one too.
func openLive(s screen, stdin io.Reader) (*livePage, error) {
	p := &livePage{to: s.terminal}
	if f, ok := stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		keys, err := openKeyboard(f)
		if err != nil {
			return nil, err
		}
		p.keys = keys
	}
	if _, err := io.WriteString(p.to, enterPage); err != nil {
		p.close()
		return nil, fmt.Errorf("draw on the terminal: %w", err)
	}
	return p, nil
}

func (p *livePage) close() {
	p.once.Do(func() {
		_, _ = io.WriteString(p.to, leavePage) // a terminal that is gone needs nothing
		if p.keys != nil {
			p.keys.close()
		}
	})
}

// size is how many columns and lines there are; of a terminal that does not know, as many as
// nearly all have.
func (p *livePage) size() (width, height int) {
	width, height, err := term.GetSize(int(p.to.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// draw shows lines in the place of those before, without a flicker. Each is cleared before it
// is written: at the right border, clearing behind it would take its last character.
func (p *livePage) draw(lines []string) error {
	var b strings.Builder
	b.WriteString("\x1b[H")
	for i, l := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("\x1b[2K" + l)
	}
	b.WriteString("\x1b[J")
	if _, err := io.WriteString(p.to, b.String()); err != nil {
		return fmt.Errorf("draw on the terminal: %w", err)
	}
	return nil
}

// pressed is where keys arrive. It never sends where there are none.
func (p *livePage) pressed() <-chan byte {
	if p.keys == nil {
		return nil
	}
	return p.keys.pressed
}

// keyboard reads keys one by one, not line by line.
type keyboard struct {
	in      *os.File
	before  *term.State
	pressed chan byte
	wake    *os.File // whose end ends the reading
	quit    chan struct{}
	done    chan struct{}
}

func openKeyboard(in *os.File) (*keyboard, error) {
	asleep, wake, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		_, _ = asleep.Close(), wake.Close()
		return nil, fmt.Errorf("read keys: %w", err)
	}
	k := &keyboard{in: in, before: before, pressed: make(chan byte), wake: wake, quit: make(chan struct{}), done: make(chan struct{})}
	go k.read(asleep)
	return k, nil
}

// read sends keys until close, or until the terminal is gone. A read can't be called off, so it
// waits for both before.
func (k *keyboard) read(asleep *os.File) {
	defer close(k.done)
	defer asleep.Close()
	defer close(k.pressed)
	in := int32(k.in.Fd())
	for {
		ready := []unix.PollFd{{Fd: in, Events: unix.POLLIN}, {Fd: int32(asleep.Fd()), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err == unix.EINTR {
			continue
		} else if err != nil || ready[1].Revents != 0 {
			return
		}
		var b [16]byte
		n, err := k.in.Read(b[:])
		if err != nil {
			return
		}
		for _, key := range b[:n] {
			select {
			case k.pressed <- key:
			case <-k.quit:
				return
			}
		}
	}
}

func (k *keyboard) close() {
	close(k.quit)
	_ = k.wake.Close()
	<-k.done
	_ = term.Restore(int(k.in.Fd()), k.before)
}
