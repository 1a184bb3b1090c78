//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"yett/examples/psa/services/auth"
	"yett/examples/psa/services/kit"
	"yett/test/browser"
)

// docsImage is the variable with the file that gets the picture of the documentation. It is
// renewed by
//
//	YETT_DOCS_IMAGE=$PWD/docs/images/api-docs.png go test ./test/e2e -run TestDocsInBrowser
const docsImage = "YETT_DOCS_IMAGE"

// operation is the selector of an operation's block in Swagger UI, which puts a backslash
// before the dot.
func operation(service, id string) string {
	return fmt.Sprintf(`[id="operations-%s-%s\\.%s"]`, service, service, id)
}

// docsPage is the page /api-docs, as somebody uses it.
type docsPage struct {
	*browser.Page
	t      *testing.T
	origin string
}

// open unfolds an operation.
func (p *docsPage) open(block string) { p.Click(block + " .opblock-summary-control") }

// fold folds it again.
func (p *docsPage) fold(block string) { p.Click(block + " .opblock-summary-control") }

// send executes an operation, and returns the status and the body that the page shows.
func (p *docsPage) send(block string) (status, body string) {
	p.t.Helper()
	p.Click(block + " button.execute")
	table := fmt.Sprintf(`document.querySelector(%s)`, quoted(block+" .live-responses-table"))
	p.WaitFor(table + ` !== null && !document.querySelector(` + quoted(block+" .loading-container") + `)`)
	p.Eval(table+`.querySelector("tbody .response-col_status").innerText.trim().split("\n")[0]`, &status)
	p.Eval(`(`+table+`.querySelector("tbody .response-col_description .highlight-code code") || {innerText: ""}).innerText`, &body)
	return status, body
}

// show scrolls to an element.
func (p *docsPage) show(selector string) {
	p.t.Helper()
	p.Eval(`document.querySelector(`+quoted(selector)+`).scrollIntoView({behavior: "instant"})`, nil)
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // a text can be written
	return string(b)
}

// check fails the test when the page has asked elsewhere, or has got something wrong but what
// is expected.
func (p *docsPage) check(expected ...string) {
	p.t.Helper()
	for _, r := range p.Requests() {
		if u, err := url.Parse(r.URL); err != nil || u.Scheme != "data" && u.Scheme+"://"+u.Host != p.origin {
			p.t.Errorf("the page asked for %s", r.URL)
		}
	}
	for _, e := range p.ConsoleErrors() {
		known := false
		for _, part := range expected {
			known = known || strings.Contains(e, part)
		}
		if !known {
			p.t.Errorf("the page got wrong: %s", e)
		}
	}
}

// refusedWith is what a browser writes on its console of an answer with that status.
func refusedWith(status int) string {
	return fmt.Sprintf("the server responded with a status of %d", status)
}

// From the first look to a ticket that was created and read, with nothing but the page.
func TestDocsInBrowser(t *testing.T) {
	b := browser.Start(t)
	platform := startPlatform(t)
	platform.documented()
	p := &docsPage{b.Open(), t, platform.url}
	p.Prefer("light", 1280, 1000)
	p.Goto(p.origin + "/api-docs")
	p.WaitFor(`document.title === "PSA Platform API" && document.querySelectorAll(".opblock-tag-section").length > 0`)
	p.Screenshot("docs-1-services")
	p.services()
	p.check()

	list := operation("tickets", "listTickets")
	p.open(list)
	status, body := p.send(list)
	p.Screenshot("docs-2-refused")
	e := refusalIn(t, body)
	if status != "401" || e.Code != "NO_TOKEN" || e.Status != 401 || !uuid4.MatchString(e.RequestID) {
		t.Errorf("without a token: %s %s", status, body)
	}
	p.fold(list)

	p.login("tech@example.com")
	id := p.ticket()
	p.wrong()
	p.raw()
	if got := platform.waitLog("/api/v1/tickets/" + id); got.Status != 200 || got.Service != "tickets" {
		t.Errorf("the gateway has logged %+v", got)
	}
	var stored string
	p.Eval(`JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage}) + document.cookie`, &stored)
	if stored != "{}{}" {
		t.Errorf("the page keeps %s", stored)
	}
	p.check(refusedWith(401), refusedWith(400), refusedWith(404))
}

func refusalIn(t *testing.T, body string) (e struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Status    int    `json:"status"`
	RequestID string `json:"request_id"`
}) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &struct{ Error any }{&e}); err != nil {
		t.Errorf("%v in %q", err, body)
	}
	return e
}

