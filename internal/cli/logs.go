package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/instance"
	"yett/internal/telemetry/console"
	"yett/internal/telemetry/logread"
)

const (
	// lastLines is how many lines are shown where nothing else says how many.
	lastLines = 100
	// followEvery is how often files are looked at for new lines.
	followEvery = 200 * time.Millisecond
)

// logsFlags are what yett logs is asked for.
type logsFlags struct {
	name                string
	config              func() string
	configGiven         func() bool
	since, until, level string
	route, requestID    string
	status              []string
	lines               int
	linesGiven          func() bool
	follow              bool
	errors, json        bool
}

func (p Process) logsCommand() *cobra.Command {
	f := &logsFlags{}
	cmd := &cobra.Command{
		Use:   "logs [NAME]",
		Short: "Show the log files of a gateway",
		Long: `Logs shows the last lines that a gateway has written into its log files, its own and those
of requests, in order of time: out of the files of all its workers, and those that were
moved aside and compressed. Which files there are follows from the instance's name, and
from the configuration.

On a terminal lines are shown for people. Elsewhere, and with --json, they are as they
stand in the files.

Lines that a gateway writes to its standard output or error are no files: whoever has
started it has them, such as journalctl, docker logs or kubectl logs.`,
		Example: `  yett logs -f
  yett logs api --since 10m --level warn
  yett logs --status 5xx --route orders -n 20
  yett logs --since 2026-01-31T09:00 --until 2026-01-31T09:05 --json | jq .path`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("the log files of one instance are shown")
			}
			return nil
		},
	}
	f.config = p.configFlag(cmd)
	flags := cmd.Flags()
	f.configGiven = func() bool { return flags.Changed("config") }
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on with lines that come, until Ctrl-C")
	flags.StringVar(&f.since, "since", "", "only lines from then on: 10m, 2h, 3d, 15:04, 2006-01-02, 2006-01-02T15:04[:05][Z]")
	flags.StringVar(&f.until, "until", "", "only lines up to then, written in the same way")
	flags.IntVarP(&f.lines, "lines", "n", lastLines, "how many of the last lines, -1 for all (default 100, with --since all)")
	flags.StringVar(&f.level, "level", "", "least level: debug, info, warn, error")
	flags.BoolVar(&f.errors, "errors", false, "only errors: out of the file of errors, where there is one")
	flags.StringVar(&f.route, "route", "", "only requests of that route")
	flags.StringSliceVar(&f.status, "status", nil, "only requests with that status: 404, 5xx, 400-404")
	flags.StringVar(&f.requestID, "request-id", "", "only the request with that ID")
	flags.BoolVar(&f.json, "json", false, "lines as they stand in the files")
	flags.Lookup("lines").DefValue = "0" // the usage says more than the number would
	f.linesGiven = func() bool { return flags.Changed("lines") }
	completeNames(cmd, "route", p.Env, f.config, func(c *config.Config) (names []string) {
		for _, r := range c.Routes {
			names = append(names, r.Name)
		}
		return names
	})
	cmd.ValidArgsFunction = p.completeInstance
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			f.name = args[0]
		}
		filter, err := f.filter(time.Now())
		if err != nil {
			return misuse(cmd, err)
		}
		return p.showLogs(cmd.Context(), f, filter)
	}
	return cmd
}

// filter reads the flags that say which lines are wanted.
func (f *logsFlags) filter(now time.Time) (want logread.Filter, err error) {
	want.Route, want.RequestID = f.route, f.requestID
	if f.since != "" {
		if want.Since, err = pointInTime(f.since, now); err != nil {
			return want, fmt.Errorf("--since: %w", err)
		}
	}
	if f.until != "" {
		if want.Until, err = pointInTime(f.until, now); err != nil {
			return want, fmt.Errorf("--until: %w", err)
		}
	}
	if f.level != "" {
		var level slog.Level
		if err := level.UnmarshalText([]byte(f.level)); err != nil {
			return want, fmt.Errorf("--level: %q is no level; write debug, info, warn or error", f.level)
		}
		want.Level = &level
	}
	for _, text := range f.status {
		s, err := logread.ParseStatus(text)
		if err != nil {
			return want, fmt.Errorf("--status: %w", err)
		}
		want.Status = append(want.Status, s)
	}
	if f.lines < -1 {
		return want, fmt.Errorf("-n %d: write how many lines, or -1 for all", f.lines)
	}
	return want, nil
}

// pointInTime reads a time: how long ago, a time of today, a day, or both, here or in UTC.
func pointInTime(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if d, err := time.ParseDuration(days + "h"); err == nil && d >= 0 && d <= math.MaxInt64/24 {
			return now.Add(-24 * d), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			y, m, d := now.Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location()), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; write how long ago, such as 10m or 3d, or when: 15:04, 2006-01-02, 2006-01-02T15:04:05Z", text)
}

