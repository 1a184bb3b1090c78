package snapshot

import (
	"errors"
	"strings"
	"testing"

	"yett/internal/config"
	"yett/internal/problem"
)

// futile is a configuration of one service that is well, and what a test adds to it.
const futile = `
listeners: [{address: ":0"}]
services:
  spare: {targets: ["http://10.0.0.9:1"]}
  app: {targets: [TARGETS], MORE}
routes:
  - {name: app, path: /**, auth: none, service: app}
  - {name: spare, path: /spare, auth: none, service: spare}
`

const (
	one  = `"http://10.0.0.1:1"`
	two  = `"http://10.0.0.1:1", "http://10.0.0.2:1"`
	name = `"http://app.internal:1"`
)

// What has been written and can't have an effect is a mistake, with what to do about it.
func TestFutile(t *testing.T) {
	for _, tt := range []struct{ targets, more, want string }{
		{one, `breaker: {mode: "off", fallback: {body: x}}`, `breaker.fallback: is never used, because mode: off has no breaker, write mode: enforce, or remove it`},
		{one, `breaker: {mode: observe, fallback: {service: spare}}`, `breaker.fallback: is never used, because with mode: observe requests pass a breaker that is open, write mode`},
		{one, `breaker: {mode: "off", shared: true}`, `breaker.shared: has nothing to tell others, because mode: off has no breaker, write mode`},
		{one, `breaker: {fallback: {status: 204, content_type: text/plain}}`, `breaker.fallback.content_type: means nothing without a body, write a body`},
		{one, `breaker: {slow_ratio: 50%}`, `breaker.slow_ratio: means nothing without slow_call, write slow_call, such as 2s, or remove it`},
		{one, `breaker: {slow_call: 30s}`, `breaker.slow_call: 30s is not below the 30s of timeouts.response, after which there is no answer any more, write less`},
		{one, `breaker: {slow_call: 5s}, timeouts: {response: 2s}`, `breaker.slow_call: 5s is not below the 2s of timeouts.response`},
		{one, `breaker: {consecutive_failures: 0, failure_ratio: 0%}`, `breaker: opens for nothing: consecutive_failures and failure_ratio are 0, and there is no slow_call, write one of them, or mode: off`},
		{one, `breaker: {mode: observe, consecutive_failures: 0, failure_ratio: 0%, slow_call: 2s, slow_ratio: 0%}`, `breaker: opens for nothing`},
		{one, `breaker: {failures: []}`, `breaker.failures: is an empty list, so the breaker opens for nothing, name what is a failure, or write mode: off`},
		{one, `retries: {most: 2, on: []}`, `retries.most: means nothing, because retries.on is an empty list, name there`},
		{one, `retries: {try_timeout: 1s}`, `retries.try_timeout: is in vain, because nothing is tried again after a timeout, add timeout to retries.on`},
		{one, `retries: {most: 0, on: [timeout], try_timeout: 1s}`, `retries.try_timeout: is in vain`},
		{one, `retries: {on: [timeout], try_timeout: 40s}`, `retries.try_timeout: 40s is not below the 30s of timeouts.response, within which all tries have to be, write less`},
		{one, `retries: {budget: 0%, floor: 0}`, `retries.budget: is 0% and floor is 0, so nothing is ever tried again, write most: 0, or a budget such as 10%`},
		{two, `hedge: {percentile: 0.95}`, `hedge.percentile: 0.95 is less than one of a hundred, so nearly all would be sent twice, write 95, if you mean that`},
		{two, `ejection: {slower_than: 1}`, `ejection.slower_than: a target that takes 1 times as long as the others is not slow, write more than 1, such as 3, or 0 for never`},
		{two, `breaker: {fallback: {}}`, `breaker.fallback: answers 200 and nothing else, as if all were well, write a body, a status, or the service that answers instead`},
		{two, `balance: {load_factor: 1.3}`, `balance.load_factor: means nothing without algorithm: hash, write that, with balance.hash, or remove it`},
		{two, `hedge: {after: 30s}`, `hedge.after: 30s is not below the 30s of timeouts.response, after which nobody waits any more, write less`},
		{one, `hedge: {after: 1s}`, `hedge: there is no second target that could be asked, add one, or remove it`},
		{`"http://[::1]:1"`, `hedge: {percentile: 95}`, `hedge: there is no second target that could be asked, add one`},
		{name, `hedge: {after: 1s}`, `hedge: there is no second target that could be asked: a name is one, with resolve: name, write resolve: addresses if it has several`},
		{one, `concurrency: {queue: 5}`, `concurrency.queue: means nothing without a bound, write max, or adaptive: true, or remove it`},
		{one, `concurrency: {queue_time: 50ms}`, `concurrency.queue_time: means nothing without a bound`},
		{one, `concurrency: {max: 5, least: 2}`, `concurrency.least: means nothing without adaptive, write adaptive: true`},
		{one, `health: {interval: 5s}`, `health.interval: means nothing without a path, because nothing is checked, write a path such as /health, or remove it`},
		{one, `health: {status: 200}`, `health.status: means nothing without a path`},
		{two, `ejection: {most_out: 49%}`, `ejection.most_out: of 2 targets is less than one, so none is ever ejected, write 50% or more, or failures: 0 and no slower_than`},
		{two + ", " + name, `ejection: {most_out: 33%, failures: 0, slower_than: 3}`, `ejection.most_out: of 3 targets is less than one, so none is ever ejected, write 34% or more`},
	} {
		problems := problemsOf(t, strings.NewReplacer("TARGETS", tt.targets, "MORE", tt.more).Replace(futile), nil)
		switch {
		case len(problems) != 1:
			t.Errorf("%s: %v", tt.more, problems)
		case !strings.HasPrefix(problems[0].Path+": "+problems[0].What+", "+problems[0].Hint, "services.app."+tt.want) || problems[0].Line != 5:
			t.Errorf("%s:\n got %s\nwant %s", tt.more, problems[0], tt.want)
		}
	}
}

