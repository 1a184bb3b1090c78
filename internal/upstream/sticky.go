package upstream

import (
	"strconv"
	"strings"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/upstream/balance"
)

// sticky binds clients to targets by a cookie.
type sticky struct {
	*balance.Sticky
	name string
	tail string // what follows the value in Set-Cookie
}

func newSticky(service string, c *config.Sticky) (*sticky, error) {
	signed, err := balance.NewSticky(service, []byte(c.Secret))
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("; Path=" + c.Path + "; HttpOnly; SameSite=Lax")
	if age := int(time.Duration(c.MaxAge) / time.Second); age > 0 {
		b.WriteString("; Max-Age=" + strconv.Itoa(age))
	}
	return &sticky{signed, c.Cookie, b.String()}, nil
}

// find returns the target that the client's cookie names, or nil.
func (s *sticky) find(x *exchange.Exchange) *balance.Node {
	value, ok := x.Request.Cookie(s.name)
	if !ok {
		return nil
	}
	return s.Find(value)
}

// set gives the client a cookie for the target, where it has none or one for
// another.
func (s *sticky) set(x *exchange.Exchange, t *target) {
	if s.find(x) == t.node {
		return
	}
	value := s.Value(t.node)
	if value == "" { // it has just gone
		return
	}
	b := x.Bytes(len(s.name) + 1 + len(value) + len(s.tail) + len(secure))[:0]
	b = append(b, s.name...)
	b = append(b, '=')
	b = append(b, value...)
	b = append(b, s.tail...)
	if x.Secure {
		b = append(b, secure...)
	}
	x.Response.Add("Set-Cookie", exchange.View(b))
}

const secure = "; Secure"
