package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"yett/examples/psa/services/auth"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := mainWith(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// call is what somebody wants.
type call struct {
	test     test
	url      string
	password string
	pid      int
	yett     string
	reports  string
}

// errNothingToRun is a call without a test, which gets the list of them.
var errNothingToRun = errors.New("no test named")

func parse(args []string, says io.Writer) (call, error) {
	set := flag.NewFlagSet("load", flag.ContinueOnError)
	set.SetOutput(says)
	set.Usage = func() {
		fmt.Fprintf(says, "usage: load [flags] TEST, of\n\n%s\nflags:\n", list())
		set.PrintDefaults()
	}
	var c call
	set.StringVar(&c.url, "url", "", "gateway to test, such as http://gateway.example:3000, whose own limits count; without one, the example platform is started")
	set.StringVar(&c.password, "password", auth.DemoPassword, "password of the example platform's users at -url")
	set.IntVar(&c.pid, "pid", 0, "process of the gateway at -url, to watch what it uses, when it is on this machine")
	set.StringVar(&c.yett, "yett", "bin/yett", "program to start")
	set.StringVar(&c.reports, "reports", "load/reports", "directory of the reports")
	lasts := set.Duration("duration", 0, "how long the test lasts, all phases together, instead of its own time")
	rate := set.Float64("rate", 0, "highest rate of visits per second, instead of the test's own")
	if err := set.Parse(args); err != nil {
		return c, err
	}
	if set.NArg() == 0 {
		return c, errNothingToRun
	}
	t, err := find(set.Arg(0))
	if err != nil {
		return c, err
	}
	if *lasts < 0 || *rate < 0 || set.NArg() > 1 {
		return c, errors.New("one test, and no negative duration or rate")
	}
	c.test = t.scaled(*lasts, *rate)
	return c, nil
}

func mainWith(ctx context.Context, args []string, out, says io.Writer) error {
	c, err := parse(args, says)
	if errors.Is(err, errNothingToRun) {
		fmt.Fprintf(out, "Load tests, as in `make load TEST=basic`:\n\n%s", list())
		return nil
	}
	if err != nil {
		return err
	}
	k6, err := buildK6(ctx, says)
	if err != nil {
		return err
	}
	return c.run(ctx, k6, out, says)
}

// run runs a test and says what came out.
func (c call) run(ctx context.Context, k6 string, out, says io.Writer) (err error) {
	at, err := c.target(ctx, says)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, at.stop()) }()
	f, err := newFiles(c.reports, c.test.name)
	if err != nil {
		return err
	}
	fmt.Fprintf(says, "%s against %s: %s\n", c.test.name, at.url, c.test)
	r := result{test: c.test}
	seen := watched(ctx, at.pid, c.test.lasts())
	err = runK6(ctx, k6, c.test, at, f, says)
	r.seen = seen()
	if err != nil {
		return err
	}
	if r.summary, err = readSummary(f.summary); err != nil {
		return err
	}
	moments, err := readRecord(f.record)
	if err != nil {
		return err
	}
	if err := writeChart(f.svg, r, moments); err != nil {
		return err
	}
	verdict := r.print(out)
	for _, path := range []string{f.html, f.svg} {
		if _, err := os.Stat(path); err == nil { // there is none of a test that was too short
			fmt.Fprintf(out, "  report     %s\n", path)
		}
	}
	return verdict
}

// target is the gateway that is meant, started if it has to be.
func (c call) target(ctx context.Context, says io.Writer) (target, error) {
	if c.url != "" {
		return target{url: c.url, password: c.password, pid: c.pid, stop: func() error { return nil }}, nil
	}
	dir, err := os.MkdirTemp("", "load")
	if err != nil {
		return target{}, err
	}
	at, err := startPlatform(ctx, c.yett, dir, says)
	if err != nil {
		return target{}, errors.Join(err, os.RemoveAll(dir))
	}
	stop := at.stop
	at.stop = func() error { return errors.Join(stop(), os.RemoveAll(dir)) }
	return at, nil
}

// watched looks at a process, if there is one, until it is asked what it has seen: some 200 times in a test of this
// length.
func watched(ctx context.Context, pid int, lasts time.Duration) func() []usage {
	if pid == 0 {
		return func() []usage { return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	seen := make(chan []usage, 1)
	go func() { seen <- watch(ctx, pid, max(lasts/200, 100*time.Millisecond)) }()
	return func() []usage { cancel(); return <-seen }
}
