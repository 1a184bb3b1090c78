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

  SIGHUP             read the configuration anew, and open the log files anew
  SIGUSR1            open the log files anew, after they were moved away
  SIGUSR2            put a new process of the program on disk in the place of this one;
                     if that does not become ready, this one goes on, and says why
  SIGTERM, SIGINT    drain: /health/ready turns 503, then the listeners close, and running
                     requests and tunnels finish. Another one, half a second later or more,
                     ends at once

Exit codes: 0 all has finished, 1 it failed, 2 it was called wrongly, 3 it has drained, but
some requests or tunnels took longer than they may, and were ended.
With a mistake in the configuration nothing is started, and the exit code is 1.

It keeps a directory with a control socket for other verbs, such as reload, upgrade and
status. Where that can't be, it serves without.`,
		Example: `  yett run
  yett run -c /etc/yett/yett.yaml
  PORT=8080 yett run -c examples/psa/yett.yaml`,
		Args: fileIsFlag,
	}
	file := p.configFlag(cmd)
	s := &single{program: p.Started, env: p.Env}
	flags := cmd.Flags()
	flags.StringVar(&s.name, "name", "", "what other verbs call this gateway (default the configuration's name)")
	flags.StringVar(&s.state, "state", "", "directory of running gateways (default $YETT_STATE, else one of this user)")
	flags.DurationVar(&s.readyTimeout, "ready-timeout", readyTimeout, "how long a new process may take to become ready, on SIGUSR2 and yett upgrade")
	flags.StringVar(&s.worker, "worker", "", "")
	_ = flags.MarkHidden("worker") // the flag is there
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if s.readyTimeout <= 0 {
			return misuse(cmd, errors.New("--ready-timeout has to be more than 0s"))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return serve(cmd.Context(), p.options(file()), s, func(*app.App) error { return nil })
	}
	return cmd
}

// readyTimeout is how long a new process may take, unless somebody says otherwise.
const readyTimeout = 30 * time.Second

// oneSignal is how long further signals count as the first one: what runs
// other programs, such as timeout, often sends it to the process and its group.
const oneSignal = 500 * time.Millisecond

var errSecondSignal = errors.New("ended at once by a second signal; what was running has been cut off")

// serve runs a gateway until a signal comes or ctx ends, and drains it.
// started is called when it serves.
func serve(ctx context.Context, o app.Options, s *single, started func(*app.App) error) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	orders := make(chan os.Signal, 8)
	signal.Notify(orders, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(orders)
	// Whoever reads the logs may leave without ending the gateway: nobody has to look at this channel.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	asked := make(recorder)
	o.Env = asked.env(o.Env)
	defer s.close()
	if err := s.prepare(&o); err != nil {
		return s.failed(err)
	}
	a, err := app.New(o)
	if err != nil {
		return s.failed(explain(err, "nothing was started"))
	}
	s.App = a
	if err := a.Start(ctx); err != nil {
		return s.failed(errors.Join(explainBusy(err, a.Config().Listeners, asked["PORT"]), a.Close()))
	}
	if err := errors.Join(started(a), s.begin()); err != nil {
		return errors.Join(err, a.Stop(ctx))
	}
	err = s.run(ctx, signals, orders)
	if errors.Is(err, errSecondSignal) { // what was logged until then is written
		err = errors.Join(err, a.FlushLog())
	}
	return err
}

// drain calls stop until it is done, or as many signals more have come. Then it
// leaves the draining behind: the process is about to end.
func drain(stop func(ctx context.Context) error, signals <-chan os.Signal, more int) error {
	last := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- stop(context.Background()) }()
	for {
		select {
		case err := <-stopped:
			return err
		case <-signals:
			if time.Since(last) < oneSignal {
				continue
			}
			last = time.Now()
			if more--; more <= 0 {
				return errSecondSignal
			}
		}
	}
}
