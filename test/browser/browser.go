//go:build linux

package browser

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a page waits for what has to happen.
const Patience = 30 * time.Second

// Browser is a Chromium with a profile of its own. It ends with the test, and also when the
// process of the test dies: its pipe is closed then.
type Browser struct {
	tb   testing.TB
	wire *wire
}

// Start starts a Chromium, and skips the test where there is none.
func Start(tb testing.TB) *Browser {
	tb.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		tb.Skip("there is no chromium in the PATH, which this test needs")
	}
	toBrowser, commands, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	events, fromBrowser, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(program, flags(tb.TempDir())...)
	cmd.ExtraFiles = []*os.File{toBrowser, fromBrowser} // 3 and 4, as --remote-debugging-pipe has it
	cmd.WaitDelay = time.Second                         // its helpers hold the pipes a little longer
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	_, _ = toBrowser.Close(), fromBrowser.Close()
	if err != nil {
		tb.Fatalf("starting %s: %v", program, err)
	}
	b := &Browser{tb: tb, wire: newWire(commands, events)}
	tb.Cleanup(func() { b.end(cmd) })
	return b
}

// flags keep the browser from everything that is not the test's: other hosts, the
// user's profile, its own background work.
func flags(profile string) []string {
	return []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
		"--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-extensions", "--disable-crash-reporter", "--disable-breakpad", "--password-store=basic",
		"--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
		"--user-data-dir=" + profile, "--remote-debugging-pipe", "about:blank",
	}
}

// end asks the browser to close, and makes it when it does not: its processes are a group
// of their own.
func (b *Browser) end(cmd *exec.Cmd) {
	_ = b.wire.call("", "Browser.close", nil, nil)
	b.wire.close()
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what is left of the group
	<-done
}

// Open opens an empty page, with cookies and storage of its own.
func (b *Browser) Open() *Page {
	b.tb.Helper()
	var profile struct{ BrowserContextID string }
	b.must(b.wire.call("", "Target.createBrowserContext", nil, &profile))
	var target struct{ TargetID string }
	b.must(b.wire.call("", "Target.createTarget", object{"url": "about:blank", "browserContextId": profile.BrowserContextID, "width": 1280, "height": 1000}, &target))
	var session struct{ SessionID string }
	b.must(b.wire.call("", "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &session))
	p := &Page{tb: b.tb, wire: b.wire, session: session.SessionID, byID: make(map[string]*Request)}
	b.wire.subscribe(p.session, p.note)
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Audits"} {
		b.must(b.wire.call(p.session, domain+".enable", nil, nil))
	}
	return p
}

func (b *Browser) must(err error) {
	b.tb.Helper()
	if err != nil {
		b.tb.Fatalf("the browser: %v", err)
	}
}
