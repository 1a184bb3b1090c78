package kit

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxBodyBytes      = 1 << 20
	maxRequestIDBytes = 128
)

// Call is one request and who makes it.
type Call struct {
	*http.Request
	Identity Identity // zero on a public path
	Token    string   // the access token itself, empty on a public path
}

// Scope is the tenant of the caller.
func (c *Call) Scope() Scope { return InTenant(c.Identity.TenantID) }

// Endpoint answers one call. A *Problem as error is told to the client, any other error is a 500 and is logged.
type Endpoint func(*Call) (Reply, error)

// StreamEndpoint writes its own answer as it goes. It returns an error only as long as it has written nothing.
type StreamEndpoint func(http.ResponseWriter, *Call) error

// Methods says which endpoint answers which method of a path. GET answers HEAD too.
type Methods map[string]Endpoint

// Permit admits to endpoint only callers that have the permission.
func Permit(permission string, endpoint Endpoint) Endpoint {
	return func(c *Call) (Reply, error) {
		if err := c.Identity.Require(permission); err != nil {
			return Reply{}, err
		}
		return endpoint(c)
	}
}

// Reply is a successful answer.
type Reply struct {
	status   int
	location string
	body     any
}

// OK is a 200 with a JSON body.
func OK(body any) Reply { return Reply{status: http.StatusOK, body: body} }

// Created is a 201 with the path of what was made.
func Created(location string, body any) Reply {
	return Reply{status: http.StatusCreated, location: location, body: body}
}

// NoContent is a 204.
func NoContent() Reply { return Reply{status: http.StatusNoContent} }

// Router is the http.Handler of one service.
type Router struct {
	service string
	tokens  *Tokens
	log     *slog.Logger
	started time.Time
	mux     *http.ServeMux
	routes  map[string][]string
}

// NewRouter makes the router of a service; it answers GET /health by itself, and 404 for every path not given to it.
// A nil log drops what would be logged.
func NewRouter(service string, tokens *Tokens, log *slog.Logger) *Router {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	router := &Router{
		service: service, tokens: tokens, log: log.With("service", service), started: time.Now(),
		mux: http.NewServeMux(), routes: map[string][]string{},
	}
	router.Public("/health", Methods{http.MethodGet: router.health})
	router.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		router.fail(w, r, NotFound("There is nothing at %s.", r.URL.Path))
	})
	return router
}

// Public serves a path to everybody.
func (rt *Router) Public(path string, methods Methods) {
	rt.handle(path, methods, func(*Call) error { return nil })
}

// Private serves a path to whoever has a valid access token.
func (rt *Router) Private(path string, methods Methods) {
	rt.handle(path, methods, rt.authenticate)
}

// Tenant serves a path to whoever has a valid access token that names a tenant.
func (rt *Router) Tenant(path string, methods Methods) {
	rt.handle(path, methods, rt.authenticateTenant)
}

// TenantStream serves GET on a path like Tenant, as a stream. The token may also stand in the query, because browsers
// can't set headers on a stream.
func (rt *Router) TenantStream(path string, stream StreamEndpoint) {
	rt.routes[path] = []string{http.MethodGet}
	rt.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		call := &Call{Request: r}
		if r.Method != http.MethodGet {
			rt.fail(w, r, methodNotAllowed(r.Method, http.MethodGet))
			return
		}
		tokenFromQuery(r)
		if err := rt.authenticateTenant(call); err != nil {
			rt.fail(w, r, err)
			return
		}
		if err := stream(w, call); err != nil {
			rt.fail(w, r, err)
		}
	})
}

// Routes returns the methods of every path that was given to the Router, in alphabetical order, and of /health; the
// paths of the document are not among them. The map is the caller's.
func (rt *Router) Routes() map[string][]string { return maps.Clone(rt.routes) }

// ServeHTTP implements http.Handler.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Request-ID", requestID(r))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
	rt.mux.ServeHTTP(w, r)
}

