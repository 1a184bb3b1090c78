package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"yett/internal/control"
)

func (p Process) restartCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restart [NAME]",
		Short: "Put new workers in the place of all",
		Long: `Restart puts new workers in the place of those of a cluster, one at a time: a new one has to
be ready before an old one drains, so that nothing is dropped. They read the configuration
anew. When the first can't serve, the old ones go on, and the exit code is 1. Workers that
were given up after crashes are tried again.

The program stays the one that runs; yett upgrade takes the one on disk.`,
		Example: `  yett restart
  yett restart gateway`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: p.completeInstance,
	}
	return p.order(cmd, func(ctx context.Context, n neighbour) error { return n.ask.Restart(ctx) })
}

// order completes a verb that has a gateway do something, and shows how it is then.
func (p Process) order(cmd *cobra.Command, do func(context.Context, neighbour) error) *cobra.Command {
	asJSON := cmd.Flags().Bool("json", false, "print JSON: a list, as yett status does")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := p.answering(cmd.Context(), firstOf(args))
		if err != nil {
			return err
		}
		if err := do(cmd.Context(), n); err != nil {
			return explain(err, "nothing was changed")
		}
		return p.showStatus(cmd.Context(), []neighbour{n}, *asJSON)
	}
	return cmd
}

// answering finds an instance that can be asked.
func (p Process) answering(ctx context.Context, name string) (neighbour, error) {
	n, err := p.neighbour(name)
	if err == nil && n.ask == nil {
		err = errors.New(look(ctx, n).Remedy)
	}
	return n, err
}

func (p Process) scaleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scale N [NAME]",
		Short: "Change how many workers there are",
		Long: `Scale starts workers, or has the last ones drain, until there are N. +N and -N are that many
more or fewer than now. It returns when those that were added are ready, or those that
were too many have ended. N and NAME may stand in either order.`,
		Example: `  yett scale 4
  yett scale +1 gateway
  yett scale -- -1`,
		Args: cobra.RangeArgs(1, 2),
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON: a list, as yett status does")
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if wrong, ok := errors.AsType[*pflag.NotExistError](err); ok && isNumber(wrong.GetSpecifiedShortnames()) {
			err = fmt.Errorf("for fewer workers write -- before the number: yett scale -- -%s", wrong.GetSpecifiedShortnames())
		}
		return misusedFlag(cmd, err)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 2 && !isNumber(args[0]) { // NAME N, as others have it
			args[0], args[1] = args[1], args[0]
		}
		if !isNumber(args[0]) {
			return misuse(cmd, fmt.Errorf("%s is no number of workers: want one such as 4, +1 or -1", printable(quote(args[0]))))
		}
		n, err := p.answering(cmd.Context(), firstOf(args[1:]))
		if err != nil {
			return err
		}
		workers, err := wanted(cmd.Context(), n, args[0])
		if err != nil {
			return err
		}
		if err := n.ask.Scale(cmd.Context(), workers); err != nil {
			return err
		}
		return p.showStatus(cmd.Context(), []neighbour{n}, *asJSON)
	}
	return cmd
}

func isNumber(text string) bool {
	_, err := strconv.Atoi(text)
	return err == nil
}

// wanted is how many workers there shall be, of a text that is a number.
func wanted(ctx context.Context, n neighbour, text string) (int, error) {
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0, err
	}
	if text[0] != '+' && text[0] != '-' {
		return number, nil
	}
	st, err := n.ask.Status(ctx)
	if err != nil {
		return 0, err
	}
	for _, w := range st.Workers {
		if w.State != control.Draining {
			number++
		}
	}
	return number, nil
}

func (p Process) upgradeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "upgrade [NAME]",
		Short: "Have a gateway run the program that is on disk now",
		Long: `Upgrade puts processes of the program that is on disk now in the place of those that run,
which drain then; nothing is dropped. When a new process can't serve, the old ones go on,
the exit code is 1, and why is told.

In a cluster the workers are replaced one at a time, then the supervisor replaces itself
and keeps its number.`,
		Example: `  yett upgrade
  yett upgrade gateway`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: p.completeInstance,
	}
	return p.order(cmd, upgradeAndWait)
}

// succession is how long the process that answers may take to be the new one.
const succession = 10 * time.Second

// upgradeAndWait returns when the new process answers.
func upgradeAndWait(ctx context.Context, n neighbour) error {
	before, err := n.ask.Status(ctx)
	if err != nil {
		return err
	}
	if err := n.ask.Upgrade(ctx); err != nil {
		return err
	}
	for until := time.Now().Add(succession); time.Now().Before(until) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		now, err := n.ask.Status(ctx)
		if err == nil && now.State == control.Ready && (now.PID != before.PID || !now.Started.Equal(before.Started)) {
			return nil
		}
	}
	return fmt.Errorf("the new processes serve, but the one that answers for them is still the old one; its log says why (%s)", n.dir.Logs())
}
