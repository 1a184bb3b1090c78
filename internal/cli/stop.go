package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"yett/internal/instance"
	"yett/internal/supervisor"
)

// stopped is what stop has done.
type stopped struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"`
	// Clean tells that nothing was cut off.
	Clean bool `json:"clean"`
}

func (p Process) stopCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "stop [NAME]",
		SuggestFor: []string{"kill"},
		Short:      "Drain a gateway and end it",
		Long: `Stop has all processes of a gateway drain at once, and waits for their end. Those without a
supervisor are drained too. Interrupting the wait doesn't stop the draining.

Exit codes: 0 all has finished, 1 it failed, 3 it has ended, but some requests or tunnels
took longer than they may (shutdown.grace, shutdown.tunnels), and were ended.`,
		Example: `  yett stop
  yett stop gateway`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: p.completeInstance,
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := p.neighbour(strings.Join(args, ""))
		if err != nil {
			return err
		}
		s, err := stop(cmd.Context(), n)
		if err != nil {
			return err
		}
		return s.show(p.Stdout, *asJSON)
	}
	return cmd
}

func (s stopped) show(w io.Writer, asJSON bool) error {
	err := error(nil)
	if asJSON {
		err = json.NewEncoder(w).Encode(s)
	} else {
		_, err = fmt.Fprintf(w, "%s: %s\n", s.Name, printable(s.Outcome))
	}
	if err == nil && !s.Clean {
		err = exitCode(exitCut)
	}
	return err
}

// stop ends an instance, and returns when it has ended.
func stop(ctx context.Context, n neighbour) (stopped, error) {
	s := stopped{Name: n.dir.Name()}
	by, held := n.dir.Holder()
	if !held {
		many, err := supervisor.StopOrphans(ctx, n.dir)
		if err == nil && many == 0 {
			err = n.why
		}
		s.Clean, s.Outcome = true, count(many, "worker")+" without a supervisor has ended"
		if many != 1 {
			s.Outcome = strings.Replace(s.Outcome, "has", "have", 1)
		}
		return s, err
	}
	h, err := by.Open()
	if errors.Is(err, instance.ErrGone) {
		return stopped{Name: s.Name, Outcome: "it has just ended by itself", Clean: true}, nil
	}
	if err != nil {
		return s, err
	}
	defer h.Close()
	if n.ask == nil {
		return s, fmt.Errorf("process %d runs it, but can't be asked: %w; kill -TERM %d has it drain", by.PID, n.why, by.PID)
	}
	if err := n.ask.Stop(ctx); err != nil {
		return s, err
	}
	if err := h.Wait(ctx); err != nil {
		return s, fmt.Errorf("it still drains; %w", err)
	}
	return s.ended(n.dir), nil
}

// ended says how a cluster has ended. One process says it by its own exit code.
func (s stopped) ended(d instance.Dir) stopped {
	var st supervisor.State
	s.Outcome, s.Clean = "it has ended", true
	if err := d.LoadState(&st); err == nil && st.Ended != "" {
		s.Outcome, s.Clean = st.Ended, st.Clean
	}
	return s
}

func (p Process) deleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "delete [NAME]",
		SuggestFor: []string{"del", "remove", "rm"},
		Short:      "End a gateway, and remove what it has left on this machine",
		Long: `Delete stops a gateway, and removes its directory: the history of its configurations and the
logs of its processes. The configuration file and other logs stay. It asks first, unless
--yes is given.`,
		Example: `  yett delete gateway
  yett delete gateway --yes`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: p.completeInstance,
	}
	yes := cmd.Flags().BoolP("yes", "y", false, "don't ask")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := p.neighbour(strings.Join(args, ""))
		if err != nil {
			return err
		}
		if !*yes && !ask(p.Stdin, p.Stderr, fmt.Sprintf("Stop the gateway %s and remove %s?", n.dir.Name(), n.dir.Path)) {
			return errors.New("nothing was changed; answer y, or give --yes")
		}
		s, err := remove(cmd.Context(), n)
		if err != nil {
			return err
		}
		return s.show(p.Stdout, *asJSON)
	}
	return cmd
}

// remove stops an instance where it runs, and removes its directory.
func remove(ctx context.Context, n neighbour) (stopped, error) {
	s, err := stop(ctx, n)
	if err != nil && !(n.ask == nil && errors.Is(err, n.why)) {
		return s, err
	}
	if err != nil {
		s = stopped{Name: n.dir.Name(), Outcome: "it did not run", Clean: true}
	}
	lock, err := n.dir.Lock() // so that nobody starts it meanwhile
	if err != nil {
		return s, err
	}
	defer func() { _ = lock.Unlock() }()
	if err := n.dir.Remove(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return s, fmt.Errorf("remove what it has left: %w", err)
	}
	s.Outcome += "; its directory is removed"
	return s, nil
}
