// Package cli is the command line: one file for each verb. A verb gets
// everything from its Process, writes through cobra's streams and returns an
// error, so that tests call Main as a shell would.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/gateway"
	"yett/internal/handover"
	"yett/internal/problem"
)

// The exit codes of Main.
const (
	exitOK    = 0
	exitFail  = 1 // what was asked for failed
	exitUsage = 2 // it could not be understood
	exitCut   = 3 // run stopped, but not all that ran had finished
)

// Process is what the command line may use of its process.
type Process struct {
	// Args are the words after the program's name.
	Args []string
	// Started is how the process was started, unless it is empty. Verbs that serve need it to be
	// found by others, and to let another process take their place.
	Started handover.Program
	// Stdin is read only where a flag says so.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Env is the environment, which a configuration's ${NAME} reads too.
	Env config.Env
	// Version is the build's as the linker set it. When it is empty, what the
	// Go toolchain knows about the build is used.
	Version string
}

// Main does what the arguments ask for and returns the exit code. The end of
// ctx counts as a signal to stop: verbs that serve drain then.
func Main(ctx context.Context, p Process) int {
	root := p.root()
	root.SetArgs(p.Args)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	// Whoever mistakes one place for another may have put a token there.
	text := printableLines(gateway.WithoutTokens(err.Error()))
	var refused refusal
	var misused usage
	var code exitCode
	var cut *app.Cut
	switch {
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &refused):
		p.complain(text)
	case errors.As(err, &misused):
		p.complain("yett: " + text + "\n" + misused.help)
		return exitUsage
	case errors.As(err, &cut):
		fmt.Fprintln(p.Stderr, "yett:", text)
		return exitCut
	default:
		p.complain("yett: " + text)
	}
	return exitFail
}

// complaintTime is how long an error message may take that nobody reads.
const complaintTime = time.Second

// complain writes an error message. A pipe that is full must not keep the process from ending.
func (p Process) complain(text string) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		fmt.Fprintln(p.Stderr, text)
	}()
	select {
	case <-written:
	case <-time.After(complaintTime):
	}
}

func (p Process) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "yett",
		Short: "An API gateway in one program",
		Long: `Yett is an API gateway in one program: it takes requests from clients, decides by
one configuration file who may pass, and brings them to the services behind it.`,
		Example: `  yett demo                   try it: the gateway and three services behind it
  yett check -c yett.yaml     is the configuration right?
  yett run -c yett.yaml       serve
  yett explain GET /orders    why does this request pass, or not?`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownVerb,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(
		p.runCommand(), p.demoCommand(), p.checkCommand(), p.initCommand(), p.healthCommand(),
		p.startCommand(), p.stopCommand(), p.restartCommand(), p.reloadCommand(), p.scaleCommand(), p.deleteCommand(),
		p.statusCommand(), p.monitCommand(), p.logsCommand(), p.upgradeCommand(),
		p.planCommand(), p.rollbackCommand(), p.revisionsCommand(),
		p.routesCommand(), p.explainCommand(), p.testCommand(), p.tokenCommand(), p.revokeCommand(),
		p.limitsCommand(), p.servicesCommand(), p.breakerCommand(), p.docsCommand(),
		p.schemaCommand(), p.versionCommand(), p.referenceCommand(), p.storeServerCommand(),
	)
	root.SetFlagErrorFunc(misusedFlag)
	strict(root)
	return root
}

