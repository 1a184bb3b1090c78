//go:build linux

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Requests that failed stand in a file of their own too, beside the access log,
// whatever that is called. Both follow a rotation, and what waits is written
// at the end.
func TestErrorsHaveAFile(t *testing.T) {
	for log, errorLog := range map[string]string{"app.log": "app-error.log", "app": "app-error.log"} { // the old gateway needed .log
		t.Run(log, func(t *testing.T) {
			service := httptest.NewServer(http.HandlerFunc(mishap))
			defer service.Close()
			dir := t.TempDir()
			log, errorLog := filepath.Join(dir, log), filepath.Join(dir, errorLog)
			conf := appConfig + "\nlog: {access: {output: " + log + ", errors: auto}}\n"
			g := run(t, write(t, "yett.yaml", conf), "APP="+service.URL)
			client := newClient(t)
			send(t, client, "GET", g.url+"/good", "", nil).want(t, 200)
			send(t, client, "GET", g.url+"/%00", "", nil).want(t, 400)
			send(t, client, "GET", g.url+"/fails", "", nil).want(t, 503)
			sendRaw(t, g.addr, "GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
			eventually(t, "the first lines", func() bool {
				return contains(log, "/fails") && contains(log, "/cut") && contains(errorLog, "/fails") && contains(errorLog, "/cut")
			})

			for _, file := range []string{log, errorLog} {
				if err := os.Rename(file, file+".1"); err != nil {
					t.Fatal(err)
				}
			}
			g.signal(syscall.SIGHUP)
			eventually(t, "new files", func() bool { return exists(log) && exists(errorLog) })
			send(t, client, "GET", g.url+"/good/later", "", nil).want(t, 200)
			send(t, client, "GET", g.url+"/fails/later", "", nil).want(t, 503)
			g.signal(sigterm)
			if code := g.exit(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			for file, want := range map[string][]string{
				log + ".1":      {"/good", "/%00", "/fails", "/cut"},
				errorLog + ".1": {"/fails", "/cut"},
				log:             {"/good/later", "/fails/later"},
				errorLog:        {"/fails/later"},
			} {
				got := loggedPaths(t, file) // those of two connections in any order
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("%s has %q, want %q", filepath.Base(file), got, want)
				}
			}
			if strings.Contains(g.stderr.String(), `"level":"error"`) {
				t.Errorf("stderr has\n%s", g.stderr)
			}
		})
	}
}

// mishap fails for /fails, and breaks its answer off for /cut.
func mishap(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/fails"):
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/cut":
		w.Header().Set("Content-Length", "100000")
		_, _ = io.WriteString(w, strings.Repeat("x", 10000))
		panic(http.ErrAbortHandler)
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// loggedPaths returns the path of each line of a log, without those of run.
func loggedPaths(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for line := range strings.Lines(string(text)) {
		var e logged
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("%s: %q: %v", filepath.Base(file), line, err)
		}
		if e.Host != startupHost {
			paths = append(paths, e.Path)
		}
	}
	return paths
}