// services checks that all services are there, and that nobody is alarmed about those that have
// no document.
func (p *docsPage) services() {
	p.t.Helper()
	var tags []string
	p.Eval(`[...document.querySelectorAll(".opblock-tag")].map(e => e.dataset.tag)`, &tags)
	if got := strings.Join(tags, " "); got != "auth users crm tickets gateway" {
		p.t.Errorf("the page lists %s", got)
	}
	var alarmed bool
	p.Eval(`!document.getElementById("notice").hidden`, &alarmed)
	if alarmed {
		p.t.Errorf("the notice says %q", p.Text("#sources"))
	}
}

// login logs in by "Try it out", and takes the token that comes.
func (p *docsPage) login(email string) {
	p.t.Helper()
	block := operation("auth", "login")
	p.open(block)
	p.Fill(block+" textarea.body-param__text", fmt.Sprintf(`{"email": %q, "password": %q}`, email, auth.DemoPassword))
	if status, body := p.send(block); status != "200" || !strings.Contains(body, "access_token") {
		p.t.Fatalf("the login: %s %s", status, body)
	}
	p.Screenshot("docs-3-login")
	p.Click("button", "Authorize with this token")
	p.WaitFor(`document.querySelector(".offer").innerText.startsWith("Authorized")`)
	p.Screenshot("docs-4-authorized")
	p.fold(block)
}

// ticket creates a ticket and reads it, and returns its id.
func (p *docsPage) ticket() (id string) {
	p.t.Helper()
	create := operation("tickets", "createTicket")
	const subject = "The printer is on fire"
	p.open(create)
	p.Fill(create+" textarea.body-param__text", fmt.Sprintf(`{"subject": %q, "priority": "urgent", "customerId": %q}`, subject, kit.DemoID("customer", "bakery")))
	status, body := p.send(create)
	p.show(create + " .responses-inner")
	p.Screenshot("docs-5-created")
	var created, read struct{ ID, Subject, Status string }
	if err := json.Unmarshal([]byte(body), &created); err != nil || status != "201" || created.Subject != subject || created.ID == "" {
		p.t.Fatalf("creating a ticket: %s %s (%v)", status, body, err)
	}
	p.fold(create)
	get := operation("tickets", "getTicket")
	p.open(get)
	p.Fill(get+` tr[data-param-name="id"] input`, created.ID)
	status, body = p.send(get)
	p.Prefer("light", 1280, 1500) // as high as the call and its answer
	p.show(get)
	p.keep(p.Screenshot("docs-6-read"))
	p.Prefer("light", 1280, 1000)
	if err := json.Unmarshal([]byte(body), &read); err != nil || status != "200" || read != created {
		p.t.Errorf("reading it: %s %s (%v)", status, body, err)
	}
	p.fold(get)
	return created.ID
}

// keep puts a picture where the documentation has it.
func (p *docsPage) keep(picture string) {
	p.t.Helper()
	to := os.Getenv(docsImage)
	if to == "" {
		return
	}
	data, err := os.ReadFile(picture)
	if err == nil {
		err = os.WriteFile(to, data, 0o644)
	}
	if err != nil || len(data) > 300<<10 {
		p.t.Errorf("the picture for the documentation, of %d bytes: %v", len(data), err)
	}
}

// wrong sends what the gateway refuses, and sees why.
func (p *docsPage) wrong() {
	p.t.Helper()
	create := operation("tickets", "createTicket")
	p.open(create)
	p.Fill(create+" textarea.body-param__text", `{"subject": 7}`)
	status, body := p.send(create)
	p.show(create + " .responses-inner")
	p.Screenshot("docs-7-wrong")
	if e := refusalIn(p.t, body); status != "400" || e.Code != "BAD_REQUEST" || e.Message == "" || !uuid4.MatchString(e.RequestID) {
		p.t.Errorf("a wrong ticket: %s %s", status, body)
	}
	p.fold(create)
}

// raw follows the links to the documents themselves.
func (p *docsPage) raw() {
	p.t.Helper()
	var links []struct{ Text, Type, Start string }
	p.Eval(`Promise.all([...document.querySelectorAll("nav a")].map(async a => {
		const answer = await fetch(a.href);
		return {text: a.innerText, type: answer.headers.get("Content-Type"), start: answer.status + " " + (await answer.text()).slice(0, 18)};
	}))`, &links)
	want := `[{JSON application/json; charset=utf-8 200 {"openapi":"3.1.0"} {YAML application/yaml; charset=utf-8 200 openapi: '3.1.0'
i} {OpenAPI 3.0 application/json; charset=utf-8 200 {"openapi":"3.0.3"}]`
	if got := fmt.Sprint(links); got != want {
		p.t.Errorf("the links lead to\n%s, want\n%s", got, want)
	}
	p.Click("nav a", "JSON")
	p.WaitFor(`location.pathname === "/api-docs.json" && document.body.innerText.includes("PSA Platform API")`)
	p.Screenshot("docs-8-raw")
}
