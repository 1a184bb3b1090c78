package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"text/template"

	"yett/examples/psa/services"
	"yett/examples/psa/services/auth"
	"yett/examples/psa/services/kit"
)

// demoText is what the demo says. The commands are those of any shell, with
// curl as the only tool that may have to be installed.
const demoText = `Yett demo: a gateway with three services behind it.

  gateway   {{.Gateway}}
  auth      {{.Auth}}
  crm       {{.CRM}}
  tickets   {{.Tickets}}

In a browser, {{.Gateway}}/api-docs shows everything that can be called, and tries it out.

Copy these into another terminal:

# Log in as a technician, and keep the token.
TOKEN=$(curl -s {{.Gateway}}/api/v1/auth/login -H 'Content-Type: application/json' -d {{.Login}} | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

# List the customers, and open a ticket for one.
curl -s {{.Gateway}}/api/v1/customers -H "Authorization: Bearer $TOKEN"
curl -s {{.Gateway}}/api/v1/tickets -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d {{.Ticket}}

# Who am I to the gateway, and to the services behind it?
curl -s {{.Gateway}}/api/v1/protected/profile -H "Authorization: Bearer $TOKEN"

# Be refused: no token (401), not the role (403), no such page (404), not with this method (405).
curl -si {{.Gateway}}/api/v1/customers
curl -si {{.Gateway}}/api/v1/protected/admin -H "Authorization: Bearer $TOKEN"
curl -si {{.Gateway}}/nowhere
curl -si -X DELETE {{.Gateway}}/health

# How much is left for me? Then ask more often than 60 times in a minute (429).
curl -si {{.Gateway}}/api/v1/public/info -H "Authorization: Bearer $TOKEN" | grep -i '^ratelimit'
curl -s -o /dev/null "{{.Gateway}}/api/v1/public/info?n=[1-60]" -H "Authorization: Bearer $TOKEN"
curl -si {{.Gateway}}/api/v1/public/info -H "Authorization: Bearer $TOKEN"

# How are the gateway and its services? As an administrator, stop calling one of them: its callers get a 503
# at once. Then let it go on.
curl -s {{.Gateway}}/health/detailed
ADMIN=$(curl -s {{.Gateway}}/api/v1/auth/login -H 'Content-Type: application/json' -d {{.Admin}} | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -s "{{.Gateway}}/internal/services?service=crm&breaker=open&for=1m" -H "Authorization: Bearer $ADMIN" --json ''
curl -si {{.Gateway}}/api/v1/customers -H "Authorization: Bearer $TOKEN"
curl -s "{{.Gateway}}/internal/services?service=crm&breaker=reset" -H "Authorization: Bearer $ADMIN" --json ''

# What of the services' OpenAPI documents was called so far, and was it as they say?
curl -s "{{.Gateway}}/internal/docs?service=tickets" -H "Authorization: Bearer $ADMIN"

# Log out: the gateway takes the token no more (401).
curl -s -X POST {{.Gateway}}/api/v1/auth/logout -H "Authorization: Bearer $TOKEN"
curl -si {{.Gateway}}/api/v1/protected/profile -H "Authorization: Bearer $TOKEN"

Ctrl-C stops everything. Requests are logged here:

`

// demoValues is what stands for the names in demoText. Login, Admin and Ticket are
// JSON that a shell takes as one word.
type demoValues struct{ Gateway, Auth, CRM, Tickets, Login, Admin, Ticket string }

// showDemo tells what runs and what to try, in one write so that no log line
// stands in it.
func showDemo(w io.Writer, platform *services.Platform, gateway net.Addr, password string) error {
	_, port, err := net.SplitHostPort(gateway.String())
	if err != nil {
		return fmt.Errorf("reading the gateway's address: %w", err)
	}
	text, err := template.New("demo").Parse(demoText)
	if err != nil {
		return fmt.Errorf("reading the demo's text: %w", err)
	}
	var b strings.Builder
	err = text.Execute(&b, demoValues{
		Gateway: "http://localhost:" + port, Auth: "http://" + platform.AuthAddr,
		CRM: "http://" + platform.CRMAddr, Tickets: "http://" + platform.TicketsAddr,
		Login:  shellJSON("email", "tech@example.com", "password", cmp.Or(password, auth.DemoPassword)),
		Admin:  shellJSON("email", "admin@example.com", "password", cmp.Or(password, auth.DemoPassword)),
		Ticket: shellJSON("subject", "The printer is on fire", "customerId", kit.DemoID("customer", "bakery")),
	})
	if err != nil {
		return fmt.Errorf("printing the demo's text: %w", err)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// shellJSON returns an object of two texts, quoted for a shell.
func shellJSON(name1, value1, name2, value2 string) string {
	quoted := func(s string) string {
		b, _ := json.Marshal(s) // a string always has a JSON form
		return string(b)
	}
	object := fmt.Sprintf("{%s:%s,%s:%s}", quoted(name1), quoted(value1), quoted(name2), quoted(value2))
	return "'" + strings.ReplaceAll(object, "'", `'\''`) + "'"
}
