package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	counting string       // executable of Yett that tells its allocations, "" for none
	redis    *redisServer // while a case has it

	certificate *certificate // of the subjects, in cases with TLS

	report  *report
	current *caseReport     // of the case that is measured
	fresh   map[string]bool // cases that were measured in this run
}

// run measures what the options ask for. What failed stands in the report: an
// error means that nothing more can be measured.
func run(ctx context.Context, o options, log io.Writer) (*report, error) {
	dir, err := os.MkdirTemp("", "yett-bench-")
	if err != nil {
		return nil, fmt.Errorf("create working folder: %w", err)
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, log: log, dir: dir, fresh: make(map[string]bool)}
	if err := b.setUp(ctx); err != nil {
		return nil, err
	}
	if err := b.runAll(ctx, b.works()); err != nil {
		return nil, err
	}
	fmt.Fprintf(log, "took %s\n", time.Since(b.report.Began).Round(time.Second))
	return b.report, nil
}

func (b *bench) setUp(ctx context.Context) (err error) {
	if b.report, err = beginReport(b.options, time.Now()); err != nil {
		return err
	}
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
		b.report.addVersion(version{s.name, s.describe()})
	}
	for _, name := range b.options.subjects {
		if !slices.ContainsFunc(b.subjects, func(s subject) bool { return s.name == name }) {
			b.fail(name, errors.New("not installed, so it takes part in no case"))
		}
	}
	b.prepareCounting(ctx)
	return nil
}

// work is one case and the way to measure it, which fills in b.current.
type work struct {
	benchCase
	measure func(ctx context.Context, c benchCase) error
}

// allCases are the cases of all kinds, in the order of the report.
func allCases() []benchCase {
	out := cases()
	for _, l := range latencyCases() {
		out = append(out, l.benchCase)
	}
	return append(out, idleCase())
}

// works lists what the options ask for, in the order of the report.
func (b *bench) works() []work {
	var out []work
	add := func(c benchCase, measure func(context.Context, benchCase) error) {
		out = append(out, work{c, func(ctx context.Context, c benchCase) error {
			return b.withOrigin(ctx, func() error { return measure(ctx, c) })
		}})
	}
	for _, c := range cases() {
		add(c, b.runCase)
	}
	for _, l := range latencyCases() {
		add(l.benchCase, func(ctx context.Context, _ benchCase) error { return b.runLatency(ctx, l) })
	}
	add(idleCase(), b.runIdle)
	return slices.DeleteFunc(out, func(w work) bool { return !b.options.wants(w.benchCase) })
}

// runAll measures one case after the other. One that fails is noted, and the
// others go on. What is known is saved after each.
func (b *bench) runAll(ctx context.Context, works []work) error {
	for _, w := range works {
		b.current = newCaseReport(w.benchCase)
		err := w.measure(ctx, w.benchCase)
		if ctx.Err() != nil {
			return ctx.Err() // stopped: not the case's fault
		}
		if err != nil {
			b.fail("", err)
		}
		b.report.put(*b.current)
		b.fresh[w.Name] = true
		b.current = nil
		if err := b.report.save(b.options.json); err != nil {
			return err
		}
	}
	return nil
}

// withOrigin has a server behind the subjects. Each case has its own, so that
// none can spoil the next.
func (b *bench) withOrigin(ctx context.Context, do func() error) error {
	origin, upstream, err := startOrigin(ctx, b.places.load)
	if err != nil {
		return err
	}
	defer origin.stop()
	b.origin, b.upstream = origin.cmd.Process.Pid, upstream
	return do()
}

// fail notes what could not be measured: a subject, or all when it is "". The
// report has the first line of the reason; further ones are the end of some log.
func (b *bench) fail(subject string, err error) {
	name, failures := "bench", &b.report.Failures
	if b.current != nil {
		name, failures = b.current.Name, &b.current.Failures
	}
	fmt.Fprintf(b.log, "%s failed: %s\n", name, failure{subject, err.Error()})
	line, _, _ := strings.Cut(err.Error(), "\n")
	*failures = append(*failures, failure{subject, line})
}

// runCase measures one case: all its subjects run from the first round to the
// last, and one of them at a time gets load.
func (b *bench) runCase(ctx context.Context, c benchCase) error {
	f, err := b.assemble(ctx, c, b.subjects)
	if err != nil {
		return err
	}
	defer f.stop()
	fmt.Fprintf(b.log, "%s: %d rounds of %s for each of %v\n", c.Name, b.options.rounds, b.options.duration, f.labels())
	rounds, err := b.compete(ctx, f, b.load(c, f.running))
	if err != nil {
		return err
	}
	results := summarise(f.labels(), quieterHalf(rounds))
	for i, r := range f.running {
		if results[i].Resident, err = residentBytes(r.pids); err != nil {
			return err
		}
	}
	b.warnOfStrangers(c.Name, results[0].Foreign)
	if b.options.count {
		b.count(ctx, c, f, results)
	}
	b.current.Results = results
	b.current.Reference = referenceOf(c, results)
	b.current.Targets = append(judge(c, results, b.options.subjects), judgeCounts(c.Name, results, b.options)...)
	return nil
}

