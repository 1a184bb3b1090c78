package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// findSubjects turns names into subjects that can be started. What is missing
// is installed where that is possible, left out otherwise; without Yett there
// is nothing to compare, so that is an error.
func findSubjects(ctx context.Context, o options, dir string, log io.Writer) ([]subject, error) {
	if err := installMissing(ctx, o, log); err != nil {
		fmt.Fprintf(log, "cannot install: %v\n", err)
	}
	var found []subject
	seen := make(map[string]int)
	for _, name := range o.subjects {
		k, ok := kindOf(name)
		if !ok {
			return nil, fmt.Errorf("unknown subject %q: it is one of %s", name, strings.Join(kindNames(), ", "))
		}
		p, err := k.find(ctx, o.nth(seen[name]), dir)
		if err != nil && name == "yett" {
			return nil, err
		}
		if err != nil {
			fmt.Fprintf(log, "%s is left out: %v\n", name, err)
			continue
		}
		seen[name]++
		s := subject{kind: k, program: p, label: name}
		if seen[name] > 1 {
			s.label = fmt.Sprintf("%s#%d", name, seen[name])
		}
		found = append(found, s)
	}
	if len(found) == 0 {
		return nil, errors.New("no subject to measure")
	}
	return found, nil
}

func kindOf(name string) (kind, bool) {
	for _, k := range kinds() {
		if k.name == name {
			return k, true
		}
	}
	return kind{}, false
}

// nth is what the nth subject yett, from 0, goes by: the executable that was given for
// it, or the last one.
func (o options) nth(n int) options {
	if n > 0 && len(o.yett) > 0 {
		o.yett = o.yett[min(n, len(o.yett)-1):]
	}
	return o
}

// find looks a program up, or makes it.
func (k kind) find(ctx context.Context, o options, dir string) (program, error) {
	if k.make != nil {
		return k.make(ctx, o, dir)
	}
	path, err := lookProgram(k.name)
	return program{path: path}, err
}

// makeYett builds Yett, unless an executable is given.
func makeYett(ctx context.Context, o options, dir string) (program, error) {
	if len(o.yett) > 0 {
		path, err := filepath.Abs(o.yett[0])
		if err != nil {
			return program{}, fmt.Errorf("find %s: %w", o.yett[0], err)
		}
		return program{path: path}, nil
	}
	path := filepath.Join(dir, "yett")
	if out, err := buildYett(ctx, path, "-ldflags", "-s -w"); err != nil {
		return program{}, fmt.Errorf("build yett (-subjects nginx,haproxy measures without it): %w\n%s", err, out)
	}
	return program{path: path}, nil
}

// buildYett builds it as releases are: without C, and by the profile in cmd/yett.
func buildYett(ctx context.Context, path string, flags ...string) (output []byte, err error) {
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-trimpath", "-o", path}, flags...), "yett/cmd/yett")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	return cmd.CombinedOutput()
}

// lookProgram also looks where packages put servers: PATH has that for root alone.
func lookProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s: %w", name, err)
}

// installMissing installs the programs that are asked for and not there, or says
// how to.
func installMissing(ctx context.Context, o options, log io.Writer) error {
	var missing []string
	for _, name := range o.subjects {
		if k, ok := kindOf(name); ok && k.install != "" {
			if _, err := lookProgram(name); err != nil {
				missing = append(missing, k.install)
			}
		}
	}
	if _, err := lookProgram(redisProgram); err != nil && o.wantsRedis() {
		missing = append(missing, redisProgram)
	}
	if len(missing) == 0 {
		return nil
	}
	args := append([]string{"install", "-y", "--no-install-recommends"}, missing...)
	line := "apt-get " + strings.Join(args, " ")
	_, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 || !o.install {
		fmt.Fprintf(log, "missing: %s. To install: sudo %s\n", strings.Join(missing, ", "), line)
		return nil
	}
	fmt.Fprintf(log, "missing: %s. Running: apt-get update; %s\n", strings.Join(missing, ", "), line)
	return aptGet(ctx, log, []string{"update"}, args)
}

func aptGet(ctx context.Context, log io.Writer, commands ...[]string) error {
	for _, args := range commands {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		// RUNLEVEL=1 keeps the packages from starting their services.
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w", args[0], err)
		}
	}
	return nil
}
