//go:build linux

package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/control"
	"yett/internal/control/socket"
	"yett/internal/exchange"
	"yett/internal/instance"
	"yett/internal/telemetry"
)

func exchangeWith(status int) *exchange.Exchange { return &exchange.Exchange{Status: status} }

// served is an Instance behind a socket.
type served struct {
	env  env
	stop func()
}

// stateDir is a short place for instances: the path of a socket has to be.
func stateDir(t *testing.T) env {
	t.Helper()
	dir, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return env{"YETT_STATE": dir}
}

// serveInstance puts an instance where monit finds it.
func serveInstance(t *testing.T, at env, name string, i control.Instance) *served {
	t.Helper()
	d, err := instance.Make(at["YETT_STATE"], name)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	l, err := socket.Listen(d.Control())
	if err != nil {
		t.Fatal(err)
	}
	server := socket.Serve(l, i)
	s := &served{env: at}
	s.stop = sync.OnceFunc(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		_ = lock.Unlock()
	})
	t.Cleanup(s.stop)
	return s
}

// steady is an instance that serves ten requests whenever somebody looks.
type steady struct {
	script
	mu sync.Mutex
}

func newSteady() *steady {
	s := &steady{}
	s.status = control.Status{Name: "api", Version: "v1", PID: 4242, State: control.Ready, Started: time.Now(), Revision: control.Revision{ID: "abc1234"}}
	s.stats.Since, s.stats.At = time.Now(), time.Now()
	return s
}

// Status implements control.Instance.
func (s *steady) Status(context.Context) (control.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serves("orders", 10, 1, time.Millisecond)
	s.stats.At = time.Now()
	return s.status, nil
}

// vt is as much of a terminal as the page needs: a grid, and the screen behind it.
type vt struct {
	mu      sync.Mutex
	rows    []string
	row     int
	apart   bool // the page is shown, not what was there before
	cursor  bool
	changed chan struct{} // has one when something was drawn
	raw     strings.Builder
}

// readTerminal draws what comes out of a terminal until it is closed.
func readTerminal(outside *os.File) *vt {
	v := &vt{cursor: true, changed: make(chan struct{}, 1)}
	go func() {
		b := make([]byte, 1<<14)
		rest := ""
		for {
			n, err := outside.Read(b)
			if err != nil {
				return
			}
			rest = v.write(rest + string(b[:n]))
			select {
			case v.changed <- struct{}{}:
			default:
			}
		}
	}()
	return v
}

// write takes text, and returns what is not yet whole of it.
func (v *vt) write(text string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.raw.WriteString(text)
	for text != "" {
		switch {
		case strings.HasPrefix(text, "\x1b["):
			end := strings.IndexFunc(text[2:], func(r rune) bool { return r >= '@' })
			if end < 0 {
				return text
			}
			v.control(text[2 : end+3])
			text = text[end+3:]
			continue
		case text == "\x1b":
			return text
		case text[0] == '\n':
			v.row++
		case text[0] != '\r':
			v.grow()
			v.rows[v.row] += text[:1]
		}
		text = text[1:]
	}
	return ""
}

func (v *vt) grow() {
	for len(v.rows) <= v.row {
		v.rows = append(v.rows, "")
	}
}

func (v *vt) control(sequence string) {
	switch sequence {
	case "H":
		v.row = 0
	case "2K":
		v.grow()
		v.rows[v.row] = ""
	case "2J":
		v.rows = nil
	case "J":
		v.rows = v.rows[:min(len(v.rows), v.row+1)]
	case "?1049h", "?1049l":
		v.apart = sequence[5] == 'h'
	case "?25h", "?25l":
		v.cursor = sequence[3] == 'h'
	}
}

func (v *vt) shown() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.rows, "\n")
}

// await waits until the terminal shows a text.
func (v *vt) await(t *testing.T, want string) string {
	t.Helper()
	return v.awaitThat(t, want, func(s string) bool { return strings.Contains(s, want) })
}

func (v *vt) awaitThat(t *testing.T, what string, is func(string) bool) string {
	t.Helper()
	late := time.NewTimer(15 * time.Second)
	defer late.Stop()
	for {
		if s := v.shown(); is(s) {
			return s
		}
		select {
		case <-v.changed:
		case <-late.C:
			t.Fatalf("%s is not shown, but\n%s", what, v.shown())
		}
	}
}

