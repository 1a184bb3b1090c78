//go:build linux

package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// Page is one tab. Its methods end the test when they can't do what they should.
type Page struct {
	tb      testing.TB
	wire    *wire
	session string

	mu       sync.Mutex
	requests []*Request
	byID     map[string]*Request
	errors   []string
}

// Request is one request that the page has made, as the browser tells it.
type Request struct {
	Method, URL string
	// Header is what page and browser have put into the request, Body what the page has
	// sent, when it is text.
	Header http.Header
	Body   string
	// Status is 0 as long as there is no answer. Failed says why there is none.
	Status int
	Failed string
	// Type is what the request is for, such as Document, Script, Fetch.
	Type string
}

// Requests returns all requests so far, in order; redirects are requests of their own.
// The slice is the caller's.
func (p *Page) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Request, len(p.requests))
	for i, r := range p.requests {
		all[i] = *r
		all[i].Header = r.Header.Clone()
	}
	return all
}

// ConsoleErrors returns what the page got wrong so far: errors on the console, exceptions
// that nobody caught, resources that did not load, and what its Content-Security-Policy
// forbade. The slice is the caller's.
func (p *Page) ConsoleErrors() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.errors)
}

// Forget drops the requests and errors so far.
func (p *Page) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests, p.errors = nil, nil
}

// event is what is read of any event.
type event struct {
	RequestID string `json:"requestId"`
	Type      string `json:"type"`
	Request   struct {
		URL, Method, PostData string
		Headers               map[string]string
	}
	RedirectResponse *struct{ Status int }
	Response         struct{ Status int }
	Headers          map[string]string
	ErrorText        string
	BlockedReason    string
	Args             []struct {
		Value       json.RawMessage
		Description string
	}
	ExceptionDetails struct {
		Text      string
		Exception struct{ Description string }
	}
	Entry struct{ Level, Text, URL string }
	Issue struct {
		Code    string
		Details json.RawMessage
	}
}

// note keeps what an event tells. It runs in the goroutine of the wire.
func (p *Page) note(method string, params json.RawMessage) {
	var e event
	if err := json.Unmarshal(params, &e); err != nil && method != "Runtime.consoleAPICalled" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch method {
	case "Network.requestWillBeSent", "Network.requestWillBeSentExtraInfo", "Network.responseReceived", "Network.loadingFailed":
		p.noteRequest(method, &e)
	case "Runtime.consoleAPICalled":
		if e.Type == "error" || e.Type == "assert" {
			text := "console:"
			for _, a := range e.Args {
				text += fmt.Sprintf(" %s%s", a.Value, a.Description)
			}
			p.errors = append(p.errors, text)
		}
	case "Runtime.exceptionThrown":
		p.errors = append(p.errors, "exception: "+e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case "Log.entryAdded":
		if e.Entry.Level == "error" {
			p.errors = append(p.errors, "log: "+e.Entry.Text+" "+e.Entry.URL)
		}
	case "Audits.issueAdded":
		if e.Issue.Code == "ContentSecurityPolicyIssue" {
			p.errors = append(p.errors, "policy: "+string(e.Issue.Details))
		}
	}
}

func (p *Page) noteRequest(method string, e *event) {
	r := p.byID[e.RequestID]
	switch {
	case method == "Network.requestWillBeSent":
		if r != nil && e.RedirectResponse != nil {
			r.Status = e.RedirectResponse.Status
		}
		r = &Request{Method: e.Request.Method, URL: e.Request.URL, Header: make(http.Header), Body: e.Request.PostData, Type: e.Type}
		r.add(e.Request.Headers)
		p.byID[e.RequestID] = r
		p.requests = append(p.requests, r)
	case r == nil:
	case method == "Network.requestWillBeSentExtraInfo":
		r.add(e.Headers)
	case method == "Network.responseReceived":
		r.Status = e.Response.Status
	case method == "Network.loadingFailed":
		r.Failed = e.ErrorText + " " + e.BlockedReason
	}
}

func (r *Request) add(headers map[string]string) {
	for name, value := range headers {
		r.Header.Set(name, value)
	}
}
