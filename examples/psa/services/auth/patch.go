package auth

import (
	"strings"

	"golang.org/x/crypto/bcrypt"

	"yett/examples/psa/services/kit"
)

// userPatch is the body of PATCH /api/v1/users/{id}; what is absent stays as it is.
type userPatch struct {
	Email           *string `json:"email"`
	Name            *string `json:"name"`
	Role            *string `json:"role"`
	Active          *bool   `json:"active"`
	Password        *string `json:"password"`
	CurrentPassword *string `json:"currentPassword"` // asked for when users change their own password
}

func (p userPatch) check() error {
	var check kit.Check
	if p.Email != nil {
		check.Email("email", *p.Email, true)
	}
	if p.Name != nil {
		check.Text("name", *p.Name, true, 120)
	}
	if p.Role != nil {
		checkRole(&check, *p.Role)
	}
	if p.Password != nil {
		checkPassword(&check, *p.Password)
	}
	return check.Err()
}

// apply changes user; a nil hash leaves the password.
func (p userPatch) apply(user *User, hash []byte) {
	if p.Email != nil {
		user.Email = strings.ToLower(*p.Email)
	}
	if p.Name != nil {
		user.Name = *p.Name
	}
	if p.Role != nil {
		user.Role = *p.Role
	}
	if p.Active != nil {
		user.Active = *p.Active
	}
	if hash != nil {
		user.passwordHash = hash
	}
}

// endsSessions reports whether tokens handed out before the change would say, or be held by, something wrong after it.
func (p userPatch) endsSessions() bool {
	return p.Email != nil || p.Role != nil || p.Password != nil || p.Active != nil
}

func (s *service) patchUser(c *kit.Call) (kit.Reply, error) {
	if err := selfOrManager(c); err != nil {
		return kit.Reply{}, err
	}
	patch, err := kit.Decode[userPatch](c)
	if err != nil {
		return kit.Reply{}, err
	}
	if err := patch.check(); err != nil {
		return kit.Reply{}, err
	}
	id := c.PathValue("id")
	hash, err := s.newPassword(c, id, patch) // slow on purpose, so it is done before the lock
	if err != nil {
		return kit.Reply{}, err
	}
	user, err := s.users.Update(scope(c.Identity), id, func(user *User) error {
		if err := mayPatch(c.Identity, user, patch); err != nil {
			return err
		}
		patch.apply(user, hash)
		return nil
	})
	if err != nil {
		return kit.Reply{}, err
	}
	if patch.endsSessions() {
		s.endSessions(id)
	}
	return kit.OK(user), nil
}

// newPassword returns the hash of the patch's password, or nil when it has none.
func (s *service) newPassword(c *kit.Call, id string, patch userPatch) ([]byte, error) {
	if patch.Password == nil {
		return nil, nil
	}
	user, err := s.users.Get(scope(c.Identity), id)
	if err != nil {
		return nil, err
	}
	if id == c.Identity.UserID && !user.hasPassword(patch.CurrentPassword) {
		return nil, kit.Forbidden(kit.CodeForbidden, "To change your own password, currentPassword must be right.")
	}
	return s.hash(*patch.Password)
}

func (u *User) hasPassword(given *string) bool {
	return given != nil && bcrypt.CompareHashAndPassword(u.passwordHash, []byte(*given)) == nil
}

// mayPatch: users may rename themselves and change their password. The rest is for administrators, and not about
// themselves, so that nobody climbs and no tenant loses its last administrator by a slip.
func mayPatch(id kit.Identity, user *User, patch userPatch) error {
	if user.ID == id.UserID {
		if patch.Email != nil || patch.Role != nil || patch.Active != nil {
			return kit.Forbidden(kit.CodeForbidden, "You cannot change email, role or active of your own user.")
		}
		return nil
	}
	if err := mayGrant(id, user.Role); err != nil {
		return err
	}
	if patch.Role != nil {
		return mayGrant(id, *patch.Role)
	}
	return nil
}
