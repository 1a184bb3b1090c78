package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"yett/internal/overload"
)

// A gateway that has too much to do refuses most requests before it has done much about
// them; its own pages and routes of high priority are served.
func TestOverload(t *testing.T) {
	asked := make(chan string, 1000)
	g := start(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		ok(w, r)
	})
	s := compile(t, g, "policies: {request_id: {}, security_headers: {}, ratelimit: {limits: [one]}}\n"+
		"limits: {one: {limit: 1000, window: 1h, by: everyone}}\n")
	s.Start()
	t.Cleanup(func() { s.Retire(nil) })
	g.Swap(s)
	m, err := overload.New(overload.Settings{Memory: 1}, nil) // which is always too little
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	g.Guard(m)
	for m.State().Share < 0.9 {
		time.Sleep(5 * time.Millisecond)
	}
	refused := 0
	for range 300 {
		a := g.serve(g.request("GET", "/app/x"))
		switch {
		case a.status == 503 && a.reason == "gateway_overloaded":
			refused++
			if !strings.Contains(a.body, `"SERVICE_UNAVAILABLE"`) || !strings.Contains(a.body, `"retryAfter":1`) || !strings.Contains(a.header, "Retry-After: 1\n") {
				t.Fatalf("%s\n%s", a.header, a.body)
			}
			if !strings.Contains(a.header, "X-Request-ID: ") || !strings.Contains(a.header, "X-Content-Type-Options: ") || strings.Contains(a.header, "RateLimit") {
				t.Fatalf("the refusal has %s", a.header)
			}
			if a.record.Route != "app" {
				t.Fatalf("the log has route %q", a.record.Route)
			}
		case a.status != 200:
			t.Fatalf("%+v", a)
		}
	}
	if refused < 200 || refused == 300 || len(asked) != 300-refused {
		t.Errorf("%d of 300 were refused, %d reached the service", refused, len(asked))
	}
	for range 100 {
		if a := g.serve(g.request("GET", "/page")); a.status != 200 {
			t.Fatalf("the gateway's own page: %+v", a)
		}
		x := g.request("GET", "/vip/x")
		if a := g.serve(x); a.status != 200 {
			t.Fatalf("high priority: %+v", a)
		}
	}
}