// left tells whether the terminal is as before: the screen that was there, with a cursor, and
// lines that can be edited.
func (v *vt) left(t *testing.T, inside *os.File) {
	t.Helper()
	v.awaitThat(t, "what was there before", func(string) bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return !v.apart && v.cursor
	})
	modes, err := unix.IoctlGetTermios(int(inside.Fd()), unix.TCGETS)
	if err != nil || modes.Lflag&unix.ICANON == 0 || modes.Lflag&unix.ECHO == 0 {
		t.Errorf("lines can't be edited any more: %+v, %v", modes, err)
	}
}

// monitOn runs monit in a terminal.
func monitOn(t *testing.T, inside *os.File, variables env, args ...string) (ended chan int, stderr *output) {
	t.Helper()
	ended, stderr = make(chan int, 1), new(output)
	go func() {
		ended <- Main(t.Context(), Process{Args: append([]string{"monit"}, args...), Stdin: inside, Stdout: inside, Stderr: stderr, Env: config.MapEnv(variables)})
	}()
	return ended, stderr
}

func wantEnd(t *testing.T, ended <-chan int, stderr *output, want int) {
	t.Helper()
	select {
	case code := <-ended:
		if code != want {
			t.Errorf("exit code %d: %s", code, stderr.String())
		}
	case <-time.After(15 * time.Second):
		t.Fatal("it does not end")
	}
}

// The page is drawn again and again in the place of what was there, says when the gateway is gone, finds the next, and gives the terminal back.
func TestMonitLive(t *testing.T) {
	at := stateDir(t)
	s := serveInstance(t, at, "api", newSteady())
	inside, outside := terminal(t, 24, 80)
	v := readTerminal(outside)
	ended, stderr := monitOn(t, inside, at, "--interval", "100ms")
	first := v.awaitThat(t, "the page", func(s string) bool { return strings.Contains(s, "orders ") && strings.Contains(s, "q quits") })
	for _, want := range []string{"yett api  ready  v1  pid 4242", "rev abc1234", "p50 ", "5xx ", "█", "q quits · rates of 100ms"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in\n%s", want, first)
		}
	}
	if strings.Count(first, "yett api") != 1 || strings.Count(first, "\n") != 23 {
		t.Errorf("it is not one page:\n%s", first)
	}
	s.stop()
	v.await(t, "gone since")
	serveInstance(t, at, "api", newSteady())
	v.awaitThat(t, "the next gateway", func(s string) bool { return strings.Contains(s, "requests") && !strings.Contains(s, "gone") })
	fmt.Fprint(outside, "xq")
	wantEnd(t, ended, stderr, exitOK)
	v.left(t, inside)
}

// A terminal that changes its size has the page drawn anew at once.
func TestMonitFollowsTheSize(t *testing.T) {
	at := stateDir(t)
	serveInstance(t, at, "api", newSteady())
	inside, outside := terminal(t, 24, 80)
	v := readTerminal(outside)
	ended, stderr := monitOn(t, inside, at, "--interval", "1h")
	v.await(t, "q quits")
	if err := unix.IoctlSetWinsize(int(outside.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 6, Col: 30}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil { // it is no job of this terminal
		t.Fatal(err)
	}
	v.awaitThat(t, "a small page", func(s string) bool {
		for _, l := range strings.Split(s, "\n") {
			if textWidth(l) > 30 {
				return false
			}
		}
		return strings.Count(s, "\n") <= 5 && strings.Contains(s, "yett api")
	})
	fmt.Fprint(outside, "q")
	wantEnd(t, ended, stderr, exitOK)
}

// Whoever ends it, and how: the terminal is given back.
func TestMonitGivesTheTerminalBack(t *testing.T) {
	at := stateDir(t)
	serveInstance(t, at, "api", newSteady())
	for name, end := range map[string]func(outside *os.File){
		"Ctrl-C":  func(outside *os.File) { fmt.Fprint(outside, "\x03") },
		"Ctrl-D":  func(outside *os.File) { fmt.Fprint(outside, "\x04") },
		"SIGINT":  func(*os.File) { _ = syscall.Kill(os.Getpid(), syscall.SIGINT) },
		"SIGTERM": func(*os.File) { _ = syscall.Kill(os.Getpid(), syscall.SIGTERM) },
		"SIGHUP":  func(*os.File) { _ = syscall.Kill(os.Getpid(), syscall.SIGHUP) },
	} {
		t.Run(name, func(t *testing.T) {
			inside, outside := terminal(t, 24, 80)
			v := readTerminal(outside)
			ended, stderr := monitOn(t, inside, at, "api", "--interval", "100ms")
			v.await(t, "orders ")
			end(outside)
			wantEnd(t, ended, stderr, exitOK)
			v.left(t, inside)
		})
	}
}

// A fault in the drawing gives the terminal back too, before it is told.
func TestMonitFault(t *testing.T) {
	inside, outside := terminal(t, 24, 80)
	v := readTerminal(outside)
	s := Process{Stdout: inside, Env: config.MapEnv(nil)}.screen()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("there was no fault")
			}
			v.left(t, inside)
		}()
		page, err := openLive(s, inside)
		if err != nil {
			t.Fatal(err)
		}
		defer page.close()
		l := &monitPage{page: page}
		_ = l.draw() // without a frame
	}()
}

