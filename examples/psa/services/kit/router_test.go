package kit_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"yett/examples/psa/services/kit"
	"yett/examples/psa/services/kit/kittest"
)

type thing struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
	On    bool   `json:"on"`
}

func newRouter(t *testing.T) *kit.Router {
	t.Helper()
	tokens, err := kit.NewTokens(kittest.Secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	router := kit.NewRouter("test-service", tokens, nil)
	router.Public("/things", kit.Methods{
		http.MethodGet: func(*kit.Call) (kit.Reply, error) { return kit.OK(thing{Name: "one"}), nil },
		http.MethodPost: func(c *kit.Call) (kit.Reply, error) {
			given, err := kit.Decode[thing](c)
			return kit.Created("/things/1", given), err
		},
	})
	router.Public("/broken", kit.Methods{
		http.MethodGet: func(*kit.Call) (kit.Reply, error) { return kit.Reply{}, errors.New("the secret cause") },
	})
	router.Private("/private", kit.Methods{
		http.MethodGet: func(c *kit.Call) (kit.Reply, error) { return kit.OK(c.Identity), nil },
	})
	router.Tenant("/tenant", kit.Methods{
		http.MethodGet: func(*kit.Call) (kit.Reply, error) { return kit.NoContent(), nil },
	})
	router.Public("/permitted", kit.Methods{
		http.MethodGet: kit.Permit(kit.PermTimeWrite, func(*kit.Call) (kit.Reply, error) { return kit.NoContent(), nil }),
	})
	return router
}

func TestRouterAnswers(t *testing.T) {
	client := kittest.Client{Handler: newRouter(t)}
	answer := client.Do(t, "GET", "/things", "").Want(t, 200)
	if got := answer.Header.Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Errorf("Content-Type = %q", got)
	}
	if !kit.ValidID(answer.Header.Get("X-Request-ID")) {
		t.Errorf("X-Request-ID = %q, want a UUID", answer.Header.Get("X-Request-ID"))
	}
	client.Do(t, "HEAD", "/things", "").Want(t, 200)
	if got := client.Do(t, "POST", "/things", `{"name":"x"}`).Want(t, 201).Header.Get("Location"); got != "/things/1" {
		t.Errorf("Location = %q", got)
	}
	client.Do(t, "GET", "/nothing", "").WantError(t, 404, kit.CodeNotFound, "/nothing")
	client.Do(t, "GET", "/permitted", "").WantError(t, 403, kit.CodeInsufficient, kit.PermTimeWrite)
	wrong := client.Do(t, "PATCH", "/things", "{}")
	wrong.WantError(t, 405, kit.CodeMethodNotAllowed, "PATCH")
	if got := wrong.Header.Get("Allow"); got != "GET, HEAD, POST" {
		t.Errorf("Allow = %q", got)
	}
}

func TestUnexpectedErrorTellsNothing(t *testing.T) {
	client := kittest.Client{Handler: newRouter(t)}
	message := client.Do(t, "GET", "/broken", "").WantError(t, 500, kit.CodeInternal, "")
	if strings.Contains(message, "secret") {
		t.Errorf("message %q tells the cause", message)
	}
}

func TestHealth(t *testing.T) {
	answer := kittest.Client{Handler: newRouter(t)}.Do(t, "GET", "/health", "").Want(t, 200)
	if answer.Field(t, "status") != "healthy" || answer.Field(t, "service") != "test-service" {
		t.Errorf("health = %s", answer.Body)
	}
}

func TestRequestID(t *testing.T) {
	router := newRouter(t)
	for _, test := range []struct{ sent, want string }{
		{"from-the-gateway", "from-the-gateway"},
		{strings.Repeat("x", 129), ""},
		{"", ""},
	} {
		request := httptest.NewRequest("GET", "/nothing", nil)
		request.Header.Set("X-Request-ID", test.sent)
		answer := kittest.Send(router, request)
		answer.WantError(t, 404, kit.CodeNotFound, "")
		got := answer.Header.Get("X-Request-ID")
		if test.want != "" && got != test.want || test.want == "" && !kit.ValidID(got) {
			t.Errorf("sent %q, got %q", test.sent, got)
		}
	}
}

func TestBadBodies(t *testing.T) {
	client := kittest.Client{Handler: newRouter(t)}
	for _, test := range []struct {
		name, body string
		status     int
		code, text string
	}{
		{"empty", "", 400, kit.CodeBadRequest, "JSON object"},
		{"no object", `[1]`, 400, kit.CodeBadRequest, "JSON object"},
		{"null", `null`, 400, kit.CodeBadRequest, "JSON object"},
		{"syntax", `{"name":}`, 400, kit.CodeBadRequest, "byte 9"},
		{"cut short", `{"name":"x"`, 400, kit.CodeBadRequest, "too early"},
		{"unknown field", `{"nmae":"x"}`, 400, kit.CodeBadRequest, `unknown field "nmae"`},
		{"string for number", `{"count":"1"}`, 400, kit.CodeBadRequest, `"count" must be a whole number, not string`},
		{"number for string", `{"name":1}`, 400, kit.CodeBadRequest, `"name" must be a string, not number`},
		{"number for bool", `{"on":1}`, 400, kit.CodeBadRequest, `"on" must be true or false`},
		{"more behind", `{} {}`, 400, kit.CodeBadRequest, "more after"},
		{"too large", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, kit.CodeTooLarge, "1048576"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client.Do(t, "POST", "/things", test.body).WantError(t, test.status, test.code, test.text)
		})
	}
}

func TestMediaTypes(t *testing.T) {
	router := newRouter(t)
	for media, want := range map[string]int{
		"":                                  201,
		"application/json":                  201,
		"Application/JSON; charset=utf-8":   201,
		"application/merge-patch+json":      201,
		"application/x-www-form-urlencoded": 415,
		"text/plain":                        415,
		";":                                 415,
	} {
		request := httptest.NewRequest("POST", "/things", strings.NewReader(`{"name":"x"}`))
		if media != "" {
			request.Header.Set("Content-Type", media)
		}
		if got := kittest.Send(router, request).Status; got != want {
			t.Errorf("Content-Type %q: status %d, want %d", media, got, want)
		}
	}
}

func TestTenantPathNeedsTenant(t *testing.T) {
	router := newRouter(t)
	kittest.Client{Handler: router, Token: kittest.Token(t, "technician", "", "u")}.
		Do(t, "GET", "/tenant", "").WantError(t, 403, kit.CodeForbidden, "tenant")
	kittest.Client{Handler: router, Token: kittest.Token(t, "technician", "a", "u")}.
		Do(t, "GET", "/tenant", "").Want(t, 204)
}

func TestIdentityHeadersAreNotTrusted(t *testing.T) {
	request := httptest.NewRequest("GET", "/private", nil)
	request.Header.Set("X-User-ID", "somebody")
	request.Header.Set("X-User-Role", "system_admin")
	kittest.Send(newRouter(t), request).WantError(t, 401, kit.CodeNoToken, "")
}
