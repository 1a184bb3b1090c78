// Package services runs the example platform's three services, auth, crm and tickets, in one process: three servers on
// three addresses, with one JWT secret and one list of revoked tokens.
package services

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"yett/examples/psa/services/auth"
	"yett/examples/psa/services/crm"
	"yett/examples/psa/services/kit"
	"yett/examples/psa/services/tickets"
)

const (
	defaultHost        = "127.0.0.1"
	defaultAuthPort    = "3001"
	defaultCRMPort     = "3002"
	defaultTicketsPort = "3003"

	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 30 * time.Second // event streams set their own
	idleTimeout   = 2 * time.Minute  // longer than a gateway keeps a connection, so that the gateway closes it first
	drainTimeout  = 5 * time.Second
)

// Config is what the platform needs; only JWTSecret has no default.
type Config struct {
	AuthAddr    string // host:port to listen on, port 0 for any; 127.0.0.1:3001 when empty
	CRMAddr     string // 127.0.0.1:3002 when empty
	TicketsAddr string // 127.0.0.1:3003 when empty

	JWTSecret    string       // HS256 key, at least 32 bytes
	BcryptCost   int          // auth.DemoBcryptCost when 0
	DemoPassword string       // password of the demo users; auth.DemoPassword when empty
	GatewayURL   string       // gateway that is told of revoked tokens, without a path; none when empty
	Log          *slog.Logger // failures of the services themselves; dropped when nil
}

// Platform is the three running services.
type Platform struct {
	AuthAddr    string // the real host:port
	CRMAddr     string
	TicketsAddr string

	gateway *atomic.Pointer[string]

	done chan struct{}
	err  error // readable once done is closed
}

// server is one service with the address it was given.
type server struct {
	name     string
	listener net.Listener
	http     *http.Server
}

// Run listens on all three addresses and then serves until ctx ends; it returns as soon as connections are accepted.
// An address that cannot be had is an error that wraps a *net.OpError, and then nothing runs.
func Run(ctx context.Context, cfg Config) (*Platform, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	gateway := new(atomic.Pointer[string])
	gateway.Store(&cfg.GatewayURL)
	servers, err := build(cfg, func() string { return *gateway.Load() })
	if err != nil {
		return nil, err
	}
	if err := listen(ctx, servers); err != nil {
		return nil, err
	}
	platform := &Platform{
		AuthAddr:    servers[0].listener.Addr().String(),
		CRMAddr:     servers[1].listener.Addr().String(),
		TicketsAddr: servers[2].listener.Addr().String(),
		gateway:     gateway,
		done:        make(chan struct{}),
	}
	go func() {
		defer close(platform.done)
		platform.err = serve(ctx, servers)
	}()
	return platform, nil
}

// SetGateway says which gateway is told of revoked tokens from now on, for one that starts after the services.
func (p *Platform) SetGateway(url string) { p.gateway.Store(&url) }

// Wait returns when all services have stopped: nil after ctx ended and running requests were answered, otherwise why.
func (p *Platform) Wait() error {
	<-p.done
	return p.err
}

// build makes the three servers, auth, crm and tickets in this order, without listening yet.
func build(cfg Config, gateway func() string) ([]*server, error) {
	revoked := kit.NewRevocations()
	cost := cfg.BcryptCost
	if cost == 0 {
		cost = auth.DemoBcryptCost
	}
	authHandler, err := auth.New(auth.Config{
		JWTSecret: cfg.JWTSecret, BcryptCost: cost, DemoPassword: cfg.DemoPassword, Revocations: revoked,
		GatewayURL: gateway, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	crmHandler, err := crm.New(crm.Config{JWTSecret: cfg.JWTSecret, Revocations: revoked, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	ticketsHandler, err := tickets.New(tickets.Config{JWTSecret: cfg.JWTSecret, Revocations: revoked, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	return []*server{
		newServer("auth", cfg.AuthAddr, defaultAuthPort, authHandler, cfg.Log),
		newServer("crm", cfg.CRMAddr, defaultCRMPort, crmHandler, cfg.Log),
		newServer("tickets", cfg.TicketsAddr, defaultTicketsPort, ticketsHandler, cfg.Log),
	}, nil
}

func newServer(name, addr, defaultPort string, handler http.Handler, log *slog.Logger) *server {
	if addr == "" {
		addr = net.JoinHostPort(defaultHost, defaultPort)
	}
	return &server{name: name, http: &http.Server{
		Addr:              addr,
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
}

// listen binds every address or none.
func listen(ctx context.Context, servers []*server) error {
	var config net.ListenConfig
	for i, s := range servers {
		listener, err := config.Listen(ctx, "tcp", s.http.Addr)
		if err != nil {
			for _, bound := range servers[:i] {
				bound.listener.Close()
			}
			return fmt.Errorf("start the %s service on %s: %w (AUTH_PORT, CRM_PORT and TICKETS_PORT choose other ports)",
				s.name, s.http.Addr, err)
		}
		s.listener = listener
	}
	return nil
}

// serve runs until ctx ends or one server fails, then stops them all.
func serve(ctx context.Context, servers []*server) error {
	// Requests see this context end before the drain begins: event streams leave on it, and the rest does not mind.
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	failed := make(chan error, len(servers))
	for _, s := range servers {
		s.http.BaseContext = func(net.Listener) context.Context { return requests }
		go func() {
			if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve the %s service on %s: %w", s.name, s.listener.Addr(), err)
			}
		}()
	}
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-failed:
	}
	endRequests()
	return errors.Join(cause, shutdown(servers))
}

// shutdown lets running requests finish for a while and then closes what is left.
func shutdown(servers []*server) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	var problems []error
	for _, s := range servers {
		if err := s.http.Shutdown(ctx); err != nil {
			s.http.Close()
			problems = append(problems, fmt.Errorf("stop the %s service within %s: %w", s.name, drainTimeout, err))
		}
	}
	return errors.Join(problems...)
}
