//go:build linux

package deploy

import (
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"
)

// chartConfig is the configuration that the chart has in its values.
func chartConfig(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "deploy/helm/yett/values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values struct {
		Config string `yaml:"config"`
	}
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	return values.Config
}
