package contract

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"yett/internal/exchange"
)

func TestUnknown(t *testing.T) {
	var u Unknown
	for _, path := range []string{"/api/v1/tickets/17", "/api/v1/tickets/8", "/api/v1/tickets/bbd1e0c4-284c-48b5-b7ae-477e8237382e"} {
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

func TestLikeness(t *testing.T) {
	long := strings.Repeat("/x", longestPath)
	for path, want := range map[string]string{
		"/":                             "/",
		"*":                             "*",
		"/a/":                           "/a/",
		"/v1/users/me":                  "/v1/users/me",
		"/users/ada@example.org/orders": "/users/{}/orders",
		"/files/r%C3%A9sum%C3%A9":       "/files/{}",
		"/.well-known/oauth-authorization-server-metadata": "/.well-known/oauth-authorization-server-metadata",
		"/reset/abcdefghijklmnopqrstuvwxyzabcdef":          "/reset/{}",
		"/1/22/333": "/{}/{}/{}",
		long:        long[:longestPath] + "...",
	} {
		if got := string(appendLikeness(nil, path)); got != want {
			t.Errorf("%s counts as %s, want %s", path, got, want)
		}
	}
}

// What is counted belongs to nobody's exchange.
func TestUnknownKeepsNoView(t *testing.T) {
	var u Unknown
	buf := []byte("PURGE/cache")
	u.Add(exchange.View(buf[:5]), exchange.View(buf[5:]))
	u.Add(strings.Repeat("M", 8<<10), "/x")
	copy(buf, "!!!!!!!!!!!")
	all, _ := u.List()
	if got := fmt.Sprint(all); !strings.Contains(got, "PURGE /cache") || len(got) > 200 {
		t.Errorf("%.300s", got)
	}
}

func TestUnknownAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("allocations can't be counted under the race detector")
	}
	var u Unknown
	u.Add("GET", "/a/7")
	if n := testing.AllocsPerRun(100, func() { u.Add("GET", "/a/8") }); n != 0 {
		t.Errorf("%v allocations for a call of a known kind", n)
	}
}

const editions = `
openapi: 3.1.0
info: {title: t, version: "1"}
paths:
  /a: {get: {responses: {default: {description: d}}}}
  /b/{id}: %s
`

// Counts go on over editions of the document, and what became known is unknown no more, while
// the older edition still counts.
func TestInherit(t *testing.T) {
	old := compile(t, fmt.Sprintf(editions, "{}"))
	known := compile(t, fmt.Sprintf(editions, `{get: {parameters: [{name: id, in: path, required: true}], responses: {default: {description: d}}}}`))
	count := func(path string) {
		if op, _ := old.Match("GET", path); op != nil {
			op.Tally.Calls.Add(1)
			return
		}
		old.Unknown.Add("GET", path)
	}
	count("/a")
	count("/b/7")
	count("/c")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				count("/a")
				count("/c")
				old.Unknown.List()
			}
		})
	}
	known.Inherit(nil)
	known.Inherit(old)
	wg.Wait()
	op, _ := known.Match("GET", "/a")
	if n := op.Tally.Calls.Load(); n != 401 {
		t.Errorf("%d calls, want 401", n)
	}
	if all, more := known.Unknown.List(); fmt.Sprint(all, more) != "[{{GET /c} 401}] 0" {
		t.Errorf("unknown: %v, %d more", all, more)
	}
}

func TestAllowed(t *testing.T) {
	c := compile(t, `
openapi: 3.1.0
info: {title: t, version: "1"}
paths:
  /a: {get: {responses: {default: {description: d}}}, delete: {responses: {default: {description: d}}}}
`)
	if got := c.Allowed("/a"); fmt.Sprint(got) != "[GET HEAD DELETE]" {
		t.Error(got)
	}
	if got := c.Allowed("/b"); len(got) > 0 {
		t.Error(got)
	}
}
