package auth_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"yett/examples/psa/services/auth"
	"yett/examples/psa/services/kit"
	"yett/examples/psa/services/kit/kittest"
)

// start makes the service and a client without a token.
func start(t *testing.T) kittest.Client {
	t.Helper()
	handler, err := auth.New(auth.Config{JWTSecret: kittest.Secret, BcryptCost: bcrypt.MinCost})
	if err != nil {
		t.Fatal(err)
	}
	return kittest.Client{Handler: contract.Watch(t, handler)}
}

type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	User         auth.User
}

func tokensOf(t *testing.T, answer kittest.Answer) tokens {
	t.Helper()
	var got tokens
	answer.Want(t, 200).JSON(t, &got)
	return got
}

func loginWith(t *testing.T, client kittest.Client, email, password string) kittest.Answer {
	t.Helper()
	return client.Do(t, "POST", "/api/v1/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password))
}

func refresh(t *testing.T, client kittest.Client, token string) kittest.Answer {
	t.Helper()
	return client.Do(t, "POST", "/api/v1/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, token))
}

// as logs a demo user in.
func as(t *testing.T, client kittest.Client, email string) kittest.Client {
	t.Helper()
	client.Token = tokensOf(t, loginWith(t, client, email, auth.DemoPassword)).AccessToken
	return client
}

func demoID(email string) string { return auth.DemoUser{Email: email}.ID() }

func TestLogin(t *testing.T) {
	client := start(t)
	got := tokensOf(t, loginWith(t, client, "Tech@Example.com", auth.DemoPassword))
	if got.TokenType != "Bearer" || got.ExpiresIn != 900 || got.RefreshToken == "" || got.User.ID != demoID("tech@example.com") {
		t.Errorf("login answers %+v", got)
	}
	verifier, err := kit.NewTokens(kittest.Secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := verifier.Verify(got.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if id.UserID != got.User.ID || id.Email != "tech@example.com" || id.Role != "technician" ||
		id.TenantID != kit.Acme().ID || !id.Permissions[kit.PermTimeWrite] || id.SessionID == "" {
		t.Errorf("the token says %+v", id)
	}
}

func TestLoginRefusals(t *testing.T) {
	client := start(t)
	const code, text = kit.CodeNotAuthenticated, "email or the password"
	wrong := loginWith(t, client, "tech@example.com", "wrong")
	unknown := loginWith(t, client, "nobody@example.com", auth.DemoPassword)
	if a, b := wrong.WantError(t, 401, code, text), unknown.WantError(t, 401, code, text); a != b {
		t.Errorf("the messages tell who exists: %q, %q", a, b)
	}
	if got := wrong.Header.Get("WWW-Authenticate"); got != `Bearer realm="psa-platform"` {
		t.Errorf("WWW-Authenticate = %q", got)
	}
	loginWith(t, client, "", "").WantError(t, 400, kit.CodeBadRequest, "email is required; password is required")
	client.Do(t, "POST", "/api/v1/auth/login", `{"email":1}`).WantError(t, 400, kit.CodeBadRequest, "email")
	client.Do(t, "GET", "/api/v1/auth/login", "").WantError(t, 405, kit.CodeMethodNotAllowed, "")
}

func TestEveryRoleCanLogIn(t *testing.T) {
	client := start(t)
	seen := map[string]bool{}
	for _, user := range auth.DemoUsers() {
		if got := tokensOf(t, loginWith(t, client, user.Email, auth.DemoPassword)).User.Role; got != user.Role {
			t.Errorf("%s has the role %q, want %q", user.Email, got, user.Role)
		}
		seen[user.Role] = true
	}
	for _, role := range kit.Roles() {
		if !seen[role.Name] {
			t.Errorf("no demo user has the role %s", role.Name)
		}
	}
}

func TestPasswordBehindBcryptsReachIsRefused(t *testing.T) {
	password := strings.Repeat("x", 72)
	handler, err := auth.New(auth.Config{JWTSecret: kittest.Secret, BcryptCost: bcrypt.MinCost, DemoPassword: password})
	if err != nil {
		t.Fatal(err)
	}
	client := kittest.Client{Handler: contract.Watch(t, handler)}
	loginWith(t, client, "tech@example.com", password).Want(t, 200)
	loginWith(t, client, "tech@example.com", password+"y").Want(t, 401)
}

func TestRefreshRotates(t *testing.T) {
	client := start(t)
	first := tokensOf(t, loginWith(t, client, "tech@example.com", auth.DemoPassword))
	second := tokensOf(t, refresh(t, client, first.RefreshToken))
	third := tokensOf(t, refresh(t, client, second.RefreshToken))
	if first.RefreshToken == second.RefreshToken || second.RefreshToken == third.RefreshToken {
		t.Error("a refresh token was handed out twice")
	}
	other := tokensOf(t, loginWith(t, client, "tech@example.com", auth.DemoPassword))

	refresh(t, client, first.RefreshToken).WantError(t, 401, kit.CodeTokenRevoked, "used before")
	refresh(t, client, third.RefreshToken).WantError(t, 401, kit.CodeInvalidToken, "")
	client.Token = third.AccessToken
	client.Do(t, "GET", "/api/v1/auth/me", "").WantError(t, 401, kit.CodeTokenRevoked, "")
	client.Token = other.AccessToken
	client.Do(t, "GET", "/api/v1/auth/me", "").Want(t, 200)
	refresh(t, client, other.RefreshToken).Want(t, 200)
}

func TestInventedRefreshTokenEndsNothing(t *testing.T) {
	client := start(t)
	got := tokensOf(t, loginWith(t, client, "tech@example.com", auth.DemoPassword))
	parts := strings.Split(got.RefreshToken, ".")
	for _, invented := range []string{
		"", "x", "a.b.c", parts[0] + ".-1." + parts[2], parts[0] + ".1." + parts[2], parts[0] + ".0.AAAA", "other.0." + parts[2],
	} {
		refresh(t, client, invented).WantError(t, 401, kit.CodeInvalidToken, "")
	}
	refresh(t, client, got.RefreshToken).Want(t, 200)
}

func TestTokensExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := start(t)
		got := tokensOf(t, loginWith(t, client, "tech@example.com", auth.DemoPassword))
		client.Token = got.AccessToken
		time.Sleep(14 * time.Minute)
		client.Do(t, "GET", "/api/v1/auth/me", "").Want(t, 200)
		time.Sleep(2 * time.Minute)
		client.Do(t, "GET", "/api/v1/auth/me", "").WantError(t, 401, kit.CodeTokenExpired, "")
		time.Sleep(6 * 24 * time.Hour)
		next := tokensOf(t, refresh(t, client, got.RefreshToken))
		time.Sleep(7*24*time.Hour + time.Second)
		refresh(t, client, next.RefreshToken).WantError(t, 401, kit.CodeTokenExpired, "")
	})
}

func TestOldestSessionGivesWay(t *testing.T) {
	client := start(t)
	var all []tokens
	for range 101 {
		all = append(all, tokensOf(t, loginWith(t, client, "tech@example.com", auth.DemoPassword)))
	}
	refresh(t, client, all[0].RefreshToken).WantError(t, 401, kit.CodeInvalidToken, "")
	refresh(t, client, all[1].RefreshToken).Want(t, 200)
	refresh(t, client, all[100].RefreshToken).Want(t, 200)
}

func TestLogout(t *testing.T) {
	client := start(t)
	first := tokensOf(t, loginWith(t, client, "tech@example.com", auth.DemoPassword))
	second := tokensOf(t, refresh(t, client, first.RefreshToken))
	other := as(t, client, "tech@example.com")

	client.Do(t, "POST", "/api/v1/auth/logout", "").WantError(t, 401, kit.CodeNoToken, "")
	client.Token = first.AccessToken
	client.Do(t, "POST", "/api/v1/auth/logout", "").Want(t, 204)
	for _, token := range []string{first.AccessToken, second.AccessToken} {
		client.Token = token
		client.Do(t, "GET", "/api/v1/auth/me", "").WantError(t, 401, kit.CodeTokenRevoked, "")
		client.Do(t, "POST", "/api/v1/auth/logout", "").WantError(t, 401, kit.CodeTokenRevoked, "")
	}
	refresh(t, client, second.RefreshToken).WantError(t, 401, kit.CodeInvalidToken, "")
	other.Do(t, "GET", "/api/v1/auth/me", "").Want(t, 200)
}

func TestLogoutOfTokenWithoutSession(t *testing.T) {
	client := start(t)
	client.Token = kittest.Token(t, "technician", kit.Acme().ID, demoID("tech@example.com"))
	client.Do(t, "GET", "/api/v1/auth/me", "").Want(t, 200)
	client.Do(t, "POST", "/api/v1/auth/logout", "").Want(t, 204)
	client.Do(t, "GET", "/api/v1/auth/me", "").WantError(t, 401, kit.CodeTokenRevoked, "")
}

func TestMe(t *testing.T) {
	client := start(t)
	client.Do(t, "GET", "/api/v1/auth/me", "").WantError(t, 401, kit.CodeNoToken, "")
	answer := as(t, client, "tech@example.com").Do(t, "GET", "/api/v1/auth/me", "")
	var got struct {
		Email       string
		Permissions map[string]bool
	}
	answer.Want(t, 200).JSON(t, &got)
	if got.Email != "tech@example.com" || !got.Permissions[kit.PermTicketsAll] {
		t.Errorf("me = %s", answer.Body)
	}
	if text := strings.ToLower(string(answer.Body)); strings.Contains(text, "hash") || strings.Contains(text, "$2a$") {
		t.Errorf("me tells the password hash: %s", text)
	}
	client.Token = kittest.Token(t, "technician", kit.Acme().ID, "nobody")
	client.Do(t, "GET", "/api/v1/auth/me", "").WantError(t, 401, kit.CodeNotAuthenticated, "does not exist")
}

func TestShortSecret(t *testing.T) {
	if _, err := auth.New(auth.Config{JWTSecret: "short"}); err == nil || !strings.Contains(err.Error(), "JWT_SECRET") {
		t.Errorf("err = %v", err)
	}
}
