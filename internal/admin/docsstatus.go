package admin

import (
	"fmt"
	"net/http"
	"time"

	"yett/internal/apidocs"
	"yett/internal/exchange"
	"yett/internal/openapi/source"
	"yett/internal/policy"
	"yett/internal/policy/validate"
	"yett/internal/snapshot"
)

// DocsStatus is the page that shows how the services' documents are, and what of them is
// called.
type DocsStatus struct {
	Hub *apidocs.Hub
}

// DocsPage is what the endpoint docs_status shows.
type DocsPage struct {
	Timestamp string `json:"timestamp"`
	// Operations are those in the gateway's document, Bytes is its size.
	Operations int              `json:"operations"`
	Bytes      int              `json:"bytes"`
	Services   []DocumentedPage `json:"services"`
	// Left are operations of services that are not in the gateway's document.
	Left []LeftPage `json:"left,omitempty"`
}

// DocumentedPage is a service with its document, as this node has it.
type DocumentedPage struct {
	Service string `json:"service"`
	State   string `json:"state"` // good, stale, waiting or none
	// From is where the document comes from, Problem why the latest can't be had.
	From    string `json:"from,omitempty"`
	Problem string `json:"problem,omitempty"`
	Title   string `json:"title,omitempty"`
	Version string `json:"openapi,omitempty"` // of OpenAPI, as it was written
	Loaded  string `json:"loaded,omitempty"`
	Checked string `json:"checked,omitempty"`
	Bytes   int    `json:"bytes,omitempty"`
	// Notes are parts that are not checked, because they make no sense.
	Notes []string `json:"notes,omitempty"`
	// Watched tells that calls are counted, because a route to the service has the policy
	// validate. UnwatchedRoutes are those that do not have it.
	Watched         bool       `json:"watched"`
	UnwatchedRoutes []string   `json:"unwatchedRoutes,omitempty"`
	Calls           []CallPage `json:"calls,omitempty"`
	// Unknown are calls that the document does not know, MoreUnknown those of which only
	// the number was kept.
	Unknown     []UnknownPage `json:"unknown,omitempty"`
	MoreUnknown int64         `json:"moreUnknown,omitempty"`
}

// CallPage is an operation and what came of its calls.
type CallPage struct {
	Method string `json:"method"`
	Path   string `json:"path"` // of the service
	// Public are the paths under which callers reach it, none where they don't.
	Public []string `json:"public,omitempty"`
	// Hidden tells that they reach it, and it is not to be shown.
	Hidden      bool  `json:"hidden,omitempty"`
	Calls       int64 `json:"calls"`
	BadRequests int64 `json:"badRequests"`
	BadAnswers  int64 `json:"badAnswers"`
	// Unchecked are requests and answers whose bodies were too large to look at.
	Unchecked int64 `json:"unchecked"`
}

// UnknownPage is a kind of calls that a document does not know.
type UnknownPage struct {
	Method string `json:"method"`
	Path   string `json:"path"` // of the service, with {} for what looks like an identifier
	Calls  int64  `json:"calls"`
}

// LeftPage is an operation that is not in the gateway's document. Without a method it stands
// for all operations of the service.
type LeftPage struct {
	Service string `json:"service"`
	Method  string `json:"method,omitempty"`
	Path    string `json:"path,omitempty"`
	Why     string `json:"why"`
	// Hidden tells that a route leads to it which is not to be shown: that is no mistake.
	Hidden bool `json:"hidden,omitempty"`
}

// Serve implements snapshot.Endpoint.
func (d *DocsStatus) Serve(x *exchange.Exchange) {
	if x.Method != http.MethodGet && x.Method != http.MethodHead {
		x.Allow = "GET, HEAD"
		x.Refuse(exchange.MethodNotAllowed)
		return
	}
	q, err := readQuery(x.Query, "service")
	if err != nil {
		x.RefuseWith(exchange.BadDocsStatusQuery, err.Error())
		return
	}
	name := q["service"]
	edition := d.Hub.Edition()
	if edition == nil {
		beingMade(x)
		return
	}
	page := d.page(edition, name)
	if name != "" && len(page.Services) == 0 {
		detail := "no service of that name"
		if len(name) <= longestService {
			detail = fmt.Sprintf("no service %q", name)
		}
		x.RefuseWith(exchange.NoSuchService, detail)
		return
	}
	reply(x, http.StatusOK, page)
}

