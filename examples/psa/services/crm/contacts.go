package crm

import (
	"strings"

	"yett/examples/psa/services/kit"
)

// Contact is a person at a customer.
type Contact struct {
	kit.Meta
	ContactFields
}

// ContactFields are what a client says about a contact.
type ContactFields struct {
	CustomerID string `json:"customerId"`
	Name       string `json:"name"`
	Email      string `json:"email"` // no two contacts of a customer have the same one
	Phone      string `json:"phone"`
	Position   string `json:"position"`
}

func (f ContactFields) check() error {
	var check kit.Check
	check.ID("customerId", f.CustomerID, true)
	check.Text("name", f.Name, true, 200)
	check.Email("email", f.Email, false)
	check.Text("phone", f.Phone, false, 40)
	check.Text("position", f.Position, false, 120)
	return check.Err()
}

func newContacts() *kit.Collection[Contact] {
	return kit.NewCollection("contact", func(c *Contact) *kit.Meta { return &c.Meta }, contactKey)
}

func contactKey(c *Contact) string {
	if c.Email == "" {
		return ""
	}
	return c.CustomerID + "/" + strings.ToLower(c.Email)
}

func (s *service) listContacts(c *kit.Call) (kit.Reply, error) {
	query := c.URL.Query()
	page, err := kit.ParsePage(query)
	if err != nil {
		return kit.Reply{}, err
	}
	customerID := query.Get("customerId")
	return kit.OK(s.contacts.List(c.Scope(), page, func(contact *Contact) bool {
		return (customerID == "" || contact.CustomerID == customerID) &&
			kit.Matches(query.Get("q"), contact.Name, contact.Email, contact.Position)
	})), nil
}

func (s *service) createContact(c *kit.Call) (kit.Reply, error) {
	edit, err := kit.ReadEdit(c)
	if err != nil {
		return kit.Reply{}, err
	}
	s.relations.Lock()
	defer s.relations.Unlock()
	contact := Contact{Meta: kit.NewMeta(c.Identity.TenantID)}
	if err := s.applyContact(c, edit, &contact); err != nil {
		return kit.Reply{}, err
	}
	if err := s.contacts.Insert(contact); err != nil {
		return kit.Reply{}, err
	}
	return kit.Created("/api/v1/contacts/"+contact.ID, contact), nil
}

// applyContact is called with relations held, so that the customer it finds is still there when the contact is stored.
func (s *service) applyContact(c *kit.Call, edit kit.Edit, contact *Contact) error {
	if err := kit.Apply(edit, &contact.ContactFields); err != nil {
		return err
	}
	if err := contact.check(); err != nil {
		return err
	}
	if _, err := s.customers.Get(c.Scope(), contact.CustomerID); err != nil {
		return kit.BadRequest("customerId names no customer of yours.")
	}
	return nil
}

func (s *service) getContact(c *kit.Call) (kit.Reply, error) {
	contact, err := s.contacts.Get(c.Scope(), c.PathValue("id"))
	return kit.OK(contact), err
}

func (s *service) changeContact(c *kit.Call) (kit.Reply, error) {
	edit, err := kit.ReadEdit(c)
	if err != nil {
		return kit.Reply{}, err
	}
	s.relations.Lock()
	defer s.relations.Unlock()
	contact, err := s.contacts.Update(c.Scope(), c.PathValue("id"), func(contact *Contact) error {
		return s.applyContact(c, edit, contact)
	})
	return kit.OK(contact), err
}

func (s *service) deleteContact(c *kit.Call) (kit.Reply, error) {
	_, err := s.contacts.Delete(c.Scope(), c.PathValue("id"), func(*Contact) error { return nil })
	return kit.NoContent(), err
}