// What is a default, has an effect, or is not said for this service alone is none.
func TestNotFutile(t *testing.T) {
	for _, tt := range []struct{ targets, more string }{
		{one, `host: target`},
		{one, `breaker: {mode: "off"}, retries: {most: 0}, ejection: {failures: 0}`},
		{one, `breaker: {mode: "off", shared: false}`},
		{one, `breaker: {mode: observe, shared: true, slow_call: 29s, slow_ratio: 10%}`},
		{one, `breaker: {consecutive_failures: 0, failure_ratio: 0%, failures: [], slow_call: 2s}`},
		{one, `breaker: {consecutive_failures: 0}`},
		{one, `breaker: {slow_call: 0s, slow_ratio: 10%}`},
		{one, `breaker: {slow_call: 10s}, timeouts: {response: 5s}`}, // a route grants more, see below
		{one, `breaker: {fallback: {service: spare}}`},
		{one, `retries: {on: []}`},
		{one, `retries: {on: [timeout], try_timeout: 1s}`},
		{one, `retries: {budget: 0%}`},
		{two, `hedge: {after: 1s}`},
		{name, `hedge: {after: 1s}, resolve: addresses`},
		{`"srv+http://app.internal"`, `hedge: {after: 1s}`},
		{one, `hedge: {after: 0s}`},
		{one, `concurrency: {max: 0, queue: 5}`},
		{one, `concurrency: {adaptive: true, queue: 5, least: 2}`},
		{one, `health: {path: "", interval: 5s}`},
		{one, `ejection: {most_out: 10%}`},
		{two, `ejection: {most_out: 50%}`},
		{two, `ejection: {most_out: 10%, failures: 0}`},
		{name + `, "http://other.internal:1"`, `ejection: {most_out: 10%}, resolve: addresses`},
		// Variables are for another day.
		{one, `breaker: {mode: "${NONE:-off}", shared: true, fallback: {body: x}}`},
		{one, `breaker: {mode: "off", shared: "${YES}"}`},
		{one, `breaker: {consecutive_failures: "${ZERO}", failure_ratio: 0%}`},
		{one, `breaker: {slow_call: "${LONG}"}`},
		{one, `breaker: {slow_call: 40s}, timeouts: {response: "${NONE:-5s}"}`},
		{one, `retries: {on: "${NONE:-}", most: 2}`},
		{one, `retries: {try_timeout: "${LONG}"}`},
		{`"${URL}"`, `hedge: {after: 1s}`},
		{one, `concurrency: {max: "${ZERO}", queue: 5}`},
		{one, `health: {path: "${NONE:-}", interval: 5s}`},
		{two, `ejection: {most_out: 10%, failures: "${ZERO}"}`},
	} {
		text := strings.NewReplacer("TARGETS", tt.targets, "MORE", tt.more).Replace(futile)
		text = strings.Replace(text, "path: /**", "path: /**, timeouts: {response: 30s}", 1)
		env := map[string]string{"ZERO": "0", "LONG": "1m", "YES": "true", "URL": "http://10.0.0.1:1"}
		if problems := problemsOf(t, text, env); len(problems) > 0 {
			t.Errorf("%s: %v", tt.more, problems)
		}
	}
}

