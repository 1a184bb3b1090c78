package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"yett/internal/exchange"
)

const page = "HTTP/1.1 200 OK\nContent-Length: 4\nETag: \"1\"\n\npage"

// page gets a page within a second, and returns it as one line.
func (f *fixture) page(ask Ask) string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if ask.Path == "" {
		ask.Path, ask.Most = "/openapi.json", 1<<20
	}
	p, err := f.Get(ctx, ask)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", p.Status, p.Body, p.Header.Get("ETag")))
}

// targeted is a service with several targets.
func targeted(t *testing.T, targets ...string) *fixture {
	t.Helper()
	return service(t, "", func(s *setup) { s.conf.Targets = targets })
}

func TestGet(t *testing.T) {
	heads := make(chan string, 1)
	f := service(t, origin(t, func(p *peer) {
		for head := p.head(); head != ""; head = p.head() {
			heads <- head
			p.send(page)
		}
	}))
	for range 2 {
		f.want(f.page(Ask{Path: "/docs/openapi.json?all=1", Most: 4, Fields: []exchange.Field{{Name: "Accept", Value: "text/x", Key: exchange.KeyOf("Accept")}}}), `200 page "1"`)
		f.want(receive(t, heads), "GET /docs/openapi.json?all=1 HTTP/1.1\nHost: "+f.Targets()[0]+"\nAccept: text/x\n")
	}
	if f.Idle() != 1 {
		t.Errorf("%d idle connections", f.Idle())
	}
}

// What has come is the caller's: the next answer on the connection does not change it.
func TestGetIsACopy(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		for n := 0; p.head() != ""; n++ {
			p.send(fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: 4\nETag: \"%d\"\n\nbod%d", n, n))
		}
	}))
	first, err := f.Get(t.Context(), Ask{Path: "/", Most: 4})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		f.page(Ask{})
	}
	if string(first.Body) != "bod0" || first.Header.Get("etag") != `"0"` || first.Target != f.Targets()[0] {
		t.Errorf("%s %v", first.Body, first.Header)
	}
}

func TestGetLarge(t *testing.T) {
	large := strings.Repeat("x", 300<<10)
	f := service(t, origin(t, func(p *peer) {
		for p.head() != "" {
			p.send(fmt.Sprintf("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n%x\n%s\n0\n\n", len(large), large))
		}
	}))
	for range 2 {
		f.want(f.page(Ask{}), "200 "+large)
	}
	if f.Idle() != 1 {
		t.Errorf("%d idle connections", f.Idle())
	}
	f.want(f.page(Ask{Path: "/", Most: 300 << 10}), "200 "+large)
	f.want(f.page(Ask{Path: "/", Most: 200 << 10}), "the answer has more than 200KB")
}

// An answer that says itself that it is too large is not read, nor is it waited for.
func TestGetTooLarge(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\nContent-Length: 52428800\n\nx")
		_, _ = io.Copy(io.Discard, p)
	}))
	f.want(f.page(Ask{}), "the answer has 52428800 bytes, more than 1MB")
	small := service(t, origin(t, always(page)))
	small.want(small.page(Ask{Path: "/", Most: 3}), "the answer has 4 bytes, more than 3")
}

func TestGetOtherStatus(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 304 Not Modified\nETag: \"1\"\n\n":                  `304  "1"`,
		"HTTP/1.1 404 Not Found\nContent-Length: 4\n\ngone":           "404",
		"HTTP/1.1 302 Found\nLocation: /\nContent-Length: 0\n\n":      "302",
		"HTTP/1.1 200 OK\nContent-Length: 0\n\n":                      "200",
		"HTTP/1.1 200 OK\nContent-Length: 9\n\npage":                  "broke off",
		"SSH-2.0 is no HTTP\n\n":                                      "the answer is no HTTP",
		"":                                                            "the connection ended before the answer",
		"HTTP/1.1 101 Switching\nConnection: upgrade\nUpgrade: x\n\n": "the service switched protocols unasked",
	} {
		f := service(t, origin(t, once(answer)))
		if got := f.page(Ask{}); !strings.HasSuffix(got, want) {
			t.Errorf("%q: got %q, want %q", answer, got, want)
		}
	}
}

