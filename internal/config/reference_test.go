package config

import (
	"os"
	"strings"
	"testing"
)

// TestReference compares with a whole page, which -update rewrites.
func TestReference(t *testing.T) {
	const file = "testdata/reference.md"
	got := Reference(samplePolicies())
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what the types say; run go test -update and look at the difference", file)
	}
	for _, line := range []string{
		"| `address` | text | **required** | host:port to bind; an empty host is every address, port 0 a free one. |",
		"| `header` | size | `32KB` | Largest header section, request line included; 431 beyond. From 256 to 1MB. |",
		"| `auth` | `none`, `optional`, `required` | **required** | Who may pass. There is no default: a public route says none. |",
		"| `burst` | whole number |  | Burst; as large as the limit when not set. At least 1. |",
		"### `listeners[].tls.certificates[]`",
		"### `services.<name>.timeouts`",
		"### `policies.cors.tiers[]`",
		"### `gzip`\n\nHas nothing to configure.",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("missing: %s", line)
		}
	}
}
