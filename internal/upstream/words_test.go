package upstream

import (
	"strings"
	"testing"

	"yett/internal/config"
)

// Guards says what is configured, and nothing of what a request has in its fields.
func TestGuards(t *testing.T) {
	const tries = "1 further try for connect, reset, within 20% of the requests or 3 a second"
	const breakerText = "breaker (enforce): opens after 5 failures in a row, or when 50% of 20 requests or more within 10s have failed, for 30s"
	for _, tt := range []struct {
		name   string
		change func(*config.Service)
		want   []string
	}{
		{"defaults", func(*config.Service) {}, []string{breakerText, tries, "balanced by least_requests"}},
		{"nothing", func(c *config.Service) { c.Breaker.Mode, c.Retries.Most, c.Balance.Algorithm = "off", 0, "round_robin" },
			[]string{"no breaker", "no further try", "balanced by round_robin"}},
		{"all of the breaker", func(c *config.Service) {
			c.Breaker.Mode, c.Breaker.SlowCall, c.Breaker.Shared, c.Breaker.Fallback = "observe", config.Duration(2e9), true, &config.Fallback{Service: "other"}
		}, []string{"breaker (observe): opens after 5 failures in a row, or when 50% of 20 requests or more within 10s have failed, or when 50% of 20 requests or more within 10s took longer than 2s, for 30s, " +
			"shared by the store; then service other answers", tries, "balanced by least_requests"}},
		{"no rules", func(c *config.Service) {
			c.Breaker.ConsecutiveFailures, c.Breaker.FailureRatio, c.Breaker.Fallback = 0, 0, &config.Fallback{Status: 203}
		}, []string{"breaker (enforce): opens by hand alone; then a fixed 203 is the answer", tries, "balanced by least_requests"}},
		{"tries", func(c *config.Service) {
			c.Retries.Most, c.Retries.On, c.Retries.Floor = 2, config.StringList{"connect", "503"}, 0
		}, []string{breakerText, "2 further tries for connect, 503, within 20% of the requests", "balanced by least_requests"}},
		{"tries without a budget", func(c *config.Service) { c.Retries.Budget, c.Retries.Floor = 0, 0 },
			[]string{breakerText, "no further try, because retries.budget and retries.floor are 0", "balanced by least_requests"}},
		{"tries for nothing", func(c *config.Service) { c.Retries.On = nil },
			[]string{breakerText, "no further try, because retries.on is empty", "balanced by least_requests"}},
		{"hedge and bound", func(c *config.Service) {
			c.Hedge.Percentile, c.Concurrency.Adaptive, c.Concurrency.Queue = 99.5, true, 0
		}, []string{breakerText, tries, "GET and HEAD hedged when later than 99.5 of 100 answers", "an adaptive bound of 10 to 1000 in flight", "balanced by least_requests"}},
		{"hedge by time", func(c *config.Service) {
			c.Hedge.After, c.Concurrency.Adaptive, c.Concurrency.Max = ms(20), true, 50
		}, []string{breakerText, tries, "GET and HEAD hedged after 20ms", "an adaptive bound of 10 to 50 in flight, 100 wait for up to 100ms", "balanced by least_requests"}},
		{"hash", func(c *config.Service) {
			c.Balance.Algorithm, c.Balance.Hash = "hash", config.StringList{"header.X-Tenant", "client"}
		}, []string{breakerText, tries, "balanced by hash of header.X-Tenant, client, which this request has"}},
		{"no key", func(c *config.Service) { c.Balance.Algorithm, c.Balance.Hash = "hash", config.StringList{"user"} },
			[]string{breakerText, tries, "balanced by hash of user, of which this request has nothing, so by least_requests"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := service(t, "http://127.0.0.1:1", func(s *setup) {
				s.conf.Breaker.SetDefaults()
				s.conf.Retries.SetDefaults()
				s.conf.Balance.SetDefaults()
				s.conf.Concurrency.SetDefaults()
				tt.change(&s.conf)
			})
			x := f.exchange("GET", "/")
			x.Request.Add("X-Tenant", "secret")
			if got := strings.Join(f.Guards(x), "\n"); got != strings.Join(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, strings.Join(tt.want, "\n"))
			}
		})
	}
}
