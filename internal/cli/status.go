package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/config"
	"yett/internal/control"
	"yett/internal/instance"
	"yett/internal/supervisor"
)

func (p Process) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "status [NAME]",
		SuggestFor: []string{"list", "ls", "l", "ps", "stat", "info", "show", "describe"},
		Short:      "Show which gateways run here, and how",
		Long: `Status shows the gateways of this user on this machine: their processes, what these use,
and which configuration they run. A cluster whose supervisor is gone is told as such, with
its workers, which serve on.

The exit code is 0 when all that are shown are ready, else 1.`,
		Example: `  yett status
  yett status gateway --json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: p.completeInstance,
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON: a list")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		all, err := p.neighbours(args)
		if err != nil {
			return err
		}
		return p.showStatus(cmd.Context(), all, *asJSON)
	}
	return cmd
}

// neighbours is the one that is named, or all of which something runs.
func (p Process) neighbours(args []string) ([]neighbour, error) {
	if len(args) > 0 {
		n, err := p.neighbour(args[0])
		return []neighbour{n}, err
	}
	root, err := instance.Root("", p.Env)
	if err != nil {
		return nil, err
	}
	names, err := instance.List(root)
	if err != nil {
		return nil, err
	}
	var all []neighbour
	for _, name := range names {
		n, err := meet(root, name)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	if len(all) == 0 {
		return nil, errors.New("no gateway runs here; " + among(root, nil))
	}
	return all, nil
}

// statusPage is an instance as status prints it.
type statusPage struct {
	control.Status
	// Supervised is false of a cluster whose supervisor is gone.
	Supervised bool `json:"supervised"`
	// Remedy says what to do, where there is something.
	Remedy string `json:"remedy,omitempty"`

	percent map[int]float64 // of a processor, by the number of the process
	silent  bool            // somebody has the socket, and doesn't answer
}

// showStatus prints instances. The error is the exit code, when all was said.
func (p Process) showStatus(ctx context.Context, all []neighbour, asJSON bool) error {
	var every []*statusPage
	for _, n := range all {
		every = append(every, look(ctx, n))
	}
	if !asJSON {
		measure(ctx, all, every)
	}
	err := p.printStatus(every, asJSON)
	for _, s := range every {
		if err == nil && (s.State != control.Ready || s.Remedy != "") {
			err = exitCode(exitFail)
		}
	}
	return err
}

func (p Process) printStatus(every []*statusPage, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(p.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(every)
	}
	var text strings.Builder
	for i, s := range every {
		if i > 0 {
			text.WriteByte('\n')
		}
		s.text(&text, time.Now())
	}
	return p.screen().print(text.String())
}

// look asks an instance, or where nobody answers for it, its workers.
func look(ctx context.Context, n neighbour) *statusPage {
	s := &statusPage{Status: control.Status{Name: n.dir.Name(), State: control.Stopped}}
	if n.ask != nil {
		st, err := n.ask.Status(ctx)
		if err == nil {
			s.Status, s.Supervised = st, len(st.Workers) > 0
			s.Remedy = failing(st)
			return s
		}
		n.why, s.silent = err, true
	}
	found, err := supervisor.Find(ctx, n.dir)
	switch {
	case err != nil:
		s.Remedy = err.Error()
	case len(found) == 0:
		s.Remedy = fmt.Sprintf("%v; start it with yett start or yett run", n.why)
	default:
		s.orphans(found)
	}
	if by, held := n.dir.Holder(); held {
		s.PID, s.Remedy = by.PID, n.hangs(by.PID)
	}
	return s
}

// hangs says what to do about a process that runs an instance, but doesn't answer.
func (n neighbour) hangs(pid int) string {
	return fmt.Sprintf("process %d runs it, but can't be asked: %v; kill -CONT %d has it go on when it was stopped, kill -KILL %d ends it, and yett start --name %s takes its workers over then",
		pid, n.why, pid, pid, n.dir.Name())
}

// failing says what to do about workers that were given up.
func failing(st control.Status) string {
	for _, w := range st.Workers {
		if w.State == control.Failing {
			return fmt.Sprintf("worker %d was given up; mend the cause, then yett restart %s", w.ID, st.Name)
		}
	}
	return ""
}

// orphans are workers without a supervisor.
func (s *statusPage) orphans(found []supervisor.Found) {
	s.Remedy = fmt.Sprintf("the supervisor is gone; its workers serve on, but none is started again when it crashes: yett start --name %s takes them over", s.Name)
	for _, f := range found {
		st := f.Status
		s.State, s.File, s.Version, s.Revision, s.Listeners = st.State, st.File, st.Version, st.Revision, st.Listeners
		s.Connections += st.Connections
		s.Memory += st.Memory
		s.CPU += st.CPU
		s.Workers = append(s.Workers, control.Worker{
			ID: f.ID, PID: st.PID, State: st.State, Started: st.Started, Version: st.Version, Revision: st.Revision.ID, Usage: st.Usage,
		})
	}
}

// measuring is how long processes are looked at for what they use of the processors.
const measuring = 250 * time.Millisecond

// measure compares with another look.
func measure(ctx context.Context, all []neighbour, every []*statusPage) {
	since := time.Now()
	select {
	case <-time.After(measuring):
	case <-ctx.Done():
		return
	}
	for i, n := range all {
		if every[i].silent {
			continue // to wait again would tell nothing
		}
		later := look(ctx, n)
		took := time.Since(since)
		before := cpuTimes(every[i])
		every[i].percent = make(map[int]float64)
		for pid, cpu := range cpuTimes(later) {
			if was, ok := before[pid]; ok && cpu >= was {
				every[i].percent[pid] = 100 * float64(cpu-was) / float64(took)
			}
		}
	}
}

func cpuTimes(s *statusPage) map[int]time.Duration {
	times := make(map[int]time.Duration)
	for _, w := range s.Workers {
		times[w.PID] = w.CPU
	}
	if len(s.Workers) == 0 {
		times[s.PID] = s.CPU
	}
	return times
}

// text is one instance for people.
func (s *statusPage) text(b *strings.Builder, now time.Time) {
	facts := []string{s.Name, s.State}
	if s.Env != "" {
		facts = append(facts, s.Env)
	}
	if s.PID > 0 {
		facts = append(facts, fmt.Sprintf("pid %d", s.PID))
	}
	if s.Version != "" {
		facts = append(facts, "version "+s.Version)
	}
	if s.File != "" {
		facts = append(facts, s.File)
	}
	for i, l := range s.Listeners {
		address := l.Address
		if l.TLS {
			address += " (TLS)"
		}
		if i == 0 {
			address = "listens on " + address
		}
		facts = append(facts, address)
	}
	b.WriteString(printable(strings.Join(facts, ", ")) + "\n")
	s.table(b, now)
	for _, w := range s.Workers {
		if w.Why != "" {
			fmt.Fprintf(b, "worker %d: %s\n", w.ID, printableLines(w.Why))
		}
	}
	if r := s.Refused; r != nil {
		fmt.Fprintf(b, "refused %s ago: %s\n", rounded(now.Sub(r.At)), printableLines(strings.Join(r.Why, "\n")))
	}
	if s.Dropped > 0 {
		fmt.Fprintf(b, "%d log lines never reached their file\n", s.Dropped)
	}
	if s.Remedy != "" {
		b.WriteString(printableLines(s.Remedy) + "\n")
	}
}

func (s *statusPage) table(b *strings.Builder, now time.Time) {
	workers := s.Workers
	if len(workers) == 0 && s.PID > 0 { // one process
		workers = []control.Worker{{PID: s.PID, State: s.State, Started: s.Started, Version: s.Version, Revision: s.Revision.ID, Usage: s.Usage}}
	}
	if len(workers) == 0 {
		return
	}
	rows := [][]string{{"ID", "PID", "STATE", "UPTIME", "RESTARTS", "CPU", "MEMORY", "CONNECTIONS", "REVISION", "VERSION"}}
	for _, w := range workers {
		row := []string{orDash(w.ID), orDash(w.PID), w.State, "-", fmt.Sprint(w.Restarts), "-", "-", "-", w.Revision, w.Version}
		if w.PID > 0 {
			row[3] = rounded(now.Sub(w.Started))
			row[6] = (config.Size(w.Memory) / config.MB * config.MB).String()
			row[7] = fmt.Sprint(w.Connections)
		}
		if percent, ok := s.percent[w.PID]; ok {
			row[5] = fmt.Sprintf("%.0f%%", percent)
		}
		rows = append(rows, row)
	}
	b.WriteString(columns(rows))
}

func orDash(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
