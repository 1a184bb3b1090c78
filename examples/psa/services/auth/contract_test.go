package auth_test

import (
	"testing"

	"golang.org/x/crypto/bcrypt"

	"yett/examples/psa/services/auth"
	"yett/examples/psa/services/kit/kittest"
)

// contract is what the service says of itself; all tests of the package hold it against what the service does.
var contract = kittest.Contract{
	Beyond: []string{"Not valid: tenantId is not a tenant of this platform."},
}

func TestMain(m *testing.M) { kittest.Main(m, &contract) }

func TestDocumentIsTrue(t *testing.T) {
	service, err := auth.New(auth.Config{JWTSecret: kittest.Secret, BcryptCost: bcrypt.MinCost})
	if err != nil {
		t.Fatal(err)
	}
	contract.CheckRoutes(t, service)
	for _, op := range contract.Operations(t, service) {
		t.Run(op.ID, func(t *testing.T) { op.Try(t, trial(t, op.ID)) })
	}
}

// trial says how an operation succeeds with the users that the service starts with.
func trial(t *testing.T, operation string) kittest.Trial {
	t.Helper()
	client := start(t)
	trial := kittest.Trial{Client: as(t, client, "admin@example.com")}
	if operation == "refreshSession" {
		session := tokensOf(t, loginWith(t, client, "tech@example.com", auth.DemoPassword))
		trial.Body, trial.Also = map[string]any{"refresh_token": session.RefreshToken}, 401 // a missing token is no token
	}
	return trial
}
