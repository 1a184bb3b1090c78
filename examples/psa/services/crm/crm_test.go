package crm_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"yett/examples/psa/services/crm"
	"yett/examples/psa/services/kit"
	"yett/examples/psa/services/kit/kittest"
)

const tenantA, tenantB = "tenant-a", "tenant-b" // fresh tenants: the samples belong to others

// start makes the service and clients of a technician in each of two tenants.
func start(t *testing.T) (a, b kittest.Client) {
	t.Helper()
	handler, err := crm.New(crm.Config{JWTSecret: kittest.Secret})
	if err != nil {
		t.Fatal(err)
	}
	handler = contract.Watch(t, handler)
	return kittest.Client{Handler: handler, Token: kittest.Token(t, "technician", tenantA, "a")},
		kittest.Client{Handler: handler, Token: kittest.Token(t, "technician", tenantB, "b")}
}

// create posts body and returns the path of what was made.
func create(t *testing.T, client kittest.Client, collection, body string) string {
	t.Helper()
	return client.Do(t, "POST", "/api/v1/"+collection, body).Want(t, 201).Header.Get("Location")
}

func idOf(path string) string { return path[strings.LastIndex(path, "/")+1:] }

func contactBody(customer, email string) string {
	return fmt.Sprintf(`{"customerId":%q,"name":"Some One","email":%q}`, idOf(customer), email)
}

func TestCustomersAreKept(t *testing.T) {
	a, _ := start(t)
	path := create(t, a, "customers", `{"name":"Bakery","email":"b@example.com","phone":"1"}`)
	got := a.Do(t, "GET", path, "").Want(t, 200)
	if got.Field(t, "name") != "Bakery" || got.Field(t, "status") != "active" || got.Field(t, "tenantId") != tenantA || !kit.ValidID(got.Field(t, "id")) {
		t.Errorf("kept %s", got.Body)
	}
	a.Do(t, "PATCH", path, `{"phone":"2"}`).Want(t, 200)
	if got := a.Do(t, "GET", path, "").Want(t, 200); got.Field(t, "phone") != "2" || got.Field(t, "email") != "b@example.com" {
		t.Errorf("after PATCH %s", got.Body)
	}
	a.Do(t, "PUT", path, `{"name":"Bread","status":"inactive"}`).Want(t, 200)
	if got := a.Do(t, "GET", path, "").Want(t, 200); got.Field(t, "name") != "Bread" || got.Field(t, "email") != "" {
		t.Errorf("after PUT %s", got.Body)
	}
	a.Do(t, "DELETE", path, "").Want(t, 204)
	for _, method := range []string{"GET", "DELETE"} {
		a.Do(t, method, path, "").WantError(t, 404, kit.CodeNotFound, "customer")
	}
}

func TestContactsAreKept(t *testing.T) {
	a, _ := start(t)
	customer := create(t, a, "customers", `{"name":"Bakery"}`)
	other := create(t, a, "customers", `{"name":"Clinic"}`)
	path := create(t, a, "contacts", contactBody(customer, "x@example.com"))
	create(t, a, "contacts", contactBody(other, "x@example.com"))
	if got := a.Do(t, "GET", path, "").Want(t, 200).Field(t, "customerId"); got != idOf(customer) {
		t.Errorf("customerId = %q", got)
	}
	if ids, _ := a.Do(t, "GET", "/api/v1/contacts?customerId="+idOf(customer), "").List(t); !slices.Equal(ids, []string{idOf(path)}) {
		t.Errorf("contacts of the customer: %v", ids)
	}
	a.Do(t, "PATCH", path, `{"position":"Owner"}`).Want(t, 200)
	if got := a.Do(t, "GET", path, "").Want(t, 200); got.Field(t, "position") != "Owner" || got.Field(t, "name") != "Some One" {
		t.Errorf("after PATCH %s", got.Body)
	}
	a.Do(t, "PUT", path, contactBody(other, "y@example.com")).Want(t, 200)
	a.Do(t, "DELETE", path, "").Want(t, 204)
	a.Do(t, "GET", path, "").WantError(t, 404, kit.CodeNotFound, "contact")
}

func TestTenantsAreKeptApart(t *testing.T) {
	a, b := start(t)
	customer := create(t, a, "customers", `{"name":"Bakery"}`)
	contact := create(t, a, "contacts", contactBody(customer, "x@example.com"))
	for _, path := range []string{customer, contact} {
		b.Do(t, "GET", path, "").WantError(t, 404, kit.CodeNotFound, "")
		b.Do(t, "PUT", path, `{"name":"Mine"}`).WantError(t, 404, kit.CodeNotFound, "")
		b.Do(t, "PATCH", path, `{"name":"Mine"}`).WantError(t, 404, kit.CodeNotFound, "")
		b.Do(t, "DELETE", path, "").WantError(t, 404, kit.CodeNotFound, "")
	}
	for _, collection := range []string{"customers", "contacts"} {
		if ids, total := b.Do(t, "GET", "/api/v1/"+collection, "").List(t); total != 0 || ids != nil {
			t.Errorf("%s: the other tenant sees %v", collection, ids)
		}
	}
	b.Do(t, "POST", "/api/v1/contacts", contactBody(customer, "x@example.com")).WantError(t, 400, kit.CodeBadRequest, "no customer of yours")
	b.Do(t, "POST", "/api/v1/customers", `{"name":"Thief","tenantId":"tenant-a"}`).WantError(t, 400, kit.CodeBadRequest, "tenantId")
	create(t, b, "customers", `{"name":"Bakery"}`) // the same name elsewhere is no conflict
}