// field is who takes part in a case, running. Those who fail leave it.
type field struct {
	entrants []entrant
	running  []*running
	redis    *redisServer
}

// assemble starts those of the subjects that take part in the case, and what they
// need.
func (b *bench) assemble(ctx context.Context, c benchCase, subjects []subject) (*field, error) {
	entrants, redis, err := b.withStore(ctx, c, c.entrants(subjects))
	if err != nil {
		return nil, err
	}
	b.redis = redis
	f := &field{redis: redis}
	for _, e := range entrants {
		r, err := b.start(ctx, e, c, c.conns())
		if err != nil {
			b.fail(e.label, err)
			continue
		}
		f.entrants, f.running = append(f.entrants, e), append(f.running, r)
	}
	if len(f.running) == 0 {
		f.stop()
		return nil, errors.New("no subject could be started")
	}
	return f, nil
}

// stop ends the subjects, and then the store that they ask.
func (f *field) stop() {
	for _, r := range f.running {
		r.stop()
	}
	if f.redis != nil {
		f.redis.stop()
	}
}

func (f *field) labels() []string {
	var out []string
	for _, e := range f.entrants {
		out = append(out, e.label)
	}
	return out
}

// drop stops those of whom keep is false.
func (f *field) drop(keep func(i int) bool) {
	var entrants []entrant
	var left []*running
	for i, r := range f.running {
		if !keep(i) {
			r.stop()
			continue
		}
		entrants, left = append(entrants, f.entrants[i]), append(left, r)
	}
	f.entrants, f.running = entrants, left
}

// compete gives the field load and returns the windows by subject and round.
// Who failed is noted and has left the field then; subjects of spec that are not
// of the field may not fail.
func (b *bench) compete(ctx context.Context, f *field, spec loadSpec) ([][]window, error) {
	found, err := measure(ctx, b.places.load, spec)
	if err != nil {
		return nil, err
	}
	var rounds [][]window
	failed := make([]bool, len(f.running))
	for i, windows := range found.Windows {
		text := found.Failures[i]
		if i >= len(f.running) && text != "" {
			return nil, errors.New(text)
		}
		if i < len(f.running) {
			if err := b.holds(f.running[i], text); err != nil {
				b.fail(f.entrants[i].label, err)
				failed[i] = true
				continue
			}
		}
		rounds = append(rounds, windows)
	}
	f.drop(func(i int) bool { return !failed[i] })
	if len(f.running) == 0 {
		return nil, errors.New("every subject failed")
	}
	return rounds, nil
}

// holds tells whether what was measured of a subject is what it was to do.
func (b *bench) holds(r *running, failure string) error {
	if failure != "" {
		return errors.New(failure)
	}
	return b.checkStore(r)
}

// warnOfStrangers says when the machine was too busy with other things. The
// share is that of a round, the same for all its subjects.
func (b *bench) warnOfStrangers(name string, foreign spread) {
	if foreign.Median > maxForeign {
		fmt.Fprintf(b.log, "%s: other processes took %.0f%% of a core even in the quieter rounds; measure again on a quiet machine\n",
			name, 100*foreign.Median)
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

// idleCase is the case plain, with connections that rest.
func idleCase() benchCase {
	c := cases()[0]
	c.Name, c.About, c.Quick = caseIdle, "connections that made one request and rest", true
	c.Variants, c.Targets = nil, nil
	return c
}

// runIdle measures the memory that idle connections take, one subject after the
// other.
func (b *bench) runIdle(ctx context.Context, c benchCase) error {
	conns := min(b.options.conns, connsFor(b.files))
	if conns < b.options.conns {
		fmt.Fprintf(b.log, "idle: %d connections instead of %d: the limit is %d open files\n", conns, b.options.conns, b.files)
	}
	for _, e := range c.entrants(b.subjects) {
		fmt.Fprintf(b.log, "idle: %d connections to %s, %s of rest\n", conns, e.label, b.options.settle)
		result, err := b.idle(ctx, e, c, conns)
		if err != nil {
			b.fail(e.label, err)
			continue
		}
		b.current.Idle = append(b.current.Idle, result)
	}
	b.current.Targets = judgeIdle(b.current.Idle, b.options.subjects)
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
