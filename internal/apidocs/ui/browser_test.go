//go:build linux

package ui

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"yett/test/browser"
)

// clean fails the test when a page has asked elsewhere or has got something wrong.
// expected are pieces of errors that have to come.
func clean(t *testing.T, p *browser.Page, origin string, expected ...string) {
	t.Helper()
	for _, r := range p.Requests() {
		if u, err := url.Parse(r.URL); err != nil || u.Scheme != "data" && u.Scheme+"://"+u.Host != origin {
			t.Errorf("the page asked for %s", r.URL)
		}
	}
	for _, e := range p.ConsoleErrors() {
		known := false
		for _, part := range expected {
			known = known || strings.Contains(e, part)
		}
		if !known {
			t.Errorf("the page got wrong: %s", e)
		}
	}
}

// callOf returns the last request for an address, a zero one when there was none.
func callOf(p *browser.Page, address string) (last browser.Request) {
	for _, r := range p.Requests() {
		if r.URL == address {
			last = r
		}
	}
	return last
}

// operation is the selector of an operation's block.
func operation(tag, id string) string { return fmt.Sprintf("#operations-%s-%s", tag, id) }

// From the first look to a call with a token, with nothing but the mouse.
func TestFirstMinute(t *testing.T) {
	s := setStage(t)
	p := browser.Start(t).Open()
	p.Goto(s.url + "/api-docs")
	p.WaitFor(`document.querySelectorAll(".opblock-tag-section").length === 2`)
	p.WaitFor(`document.title === "PSA platform"`)
	p.Screenshot("api-docs")

	p.Click(operation("auth", "login") + " .opblock-summary-control")
	p.Click(operation("auth", "login") + " button.execute")
	p.Click("button", "Authorize with this token")
	p.WaitFor(`document.querySelector(".offer").innerText.startsWith("Authorized")`)
	p.Screenshot("api-docs-login")
	p.Click(operation("tickets", "listTickets") + " .opblock-summary-control")
	p.Click(operation("tickets", "listTickets") + " button.execute")
	p.WaitFor(`document.querySelector("` + operation("tickets", "listTickets") + ` .live-responses-table").innerText.includes("printer on fire")`)
	p.Screenshot("api-docs-call")

	if call := callOf(p, s.url+"/api/v1/tickets"); call.Header.Get("Authorization") != "Bearer "+s.token || call.Status != 200 {
		t.Errorf("the call was %+v", call)
	}
	var stored string
	p.Eval(`JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage}) + document.cookie`, &stored)
	if stored != "{}{}" {
		t.Errorf("the page keeps %s", stored)
	}
	clean(t, p, s.url)
}

// refused are the errors that a browser writes on its console for any answer that is none.
const refused = "the server responded with a status of "

func TestProtectedDocument(t *testing.T) {
	s := setStage(t, func(s *stage) { s.protected = true })
	p := browser.Start(t).Open()
	p.Goto(s.url + "/api-docs")
	p.WaitFor(`document.activeElement.id === "token"`)
	p.Screenshot("api-docs-protected")
	for _, try := range []struct{ token, want string }{
		{"two words", "neither spaces"},
		{"wrong", "INVALID_TOKEN (401): The token is not valid. Request id: "},
		{"Bearer wrong-role", "INSUFFICIENT_PERMISSIONS (403): The role is not enough. Request id: "},
	} {
		p.Fill("#token", try.token)
		p.Press("Enter")
		p.WaitFor(fmt.Sprintf("document.getElementById('refusal').innerText.includes(%q)", try.want))
	}
	if said := p.Text("#refusal"); len(said) < len("INSUFFICIENT_PERMISSIONS (403): The role is not enough. Request id: ")+36 {
		t.Errorf("there is no id in %q", said)
	}
	p.Screenshot("api-docs-refused")
	p.Fill("#token", s.token)
	p.Click("button", "Open the document")
	p.Click(operation("tickets", "listTickets") + " .opblock-summary-control")
	p.Click(operation("tickets", "listTickets") + " button.execute")
	p.WaitFor(`document.querySelector("` + operation("tickets", "listTickets") + ` .live-responses-table").innerText.includes("printer on fire")`)

	p.Forget()
	p.Click("nav a", "YAML")
	p.WaitFor(`performance.getEntriesByType("resource").some(e => e.name.endsWith("/api-docs.yaml"))`)
	saved := p.Requests()
	if len(saved) == 0 || saved[0].URL != s.url+"/api-docs.yaml" || saved[0].Header.Get("Authorization") != "Bearer "+s.token {
		t.Errorf("the raw document was asked for by %+v", saved)
	}
	clean(t, p, s.url, refused+"401", refused+"403")
}

