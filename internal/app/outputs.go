package app

import (
	"reflect"
	"sync"
	"time"

	"yett/internal/config"
	"yett/internal/overload"
	"yett/internal/telemetry"
)

// outputs are the access log and that of errors as they are now.
type outputs struct {
	mu   sync.Mutex
	logs *telemetry.Logs // nil for none
	conf *config.Config  // that they were opened for; nil before the first
	// lost is how many lines those before them have dropped.
	lost uint64
}

// lateLines is how long after logs were replaced they take lines still: of exchanges that end
// at that moment.
const lateLines = 100 * time.Millisecond

// are tells whether the outputs are those that a configuration wants.
func (o *outputs) are(c *config.Config) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conf == nil {
		return false
	}
	now, next := o.conf.Log, c.Log
	now.Level, next.Level = "", ""
	return reflect.DeepEqual(now, next) &&
		o.conf.Source.Resolve(now.Access.Output) == c.Source.Resolve(next.Access.Output) &&
		o.conf.Source.Resolve(now.Access.Errors) == c.Source.Resolve(next.Access.Errors)
}

// use puts others in their place, and returns those before, nil for none.
func (o *outputs) use(logs *telemetry.Logs, c *config.Config) (before *telemetry.Logs) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before = o.logs
	o.logs, o.conf = logs, c
	return before
}

func (o *outputs) now() *telemetry.Logs {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.logs
}

// dropped is how many lines never reached their outputs.
func (o *outputs) dropped() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lost + droppedBy(o.logs)
}

// gone closes logs that were replaced.
func (o *outputs) gone(logs *telemetry.Logs) error {
	err := logs.Close()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost += droppedBy(logs)
	return err
}

func droppedBy(logs *telemetry.Logs) (n uint64) {
	if logs == nil {
		return 0
	}
	for _, l := range []*telemetry.AccessLog{logs.All, logs.Errors} {
		if l != nil {
			n += l.Dropped()
		}
	}
	return n
}

func (o *outputs) close() error {
	if logs := o.now(); logs != nil {
		return logs.Close()
	}
	return nil
}

// guard is what refuses requests when the gateway itself has too much to do.
type guard struct {
	mu       sync.Mutex
	settings overload.Settings
	monitor  *overload.Monitor // nil where there is no bound
	refused  int64             // by those before it
}

func guardSettings(c *config.Config) overload.Settings {
	return overload.Settings{Memory: int64(c.Overload.Memory), RunQueue: time.Duration(c.Overload.RunQueue)}
}

func (g *guard) is(s overload.Settings) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.settings == s
}

// use puts another monitor in its place, and returns the one before, nil for none.
func (g *guard) use(m *overload.Monitor, s overload.Settings) (before *overload.Monitor) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before = g.monitor
	if before != nil {
		g.refused += before.State().Refused
	}
	g.monitor, g.settings = m, s
	return before
}

// state is zero where there has never been a bound.
func (g *guard) state() overload.State {
	g.mu.Lock()
	defer g.mu.Unlock()
	var s overload.State
	if g.monitor != nil {
		s = g.monitor.State()
	}
	s.Refused += g.refused
	return s
}

func (g *guard) close() {
	if m := g.use(nil, overload.Settings{}); m != nil {
		m.Close()
	}
}
