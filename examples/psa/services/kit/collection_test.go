package kit_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"

	"yett/examples/psa/services/kit"
)

type note struct {
	kit.Meta
	Text string
}

func newNotes(t *testing.T, notes ...note) *kit.Collection[note] {
	t.Helper()
	collection := kit.NewCollection("note", func(n *note) *kit.Meta { return &n.Meta }, func(n *note) string { return n.Text })
	for _, n := range notes {
		if err := collection.Insert(n); err != nil {
			t.Fatal(err)
		}
	}
	return collection
}

func noteOf(tenant, id, text string) note { return note{kit.DemoMeta(tenant, id), text} }

func allow(*note) error { return nil }

func wantStatus(t *testing.T, err error, status int) {
	t.Helper()
	problem, ok := errors.AsType[*kit.Problem](err)
	if !ok || problem.Status != status {
		t.Errorf("err = %v, want a Problem with status %d", err, status)
	}
}

func TestCollectionKeepsTenantsApart(t *testing.T) {
	notes := newNotes(t, noteOf("a", "1", "one"), noteOf("b", "2", "two"), noteOf("", "3", "three"))
	for _, scope := range []kit.Scope{kit.InTenant("a"), kit.InTenant(""), {}} {
		for _, id := range []string{"2", "3", "4"} {
			_, err := notes.Get(scope, id)
			wantStatus(t, err, http.StatusNotFound)
			_, err = notes.Update(scope, id, allow)
			wantStatus(t, err, http.StatusNotFound)
			_, err = notes.Delete(scope, id, allow)
			wantStatus(t, err, http.StatusNotFound)
		}
	}
	if got := notes.List(kit.InTenant("a"), kit.Page{Limit: 10}, func(*note) bool { return true }); got.Total != 1 || got.Items[0].ID != "1" {
		t.Errorf("tenant a sees %+v", got)
	}
	if got := notes.List(kit.EveryTenant(), kit.Page{Limit: 10}, func(*note) bool { return true }); got.Total != 3 {
		t.Errorf("everybody sees %+v", got)
	}
}

func TestCollectionKeys(t *testing.T) {
	notes := newNotes(t, noteOf("a", "1", "one"), noteOf("a", "2", "two"), noteOf("a", "3", ""), noteOf("a", "4", ""))
	wantStatus(t, notes.Insert(noteOf("a", "5", "one")), http.StatusConflict)
	set := func(id, text string) error {
		_, err := notes.Update(kit.InTenant("a"), id, func(n *note) error { n.Text = text; return nil })
		return err
	}
	wantStatus(t, set("1", "two"), http.StatusConflict)
	if found, ok := notes.Find("one"); !ok || found.ID != "1" {
		t.Errorf("after the refused change Find gives %+v, %v", found, ok)
	}
	for _, step := range []struct{ id, text string }{{"1", "one"}, {"1", "free"}, {"2", "one"}, {"2", ""}, {"3", "one"}} {
		if err := set(step.id, step.text); err != nil {
			t.Errorf("set %s to %q: %v", step.id, step.text, err)
		}
	}
	if _, err := notes.Delete(kit.InTenant("a"), "3", allow); err != nil {
		t.Fatal(err)
	}
	if _, ok := notes.Find("one"); ok {
		t.Error("the key of a deleted record is still taken")
	}
}