// page shows one service, or all of them where only is empty.
func (d *DocsStatus) page(edition *apidocs.Edition, only string) DocsPage {
	snap := d.Hub.Snapshot()
	page := DocsPage{
		Timestamp: stamp(time.Now()), Operations: edition.Operations(), Bytes: len(edition.File("", false).Content()),
		Services: []DocumentedPage{},
	}
	reach := reachOf(edition.Merged)
	for _, e := range snap.Config.Services {
		if only == "" || e.Name == only {
			page.Services = append(page.Services, showDocumented(e.Name, snap, reach))
		}
	}
	for _, l := range edition.Merged.Left {
		if only == "" || l.Service == only {
			page.Left = append(page.Left, LeftPage{l.Service, l.Method, l.Path, l.Why, l.Hidden})
		}
	}
	return page
}

// reach is how callers get to operations, by service, method and path of the service.
type reach struct {
	public map[[3]string][]string
	hidden map[[3]string]bool
}

func reachOf(m *apidocs.Merged) reach {
	r := reach{make(map[[3]string][]string), make(map[[3]string]bool)}
	for _, s := range m.Shown {
		key := [3]string{s.Service, s.Method, s.ServicePath}
		r.public[key] = append(r.public[key], s.Path)
	}
	for _, l := range m.Left {
		r.hidden[[3]string{l.Service, l.Method, l.ServicePath}] = l.Hidden
	}
	return r
}

func showDocumented(name string, snap *snapshot.Snapshot, reach reach) DocumentedPage {
	page := DocumentedPage{Service: name, State: apidocs.StateNone}
	src := snap.Documents().Of(name)
	if src == nil {
		return page
	}
	page.Watched, page.UnwatchedRoutes = watched(snap, name)
	st := src.State()
	page.State, page.From, page.Problem, page.Title, page.Version = st.Phase, st.From, st.Problem, st.Title, st.Version
	page.Loaded, page.Checked, page.Bytes = stamp(st.At), stamp(st.Checked), st.Size
	for _, n := range st.Notes {
		page.Notes = append(page.Notes, n.String())
	}
	if loaded := src.Loaded(); loaded != nil {
		page.count(loaded, reach)
	}
	return page
}

func (p *DocumentedPage) count(loaded *source.Loaded, reach reach) {
	for _, op := range loaded.Contract.Operations() {
		t, key := op.Tally, [3]string{p.Service, op.Method, op.Path}
		p.Calls = append(p.Calls, CallPage{
			Method: op.Method, Path: op.Path, Public: reach.public[key], Hidden: reach.hidden[key],
			Calls: t.Calls.Load(), BadRequests: t.BadRequests.Load(), BadAnswers: t.BadAnswers.Load(),
			Unchecked: t.Unchecked.Load() + t.UncheckedAnswers.Load(),
		})
	}
	unknown, more := loaded.Contract.Unknown.List()
	for _, u := range unknown {
		p.Unknown = append(p.Unknown, UnknownPage{u.Method, u.Path, u.Calls})
	}
	p.MoreUnknown = more
}

// watched tells whether calls of a service are counted, and on which routes they are not.
func watched(snap *snapshot.Snapshot, service string) (some bool, without []string) {
	for _, r := range snap.Routes() {
		if r.Config().Service != service {
			continue
		}
		if counts(r.Chain) {
			some = true
		} else {
			without = append(without, r.Name)
		}
	}
	return some, without
}

func counts(c policy.Chain) bool {
	for _, l := range c {
		if l.Kind == validate.Kind {
			return true
		}
	}
	return false
}
