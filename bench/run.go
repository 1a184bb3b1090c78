package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

const (
	// warmup is each subject's load before the first round.
	warmup = 300 * time.Millisecond
	// activeConns is how many requests the load generator keeps under way, and the
	// connections for them, when a case says nothing else.
	activeConns = 64
	// maxForeign is the share of a core that other processes may take before
	// the harness warns.
	maxForeign = 0.1
)

// bench is one run: the subjects, the server behind them and the results.
type bench struct {
	options  options
	log      io.Writer
	dir      string
	places   places
	origin   int // pid
	upstream netip.AddrPort
	files    uint64 // open files that a process may have
	subjects []subject
	redis    *redisServer // while a case has it

	certificate *certificate // of the subjects, in cases with TLS
	report      report
}

// run measures what the options ask for.
func run(ctx context.Context, o options, log io.Writer) (*report, error) {
	dir, err := os.MkdirTemp("", "yett-bench-")
	if err != nil {
		return nil, fmt.Errorf("create working folder: %w", err)
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, log: log, dir: dir}
	if err := b.setUp(ctx); err != nil {
		return nil, err
	}
	origin, upstream, err := startOrigin(ctx, b.places.load)
	if err != nil {
		return nil, err
	}
	defer origin.stop()
	b.origin, b.upstream = origin.cmd.Process.Pid, upstream
	if err := b.runCases(ctx); err != nil {
		return nil, err
	}
	return &b.report, nil
}

func (b *bench) setUp(ctx context.Context) (err error) {
	if b.places, err = choosePlaces(b.options.nice); err != nil {
		return err
	}
	if len(b.places.cores()) == 1 {
		fmt.Fprintln(b.log, "only one core: subjects and load share it, so rates and latencies mean nothing")
	}
	if b.files, err = raiseFileLimit(filesFor(max(b.options.conns, mostConns()))); err != nil {
		return err
	}
	if b.certificate, err = newCertificate(b.dir); err != nil {
		return err
	}
	if b.subjects, err = findSubjects(ctx, b.options, b.dir, b.log); err != nil {
		return err
	}
	for _, s := range b.subjects {
		b.report.Subjects = append(b.report.Subjects, s.describe())
	}
	return nil
}

func (b *bench) runCases(ctx context.Context) error {
	for _, c := range cases() {
		if b.options.wants(c.Name) {
			if err := b.runCase(ctx, c); err != nil {
				return fmt.Errorf("case %s: %w", c.Name, err)
			}
		}
	}
	if b.options.wants(caseIdle) {
		if err := b.runIdle(ctx); err != nil {
			return fmt.Errorf("case %s: %w", caseIdle, err)
		}
	}
	return nil
}

// runCase measures one case: all its subjects run from the first round to the
// last, and one of them at a time gets load.
func (b *bench) runCase(ctx context.Context, c benchCase) error {
	entrants, redis, err := b.withStore(ctx, c, c.entrants(b.subjects))
	if err != nil {
		return err
	}
	if redis != nil {
		defer redis.stop() // when those who ask it have ended
	}
	b.redis = redis
	var labels []string
	var subjects []*running
	for _, e := range entrants {
		r, err := b.start(ctx, e, c, c.conns())
		if err != nil {
			return err
		}
		defer r.stop()
		labels = append(labels, e.label)
		subjects = append(subjects, r)
	}
	fmt.Fprintf(b.log, "%s: %d rounds of %s for each of %v\n", c.Name, b.options.rounds, b.options.duration, labels)
	rounds, err := measure(ctx, b.places.load, b.load(c, subjects))
	if err != nil {
		return fmt.Errorf("subjects %v: %w", labels, err)
	}
	for _, r := range subjects {
		if err := b.checkStore(r); err != nil {
			return err
		}
	}
	results := summarise(c.Name, labels, quieterHalf(rounds))
	b.warnOfStrangers(results)
	b.report.Cases = append(b.report.Cases, results...)
	b.report.Targets = append(b.report.Targets, judge(c, results)...)
	return nil
}