func TestGetHost(t *testing.T) {
	for _, rule := range []string{"client", "target", "fixed.example"} {
		f := service(t, origin(t, func(p *peer) {
			_, host, _ := strings.Cut(p.head(), "Host: ")
			p.send(fmt.Sprintf("HTTP/1.1 200 OK\nConnection: close\n\n%s", strings.Fields(host)[0]))
		}), func(s *setup) { s.conf.Host = rule })
		want := rule
		if rule != "fixed.example" {
			want = f.Targets()[0]
		}
		f.want(f.page(Ask{}), "200 "+want)
	}
}

func TestGetOverTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 100<<10))
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	f := service(t, srv.URL, func(s *setup) { s.deps.TLS = &tls.Config{RootCAs: pool} })
	f.want(f.page(Ask{}), "200 "+strings.Repeat("x", 100<<10))
	f = service(t, srv.URL, func(s *setup) { s.deps.TLS = &tls.Config{RootCAs: x509.NewCertPool()} })
	f.want(f.page(Ask{}), "target "+f.Targets()[0]+": certificate signed by unknown authority")
}

// A Get is no request: nobody counts it, no breaker and no bound keeps it away, and none
// opens because of it.
func TestGetDoesNotCount(t *testing.T) {
	var sc script
	sc.say("HTTP/1.1 503 Unavailable\nContent-Length: 0\n\n")
	f := service(t, origin(t, func(p *peer) {
		for p.head() != "" {
			p.send(*sc.answers.Load())
		}
	}), guarded(1), func(s *setup) { s.conf.Concurrency.Max = 1 })
	for range 5 {
		f.want(f.page(Ask{}), "503")
	}
	if st := f.Stats(); st.Requests != 0 || st.Failures != 0 || st.Recent != 0 || st.Breaker.State != "CLOSED" || st.Targets[0].InFlight != 0 {
		t.Errorf("%+v", st)
	}
	f.want(f.get(), "503 ")
	if st := f.Stats(); st.Breaker.State != "OPEN" {
		t.Fatalf("%+v", st)
	}
	sc.say(page)
	f.want(f.get(), "breaker_open")
	f.want(f.page(Ask{}), `200 page "1"`)
}

// One target that is down, refuses, fails or swallows does not keep the page away.
func TestGetAsksOthers(t *testing.T) {
	good := origin(t, always(page))
	for name, bad := range map[string]string{
		"refuses": "http://127.0.0.1:1",
		"fails":   origin(t, always("HTTP/1.1 503 Unavailable\nContent-Length: 0\n\n")),
		"breaks":  origin(t, once("HTTP/1.1 200 OK\nContent-Length: 9\n\npage")),
		"hangs":   origin(t, func(p *peer) { p.head(); <-p.over }),
	} {
		f := targeted(t, bad, good)
		for range 4 {
			if got := f.page(Ask{}); got != `200 page "1"` {
				t.Errorf("%s: %s", name, got)
			}
		}
	}
	both := targeted(t, origin(t, always("HTTP/1.1 503 Unavailable\nContent-Length: 0\n\n")), "http://127.0.0.1:1")
	for range 8 {
		both.want(both.page(Ask{}), "503")
	}
}

// Targets that are well are asked first, and the others if there is no other way.
func TestGetAsksUnhealthyLast(t *testing.T) {
	asked := make(chan string, 100)
	named := func(name string) string {
		return origin(t, func(p *peer) {
			for p.head() != "" {
				asked <- name
				p.send(page)
			}
		})
	}
	down, up := named("down"), named("up")
	f := targeted(t, down, up)
	list := f.set.Load().list
	f.balancer.SetHealthy(list[0].node, false, "a test", time.Now())
	for range 8 {
		f.page(Ask{})
		f.want(receive(t, asked), "up")
	}
	alone := targeted(t, down)
	alone.balancer.SetHealthy(alone.target().node, false, "a test", time.Now())
	alone.want(alone.page(Ask{}), `200 page "1"`)
}

