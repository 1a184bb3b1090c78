package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/apidocs"
	"yett/internal/openapi"
	"yett/internal/openapi/lint"
	"yett/internal/openapi/source"
	"yett/internal/problem"
)

func (p Process) docsLintCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint [FILE...]",
		Short: "Say what is wrong with OpenAPI documents",
		Long: `Lint holds OpenAPI documents (3.0 and 3.1, as JSON or YAML) against the specification, and
against what people and generators need: examples that fit, parameters that are described,
names that are there once. - stands for standard input.

Without FILE it takes the configuration: it gets the documents of the services, as the
gateway does, and looks at each of them, and at the gateway's own document, which is made of
them. Places in that have the lines of yett docs export --format yaml. Operations that are
not in it, because no route leads to them, are told as notes; those of routes with
docs: hidden are not.

What is found comes one to a line, as file:line:column. Errors make a document wrong,
warnings less useful. The exit code is 1 when there is an error, or a document can't be had,
with --strict also when there is a warning.`,
		Example: `  yett docs lint openapi.yaml
  yett docs lint -c yett.yaml
  curl -s https://api.example.com/openapi.json | yett docs lint --strict -
  yett docs lint --json openapi.yaml | jq '.findings[] | select(.severity == "error")'`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeDocuments,
	}
	file := p.configFlag(cmd)
	var wait time.Duration
	waitFlag(cmd, &wait)
	strict := cmd.Flags().Bool("strict", false, "fail for warnings too")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := lintWords(cmd, args, wait); err != nil {
			return misuse(cmd, err)
		}
		report := lintReport{Findings: []findingRow{}, Notes: []noteRow{}}
		var err error
		if len(args) == 0 {
			err = p.lintPlatform(cmd.Context(), file(), wait, &report)
		} else {
			err = lintFiles(args, cmd.InOrStdin(), &report)
		}
		if err != nil {
			return err
		}
		return report.print(cmd.OutOrStdout(), *asJSON, *strict)
	}
	return cmd
}

// lintWords checks what the command line says.
func lintWords(cmd *cobra.Command, files []string, wait time.Duration) error {
	if len(files) > 0 {
		for _, flag := range []string{"config", "wait"} {
			if cmd.Flags().Changed(flag) {
				return fmt.Errorf("--%s means nothing with FILE: without FILE the documents of a configuration are looked at", flag)
			}
		}
	}
	if wait <= 0 {
		return errors.New("--wait is not more than 0s")
	}
	return onceStdin(files)
}

func lintFiles(names []string, stdin io.Reader, report *lintReport) error {
	for _, name := range names {
		found, err := lintFile(name, stdin)
		if err != nil {
			return err
		}
		report.Documents++
		report.add(found)
	}
	return nil
}

// merged is the place of what is found in the gateway's document.
const merged = "merged"

// lintPlatform looks at the documents of a configuration's services, and at the gateway's.
func (p Process) lintPlatform(ctx context.Context, file string, wait time.Duration, report *lintReport) error {
	docs, err := p.documents(ctx, file, wait)
	if err != nil {
		return explain(err, "nothing was looked at")
	}
	names := make(map[string]string) // of documents, by service
	for i := range docs.Sources {
		s := &docs.Sources[i]
		if s.Phase != source.Good {
			report.add(cantBeHad(s))
			continue
		}
		d := docs.Snapshot.Documents().Of(s.Service).Loaded().Document
		names[s.Service] = d.File
		report.Documents++
		report.add(lint.Lint(d))
	}
	text := exported(docs, openapi.Version31, true)
	most := openapi.DefaultLimits()
	most.Bytes = max(most.Bytes, int64(len(text)))
	d, err := openapi.Parse(merged, text, most)
	if err != nil {
		return fmt.Errorf("the gateway's document can't be read again: %w", err)
	}
	report.Documents++
	report.add(lint.Lint(d))
	for _, l := range docs.Edition.Merged.Left {
		if !l.Hidden {
			report.note(names[l.Service], &l)
		}
	}
	return nil
}

// cantBeHad says why there is no document of a service, at each place that is wrong.
func cantBeHad(s *source.State) (all []lint.Finding) {
	for _, p := range s.Problems {
		all = append(all, lint.Finding{Problem: p, Rule: notRead, Severity: lint.Error})
	}
	if len(all) > 0 {
		return all
	}
	at := s.From
	if s.Kind == source.KindPath {
		at = s.Service + s.From
	}
	return []lint.Finding{{
		Problem: problem.Problem{File: at, What: fmt.Sprintf("the document of the service %s can't be had: %s", s.Service, whyMissing(s))},
		Rule:    notRead, Severity: lint.Error,
	}}
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
	// Notes are operations that callers do not reach.
	Notes []noteRow `json:"notes"`
}

// noteRow is an operation of a service that is not in the gateway's document. Without a method
// it stands for all of them.
type noteRow struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Service string `json:"service"`
	Method  string `json:"method,omitempty"`
	Path    string `json:"path,omitempty"`
	Why     string `json:"why"`
}

// note takes note of an operation that is not in the gateway's document.
func (r *lintReport) note(file string, l *apidocs.Left) {
	r.Notes = append(r.Notes, noteRow{file, l.Node.Line, l.Node.Column, l.Service, l.Method, l.Path, l.Why})
}

func (n *noteRow) String() string {
	what := "note: " + n.Why
	if n.Method != "" {
		what = fmt.Sprintf("note: %s %s is not in the gateway's document: %s", n.Method, n.Path, n.Why)
	}
	return problem.Problem{File: n.File, Line: n.Line, Column: n.Column, What: what}.String()
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
		for i := range r.Notes {
			fmt.Fprintln(w, printable(r.Notes[i].String()))
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
