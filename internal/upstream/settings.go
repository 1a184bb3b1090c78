package upstream

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/problem"
	"yett/internal/upstream/balance"
	"yett/internal/upstream/breaker"
	"yett/internal/upstream/retry"
	"yett/internal/upstream/shed"
	"yett/internal/wire"
)

// leastSecret is how many bytes the secret of a sticky cookie has at least.
const leastSecret = 16

// settings is what a configuration says, in the words of those who act on it.
type settings struct {
	failures triggers // of breaker, ejection and hedging
	retries  triggers
	backoff  retry.Backoff
	well     []config.Statuses // of checks
}

// Check returns what is wrong with the configuration of a service. Paths are
// relative to it.
func Check(c *config.Service) problem.List {
	_, problems := compile(c)
	checkTargets(c, &problems)
	checkBalance(c, &problems)
	checkHealth(c, &problems)
	checkHedge(c, &problems)
	if f := c.Ejection.SlowerThan; f > 0 && f <= 1 {
		problems.Add("ejection.slower_than", fmt.Sprintf("a target that takes %v times as long as the others is not slow", f), "write more than 1, such as 3, or 0 for never")
	}
	if f := c.Breaker.Fallback; f != nil && f.Service == "" && f.Status == 200 && f.Body == "" && len(f.Headers) == 0 {
		problems.Add("breaker.fallback", "answers 200 and nothing else, as if all were well", "write a body, a status, or the service that answers instead")
	}
	checkFallback(c.Breaker.Fallback, &problems)
	if k := &c.Concurrency; k.Adaptive && k.Max > 0 && k.Max < k.Least {
		problems.Add("concurrency.max", "is less than least", fmt.Sprintf("write at least %d, or a lower least", k.Least))
	}
	return problems
}

func checkTargets(c *config.Service, problems *problem.List) {
	seen := make(map[Address]bool)
	for i, raw := range c.Targets {
		a, _, err := ParseTarget(raw)
		at := fmt.Sprintf("targets[%d]", i)
		switch {
		case err != nil:
			problems.Add(at, err.Error(), "write http://host:port or https://host:port, or srv+http://name for SRV records")
		case seen[folded(a)]:
			problems.Add(at, "is there already", "write weight=2 behind the other one, if it is to get more than others")
		}
		seen[folded(a)] = true
	}
}

// folded is an address without what makes no difference: the case of a name, and how an
// IP address is written.
func folded(a Address) Address {
	a.Host = strings.ToLower(a.Host)
	if ip, err := netip.ParseAddr(a.Host); err == nil {
		a.Host = ip.Unmap().String()
	}
	return a
}