func TestDocumentCantBeLoaded(t *testing.T) {
	s := setStage(t)
	s.status.Store(503)
	p := browser.Start(t).Open()
	p.Goto(s.url + "/api-docs")
	p.WaitFor(`document.getElementById("problem").innerText.includes("SERVICE_UNAVAILABLE (503): The service is unavailable. Request id: ")`)
	p.Screenshot("api-docs-unavailable")
	no := `["not", "a document"]`
	s.document.Store(&no)
	s.status.Store(200)
	p.Click("button", "Try again")
	p.WaitFor(`document.getElementById("problem").innerText.includes("no OpenAPI document")`)
	s.document.Store(&document)
	p.Click("button", "Try again")
	p.WaitFor(`document.querySelectorAll(".opblock").length === 2 && document.getElementById("problem").hidden`)
	clean(t, p, s.url, refused+"503")
}

func TestSourcesAreShown(t *testing.T) {
	s := setStage(t)
	doc := strings.Replace(document, "{", `{"x-yett-sources": [{"service": "auth", "state": "good"}, `+
		`{"service": "crm", "state": "stale", "problem": "<b>404</b>"}, {"service": "tickets", "state": "waiting"}, {"service": "billing", "state": "none"}],`, 1)
	s.document.Store(&doc)
	p := browser.Start(t).Open()
	p.Goto(s.url + "/api-docs/")
	p.WaitFor(`!document.getElementById("notice").hidden`)
	if got := p.Text("#sources"); got != "crm: stale, <b>404</b>\ntickets: waiting" {
		t.Errorf("the page shows %q", got)
	}
	p.Screenshot("api-docs-sources")
	clean(t, p, s.url)
}

// What a service writes into its document can't run, nor call elsewhere.
func TestHostileDocument(t *testing.T) {
	s := setStage(t)
	const script = `<img src=x onerror=\"document.title='hit'\"><script>document.title='hit'</script><a href=\"javascript:document.title='hit'\">a</a><style>body{display:none}</style>`
	doc := strings.NewReplacer("Two services behind **one** gateway.", script, "Work to do", script, "List tickets", script, "A *short* text", script).Replace(document)
	doc = strings.Replace(doc, `"openapi": "3.1.0",`, `"openapi": "3.1.0", "servers": [{"url": "https://evil.example/"}, {"url": "javascript:alert(1)"}],`, 1)
	s.document.Store(&doc)
	p := browser.Start(t).Open()
	p.Goto(s.url + "/api-docs?url=https://evil.example/openapi.json&configUrl=https://evil.example/c.json")
	p.Click(operation("tickets", "listTickets") + " .opblock-summary-control")
	p.Click(operation("tickets", "listTickets") + " button.execute")
	p.WaitFor(`document.querySelector(".live-responses-table") !== null`)
	var servers []string
	p.Eval(`[...document.querySelectorAll(".servers option")].map(o => o.value)`, &servers)
	if len(servers) != 1 || servers[0] != s.url {
		t.Errorf("calls may go to %q", servers)
	}
	p.WaitFor(`document.title === "PSA platform"`)
	// The picture is asked for, here: that is all that is left of it.
	clean(t, p, s.url, refused+"404", refused+"401", "Content Security Policy", "contentSecurityPolicyIssueDetails")
}

