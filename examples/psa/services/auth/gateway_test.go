package auth_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"yett/examples/psa/services/auth"
	"yett/examples/psa/services/kit"
	"yett/examples/psa/services/kit/kittest"
)

// told is what a gateway was sent.
type told struct {
	path, bearer string
	body         map[string]any
}

// gateway answers with the status, and returns what it was sent.
func gateway(t *testing.T, status int) (url string, requests <-chan told) {
	t.Helper()
	sent := make(chan told, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := told{path: r.Method + " " + r.URL.Path, bearer: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}
		if err := json.NewDecoder(r.Body).Decode(&got.body); err != nil {
			t.Error(err)
		}
		sent <- got
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.URL, sent
}

// startWith makes the service behind a gateway.
func startWith(t *testing.T, url string) (client kittest.Client, log *bytes.Buffer) {
	t.Helper()
	log = new(bytes.Buffer)
	handler, err := auth.New(auth.Config{
		JWTSecret: kittest.Secret, BcryptCost: bcrypt.MinCost,
		GatewayURL: func() string { return url }, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return kittest.Client{Handler: contract.Watch(t, handler)}, log
}

func one(t *testing.T, requests <-chan told) told {
	t.Helper()
	select {
	case got := <-requests:
		return got
	default:
		t.Fatal("the gateway was not told before the answer")
		return told{}
	}
}

func TestLogoutTellsTheGateway(t *testing.T) {
	url, requests := gateway(t, 202)
	client, log := startWith(t, url)
	caller := as(t, client, "tech@example.com")
	caller.Do(t, "POST", "/api/v1/auth/logout", "").Want(t, 204)
	got := one(t, requests)
	if got.path != "POST /internal/revocations" || got.body["token"] != caller.Token || len(got.body) != 1 {
		t.Errorf("told was %+v", got)
	}
	verifier, err := kit.NewTokens(kittest.Secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := verifier.Verify(got.bearer)
	if err != nil || id.Role != kit.RoleSystemAdmin || time.Until(id.ExpiresAt) > time.Minute {
		t.Errorf("it calls as %+v, %v", id, err)
	}
	if log.Len() > 0 {
		t.Errorf("the log says %s", log)
	}
}

// Whatever the gateway does, who logs out is logged out.
func TestLogoutWithoutTheGateway(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	refusing, _ := gateway(t, 403)
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	for _, url := range []string{gone.URL, refusing, silent.URL, ""} {
		client, log := startWith(t, url)
		caller := as(t, client, "tech@example.com")
		begun := time.Now()
		caller.Do(t, "POST", "/api/v1/auth/logout", "").Want(t, 204)
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		caller.Do(t, "GET", "/api/v1/auth/me", "").WantError(t, 401, kit.CodeTokenRevoked, "")
		if said := strings.Contains(log.String(), "the gateway was not told"); said != (url != "") || strings.Contains(log.String(), caller.Token) {
			t.Errorf("%q: the log says %q", url, log)
		}
	}
}

// A change of a user ends all its tokens at the gateway, and none that it gets
// from then on, be it in the same second.
func TestChangesOfUsersTellTheGateway(t *testing.T) {
	url, requests := gateway(t, 202)
	client, _ := startWith(t, url)
	admin := as(t, client, "tenant@example.com")
	id := demoID("tech@example.com")
	path := "/api/v1/users/" + id
	for _, patch := range []string{`{"role":"technician_l1"}`, `{"role":"technician"}`, `{"email":"other@example.com"}`, `{"email":"tech@example.com"}`} {
		admin.Do(t, "PATCH", path, patch).Want(t, 200)
		got := one(t, requests)
		before, _ := got.body["issued_before"].(float64)
		expires, _ := got.body["expires"].(float64)
		if got.body["subject"] != id || before < float64(time.Now().Unix()) || expires != before+15*60 {
			t.Errorf("%s: told was %+v", patch, got)
		}
		if patch == `{"email":"other@example.com"}` {
			continue
		}
		next := as(t, client, "tech@example.com")
		if iat := issuedAt(t, next.Token); iat < before {
			t.Errorf("%s: a new token says %v, and all before %v are refused", patch, iat, before)
		}
		next.Do(t, "GET", "/api/v1/auth/me", "").Want(t, 200)
	}
	admin.Do(t, "PATCH", path, `{"name":"Only a name"}`).Want(t, 200)
	admin.Do(t, "DELETE", path, "").Want(t, 204)
	if got := one(t, requests); got.body["subject"] != id {
		t.Errorf("told was %+v", got)
	}
	if len(requests) > 0 {
		t.Errorf("told was also %+v", <-requests)
	}
}

func issuedAt(t *testing.T, token string) float64 {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	var claims struct{ IAT float64 }
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	return claims.IAT
}
