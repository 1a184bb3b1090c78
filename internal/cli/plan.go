package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/control"
	"yett/internal/control/plan"
	"yett/internal/problem"
)

// planFlags are those of yett plan.
type planFlags struct {
	against           string
	asJSON, wantsCode bool
}

func (p Process) planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan [FILE] [NAME]",
		Short: "Say what a configuration would change",
		Long: `Plan asks the running gateway what would be another if it took the configuration FILE:
what is added (+), removed (-) and changed (~), and what that means for what runs. Without
FILE it is the gateway's own file as it is now. Nothing is changed; yett reload does that.
Values of ${VARIABLES} are those that the gateway sees, and a change of one is a change.

NAME is which gateway, where several run here. Without it, that of the configuration here
(YETT_CONFIG, else yett.yaml) is asked, else the only one.

With --against OLD, FILE is compared with another file, and no gateway is asked. Variables
are those here, with a file .env beside each.

The exit code is 1 when FILE is refused, with its mistakes as file:line:column. With
--exit-code it is 2 when something would change and 0 when nothing would. A change that lets
pass what was refused before is marked as WARNING.`,
		Example: `  yett plan                            what did I edit?
  yett plan new.yaml
  yett plan yett.yaml --against /etc/yett/yett.yaml
  yett plan --exit-code || yett reload`,
		Args: cobra.MaximumNArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return []cobra.Completion{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	var f planFlags
	cmd.Flags().StringVar(&f.against, "against", "", "compare with this file, and ask no gateway")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&f.wantsCode, "exit-code", false, "exit with 2 when something would change")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file, name, err := p.fileAndName(args)
		if err != nil {
			return misuse(cmd, err)
		}
		var o control.Outcome
		switch {
		case f.against != "" && name != "":
			return misuse(cmd, errors.New("with --against no gateway is asked, so none can be named"))
		case f.against != "":
			o, err = p.planAgainst(file, f.against)
		default:
			o, err = p.planRunning(cmd.Context(), file, name)
		}
		if err != nil {
			return err
		}
		err = p.showOutcome(o, f.asJSON)
		if err == nil && f.wantsCode && !o.Plan.Same() {
			err = exitCode(exitChanges)
		}
		return err
	}
	return cmd
}

// exitChanges is the exit code of --exit-code when something changes.
const exitChanges = 2

// exitCode is an error of which everything has been said.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// fileAndName tells which of the words is which. A single one is a file when there is a file of that
// name, or it looks like one. Two that stand the other way round are turned, where names tell that.
func (p Process) fileAndName(args []string) (file, name string, err error) {
	switch {
	case len(args) == 0:
		return "", "", nil
	case len(args) == 2 && p.knows(args[0]) && !p.knows(args[1]):
		return args[1], args[0], nil
	case len(args) == 2:
		return args[0], args[1], nil
	}
	_, err = os.Stat(args[0])
	ext := filepath.Ext(args[0])
	if err == nil || strings.ContainsRune(args[0], '/') || ext == ".yaml" || ext == ".yml" {
		return args[0], "", nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	return "", args[0], nil
}

// planAgainst compares two files.
func (p Process) planAgainst(file, old string) (control.Outcome, error) {
	if file == "" {
		file = "yett.yaml"
	}
	now, err := config.Load(old, p.Env)
	if err != nil {
		return control.Outcome{}, explain(err, "nothing was compared")
	}
	o := control.Outcome{Revision: control.Revision{File: file}}
	snap, err := app.Check(p.options(file))
	if list, ok := errors.AsType[problem.List](err); ok {
		o.Problems = list
		return o, nil
	}
	if err != nil {
		return o, explain(err, "")
	}
	o.Plan = plan.Compare(now, snap.Config)
	return o, nil
}

// planRunning asks a gateway.
func (p Process) planRunning(ctx context.Context, file, name string) (control.Outcome, error) {
	n, err := p.answering(ctx, name)
	if err != nil {
		return control.Outcome{}, fmt.Errorf("%w; yett plan FILE --against OLD compares two files without a gateway", err)
	}
	var want control.Proposal
	if file != "" {
		if want, err = proposal(ctx, n, file); err != nil {
			return control.Outcome{}, err
		}
	}
	return n.ask.Plan(ctx, want)
}

// proposal is a file as a Proposal. The gateway reads its own file by itself, with the .env beside it.
func proposal(ctx context.Context, n neighbour, file string) (control.Proposal, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return control.Proposal{}, err
	}
	if own, err := n.file(ctx); err == nil && sameFile(own, file) {
		return control.Proposal{}, nil
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return control.Proposal{}, err
	}
	return control.Proposal{Text: string(text), File: path}, nil
}
