//go:build linux

package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"yett/internal/config"
)

// terminal returns both ends of a terminal with so many rows and columns.
func terminal(t *testing.T, rows, columns uint16) (inside, outside *os.File) {
	t.Helper()
	outside, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = outside.Close() })
	fd := int(outside.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	inside, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inside.Close() })
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		t.Fatal(err)
	}
	return inside, outside
}

// What is shown takes the place of what was there, line by line, as far as there is room.
func TestScreen(t *testing.T) {
	inside, outside := terminal(t, 5, 10)
	s := Process{Stdout: inside, Env: config.MapEnv(nil)}.screen()
	if !s.redraws() {
		t.Fatal("a terminal is taken for none")
	}
	for _, tt := range []struct{ text, want string }{
		{"one\ntwo\n", "one\ntwo\n"},
		{"0123456789\n0123456789a\n", "0123456789\n012345678…\n"},
		{"1\n2\n3\n4\n", "1\n2\n3\n4\n"},
		{"1\n2\n3\n4\n5\n", "1\n2\n3\n… and 2 l…\n"},
	} {
		if err := s.show(tt.text); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1000)
		n, err := outside.Read(b)
		want := "\x1b[H\x1b[K" + strings.ReplaceAll(tt.want, "\n", "\r\n\x1b[K") + "\x1b[J"
		if got := string(b[:n]); err != nil || got != want {
			t.Errorf("%q: %q, want %q, %v", tt.text, got, want, err)
		}
	}
	if (Process{Stdout: inside, Env: config.MapEnv(map[string]string{"TERM": "dumb"})}).screen().redraws() {
		t.Error("a terminal without a cursor is drawn over")
	}
}

// Colours take no room, so they come when a line has been cut.
func TestScreenIsPainted(t *testing.T) {
	inside, outside := terminal(t, 5, 10)
	s := Process{Stdout: inside, Env: config.MapEnv(nil)}.painted(func(text string) string { return strings.ReplaceAll(text, "9", red+"9"+normal) })
	if err := s.show("9876543210\n98765432109\n"); err != nil {
		t.Fatal(err)
	}
	nine := red + "9" + normal
	want := "\x1b[H\x1b[K" + nine + "876543210\n\x1b[K" + nine + "87654321…\n\x1b[K\x1b[J"
	got := readLines(t, outside, 2)
	for !strings.HasSuffix(got, "\x1b[J") {
		b := make([]byte, 100)
		n, err := outside.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got += string(b[:n])
	}
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// What goes into a file stays there.
func TestScreenIsNone(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if (Process{Stdout: f, Env: config.MapEnv(nil)}).screen().redraws() {
		t.Error("a file is taken for a terminal")
	}
}

// States are painted on a terminal alone, in their column, and where lines are cut too.
func TestServicesColours(t *testing.T) {
	inside, outside := terminal(t, 40, 40)
	server, _ := gatewayStub(t, 200, servicesAnswer)
	server.Start()
	for variable, painted := range map[string]bool{"": true, "NO_COLOR": false} {
		var stderr output
		code := Main(t.Context(), Process{Args: []string{"services", "--url", server.URL}, Stdout: inside, Stderr: &stderr, Env: config.MapEnv(env{variable: "1"})})
		if code != exitOK {
			t.Fatalf("%d, %s", code, stderr.String())
		}
		got := readLines(t, outside, strings.Count(servicesShown, "\n"))
		for _, want := range []string{red + "OPEN" + normal + "       8 of 8", yellow + "HALF OPEN" + normal + "  0 of 10", red + "ejected" + normal + "    1 ", "\x1b"} {
			if strings.Contains(got, want) != painted {
				t.Errorf("%q is there: %v\n%s", want, !painted, got)
			}
		}
		if plain := strings.NewReplacer(red, "", yellow, "", normal, "").Replace(got); plain != servicesShown {
			t.Errorf("got\n%s", plain)
		}
	}
	for text, want := range map[string]string{
		"A  STATE\nx  OPEN":               "A  STATE\nx  " + red + "OPEN" + normal,
		"A  STATE\nx  OP…":                "A  STATE\nx  OP…",
		"A  STATE\nx\n":                   "A  STATE\nx\n",
		"A  STATE\nx  down  1\n\nno down": "A  STATE\nx  " + red + "down" + normal + "  1\n\nno down",
		"A  STAT…\nx  down":               "A  STAT…\nx  down",
		"there are none\n":                "there are none\n",
	} {
		if got := paintStates(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// readLines reads what was written to a terminal.
func readLines(t *testing.T, outside *os.File, lines int) (text string) {
	t.Helper()
	b := make([]byte, 1<<12)
	for strings.Count(text, "\n") < lines {
		n, err := outside.Read(b)
		if err != nil {
			t.Fatalf("%v behind %q", err, text)
		}
		text += string(b[:n])
	}
	return strings.ReplaceAll(text, "\r\n", "\n")
}
