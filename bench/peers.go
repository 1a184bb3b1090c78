package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
)

// peerKind is a reverse proxy in Go, without any gateway around it. They are
// one program, in a module of its own: Yett's has nothing of what they need.
func peerKind(name string) kind {
	return kind{
		name:    name,
		noH2:    name == "fasthttp",
		args:    func(_ string, set settings) []string { return append([]string{name}, peerFlags(set)...) },
		version: []string{name, "-version"},
		make:    makePeers,
	}
}

func peerFlags(set settings) []string {
	flags := []string{"-listen", loopback(set.Port).String(), "-upstream", set.Upstream.String(), "-conns", strconv.Itoa(set.Upstreams())}
	if set.TLS != nil {
		flags = append(flags, "-cert", set.TLS.Cert, "-key", set.TLS.Key)
	}
	return flags
}

func makePeers(ctx context.Context, _ options, dir string) (program, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "yett").Output()
	if err != nil {
		return program{}, fmt.Errorf("find the source of peers: %w", err)
	}
	source := filepath.Join(string(bytes.TrimSpace(root)), "bench", "peers")
	path := filepath.Join(dir, "peers")
	if out, err := exec.CommandContext(ctx, "go", "build", "-C", source, "-o", path, ".").CombinedOutput(); err != nil {
		return program{}, fmt.Errorf("build peers: %w\n%s", err, out)
	}
	return program{path: path}, nil
}
