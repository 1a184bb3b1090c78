package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"yett/internal/access"
	"yett/internal/app"
	"yett/internal/config"
)

func (p Process) testCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Hold a table of who may do what against a configuration",
		Long: `Test takes requests through the gateway of a configuration, by the code that serves, as
each of the callers of a table, and compares what comes of it with what the table expects.
Nothing is sent, and no secret is needed: the callers' tokens are signed with a key that
is made and believed for this once.

docs/testing-access.md says how a table is written. The exit code is 1 when there is a
difference.`,
		Example: `  yett test access.yaml
  yett test -c /etc/yett/yett.yaml access/*.yaml
  yett test --json access.yaml | jq '.[].rows[] | select(.ok | not)'`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return []cobra.Completion{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	file := p.configFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON, with all rows")
	all := cmd.Flags().BoolP("verbose", "v", false, "print what is as expected too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o := p.options("")
		if cmd.Flags().Changed("config") {
			o.File = file()
		}
		reports, err := runTables(args, o, file())
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), reports)
		} else {
			err = printReports(cmd.OutOrStdout(), reports, *all)
		}
		return errors.Join(err, differences(reports))
	}
	return cmd
}

// runTables runs all tables. usual is the configuration of those that name
// none, where none was named for all.
func runTables(files []string, o app.Options, usual string) ([]*access.Report, error) {
	var reports []*access.Report
	for _, name := range files {
		table, err := loadTable(name, o.Env)
		if err != nil {
			return nil, explain(err, name+" was not run")
		}
		own := o
		if own.File == "" && table.ConfigFile() == "" {
			own.File = usual
		}
		report, err := table.Run(own)
		if err != nil {
			return nil, explain(err, name+" was not run")
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// smallTable is a table, to show how one is written.
const smallTable = `{callers: {reader: {role: reader}}, tests: [{request: GET /, expect: {anonymous: 401, reader: pass}}]}`

// loadTable reads a table.
func loadTable(name string, env config.Env) (*access.File, error) {
	table, err := access.Load(name, env)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no table %s; docs/testing-access.md says how one is written, a small one is %s", printable(name), smallTable)
	}
	return table, err
}

func printReports(w io.Writer, reports []*access.Report, all bool) error {
	var b strings.Builder
	for _, r := range reports {
		different := len(r.Differences())
		for _, row := range r.Rows {
			switch {
			case !row.OK:
				printDifference(&b, r, row)
			case all:
				fmt.Fprintf(&b, "%s:%d:%d: %s as %s: %s\n", r.File, row.Line, row.Column, printable(row.Request), row.Caller, row.Got)
			}
		}
		if len(r.Unset) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", r.File, stoodIn(r.Unset))
		}
		if different == 0 {
			fmt.Fprintf(&b, "%s: ok, %s as expected of %s\n", r.File, count(len(r.Rows), "row"), r.Config)
			continue
		}
		fmt.Fprintf(&b, "%s: %d of %s not as expected of %s\n", r.File, different, count(len(r.Rows), "row"), r.Config)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printDifference(b *strings.Builder, r *access.Report, row access.Row) {
	fmt.Fprintf(b, "%s:%d:%d: %s as %s\n", r.File, row.Line, row.Column, printable(row.Request), row.Caller)
	fmt.Fprintf(b, "  expected  %s\n  got       %s\n", row.Expected, row.Got)
	label := "because"
	for _, line := range row.Because {
		fmt.Fprintf(b, "  %-9s %s\n", label, printable(line))
		label = ""
	}
	words := make([]string, len(row.Try))
	for i, w := range row.Try {
		words[i] = quote(w)
	}
	fmt.Fprintf(b, "  try       %s\n\n", strings.Join(words, " "))
}

// quote writes a word so that a shell reads it as one.
func quote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+,="
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// differences is the error of tables that are not as expected, nil if all are.
func differences(reports []*access.Report) error {
	different, rows := 0, 0
	for _, r := range reports {
		different += len(r.Differences())
		rows += len(r.Rows)
	}
	if different == 0 {
		return nil
	}
	return fmt.Errorf("%d of %s not as expected", different, count(rows, "row"))
}
