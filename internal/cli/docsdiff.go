package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"yett/internal/openapi/diff"
	"yett/internal/problem"
)

func (p Process) docsDiffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say what has changed between two OpenAPI documents, and what breaks clients",
		Long: `Diff compares two OpenAPI documents (3.0 and 3.1, as JSON or YAML), where one of them may be
-, for standard input. A change is breaking when a client that keeps to the old document
fails, a warning when one may that took it by its word, and info otherwise.

The exit code is 1 when there is a breaking change (--fail-on says from which level on),
and 2 when the documents can't be compared.`,
		Example: `  yett docs diff released.yaml openapi.yaml
  curl -s https://api.example.com/openapi.json | yett docs diff - openapi.yaml
  yett docs diff --fail-on none --json released.yaml openapi.yaml | jq '.changes[].id'`,
		Args:              twoDocuments,
		ValidArgsFunction: completeDocuments,
	}
	failOn := cmd.Flags().String("fail-on", "breaking", "from which level on the exit code is 1: breaking, warning or none")
	all := cmd.Flags().BoolP("verbose", "v", false, "print what is of no consequence too")
	asJSON := cmd.Flags().Bool("json", false, "print JSON, with all changes")
	if err := cmd.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions(failLevels, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is not there
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(failLevels, *failOn) {
			return misuse(cmd, fmt.Errorf("--fail-on is %q, %s", *failOn, problem.DidYouMean(*failOn, failLevels)))
		}
		r, err := diffFiles(args, cmd.InOrStdin())
		if err != nil {
			return misuse(cmd, err)
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), diffReport(r))
		} else {
			err = printDiff(cmd.OutOrStdout(), r, *all)
		}
		return cmp.Or(err, failedDiff(r, *failOn))
	}
	return cmd
}

// twoDocuments is the check of a command that compares OLD and NEW.
func twoDocuments(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return errors.New("two documents are compared: name the old one and the new one")
	case 1:
		return fmt.Errorf("two documents are compared, and only %s is named: name the old one and the new one", printable(args[0]))
	case 2:
		return nil
	}
	return fmt.Errorf("two documents are compared, and %d are named: name the old one and the new one", len(args))
}

var failLevels = []string{diff.Breaking.String(), diff.Warning.String(), "none"}

// diffFiles compares the documents of two files.
func diffFiles(names []string, stdin io.Reader) (*diff.Result, error) {
	if err := onceStdin(names); err != nil {
		return nil, err
	}
	before, err := readDocument(names[0], stdin)
	if err != nil {
		return nil, err
	}
	after, err := readDocument(names[1], stdin)
	if err != nil {
		return nil, err
	}
	return diff.Compare(before, after)
}

// failedDiff is the error of changes that are worse than what passes.
func failedDiff(r *diff.Result, failOn string) error {
	bad := r.Counts[diff.Breaking]
	if failOn == diff.Warning.String() {
		bad += r.Counts[diff.Warning]
	}
	if bad == 0 || failOn == "none" {
		return nil
	}
	return errors.New(diffCounts(r))
}

func diffCounts(r *diff.Result) string {
	return counts("no changes", []int{r.Counts[diff.Breaking], r.Counts[diff.Warning], r.Counts[diff.Info]}, "breaking change", "warning", "other change")
}

// changesReport is what has changed, as programs read it.
type changesReport struct {
	Breaking int           `json:"breaking"`
	Warnings int           `json:"warnings"`
	Infos    int           `json:"infos"`
	Changes  []diff.Change `json:"changes"`
}

func diffReport(r *diff.Result) changesReport {
	return changesReport{r.Counts[diff.Breaking], r.Counts[diff.Warning], r.Counts[diff.Info], append([]diff.Change{}, r.Changes...)}
}

// printDiff writes the changes by operation, and how many there are.
func printDiff(w io.Writer, r *diff.Result, all bool) error {
	var told [3]int
	operation, first := "", true
	for _, c := range r.Changes {
		if told[c.Level]++; c.Level == diff.Info && !all {
			continue
		}
		if first || c.Operation != operation {
			fmt.Fprintln(w, printable(cmp.Or(c.Operation, "the whole document")))
			operation, first = c.Operation, false
		}
		fmt.Fprintf(w, "  %s: %s (%s)\n", c.Level, printable(c.Text), c.ID)
		if c.More > 0 {
			fmt.Fprintf(w, "    also in %s\n", count(c.More, "further operation"))
		}
		fmt.Fprintf(w, "    %s -> %s\n", printable(c.Old.String()), printable(c.New.String()))
	}
	for level, n := range r.Counts {
		if more := n - told[level]; more > 0 {
			fmt.Fprintf(w, "and %d more of the level %s\n", more, diff.Level(level))
		}
	}
	_, err := fmt.Fprintln(w, diffCounts(r))
	return err
}
