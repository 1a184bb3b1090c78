//go:build linux

package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unit is a file of systemd: the values of each setting, in their order.
type unit map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "deploy/systemd", name))
	if err != nil {
		t.Fatal(err)
	}
	u := unit{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.ContainsAny(line[:1], "#[;") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			t.Fatalf("%s: %q is no setting", name, line)
		}
		u[key] = append(u[key], value)
	}
	return u
}

// one is the only value of a setting.
func (u unit) one(t *testing.T, key string) string {
	t.Helper()
	if len(u[key]) != 1 {
		t.Fatalf("%s= is there %d times", key, len(u[key]))
	}
	return u[key][0]
}

// installed are the paths of the unit, and where a test has these things.
type installed struct{ config, state string }

// command is a command of the unit on this machine.
func (i installed) command(line string) []string {
	return strings.Fields(i.place(line))
}

func (i installed) place(text string) string {
	return strings.NewReplacer("/usr/local/bin/yett", binary, "/etc/yett/yett.yaml", i.config, "/var/lib/yett", i.state).Replace(text)
}

// environment is what the unit says of it.
func (i installed) environment(u unit) (env []string) {
	for _, e := range u["Environment"] {
		env = append(env, i.place(e))
	}
	return env
}
