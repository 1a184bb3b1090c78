package cli

import (
	"github.com/spf13/cobra"

	"yett/internal/control"
)

func (p Process) reloadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload [NAME]",
		Short: "Have a gateway take its configuration anew",
		Long: `Reload has a running gateway read its configuration file and .env, take them in all of its
processes or in none, and prints what has changed. Connections stay, and so do streams of
routes that are as they were.

With a mistake in them nothing changes, the places are printed, and the exit code is 1.
What only a new process can take, such as another store, brings new workers in a cluster,
one at a time; one process refuses it and says what to do.`,
		Example: `  yett reload
  yett reload gateway --json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: p.completeInstance,
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := p.answering(cmd.Context(), firstOf(args))
		if err != nil {
			return err
		}
		out, err := n.ask.Reload(cmd.Context(), control.Proposal{Cause: "reload"})
		if err != nil {
			return err
		}
		return p.showOutcome(out, *asJSON)
	}
	return cmd
}