// A terminal that goes away ends it.
func TestMonitWithoutItsTerminal(t *testing.T) {
	at := stateDir(t)
	serveInstance(t, at, "api", newSteady())
	inside, outside := terminal(t, 24, 80)
	v := readTerminal(outside)
	ended, _ := monitOn(t, inside, at, "--interval", "100ms")
	v.await(t, "orders ")
	_ = outside.Close()
	select {
	case <-ended:
	case <-time.After(15 * time.Second):
		t.Fatal("it does not end")
	}
}

// Without colours nothing is coloured.
func TestMonitNoColour(t *testing.T) {
	at := stateDir(t)
	serveInstance(t, at, "api", newSteady())
	for variable, coloured := range map[string]bool{"": true, "NO_COLOR": false} {
		inside, outside := terminal(t, 24, 80)
		v := readTerminal(outside)
		ended, stderr := monitOn(t, inside, env{"YETT_STATE": at["YETT_STATE"], variable: "1"}, "--interval", "100ms")
		v.await(t, "orders ")
		fmt.Fprint(outside, "q")
		wantEnd(t, ended, stderr, exitOK)
		v.mu.Lock()
		if got := strings.Contains(v.raw.String(), good.begin()); got != coloured {
			t.Errorf("%q: colours %v", variable, got)
		}
		v.mu.Unlock()
	}
}

// What goes into a file or a pipe is printed once, or as JSON line by line.
func TestMonitPrinted(t *testing.T) {
	at := stateDir(t)
	s := serveInstance(t, at, "api", newSteady())
	for _, args := range [][]string{{"monit"}, {"monit", "api", "--once"}} {
		got := call(t, at, append(args, "--interval", "100ms")...)
		if got.code != exitOK || strings.Count(got.stdout, "yett api") != 1 || !strings.Contains(got.stdout, "orders ") || strings.ContainsAny(got.stdout, "\x1b\r") {
			t.Errorf("%q: %+v", args, got)
		}
	}
	got := call(t, at, "monit", "--once", "--json", "--interval", "100ms")
	var f monitFrame
	if err := json.Unmarshal([]byte(got.stdout), &f); err != nil || f.Requests <= 0 || f.Name != "api" || len(f.Routes) != 1 {
		t.Errorf("%v: %+v", err, got)
	}
	r, w := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, Process{Args: []string{"monit", "--json", "--interval", "100ms"}, Stdout: w, Stderr: new(output), Env: config.MapEnv(at)})
	}()
	lines := json.NewDecoder(r)
	for i := range 3 {
		if err := lines.Decode(&f); err != nil || f.Requests <= 0 {
			t.Fatalf("line %d: %v, %+v", i, err, f)
		}
	}
	s.stop()
	for told := (gone{}); told.Gone == ""; {
		if err := lines.Decode(&told); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	go func() { _, _ = io.Copy(io.Discard, r) }()
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	_ = w.Close()
}

