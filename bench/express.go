package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// expressFiles are the gateway, and what npm needs to know for its packages.
//
//go:embed express/gateway.js express/package.json express/package-lock.json express/.npmrc
var expressFiles embed.FS

// npmTime is how long npm may take to fetch the packages.
const npmTime = 3 * time.Minute

// expressKind is an API gateway of Express, as one process of Node.
func expressKind() kind {
	return kind{
		name:    "express",
		config:  "express.json",
		noH2:    true,
		args:    func(config string, _ settings) []string { return []string{config} },
		env:     func(string) []string { return []string{"NODE_ENV=production"} },
		version: []string{"--version"},
		warm:    4000,
		make:    makeExpress,
	}
}

// makeExpress writes the gateway below dir, beside its packages.
func makeExpress(ctx context.Context, _ options, dir string) (program, error) {
	node, err := lookNode()
	if err != nil {
		return program{}, err
	}
	modules, err := nodeModules(ctx)
	if err != nil {
		return program{}, err
	}
	home := filepath.Join(dir, "gateway-of-express")
	if err := writeExpress(home, modules); err != nil {
		return program{}, fmt.Errorf("prepare the gateway of Express: %w", err)
	}
	return program{path: node, args: []string{filepath.Join(home, "gateway.js")}}, nil
}

func lookNode() (string, error) {
	path, err := exec.LookPath("node")
	if err == nil {
		_, err = exec.LookPath("npm")
	}
	if err != nil {
		return "", fmt.Errorf("it needs Node 18 or later with npm (Debian: apt-get install nodejs npm): %w", err)
	}
	return path, nil
}

// writeExpress makes the folder home with the gateway, and with a link to the
// packages.
func writeExpress(home, modules string) error {
	source, err := fs.Sub(expressFiles, "express")
	if err != nil {
		return err
	}
	if _, err := os.Stat(home); err == nil {
		return nil // for a second subject of the kind
	}
	if err := os.CopyFS(home, source); err != nil {
		return err
	}
	return os.Symlink(modules, filepath.Join(home, "node_modules"))
}

// nodeModules returns the folder node_modules with what package-lock.json names.
// It is kept in the user's cache for the next time.
func nodeModules(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for npm packages: %w", err)
	}
	lock, err := expressFiles.ReadFile("express/package-lock.json")
	if err != nil {
		return "", err
	}
	place := filepath.Join(cache, "yett", fmt.Sprintf("bench-express-%x", sha256.Sum256(lock))[:len("bench-express-")+12])
	if _, err := os.Stat(place); err != nil {
		if err := installModules(ctx, place); err != nil {
			return "", fmt.Errorf("install npm packages: %w", err)
		}
	}
	return filepath.Join(place, "node_modules"), nil
}

// installModules has npm install into a folder that is there when it is complete.
func installModules(ctx context.Context, place string) error {
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(place), "installing-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	source, err := fs.Sub(expressFiles, "express")
	if err != nil {
		return err
	}
	if err := os.CopyFS(temp, source); err != nil {
		return err
	}
	if err := npmInstall(ctx, temp); err != nil {
		return err
	}
	err = os.Rename(temp, place)
	if _, other := os.Stat(place); other == nil {
		return nil // somebody else was faster
	}
	return err
}

func npmInstall(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, npmTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund",
		"--prefer-offline", "--fetch-retries=1", "--fetch-timeout=20000")
	cmd.Dir = dir
	cmd.WaitDelay = time.Second // its children may hold the pipes
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("npm ci: %w\n%s", errors.Join(err, ctx.Err()), out)
	}
	return nil
}

// expressChain is the chain as middleware of Express.
func expressChain() conf { return expressChainWith(nil) }

// expressLimits is the chain with limits, counted in memory.
func expressLimits(t tiers) conf {
	return expressChainWith(map[string]any{"limits": t.express()})
}

// expressDocumented is the same with a logger and tokens as their documentation
// shows them first.
func expressDocumented(t tiers) conf {
	return expressChainWith(map[string]any{"limits": t.express(), "documented": true})
}

func expressChainWith(more map[string]any) conf {
	levels := make(map[string]int)
	for _, r := range roles() {
		levels[r.name] = r.level
	}
	chain := map[string]any{
		"token":   map[string]string{"secret": tokenSecret, "issuer": tokenIssuer, "audience": tokenAudience},
		"roles":   levels,
		"minRole": minRole,
		"origins": []string{chainOrigin},
	}
	maps.Copy(chain, more)
	text, err := json.Marshal(chain)
	if err != nil {
		panic(err) // texts and numbers only
	}
	return conf{Guarded: true, Top: `"log": "access.log",`, Route: `"chain": ` + string(text) + ","}
}

// express is the tiers as the gateway's configuration has them.
func (t tiers) express() map[string]any {
	in := func(q quota) map[string]any {
		return map[string]any{"limit": q.limit, "window": q.window.Milliseconds()}
	}
	flood := in(t.flood)
	flood["told"] = t.floodTold
	return map[string]any{"flood": flood, "global": in(t.global), "user": in(t.user)}
}
