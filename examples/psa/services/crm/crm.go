// Package crm is the example platform's CRM service: customers and the contacts at them, kept apart by tenant.
package crm

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
	document  *kit.Document
	tokens    *kit.Tokens
	customers *kit.Collection[Customer]
	contacts  *kit.Collection[Contact]

	// relations is held where one collection is read to decide about the other: a contact must not be added to a
	// customer that is being deleted. It comes before the locks of both collections, whose order then does not matter.
	relations sync.Mutex
}

// New makes the service with sample customers and contacts in it.
func New(cfg Config) (http.Handler, error) {
	s, err := newService(cfg)
	if err != nil {
		return nil, fmt.Errorf("make the crm service: %w", err)
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
	s := &service{document: own, tokens: tokens, customers: newCustomers(), contacts: newContacts()}
	return s, s.seed()
}

func (s *service) router(log *slog.Logger) http.Handler {
	router := kit.NewRouter("crm-service", s.tokens, log)
	router.Document(s.document)
	s.customerPaths(router)
	s.contactPaths(router)
	return router
}

func (s *service) customerPaths(router *kit.Router) {
	router.Tenant("/api/v1/customers", kit.Methods{
		http.MethodGet:  reading(s.listCustomers),
		http.MethodPost: writing(s.createCustomer),
	})
	router.Tenant("/api/v1/customers/{id}", kit.Methods{
		http.MethodGet:    reading(s.getCustomer),
		http.MethodPut:    writing(s.changeCustomer),
		http.MethodPatch:  writing(s.changeCustomer),
		http.MethodDelete: writing(s.deleteCustomer),
	})
}

func (s *service) contactPaths(router *kit.Router) {
	router.Tenant("/api/v1/contacts", kit.Methods{
		http.MethodGet:  reading(s.listContacts),
		http.MethodPost: writing(s.createContact),
	})
	router.Tenant("/api/v1/contacts/{id}", kit.Methods{
		http.MethodGet:    reading(s.getContact),
		http.MethodPut:    writing(s.changeContact),
		http.MethodPatch:  writing(s.changeContact),
		http.MethodDelete: writing(s.deleteContact),
	})
}

func reading(endpoint kit.Endpoint) kit.Endpoint { return kit.Permit(kit.PermCustomersRead, endpoint) }
func writing(endpoint kit.Endpoint) kit.Endpoint { return kit.Permit(kit.PermCustomersWrite, endpoint) }
