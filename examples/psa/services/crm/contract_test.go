package crm_test

import (
	"testing"

	"yett/examples/psa/services/crm"
	"yett/examples/psa/services/kit"
	"yett/examples/psa/services/kit/kittest"
)

// contract is what the service says of itself; all tests of the package hold it against what the service does.
var contract = kittest.Contract{Beyond: []string{"customerId names no customer of yours"}}

func TestMain(m *testing.M) { kittest.Main(m, &contract) }

func TestDocumentIsTrue(t *testing.T) {
	service, err := crm.New(crm.Config{JWTSecret: kittest.Secret})
	if err != nil {
		t.Fatal(err)
	}
	contract.CheckRoutes(t, service)
	for _, op := range contract.Operations(t, service) {
		t.Run(op.ID, func(t *testing.T) { op.Try(t, trial(t, op.ID)) })
	}
}

// trial says how an operation succeeds with the samples that the service starts with.
func trial(t *testing.T, operation string) kittest.Trial {
	t.Helper()
	client, _ := start(t)
	client.Token = kittest.Token(t, "technician", kit.Acme().ID, kit.DemoID("user", "tech@example.com"))
	trial := kittest.Trial{Client: client, Stranger: kittest.Token(t, "technician", "", "nobody")}
	if operation == "deleteCustomer" { // the sample has a contact
		trial.Path = create(t, client, "customers", `{"name":"Old Mill Brewery"}`)
	}
	return trial
}