func TestCollectionUpdate(t *testing.T) {
	original := noteOf("a", "1", "one")
	original.CreatedAt, original.UpdatedAt = "then", "then"
	notes := newNotes(t, original)
	refusal := errors.New("no")
	if _, err := notes.Update(kit.InTenant("a"), "1", func(n *note) error { n.Text = "half"; return refusal }); err != refusal {
		t.Errorf("err = %v", err)
	}
	if got, _ := notes.Get(kit.InTenant("a"), "1"); got != original {
		t.Errorf("a refused change left %+v", got)
	}
	got, err := notes.Update(kit.InTenant("a"), "1", func(n *note) error { n.Text, n.TenantID, n.ID = "new", "b", "9"; return nil })
	if err != nil || got.ID != "1" || got.TenantID != "a" || got.CreatedAt != "then" || got.UpdatedAt == "then" || got.Text != "new" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestCollectionDelete(t *testing.T) {
	notes := newNotes(t, noteOf("a", "1", "one"), noteOf("a", "2", "two"), noteOf("a", "3", "three"))
	refusal := errors.New("no")
	if _, err := notes.Delete(kit.InTenant("a"), "1", func(*note) error { return refusal }); err != refusal {
		t.Errorf("err = %v", err)
	}
	notes.DeleteWhere(func(n *note) bool { return n.Text != "two" })
	if got := notes.List(kit.InTenant("a"), kit.Page{Limit: 10}, func(*note) bool { return true }); got.Total != 1 || got.Items[0].ID != "2" {
		t.Errorf("left over: %+v", got)
	}
	if notes.Any(func(n *note) bool { return n.Text == "one" }) {
		t.Error("a deleted record is found")
	}
}

func TestCollectionPages(t *testing.T) {
	notes := newNotes(t)
	for i := range 5 {
		if err := notes.Insert(noteOf("a", fmt.Sprint(i), "")); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		page kit.Page
		want []string
	}{
		{kit.Page{Limit: 2}, []string{"0", "1"}},
		{kit.Page{Limit: 2, Offset: 4}, []string{"4"}},
		{kit.Page{Limit: 2, Offset: 9}, nil},
	} {
		listing := notes.List(kit.InTenant("a"), test.page, func(*note) bool { return true })
		var got []string
		for _, item := range listing.Items {
			got = append(got, item.ID)
		}
		if !slices.Equal(got, test.want) || listing.Total != 5 || listing.Items == nil {
			t.Errorf("page %+v: %v of %d", test.page, got, listing.Total)
		}
	}
}

func TestCollectionIsBounded(t *testing.T) {
	notes := newNotes(t)
	var err error
	for i := range 100_001 {
		if err = notes.Insert(noteOf("a", fmt.Sprint(i), "")); err != nil {
			break
		}
	}
	wantStatus(t, err, http.StatusConflict)
}

func TestCollectionTogether(t *testing.T) {
	notes := newNotes(t, noteOf("a", "0", ""))
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			id := fmt.Sprint("n", i)
			if err := notes.Insert(noteOf("a", id, id)); err != nil {
				t.Error(err)
			}
			for range 50 {
				_, err := notes.Update(kit.InTenant("a"), "0", func(n *note) error { n.Text += "x"; return nil })
				if err != nil {
					t.Error(err)
				}
				notes.List(kit.InTenant("a"), kit.Page{Limit: 10}, func(*note) bool { return true })
			}
			if _, err := notes.Delete(kit.InTenant("a"), id, allow); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got, err := notes.Get(kit.InTenant("a"), "0"); err != nil || len(got.Text) != 400 {
		t.Errorf("%d changes were kept, want 400 (%v)", len(got.Text), err)
	}
}

func TestParsePage(t *testing.T) {
	for _, test := range []struct {
		query string
		want  kit.Page
		bad   bool
	}{
		{"", kit.Page{Limit: 50}, false},
		{"limit=200&offset=7", kit.Page{Limit: 200, Offset: 7}, false},
		{"limit=0", kit.Page{}, true},
		{"limit=201", kit.Page{}, true},
		{"limit=", kit.Page{}, true},
		{"limit=ten", kit.Page{}, true},
		{"offset=-1", kit.Page{}, true},
	} {
		query, err := url.ParseQuery(test.query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := kit.ParsePage(query)
		if test.bad {
			wantStatus(t, err, http.StatusBadRequest)
		} else if err != nil || got != test.want {
			t.Errorf("%q: %+v, %v", test.query, got, err)
		}
	}
}
