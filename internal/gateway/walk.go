package gateway

import (
	"strings"
	"time"

	"yett/internal/exchange"
)

// Walk is what an exchange meets on its way through the gateway. It holds no
// views, and no secret: what Authorization, cookies and the like said is
// hidden.
type Walk struct {
	Request Request `json:"request"`
	Client  Client  `json:"client"`
	// Dropped are the fields that the request lost at the door.
	Dropped []Dropped `json:"dropped,omitempty"`
	// Route is nil where none takes the request. Near are the routes whose path
	// fits too.
	Route *Route `json:"route,omitempty"`
	Near  []Near `json:"near,omitempty"`
	// Policies are the links of the chain in order, those that were not reached
	// too.
	Policies []Step `json:"policies"`
	// Caller is nil for one whom nobody knows.
	Caller *Caller `json:"caller,omitempty"`
	// Answers is who answers.
	Answers Answerer `json:"answers"`
	// Split says how requests of the route are shared out, Mirror where copies go. They are nil
	// where there is none, or no service is asked.
	Split  *Split  `json:"split,omitempty"`
	Mirror *Mirror `json:"mirror,omitempty"`
	// Sent is what the service would be sent, nil where none is asked.
	Sent   *Sent  `json:"sent,omitempty"`
	Answer Answer `json:"answer"`
	// Refusal is nil for a request that passes.
	Refusal *Refusal `json:"refusal,omitempty"`
}

// Request is a request as the engine has read it.
type Request struct {
	Method string `json:"method"`
	// Target is path and query as they came, Path the normalised path.
	Target   string `json:"target"`
	Path     string `json:"path,omitempty"`
	Host     string `json:"host"`
	Version  string `json:"version"`
	Listener string `json:"listener,omitempty"`
	TLS      bool   `json:"tls"`
}

// Client is where a request comes from.
type Client struct {
	Address string `json:"address"`
	// Peer is the other end of the connection, Proxy whether it is a listed
	// proxy.
	Peer  string `json:"peer"`
	Proxy bool   `json:"proxy"`
	// How says how Address was found.
	How string `json:"how"`
}

// Dropped is a field that a request has lost, and why.
type Dropped struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Route is the route that takes a request.
type Route struct {
	Name       string   `json:"name"`
	Host       string   `json:"host,omitempty"` // empty for every host
	Path       string   `json:"path,omitempty"` // as a pattern
	Methods    []string `json:"methods,omitempty"`
	Conditions []string `json:"conditions,omitempty"`
	Auth       string   `json:"auth,omitempty"`
	Priority   string   `json:"priority,omitempty"` // high, or empty
	Values     []Value  `json:"values,omitempty"`   // of the path
	// Preflight tells that the route does not serve the method, and its
	// policies answer as a CORS preflight what its pages may do.
	Preflight bool `json:"preflight,omitempty"`
}

// Value is a value of a path.
type Value struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Near is a route whose path fits, and what is in its way.
type Near struct {
	Name string `json:"name"`
	Path string `json:"path"`
	Why  string `json:"why"`
}

// The verdicts of a Step.
const (
	Passes      = "passes"
	Answers     = "answers"
	Refuses     = "refuses"
	WouldRefuse = "would refuse" // its mode is observe
	NotReached  = "not reached"
)

// Step is one link of the chain.
type Step struct {
	Policy  string `json:"policy"`
	Part    string `json:"part,omitempty"` // of a policy with several: where it stands
	Mode    string `json:"mode,omitempty"` // observe, or empty
	Verdict string `json:"verdict"`
	// Refusal is what it refuses for, or would.
	Refusal *Refusal `json:"refusal,omitempty"`
	// Says is what the policy itself says about it.
	Says []string `json:"says,omitempty"`
	// Sets and Removes are what it changes of the request's header.
	Sets    []Field  `json:"sets,omitempty"`
	Removes []string `json:"removes,omitempty"`
}

// Caller is who calls, as it was verified.
type Caller struct {
	Subject     string    `json:"subject"`
	Email       string    `json:"email,omitempty"`
	Tenant      string    `json:"tenant,omitempty"`
	Plan        string    `json:"plan,omitempty"`
	Roles       []string  `json:"roles,omitempty"`
	Permissions []string  `json:"permissions,omitempty"`
	Scopes      []string  `json:"scopes,omitempty"`
	Issuer      string    `json:"issuer,omitempty"`
	Expires     time.Time `json:"expires,omitzero"`
}

// Answerer is who answers: a service, an endpoint, a policy, or the gateway,
// which refuses.
type Answerer struct {
	Kind    string   `json:"kind"`
	Name    string   `json:"name,omitempty"`
	Targets []string `json:"targets,omitempty"`
}

// Split is how the requests of a route are shared out among services.
type Split struct {
	// Shares has the route's own service, which gets the rest, at the end.
	Shares []Share `json:"shares"`
	// By is what says who is always sent to the same service, empty when all is left to chance.
	By []string `json:"by,omitempty"`
	// Bound tells that this caller always gets the service that is shown, and not by chance.
	Bound bool `json:"bound"`
}

// Share is a service and its share of the requests, such as 5%.
type Share struct {
	Service string `json:"service"`
	Share   string `json:"share"`
}

// String is the share in two words.
func (s Share) String() string { return s.Share + " " + s.Service }

// Mirror is where copies of requests go.
type Mirror struct {
	Service string `json:"service"`
	Share   string `json:"share"` // of the requests
	// Methods are those whose requests are copied, empty for all.
	Methods []string `json:"methods,omitempty"`
	// Not says why this request is never copied, "" when that is left to the share.
	Not string `json:"not,omitempty"`
}

// String is the answerer in two words.
func (a Answerer) String() string { return strings.TrimSpace(a.Kind + " " + a.Name) }

// Sent is a request to a service, but for its body.
type Sent struct {
	// Target is the first of the service.
	Target string  `json:"target"`
	Line   string  `json:"line"`
	Fields []Field `json:"fields"`
}

// Field is a line of a header, and by which policy it was added.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	By    string `json:"by,omitempty"`
}

// Answer is what the client gets. Of an answer that only the service or the
// page knows there is what the policies add: its status is 0.
type Answer struct {
	Status int     `json:"status,omitempty"`
	Fields []Field `json:"fields,omitempty"`
	Body   string  `json:"body,omitempty"`
}

// Refusal is why a request does not pass.
type Refusal struct {
	// By is engine, routes, limits, service, gateway, or "policy" and its name.
	By      string `json:"by"`
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// Detail is what the log says beside it, Help what an operator can do.
	Detail string `json:"detail,omitempty"`
	Help   string `json:"help,omitempty"`
}

// Passes tells whether nothing refuses the request.
func (w *Walk) Passes() bool { return w.Refusal == nil }

// Walk takes an exchange the way that Serve takes, and says what it meets. No
// service is called and no page of the gateway is asked: where they would be,
// an empty answer stands in. As after Serve, the engine may send the answer,
// and Done ends the exchange.
func (g *Gateway) Walk(x *exchange.Exchange) *Walk {
	w := &walker{}
	g.pass(x, w)
	return w.finish(x)
}
