package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/config"
	"yett/internal/instance"
)

const (
	leastInterval = 100 * time.Millisecond
	mostInterval  = time.Hour
)

// monitFlags are the words of the command line.
type monitFlags struct {
	interval   time.Duration
	once, json bool
}

func (p Process) monitCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "monit [NAME]",
		SuggestFor: []string{"monitor", "dash", "top"},
		Short:      "Watch a running gateway",
		Long: `Monit shows what a running gateway does: its processes, requests a second, how long they
take, with which status, its limits, its breakers that are not closed, and its busiest routes.
It asks the gateway on this machine that has this name, over its control socket. Without
a name that is the one of the configuration here (YETT_CONFIG, else yett.yaml), else the only
one. The gateway has to be this user's, or this user root.

On a terminal the page is drawn anew every interval, until q or Ctrl-C. Elsewhere, and with
--once, it is printed once. The first interval passes before there is something to see:
rates need two looks. When the gateway ends, monit says so, and waits for it.`,
		Example: `  yett monit
  yett monit api --interval 5s
  yett monit --once
  yett monit --json | jq .requests_per_s`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("one gateway is watched at a time")
			}
			return nil
		},
	}
	var f monitFlags
	cmd.Flags().DurationVarP(&f.interval, "interval", "i", time.Second, "how often to look, from 100ms to 1h")
	cmd.Flags().BoolVar(&f.once, "once", false, "print once")
	cmd.Flags().BoolVar(&f.json, "json", false, "print a JSON object, on one line, for each interval")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.interval < leastInterval || f.interval > mostInterval {
			return misuse(cmd, fmt.Errorf("--interval is %v; it can be from %v to %v", f.interval, leastInterval, config.Duration(mostInterval)))
		}
		name := strings.Join(args, "")
		if len(args) == 1 && name == "" {
			return misuse(cmd, errors.New("the name of the gateway is empty"))
		}
		n, err := p.answering(cmd.Context(), name)
		if err != nil {
			return err
		}
		return p.monit(cmd.Context(), newMonitor(n.ask), f)
	}
	cmd.ValidArgsFunction = p.completeInstance
	return cmd
}

// completeInstance lets shells complete the name of a gateway.
func (p Process) completeInstance(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	root, err := instance.Root("", p.Env)
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, _ := instance.List(root) // none where they can't be read
	return names, cobra.ShellCompDirectiveNoFileComp
}

// monit shows what the monitor sees, in the way that fits where it goes.
func (p Process) monit(ctx context.Context, m *monitor, f monitFlags) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	to := p.screen()
	if !f.once && !f.json && to.redraws() {
		return p.watchLive(ctx, m, f.interval, to)
	}
	if _, err := m.look(ctx); err != nil {
		return quietly(ctx, err)
	}
	ticker := time.NewTicker(f.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		frame, err := m.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		once := f.once || !f.json
		if err != nil && once {
			return err
		}
		if err := p.printFrame(frame, err, f.json, to); err != nil || once {
			return err
		}
	}
}

// quietly is the error of something that was not called off.
func quietly(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// gone is what is printed as JSON while the gateway does not answer.
type gone struct {
	At   time.Time `json:"at"`
	Gone string    `json:"gone"`
}

// printFrame prints what was seen, or why nothing was.
func (p Process) printFrame(f *monitFrame, failed error, asJSON bool, to screen) error {
	if !asJSON {
		width := 80
		if to.terminal != nil {
			width, _ = (&livePage{to: to.terminal}).size()
		}
		v := monitView{width: width, colours: p.colours(to)}
		_, err := io.WriteString(p.Stdout, strings.Join(v.draw(f), "\n")+"\n")
		return err
	}
	var what any = f
	if failed != nil {
		what = gone{At: time.Now(), Gone: printable(failed.Error())}
	}
	return json.NewEncoder(p.Stdout).Encode(what)
}

// colours tells whether a screen shows them: a terminal whose user has not said that there
// should be none (https://no-color.org).
func (p Process) colours(s screen) bool { return s.redraws() && p.getenv("NO_COLOR") == "" }

// monitPage is the page while it is shown.
type monitPage struct {
	page  *livePage
	view  monitView
	frame *monitFrame // the last
	since time.Time   // when the gateway was first found gone, zero while it is there
	why   string
}

// watchLive draws the page until somebody ends it.
func (p Process) watchLive(ctx context.Context, m *monitor, interval time.Duration, to screen) error {
	first, err := m.look(ctx) // before the terminal is taken: an error stays readable
	if err != nil {
		return quietly(ctx, err)
	}
	page, err := openLive(to, p.Stdin)
	if err != nil {
		return err
	}
	defer page.close()
	resized := make(chan os.Signal, 1) // before the first page is drawn for a size
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	l := &monitPage{page: page, view: monitView{colours: p.colours(to), interval: interval}, frame: first}
	if err := l.draw(); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	seen := m.watch(ctx, interval)
	defer func() { // before the page is closed, so that nobody draws behind it
		stop()
		for range seen {
		}
	}()
	return l.run(ctx, seen, resized)
}

func (l *monitPage) run(ctx context.Context, seen <-chan sight, resized <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case key, ok := <-l.page.pressed():
			if !ok || endsPage(key) {
				return nil
			}
			continue
		case <-resized:
		case s, ok := <-seen:
			if !ok {
				return nil
			}
			l.take(s)
		}
		if err := l.draw(); err != nil {
			return err
		}
	}
}

// endsPage tells q, Ctrl-C and Ctrl-D, which a terminal that is read key by key makes no
// signals of.
func endsPage(key byte) bool { return key == 'q' || key == 'Q' || key == 3 || key == 4 }

func (l *monitPage) take(s sight) {
	if s.err == nil {
		l.frame, l.since, l.why = s.frame, time.Time{}, ""
		return
	}
	if l.since.IsZero() {
		l.since = s.at
	}
	l.why = s.err.Error()
}

func (l *monitPage) draw() error {
	v := l.view
	v.width, v.height = l.page.size()
	if !l.since.IsZero() {
		v.gone = fmt.Sprintf("gone since %s, waiting for it: %s", l.since.Format(time.TimeOnly), printable(l.why))
	}
	return l.page.draw(v.draw(l.frame))
}
