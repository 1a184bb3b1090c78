package tickets

import (
	"testing"

	"yett/examples/psa/services/kit"
	"yett/examples/psa/services/kit/kittest"
)

// The comments of a deleted ticket cannot be reached any more, so only from within can be seen that they are not kept.
func TestDeletedTicketLeavesNothingBehind(t *testing.T) {
	s, err := newService(Config{JWTSecret: kittest.Secret})
	if err != nil {
		t.Fatal(err)
	}
	client := kittest.Client{Handler: new(kittest.Contract).Watch(t, s.router(nil)), Token: kittest.Token(t, "technician", kit.Acme().ID, "a")}
	path := "/api/v1/tickets/" + kit.DemoID("ticket", "printer")
	client.Do(t, "POST", path+"/comments", `{"body":"First"}`).Want(t, 201)
	client.Do(t, "DELETE", path, "").Want(t, 204)
	if s.comments.Any(func(*Comment) bool { return true }) {
		t.Error("a comment of the deleted ticket is still kept")
	}
}

func TestStreamsAreBounded(t *testing.T) {
	f := newFeed()
	for range maxListeners {
		if _, err := f.join(kit.Identity{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.join(kit.Identity{}); err == nil {
		t.Fatal("there is no bound")
	}
	for l := range f.listeners {
		f.leave(l)
		break
	}
	if _, err := f.join(kit.Identity{}); err != nil {
		t.Errorf("after one left: %v", err)
	}
}
