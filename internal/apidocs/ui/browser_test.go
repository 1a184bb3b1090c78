//go:build linux

package ui

import (
	"fmt"
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

	last := p.Requests()[len(p.Requests())-1]
	if last.URL != s.url+"/api/v1/tickets" || last.Header.Get("Authorization") != "Bearer "+s.token || last.Status != 200 {
		t.Errorf("the last call was %+v", last)
	}
	var stored string
	p.Eval(`JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage}) + document.cookie`, &stored)
	if stored != "{}{}" {
		t.Errorf("the page keeps %s", stored)
	}
	clean(t, p, s.url)
}
