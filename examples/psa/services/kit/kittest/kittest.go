// Package kittest calls a service's handler in tests and mints tokens for it.
package kittest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"yett/examples/psa/services/kit"
)

// Secret is a JWT secret for tests, long enough for the HMAC algorithms that the services refuse too.
const Secret = "a-secret-for-tests-that-has-64-bytes-which-is-enough-for-hs512-too"

// Token mints an access token for a user of the role in the tenant, with what the role permits.
func Token(t testing.TB, role, tenantID, userID string) string {
	t.Helper()
	return Sign(t, kit.Identity{
		UserID: userID, Email: userID + "@example.com", Role: role, TenantID: tenantID, Permissions: kit.Permissions(role),
	}, time.Hour)
}

// Sign mints an access token that says what id says.
func Sign(t testing.TB, id kit.Identity, ttl time.Duration) string {
	t.Helper()
	tokens, err := kit.NewTokens(Secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := tokens.Sign(id, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Client calls a handler with one token; an empty token sends none.
type Client struct {
	Handler http.Handler
	Token   string
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends body, as JSON unless it is empty.
func (c Client) Do(t testing.TB, method, path, body string) Answer {
	t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	return Send(c.Handler, request)
}

// Send serves one request.
func Send(handler http.Handler, request *http.Request) Answer {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return Answer{recorder.Code, recorder.Header(), recorder.Body.Bytes()}
}

// Want fails the test unless the status is as wanted, and returns the answer.
func (a Answer) Want(t testing.TB, status int) Answer {
	t.Helper()
	if a.Status != status {
		t.Fatalf("status = %d, want %d; body %s", a.Status, status, a.Body)
	}
	return a
}

// WantError fails the test unless the answer is an error of the platform's shape with the status, the code and, within
// its message, the text. It returns the message.
func (a Answer) WantError(t testing.TB, status int, code, text string) string {
	t.Helper()
	a.Want(t, status)
	var body struct {
		Error struct {
			Code, Message, Timestamp string
			Status                   int
			RequestID                string `json:"request_id"`
		}
	}
	a.JSON(t, &body)
	e := body.Error
	if e.Code != code || e.Status != status || !strings.Contains(e.Message, text) {
		t.Fatalf("error = %s, want code %s, status %d and %q in the message", a.Body, code, status, text)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", e.Timestamp); err != nil {
		t.Fatalf("timestamp: %v", err)
	}
	if e.RequestID == "" || e.RequestID != a.Header.Get("X-Request-ID") {
		t.Fatalf("request_id = %q, header %q", e.RequestID, a.Header.Get("X-Request-ID"))
	}
	return e.Message
}

// JSON decodes the body.
func (a Answer) JSON(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal(a.Body, into); err != nil {
		t.Fatalf("decode %s: %v", a.Body, err)
	}
}

// Field returns the string in a field of the body's object.
func (a Answer) Field(t testing.TB, name string) string {
	t.Helper()
	var fields map[string]any
	a.JSON(t, &fields)
	text, ok := fields[name].(string)
	if !ok {
		t.Fatalf("field %q is missing or no string in %s", name, a.Body)
	}
	return text
}

// List decodes the body of a list and returns its items' IDs and the total.
func (a Answer) List(t testing.TB) (ids []string, total int) {
	t.Helper()
	a.Want(t, http.StatusOK)
	var listing kit.Listing[kit.Meta]
	a.JSON(t, &listing)
	for _, item := range listing.Items {
		ids = append(ids, item.ID)
	}
	return ids, listing.Total
}
