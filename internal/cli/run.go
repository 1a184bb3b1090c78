package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/app"
)

func (p Process) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Serve",
		Long: `Run serves what the configuration says. A file .env beside it is read too; real
environment variables win.

SIGTERM and SIGINT drain: /health/ready turns 503, then the listeners close, running
requests finish, and the exit code is 0. A second signal, half a second later or more,
ends at once with exit code 1.
SIGUSR1 and SIGHUP open the log files again, after another program has moved them.
With a mistake in the configuration nothing is started, and the exit code is 1.`,
		Example: `  yett run
  yett run -c /etc/yett/yett.yaml
  PORT=8080 yett run -c examples/psa/yett.yaml`,
		Args: fileIsFlag,
	}
	file := p.configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return serve(cmd.Context(), p.options(file()), func(*app.App) error { return nil })
	}
	return cmd
}

// oneSignal is how long further signals count as the first one: what runs
// other programs, such as timeout, often sends it to the process and its group.
const oneSignal = 500 * time.Millisecond

var errSecondSignal = errors.New("ended at once by a second signal; what was running has been cut off")

// serve runs a gateway until a signal comes or ctx ends, and drains it.
// started is called when it serves.
func serve(ctx context.Context, o app.Options, started func(*app.App) error) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	// Whoever reads the logs may leave without ending the gateway: nobody has to look at this channel.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	asked := make(recorder)
	o.Env = asked.env(o.Env)
	a, err := app.New(o)
	if err != nil {
		return explain(err, "nothing was started")
	}
	if err := a.Start(ctx); err != nil {
		return errors.Join(explainBusy(err, a.Config().Listeners, asked["PORT"]), a.Close())
	}
	if err := started(a); err != nil {
		return errors.Join(err, a.Stop(ctx))
	}
	reopen := make(chan os.Signal, 1)
	signal.Notify(reopen, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(reopen)
	for {
		select {
		case <-ctx.Done():
			return stop(a, signals)
		case s := <-signals:
			a.Log().Info("stopping", "signal", s.String())
			return stop(a, signals)
		case <-reopen:
			if err := a.ReopenLog(); err != nil {
				a.Log().Error("a log goes on into the old file", "error", err)
			}
		}
	}
}

// stop drains until it is done or another signal comes. In the latter case it
// leaves the draining behind: the process is about to end. What was logged until then is written.
func stop(a *app.App, signals <-chan os.Signal) error {
	since := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop(context.Background()) }()
	for {
		select {
		case err := <-stopped:
			return err
		case <-signals:
			if time.Since(since) >= oneSignal {
				return errors.Join(errSecondSignal, a.FlushLog())
			}
		}
	}
}
