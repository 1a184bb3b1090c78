package kit

// Role is one of the platform's kinds of user. A higher level stands above a lower one.
type Role struct {
	Name  string
	Level int
}

// The roles and permissions that the services ask for by name.
const (
	RoleSystemAdmin = "system_admin"

	PermUsersManage    = "users:manage"    // create, change and delete users of the own tenant
	PermCustomersRead  = "customers:read"  // read customers and contacts
	PermCustomersWrite = "customers:write" // create, change and delete customers and contacts
	PermTicketsAll     = "tickets:all"     // see and work on every ticket of the tenant, not only on the own ones
	PermTimeWrite      = "time:write"      // read and write time entries
)

// Roles returns every role, highest level first.
func Roles() []Role {
	return []Role{
		{RoleSystemAdmin, 100},
		{"tenant_admin", 90},
		{"security_admin", 85},
		{"service_manager", 80},
		{"software_developer_lead", 70},
		{"technician_lead", 70},
		{"account_manager", 65},
		{"project_manager", 65},
		{"billing_manager", 65},
		{"software_developer_senior", 60},
		{"technician_senior", 60},
		{"technician_l3", 55},
		{"software_developer", 50},
		{"technician", 50},
		{"technician_l2", 45},
		{"software_developer_junior", 40},
		{"technician_junior", 40},
		{"technician_l1", 35},
		{"customer_admin", 30},
		{"customer_technician", 20},
		{"customer_user", 10},
	}
}

// Level returns the level of a role, and 0, below every role, for a name that is none.
func Level(role string) int {
	for _, known := range Roles() {
		if known.Name == role {
			return known.Level
		}
	}
	return 0
}

// Permissions returns what a role may do, as it stands in the permissions claim: a fresh map, false entries left out.
func Permissions(role string) map[string]bool {
	const staff, customerWriter, administrator = 35, 50, 90
	granted := map[string]bool{}
	level := Level(role)
	if level >= staff {
		granted[PermCustomersRead] = true
		granted[PermTicketsAll] = true
		granted[PermTimeWrite] = true
	}
	if level >= customerWriter {
		granted[PermCustomersWrite] = true
	}
	if level >= administrator {
		granted[PermUsersManage] = true
	}
	return granted
}