// A section that several services share fits each of them as far as it does.
func TestSharedSectionsAreNotFutile(t *testing.T) {
	const text = `
listeners: [{address: ":0"}]
services:
  slow: {targets: ["http://10.0.0.1:1", "http://10.0.0.2:1"], timeouts: {response: 60s}, breaker: &breaker {slow_call: 10s, slow_ratio: 20%, shared: true, fallback: {body: x}}, ejection: &ejection {most_out: 50%}, hedge: &hedge {after: 8s}}
  quick: {targets: ["http://10.0.0.1:1"], timeouts: {response: 5s}, breaker: *breaker, hedge: *hedge, ejection: *ejection}
  without: {targets: ["http://10.0.0.1:1"], breaker: {<<: *breaker, mode: "off"}}
  never: {targets: ["http://10.0.0.1:1"], breaker: {<<: *breaker, slow_call: 0s}}
routes:
  - {name: a, path: /a, auth: none, service: slow}
  - {name: b, path: /b, auth: none, service: quick}
  - {name: c, path: /c, auth: none, service: without}
  - {name: d, path: /d, auth: none, service: never}
`
	if problems := problemsOf(t, text, nil); len(problems) > 0 {
		t.Error(problems)
	}
}

func problemsOf(t *testing.T, text string, env map[string]string) problem.List {
	t.Helper()
	c, err := config.Parse("yett.yaml", []byte(text), config.MapEnv(env))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Compile(c, deps(t), nil)
	var list problem.List
	errors.As(err, &list)
	return list
}

// Users are a key only where somebody looks at tokens.
func TestHashOfUsers(t *testing.T) {
	const text = `
listeners: [{address: ":0"}]
issuers: {main: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}}
policies: {jwt: }
services:
  open: {targets: ["http://127.0.0.1:1"], balance: {algorithm: hash, hash: user}, breaker: {fallback: {service: behind}}}
  mixed: {targets: ["http://127.0.0.1:1"], balance: {algorithm: hash, hash: user}}
  either: {targets: ["http://127.0.0.1:1"], balance: {algorithm: hash, hash: [user, client]}}
  behind: {targets: ["http://127.0.0.1:1"], balance: {algorithm: hash, hash: user}}
routes:
  - {name: a, path: /a, auth: none, service: open}
  - {name: b, path: /b, auth: none, service: mixed}
  - {name: c, path: /c, auth: optional, service: mixed}
  - {name: d, path: /d, auth: none, service: either}
`
	refused(t, text, []string{
		`yett.yaml:6:76: services.open.balance.hash[0]: auth: none looks at no token, and all routes of the service have it, so nobody is a known user here, write client, or auth: optional on a route`,
		`yett.yaml:9:78: services.behind.balance.hash[0]: auth: none looks at no token`,
	})
}

// A bound of memory that an idle gateway exceeds would refuse requests for ever.
func TestOverloadMemory(t *testing.T) {
	for memory, bad := range map[string]bool{"0": false, "16MB": false, "2GB": false, "15MB": true, "100": true} {
		problems := problemsOf(t, small+"overload: {memory: "+memory+"}\n", nil)
		if (len(problems) == 1) != bad || bad && (problems[0].Path != "overload.memory" || !strings.Contains(problems[0].Hint, "write 16MB or more")) {
			t.Errorf("%s: %v", memory, problems)
		}
	}
}
