package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// k6 is a module of its own, so that the gateway's has nothing of it.
const (
	toolModule  = "load/tool"
	toolPackage = "go.k6.io/k6"
	script      = "load/load.js"
	thresholds  = 99 // k6's exit code when a threshold is exceeded
)

// k6Path is where k6 is, or will be, in the version that load/tool/go.mod names.
func k6Path() (string, error) {
	data, err := os.ReadFile(filepath.Join(toolModule, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("find out which k6 is wanted: %w (run this in the repository's root)", err)
	}
	m := regexp.MustCompile(`(?m)^\s*go\.k6\.io/k6 (v\S+)`).FindSubmatch(data)
	if m == nil {
		return "", fmt.Errorf("%s/go.mod names no version of k6", toolModule)
	}
	return filepath.Abs(filepath.Join("load", "bin", "k6-"+string(m[1])))
}

// buildK6 builds k6, once for each version, which takes a few minutes.
func buildK6(ctx context.Context, says io.Writer) (string, error) {
	path, err := k6Path()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintf(says, "building k6 into %s, once; this takes a few minutes\n", path)
	// Under another name at first: what was cut off isn't taken for k6.
	unfinished := path + ".new"
	cmd := exec.CommandContext(ctx, "go", "build", "-C", toolModule, "-trimpath", "-ldflags", "-s -w", "-o", unfinished, toolPackage)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build k6: %w\n%s", err, out)
	}
	return path, os.Rename(unfinished, path)
}

// files are what a run leaves behind.
type files struct{ options, record, summary, html, svg string }

func newFiles(dir, name string) (files, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return files{}, err
	}
	at := func(suffix string) string { return filepath.Join(dir, name+suffix) }
	return files{at(".options.json"), at(".ndjson"), at(".json"), at(".html"), at(".svg")}, os.MkdirAll(dir, 0o755)
}

// runK6 runs a test. What it has found is in the files; exceeded thresholds are no error.
func runK6(ctx context.Context, k6 string, t test, at target, f files, says io.Writer) error {
	data, err := json.MarshalIndent(t.options(), "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(f.options, data, 0o644); err != nil {
		return err
	}
	for _, old := range []string{f.record, f.summary, f.html, f.svg} { // k6 would add to them, or leave them when it fails
		if err := os.Remove(old); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, k6, "run", "--quiet", "--address", "", "--config", f.options, script) // no address: nobody controls it
	cmd.Stdout, cmd.Stderr = says, says
	cmd.Env = append(os.Environ(),
		"TARGET="+at.url, "PASSWORD="+at.password, "VISITS="+t.script, "SUMMARY="+f.summary,
		"K6_WEB_DASHBOARD=true", "K6_WEB_DASHBOARD_PORT=-1", // no server, only files
		"K6_WEB_DASHBOARD_PERIOD="+t.period().String(), "K6_WEB_DASHBOARD_EXPORT="+f.html, "K6_WEB_DASHBOARD_RECORD="+f.record)
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == thresholds {
		return nil
	}
	if err != nil {
		return fmt.Errorf("run k6: %w", err)
	}
	return nil
}
