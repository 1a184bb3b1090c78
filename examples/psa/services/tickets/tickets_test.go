package tickets_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"yett/examples/psa/services/kit"
	"yett/examples/psa/services/kit/kittest"
	"yett/examples/psa/services/tickets"
)

const (
	tenantA, tenantB = "tenant-a", "tenant-b" // fresh tenants: the samples belong to others
	someCustomer     = "11111111-1111-4111-8111-111111111111"
)

func newHandler(t *testing.T) http.Handler {
	t.Helper()
	handler, err := tickets.New(tickets.Config{JWTSecret: kittest.Secret})
	if err != nil {
		t.Fatal(err)
	}
	return contract.Watch(t, handler)
}

func as(t *testing.T, handler http.Handler, role, tenant, user string) kittest.Client {
	t.Helper()
	return kittest.Client{Handler: handler, Token: kittest.Token(t, role, tenant, user)}
}

// start makes the service and clients of a technician in each of two tenants.
func start(t *testing.T) (a, b kittest.Client) {
	t.Helper()
	handler := newHandler(t)
	return as(t, handler, "technician", tenantA, "a"), as(t, handler, "technician", tenantB, "b")
}

func create(t *testing.T, client kittest.Client, path, body string) string {
	t.Helper()
	return client.Do(t, "POST", path, body).Want(t, 201).Header.Get("Location")
}

func ticketBody(subject string) string {
	return fmt.Sprintf(`{"subject":%q,"customerId":%q}`, subject, someCustomer)
}

func newTicket(t *testing.T, client kittest.Client, subject string) string {
	t.Helper()
	return create(t, client, "/api/v1/tickets", ticketBody(subject))
}

func newEntry(t *testing.T, client kittest.Client, ticket string) string {
	t.Helper()
	return create(t, client, "/api/v1/time-entries", entryBody(ticket))
}

func entryBody(ticket string) string {
	return fmt.Sprintf(`{"ticketId":%q,"minutes":30,"note":"Looked","date":"2025-01-31"}`, idOf(ticket))
}

func idOf(path string) string { return path[strings.LastIndex(path, "/")+1:] }

func TestTicketsAreKept(t *testing.T) {
	a, _ := start(t)
	path := newTicket(t, a, "Printer")
	got := a.Do(t, "GET", path, "").Want(t, 200)
	for field, want := range map[string]string{
		"subject": "Printer", "status": "open", "priority": "normal", "createdBy": "a", "tenantId": tenantA, "closedAt": "", "id": idOf(path),
	} {
		if got.Field(t, field) != want {
			t.Errorf("%s = %q, want %q", field, got.Field(t, field), want)
		}
	}
	a.Do(t, "PATCH", path, `{"priority":"urgent"}`).Want(t, 200)
	if got := a.Do(t, "GET", path, "").Want(t, 200); got.Field(t, "priority") != "urgent" || got.Field(t, "subject") != "Printer" {
		t.Errorf("after PATCH %s", got.Body)
	}
	a.Do(t, "PUT", path, `{"subject":"Scanner","status":"waiting","priority":"low","customerId":"`+someCustomer+`"}`).Want(t, 200)
	if got := a.Do(t, "GET", path, "").Want(t, 200); got.Field(t, "subject") != "Scanner" || got.Field(t, "status") != "waiting" || got.Field(t, "createdBy") != "a" {
		t.Errorf("after PUT %s", got.Body)
	}
	a.Do(t, "DELETE", path, "").Want(t, 204)
	a.Do(t, "GET", path, "").WantError(t, 404, kit.CodeNotFound, "ticket")
	a.Do(t, "DELETE", path, "").WantError(t, 404, kit.CodeNotFound, "ticket")
}