// warnOfStrangers says when the machine was too busy with other things. The
// share is that of a round, the same for all its subjects.
func (b *bench) warnOfStrangers(results []caseResult) {
	if len(results) > 0 && results[0].Foreign.Median > maxForeign {
		fmt.Fprintf(b.log, "%s: other processes took %.0f%% of a core even in the quieter rounds; measure again on a quiet machine\n",
			results[0].Case, 100*results[0].Foreign.Median)
	}
}

func (b *bench) load(c benchCase, subjects []*running) loadSpec {
	spec := loadSpec{
		Conns:    c.conns(),
		Rounds:   b.options.rounds,
		Duration: b.options.duration,
		Warmup:   warmup,
		Helpers:  append(b.redis.pids(), b.origin),
		Cores:    b.places.cores(),
	}
	for _, r := range subjects {
		spec.Subjects = append(spec.Subjects, loadTarget{traffic: r.traffic, Address: r.addr, PIDs: r.pids, Want: r.want})
	}
	return spec
}

// start runs a subject as the case configures it.
func (b *bench) start(ctx context.Context, e entrant, c benchCase, conns int) (*running, error) {
	set := settings{
		Upstream: b.upstream,
		MaxConns: conns + spareConns,
		Files:    b.files,
		Root:     os.Geteuid() == 0,
		Conf:     e.conf,
	}
	if e.conf.Redis {
		set.Redis = b.redis.port
	}
	if c.Protocol.secure() {
		set.TLS = b.certificate
	}
	traffic, err := b.traffic(c, e)
	if err != nil {
		return nil, err
	}
	probe := idleSpec{traffic: b.probe(c, e.request), Want: e.want}
	r, err := e.start(ctx, b.places.subject, filepath.Join(b.dir, c.Name), set, probe)
	if err != nil {
		return nil, err
	}
	r.redis, r.traffic = e.conf.Redis, traffic
	if !e.conf.Guarded {
		return r, nil
	}
	if err := b.checkGuard(r, c, e.request); err != nil {
		r.stop()
		return nil, fmt.Errorf("%s does not guard: %w", e.label, err)
	}
	return r, nil
}

// runIdle measures the memory that idle connections take, one subject after the
// other.
func (b *bench) runIdle(ctx context.Context) error {
	conns := min(b.options.conns, connsFor(b.files))
	if conns < b.options.conns {
		fmt.Fprintf(b.log, "idle: %d connections instead of %d: the limit is %d open files\n", conns, b.options.conns, b.files)
	}
	c := cases()[0]
	c.Name = caseIdle
	for _, s := range b.subjects {
		fmt.Fprintf(b.log, "idle: %d connections to %s, %s of rest\n", conns, s.label, b.options.settle)
		result, err := b.idle(ctx, entrant{s, c.Conf[s.name], c.Want, c.Request}, c, conns)
		if err != nil {
			return fmt.Errorf("%s: %w", s.label, err)
		}
		b.report.Idle = append(b.report.Idle, result)
	}
	b.report.Targets = append(b.report.Targets, judgeIdle(b.report.Idle))
	return nil
}

func (b *bench) idle(ctx context.Context, e entrant, c benchCase, conns int) (idleResult, error) {
	result := idleResult{Subject: e.label, Conns: conns}
	r, err := b.start(ctx, e, c, conns)
	if err != nil {
		return result, err
	}
	defer r.stop()
	if result.Before, err = residentBytes(r.pids); err != nil {
		return result, err
	}
	spec := idleSpec{traffic: r.traffic, Address: r.addr, Want: e.want, Conns: conns}
	holder, err := startIdle(ctx, b.places.load, spec)
	if err != nil {
		return result, err
	}
	defer holder.close()
	select {
	case <-time.After(b.options.settle):
	case <-ctx.Done():
		return result, ctx.Err()
	}
	if result.After, err = residentBytes(r.pids); err != nil {
		return result, err
	}
	result.PerConn = float64(result.After-result.Before) / float64(conns)
	return result, holder.finish()
}

// spareConns is what a subject may hold beside the connections of its clients.
const spareConns = 256

// filesFor returns the open files that the largest process needs.
func filesFor(conns int) uint64 { return uint64(conns + 2*spareConns) }

// connsFor is the reverse of filesFor.
func connsFor(files uint64) int { return max(1, int(files)-2*spareConns) }