func (p Process) showLogs(ctx context.Context, f *logsFlags, want logread.Filter) error {
	where, err := p.logFiles(f)
	if err != nil {
		return err
	}
	r, err := openLogs(where.all, where.failed, f.errors, want)
	if err != nil {
		return err
	}
	defer r.Close()
	if !r.Exists() && (!f.follow || len(where.all) == 0) {
		return where.none()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	show := p.logPrinter(f.json)
	if f.lines >= 0 && (f.since == "" || f.linesGiven()) {
		err = r.Last(f.lines, show)
	} else {
		err = r.All(func(line []byte) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return show(line)
		})
	}
	broken := r.Broken()
	if broken != nil && f.follow {
		fmt.Fprintln(p.Stderr, "yett:", broken)
	}
	if err == nil && f.follow {
		err, broken = r.Follow(ctx, followEvery, show), nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, syscall.EPIPE) { // whoever reads has enough
		return nil
	}
	return errors.Join(err, broken)
}

// openLogs opens the files of all lines, or those of errors. Where the latter are not there, errors are
// looked for among all.
func openLogs(all, failed []string, onlyErrors bool, want logread.Filter) (*logread.Reader, error) {
	if !onlyErrors {
		return logread.Open(all, want)
	}
	r, err := logread.Open(failed, want)
	if err != nil || r.Exists() {
		return r, err
	}
	r.Close()
	if level := slog.LevelError; want.Level == nil || *want.Level < level {
		want.Level = &level
	}
	return logread.Open(all, want)
}

// logPrinter returns what prints a line.
func (p Process) logPrinter(asTheyAre bool) func(line []byte) error {
	if asTheyAre || !console.IsTerminal(p.Stdout) {
		return func(line []byte) error {
			_, err := p.Stdout.Write(line)
			return err
		}
	}
	style := console.StyleFor(p.Stdout, p.Env)
	var text []byte
	return func(line []byte) error {
		text = style.Append(text[:0], line)
		_, err := p.Stdout.Write(text)
		return err
	}
}

// logPlaces are where logs may be.
type logPlaces struct {
	all, failed []string
	// looked says where else nothing was found, for people.
	looked []string
	name   string
}

// logFiles finds out which files there may be: those of the instance's directory, and those that the
// configuration names.
func (p Process) logFiles(f *logsFlags) (*logPlaces, error) {
	w := &logPlaces{name: f.name}
	if strings.ContainsAny(f.name, "/\x00") || f.name == "." || f.name == ".." {
		return nil, fmt.Errorf("%q can't be the name of an instance; name a configuration with -c", f.name)
	}
	conf, err := new(config.Keyless).Load(f.config(), p.Env)
	switch {
	case err == nil && (f.configGiven() || f.name == "" || f.name == conf.Name):
		w.add(app.LogFiles(conf))
		if len(w.all) == 0 {
			w.looked = append(w.looked, fmt.Sprintf("%s has its lines go to no file (log.access.output: %s)", f.config(), conf.Log.Access.Output))
		}
		if w.name == "" {
			w.name = conf.Name
		}
	case f.configGiven() || f.name == "" && !errors.Is(err, fs.ErrNotExist):
		return nil, explain(err, "no log was read")
	}
	root, err := instance.Root("", p.Env)
	if err != nil {
		return w, nil // there are no directories of instances
	}
	if w.name == "" {
		if w.name, err = onlyInstance(root); err != nil {
			return nil, err
		}
	}
	dir := instance.Dir{Path: filepath.Join(root, w.name)}.Logs()
	if all, failed := app.LogFilesIn(dir); isThere(all[0]) || isThere(failed[0]) {
		w.add(all, failed)
	} else {
		w.looked = append(w.looked, "there is no "+all[0])
	}
	return w, nil
}

func (w *logPlaces) add(all, failed []string) {
	w.all, w.failed = append(w.all, all...), append(w.failed, failed...)
}

// none says that nothing is there, and what to do.
func (w *logPlaces) none() error {
	looked := slices.Clone(w.looked)
	for _, file := range w.all {
		if !isThere(file) {
			looked = append(looked, "there is no "+file)
		}
	}
	return fmt.Errorf("no log file of %q: %s. Lines of a gateway that runs by itself are where its output goes, such as journalctl or docker logs; log.access.output: FILE has them written into a file",
		w.name, strings.Join(looked, ", "))
}

// onlyInstance returns the name of the instance whose files are there, when there is one alone.
func onlyInstance(root string) (string, error) {
	entries, err := os.ReadDir(filepath.Clean(root))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && isThere(instance.Dir{Path: filepath.Join(root, e.Name())}.Logs()) {
			names = append(names, e.Name())
		}
	}
	switch len(names) {
	case 1:
		return names[0], nil
	case 0:
		return "", errors.New("no instance has log files here; name the configuration with -c")
	}
	return "", fmt.Errorf("which one? There are log files of %s; name one: yett logs %s", strings.Join(names, ", "), names[0])
}