// No more than a few targets are asked: else each would get a time too short for any.
func TestGetAsksFewTargets(t *testing.T) {
	asked := make(chan struct{}, 100)
	var targets []string
	for range 8 {
		targets = append(targets, origin(t, func(p *peer) { p.head(); asked <- struct{}{} }))
	}
	f := targeted(t, targets...)
	if got := f.page(Ask{}); !strings.Contains(got, "the connection ended before the answer") {
		t.Error(got)
	}
	if len(asked) != mostAsked {
		t.Errorf("%d were asked", len(asked))
	}
}

// stuck is a service that says no more than that, and tells when it has said it.
func stuck(t *testing.T, said string) (f *fixture, asked chan struct{}) {
	asked = make(chan struct{}, 10)
	return service(t, origin(t, func(p *peer) {
		p.head()
		p.send(said)
		asked <- struct{}{}
		<-p.over
	})), asked
}

func TestGetEnds(t *testing.T) {
	for _, said := range []string{"", "HTTP/1.1 200 OK\nContent-Length: 9\n\npage"} {
		t.Run("late", func(t *testing.T) {
			f, _ := stuck(t, said)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := f.Get(ctx, Ask{Path: "/", Most: 100})
			if err == nil || !strings.Contains(err.Error(), "no answer within") && !strings.Contains(err.Error(), "the answer did not end in time") {
				t.Error(err)
			}
		})
		t.Run("cancelled", func(t *testing.T) {
			f, asked := stuck(t, said)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-asked; cancel() }()
			if _, err := f.Get(ctx, Ask{Path: "/", Most: 100}); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		t.Run("closed", func(t *testing.T) {
			f, asked := stuck(t, said)
			go func() { <-asked; f.Close() }()
			if _, err := f.Get(t.Context(), Ask{Path: "/", Most: 100}); !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		})
	}
}

// Without a deadline a service that never answers has as long as it has for requests.
func TestGetHasADeadline(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\nContent-Length: 9\n\npage")
		<-p.over
	}), func(s *setup) { s.conf.Timeouts.Response = ms(100) })
	if _, err := f.Get(t.Context(), Ask{Path: "/", Most: 100}); err == nil || !strings.HasSuffix(err.Error(), "the answer did not end in time") {
		t.Error(err)
	}
}

// A service whose name nobody knows has no page, and says so in time.
func TestGetFromNowhere(t *testing.T) {
	f := service(t, "http://nobody.test", func(s *setup) { s.conf.Timeouts.Connect = ms(200) })
	f.want(f.page(Ask{}), "none of its targets could be looked up")
}

// A service can have its bound of connections used up.
func TestGetWithoutConnection(t *testing.T) {
	asked := make(chan struct{})
	release := make(chan struct{})
	f := service(t, origin(t, func(p *peer) {
		p.head()
		close(asked)
		<-release
		p.send(ok)
	}), func(s *setup) { s.conf.Connections.Max, s.conf.Timeouts.Queue = 1, ms(20) })
	done := make(chan string, 1)
	go func() { done <- f.get() }()
	receive(t, asked)
	f.want(f.page(Ask{}), "target "+f.Targets()[0]+": all connections are in use")
	close(release)
	f.want(receive(t, done), "200 ok")
}

// inTurn must not always begin with the same target.
func TestGetSpreads(t *testing.T) {
	f := targeted(t, "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")
	var first []string
	for range 100 {
		if name := f.inTurn(time.Now())[0].name; !slices.Contains(first, name) {
			first = append(first, name)
		}
	}
	if len(first) != 3 {
		t.Errorf("only %v", first)
	}
}
