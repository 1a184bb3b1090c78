// Command main does what somebody does who has nothing but the generated client
// in package api. It prints a line for each step and ends with 1 at the first
// that goes wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"

	"clients/api"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: main GATEWAY EMAIL PASSWORD")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1], api.AuthCredentials{Email: os.Args[2], Password: os.Args[3]}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// caller holds the token of whoever has logged in.
type caller struct {
	*api.ClientWithResponses
	token string
}

func run(ctx context.Context, gateway string, who api.AuthCredentials) error {
	c := new(caller)
	var err error
	c.ClientWithResponses, err = api.NewClientWithResponses(gateway, api.WithRequestEditorFn(c.authorize))
	if err != nil {
		return err
	}
	id, err := c.openTicket(ctx, who)
	if err != nil {
		return err
	}
	for _, refusal := range []func(context.Context, uuid.UUID) error{c.unauthorized, c.forbidden, c.missing} {
		if err := refusal(ctx, id); err != nil {
			return err
		}
	}
	return c.limited(ctx, who.Email)
}

func (c *caller) authorize(_ context.Context, r *http.Request) error {
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	return nil
}

// wrong says what came instead of what was wanted.
func wrong(what string, r *http.Response, body []byte, err error) error {
	if err == nil {
		err = fmt.Errorf("%s: %s", r.Status, body)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (c *caller) openTicket(ctx context.Context, who api.AuthCredentials) (id uuid.UUID, err error) {
	login, err := c.AuthLoginWithResponse(ctx, who)
	if err != nil || login.JSON200 == nil {
		return id, wrong("login", login.HTTPResponse, login.Body, err)
	}
	c.token = login.JSON200.AccessToken
	fmt.Println("login", login.JSON200.User.Email)

	customer, err := c.CrmCreateCustomerWithResponse(ctx, api.CrmNewCustomer{Name: "Generated Ltd"})
	if err != nil || customer.JSON201 == nil {
		return id, wrong("customer", customer.HTTPResponse, customer.Body, err)
	}
	fmt.Println("customer", customer.JSON201.Name)

	priority := api.TicketsTicketPriority("high")
	ticket, err := c.TicketsCreateTicketWithResponse(ctx, api.TicketsNewTicket{
		Subject: "Typed by a generator", CustomerId: customer.JSON201.Id, Priority: &priority,
	})
	if err != nil || ticket.JSON201 == nil {
		return id, wrong("ticket", ticket.HTTPResponse, ticket.Body, err)
	}
	fmt.Println("ticket", ticket.JSON201.Priority, ticket.JSON201.Status)
	return ticket.JSON201.Id, c.find(ctx, *ticket.JSON201)
}

// find reads a ticket back, by itself and among others.
func (c *caller) find(ctx context.Context, ticket api.TicketsTicket) error {
	read, err := c.TicketsGetTicketWithResponse(ctx, ticket.Id)
	if err != nil || read.JSON200 == nil || *read.JSON200 != ticket {
		return wrong("read", read.HTTPResponse, read.Body, err)
	}
	fmt.Println("read", read.JSON200.Subject)

	one, text, customer := int32(1), "GENERATOR", ticket.CustomerId.String()
	found, err := c.TicketsListTicketsWithResponse(ctx, &api.TicketsListTicketsParams{
		CustomerId: &customer, Priority: &ticket.Priority, Status: &ticket.Status, Q: &text, Limit: &one,
	})
	if err != nil || found.JSON200 == nil || len(found.JSON200.Items) != 1 || found.JSON200.Items[0] != ticket {
		return wrong("list", found.HTTPResponse, found.Body, err)
	}
	low := api.TicketsTicketPriority("low")
	none, err := c.TicketsListTicketsWithResponse(ctx, &api.TicketsListTicketsParams{CustomerId: &customer, Priority: &low})
	if err != nil || none.JSON200 == nil || none.JSON200.Total != 0 {
		return wrong("list of low ones", none.HTTPResponse, none.Body, err)
	}
	fmt.Println("list", found.JSON200.Total, "of at most", found.JSON200.Limit)
	return nil
}

func (c *caller) unauthorized(ctx context.Context, id uuid.UUID) error {
	kept := c.token
	c.token = ""
	defer func() { c.token = kept }()
	got, err := c.TicketsGetTicketWithResponse(ctx, id)
	if err != nil || got.JSON401 == nil || got.JSON401.Error.Code != api.TicketsErrorCodeNOTOKEN {
		return wrong("without a token", got.HTTPResponse, got.Body, err)
	}
	fmt.Println(got.StatusCode(), got.JSON401.Error.Code)
	return nil
}

func (c *caller) forbidden(ctx context.Context, _ uuid.UUID) error {
	got, err := c.GatewayAdminAreaWithResponse(ctx)
	if err != nil || got.JSON403 == nil || got.JSON403.Error.Code != api.GatewayErrorCodeINSUFFICIENTPERMISSIONS {
		return wrong("without the role", got.HTTPResponse, got.Body, err)
	}
	fmt.Println(got.StatusCode(), got.JSON403.Error.Code, got.JSON403.Error.Status)
	return nil
}

func (c *caller) missing(ctx context.Context, _ uuid.UUID) error {
	got, err := c.TicketsGetTicketWithResponse(ctx, uuid.New())
	if err != nil || got.JSON404 == nil || got.JSON404.Error.Code != api.TicketsErrorCodeNOTFOUND {
		return wrong("a ticket that is not there", got.HTTPResponse, got.Body, err)
	}
	sent := got.Headers404.XRequestID
	fmt.Println(got.StatusCode(), got.JSON404.Error.Code, sent != nil && *sent == got.JSON404.Error.RequestId)
	return nil
}

func (c *caller) limited(ctx context.Context, email string) error {
	mistyped := api.AuthCredentials{Email: email, Password: "wrong"}
	for range 5 {
		got, err := c.AuthLoginWithResponse(ctx, mistyped)
		if err != nil || got.JSON401 == nil || got.JSON401.Error.Code != api.AuthErrorCodeNOTAUTHENTICATED {
			return wrong("a wrong password", got.HTTPResponse, got.Body, err)
		}
	}
	got, err := c.AuthLoginWithResponse(ctx, mistyped)
	if err != nil || got.JSON429 == nil || got.JSON429.Error.Code != api.GatewayErrorCodeRATELIMITEXCEEDED {
		return wrong("the sixth wrong password", got.HTTPResponse, got.Body, err)
	}
	if got.Headers429.RetryAfter == nil {
		return errors.New("the sixth wrong password: no typed Retry-After")
	}
	fmt.Println(got.StatusCode(), got.JSON429.Error.Code, *got.Headers429.RetryAfter > 0)
	return nil
}
