package token

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
)

// times are when a token was issued, begins and ends; zero where it does not
// say.
type times struct{ issued, notBefore, expires time.Time }

// maxSeconds is the largest number of seconds that a date may have: the year
// 9999, beyond which arithmetic with times would wrap.
const maxSeconds = 253402300799

func readTimes(claims map[string]any) (t times, err error) {
	for name, into := range map[string]*time.Time{"iat": &t.issued, "nbf": &t.notBefore, "exp": &t.expires} {
		value, there := claims[name]
		if !there {
			continue
		}
		seconds, isNumber := value.(float64)
		if !isNumber || math.IsNaN(seconds) || seconds < 0 || seconds > maxSeconds {
			return t, fmt.Errorf("%s is no date", name)
		}
		whole, part := math.Modf(seconds)
		*into = time.Unix(int64(whole), int64(part*1e9))
	}
	return t, nil
}

// texts reads a claim that is a text or a list of texts; none when it is
// missing.
func texts(value any, name string) ([]string, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		list := make([]string, len(v))
		for i, item := range v {
			text, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("%s has something in its list that is no text", name)
			}
			list[i] = text
		}
		return list, nil
	}
	return nil, fmt.Errorf("%s is neither a text nor a list of texts", name)
}

// claimPath is where a claim is: its name, and the steps that its dots may
// mean.
type claimPath struct {
	name  string
	steps []string // nil for a name without dots
}

func path(name string) claimPath {
	p := claimPath{name: name}
	if strings.Contains(name, ".") {
		p.steps = strings.Split(name, ".")
	}
	return p
}

// lookup finds a claim, nil when it is not there. A claim whose name has dots
// in it counts before one within objects.
func lookup(claims map[string]any, p claimPath) any {
	if v, ok := claims[p.name]; ok || p.steps == nil {
		return v
	}
	var at any = claims
	for _, step := range p.steps {
		object, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = object[step]
	}
	return at
}

func missing(v any) bool { return v == nil || v == "" }

// claimNames say which claims become which part of an identity.
type claimNames struct{ subject, email, role, tenant, plan, permissions, scopes claimPath }

func newClaimNames(c config.ClaimNames) claimNames {
	return claimNames{
		subject: path(c.Subject), email: path(c.Email), role: path(c.Role), tenant: path(c.Tenant),
		plan: path(c.Plan), permissions: path(c.Permissions), scopes: path(c.Scopes),
	}
}

// identity reads who calls. A claim of the wrong type is an error: something
// else would be decided than its issuer meant.
func (n claimNames) identity(claims map[string]any) (exchange.Identity, error) {
	var id exchange.Identity
	var errs []error
	text := func(p claimPath) string {
		switch v := lookup(claims, p).(type) {
		case nil:
		case string:
			return v
		default:
			errs = append(errs, fmt.Errorf("%s is no text", p.name))
		}
		return ""
	}
	note := func(list []string, err error) []string {
		errs = append(errs, err)
		return list
	}
	id.Subject, id.Email, id.Tenant, id.Plan = text(n.subject), text(n.email), text(n.tenant), text(n.plan)
	id.TokenID = text(path("jti"))
	id.Roles = note(texts(lookup(claims, n.role), n.role.name))
	id.Role = strings.Join(id.Roles, ",")
	id.Permissions = note(granted(lookup(claims, n.permissions), n.permissions.name))
	id.Scopes = note(words(lookup(claims, n.scopes), n.scopes.name))
	if id.Subject == "" {
		errs = append(errs, fmt.Errorf("%s is missing or empty", n.subject.name))
	}
	return id, errors.Join(errs...)
}

// words reads a text with blanks between words, or a list of texts.
func words(v any, name string) ([]string, error) {
	if s, ok := v.(string); ok {
		return strings.Fields(s), nil
	}
	return texts(v, name)
}

// granted reads permissions: those that are true in an object, or words.
func granted(v any, name string) ([]string, error) {
	object, ok := v.(map[string]any)
	if !ok {
		return words(v, name)
	}
	list := make([]string, 0, len(object))
	for permission, value := range object {
		yes, isBool := value.(bool)
		if !isBool {
			return nil, fmt.Errorf("%s has something else than true and false in it", name)
		}
		if yes {
			list = append(list, permission)
		}
	}
	slices.SortFunc(list, cmp.Compare[string])
	return list, nil
}