func TestTransitions(t *testing.T) {
	a, _ := start(t)
	allowed := map[string][]string{
		"open":        {"open", "in_progress", "waiting", "closed"},
		"in_progress": {"open", "in_progress", "waiting", "closed"},
		"waiting":     {"in_progress", "waiting", "closed"},
		"closed":      {"open", "closed"},
	}
	for from, targets := range allowed {
		for to := range allowed {
			path := newTicket(t, a, from+" to "+to)
			a.Do(t, "PATCH", path, `{"status":"`+from+`"}`).Want(t, 200)
			whole := fmt.Sprintf(`{"subject":"x","customerId":%q,"priority":"low","status":%q}`, someCustomer, to)
			answer := a.Do(t, "PATCH", path, `{"status":"`+to+`"}`)
			if !slices.Contains(targets, to) {
				answer.WantError(t, 409, kit.CodeConflict, "from "+from+" to "+to)
				a.Do(t, "PUT", path, whole).WantError(t, 409, kit.CodeConflict, "from "+from+" to "+to)
				continue
			}
			if closed := answer.Want(t, 200).Field(t, "closedAt") != ""; closed != (to == "closed") {
				t.Errorf("%s to %s: closedAt = %q", from, to, answer.Field(t, "closedAt"))
			}
		}
	}
}

func TestTicketFilters(t *testing.T) {
	a, _ := start(t)
	one, two := newTicket(t, a, "Printer"), newTicket(t, a, "Scanner")
	a.Do(t, "PATCH", two, `{"status":"closed","priority":"high","assigneeId":"`+someCustomer+`"}`).Want(t, 200)
	for query, want := range map[string][]string{
		"":                            {idOf(one), idOf(two)},
		"?status=open":                {idOf(one)},
		"?priority=high":              {idOf(two)},
		"?assigneeId=":                {idOf(one)},
		"?assigneeId=" + someCustomer: {idOf(two)},
		"?customerId=other":           nil,
		"?q=scan":                     {idOf(two)},
		"?limit=1&offset=1":           {idOf(two)},
	} {
		if ids, _ := a.Do(t, "GET", "/api/v1/tickets"+query, "").List(t); !slices.Equal(ids, want) {
			t.Errorf("%q: %v, want %v", query, ids, want)
		}
	}
	for _, path := range []string{"/api/v1/tickets", one + "/comments", "/api/v1/time-entries"} {
		a.Do(t, "GET", path+"?offset=x", "").WantError(t, 400, kit.CodeBadRequest, "offset")
	}
}

func TestCommentsAreKept(t *testing.T) {
	a, _ := start(t)
	ticket := newTicket(t, a, "Printer")
	path := create(t, a, ticket+"/comments", `{"body":"First"}`)
	create(t, a, newTicket(t, a, "Other")+"/comments", `{"body":"Elsewhere"}`)
	if got := a.Do(t, "GET", path, "").Want(t, 200); got.Field(t, "body") != "First" || got.Field(t, "authorId") != "a" || got.Field(t, "ticketId") != idOf(ticket) {
		t.Errorf("kept %s", got.Body)
	}
	a.Do(t, "PUT", path, `{"body":"Second"}`).Want(t, 200)
	a.Do(t, "PATCH", path, `{"body":"Third"}`).Want(t, 200)
	if got := a.Do(t, "GET", path, "").Want(t, 200).Field(t, "body"); got != "Third" {
		t.Errorf("body = %q", got)
	}
	if ids, total := a.Do(t, "GET", ticket+"/comments", "").List(t); total != 1 || ids[0] != idOf(path) {
		t.Errorf("the ticket has the comments %v", ids)
	}
	a.Do(t, "DELETE", path, "").Want(t, 204)
	a.Do(t, "GET", path, "").WantError(t, 404, kit.CodeNotFound, "comment")
}

func TestTimeEntriesAreKept(t *testing.T) {
	a, _ := start(t)
	ticket, other := newTicket(t, a, "Printer"), newTicket(t, a, "Other")
	path := newEntry(t, a, ticket)
	newEntry(t, a, other)
	if got := a.Do(t, "GET", path, "").Want(t, 200); got.Field(t, "note") != "Looked" || got.Field(t, "userId") != "a" || got.Field(t, "date") != "2025-01-31" {
		t.Errorf("kept %s", got.Body)
	}
	if ids, _ := a.Do(t, "GET", "/api/v1/time-entries?ticketId="+idOf(ticket), "").List(t); !slices.Equal(ids, []string{idOf(path)}) {
		t.Errorf("entries of the ticket: %v", ids)
	}
	a.Do(t, "PATCH", path, `{"minutes":45}`).Want(t, 200)
	a.Do(t, "PUT", path, entryBody(other)).Want(t, 200)
	var got tickets.TimeEntry
	a.Do(t, "GET", path, "").Want(t, 200).JSON(t, &got)
	if got.Minutes != 30 || got.TicketID != idOf(other) {
		t.Errorf("after PUT %+v", got)
	}
	a.Do(t, "DELETE", path, "").Want(t, 204)
	a.Do(t, "GET", path, "").WantError(t, 404, kit.CodeNotFound, "time entry")
}

