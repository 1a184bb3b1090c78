package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"yett/internal/openapi/lint"
	"yett/internal/problem"
)

func (p Process) docsLintCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Say what is wrong with OpenAPI documents",
		Long: `Lint holds OpenAPI documents (3.0 and 3.1, as JSON or YAML) against the specification, and
against what people and generators need: examples that fit, parameters that are described,
names that are there once. - stands for standard input. Nothing is fetched.

What is found comes one to a line, as file:line:column. Errors make the document wrong,
warnings less useful. The exit code is 1 when there is an error, with --strict also when
there is a warning.`,
		Example: `  yett docs lint openapi.yaml
  curl -s https://api.example.com/openapi.json | yett docs lint --strict -
  yett docs lint --json openapi.yaml | jq '.findings[] | select(.severity == "error")'`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeDocuments,
	}
	strict := cmd.Flags().Bool("strict", false, "fail for warnings too")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := onceStdin(args); err != nil {
			return misuse(cmd, err)
		}
		report := lintReport{Documents: len(args), Findings: []findingRow{}}
		for _, name := range args {
			found, err := lintFile(name, cmd.InOrStdin())
			if err != nil {
				return err
			}
			report.add(found)
		}
		return report.print(cmd.OutOrStdout(), *asJSON, *strict)
	}
	return cmd
}

// notRead is the rule of what stands in the way of reading a document at all.
const notRead = "document"

// lintFile returns what is wrong with a document, the error where there is none to read.
func lintFile(name string, stdin io.Reader) ([]lint.Finding, error) {
	d, err := readDocument(name, stdin)
	if list, ok := errors.AsType[problem.List](err); ok {
		var all []lint.Finding
		for _, p := range list {
			all = append(all, lint.Finding{Problem: p, Rule: notRead, Severity: lint.Error})
		}
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	return lint.Lint(d), nil
}

// lintReport is what was found in all documents.
type lintReport struct {
	Documents int          `json:"documents"`
	Errors    int          `json:"errors"`
	Warnings  int          `json:"warnings"`
	Findings  []findingRow `json:"findings"`
}

// findingRow is a finding as programs read it.
type findingRow struct {
	File     string        `json:"file"`
	Line     int           `json:"line,omitempty"`
	Column   int           `json:"column,omitempty"`
	Path     string        `json:"path,omitempty"`
	Severity lint.Severity `json:"severity"`
	Rule     string        `json:"rule"`
	What     string        `json:"what"`
	Hint     string        `json:"hint,omitempty"`
	text     string
}

func (r *lintReport) add(found []lint.Finding) {
	for _, f := range found {
		if f.Severity == lint.Error {
			r.Errors++
		} else {
			r.Warnings++
		}
		r.Findings = append(r.Findings, findingRow{f.File, f.Line, f.Column, f.Path, f.Severity, f.Rule, f.What, f.Hint, f.String()})
	}
}

// print writes the report. The error says that there is something to mend.
func (r *lintReport) print(w io.Writer, asJSON, strict bool) error {
	closing := fmt.Sprintf("%s in %s", counts("nothing found", []int{r.Errors, r.Warnings}, "error", "warning"), count(r.Documents, "document"))
	failed := r.Errors > 0 || strict && r.Warnings > 0
	var err error
	if asJSON {
		err = printJSON(w, r)
	} else {
		for _, f := range r.Findings {
			fmt.Fprintln(w, printable(f.text))
		}
		if !failed {
			_, err = fmt.Fprintln(w, closing)
		}
	}
	if err == nil && failed {
		err = errors.New(closing)
	}
	return err
}
