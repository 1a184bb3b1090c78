package app

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"yett/internal/config"
)

// docsPreamble is what the examples of the documentation take for granted.
const docsPreamble = `listeners: [{address: ":0"}]
issuers: {main: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}}
roles: {system_admin: {level: 100}}
`

// Every example of these pages loads. One that is a part of a service, or of the routes, is
// put where it belongs.
func TestDocumentationLoads(t *testing.T) {
	env := config.MapEnv(map[string]string{"STICKY_SECRET": "0123456789abcdef"})
	for page, examples := range map[string]int{"services.md": 7, "targets.md": 2, "canary.md": 1, "api-docs.md": 5, "reload.md": 2} {
		text, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```yaml\n")[1:]
		if len(blocks) != examples {
			t.Errorf("%s has %d examples, want %d", page, len(blocks), examples)
		}
		for _, block := range blocks {
			block, _, _ = strings.Cut(block, "```")
			if _, err := Check(Options{File: page, Source: []byte(docsPreamble + whole(block)), Env: env}); err != nil {
				t.Errorf("%v\nin\n%s", err, block)
			}
		}
	}
}

// whole makes a configuration of an example.
func whole(block string) string {
	switch {
	case strings.HasPrefix(block, "policies:\n"):
		block = strings.Replace(block, "policies:\n", "policies:\n  jwt:\n", 1) +
			"services:\n  example:\n    targets: [\"http://example:80\"]\n    openapi: {path: /openapi.json}\n"
	default:
		block = "policies: {jwt: }\n" + inSection(block)
	}
	if strings.Contains(block, "routes:\n") {
		return block
	}
	block += "\nroutes:\n  - {name: health, path: /health, auth: none, endpoint: health}\n"
	_, services, _ := strings.Cut(block, "services:\n")
	for _, service := range serviceLine.FindAllStringSubmatch(services, -1) {
		block += fmt.Sprintf("  - {name: %s, path: /%[1]s, auth: none, service: %[1]s}\n", service[1])
	}
	return block
}

// inSection puts a part of a section where it belongs.
func inSection(block string) string {
	switch {
	case strings.HasPrefix(block, "  - "):
		block = "routes:\n" + block
	case strings.HasPrefix(block, "    targets:"):
		block = "services:\n  example:\n" + block
	case strings.HasPrefix(block, "    "):
		block = "services:\n  example:\n    targets: [\"http://example:80\"]\n" + block
	}
	return block
}

// serviceLine is where a service begins in examples.
var serviceLine = regexp.MustCompile(`(?m)^  ([a-z-]+):$`)
