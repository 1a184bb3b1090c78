package kit

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"unicode/utf8"
)

// Check collects everything that is wrong with a record, so that a client hears of all of it at once.
// The zero value is ready; Err gives the verdict.
type Check struct{ problems []string }

// Text asks for at most max characters, and for at least one that is not a space when required.
func (c *Check) Text(field, value string, required bool, max int) {
	if required && strings.TrimSpace(value) == "" {
		c.Fail(field, "is required")
	}
	if utf8.RuneCountInString(value) > max {
		c.Fail(field, fmt.Sprintf("is longer than %d characters", max))
	}
}

// Email asks for a bare address such as a@example.com; an empty value passes unless required.
func (c *Check) Email(field, value string, required bool) {
	c.Text(field, value, required, 254)
	if value == "" {
		return
	}
	if address, err := mail.ParseAddress(value); err != nil || address.Address != value {
		c.Fail(field, "is not an email address")
	}
}

// ID asks for a UUID; an empty value passes unless required.
func (c *Check) ID(field, value string, required bool) {
	switch {
	case value == "" && required:
		c.Fail(field, "is required")
	case value != "" && !ValidID(value):
		c.Fail(field, "is not a UUID")
	}
}

// OneOf asks for one of the allowed words.
func (c *Check) OneOf(field, value string, allowed []string) {
	if !slices.Contains(allowed, value) {
		c.Fail(field, "must be one of "+strings.Join(allowed, ", "))
	}
}

// Range asks for a whole number between the two bounds, both included.
func (c *Check) Range(field string, value, low, high int) {
	if value < low || value > high {
		c.Fail(field, fmt.Sprintf("must be between %d and %d", low, high))
	}
}

// Fail notes one thing that is wrong with a field.
func (c *Check) Fail(field, what string) {
	c.problems = append(c.problems, field+" "+what)
}

// Err returns nil when nothing was wrong, otherwise one 400 that names everything.
func (c *Check) Err() error {
	if len(c.problems) == 0 {
		return nil
	}
	return BadRequest("Not valid: %s.", strings.Join(c.problems, "; "))
}
