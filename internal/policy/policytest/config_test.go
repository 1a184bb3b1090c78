package policytest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExample(t *testing.T) {
	tests := []struct{ name, doc, want string }{
		{"among other blocks", "// Package a is.\n//\n//\tGET / HTTP/1.1\n//\n//\tpolicies:\n//\t  a:\n//\t    b: c\n//\n// And so on.\n//\n//\tpolicies:\n//\t  z: z\npackage a\n",
			"policies:\n  a:\n    b: c\n"},
		{"none", "// Package a is.\npackage a\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "doc.go")
			if err := os.WriteFile(file, []byte(tt.doc), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := example(file)
			if strings.TrimSpace(got) != strings.TrimSpace(tt.want) || (err == nil) != (tt.want != "") {
				t.Errorf("%q %v, want %q", got, err, tt.want)
			}
		})
	}
}