// An outer proxy takes a prefix away; a link leads to an operation.
func TestBehindProxy(t *testing.T) {
	s := setStage(t)
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	outer := httptest.NewServer(http.StripPrefix("/outer", httputil.NewSingleHostReverseProxy(target)))
	t.Cleanup(outer.Close)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	b := browser.Start(t)
	for _, path := range []string{"/outer/api-docs", "/outer/api-docs/"} {
		p := b.Open()
		p.WithoutStorage()
		p.Goto(outer.URL + path + "#/tickets/listTickets")
		p.Click(operation("tickets", "listTickets") + " button.execute")
		p.WaitFor(`document.querySelector(".live-responses-table") !== null`)
		if call := callOf(p, outer.URL+"/outer/api/v1/tickets"); call.Status != 401 {
			t.Errorf("%s: the calls were %+v", path, p.Requests())
		}
		clean(t, p, outer.URL, refused+"401")
	}
}

// On a narrow screen nothing is wider than it, and dark colours can be read.
func TestNarrowAndDark(t *testing.T) {
	s := setStage(t)
	p := browser.Start(t).Open()
	p.Prefer("dark", 390, 844)
	p.Goto(s.url + "/api-docs")
	p.Click(operation("auth", "login") + " .opblock-summary-control")
	p.Click(operation("auth", "login") + " button.execute")
	p.WaitFor(`document.querySelector(".offer button") !== null`)
	p.WaitFor(`document.documentElement.scrollWidth <= 390`)
	p.Eval(`document.querySelector(".offer").scrollIntoView()`, nil)
	p.Screenshot("api-docs-narrow-dark")
	p.Prefer("dark", 1280, 1000)
	p.Click(".auth-wrapper button.authorize")
	p.WaitFor(`document.querySelector(".dialog-ux .modal-ux").getBoundingClientRect().bottom < innerHeight`)
	p.Screenshot("api-docs-dark")
	clean(t, p, s.url)
}

// The page is worked with keys alone.
func TestKeyboard(t *testing.T) {
	s := setStage(t)
	p := browser.Start(t).Open()
	p.Goto(s.url + "/api-docs")
	p.WaitFor(`document.querySelectorAll(".opblock").length === 2`)
	var unnamed []string
	p.Eval(`[...document.querySelectorAll("header a, header button, main > .card button, main > .card input")]
		.filter(e => !e.innerText.trim() && !(e.labels && e.labels.length)).map(e => e.outerHTML)`, &unnamed)
	if len(unnamed) > 0 {
		t.Errorf("without a name: %q", unnamed)
	}
	p.Eval(`document.querySelector("`+operation("auth", "login")+` .opblock-summary-control").focus()`, nil)
	p.Press("Enter")
	p.Click(operation("auth", "login") + " button.execute")
	p.WaitFor(`document.querySelector(".offer button") !== null`)
	p.Eval(`document.querySelector(".offer button").focus()`, nil)
	p.Press("Enter")
	p.WaitFor(`document.querySelector(".offer").innerText.startsWith("Authorized")`)
	clean(t, p, s.url)
}

// A large document opens with its tags closed.
func TestLargeDocument(t *testing.T) {
	s := setStage(t)
	var paths strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&paths, `"/p%d": {"get": {"tags": ["tickets"], "operationId": "p%d", "responses": {"200": {"description": "ok"}}}},`, i, i)
	}
	doc := strings.Replace(document, `"paths": {`, `"paths": {`+paths.String(), 1)
	s.document.Store(&doc)
	p := browser.Start(t).Open()
	p.Goto(s.url + "/api-docs")
	p.WaitFor(`document.querySelectorAll(".opblock-tag-section").length === 2`)
	p.WaitFor(`document.querySelectorAll(".opblock").length === 0`)
	clean(t, p, s.url)
}
