package upstream

import (
	"strings"
	"testing"

	"yett/internal/config"
	"yett/internal/upstream/breaker"
)

// What can't be sent, or can't be, is refused with its place.
func TestCheck(t *testing.T) {
	fallback := func(change func(*config.Fallback)) func(*config.Service) {
		return func(c *config.Service) {
			var f config.Fallback
			f.SetDefaults()
			f.Body = "{}"
			change(&f)
			c.Breaker.Fallback = &f
		}
	}
	header := func(name, value string) func(*config.Service) {
		return fallback(func(f *config.Fallback) { f.Headers = map[string]string{name: value} })
	}
	sticky := func(cookie, path string) func(*config.Service) {
		return func(c *config.Service) {
			c.Balance.Sticky = &config.Sticky{Cookie: cookie, Path: path, Secret: "0123456789abcdef"}
		}
	}
	targets := func(all ...string) func(*config.Service) {
		return func(c *config.Service) { c.Targets = all }
	}
	status := func(all ...string) func(*config.Service) {
		return func(c *config.Service) { c.Health.Path, c.Health.Status = "/health", all }
	}
	for _, tt := range []struct {
		name   string
		change func(*config.Service)
		want   string // how the only problem begins, "" for none
	}{
		{"defaults", func(*config.Service) {}, ""},
		{"header", header("X-Stale", "yes, 1\tday"), ""},
		{"empty header", header("X-Empty", ""), ""},
		{"two lines", header("X-A", "a\r\nSet-Cookie: b=1"), `breaker.fallback.headers.X-A: "a\r\nSet-Cookie: b=1" can't be the value of a header, control`},
		{"NUL", header("X-A", "a\x00"), `breaker.fallback.headers.X-A: "a\x00" can't be the value`},
		{"no token", header("X A", "a"), `breaker.fallback.headers.X A: "X A" can't be the name of a header`},
		{"no name", header("", "a"), `breaker.fallback.headers.: "" can't be the name of a header`},
		{"length", header("content-length", "5"), `breaker.fallback.headers.content-length: content-length belongs to the connection or the framing`},
		{"coding", header("Transfer-Encoding", "chunked"), `breaker.fallback.headers.Transfer-Encoding: Transfer-Encoding belongs to`},
		{"connection", header("Connection", "close"), `breaker.fallback.headers.Connection: Connection belongs to`},
		{"keep-alive", header("Keep-Alive", "timeout=5"), `breaker.fallback.headers.Keep-Alive: Keep-Alive belongs to`},
		{"upgrade", header("Upgrade", "h2c"), `breaker.fallback.headers.Upgrade: Upgrade belongs to`},
		{"trailer", header("Trailer", "X-A"), `breaker.fallback.headers.Trailer: Trailer announces fields behind the body`},
		{"te", header("TE", "trailers"), `breaker.fallback.headers.TE: TE belongs to`},
		{"type", header("Content-Type", "text/html"), `breaker.fallback.headers.Content-Type: Content-Type can't stand here, use content_type`},
		{"content type", fallback(func(f *config.Fallback) { f.ContentType = "text/html\nX: y" }), `breaker.fallback.content_type: "text/html\nX: y" can't be the value`},
		{"204", fallback(func(f *config.Fallback) { f.Status = 204 }), `breaker.fallback.status: an answer with status 204 has no content, leave body out`},
		{"304", fallback(func(f *config.Fallback) { f.Status = 304 }), `breaker.fallback.status: an answer with status 304`},
		{"205", fallback(func(f *config.Fallback) { f.Status = 205 }), `breaker.fallback.status: an answer with status 205`},
		{"204 without a body", fallback(func(f *config.Fallback) { f.Status, f.Body = 204, "" }), ""},
		{"cookie", sticky("at_1.x", "/api/v1"), ""},
		{"cookie with a blank", sticky("a b", "/"), `balance.sticky.cookie: "a b" can't be the name of a cookie`},
		{"cookie with a line", sticky("a\n", "/"), `balance.sticky.cookie: "a\n" can't be`},
		{"path with a line", sticky("a", "/\r\nX: y"), `balance.sticky.path: "/\r\nX: y" is no path of a cookie, write / or`},
		{"path with more", sticky("a", "/; Domain=example"), `balance.sticky.path: "/; Domain=example" is no path`},
		{"path with a comma", sticky("a", "/a,b"), `balance.sticky.path`},
		{"path with a letter", sticky("a", "/ä"), `balance.sticky.path: "/ä" is no path`},
		{"path with DEL", sticky("a", "/\x7f"), `balance.sticky.path`},
		{"path that is none", sticky("a", "api"), `balance.sticky.path`},
		{"targets", targets("http://a:1", "http://a:2", "https://a:1", "http://b:1"), ""},
		{"case", targets("http://crm.internal:1", "http://CRM.internal:1 weight=2"), `targets[1]: is there already, write weight=2 behind the other one`},
		{"slash", targets("http://crm.internal", "http://crm.internal:80/"), `targets[1]: is there already`},
		{"address", targets("http://[::1]:1", "http://[0:0::1]:1"), `targets[1]: is there already`},
		{"statuses", status("200", "100-299"), ""},
		{"interim", status("200", "100-199"), `health.status[1]: no check ends with 100-199: more of the answer follows behind that, write statuses from 200 on`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := defaults()
			tt.change(&c)
			problems := Check(&c)
			if tt.want == "" && len(problems) > 0 || tt.want != "" && (len(problems) != 1 || !strings.HasPrefix(problems[0].String(), tt.want)) {
				t.Errorf("%v\nwant %s", problems, tt.want)
			}
		})
	}
}

// defaults is a service as it is when only its target is written.
func defaults() config.Service {
	c := config.Service{Targets: []string{"http://127.0.0.1:1"}}
	c.SetDefaults()
	for _, section := range []interface{ SetDefaults() }{
		&c.Timeouts, &c.Connections, &c.Limits, &c.Balance, &c.Health, &c.Ejection, &c.Retries, &c.Breaker, &c.Concurrency,
	} {
		section.SetDefaults()
	}
	return c
}

// What is about the request alone opens no breaker: else one client with a strange method
// would keep all others away.
func TestWhatFailsByDefault(t *testing.T) {
	f := service(t, unused(t), func(s *setup) { s.conf = defaults() })
	for status, want := range map[int]breaker.Outcome{
		500: breaker.Failure, 501: breaker.Alive, 502: breaker.Failure, 503: breaker.Failure, 504: breaker.Failure, 505: breaker.Alive,
		506: breaker.Failure, 507: breaker.Failure, 599: breaker.Failure, 499: breaker.Alive,
	} {
		if got := f.judge(nil, status, false); got != want {
			t.Errorf("%d is %v, want %v", status, got, want)
		}
	}
}
