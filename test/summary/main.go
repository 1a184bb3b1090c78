// Command summary runs `go test -json` once for each argument, which holds the
// words to add, after NAME=value for its environment, and shows what matters: a line for each package, everything
// that failing tests wrote, why tests were skipped, and at the very end
//
//	N passed, N failed, N skipped
//
// Tests and subtests count alike, and a package that fails without a failing
// test counts as one. The exit code is 1 when something failed.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, `usage: summary "./..." ["CGO_ENABLED=0 -tags poison ./..."]`)
		os.Exit(2)
	}
	if !run(os.Args[1:], os.Stdout, os.Stderr) {
		os.Exit(1)
	}
}

// run tells whether everything passed.
func run(lines []string, stdout, stderr io.Writer) bool {
	r := newReport(stdout)
	for _, line := range lines {
		fmt.Fprintf(stdout, "go test %s\n", line)
		if err := goTest(line, r, stderr); err != nil {
			fmt.Fprintf(stderr, "go test %s: %v\n", line, err)
			r.brokenRun()
		}
	}
	r.end()
	return r.failed == 0
}

// goTest runs one go test. That tests fail is in the report, and no error.
func goTest(line string, r *report, stderr io.Writer) error {
	env, args := split(line)
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	before := r.failed
	readErr := r.read(out)
	if err := cmd.Wait(); err != nil && r.failed == before {
		return err // it says that it failed, and not what
	}
	return readErr
}

// assignment is a word for the environment.
var assignment = regexp.MustCompile(`^[A-Z_]+=`)

// split returns what begins a line for the environment, and the words for go test.
func split(line string) (env, args []string) {
	args = strings.Fields(line)
	for len(args) > 0 && assignment.MatchString(args[0]) {
		env, args = append(env, args[0]), args[1:]
	}
	return env, args
}
