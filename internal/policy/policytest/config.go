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

// gatewayConfig is the least that a policies section needs around itself.
const gatewayConfig = `
listeners:
  - address: 127.0.0.1:0
routes:
  - name: all
    path: /**
    auth: none
`

// Build makes a policy from its part of a configuration, as YAML. Nothing is
// the defaults.
func Build(tb testing.TB, k *policy.Kind, yaml string) policy.Policy {
	tb.Helper()
	p, problems := TryBuild(tb, k, yaml)
	if len(problems) > 0 {
		tb.Fatalf("build %s:\n%v", k.Name, problems)
	}
	return p
}

// TryBuild is Build that hands out the problems.
func TryBuild(tb testing.TB, k *policy.Kind, yaml string) (policy.Policy, problem.List) {
	tb.Helper()
	section := "policies:\n  " + k.Name + ":\n"
	for line := range strings.Lines(yaml) {
		section += "    " + line
	}
	d, err := decoder(k, section)
	if err != nil {
		tb.Fatalf("%v in\n%s", err, section)
	}
	return k.Build(d, Deps())
}

// decoder finds the policy in a policies section.
func decoder(k *policy.Kind, section string) (policy.Decoder, error) {
	none := func(string) (string, bool) { return "", false }
	c, err := config.Parse("test.yaml", []byte(gatewayConfig+section), none)
	if err != nil {
		return nil, err
	}
	for _, entry := range c.Policies {
		if entry.Name == k.Name {
			return entry.Config, nil
		}
	}
	return nil, fmt.Errorf("there is no %s", k.Name)
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