func TestListing(t *testing.T) {
	a, _ := start(t)
	var made []string
	for _, name := range []string{"One", "Two", "Three", "Town"} {
		made = append(made, idOf(create(t, a, "customers", fmt.Sprintf(`{"name":%q}`, name))))
	}
	for _, test := range []struct {
		query string
		want  []string
		total int
	}{
		{"", made, 4},
		{"?limit=2", made[:2], 4},
		{"?limit=2&offset=3", made[3:], 4},
		{"?offset=9", nil, 4},
		{"?q=t", made[1:], 3},
		{"?q=TW&limit=1", made[1:2], 1},
	} {
		if ids, total := a.Do(t, "GET", "/api/v1/customers"+test.query, "").List(t); !slices.Equal(ids, test.want) || total != test.total {
			t.Errorf("%q: %v of %d, want %v of %d", test.query, ids, total, test.want, test.total)
		}
	}
	for _, collection := range []string{"customers", "contacts"} {
		a.Do(t, "GET", "/api/v1/"+collection+"?limit=-1", "").WantError(t, 400, kit.CodeBadRequest, "limit")
	}
}

func TestConflicts(t *testing.T) {
	a, _ := start(t)
	customer := create(t, a, "customers", `{"name":"Bakery"}`)
	other := create(t, a, "customers", `{"name":"Clinic"}`)
	a.Do(t, "POST", "/api/v1/customers", `{"name":"BAKERY"}`).WantError(t, 409, kit.CodeConflict, "customer")
	a.Do(t, "PATCH", other, `{"name":"bakery"}`).WantError(t, 409, kit.CodeConflict, "customer")
	a.Do(t, "PUT", other, `{"name":"bakery","status":"active"}`).WantError(t, 409, kit.CodeConflict, "customer")
	contact := create(t, a, "contacts", contactBody(customer, "x@example.com"))
	second := create(t, a, "contacts", contactBody(customer, "y@example.com"))
	a.Do(t, "PUT", second, contactBody(customer, "x@example.com")).WantError(t, 409, kit.CodeConflict, "contact")
	a.Do(t, "PATCH", second, `{"email":"X@example.com"}`).WantError(t, 409, kit.CodeConflict, "contact")
	a.Do(t, "DELETE", second, "").Want(t, 204)
	a.Do(t, "POST", "/api/v1/contacts", contactBody(customer, "X@example.com")).WantError(t, 409, kit.CodeConflict, "contact")
	create(t, a, "contacts", contactBody(other, ""))
	create(t, a, "contacts", contactBody(other, "")) // without an email there is nothing to be the same
	a.Do(t, "DELETE", customer, "").WantError(t, 409, kit.CodeConflict, "contacts")
	a.Do(t, "DELETE", contact, "").Want(t, 204)
	a.Do(t, "DELETE", customer, "").Want(t, 204)
}

func TestBadInput(t *testing.T) {
	a, _ := start(t)
	customer := create(t, a, "customers", `{"name":"Bakery"}`)
	for _, test := range []struct{ method, path, body, text string }{
		{"POST", "/api/v1/customers", `{`, "JSON"},
		{"POST", "/api/v1/customers", `{"email":"x","status":"gone"}`, "name is required; email is not an email address; status must be one of prospect, active, inactive"},
		{"POST", "/api/v1/customers", `{"name":"x","id":"1"}`, `unknown field "id"`},
		{"PUT", customer, `{"name":"x"}`, "status must be one of"},
		{"PATCH", customer, `{"name":" "}`, "name is required"},
		{"PATCH", customer, ``, "JSON object"},
		{"POST", "/api/v1/contacts", `{"customerId":"x"}`, "customerId is not a UUID; name is required"},
		{"POST", "/api/v1/contacts", `{"name":"x"}`, "customerId is required"},
	} {
		a.Do(t, test.method, test.path, test.body).WantError(t, 400, kit.CodeBadRequest, test.text)
	}
	if got := a.Do(t, "GET", customer, "").Want(t, 200).Field(t, "name"); got != "Bakery" {
		t.Errorf("a refused change left the name %q", got)
	}
	a.Do(t, "POST", customer, `{}`).WantError(t, 405, kit.CodeMethodNotAllowed, "POST")
}

func TestWhoMay(t *testing.T) {
	a, _ := start(t)
	path := create(t, a, "customers", `{"name":"Bakery"}`)
	for _, test := range []struct {
		role               string
		wantRead, wantEdit int
	}{{"technician", 200, 200}, {"technician_l1", 200, 403}, {"customer_admin", 403, 403}, {"made_up", 403, 403}} {
		client := kittest.Client{Handler: a.Handler, Token: kittest.Token(t, test.role, tenantA, "u")}
		client.Do(t, "GET", path, "").Want(t, test.wantRead)
		client.Do(t, "PATCH", path, `{"phone":"1"}`).Want(t, test.wantEdit)
	}
	a.Token = ""
	a.Do(t, "GET", path, "").WantError(t, 401, kit.CodeNoToken, "")
}

func TestSamples(t *testing.T) {
	a, _ := start(t)
	for tenant, want := range map[string]int{kit.Acme().ID: 2, kit.Globex().ID: 1} {
		a.Token = kittest.Token(t, "technician", tenant, "u")
		for _, collection := range []string{"customers", "contacts"} {
			if _, total := a.Do(t, "GET", "/api/v1/"+collection, "").List(t); total != want {
				t.Errorf("tenant %s starts with %d %s, want %d", tenant, total, collection, want)
			}
		}
	}
}
