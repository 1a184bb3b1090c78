package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// rows is the architecture: a package imports packages of lower rows only,
// and a package below another may import that one. docs/ARCHITECTURE.md says
// what each is for. A package that is missing here fails the test, so that
// nobody adds one without saying where it stands.
var rows = map[string]int{
	"exchange": 0, "upstream/epoch": 0, "jsontext": 0, "ascii": 0, "problem": 0, "sock": 0, "store": 0, "sweep": 0, "instance": 0, "handover": 0, "wire": 1, "config": 1, "telemetry": 1, "store/*": 1, "store/deadline": 0, "store/local": 2, "revocation": 1, "telemetry/logfile": 0, "telemetry/console": 0, "usage": 0, "upstream/breaker": 1, "upstream/balance": 1, "upstream/retry": 1, "upstream/latency": 1, "upstream/shed": 1, "upstream/discover": 1, "overload": 1, "openapi": 1, "openapi/lint": 2, "openapi/diff": 2, "openapi/sample": 2, "openapi/contract": 2, "openapi/source": 3, "route": 2, "manners": 2, "upstream": 2, "token": 2, "role": 2, "assertion": 2, "meter": 2, "control/history": 1, "limit": 3, "policy": 4, "policy/*": 5, "catalog": 6, "snapshot": 7, "control/plan": 7, "control/watch": 0, "telemetry/logread": 1,
	"apidocs/ui": 7, "gateway": 8, "apidocs": 8, "control": 8, "control/socket": 9,
	"engine": 9, "engine/*": 9, "admin": 9,
	"app": 10, "supervisor": 10,
	"access": 11,
	"cli":    12,
}

const module = "yett/internal/"

func TestImportsGoDown(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		seen++
		checkFile(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Errorf("only %d files seen: the test looks in the wrong place", seen)
	}
}

func checkFile(t *testing.T, path string) {
	from := filepath.ToSlash(filepath.Dir(path))
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Error(err)
			continue
		}
		to, ours := strings.CutPrefix(name, module)
		if ours {
			checkImport(t, path, from, to)
		} else if strings.HasPrefix(name, "yett/") && from != "cli" {
			t.Errorf("%s imports %s: only cli may use the example platform", path, name)
		}
	}
}

func checkImport(t *testing.T, path, from, to string) {
	up, known := row(from)
	down, knownTo := row(to)
	switch {
	case !known:
		t.Errorf("%s: package %s has no row; add it to the table and to docs/ARCHITECTURE.md", path, from)
	case !knownTo:
		t.Errorf("%s imports %s, which has no row", path, to)
	case strings.HasPrefix(from, to+"/"):
		// a package may import its parent
	case down >= up:
		t.Errorf("%s (row %d) imports %s (row %d): imports go to lower rows only", path, up, to, down)
	}
}

func row(pkg string) (int, bool) {
	if n, ok := rows[pkg]; ok {
		return n, true
	}
	parent, _, _ := strings.Cut(pkg, "/")
	n, ok := rows[parent+"/*"]
	return n, ok
}
