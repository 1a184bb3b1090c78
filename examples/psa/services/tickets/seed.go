package tickets

import (
	"fmt"

	"yett/examples/psa/services/kit"
)

// sample is one ticket that the service starts with, by the demo names of the user who opened it and of its customer.
type sample struct {
	key, creator, customer string
	tenant                 kit.Tenant
	fields                 TicketFields
}

func samples() []sample {
	return []sample{
		{"printer", "customer@example.com", "bakery", kit.Acme(),
			TicketFields{Subject: "The label printer prints blank labels", Status: statusOpen, Priority: "high"}},
		{"mail", "tech@example.com", "clinic", kit.Acme(),
			TicketFields{Subject: "Move the mailboxes", Status: statusInProgress, Priority: "normal",
				AssigneeID: kit.DemoID("user", "tech@example.com")}},
		{"scanner", "tech@example.org", "garage", kit.Globex(),
			TicketFields{Subject: "The scanner is not found", Status: statusWaiting, Priority: "low"}},
	}
}

func (s *service) seed() error {
	for _, sample := range samples() {
		ticket := Ticket{
			Meta:         kit.DemoMeta(sample.tenant.ID, kit.DemoID("ticket", sample.key)),
			TicketFields: sample.fields,
			CreatedBy:    kit.DemoID("user", sample.creator),
		}
		ticket.CustomerID = kit.DemoID("customer", sample.customer)
		if err := s.tickets.Insert(ticket); err != nil {
			return fmt.Errorf("add sample ticket %q: %w", ticket.Subject, err)
		}
	}
	return nil
}
