package kit

// Tenant is one customer organisation of the platform; no record is ever shared between two of them.
type Tenant struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Acme returns the tenant to which the users at example.com belong.
func Acme() Tenant { return Tenant{ID: DemoID("tenant", "acme"), Name: "Acme IT Services"} }

// Globex returns the second tenant, with the users at example.org; it is there to show that tenants are kept apart.
func Globex() Tenant { return Tenant{ID: DemoID("tenant", "globex"), Name: "Globex Support"} }
