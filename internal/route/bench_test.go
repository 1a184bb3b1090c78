package route

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"yett/internal/exchange"
)

// platform is 10,000 routes such as a large installation has: twenty hosts and
// four wildcards of REST services, and one route in ten without a host.
func platform() []Rule {
	var list []Rule
	for i := range 10_000 {
		base := fmt.Sprintf("/api/v%d/service-%d/resource-%d", 1+i%2, i/40, i)
		r := Rule{}
		switch i % 10 {
		case 0, 1, 2, 3:
			r.Paths = []string{base}
		case 4, 5, 6:
			r.Paths = []string{base + "/{id}"}
		case 7:
			r.Paths = []string{base + "/{id}/items/{item}"}
		case 8:
			r.Paths, r.Headers = []string{base + "/{id}"}, map[string]string{"X-Version": "2"}
		default:
			r.Paths = []string{base + "/**"}
		}
		if i%3 == 0 {
			r.Methods = []string{"GET", "POST"}
		}
		switch host := i / 7 % 27; {
		case host < 20:
			r.Hosts = []string{fmt.Sprintf("host-%d.example.org", host)}
		case host < 24:
			r.Hosts = []string{fmt.Sprintf("*.tenant-%d.example.org", host)}
		}
		list = append(list, r)
	}
	return rules(list...)
}

// platformRequests are requests that platform's routes take, in no order.
func platformRequests(list []Rule, n int) []*exchange.Exchange {
	random := rand.New(rand.NewPCG(1, 2))
	var requests []*exchange.Exchange
	for range n {
		r := &list[random.IntN(len(list))]
		host := "unknown.example.org"
		if len(r.Hosts) > 0 {
			host = minimalHost(r.Hosts[0])
		}
		x := minimalRequest(r, "GET", host, minimalPath(r.Paths[0]))
		x.Request.Add("User-Agent", "bench")
		x.Request.Add("Accept", "*/*")
		requests = append(requests, x)
	}
	return requests
}

// BenchmarkMatch10k is the cost of finding a route among 10,000. As in an
// engine, the exchange is warm and what it is about differs each time.
func BenchmarkMatch10k(b *testing.B) {
	list := platform()
	table, problems := Compile(list)
	if problems != nil {
		b.Fatal(problems)
	}
	x := request("GET h/", "User-Agent", "bench", "X-Version", "2")
	type target struct{ host, path string }
	var targets []target
	for _, x := range platformRequests(list, 4096) {
		targets = append(targets, target{x.Host, x.Path})
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		to := &targets[i%len(targets)]
		x.Host, x.Path = to.host, to.path
		if r := table.Match(x); r.Reason != nil {
			b.Fatal(r.Reason)
		}
	}
}

// BenchmarkMatchFew is the cost in a small installation.
func BenchmarkMatchFew(b *testing.B) {
	list := rules(paths("/health"), paths("/api/v1/auth/**"), paths("/api/v1/users/**"), paths("/api/v1/tickets/{id}"), paths("/**"))
	table, problems := Compile(list)
	if problems != nil {
		b.Fatal(problems)
	}
	x := request("GET h/api/v1/tickets/4711")
	Normalize(x)
	b.ReportAllocs()
	for b.Loop() {
		table.Match(x)
	}
}

// BenchmarkMatchWorst is a path that makes the search visit every node.
func BenchmarkMatchWorst(b *testing.B) {
	table, problems := Compile(manyValues(exchange.MaxParams))
	if problems != nil {
		b.Fatal(problems)
	}
	x := request("GET h/a/a/a/a/a/a/a/a/no")
	Normalize(x)
	for b.Loop() {
		table.Match(x)
	}
}

func BenchmarkNormalize(b *testing.B) {
	for _, raw := range []string{"/api/v1/service-42/resource-4711/items", "/api//v1/%61/../caf%C3%A9"} {
		b.Run(raw, func(b *testing.B) {
			pool := new(exchange.Pool)
			x := pool.Get()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%16 == 0 { // as often as its memory is full, about
					pool.Put(x)
					x = pool.Get()
				}
				x.RawPath = raw
				Normalize(x)
			}
		})
	}
}

func BenchmarkCompile10k(b *testing.B) {
	list := platform()
	for b.Loop() {
		Compile(list)
	}
}

func TestMatchAllocs(t *testing.T) {
	list := platform()
	table, problems := Compile(list)
	if problems != nil {
		t.Fatal(problems)
	}
	requests := platformRequests(list, 512)
	requests = append(requests,
		request("GET host-1.example.org/api//v1/../none"),
		request("FOO host-0.example.org/api/v1/service-0/resource-0"),
		request("GET host-0.example.org/api/v1/service-0/resource-4/caf%c3%a9%20%40"),
	)
	rewrite, problems := CompileRewrite("/api", "", false, nil)
	if problems != nil {
		t.Fatal(problems)
	}
	var buf [256]byte
	for _, x := range requests {
		if n := testing.AllocsPerRun(100, func() {
			Normalize(x)
			table.Match(x)
			rewrite.Append(buf[:0], x)
		}); n != 0 {
			t.Errorf("%s %s%s: %v allocations", x.Method, x.Host, x.RawPath, n)
		}
	}
}
