//go:build linux

package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The compose file speaks of files, stages and variables that are there.
func TestComposeFits(t *testing.T) {
	folder := filepath.Join(root(t), "deploy/docker")
	var file struct {
		Services map[string]struct {
			Build struct {
				Context, Dockerfile, Target string
			}
			Volumes     []string
			Environment map[string]string
		}
	}
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if err := yaml.Unmarshal([]byte(read(filepath.Join(folder, "compose.yaml"))), &file); err != nil {
		t.Fatal(err)
	}
	config := read(filepath.Join(root(t), "examples/psa/yett.yaml"))
	for name, s := range file.Services {
		if s.Build.Context != "" {
			stages := read(filepath.Join(folder, s.Build.Context, s.Build.Dockerfile))
			if s.Build.Target != "" && !strings.Contains(stages, " AS "+s.Build.Target+"\n") {
				t.Errorf("%s: there is no stage %s", name, s.Build.Target)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if !fileExists(filepath.Join(folder, from)) {
				t.Errorf("%s: there is no %s", name, from)
			}
		}
		for variable := range s.Environment {
			known := regexp.MustCompile(`\$\{`+variable+`[:}]`).MatchString(config) || variable == "GOMEMLIMIT"
			if strings.HasPrefix(name, "gateway") && !known {
				t.Errorf("%s: the configuration has no ${%s}", name, variable)
			}
		}
	}
	if len(file.Services) != 4 {
		t.Errorf("%d services", len(file.Services))
	}
}
