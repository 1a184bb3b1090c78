package upstream

import (
	"fmt"
	"math"
	"slices"

	"yett/internal/config"
	"yett/internal/problem"
)

// Around is what a whole configuration tells of one of its services, beyond the values.
type Around struct {
	// Has tells whether a key stands in the document, by its path relative to the service.
	// Wrote tells whether it does so for this service alone and as a fixed value: see
	// config.Source.
	Has, Wrote func(path string) bool
	// Response is the longest time until the head of an answer that the service, or a
	// route to it, grants.
	Response config.Duration
}

// Futile returns what somebody has written for a service that can never have any effect.
// Whoever has written that means something else. It complains of nothing that is a default,
// comes by a variable, or is shared with other services.
func Futile(c *config.Service, around Around) problem.List {
	f := futile{c: c, Around: around}
	f.breaker()
	f.opening()
	f.retries()
	f.hedge()
	f.without("means nothing without a path, because nothing is checked", "write a path such as /health, or remove it",
		c.Health.Path == "" && !f.Has("health.path"), "health.interval", "health.timeout", "health.healthy", "health.unhealthy", "health.status", "health.host")
	f.without("means nothing without a bound", "write max, or adaptive: true, or remove it",
		c.Concurrency.Max == 0 && !c.Concurrency.Adaptive && !f.Has("concurrency.max") && !f.Has("concurrency.adaptive"), "concurrency.queue", "concurrency.queue_time")
	f.without("means nothing without adaptive", "write adaptive: true, or remove it",
		!c.Concurrency.Adaptive && !f.Has("concurrency.adaptive"), "concurrency.least")
	f.without("means nothing without algorithm: hash", "write that, with balance.hash, or remove it",
		f.c.Balance.Algorithm != "hash" && f.plain("balance.algorithm"), "balance.load_factor")
	f.ejection()
	return f.problems
}

type futile struct {
	Around
	c        *config.Service
	problems problem.List
}

// without complains of those keys that are written, if what they need is not there.
func (f *futile) without(what, hint string, lacks bool, keys ...string) {
	for _, key := range keys {
		if lacks && f.Wrote(key) {
			f.problems.Add(key, what, hint)
		}
	}
}

// plain tells whether values are known for good: they are defaults, or written for this
// service as fixed values.
func (f *futile) plain(keys ...string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool { return f.Has(key) && !f.Wrote(key) })
}

func (f *futile) breaker() {
	b := &f.c.Breaker
	if !f.plain("breaker.mode") {
		return
	}
	f.without("is never used, because mode: off has no breaker", "write mode: enforce, or remove it",
		b.Mode == "off", "breaker.fallback")
	f.without("is never used, because with mode: observe requests pass a breaker that is open", "write mode: enforce, or remove it",
		b.Mode == "observe", "breaker.fallback")
	f.without("has nothing to tell others, because mode: off has no breaker", "write mode: enforce or observe, or remove it",
		b.Mode == "off" && b.Shared, "breaker.shared")
	f.without("means nothing without a body", "write a body, or remove it",
		b.Fallback != nil && b.Fallback.Body == "" && b.Fallback.Service == "" && !f.Has("breaker.fallback.body"), "breaker.fallback.content_type")
}

// opening looks for what keeps a breaker from ever opening.
func (f *futile) opening() {
	b := &f.c.Breaker
	f.without("means nothing without slow_call", "write slow_call, such as 2s, or remove it",
		b.SlowCall == 0 && !f.Has("breaker.slow_call"), "breaker.slow_ratio")
	f.late("breaker.slow_call", b.SlowCall, "after which there is no answer any more", "write less, or remove it: a timeout is a failure anyway")
	slow := b.SlowCall > 0 && b.SlowRatio > 0
	if b.Mode == "off" || slow || !f.plain("breaker.mode", "breaker.slow_call", "breaker.slow_ratio") {
		return
	}
	if len(b.Failures) == 0 {
		f.without("is an empty list, so the breaker opens for nothing", "name what is a failure, or write mode: off", true, "breaker.failures")
		return
	}
	if b.ConsecutiveFailures == 0 && b.FailureRatio == 0 && f.Wrote("breaker.consecutive_failures") && f.Wrote("breaker.failure_ratio") {
		f.problems.Add("breaker", "opens for nothing: consecutive_failures and failure_ratio are 0, and there is no slow_call", "write one of them, or mode: off")
	}
}

// late complains of a time that is not below the one after which nobody waits any more.
func (f *futile) late(key string, d config.Duration, what, hint string) {
	if d > 0 && d >= f.Response && f.Wrote(key) && f.plain("timeouts.response") {
		f.problems.Addf(key, hint, "%s is not below the %s of timeouts.response, %s", d, f.Response, what)
	}
}

func (f *futile) retries() {
	r := &f.c.Retries
	if len(r.On) == 0 && r.Most > 0 && f.Wrote("retries.on") {
		f.without("means nothing, because retries.on is an empty list", "name there what is tried again, such as connect, or write most: 0", true, "retries.most")
	}
	if again := r.Most > 0 && slices.Contains(r.On, faultNames[timeoutFault]); !again && r.TryTimeout > 0 && f.plain("retries.on", "retries.most") {
		f.without("is in vain, because nothing is tried again after a timeout", "add timeout to retries.on, with most above 0, or remove it", true, "retries.try_timeout")
	} else {
		f.late("retries.try_timeout", r.TryTimeout, "within which all tries have to be", "write less, so that there is time for another try")
	}
	if r.Budget == 0 && r.Floor == 0 && r.Most > 0 && f.Wrote("retries.budget") && f.Wrote("retries.floor") && f.plain("retries.most") {
		f.problems.Add("retries.budget", "is 0% and floor is 0, so nothing is ever tried again", "write most: 0, or a budget such as 10%")
	}
}

func (f *futile) hedge() {
	h := &f.c.Hedge
	f.late("hedge.after", h.After, "after which nobody waits any more", "write less")
	if h.After == 0 && h.Percentile == 0 || len(f.c.Targets) != 1 || !f.Wrote("hedge") || !f.Wrote("targets[0]") || !f.plain("resolve") {
		return
	}
	a, _, err := ParseTarget(f.c.Targets[0])
	switch {
	case err != nil || a.Service:
	case isIP(a.Host):
		f.problems.Add("hedge", "there is no second target that could be asked", "add one, or remove it")
	case f.c.Resolve == "name":
		f.problems.Add("hedge", "there is no second target that could be asked: a name is one, with resolve: name", "write resolve: addresses if it has several, add a target, or remove it")
	}
}

// ejection looks for a share of the targets that is less than one of them. How many a name
// stands for is not known before it is looked up.
func (f *futile) ejection() {
	e, n := &f.c.Ejection, len(f.c.Targets)
	known := f.c.Resolve == "name" && f.plain("resolve") && !slices.ContainsFunc(f.c.Targets, isSRV)
	if n < 2 || !known || e.Failures == 0 && e.SlowerThan == 0 || !f.plain("ejection.failures", "ejection.slower_than") {
		return
	}
	if float64(e.MostOut)*float64(n) < 1-1e-9 { // as balance counts it
		least := config.Share(math.Ceil(100/float64(n))) / 100
		f.without(fmt.Sprintf("of %d targets is less than one, so none is ever ejected", n),
			fmt.Sprintf("write %s or more, or failures: 0 and no slower_than", least), true, "ejection.most_out")
	}
}

func isSRV(target string) bool {
	a, _, err := ParseTarget(target)
	return err == nil && a.Service
}
