//go:build linux

package clients

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"yett/examples/psa/services/auth"
	_ "yett/internal/cli" // so that go test knows on what the result depends, and does not show an old one
)

// patience is how long anything that has to happen may take. It ends a test
// that would hang, and measures nothing.
const patience = time.Minute

// binary is the program under test. TestMain builds it.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "yett-clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "yett")
	// Like `make build`, so that nothing is compiled anew, and the tests see what is released.
	build := exec.Command("go", "build", "-pgo=off", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, "yett/cmd/yett")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building yett:", err)
		return 1
	}
	return m.Run()
}

// startDemo starts the example platform on free ports, waits until its document
// is complete, and returns the gateway's URL.
func startDemo(t *testing.T) string {
	t.Helper()
	demo := exec.Command(binary, "demo", "--config", "../../examples/psa/yett.yaml")
	demo.Env = []string{"PORT=0", "AUTH_PORT=0", "CRM_PORT=0", "TICKETS_PORT=0"}
	demo.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when the test itself is killed
	var stderr strings.Builder
	demo.Stderr = &stderr
	stdout, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	tooLate := time.AfterFunc(3*patience, func() { _ = demo.Process.Kill() })
	t.Cleanup(func() {
		_ = demo.Process.Signal(syscall.SIGTERM)
		if err := demo.Wait(); err != nil {
			t.Errorf("yett demo ended with %v: %s", err, &stderr)
		}
		tooLate.Stop()
	})
	gateway := ""
	for lines := bufio.NewScanner(stdout); gateway == "" && lines.Scan(); {
		if name, url, _ := strings.Cut(strings.TrimSpace(lines.Text()), " "); name == "gateway" {
			gateway = strings.TrimSpace(url)
		}
	}
	if gateway == "" {
		t.Fatal("yett demo does not say where its gateway is")
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }() // its access log
	waitForSources(t, gateway)
	return gateway
}

// waitForSources waits until the document has what the services say.
func waitForSources(t *testing.T, gateway string) {
	t.Helper()
	want := []string{"auth", "crm", "tickets", "users"}
	var good []string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var d struct {
			Sources []struct{ Service, State string } `json:"x-yett-sources"`
		}
		if err := json.Unmarshal(fetch(t, gateway+"/api-docs.json"), &d); err != nil {
			t.Fatal(err)
		}
		good = nil
		for _, s := range d.Sources {
			if s.State == "good" {
				good = append(good, s.Service)
			}
		}
		slices.Sort(good)
		if slices.Equal(good, want) {
			return
		}
	}
	t.Fatalf("the documents of %v are good, want %v", good, want)
}

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, statusError(resp)); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return body
}

func statusError(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// save fetches the document in one of its forms into a folder, and returns its
// name there.
func save(t *testing.T, gateway, form, dir string) string {
	t.Helper()
	version, format, _ := strings.Cut(form, " ")
	name := "openapi-" + version + "." + format
	put(t, filepath.Join(dir, name), fetch(t, gateway+"/api-docs."+format+"?version="+version))
	return name
}

func put(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// technician is who logs in: the gateway and what generated clients are run
// with.
func technician(gateway string) []string {
	return []string{gateway, "tech@example.com", auth.DemoPassword}
}

// steps is what the programs with generated clients print.
const steps = `login tech@example.com
customer Generated Ltd
ticket high open
read Typed by a generator
list 1 of at most 1
401 NO_TOKEN
403 INSUFFICIENT_PERMISSIONS 403
404 NOT_FOUND true
429 RATE_LIMIT_EXCEEDED true
`
