package app

import (
	"sync"
	"time"

	"yett/internal/config"
	"yett/internal/overload"
)

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
