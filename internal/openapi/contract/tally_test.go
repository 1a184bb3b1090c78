package contract

import (
	"fmt"
	"testing"
)

func TestUnknown(t *testing.T) {
	var u Unknown
	for _, path := range []string{"/api/v1/tickets/17", "/api/v1/tickets/18", "/api/v1/tickets/bbd1e0c4-284c-48b5-b7ae-477e8237382e"} {
		u.Add("GET", path)
	}
	u.Add("PUT", "/api/v1/tickets/17")
	u.Add("GET", "/api/v1/oauth2/sha256")
	all, more := u.List()
	want := []UnknownCount{
		{UnknownCall{"GET", "/api/v1/tickets/{}"}, 3},
		{UnknownCall{"GET", "/api/v1/oauth2/{}"}, 1}, // sha256 has as many digits as identifiers have
		{UnknownCall{"PUT", "/api/v1/tickets/{}"}, 1},
	}
	if fmt.Sprint(all) != fmt.Sprint(want) || more != 0 {
		t.Errorf("%v, %d more, want %v", all, more, want)
	}
	for i := range 3 * mostUnknown {
		u.Add("GET", fmt.Sprintf("/%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676))
	}
	if all, more = u.List(); len(all) != mostUnknown || more != 2*mostUnknown+3 {
		t.Errorf("%d kinds, %d more", len(all), more)
	}
}
