package auth

import (
	"fmt"

	"yett/examples/psa/services/kit"
)

// DemoUser is one of the users that the service starts with.
type DemoUser struct {
	Email  string
	Name   string
	Role   string
	Tenant kit.Tenant
}

// ID returns the user's ID, the same on every start.
func (u DemoUser) ID() string { return kit.DemoID("user", u.Email) }

// DemoUsers returns the users that the service starts with: one of every role at Acme, three at Globex.
func DemoUsers() []DemoUser {
	acme, globex := kit.Acme(), kit.Globex()
	return []DemoUser{
		{"admin@example.com", "Ada Admin", "system_admin", acme},
		{"tenant@example.com", "Tess Tenant", "tenant_admin", acme},
		{"security@example.com", "Sam Security", "security_admin", acme},
		{"service@example.com", "Selma Service", "service_manager", acme},
		{"devlead@example.com", "Dora Devlead", "software_developer_lead", acme},
		{"techlead@example.com", "Theo Techlead", "technician_lead", acme},
		{"account@example.com", "Alma Account", "account_manager", acme},
		{"project@example.com", "Paul Project", "project_manager", acme},
		{"billing@example.com", "Bea Billing", "billing_manager", acme},
		{"devsenior@example.com", "Dan Devsenior", "software_developer_senior", acme},
		{"techsenior@example.com", "Tara Techsenior", "technician_senior", acme},
		{"techl3@example.com", "Tom Third", "technician_l3", acme},
		{"dev@example.com", "Dina Developer", "software_developer", acme},
		{"tech@example.com", "Timo Technician", "technician", acme},
		{"techl2@example.com", "Sven Second", "technician_l2", acme},
		{"devjunior@example.com", "Jon Devjunior", "software_developer_junior", acme},
		{"techjunior@example.com", "Jil Techjunior", "technician_junior", acme},
		{"techl1@example.com", "Fay First", "technician_l1", acme},
		{"customeradmin@example.com", "Cora Customeradmin", "customer_admin", acme},
		{"customertech@example.com", "Carl Customertech", "customer_technician", acme},
		{"customer@example.com", "Cleo Customer", "customer_user", acme},
		{"tenant@example.org", "Gina Tenant", "tenant_admin", globex},
		{"tech@example.org", "Gero Technician", "technician", globex},
		{"customer@example.org", "Greta Customer", "customer_user", globex},
	}
}

// seed adds the demo users. They share one hash: their password is public, and one hash keeps the start quick.
func (s *service) seed(password string) error {
	hash, err := s.hash(password)
	if err != nil {
		return err
	}
	s.absentHash, err = s.hash(kit.NewID())
	if err != nil {
		return err
	}
	for _, demo := range DemoUsers() {
		user := User{
			Meta: kit.DemoMeta(demo.Tenant.ID, demo.ID()), Email: demo.Email,
			Name: demo.Name, Role: demo.Role, Active: true, passwordHash: hash,
		}
		if err := s.users.Insert(user); err != nil {
			return fmt.Errorf("add demo user %s: %w", demo.Email, err)
		}
	}
	return nil
}
