package main

import (
	"strings"
	"testing"

	"yett/internal/exchange"
	"yett/internal/openapi"
	"yett/internal/openapi/contract"
)

// The documents of the cases are about their requests: what is measured is not a path that
// nobody knows.
func TestDocumentsKnowTheRequests(t *testing.T) {
	for _, operations := range []int{2, 10_000} {
		d, err := openapi.Parse("openapi.json", []byte(ticketDocument(operations)), openapi.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		d.Upgrade()
		c, problems := contract.Compile(d)
		if len(problems) > 0 || len(c.Operations()) != operations {
			t.Fatalf("%d operations, %v", len(c.Operations()), problems)
		}
		for _, b := range []benchCase{validateGetCase(), validatePostCase()} {
			x := &exchange.Exchange{Method: b.Request.Method}
			x.Path, x.Query, _ = strings.Cut(b.Request.Path, "?")
			x.Request.Add("Content-Type", "application/json")
			op, _ := c.Match(x.Method, x.Path)
			if op == nil {
				t.Fatalf("%s: no operation", b.Name)
			}
			if wrong := op.CheckRequest(x, x.Path, []byte(b.Request.JSON)); len(wrong) > 0 {
				t.Errorf("%s: %v", b.Name, wrong)
			}
			if wrong := op.CheckAnswer(b.Want.Status, &x.Request, []byte(ticket)); len(wrong) > 0 || op.AnswerBody(b.Want.Status, &x.Request) != contract.Wanted {
				t.Errorf("%s, answer: %v", b.Name, wrong)
			}
		}
	}
}
