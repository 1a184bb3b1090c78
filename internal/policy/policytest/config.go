package policytest

import (
	"fmt"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"yett/internal/config"
	"yett/internal/policy"
	"yett/internal/problem"
)

// Deps is what policies are built with in tests.
func Deps() policy.Deps {
	return policy.Deps{Gateway: "test-gateway", Version: "1.2.3"}
}

// Build makes a policy from its part of a configuration, as YAML. Nothing is
// the defaults.
func Build(tb testing.TB, k *policy.Kind, yaml string) policy.Policy {
	tb.Helper()
	return BuildWith(tb, k, yaml, Deps())
}

// TryBuild is Build that hands out the problems.
func TryBuild(tb testing.TB, k *policy.Kind, yaml string) (policy.Policy, problem.List) {
	tb.Helper()
	return TryBuildWith(tb, k, yaml, Deps())
}

// BuildWith is Build with other things than Deps to build from.
func BuildWith(tb testing.TB, k *policy.Kind, yaml string, deps policy.Deps) policy.Policy {
	tb.Helper()
	p, problems := TryBuildWith(tb, k, yaml, deps)
	if len(problems) > 0 {
		tb.Fatalf("build %s:\n%v", k.Name, problems)
	}
	return p
}

// TryBuildWith is TryBuild with other things than Deps to build from.
func TryBuildWith(tb testing.TB, k *policy.Kind, yaml string, deps policy.Deps) (policy.Policy, problem.List) {
	tb.Helper()
	node, err := config.ParseNode("test.yaml", []byte(yaml), noVariables)
	if err != nil {
		tb.Fatalf("%v in\n%.2000s", err, yaml)
	}
	return k.Build(node, deps)
}

func noVariables(string) (string, bool) { return "", false }

// decoder finds a policy in a policies section.
func decoder(k *policy.Kind, section string) (policy.Decoder, error) {
	node, err := config.ParseNode("doc.go", []byte(section), noVariables)
	if err != nil {
		return nil, err
	}
	var c struct {
		Policies config.Policies `yaml:"policies"`
	}
	if err := node.Decode(&c).Err(); err != nil {
		return nil, err
	}
	entry, ok := c.Policies.Get(k.Name)
	if !ok {
		return nil, fmt.Errorf("there is no %s", k.Name)
	}
	return entry.Config, nil
}

// example returns the policies section that a doc.go shows: its indented
// block that starts with "policies:".
func example(file string) (string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		return "", err
	}
	var section strings.Builder
	for line := range strings.Lines(f.Doc.Text()) {
		code, indented := strings.CutPrefix(line, "\t")
		inside := section.Len() > 0
		switch {
		case indented && (inside || strings.HasPrefix(code, "policies:")):
			section.WriteString(code)
		case inside && strings.TrimSpace(line) != "":
			return section.String(), nil
		}
	}
	if section.Len() == 0 {
		return "", fmt.Errorf("%s shows no example: an indented block that starts with \"policies:\"", file)
	}
	return section.String(), nil
}
