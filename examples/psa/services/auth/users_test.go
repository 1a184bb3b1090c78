package auth_test

import (
	"slices"
	"testing"

	"yett/examples/psa/services/auth"
	"yett/examples/psa/services/kit"
)

const newUser = `{"email":"New@example.com","name":"New","role":"technician","password":"a-long-password"}`

func TestUsersAreKept(t *testing.T) {
	client := start(t)
	admin := as(t, client, "tenant@example.com")
	created := admin.Do(t, "POST", "/api/v1/users", newUser).Want(t, 201)
	path := created.Header.Get("Location")
	if path != "/api/v1/users/"+created.Field(t, "id") || created.Field(t, "email") != "new@example.com" || created.Field(t, "tenantId") != kit.Acme().ID {
		t.Errorf("created %s at %s", created.Body, path)
	}
	admin.Do(t, "POST", "/api/v1/users", newUser).WantError(t, 409, kit.CodeConflict, "user")
	loginWith(t, client, "new@example.com", "a-long-password").Want(t, 200)

	if got := admin.Do(t, "PATCH", path, `{"name":"Newer"}`).Want(t, 200); got.Field(t, "name") != "Newer" || got.Field(t, "role") != "technician" {
		t.Errorf("patched to %s", got.Body)
	}
	if got := admin.Do(t, "GET", path, "").Want(t, 200).Field(t, "name"); got != "Newer" {
		t.Errorf("name = %q", got)
	}
	if ids, _ := admin.Do(t, "GET", "/api/v1/users?q=newer", "").List(t); !slices.Equal(ids, []string{created.Field(t, "id")}) {
		t.Errorf("search finds %v", ids)
	}
	admin.Do(t, "DELETE", path, "").Want(t, 204)
	admin.Do(t, "GET", path, "").WantError(t, 404, kit.CodeNotFound, "")
	admin.Do(t, "DELETE", path, "").WantError(t, 404, kit.CodeNotFound, "")
	loginWith(t, client, "new@example.com", "a-long-password").Want(t, 401)
}

func TestUserTenantsAreKeptApart(t *testing.T) {
	client := start(t)
	path := "/api/v1/users/" + demoID("tech@example.com")
	for email, want := range map[string]int{"admin@example.com": 24, "tenant@example.com": 21, "tenant@example.org": 3} {
		if _, total := as(t, client, email).Do(t, "GET", "/api/v1/users?limit=1", "").List(t); total != want {
			t.Errorf("%s sees %d users, want %d", email, total, want)
		}
	}
	stranger := as(t, client, "tenant@example.org")
	stranger.Do(t, "GET", path, "").WantError(t, 404, kit.CodeNotFound, "")
	stranger.Do(t, "PATCH", path, `{"name":"x"}`).WantError(t, 404, kit.CodeNotFound, "")
	stranger.Do(t, "PATCH", path, `{"password":"a-long-password"}`).WantError(t, 404, kit.CodeNotFound, "")
	stranger.Do(t, "DELETE", path, "").WantError(t, 404, kit.CodeNotFound, "")
	elsewhere := `{"email":"e@example.com","name":"E","role":"technician","password":"a-long-password","tenantId":"` + kit.Globex().ID + `"}`
	as(t, client, "tenant@example.com").Do(t, "POST", "/api/v1/users", elsewhere).WantError(t, 403, kit.CodeForbidden, "own tenant")
	made := as(t, client, "admin@example.com").Do(t, "POST", "/api/v1/users", elsewhere).Want(t, 201)
	if made.Field(t, "tenantId") != kit.Globex().ID {
		t.Errorf("made %s", made.Body)
	}
}

func TestBadUsers(t *testing.T) {
	admin := as(t, start(t), "tenant@example.com")
	admin.Do(t, "POST", "/api/v1/users", `{"email":"x","role":"boss","password":"short","tenantId":"y"}`).
		WantError(t, 400, kit.CodeBadRequest, "email is not an email address; name is required; role is not a role of this platform; "+
			"password must have 12 to 72 bytes; tenantId is not a tenant")
	path := "/api/v1/users/" + demoID("tech@example.com")
	admin.Do(t, "PATCH", path, `{"email":"x","name":"","role":"boss","password":"short"}`).
		WantError(t, 400, kit.CodeBadRequest, "email is not an email address; name is required; role is not")
	admin.Do(t, "PATCH", path, `{"email":"tenant@example.com"}`).WantError(t, 409, kit.CodeConflict, "")
	admin.Do(t, "PATCH", path, `{"passwordHash":"x"}`).WantError(t, 400, kit.CodeBadRequest, "passwordHash")
	admin.Do(t, "GET", "/api/v1/users?limit=x", "").WantError(t, 400, kit.CodeBadRequest, "limit")
	admin.Do(t, "PUT", path, `{}`).WantError(t, 405, kit.CodeMethodNotAllowed, "PUT")
}

