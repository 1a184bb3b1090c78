package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
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
with --strict also when there is a warning. Each finding ends with the name of its rule; what
is found by a rule of --ignore is neither told nor counted.`,
		Example: `  yett docs lint openapi.yaml
  yett docs lint -c yett.yaml
  yett docs lint --rules
  yett docs lint --ignore tag-undeclared --ignore servers openapi.yaml
  curl -s https://api.example.com/openapi.json | yett docs lint --strict -
  yett docs lint --json openapi.yaml | jq '.findings[] | select(.severity == "error")'`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeDocuments,
	}
	file := p.configFlag(cmd)
	var f lintFlags
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(cmd, args); err != nil {
			return misuse(cmd, err)
		}
		if f.rules {
			return printRules(cmd.OutOrStdout(), f.json)
		}
		report := lintReport{Findings: []findingRow{}, Notes: []noteRow{}}
		var err error
		if len(args) == 0 {
			err = p.lintPlatform(cmd.Context(), file(), &f, &report)
		} else {
			err = lintFiles(args, cmd.InOrStdin(), f.ignore, &report)
		}
		if err != nil {
			return err
		}
		return report.print(cmd.OutOrStdout(), f.json, f.strict)
	}
	return cmd
}

// lintFlags are the words of the command line.
type lintFlags struct {
	wait                time.Duration
	ignore              []string
	strict, json, rules bool
}

func (f *lintFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	waitFlag(cmd, &f.wait)
	flags.BoolVar(&f.strict, "strict", false, "fail for warnings too")
	flags.StringArrayVar(&f.ignore, "ignore", nil, "name of a rule that is not wanted; may be repeated")
	flags.BoolVar(&f.rules, "rules", false, "list the rules, and what to do about what they find")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	var rules []cobra.Completion
	for _, r := range lint.Rules() {
		rules = append(rules, cobra.CompletionWithDesc(r.Name, r.Finds))
	}
	if err := cmd.RegisterFlagCompletionFunc("ignore", cobra.FixedCompletions(rules, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is not there
	}
}

// check checks what the command line says.
func (f *lintFlags) check(cmd *cobra.Command, files []string) error {
	if f.rules {
		for _, flag := range []string{"config", "wait", "strict", "ignore"} {
			if cmd.Flags().Changed(flag) {
				return fmt.Errorf("--%s means nothing with --rules, which looks at no document", flag)
			}
		}
		if len(files) > 0 {
			return errors.New("FILE means nothing with --rules, which looks at no document")
		}
	}
	if len(files) > 0 {
		for _, flag := range []string{"config", "wait"} {
			if cmd.Flags().Changed(flag) {
				return fmt.Errorf("--%s means nothing with FILE: without FILE the documents of a configuration are looked at", flag)
			}
		}
	}
	if f.wait <= 0 {
		return errors.New("--wait is not more than 0s")
	}
	return cmp.Or(knownRules(f.ignore), onceStdin(files))
}

// knownRules checks that there are rules of these names.
func knownRules(names []string) error {
	var known []string
	for _, r := range lint.Rules() {
		known = append(known, r.Name)
	}
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		hint := "see --rules"
		if near := problem.Nearest(name, known); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return fmt.Errorf("--ignore is %q, and there is no such rule; %s", name, hint)
	}
	return nil
}

// ruleRow is a rule as programs read it.
type ruleRow struct {
	Rule     string        `json:"rule"`
	Severity lint.Severity `json:"severity"`
	Finds    string        `json:"finds"`
	Remedy   string        `json:"remedy"`
}

// printRules lists the rules.
func printRules(w io.Writer, asJSON bool) error {
	var rows []ruleRow
	for _, r := range lint.Rules() {
		rows = append(rows, ruleRow{r.Name, r.Severity, r.Finds, r.Remedy})
	}
	if asJSON {
		return printJSON(w, map[string][]ruleRow{"rules": rows})
	}
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%s (%s)\n  finds:  %s\n  remedy: %s\n", r.Rule, r.Severity, r.Finds, r.Remedy)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func lintFiles(names []string, stdin io.Reader, without []string, report *lintReport) error {
	for _, name := range names {
		found, err := lintFile(name, stdin, without)
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
func (p Process) lintPlatform(ctx context.Context, file string, f *lintFlags, report *lintReport) error {
	docs, err := p.documents(ctx, file, f.wait)
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
		report.add(lint.Lint(d, f.ignore...))
	}
	text := exported(docs, openapi.Version31, true)
	most := openapi.DefaultLimits()
	most.Bytes = max(most.Bytes, int64(len(text)))
	d, err := openapi.Parse(merged, text, most)
	if err != nil {
		return fmt.Errorf("the gateway's document can't be read again: %w", err)
	}
	report.Documents++
	report.add(lint.Lint(d, f.ignore...))
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
func lintFile(name string, stdin io.Reader, without []string) ([]lint.Finding, error) {
	name, data, err := readText(name, stdin)
	if err != nil {
		return nil, err
	}
	found, err := lint.Text(name, data, openapi.DefaultLimits(), without...)
	if list, ok := errors.AsType[problem.List](err); ok {
		for _, p := range list {
			found = append(found, lint.Finding{Problem: p, Rule: notRead, Severity: lint.Error})
		}
		return found, nil
	}
	return found, err
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
