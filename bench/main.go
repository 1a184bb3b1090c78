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
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

var errNotMet = errors.New("a target is not met")

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
	r, err := run(ctx, o, os.Stderr)
	if err != nil {
		return err
	}
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	if o.json != "" {
		if err := r.writeJSON(o.json); err != nil {
			return err
		}
	}
	if o.gate && !r.met() {
		return errNotMet
	}
	return nil
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
		windows, err := runLoad(spec)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(windows)
	case "idle":
		var spec idleSpec
		if err := input.Decode(&spec); err != nil {
			return fmt.Errorf("read connections: %w", err)
		}
		return holdIdle(spec, in, out)
	}
	return fmt.Errorf("unknown role %q", role)
}

// options is the command line.
type options struct {
	cases    []string
	subjects []string
	rounds   int
	duration time.Duration
	conns    int
	settle   time.Duration
	yett     []string // executables of the first subject yett, the second, ...
	json     string
	nice     int
	gate     bool
	install  bool
	role     string
}

// wants says whether a case is to be measured.
func (o options) wants(name string) bool {
	return len(o.cases) == 0 || slices.Contains(o.cases, name)
}

func parseOptions(args []string, output io.Writer) (options, error) {
	var o options
	var only, subjects, yett string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(output)
	f.StringVar(&only, "case", "", "cases to measure, separated by commas: "+strings.Join(caseNames(), ", ")+" (default all)")
	f.StringVar(&subjects, "subjects", strings.Join(defaultSubjects(), ","), "programs to measure; one may be named twice to test the harness")
	f.IntVar(&o.rounds, "rounds", 24, "rounds of each case; the quieter half of them counts")
	f.DurationVar(&o.duration, "duration", 300*time.Millisecond, "time under load of each subject in a round")
	f.IntVar(&o.conns, "conns", 10000, "connections of the idle case")
	f.DurationVar(&o.settle, "settle", 3*time.Second, "rest between the last request of the idle case and its sample")
	f.StringVar(&yett, "yett", "", "yett executable (default: one built from ./cmd/yett); OLD,NEW with -subjects yett,yett compares two")
	f.StringVar(&o.json, "json", "", "also write all results to this file")
	f.IntVar(&o.nice, "nice", 0, "priority of all measured processes; -15 (as root) keeps a busy machine's other work from disturbing them, and nearly stops it")
	f.BoolVar(&o.gate, "gate", false, "fail when a target is not met")
	f.BoolVar(&o.install, "install", true, "as root, install missing proxies with apt-get")
	f.StringVar(&o.role, "role", "", "internal: the part to play as a child of this program")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.cases, o.subjects, o.yett = splitList(only), splitList(subjects), splitList(yett)
	return o, o.check(f.Args())
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
	for _, c := range cases() {
		names = append(names, c.Name)
	}
	return append(names, caseIdle)
}

func splitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
