package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"yett/internal/app"
)

func (p Process) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with a configuration",
		Long: `Check builds everything that a configuration asks for, as run does, and starts nothing.
All problems come at once, one to a line, as file:line:column. The exit code is 1 when
there is one.

OpenAPI documents that are files (openapi.file of a service) are a part of what was written:
one that is missing or wrong is a problem too, with its own file, line and column. The
gateway starts without it all the same, and warns. Those at services and elsewhere are not
asked for; yett docs lint does that.`,
		Example: `  yett check
  yett check -c /etc/yett/yett.yaml && systemctl restart yett`,
		Args: fileIsFlag,
	}
	file := p.configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o := p.options(file())
		o.WantFiles = true
		snap, err := app.Check(o)
		if err != nil {
			return explain(err, consequenceOf(o))
		}
		c := snap.Config
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: ok, %s, %s, %s\n", file(),
			count(len(c.Routes), "route"), count(len(c.Services), "service"), count(len(c.Listeners), "listener"))
		return err
	}
	return cmd
}

// consequenceOf says what comes of a configuration that was refused.
func consequenceOf(o app.Options) string {
	o.WantFiles = false
	if _, err := app.Check(o); err == nil {
		return "the gateway would start, without these documents"
	}
	return "this configuration would not start"
}
