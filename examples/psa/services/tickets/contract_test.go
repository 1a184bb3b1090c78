package tickets_test

import (
	"strings"
	"testing"

	"yett/examples/psa/services/kit"
	"yett/examples/psa/services/kit/kittest"
	"yett/examples/psa/services/tickets"
)

// contract is what the service says of itself; all tests of the package hold it against what the service does.
var contract = kittest.Contract{
	Beyond: []string{"ticketId names no ticket of yours"},
	Rare: []string{ // they need a full service; TestStreamsAreBounded sees how streams are refused
		"createTicket 409", "createComment 409", "createTimeEntry 409", "streamTicketEvents 503",
	},
}

func TestMain(m *testing.M) { kittest.Main(m, &contract) }

func TestDocumentIsTrue(t *testing.T) {
	service, err := tickets.New(tickets.Config{JWTSecret: kittest.Secret})
	if err != nil {
		t.Fatal(err)
	}
	contract.CheckRoutes(t, service)
	for _, op := range contract.Operations(t, service) {
		if op.ID == "streamTicketEvents" { // the tests of the stream try it
			continue
		}
		t.Run(op.ID, func(t *testing.T) { op.Try(t, trial(t, op)) })
	}
}

// trial says how an operation succeeds with the samples that the service starts with, and what they lack.
func trial(t *testing.T, op *kittest.Operation) kittest.Trial {
	t.Helper()
	client := as(t, newHandler(t), "technician", kit.Acme().ID, kit.DemoID("user", "tech@example.com"))
	trial := kittest.Trial{Client: client, Stranger: kittest.Token(t, "technician", "", "nobody")}
	sample := "/api/v1/tickets/" + kit.DemoID("ticket", "printer")
	switch {
	case strings.HasPrefix(op.Path, "/api/v1/comments/"):
		trial.Path = create(t, client, sample+"/comments", `{"body":"On my way."}`)
	case strings.HasPrefix(op.Path, "/api/v1/time-entries/"):
		trial.Path = newEntry(t, client, sample)
	}
	return trial
}
