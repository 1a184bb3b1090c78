package crm

import (
	"strings"

	"yett/examples/psa/services/kit"
)

// Customer is an organisation that the tenant works for.
type Customer struct {
	kit.Meta
	CustomerFields
}

// CustomerFields are what a client says about a customer.
type CustomerFields struct {
	Name    string `json:"name"` // no two customers of a tenant have the same one
	Email   string `json:"email"`
	Phone   string `json:"phone"`
	Address string `json:"address"`
	Status  string `json:"status"` // prospect, active or inactive
}

func (f CustomerFields) check() error {
	var check kit.Check
	check.Text("name", f.Name, true, 200)
	check.Email("email", f.Email, false)
	check.Text("phone", f.Phone, false, 40)
	check.Text("address", f.Address, false, 500)
	check.OneOf("status", f.Status, []string{"prospect", "active", "inactive"})
	return check.Err()
}

func newCustomers() *kit.Collection[Customer] {
	return kit.NewCollection("customer",
		func(c *Customer) *kit.Meta { return &c.Meta },
		func(c *Customer) string { return c.TenantID + "/" + strings.ToLower(c.Name) })
}

func (s *service) listCustomers(c *kit.Call) (kit.Reply, error) {
	query := c.URL.Query()
	page, err := kit.ParsePage(query)
	if err != nil {
		return kit.Reply{}, err
	}
	return kit.OK(s.customers.List(c.Scope(), page, func(customer *Customer) bool {
		return kit.Matches(query.Get("q"), customer.Name, customer.Email, customer.Address)
	})), nil
}

func (s *service) createCustomer(c *kit.Call) (kit.Reply, error) {
	edit, err := kit.ReadEdit(c)
	if err != nil {
		return kit.Reply{}, err
	}
	customer := Customer{Meta: kit.NewMeta(c.Identity.TenantID), CustomerFields: CustomerFields{Status: "active"}}
	if err := customer.apply(edit); err != nil {
		return kit.Reply{}, err
	}
	if err := s.customers.Insert(customer); err != nil {
		return kit.Reply{}, err
	}
	return kit.Created("/api/v1/customers/"+customer.ID, customer), nil
}

func (c *Customer) apply(edit kit.Edit) error {
	if err := kit.Apply(edit, &c.CustomerFields); err != nil {
		return err
	}
	return c.check()
}

func (s *service) getCustomer(c *kit.Call) (kit.Reply, error) {
	customer, err := s.customers.Get(c.Scope(), c.PathValue("id"))
	return kit.OK(customer), err
}

func (s *service) changeCustomer(c *kit.Call) (kit.Reply, error) {
	edit, err := kit.ReadEdit(c)
	if err != nil {
		return kit.Reply{}, err
	}
	customer, err := s.customers.Update(c.Scope(), c.PathValue("id"), func(customer *Customer) error {
		return customer.apply(edit)
	})
	return kit.OK(customer), err
}

func (s *service) deleteCustomer(c *kit.Call) (kit.Reply, error) {
	s.relations.Lock()
	defer s.relations.Unlock()
	_, err := s.customers.Delete(c.Scope(), c.PathValue("id"), func(customer *Customer) error {
		if s.contacts.Any(func(contact *Contact) bool { return contact.CustomerID == customer.ID }) {
			return kit.Conflict("The customer still has contacts; delete them first.")
		}
		return nil
	})
	return kit.NoContent(), err
}
