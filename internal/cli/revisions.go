package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/control"
	"yett/internal/control/history"
)

func (p Process) revisionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "revisions [NAME]",
		SuggestFor: []string{"history"},
		Short:      "List the configurations that a gateway has run",
		Long: `Revisions lists what a gateway has run, the newest first, as far as it is kept
(reload.keep), also when it doesn't run now. * marks what runs. Cause says what brought it:
start, reload, signal, watch or rollback; replaced is a file that never ran and that a
rollback has written over.

What is kept is the text of the file, without values of its ${VARIABLES}.`,
		Example: `  yett revisions
  yett revisions show 3fa9c1d2 | diff - yett.yaml
  yett rollback 3fa9c1d2`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: p.completeInstance,
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := p.neighbour(firstOf(args))
		if err != nil {
			return err
		}
		list, notes, err := n.list(cmd.Context())
		if err != nil {
			return err
		}
		for _, note := range notes {
			fmt.Fprintln(cmd.ErrOrStderr(), "yett:", printable(note))
		}
		if *asJSON {
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetIndent("", "  ")
			return e.Encode(list)
		}
		if len(list) == 0 {
			fmt.Fprintln(cmd.ErrOrStderr(), "yett: no revision is kept; reload.keep says how many are")
			return nil
		}
		_, err = io.WriteString(cmd.OutOrStdout(), revisionsText(list))
		return err
	}
	cmd.AddCommand(p.revisionCommand())
	return cmd
}

func (p Process) revisionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show REV [NAME]",
		Short: "Print the text of a revision",
		Long: `Show prints what was written, as it was. REV is an ID of yett revisions, or so much of its
beginning that no other has it.`,
		Example: `  yett revisions show 3fa9c1d2
  yett revisions show 3fa9 | diff - yett.yaml`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 && p.knows(args[0]) && !p.knows(args[1]) {
				args[0], args[1] = args[1], args[0]
			}
			n, err := p.neighbour(firstOf(args[1:]))
			if err != nil {
				return err
			}
			_, text, err := n.revision(args[0])
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}

func firstOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// list returns the revisions, the newest first, and notes about files that can't be used. A gateway
// that runs knows best: it also has what could not be written.
func (n neighbour) list(ctx context.Context) ([]control.Revision, []string, error) {
	entries, notes, err := n.revisions().Notes()
	if err != nil {
		return nil, nil, err
	}
	if n.ask != nil {
		list, err := n.ask.Revisions(ctx)
		return list, notes, err
	}
	list := make([]control.Revision, 0, len(entries))
	for _, e := range entries {
		list = append(list, control.Revision{ID: e.ID, Since: e.Since, Cause: e.Cause, File: e.File})
	}
	return list, notes, nil
}

// revision returns the text of one, by its ID or a beginning of it.
func (n neighbour) revision(id string) (history.Entry, []byte, error) {
	e, text, err := n.revisions().Text(id)
	if errors.Is(err, history.ErrUnknown) {
		err = fmt.Errorf("%w; see which ones are kept: yett revisions %s", err, n.dir.Name())
	}
	return e, text, err
}

func revisionsText(list []control.Revision) string {
	rows := [][]string{{"", "REVISION", "SINCE", "CAUSE", "FILE"}}
	for _, r := range list {
		mark := ""
		if r.Current {
			mark = "*"
		}
		rows = append(rows, []string{mark, r.ID, r.Since.Local().Format(time.DateTime), r.Cause, r.File})
	}
	return columns(rows)
}