func checkBalance(c *config.Service, problems *problem.List) {
	b := &c.Balance
	if b.Algorithm == "hash" && len(b.Hash) == 0 {
		problems.Add("balance.algorithm", "hash of what?", "name under balance.hash what makes the key, such as client")
	}
	if b.Algorithm != "hash" && len(b.Hash) > 0 {
		problems.Add("balance.hash", fmt.Sprintf("means nothing with %s", b.Algorithm), "write algorithm: hash, or remove it")
	}
	if b.Sticky == nil {
		return
	}
	if len(b.Sticky.Secret) < leastSecret {
		problems.Add("balance.sticky.secret", fmt.Sprintf("has %d bytes, which is fewer than %d", len(b.Sticky.Secret), leastSecret), "openssl rand -hex 32 makes a good one")
	}
	if !token(b.Sticky.Cookie) {
		problems.Add("balance.sticky.cookie", fmt.Sprintf("%q can't be the name of a cookie", b.Sticky.Cookie), "use letters, digits, - and _")
	}
	if !strings.HasPrefix(b.Sticky.Path, "/") || strings.ContainsFunc(b.Sticky.Path, notInCookie) {
		problems.Add("balance.sticky.path", fmt.Sprintf("%q is no path of a cookie", b.Sticky.Path), `write / or a path that begins with it, of ASCII without blanks and ; , " \`)
	}
}

// notInCookie tells what can't stand in the attribute of a cookie (RFC 6265 section 4.1.1),
// nor what some browsers take for the end of one.
func notInCookie(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`;,"\`, c) }

// token tells whether the text can be a name in HTTP (RFC 9110 section 5.6.2),
// with the special characters that nobody needs left out.
func token(s string) bool {
	for _, c := range s {
		if c != '-' && c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != ""
}

func checkHealth(c *config.Service, problems *problem.List) {
	h := &c.Health
	if h.Path == "" {
		return
	}
	if u, err := url.ParseRequestURI(h.Path); err != nil || !strings.HasPrefix(h.Path, "/") || u.Fragment != "" || strings.ContainsAny(h.Path, " #") {
		problems.Add("health.path", fmt.Sprintf("%q is not a path", h.Path), "write a path such as /health")
	}
	if h.Timeout > h.Interval {
		problems.Add("health.timeout", fmt.Sprintf("%s is more than the interval of %s", h.Timeout, h.Interval), fmt.Sprintf("write at most %s, or a longer interval: a check ends before the next one begins", h.Interval))
	}
	if _, ok := wire.SplitHost(h.Host); !ok && h.Host != "" {
		problems.Add("health.host", fmt.Sprintf("%q is not a host", h.Host), "write a host name, with a port if need be, or leave it out for what requests have")
	}
	if len(h.Status) == 0 {
		problems.Add("health.status", "is an empty list", "name what means well, such as 200")
	}
}

// checkFallback refuses a fixed answer that could not be sent.
func checkFallback(f *config.Fallback, problems *problem.List) {
	if f == nil || f.Service != "" {
		return
	}
	if f.Body != "" && (f.Status == 204 || f.Status == 205 || f.Status == 304) {
		problems.Addf("breaker.fallback.status", "leave body out, or choose another status", "an answer with status %d has no content", f.Status)
	}
	if !exchange.ValidValue(f.ContentType) {
		problems.Addf("breaker.fallback.content_type", "control characters, and blanks at the ends, can't be sent (RFC 9110 section 5.5)", "%q can't be the value of a header", f.ContentType)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Headers)) {
		at := "breaker.fallback.headers." + name
		config.CheckField(problems, at, name, f.Headers[name])
		if exchange.KeyOf(name) == exchange.KeyContentType {
			problems.Add(at, "Content-Type can't stand here", "use content_type")
		}
	}
}

func checkHedge(c *config.Service, problems *problem.List) {
	if p := c.Hedge.Percentile; p > 0 && p < 1 {
		problems.Add("hedge.percentile", fmt.Sprintf("%v is less than one of a hundred, so nearly all would be sent twice", p), fmt.Sprintf("write %v, if you mean that", p*100))
	}
	if h := &c.Hedge; (h.After > 0 || h.Percentile > 0) && c.Retries.Budget == 0 && c.Retries.Floor == 0 {
		problems.Add("hedge", "is never used, because retries.budget and retries.floor are 0", "write a budget, such as 10%: it is for hedges too, also with retries.most: 0")
	}
}

// compile reads the lists of a configuration.
func compile(c *config.Service) (settings, problem.List) {
	var s settings
	var problems, more problem.List
	s.failures, problems = parseTriggers("breaker.failures", c.Breaker.Failures,
		[]fault{connectFault, resetFault, timeoutFault, malformedFault, truncatedFault}, 500, "what the client did wrong says nothing about the service")
	s.retries, more = parseTriggers("retries.on", c.Retries.On,
		[]fault{connectFault, resetFault, timeoutFault, malformedFault}, 400, "that is an answer")
	problems = append(problems, more...)
	s.backoff = retry.Backoff{Base: time.Duration(c.Retries.Backoff), Most: time.Duration(max(c.Retries.Backoff, c.Retries.BackoffMost))}
	for i, text := range c.Health.Status {
		st, hint := config.ParseStatuses(text)
		if hint != "" {
			problems.Add(fmt.Sprintf("health.status[%d]", i), fmt.Sprintf("%q is no status and no range of them", text), hint)
			continue
		}
		if st.To < 200 {
			problems.Add(fmt.Sprintf("health.status[%d]", i), fmt.Sprintf("no check ends with %s: more of the answer follows behind that", text), "write statuses from 200 on")
			continue
		}
		s.well = append(s.well, st)
	}
	return s, problems
}

func breakerSettings(c *config.Breaker) breaker.Settings {
	return breaker.Settings{
		ConsecutiveFailures: c.ConsecutiveFailures,
		FailureRatio:        float64(c.FailureRatio),
		SlowCall:            time.Duration(c.SlowCall), SlowRatio: float64(c.SlowRatio),
		Window: time.Duration(c.Window), MinRequests: c.MinRequests,
		OpenFor: time.Duration(c.OpenFor), OpenMost: time.Duration(c.OpenMost),
		Probes: c.Probes, Successes: c.Successes, ProbeTime: probeTime(c),
	}
}

// probeTime is how long a probe may say nothing, such as one whose answer is a
// long stream, before another one is let through.
func probeTime(c *config.Breaker) time.Duration { return time.Duration(c.OpenFor) }

func balanceSettings(c *config.Service) balance.Settings {
	b, e := &c.Balance, &c.Ejection
	s := balance.Settings{
		LoadFactor: b.LoadFactor, SlowStart: time.Duration(b.SlowStart), Panic: float64(b.Panic),
		MostOut: float64(e.MostOut), EjectFailures: e.Failures,
		EjectSlow: e.SlowerThan, EjectSlowLeast: time.Duration(e.SlowLeast),
		EjectFor: time.Duration(e.For), EjectMost: time.Duration(e.ForMost),
	}
	switch b.Algorithm {
	case "round_robin":
		s.Algorithm = balance.RoundRobin
	case "hash":
		s.Algorithm = balance.Hash
	}
	return s
}

func shedSettings(c *config.Concurrency) shed.Settings {
	return shed.Settings{
		Max: c.Max, Queue: c.Queue, QueueTime: time.Duration(c.QueueTime),
		Adaptive: c.Adaptive, Least: c.Least,
	}
}