// strict makes errors about arguments errors of usage, of a command and all
// below it.
func strict(cmd *cobra.Command) {
	cmd.Args = strictArgs(cmd.Args)
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

// usage is a command line that could not be understood.
type usage struct {
	error
	help string // where to read how it is done
}

func misuse(cmd *cobra.Command, err error) error {
	return usage{error: err, help: fmt.Sprintf("Run '%s --help' to see how it is used.", cmd.CommandPath())}
}

// misusedFlag is what a flag that can't be read means. One that is behind a misspelt verb is
// taken for a flag of the command above, and the verb is what is wrong.
func misusedFlag(cmd *cobra.Command, err error) error {
	if cmd.HasAvailableSubCommands() {
		if wrong := knownVerb(cmd, cmd.Flags().Args()); wrong != nil {
			err = wrong
		}
	}
	return misuse(cmd, ofFlag(err))
}

// ofFlag says of a value that a flag can't have what it can have, and which word of another program is
// another one here.
func ofFlag(err error) error {
	if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		flag, value := wrong.GetFlag(), printable(quote(wrong.GetValue()))
		switch flag.Value.Type() {
		case "duration":
			return fmt.Errorf("--%s %s: want a duration such as 500ms, 30s or 1h30m", flag.Name, value)
		case "int":
			return fmt.Errorf("--%s %s: want a whole number", flag.Name, value)
		}
	}
	if wrong, ok := errors.AsType[*pflag.NotExistError](err); ok && wrong.GetSpecifiedName() == "watch" {
		return fmt.Errorf("%w; which files are followed is reload.watch in the configuration", err)
	}
	return err
}

// knownVerb is the check of a command that has others below it: a word that is
// none of them arrives there.
func knownVerb(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var verbs []string
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() {
			verbs = append(verbs, cmd.Name())
		}
	}
	for _, cmd := range root.Commands() {
		if slices.Contains(cmd.SuggestFor, args[0]) {
			return fmt.Errorf("there is no command %q; did you mean %q?", args[0], cmd.Name())
		}
	}
	return fmt.Errorf("there is no command %q; %s", args[0], problem.DidYouMean(args[0], verbs))
}

// strictArgs makes errors about arguments errors of usage. A nil check means
// that there are none.
func strictArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	if check == nil {
		check = cobra.NoArgs
	}
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil {
			return nil
		}
		if strings.HasPrefix(err.Error(), "accepts ") { // cobra's own, which names no argument
			err = fmt.Errorf("want %s, got %s", cmd.CommandPath()+strings.TrimPrefix(cmd.Use, cmd.Name()), count(len(args), "argument"))
		}
		return misuse(cmd, err)
	}
}

// fileIsFlag is the check of a command that takes no arguments, and whose file
// is easily taken for one.
func fileIsFlag(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("the file is given by -c: %s -c %s", cmd.CommandPath(), printable(quote(args[0])))
}

// configFlag gives a verb the flag --config. The returned function tells the
// file's name when flags have been read.
func (p Process) configFlag(cmd *cobra.Command) (file func() string) {
	name := cmd.Flags().StringP("config", "c", "", "configuration file (default $YETT_CONFIG, else yett.yaml)")
	completeYAML(cmd)
	return func() string {
		if *name != "" {
			return *name
		}
		if fromEnv, ok := p.Env("YETT_CONFIG"); ok && fromEnv != "" {
			return fromEnv
		}
		return "yett.yaml"
	}
}

// completeNames lets shells complete a flag with names of the configuration,
// where that can be read.
func completeNames(cmd *cobra.Command, flag string, env config.Env, file func() string, names func(*config.Config) []string) {
	complete := func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return namesIn(file(), env, names), cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // the flag is not there: a fault of the verb
	}
}

// completeWord does that for the only word of a command.
func completeWord(cmd *cobra.Command, env config.Env, file func() string, names func(*config.Config) []string) {
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return namesIn(file(), env, names), cobra.ShellCompDirectiveNoFileComp
	}
}

// namesIn returns nothing where the configuration can't be read.
func namesIn(file string, env config.Env, names func(*config.Config) []string) []string {
	c, err := config.Load(file, env)
	if err != nil {
		return nil
	}
	return names(c)
}

// listenerNames are the names that listeners have.
func listenerNames(c *config.Config) []string {
	var names []string
	for _, l := range c.Listeners {
		if l.Name != "" {
			names = append(names, l.Name)
		}
	}
	return names
}

// completeYAML lets shells complete --config with YAML files.
func completeYAML(cmd *cobra.Command) {
	cmd.Flags().Lookup("config").Annotations = map[string][]string{cobra.BashCompFilenameExt: {"yaml", "yml"}}
}

// options are those of the app for a configuration file.
func (p Process) options(file string) app.Options {
	return app.Options{File: file, Env: p.Env, Version: p.version().short(), Stdout: p.Stdout, Stderr: p.Stderr}
}
