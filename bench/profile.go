package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed overlay/profile.go.txt
var profileSource string

// profiledCases are what the compiler is to make fast, if -case names no others.
func profiledCases() []string {
	return []string{"plain", "limits", "post-10k", "64k", "close", "tls", "h2"}
}

// profile runs cases with Yett alone and writes where its time went, in all of
// them together, to a file that `go build -pgo` takes.
func profile(ctx context.Context, o options, log io.Writer) error {
	dir, err := os.MkdirTemp("", "yett-bench-")
	if err != nil {
		return fmt.Errorf("create working folder: %w", err)
	}
	defer os.RemoveAll(dir)
	o.subjects, o.count = []string{"yett"}, false
	if len(o.cases) == 0 {
		o.cases = profiledCases()
	}
	path, err := buildWith(ctx, dir, "profile", profileSource, "-pgo=off")
	if err != nil {
		return err
	}
	o.yett = []string{path}
	b := &bench{options: o, log: log, dir: dir, fresh: make(map[string]bool)}
	if err := b.setUp(ctx); err != nil {
		return err
	}
	origin, upstream, err := startOrigin(ctx, b.places.load)
	if err != nil {
		return err
	}
	defer origin.stop()
	b.origin, b.upstream = origin.cmd.Process.Pid, upstream
	var profiles []string
	for _, c := range cases() {
		if !slices.Contains(o.cases, c.Name) {
			continue
		}
		name := filepath.Join(dir, c.Name+".pprof")
		if err := b.profileCase(ctx, c, name); err != nil {
			return fmt.Errorf("case %s: %w", c.Name, err)
		}
		profiles = append(profiles, name)
	}
	return mergeProfiles(ctx, profiles, o.profile)
}

// profileCase profiles Yett as the case configures it, and none of its variants.
func (b *bench) profileCase(ctx context.Context, c benchCase, name string) error {
	i := slices.IndexFunc(c.entrants(b.subjects), func(e entrant) bool { return e.label == "yett" })
	if i < 0 {
		return errors.New("yett has no part in it")
	}
	fmt.Fprintf(b.log, "%s: profiling %d rounds of %s\n", c.Name, b.options.rounds, b.options.duration)
	r, err := b.start(ctx, c.entrants(b.subjects)[i], c, c.conns())
	if err != nil {
		return err
	}
	defer r.stop()
	finish, err := startProfile(r.cmd.Process.Pid)
	if err != nil {
		return err
	}
	found, err := measure(ctx, b.places.load, b.load(c, []*running{r}))
	if err != nil {
		return err
	}
	if text := found.Failures[0]; text != "" {
		return errors.New(text)
	}
	return finish(name)
}

// startProfile has a Yett that was built for it profile itself. finish ends that,
// and writes the profile to a file.
func startProfile(pid int) (finish func(name string) error, err error) {
	conn, err := net.DialTimeout("unix", fmt.Sprintf("@yett-bench-profile-%d", pid), time.Second)
	if err != nil {
		return nil, fmt.Errorf("ask for a profile: %w", err)
	}
	return func(name string) error {
		defer conn.Close()
		if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
			return fmt.Errorf("ask for a profile: %w", err)
		}
		data, err := io.ReadAll(conn)
		if err == nil && len(data) == 0 {
			err = errors.New("it is empty")
		}
		if err != nil {
			return fmt.Errorf("read profile: %w", err)
		}
		return os.WriteFile(name, data, 0o600)
	}, nil
}

func mergeProfiles(ctx context.Context, profiles []string, into string) error {
	args := append([]string{"tool", "pprof", "-proto", "-output", into}, profiles...)
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("merge profiles: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
