package cli

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode"
)

// What a document says must not do anything to a terminal, and can't forge lines.
func TestDocumentsArePrintable(t *testing.T) {
	good := document(t, "good.yaml", deskDocument)
	for name, text := range map[string]string{
		"reference": `{"openapi": "3.1.0", "info": {"title": "\u001b[2J", "version": "1"}, "paths": {"/\u001b[31mx\nyett: fine": {"get": {"responses": {"200": {"$ref": "#/components/responses/\u001b[1m"}}}}}}`,
		"kind":      `{"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {"/\u001b[31mx\nyett: fine": {"get": {"parameters": [{"name": "\u001b[2J", "in": "\u009b1m"}, {"name": "\u001b[2J", "in": "\u009b1m"}], "operationId": "\u001b[8m", "responses": 7}}}}`,
		"yaml":      "openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths:\n  \"/\\e[31mx\\nyett: fine\": {get: 7}\n  \"/\\e[31mx\\nyett: fine\": {get: 7}\n",
		"servers":   `{"openapi": "3.1.0\u001b[1m", "paths": {}}`,
	} {
		bad := document(t, "bad.json", text)
		for _, args := range [][]string{{"docs", "diff", bad, good}, {"docs", "diff", good, bad}, {"docs", "lint", bad}, {"init", "--from-openapi", bad}} {
			got := call(t, nil, args...)
			all := got.stdout + got.stderr
			if strings.ContainsFunc(all, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) || strings.Contains(all, "\nyett: fine") {
				t.Errorf("%s: %v prints %q", name, args[:2], all)
			}
		}
	}
}

// What is no file is not waited for.
func TestOnlyFilesAreRead(t *testing.T) {
	good := document(t, "good.yaml", deskDocument)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, name := range map[string]string{fifo: fifo + " is no regular file", "/dev/zero": "/dev/zero is no regular file", t.TempDir(): " is a folder"} {
		for _, args := range [][]string{{"docs", "diff", what, good}, {"docs", "lint", what}, {"init", "--from-openapi", what}} {
			got := call(t, nil, args...)
			if got.code == exitOK || !strings.Contains(got.stderr, name) {
				t.Errorf("%q: %+v", args, got)
			}
		}
	}
}

// A document is written whole or not at all, and what is no file stays what it is.
func TestExportReplaces(t *testing.T) {
	conf := docsPlatform(t, says(deskDocument), chairsDocument)
	folder := t.TempDir()
	target, link, fifo := filepath.Join(folder, "target.json"), filepath.Join(folder, "link.json"), filepath.Join(folder, "fifo")
	if err := os.WriteFile(target, []byte("before"), 0o640); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(target)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := call(t, nil, "docs", "export", "-c", conf, "-o", link); got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	was := make([]byte, 10)
	n, _ := old.Read(was)
	if text, err := os.ReadFile(target); err != nil || !strings.HasPrefix(string(text), "{") || string(was[:n]) != "before" {
		t.Errorf("%v: the file became %.20q, who reads the old one reads %q", err, text, was[:n])
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link has become %v, %v", info, err)
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file's mode has become %v, %v", info, err)
	}
	expectDocs(t, "device", call(t, nil, "docs", "export", "-c", conf, "-o", os.DevNull), exitOK, []string{"3 operations"}, nil)
	expectDocs(t, "FIFO", call(t, nil, "docs", "export", "-c", conf, "-o", fifo), exitFail, nil, []string{"no regular file; leave out -o"})
	if left, err := os.ReadDir(folder); err != nil || len(left) != 3 {
		t.Errorf("%v, %v", left, err)
	}
}
