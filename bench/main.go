package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

var errNotMet = errors.New("a target is not met, or something failed")

func main() {
	err := mainWith(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func mainWith(args []string) error {
	o, err := parseOptions(args, os.Stderr)
	if err != nil {
		return err
	}
	if o.role != "" {
		return play(o.role, os.Stdin, os.Stdout)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.profile != "" {
		return profile(ctx, o, os.Stderr)
	}
	r, err := obtain(ctx, o)
	if err != nil {
		return err
	}
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	if o.report != "" {
		if err := r.publish(o.report); err != nil {
			return err
		}
	}
	if o.gate && !r.met() {
		return errNotMet
	}
	return nil
}

// obtain measures, or reads what was measured before.
func obtain(ctx context.Context, o options) (*report, error) {
	if o.from != "" {
		return readReport(o.from)
	}
	return run(ctx, o, os.Stderr)
}

// play is what this program does as its own child.
func play(role string, in io.Reader, out io.Writer) error {
	// A request allocates nothing here, or little with TLS.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(1 << 30)
	if role == "origin" {
		return runOrigin(out)
	}
	input := json.NewDecoder(in)
	switch role {
	case "load":
		var spec loadSpec
		if err := input.Decode(&spec); err != nil {
			return fmt.Errorf("read load: %w", err)
		}
		found, err := runLoad(spec)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(found)
	case "idle":
		var spec idleSpec
		if err := input.Decode(&spec); err != nil {
			return fmt.Errorf("read connections: %w", err)
		}
		return holdIdle(spec, in, out)
	}
	return fmt.Errorf("unknown role %q", role)
}

// Rounds of a case. Those of the short run are as many as five minutes have room for.
const (
	quickRounds = 14
	fullRounds  = 24
)

// options is the command line.
type options struct {
	cases    []string
	subjects []string
	rounds   int
	duration time.Duration
	conns    int
	settle   time.Duration
	yett     []string // executables of the first subject yett, the second, ...
	full     bool
	count    bool
	json     string
	onto     string
	from     string
	report   string
	profile  string
	nice     int
	gate     bool
	install  bool
	role     string
}

// wants says whether a case is to be measured: one that is named, or else all
// with -full, or else the quick ones.
func (o options) wants(c benchCase) bool {
	if len(o.cases) > 0 {
		return slices.Contains(o.cases, c.Name)
	}
	return o.full || c.Quick
}

func parseOptions(args []string, output io.Writer) (options, error) {
	var o options
	var only, subjects, yett string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(output)
	f.StringVar(&only, "case", "", "cases to measure, separated by commas: "+strings.Join(caseNames(), ", ")+" (default the quick ones)")
	f.BoolVar(&o.full, "full", false, "all cases, all subjects, and counts of system calls and allocations: half an hour or more")
	f.StringVar(&subjects, "subjects", strings.Join(defaultSubjects(), ","), "programs to measure; one may be named twice to test the harness")
	f.IntVar(&o.rounds, "rounds", quickRounds, fmt.Sprintf("rounds of each case, of which the quieter half counts; with -full %d, if nothing is said", fullRounds))
	f.DurationVar(&o.duration, "duration", 300*time.Millisecond, "time under load of each subject in a round")
	f.IntVar(&o.conns, "conns", 10000, "connections of the idle case")
	f.DurationVar(&o.settle, "settle", 3*time.Second, "rest between the last request of the idle case and its sample")
	f.StringVar(&yett, "yett", "", "yett executable (default: one built from ./cmd/yett); OLD,NEW with -subjects yett,yett compares two")
	f.BoolVar(&o.count, "count", false, "also count system calls and Yett's allocations, in rounds of their own (part of -full)")
	f.StringVar(&o.json, "json", "", "write all results to this file, after each case (default with -report: benchmarks.ndjson beside it)")
	f.StringVar(&o.onto, "onto", "", "begin with the results of this file; cases that are measured replace those in it")
	f.StringVar(&o.from, "from", "", "measure nothing: take the results of this file")
	f.StringVar(&o.report, "report", "", "write a report in Markdown to this file, with charts in images/ beside it")
	f.StringVar(&o.profile, "profile", "", "measure nothing: write a CPU profile of Yett in the cases to this file, for go build -pgo")
	f.IntVar(&o.nice, "nice", 0, "priority of all measured processes; -15 (as root) keeps a busy machine's other work from disturbing them, and nearly stops it")
	f.BoolVar(&o.gate, "gate", false, "fail when a target is not met")
	f.BoolVar(&o.install, "install", true, "as root, install missing proxies with apt-get")
	f.StringVar(&o.role, "role", "", "internal: the part to play as a child of this program")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.cases, o.subjects, o.yett = splitList(only), splitList(subjects), splitList(yett)
	if o.full {
		o.count = true
		if !given(f, "subjects") {
			o.subjects = kindNames()
		}
		if !given(f, "rounds") {
			o.rounds = fullRounds
		}
	}
	if o.report != "" && o.json == "" {
		o.json = filepath.Join(filepath.Dir(o.report), "benchmarks.ndjson")
	}
	return o, o.check(f.Args())
}

// given tells whether a flag stands on the command line.
func given(f *flag.FlagSet, name string) bool {
	found := false
	f.Visit(func(g *flag.Flag) { found = found || g.Name == name })
	return found
}

func (o options) check(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q", rest[0])
	}
	if o.rounds < 1 || o.duration <= 0 || o.conns < 1 || o.settle < 0 {
		return errors.New("-rounds, -duration and -conns must be positive, -settle not negative")
	}
	for _, name := range o.cases {
		if !slices.Contains(caseNames(), name) {
			return fmt.Errorf("unknown case %q: it is one of %s", name, strings.Join(caseNames(), ", "))
		}
	}
	return nil
}

func caseNames() []string {
	var names []string
	for _, c := range allCases() {
		names = append(names, c.Name)
	}
	return names
}

func splitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
