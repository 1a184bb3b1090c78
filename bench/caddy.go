package main

import "path/filepath"

func caddyKind() kind {
	return kind{
		name:   "caddy",
		config: "Caddyfile",
		args: func(config string, _ settings) []string {
			return []string{"run", "--config", config, "--adapter", "caddyfile"}
		},
		// It would keep things in the user's folders.
		env: func(home string) []string {
			return []string{"XDG_CONFIG_HOME=" + filepath.Join(home, "config"), "XDG_DATA_HOME=" + filepath.Join(home, "data")}
		},
		version: []string{"version"},
		install: "caddy",
	}
}
