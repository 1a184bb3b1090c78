// Package tickets is the example platform's ticket service: tickets, their comments, the time spent on them, and a
// stream of what changes.
package tickets

import (
	_ "embed"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"yett/examples/psa/services/kit"
)

//go:embed openapi.yaml
var openAPI []byte

// document is what the service says of itself; it is read once, however many services a process makes.
var document = sync.OnceValues(func() (*kit.Document, error) { return kit.ParseDocument(openAPI) })

// Config is what the service needs; only JWTSecret has no default.
type Config struct {
	JWTSecret   string           // HS256 key, at least 32 bytes, the same as the auth service's
	Revocations *kit.Revocations // shared with the auth service of the same process; an own, empty list when nil
	Log         *slog.Logger     // failures of the service itself; dropped when nil
}

type service struct {
	document *kit.Document
	tokens   *kit.Tokens
	tickets  *kit.Collection[Ticket]
	comments *kit.Collection[Comment]
	entries  *kit.Collection[TimeEntry]
	feed     *feed

	// writes is held by whatever changes a ticket or hangs something on one. It keeps the stream in the order of the
	// changes, and a comment from being added to a ticket that is being deleted. It comes before the collections' locks.
	writes sync.Mutex
}

// New makes the service with sample tickets in it.
func New(cfg Config) (http.Handler, error) {
	s, err := newService(cfg)
	if err != nil {
		return nil, fmt.Errorf("make the tickets service: %w", err)
	}
	return s.router(cfg.Log), nil
}

func newService(cfg Config) (*service, error) {
	tokens, err := kit.NewTokens(cfg.JWTSecret, cfg.Revocations)
	if err != nil {
		return nil, err
	}
	own, err := document()
	if err != nil {
		return nil, err
	}
	s := &service{document: own, tokens: tokens, tickets: newTickets(), comments: newComments(), entries: newTimeEntries(), feed: newFeed()}
	return s, s.seed()
}

func (s *service) router(log *slog.Logger) http.Handler {
	router := kit.NewRouter("tickets-service", s.tokens, log)
	router.Document(s.document)
	s.ticketPaths(router)
	s.commentPaths(router)
	s.timeEntryPaths(router)
	router.TenantStream("/api/v1/tickets/events", s.stream)
	return router
}

func (s *service) ticketPaths(router *kit.Router) {
	router.Tenant("/api/v1/tickets", kit.Methods{http.MethodGet: s.listTickets, http.MethodPost: s.createTicket})
	router.Tenant("/api/v1/tickets/{id}", kit.Methods{
		http.MethodGet:    s.getTicket,
		http.MethodPut:    s.changeTicket,
		http.MethodPatch:  s.changeTicket,
		http.MethodDelete: kit.Permit(kit.PermTicketsAll, s.deleteTicket),
	})
}

func (s *service) commentPaths(router *kit.Router) {
	router.Tenant("/api/v1/tickets/{id}/comments", kit.Methods{
		http.MethodGet: s.listComments, http.MethodPost: s.createComment,
	})
	router.Tenant("/api/v1/comments/{id}", kit.Methods{
		http.MethodGet:    s.getComment,
		http.MethodPut:    s.changeComment,
		http.MethodPatch:  s.changeComment,
		http.MethodDelete: s.deleteComment,
	})
}

func (s *service) timeEntryPaths(router *kit.Router) {
	permit := func(endpoint kit.Endpoint) kit.Endpoint { return kit.Permit(kit.PermTimeWrite, endpoint) }
	router.Tenant("/api/v1/time-entries", kit.Methods{
		http.MethodGet: permit(s.listTimeEntries), http.MethodPost: permit(s.createTimeEntry),
	})
	router.Tenant("/api/v1/time-entries/{id}", kit.Methods{
		http.MethodGet:    permit(s.getTimeEntry),
		http.MethodPut:    permit(s.changeTimeEntry),
		http.MethodPatch:  permit(s.changeTimeEntry),
		http.MethodDelete: permit(s.deleteTimeEntry),
	})
}
