package crm

import (
	"fmt"

	"yett/examples/psa/services/kit"
)

// sample is one customer that the service starts with, and the person there.
type sample struct {
	key     string // the name that kit.DemoID makes the customer's ID from
	tenant  kit.Tenant
	fields  CustomerFields
	contact ContactFields
}

func samples() []sample {
	return []sample{
		{"bakery", kit.Acme(),
			CustomerFields{Name: "Hill Bakery", Email: "office@hill-bakery.example", Phone: "+49 30 555 0101", Address: "1 Mill Lane", Status: "active"},
			ContactFields{Name: "Helen Hill", Email: "helen@hill-bakery.example", Position: "Owner"}},
		{"clinic", kit.Acme(),
			CustomerFields{Name: "Lakeside Clinic", Email: "it@lakeside.example", Phone: "+49 30 555 0102", Address: "8 Shore Road", Status: "active"},
			ContactFields{Name: "Leo Lake", Email: "leo@lakeside.example", Position: "Head of IT"}},
		{"garage", kit.Globex(),
			CustomerFields{Name: "Northern Garage", Email: "desk@northern.example", Phone: "+49 40 555 0103", Address: "3 Ring Street", Status: "prospect"},
			ContactFields{Name: "Nora North", Email: "nora@northern.example", Position: "Manager"}},
	}
}

func (s *service) seed() error {
	for _, sample := range samples() {
		customer := Customer{kit.DemoMeta(sample.tenant.ID, kit.DemoID("customer", sample.key)), sample.fields}
		if err := s.customers.Insert(customer); err != nil {
			return fmt.Errorf("add sample customer %s: %w", customer.Name, err)
		}
		contact := Contact{kit.DemoMeta(sample.tenant.ID, kit.DemoID("contact", sample.key)), sample.contact}
		contact.CustomerID = customer.ID
		if err := s.contacts.Insert(contact); err != nil {
			return fmt.Errorf("add sample contact %s: %w", contact.Name, err)
		}
	}
	return nil
}