// requestID keeps the caller's ID, so that one ID follows a request through the platform, and makes one where it is
// missing or too long to be one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-ID"); id != "" && len(id) <= maxRequestIDBytes {
		return id
	}
	return NewID()
}

func (rt *Router) handle(path string, methods Methods, admit func(*Call) error) {
	rt.routes[path] = methods.names()
	rt.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		reply, err := answer(methods, admit, &Call{Request: r})
		if err == nil {
			err = reply.write(w)
		}
		if err != nil {
			rt.fail(w, r, err)
		}
	})
}

func answer(methods Methods, admit func(*Call) error, call *Call) (Reply, error) {
	method := call.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	endpoint, found := methods[method]
	if !found {
		return Reply{}, methodNotAllowed(call.Method, methods.names()...)
	}
	if err := admit(call); err != nil {
		return Reply{}, err
	}
	return endpoint(call)
}

func (m Methods) names() []string {
	var names []string
	for name := range m {
		names = append(names, name)
		if name == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return names
}

func methodNotAllowed(method string, allowed ...string) error {
	return &Problem{
		Status: http.StatusMethodNotAllowed, Code: CodeMethodNotAllowed,
		Message: fmt.Sprintf("%s is not possible here.", method),
		Allow:   strings.Join(allowed, ", "),
	}
}

func (rt *Router) authenticate(call *Call) error {
	token, err := bearer(call.Request)
	if err != nil {
		return err
	}
	call.Token = token
	call.Identity, err = rt.tokens.Verify(token)
	return err
}

func (rt *Router) authenticateTenant(call *Call) error {
	if err := rt.authenticate(call); err != nil {
		return err
	}
	if call.Identity.TenantID == "" {
		return Forbidden(CodeForbidden, "The token names no tenant, and these records belong to tenants.")
	}
	return nil
}

func (rt *Router) health(*Call) (Reply, error) {
	return OK(map[string]any{
		"status":    "healthy",
		"service":   rt.service,
		"uptime":    int(time.Since(rt.started).Seconds()),
		"timestamp": Timestamp(),
	}), nil
}

// write fails only before the first byte.
func (r Reply) write(w http.ResponseWriter) error {
	if r.location != "" {
		w.Header().Set("Location", r.location)
	}
	if r.status == http.StatusNoContent {
		w.WriteHeader(r.status)
		return nil
	}
	return writeJSON(w, r.status, r.body)
}

func writeJSON(w http.ResponseWriter, status int, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client has gone: there is nobody left to tell
	return nil
}

// errorBody is the one error shape of the platform.
type errorBody struct {
	Error errorFields `json:"error"`
}

type errorFields struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Status    int    `json:"status"`
	Timestamp string `json:"timestamp"`
	RequestID string `json:"request_id"`
}

func (rt *Router) fail(w http.ResponseWriter, r *http.Request, err error) {
	problem := problemOf(err)
	id := w.Header().Get("X-Request-ID")
	if problem.Status == http.StatusInternalServerError {
		rt.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "request_id", id, "error", err)
	}
	if problem.Allow != "" {
		w.Header().Set("Allow", problem.Allow)
	}
	if problem.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", challenge(problem.Code))
	}
	fields := errorFields{problem.Code, problem.Message, problem.Status, Timestamp(), id}
	if err := writeJSON(w, problem.Status, errorBody{fields}); err != nil {
		rt.log.Error("error answer not written", "request_id", id, "error", err)
	}
}

// challenge is the WWW-Authenticate value of a 401 (RFC 6750, section 3: no error where no token was sent).
func challenge(code string) string {
	const bare = `Bearer realm="psa-platform"`
	switch code {
	case CodeInvalidToken, CodeTokenNotActive, CodeTokenExpired, CodeTokenRevoked:
		return bare + `, error="invalid_token"`
	default:
		return bare
	}
}
