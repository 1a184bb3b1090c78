package app

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"yett/internal/config"
	"yett/internal/engine"
	"yett/internal/engine/http1"
	"yett/internal/engine/nethttp"
	"yett/internal/snapshot"
)

// server is a listener with all protocols that it could speak.
type server struct {
	*engine.Server
	http1 *http1.Engine
	http2 *nethttp.Engine
	name  string // as it is configured now; the App's turn guards it
}

// listeners are those that serve, and those that don't any more but have connections left.
type listeners struct {
	mu      sync.Mutex
	now     []*server // in the order of the configuration
	leaving []*server
}

// serving returns those that accept connections, in the order of the configuration.
func (l *listeners) serving() []*server {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.now)
}

// all returns those too that are leaving.
func (l *listeners) all() []*server {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Concat(l.now, l.leaving)
}

// use makes others the ones that serve, and returns those that do not any more.
func (l *listeners) use(next []*server) (gone []*server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.now {
		if !slices.Contains(next, s) {
			gone = append(gone, s)
		}
	}
	l.now, l.leaving = next, append(l.leaving, gone...)
	return gone
}

// left forgets one that has no connections any more.
func (l *listeners) left(s *server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = slices.DeleteFunc(l.leaving, func(o *server) bool { return o == s })
}

// newServer makes a server that does nothing yet.
func (a *App) newServer(l snapshot.Listener) *server {
	s := &server{Server: &engine.Server{Address: l.Address, Log: a.log, Listen: a.o.Listen}}
	s.http2 = nethttp.New(l.Listener, nethttp.Deps{Core: a.gateway, Buffers: &a.buffers, Exchanges: &a.exchanges, Log: a.log})
	s.http1 = http1.New(l.Listener, http1.Deps{
		Core: a.gateway, Buffers: &a.buffers, Exchanges: &a.exchanges, Sweeper: a.sweeper, Log: a.log, Lot: a.lot,
		HTTP2: func(c net.Conn) { s.http2.ServeConn(c, false) },
	})
	return s
}

// set gives a server the settings of a listener.
func (s *server) set(l snapshot.Listener) {
	set := engine.Settings{Name: l.Name, TLS: l.TLS, Handshake: time.Duration(l.Timeouts.Header), Connections: l.Limits.Connections}
	if slices.Contains(l.Protocols, "http1") {
		set.HTTP1 = s.http1
	}
	if slices.Contains(l.Protocols, "h2") || slices.Contains(l.Protocols, "h2c") {
		set.HTTP2 = s.http2
	}
	s.name = l.Name
	s.http1.Set(l.Listener)
	s.http2.Set(l.Listener)
	s.Set(set)
}

// matched returns for each listener the server that has its address already, nil for none. Of
// several with the same one, which are those with a free port, each gets one of its own, by its
// name if it can.
func matched(running []*server, next []snapshot.Listener) []*server {
	out, free := make([]*server, len(next)), slices.Clone(running)
	take := func(i int, fits func(s *server) bool) {
		if at := slices.IndexFunc(free, func(s *server) bool { return s.Address == next[i].Address && fits(s) }); out[i] == nil && at >= 0 {
			out[i] = free[at]
			free = slices.Delete(free, at, at+1)
		}
	}
	for i := range next {
		take(i, func(s *server) bool { return s.name == next[i].Name })
	}
	for i := range next {
		take(i, func(*server) bool { return true })
	}
	return out
}

// AddressHint is what to do when an address can't be bound.
func AddressHint(err error) string {
	if errors.Is(err, syscall.EADDRINUSE) {
		return "end the process that has it, or choose another port"
	}
	return "want an address of this machine, or :PORT for all of them, and a port that this user may have"
}

// unbindable says why an address can't be bound, with its place in the configuration, and what to
// do about it.
func unbindable(c *config.Config, i int, running []*server, err error) error {
	if len(running) == 0 {
		return err
	}
	hint := AddressHint(err)
	_, port, _ := net.SplitHostPort(c.Listeners[i].Address)
	for _, s := range running {
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
		if _, other, _ := net.SplitHostPort(s.Addr().String()); other == port {
			hint = fmt.Sprintf("the listener %s has that port until it is gone: remove it first, and add this one with a second change", s.Address)
		}
	}
	p := c.Source.Problem(fmt.Sprintf("listeners[%d].address", i), err.Error(), hint)
	return errors.New(p.String())
}
