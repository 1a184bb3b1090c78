//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A log file that was moved away is followed by a new one after SIGHUP. No
// line is lost, and the gateway goes on.
func TestAccessLogIsRotated(t *testing.T) {
	backend := startApp(t)
	file := filepath.Join(t.TempDir(), "access.log")
	g := run(t, write(t, "yett.yaml", appConfig+"\nlog: {access: {output: "+file+"}}\n"), "APP="+backend.URL)
	client := newClient(t)
	send(t, client, "GET", g.url+"/before", "", nil).want(t, 200)
	eventually(t, "the first line", func() bool { return contains(file, `"path":"/before"`) })
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	g.signal(syscall.SIGHUP)
	eventually(t, "a new file", func() bool {
		_, err := os.Stat(file)
		return err == nil
	})
	send(t, client, "GET", g.url+"/after", "", nil).want(t, 200)
	eventually(t, "the next line", func() bool { return contains(file, `"path":"/after"`) })
	if contains(file+".1", `"path":"/after"`) || contains(file, `"path":"/before"`) {
		t.Error("lines are in the wrong file")
	}
}

func contains(file, text string) bool {
	b, err := os.ReadFile(file)
	return err == nil && strings.Contains(string(b), text)
}
