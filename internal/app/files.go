package app

import (
	"context"
	"crypto/sha256"
	"slices"

	"yett/internal/config"
	"yett/internal/control"
	"yett/internal/control/watch"
	"yett/internal/snapshot"
)

// follow follows the files that reload.watch means, of what runs now. begins tells that the
// configuration file is what runs.
func (a *App) follow(begins bool) {
	if a.watcher != nil && !a.stopping.Load() {
		a.following.Lock()
		defer a.following.Unlock()
		a.watcher.Follow(a.followed(begins))
	}
}

// followed returns the files with the sums that they had when they were read.
func (a *App) followed(begins bool) map[string]watch.Sum {
	snap := a.gateway.Snapshot()
	files := make(map[string]watch.Sum)
	mode := snap.Config.Reload.Watch
	if mode == "off" {
		return files
	}
	for path, sum := range snap.Files() {
		files[path] = sum
	}
	if mode != "all" {
		return files
	}
	for _, path := range openAPIFiles(snap.Config) {
		files[path] = snapshot.SumOf(path)
	}
	if a.o.Source != nil || a.o.Supervised {
		return files
	}
	dotenv := config.DotenvBeside(a.o.File)
	files[a.o.File], files[dotenv] = snapshot.SumOf(a.o.File), snapshot.SumOf(dotenv)
	if text := a.control.Text(); begins && text != nil {
		files[a.o.File] = sha256.Sum256(text.Data)
		if text.Dotenv != nil {
			files[dotenv] = sha256.Sum256(text.Dotenv)
		}
	}
	return files
}

// openAPIFiles are the files with documents of services.
func openAPIFiles(c *config.Config) (paths []string) {
	for _, e := range c.Services {
		if f := e.Value.OpenAPI.File; f != "" {
			paths = append(paths, c.Source.Resolve(f))
		}
	}
	return paths
}

// filesChanged takes what files contain now that were followed. When the configuration is not
// among them, what runs is made anew, and not what somebody may be editing.
func (a *App) filesChanged(paths []string) {
	const cause = "watch"
	ctx := context.Background()
	snap := a.gateway.Snapshot()
	has := func(path string) bool { return slices.Contains(paths, path) }
	a.log.Info("files have changed", "files", paths)
	var err error
	switch {
	case has(a.o.File):
		_, err = a.control.Propose(ctx, control.Proposal{Cause: cause})
	case has(config.DotenvBeside(a.o.File)):
		text := a.control.Text()
		_, err = a.control.Propose(ctx, control.Proposal{Cause: cause, Text: string(text.Data), File: text.Name})
	case slices.ContainsFunc(paths, func(p string) bool { _, ok := snap.Files()[p]; return ok }):
		_, err = a.control.Renew(ctx, cause)
	}
	if err != nil {
		a.log.Warn("changed files were not looked at", "error", err)
		return
	}
	if slices.ContainsFunc(openAPIFiles(a.Config()), has) {
		a.gateway.Snapshot().Documents().Start() // which has them looked at
	}
	a.follow(false)
}
