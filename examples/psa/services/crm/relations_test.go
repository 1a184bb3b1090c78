package crm

import (
	"runtime"
	"sync"
	"testing"

	"yett/examples/psa/services/kit"
	"yett/examples/psa/services/kit/kittest"
)

// A contact is never left behind at a customer that is gone, whoever comes first. Both requests are started while the
// contacts are locked, so that without the relations lock both would have looked at the other's collection too early.
func TestDeleteWhileAContactIsAdded(t *testing.T) {
	s, err := newService(Config{JWTSecret: kittest.Secret})
	if err != nil {
		t.Fatal(err)
	}
	client := kittest.Client{Handler: (&kittest.Contract{Beyond: []string{"no customer of yours"}}).Watch(t, s.router(nil)), Token: kittest.Token(t, "technician", "tenant-a", "a")}
	blocker := Contact{Meta: kit.NewMeta("tenant-b")}
	if err := s.contacts.Insert(blocker); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		made := client.Do(t, "POST", "/api/v1/customers", `{"name":"Bakery"}`).Want(t, 201)
		customer := made.Header.Get("Location")
		body := `{"name":"Some One","customerId":"` + made.Field(t, "id") + `"}`
		var group sync.WaitGroup
		var added, deleted kittest.Answer
		_, err := s.contacts.Update(kit.EveryTenant(), blocker.ID, func(*Contact) error {
			group.Go(func() { added = client.Do(t, "POST", "/api/v1/contacts", body) })
			yield()
			group.Go(func() { deleted = client.Do(t, "DELETE", customer, "") })
			yield()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		group.Wait()
		switch {
		case added.Status == 400 && deleted.Status == 204:
		case added.Status == 201 && deleted.Status == 409:
			client.Do(t, "DELETE", added.Header.Get("Location"), "").Want(t, 204)
			client.Do(t, "DELETE", customer, "").Want(t, 204)
		default:
			t.Fatalf("adding answered %d, deleting %d", added.Status, deleted.Status)
		}
	}
}

// yield gives the other goroutines time to come as far as they can.
func yield() {
	for range 1000 {
		runtime.Gosched()
	}
}
