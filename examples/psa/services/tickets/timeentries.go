package tickets

import (
	"time"

	"yett/examples/psa/services/kit"
)

// TimeEntry is time that somebody worked on a ticket.
type TimeEntry struct {
	kit.Meta
	UserID string `json:"userId"` // who worked
	TimeEntryFields
}

// TimeEntryFields are what a client says about a time entry.
type TimeEntryFields struct {
	TicketID string `json:"ticketId"`
	Minutes  int    `json:"minutes"` // 1 to 1440
	Note     string `json:"note"`
	Date     string `json:"date"` // the day of the work, YYYY-MM-DD
}

func (f TimeEntryFields) check() error {
	var check kit.Check
	check.ID("ticketId", f.TicketID, true)
	check.Range("minutes", f.Minutes, 1, 24*60)
	check.Text("note", f.Note, false, 1000)
	if _, err := time.Parse(time.DateOnly, f.Date); err != nil {
		check.Fail("date", "must be a day like 2025-01-31")
	}
	return check.Err()
}

func newTimeEntries() *kit.Collection[TimeEntry] {
	return kit.NewCollection("time entry", func(e *TimeEntry) *kit.Meta { return &e.Meta }, nil)
}

func (s *service) listTimeEntries(c *kit.Call) (kit.Reply, error) {
	query := c.URL.Query()
	page, err := kit.ParsePage(query)
	if err != nil {
		return kit.Reply{}, err
	}
	ticketID := query.Get("ticketId")
	return kit.OK(s.entries.List(c.Scope(), page, func(entry *TimeEntry) bool {
		return (ticketID == "" || entry.TicketID == ticketID) && kit.Matches(query.Get("q"), entry.Note)
	})), nil
}

func (s *service) createTimeEntry(c *kit.Call) (kit.Reply, error) {
	edit, err := kit.ReadEdit(c)
	if err != nil {
		return kit.Reply{}, err
	}
	s.writes.Lock()
	defer s.writes.Unlock()
	entry := TimeEntry{Meta: kit.NewMeta(c.Identity.TenantID), UserID: c.Identity.UserID}
	entry.Date = time.Now().UTC().Format(time.DateOnly)
	if err := s.applyTimeEntry(c, edit, &entry); err != nil {
		return kit.Reply{}, err
	}
	if err := s.entries.Insert(entry); err != nil {
		return kit.Reply{}, err
	}
	return kit.Created("/api/v1/time-entries/"+entry.ID, entry), nil
}

// applyTimeEntry is called with writes held, so that the ticket it finds is still there when the entry is stored.
func (s *service) applyTimeEntry(c *kit.Call, edit kit.Edit, entry *TimeEntry) error {
	if err := kit.Apply(edit, &entry.TimeEntryFields); err != nil {
		return err
	}
	if err := entry.check(); err != nil {
		return err
	}
	if _, err := s.visibleTicket(c, entry.TicketID); err != nil {
		return kit.BadRequest("ticketId names no ticket of yours.")
	}
	return nil
}

func (s *service) getTimeEntry(c *kit.Call) (kit.Reply, error) {
	entry, err := s.entries.Get(c.Scope(), c.PathValue("id"))
	return kit.OK(entry), err
}

func (s *service) changeTimeEntry(c *kit.Call) (kit.Reply, error) {
	edit, err := kit.ReadEdit(c)
	if err != nil {
		return kit.Reply{}, err
	}
	s.writes.Lock()
	defer s.writes.Unlock()
	entry, err := s.entries.Update(c.Scope(), c.PathValue("id"), func(entry *TimeEntry) error {
		return s.applyTimeEntry(c, edit, entry)
	})
	return kit.OK(entry), err
}

func (s *service) deleteTimeEntry(c *kit.Call) (kit.Reply, error) {
	_, err := s.entries.Delete(c.Scope(), c.PathValue("id"), func(*TimeEntry) error { return nil })
	return kit.NoContent(), err
}
