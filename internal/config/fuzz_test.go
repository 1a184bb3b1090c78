package config

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"yett/internal/problem"
)

// checkPlaces demands of every problem that an editor can jump to it.
func checkPlaces(t *testing.T, name string, input []byte, env string) {
	t.Helper()
	variables, _ := parseDotenv(".env", env)
	_, err := Parse("yett.yaml", input, MapEnv(variables))
	if err == nil {
		return
	}
	var problems problem.List
	if !errors.As(err, &problems) {
		t.Fatalf("%s: %v is no list of problems", name, err)
	}
	lines := 1 + bytes.Count(input, []byte("\n"))
	for _, p := range problems {
		if p.File != "yett.yaml" || p.Line < 1 || p.Line > lines || p.Column < 1 || p.What == "" {
			t.Errorf("%s: %q is nowhere in %d lines", name, p, lines)
		}
	}
}

// FuzzParse holds that no input panics, takes long, or is answered without a
// place.
func FuzzParse(f *testing.F) {
	archive, err := txtar.ParseFile("testdata/bad.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		if bytes.HasSuffix([]byte(file.Name), []byte("/yett.yaml")) {
			f.Add(file.Data)
		}
	}
	f.Add([]byte(minimal))
	const most = 10 * time.Second // far above the usual milliseconds, for slow machines
	f.Fuzz(func(t *testing.T, input []byte) {
		begin := time.Now()
		checkPlaces(t, "input", input, "SECRET=hunter2\nEMPTY=\n")
		if took := time.Since(begin); took > most {
			t.Errorf("took %v for %d bytes", took, len(input))
		}
	})
}

// FuzzDotenv holds the same for .env files, and that no value leaks.
func FuzzDotenv(f *testing.F) {
	for _, seed := range []string{"A=b\n", "export A='b\nc' # d\n", `A="\n\"" b`, "A=b#c", "=", "A", "A=`b`", "A=\"b", "\uFEFFA=1\r\nB=2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, problems := parseDotenv(".env", text)
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.File != ".env" {
				t.Errorf("%q is nowhere", p)
			}
		}
	})
}