func TestDeletingATicket(t *testing.T) {
	a, _ := start(t)
	ticket := newTicket(t, a, "Printer")
	comment := create(t, a, ticket+"/comments", `{"body":"First"}`)
	kept := create(t, a, newTicket(t, a, "Other")+"/comments", `{"body":"Kept"}`)
	entry := newEntry(t, a, ticket)
	a.Do(t, "DELETE", ticket, "").WantError(t, 409, kit.CodeConflict, "time entries")
	a.Do(t, "GET", comment, "").Want(t, 200)
	a.Do(t, "DELETE", entry, "").Want(t, 204)
	a.Do(t, "DELETE", ticket, "").Want(t, 204)
	a.Do(t, "GET", comment, "").WantError(t, 404, kit.CodeNotFound, "")
	a.Do(t, "GET", kept, "").Want(t, 200)
	a.Do(t, "POST", ticket+"/comments", `{"body":"Late"}`).WantError(t, 404, kit.CodeNotFound, "ticket")
	a.Do(t, "POST", "/api/v1/time-entries", entryBody(ticket)).WantError(t, 400, kit.CodeBadRequest, "no ticket of yours")
}

func TestTenantsAreKeptApart(t *testing.T) {
	a, b := start(t)
	ticket := newTicket(t, a, "Printer")
	comment := create(t, a, ticket+"/comments", `{"body":"First"}`)
	entry := newEntry(t, a, ticket)
	for _, path := range []string{ticket, comment, entry} {
		b.Do(t, "GET", path, "").WantError(t, 404, kit.CodeNotFound, "")
		b.Do(t, "PUT", path, `{}`).WantError(t, 404, kit.CodeNotFound, "")
		b.Do(t, "PATCH", path, `{}`).WantError(t, 404, kit.CodeNotFound, "")
		b.Do(t, "DELETE", path, "").WantError(t, 404, kit.CodeNotFound, "")
	}
	b.Do(t, "GET", ticket+"/comments", "").WantError(t, 404, kit.CodeNotFound, "")
	b.Do(t, "POST", ticket+"/comments", `{"body":"x"}`).WantError(t, 404, kit.CodeNotFound, "")
	b.Do(t, "POST", "/api/v1/time-entries", entryBody(ticket)).WantError(t, 400, kit.CodeBadRequest, "ticketId")
	for _, path := range []string{"/api/v1/tickets", "/api/v1/time-entries"} {
		if ids, total := b.Do(t, "GET", path, "").List(t); total != 0 {
			t.Errorf("%s: the other tenant sees %v", path, ids)
		}
	}
}

