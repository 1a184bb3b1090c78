package config

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Nothing that is named instead of a file of keys hangs, or fills the memory.
func TestReadKeyFile(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(in("key"), []byte("a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(in("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("large"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(in("large"), mostKeyFile+1); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		in("pipe"): "it is a pipe", in("large"): "more than 16 MB", dir: "is a directory", "/dev/zero": "no ordinary file", in("none"): "no such file",
	} {
		if text, err := ReadKeyFile(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %d bytes, %v; want %q", path, len(text), err, want)
		}
	}
	if text, err := ReadKeyFile(in("key")); string(text) != "a key" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
