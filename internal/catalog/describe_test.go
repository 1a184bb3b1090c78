package catalog

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// silent are the policies with nothing to tell callers, and why.
func silent() map[string]string {
	return map[string]string{
		"cors":          "it refuses preflights alone, which browsers send, and no operation is one",
		"secureheaders": "what browsers may do with an answer is no concern of those who call",
		"identity":      "it tells the service, and callers nothing",
	}
}

// A policy that the document knows nothing of would be left out of it in silence: each one
// describes itself, or is listed as having nothing to say. Parts speak with one voice.
func TestEveryPolicyIsDescribed(t *testing.T) {
	folders, err := filepath.Glob("../policy/*/policy.go")
	if err != nil || len(folders) < 8 {
		t.Fatalf("%v, %q", err, folders)
	}
	listed := silent()
	for _, file := range folders {
		folder := filepath.Base(filepath.Dir(file))
		describes, why := describers(t, filepath.Dir(file)), listed[folder]
		delete(listed, folder)
		switch {
		case describes == 0 && why == "":
			t.Errorf("%s neither describes itself (policy.Describer) nor is it listed with nothing to say", folder)
		case describes > 0 && why != "":
			t.Errorf("%s describes itself, and is listed with nothing to say", folder)
		case describes > 1:
			t.Errorf("%d parts of %s describe themselves, so callers would be told things twice", describes, folder)
		}
	}
	for name := range listed {
		t.Errorf("there is no policy %s", name)
	}
}

// describers counts the methods of a package that make policy.Describers.
func describers(t *testing.T, folder string) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && describes(fn) {
				n++
			}
		}
	}
	return n
}

// describes tells whether a function is Describe(*policy.Description).
func describes(fn *ast.FuncDecl) bool {
	if fn.Recv == nil || fn.Name.Name != "Describe" || len(fn.Type.Params.List) != 1 || fn.Type.Results != nil {
		return false
	}
	pointer, ok := fn.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	name, ok := pointer.X.(*ast.SelectorExpr)
	return ok && name.Sel.Name == "Description"
}
