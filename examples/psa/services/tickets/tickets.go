package tickets

import (
	"slices"
	"strings"

	"yett/examples/psa/services/kit"
)

const (
	statusOpen       = "open"
	statusInProgress = "in_progress"
	statusWaiting    = "waiting"
	statusClosed     = "closed"
)

// Ticket is something that a customer wants done.
type Ticket struct {
	kit.Meta
	TicketFields
	CreatedBy string `json:"createdBy"` // user ID
	ClosedAt  string `json:"closedAt"`  // empty unless closed
}

// TicketFields are what a client says about a ticket.
type TicketFields struct {
	Subject     string `json:"subject"`
	Description string `json:"description"`
	Status      string `json:"status"`
	Priority    string `json:"priority"`
	CustomerID  string `json:"customerId"`
	AssigneeID  string `json:"assigneeId"` // user ID, empty for nobody
}

func (f TicketFields) check() error {
	var check kit.Check
	check.Text("subject", f.Subject, true, 200)
	check.Text("description", f.Description, false, 10_000)
	check.OneOf("status", f.Status, []string{statusOpen, statusInProgress, statusWaiting, statusClosed})
	check.OneOf("priority", f.Priority, []string{"low", "normal", "high", "urgent"})
	check.ID("customerId", f.CustomerID, true)
	check.ID("assigneeId", f.AssigneeID, false)
	return check.Err()
}

// nextStatuses returns where a ticket can go from a status.
func nextStatuses(status string) []string {
	switch status {
	case statusOpen:
		return []string{statusInProgress, statusWaiting, statusClosed}
	case statusInProgress:
		return []string{statusOpen, statusWaiting, statusClosed}
	case statusWaiting:
		return []string{statusInProgress, statusClosed}
	default: // closed: it can only be opened again
		return []string{statusOpen}
	}
}

// moved checks the step from the status before, and notes when the ticket was closed.
func (t *Ticket) moved(before string) error {
	if t.Status == before {
		return nil
	}
	if next := nextStatuses(before); !slices.Contains(next, t.Status) {
		return kit.Conflict("A ticket cannot go from %s to %s, only to %s.", before, t.Status, strings.Join(next, ", "))
	}
	t.ClosedAt = ""
	if t.Status == statusClosed {
		t.ClosedAt = kit.Timestamp()
	}
	return nil
}

// visibleTo reports whether the caller may see the ticket: staff sees all of the tenant, a customer those it opened.
func (t *Ticket) visibleTo(id kit.Identity) bool {
	return t.TenantID == id.TenantID && (id.Permissions[kit.PermTicketsAll] || t.CreatedBy == id.UserID)
}

func newTickets() *kit.Collection[Ticket] {
	return kit.NewCollection("ticket", func(t *Ticket) *kit.Meta { return &t.Meta }, nil)
}

// visibleTicket finds a ticket that the caller may see; any other is a 404.
func (s *service) visibleTicket(c *kit.Call, id string) (Ticket, error) {
	ticket, err := s.tickets.Get(c.Scope(), id)
	if err == nil && !ticket.visibleTo(c.Identity) {
		err = s.tickets.Missing()
	}
	return ticket, err
}

func (s *service) listTickets(c *kit.Call) (kit.Reply, error) {
	query := c.URL.Query()
	page, err := kit.ParsePage(query)
	if err != nil {
		return kit.Reply{}, err
	}
	is := func(name, value string) bool { return !query.Has(name) || query.Get(name) == value }
	return kit.OK(s.tickets.List(c.Scope(), page, func(t *Ticket) bool {
		return t.visibleTo(c.Identity) && is("status", t.Status) && is("priority", t.Priority) &&
			is("customerId", t.CustomerID) && is("assigneeId", t.AssigneeID) &&
			kit.Matches(query.Get("q"), t.Subject, t.Description)
	})), nil
}

func (s *service) createTicket(c *kit.Call) (kit.Reply, error) {
	edit, err := kit.ReadEdit(c)
	if err != nil {
		return kit.Reply{}, err
	}
	ticket := Ticket{
		Meta:         kit.NewMeta(c.Identity.TenantID),
		TicketFields: TicketFields{Status: statusOpen, Priority: "normal"},
		CreatedBy:    c.Identity.UserID,
	}
	if err := ticket.apply(edit); err != nil {
		return kit.Reply{}, err
	}
	s.writes.Lock()
	defer s.writes.Unlock()
	if err := s.tickets.Insert(ticket); err != nil {
		return kit.Reply{}, err
	}
	if err := s.feed.publish("ticket.created", ticket); err != nil {
		return kit.Reply{}, err
	}
	return kit.Created("/api/v1/tickets/"+ticket.ID, ticket), nil
}

func (t *Ticket) apply(edit kit.Edit) error {
	before := t.Status
	if err := kit.Apply(edit, &t.TicketFields); err != nil {
		return err
	}
	if err := t.check(); err != nil {
		return err
	}
	return t.moved(before)
}

func (s *service) getTicket(c *kit.Call) (kit.Reply, error) {
	ticket, err := s.visibleTicket(c, c.PathValue("id"))
	return kit.OK(ticket), err
}

func (s *service) changeTicket(c *kit.Call) (kit.Reply, error) {
	edit, err := kit.ReadEdit(c)
	if err != nil {
		return kit.Reply{}, err
	}
	s.writes.Lock()
	defer s.writes.Unlock()
	ticket, err := s.tickets.Update(c.Scope(), c.PathValue("id"), func(ticket *Ticket) error {
		if !ticket.visibleTo(c.Identity) {
			return s.tickets.Missing()
		}
		return ticket.apply(edit)
	})
	if err != nil {
		return kit.Reply{}, err
	}
	return kit.OK(ticket), s.feed.publish("ticket.updated", ticket)
}

// deleteTicket takes the ticket's comments with it, but not its time entries: worked time is billed, so it must not
// vanish along with something else.
func (s *service) deleteTicket(c *kit.Call) (kit.Reply, error) {
	s.writes.Lock()
	defer s.writes.Unlock()
	ticket, err := s.tickets.Delete(c.Scope(), c.PathValue("id"), func(ticket *Ticket) error {
		if s.entries.Any(func(entry *TimeEntry) bool { return entry.TicketID == ticket.ID }) {
			return kit.Conflict("The ticket still has time entries; delete them first.")
		}
		return nil
	})
	if err != nil {
		return kit.Reply{}, err
	}
	s.comments.DeleteWhere(func(comment *Comment) bool { return comment.TicketID == ticket.ID })
	return kit.NoContent(), s.feed.publish("ticket.deleted", ticket)
}
