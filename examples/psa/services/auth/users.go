package auth

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"yett/examples/psa/services/kit"
)

const (
	minPasswordBytes = 12
	maxPasswordBytes = 72 // bcrypt reads no further
)

// User is somebody who can log in. Its password hash never leaves the service.
type User struct {
	kit.Meta
	Email  string `json:"email"`
	Name   string `json:"name"`
	Role   string `json:"role"`
	Active bool   `json:"active"`

	passwordHash []byte // replaced as a whole, never written into
}

func newUsers() *kit.Collection[User] {
	return kit.NewCollection("user",
		func(u *User) *kit.Meta { return &u.Meta },
		func(u *User) string { return u.Email })
}

// newUser is the body of POST /api/v1/users.
type newUser struct {
	Email    string `json:"email"`
	Name     string `json:"name"`
	Role     string `json:"role"`
	Password string `json:"password"`
	TenantID string `json:"tenantId"` // the caller's own when empty
}

func (n newUser) check() error {
	var check kit.Check
	check.Email("email", n.Email, true)
	check.Text("name", n.Name, true, 120)
	checkRole(&check, n.Role)
	checkPassword(&check, n.Password)
	tenants := []string{kit.Acme().ID, kit.Globex().ID}
	if !slices.Contains(tenants, n.TenantID) {
		check.Fail("tenantId", "is not a tenant of this platform")
	}
	return check.Err()
}

func checkRole(check *kit.Check, role string) {
	if kit.Level(role) == 0 {
		check.Fail("role", "is not a role of this platform")
	}
}

func checkPassword(check *kit.Check, password string) {
	if len(password) < minPasswordBytes || len(password) > maxPasswordBytes {
		check.Fail("password", fmt.Sprintf("must have %d to %d bytes", minPasswordBytes, maxPasswordBytes))
	}
}

// scope is whose users the caller can see: those of its tenant, and all of them for a system_admin.
func scope(id kit.Identity) kit.Scope {
	if id.Role == kit.RoleSystemAdmin {
		return kit.EveryTenant()
	}
	return kit.InTenant(id.TenantID)
}

func (s *service) listUsers(c *kit.Call) (kit.Reply, error) {
	query := c.URL.Query()
	page, err := kit.ParsePage(query)
	if err != nil {
		return kit.Reply{}, err
	}
	return kit.OK(s.users.List(scope(c.Identity), page, func(u *User) bool {
		return kit.Matches(query.Get("q"), u.Name, u.Email, u.Role)
	})), nil
}

func (s *service) createUser(c *kit.Call) (kit.Reply, error) {
	given, err := kit.Decode[newUser](c)
	if err != nil {
		return kit.Reply{}, err
	}
	if given.TenantID == "" {
		given.TenantID = c.Identity.TenantID
	}
	if err := given.check(); err != nil {
		return kit.Reply{}, err
	}
	if c.Identity.Role != kit.RoleSystemAdmin && given.TenantID != c.Identity.TenantID {
		return kit.Reply{}, kit.Forbidden(kit.CodeForbidden, "You can only create users of your own tenant.")
	}
	if err := mayGrant(c.Identity, given.Role); err != nil {
		return kit.Reply{}, err
	}
	hash, err := s.hash(given.Password)
	if err != nil {
		return kit.Reply{}, err
	}
	user := User{
		Meta: kit.NewMeta(given.TenantID), Email: strings.ToLower(given.Email),
		Name: given.Name, Role: given.Role, Active: true, passwordHash: hash,
	}
	if err := s.users.Insert(user); err != nil {
		return kit.Reply{}, err
	}
	return kit.Created("/api/v1/users/"+user.ID, user), nil
}

func (s *service) hash(password string) ([]byte, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), s.bcryptCost)
	if err != nil {
		return nil, fmt.Errorf("hash a password with cost %d: %w", s.bcryptCost, err)
	}
	return hash, nil
}

func (s *service) getUser(c *kit.Call) (kit.Reply, error) {
	if err := selfOrManager(c); err != nil {
		return kit.Reply{}, err
	}
	user, err := s.users.Get(scope(c.Identity), c.PathValue("id"))
	return kit.OK(user), err
}

// selfOrManager refuses others before looking for the user, so that they do not learn who exists.
func selfOrManager(c *kit.Call) error {
	if c.PathValue("id") == c.Identity.UserID || c.Identity.Permissions[kit.PermUsersManage] {
		return nil
	}
	return kit.Forbidden(kit.CodeForbidden, "You can only see and change your own user.")
}

// mayGrant keeps an administrator from making somebody mightier than itself.
func mayGrant(id kit.Identity, role string) error {
	if kit.Level(role) > kit.Level(id.Role) {
		return kit.Forbidden(kit.CodeInsufficient, fmt.Sprintf("The role %q stands above your own.", role))
	}
	return nil
}

func (s *service) deleteUser(c *kit.Call) (kit.Reply, error) {
	id := c.PathValue("id")
	if id == c.Identity.UserID {
		return kit.Reply{}, kit.Conflict("You cannot delete your own user.")
	}
	_, err := s.users.Delete(scope(c.Identity), id, func(u *User) error { return mayGrant(c.Identity, u.Role) })
	if err != nil {
		return kit.Reply{}, err
	}
	s.endSessions(id)
	return kit.NoContent(), nil
}