func TestOrdinaryUserSeesOnlyItself(t *testing.T) {
	user := as(t, start(t), "tech@example.com")
	own, other := "/api/v1/users/"+demoID("tech@example.com"), "/api/v1/users/"+demoID("techl1@example.com")
	user.Do(t, "GET", "/api/v1/users", "").WantError(t, 403, kit.CodeInsufficient, "")
	user.Do(t, "POST", "/api/v1/users", newUser).WantError(t, 403, kit.CodeInsufficient, "")
	user.Do(t, "DELETE", own, "").WantError(t, 403, kit.CodeInsufficient, "")
	user.Do(t, "GET", own, "").Want(t, 200)
	for _, path := range []string{other, "/api/v1/users/nobody"} {
		user.Do(t, "GET", path, "").WantError(t, 403, kit.CodeForbidden, "")
		user.Do(t, "PATCH", path, `{"name":"x"}`).WantError(t, 403, kit.CodeForbidden, "")
	}
	user.Do(t, "PATCH", own, `{"name":"Renamed"}`).Want(t, 200)
	for _, climb := range []string{`{"role":"system_admin"}`, `{"email":"a@example.com"}`, `{"active":true}`} {
		user.Do(t, "PATCH", own, climb).WantError(t, 403, kit.CodeForbidden, "")
	}
}

func TestOwnPasswordNeedsTheCurrentOne(t *testing.T) {
	client := start(t)
	user := as(t, client, "tech@example.com")
	own := "/api/v1/users/" + demoID("tech@example.com")
	user.Do(t, "PATCH", own, `{"password":"another-password"}`).WantError(t, 403, kit.CodeForbidden, "currentPassword")
	user.Do(t, "PATCH", own, `{"password":"another-password","currentPassword":"wrong"}`).WantError(t, 403, kit.CodeForbidden, "")
	user.Do(t, "PATCH", own, `{"password":"another-password","currentPassword":"`+auth.DemoPassword+`"}`).Want(t, 200)
	user.Do(t, "GET", own, "").WantError(t, 401, kit.CodeTokenRevoked, "")
	loginWith(t, client, "tech@example.com", auth.DemoPassword).Want(t, 401)
	loginWith(t, client, "tech@example.com", "another-password").Want(t, 200)
}

func TestNobodyRaisesAboveItself(t *testing.T) {
	client := start(t)
	admin := as(t, client, "tenant@example.com")
	mightier := "/api/v1/users/" + demoID("admin@example.com")
	const high = `{"email":"h@example.com","name":"H","role":"system_admin","password":"a-long-password"}`
	admin.Do(t, "POST", "/api/v1/users", high).WantError(t, 403, kit.CodeInsufficient, "")
	admin.Do(t, "PATCH", "/api/v1/users/"+demoID("tech@example.com"), `{"role":"system_admin"}`).WantError(t, 403, kit.CodeInsufficient, "")
	admin.Do(t, "PATCH", mightier, `{"password":"a-long-password"}`).WantError(t, 403, kit.CodeInsufficient, "")
	admin.Do(t, "DELETE", mightier, "").WantError(t, 403, kit.CodeInsufficient, "")
	admin.Do(t, "DELETE", "/api/v1/users/"+demoID("tenant@example.com"), "").WantError(t, 409, kit.CodeConflict, "own")
	loginWith(t, client, "admin@example.com", auth.DemoPassword).Want(t, 200)
}

func TestChangesEndTheSessionsOfTheUser(t *testing.T) {
	for _, change := range []struct {
		body      string
		ends      bool
		canReturn bool
	}{
		{`{"name":"x"}`, false, true},
		{`{"role":"customer_user"}`, true, true},
		{`{"active":false}`, true, false},
		{`{"password":"a-long-password"}`, true, false},
		{`{"email":"moved@example.com"}`, true, false},
		{"", true, false}, // DELETE
	} {
		t.Run(change.body, func(t *testing.T) {
			client := start(t)
			admin := as(t, client, "tenant@example.com")
			session := tokensOf(t, loginWith(t, client, "tech@example.com", auth.DemoPassword))
			path := "/api/v1/users/" + session.User.ID
			if change.body == "" {
				admin.Do(t, "DELETE", path, "").Want(t, 204)
			} else {
				admin.Do(t, "PATCH", path, change.body).Want(t, 200)
			}
			client.Token = session.AccessToken
			wantMe, wantLogin := 200, 200
			if change.ends {
				wantMe = 401
			}
			if !change.canReturn {
				wantLogin = 401
			}
			client.Do(t, "GET", "/api/v1/auth/me", "").Want(t, wantMe)
			refresh(t, client, session.RefreshToken).Want(t, wantMe)
			loginWith(t, client, "tech@example.com", auth.DemoPassword).Want(t, wantLogin)
			admin.Do(t, "GET", "/api/v1/auth/me", "").Want(t, 200)
		})
	}
}