func TestCustomersSeeOnlyTheirOwnTickets(t *testing.T) {
	staff, _ := start(t)
	customer := as(t, staff.Handler, "customer_user", tenantA, "c")
	other, own := newTicket(t, staff, "Of somebody else"), newTicket(t, customer, "Of the customer")
	hidden := create(t, staff, other+"/comments", `{"body":"Hidden"}`)
	foreign := create(t, staff, own+"/comments", `{"body":"Answer"}`)
	mine := create(t, customer, own+"/comments", `{"body":"Question"}`)

	if ids, total := customer.Do(t, "GET", "/api/v1/tickets", "").List(t); total != 1 || ids[0] != idOf(own) {
		t.Errorf("the customer sees %v", ids)
	}
	for _, path := range []string{other, other + "/comments", hidden} {
		customer.Do(t, "GET", path, "").WantError(t, 404, kit.CodeNotFound, "")
	}
	customer.Do(t, "PATCH", other, `{"subject":"Mine"}`).WantError(t, 404, kit.CodeNotFound, "")
	customer.Do(t, "PATCH", hidden, `{"body":"Mine"}`).WantError(t, 404, kit.CodeNotFound, "")
	customer.Do(t, "PATCH", own, `{"status":"closed"}`).Want(t, 200)
	customer.Do(t, "GET", foreign, "").Want(t, 200)
	customer.Do(t, "PATCH", foreign, `{"body":"Mine"}`).WantError(t, 403, kit.CodeForbidden, "author")
	customer.Do(t, "DELETE", foreign, "").WantError(t, 403, kit.CodeForbidden, "author")
	customer.Do(t, "PATCH", mine, `{"body":"Better"}`).Want(t, 200)
	staff.Do(t, "DELETE", mine, "").Want(t, 204)
	customer.Do(t, "DELETE", own, "").WantError(t, 403, kit.CodeInsufficient, "")
	customer.Do(t, "GET", "/api/v1/time-entries", "").WantError(t, 403, kit.CodeInsufficient, "")
	customer.Do(t, "POST", "/api/v1/time-entries", entryBody(own)).WantError(t, 403, kit.CodeInsufficient, "")
}

func TestBadInput(t *testing.T) {
	a, _ := start(t)
	ticket := newTicket(t, a, "Printer")
	comment, entry := create(t, a, ticket+"/comments", `{"body":"First"}`), newEntry(t, a, ticket)
	for _, test := range []struct{ method, path, body, text string }{
		{"POST", "/api/v1/tickets", `nonsense`, "JSON"},
		{"POST", "/api/v1/tickets", `{"status":"lost","priority":"p1","customerId":"x","assigneeId":"y"}`,
			"subject is required; status must be one of open, in_progress, waiting, closed; priority must be one of low, normal, high, urgent; customerId is not a UUID; assigneeId is not a UUID"},
		{"POST", "/api/v1/tickets", `{"subject":"x","createdBy":"me"}`, "createdBy"},
		{"PUT", ticket, `{"subject":"x","customerId":"` + someCustomer + `"}`, "status must be one of"},
		{"PATCH", ticket, `{"subject":""}`, "subject is required"},
		{"POST", ticket + "/comments", `{"body":""}`, "body is required"},
		{"POST", ticket + "/comments", `{"body":"` + strings.Repeat("x", 10_001) + `"}`, "body is longer than 10000"},
		{"PATCH", comment, `{"authorId":"me"}`, "authorId"},
		{"POST", "/api/v1/time-entries", `{"date":"31.1.2025"}`, "ticketId is required; minutes must be between 1 and 1440; date must be a day"},
		{"PATCH", entry, `{"minutes":1441}`, "minutes must be"},
		{"PATCH", entry, `{"minutes":1.5}`, `"minutes" must be a whole number`},
	} {
		a.Do(t, test.method, test.path, test.body).WantError(t, 400, kit.CodeBadRequest, test.text)
	}
	a.Do(t, "POST", "/api/v1/tickets/events", `{}`).WantError(t, 405, kit.CodeMethodNotAllowed, "POST")
	a.Do(t, "PUT", "/api/v1/tickets", `{}`).WantError(t, 405, kit.CodeMethodNotAllowed, "PUT")
}

func TestSamples(t *testing.T) {
	handler := newHandler(t)
	for tenant, want := range map[string]int{kit.Acme().ID: 2, kit.Globex().ID: 1} {
		if _, total := as(t, handler, "technician", tenant, "u").Do(t, "GET", "/api/v1/tickets", "").List(t); total != want {
			t.Errorf("tenant %s starts with %d tickets, want %d", tenant, total, want)
		}
	}
	customer := as(t, handler, "customer_user", kit.Acme().ID, kit.DemoID("user", "customer@example.com"))
	if _, total := customer.Do(t, "GET", "/api/v1/tickets", "").List(t); total != 1 {
		t.Errorf("the demo customer sees %d tickets, want the one it opened", total)
	}
}