func TestMonitMisused(t *testing.T) {
	at := stateDir(t)
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--interval", "1ms"}, exitUsage, "--interval is 1ms; it can be from 100ms to 1h"},
		{[]string{"a", "b"}, exitUsage, "one gateway is watched at a time"},
		{[]string{""}, exitUsage, "the name of the gateway is empty"},
		{[]string{"../x"}, exitFail, "no gateway has run here as ../x"},
		{nil, exitFail, "no gateway runs here; start one with yett start or yett run (looked in " + at["YETT_STATE"]},
		{[]string{"api"}, exitFail, "no gateway has run here as api; start one with yett start"},
	} {
		got := call(t, at, append([]string{"monit"}, tt.args...)...)
		if got.code != tt.code || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%q: %+v, want %q", tt.args, got, tt.want)
		}
	}
	a, b := serveInstance(t, at, "a", newSteady()), serveInstance(t, at, "b", newSteady())
	if got := call(t, at, "monit"); got.code != exitFail || !strings.Contains(got.stderr, "several gateways run here; name one of a, b") {
		t.Errorf("%+v", got)
	}
	a.stop() // its directory stays
	if got := call(t, at, "monit", "--interval", "100ms"); got.code != exitOK {
		t.Errorf("%+v", got)
	}
	b.stop()
}

// real is a gateway of this process as an instance.
type real struct {
	control.Instance
	a *app.App
}

// Status implements control.Instance.
func (r real) Status(ctx context.Context) (control.Status, error) {
	s, err := r.a.Status(ctx)
	s.Name = "real"
	return s, err
}

// Stats implements control.Instance.
func (r real) Stats(ctx context.Context) (telemetry.Stats, error) { return r.a.Stats(ctx) }

// A real gateway under a little load is shown as it is.
func TestMonitOfARealGateway(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/orders/bad" {
			w.WriteHeader(500)
		}
	}))
	defer up.Close()
	a, err := app.New(app.Options{File: "yett.yaml", Env: config.MapEnv(nil), Stdout: t.Output(), Stderr: t.Output(), Source: fmt.Appendf(nil, `
listeners: [{address: "127.0.0.1:0"}]
log: {access: {output: off}}
services: {shop: {targets: [%q], breaker: {consecutive_failures: 3, open_for: 1h, open_most: 1h}, retries: {most: 0}}}
limits: {few: {limit: 5, window: 1h, by: ip}}
routes:
  - {name: orders, path: /orders/**, auth: none, service: shop}
  - {name: limited, path: /limited, auth: none, policies: {ratelimit: {limits: [few]}, respond: {text: hi}}}
`, up.URL)})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Stop(context.Background()) }()
	at := stateDir(t)
	serveInstance(t, at, "real", real{a: a})
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	defer load.Wait()
	defer stop()
	load.Go(func() { keepAsking(ctx, "http://"+a.Addr(0).String()) })
	inside, outside := terminal(t, 40, 100)
	v := readTerminal(outside)
	ended, stderr := monitOn(t, inside, at, "real", "--interval", "200ms")
	v.awaitThat(t, "all of it", func(s string) bool {
		return strings.Contains(s, "shop OPEN") && figure(s, "orders ") > 0 && figure(s, "limited ") > 0 && figure(s, "few ") > 0 &&
			(strings.Contains(s, "MB") || strings.Contains(s, "GB")) && figure(s, "requests ") > 0
	})
	fmt.Fprint(outside, "q")
	wantEnd(t, ended, stderr, exitOK)
}

// keepAsking sends requests until ctx ends.
func keepAsking(ctx context.Context, url string) {
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	for i := 0; ctx.Err() == nil; i++ {
		req, err := http.NewRequestWithContext(ctx, "GET", url+[]string{"/orders/bad", "/limited", "/nothing"}[i%3], nil)
		if err != nil {
			return
		}
		resp, err := c.Do(req)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// figure is the number behind the first word of a line.
func figure(page, word string) float64 {
	lines := bufio.NewScanner(strings.NewReader(page))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), word); ok && len(strings.Fields(rest)) > 0 {
			n, _ := strconv.ParseFloat(strings.NewReplacer(",", "", "/s", "").Replace(strings.Fields(rest)[0]), 64)
			return n
		}
	}
	return 0
}
