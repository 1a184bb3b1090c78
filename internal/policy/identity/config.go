package identity

import (
	"fmt"
	"slices"
	"strings"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/problem"
)

// Config is what an operator can write.
type Config struct {
	Headers   config.Mapping[string] `yaml:"headers" enum:"subject,email,role,tenant,issuer,token_id,permissions,scopes" doc:"Request headers by name, and what each tells the service about a verified caller. They replace the default ones. What clients send under these names is dropped on every route."`
	Assertion string                 `yaml:"assertion" doc:"Request header that carries an assertion, signed with the key of the section assertion, about who calls; none when empty."`
}

func defaults() Config {
	return Config{Headers: config.Mapping[string]{
		{Name: "X-User-ID", Value: "subject"},
		{Name: "X-User-Email", Value: "email"},
		{Name: "X-User-Role", Value: "role"},
		{Name: "X-Tenant-ID", Value: "tenant"},
	}}
}

// check reports every mistake. signs tells that there is a key for assertions.
func (c Config) check(signs bool) problem.List {
	var problems problem.List
	var names []string
	for _, e := range c.Headers {
		checkName(&problems, "headers."+e.Name, e.Name, names)
		names = append(names, exchange.FoldName(e.Name))
	}
	switch {
	case c.Assertion == "" && len(c.Headers) == 0:
		problems.Add("headers", "there is nothing to send", "name a header or assertion, or write identity: off")
	case c.Assertion == "":
	case !signs:
		problems.Add("assertion", "there is no key to sign with", "add a section assertion with a key at the top of the configuration, or remove this")
	}
	if c.Assertion != "" {
		checkName(&problems, "assertion", c.Assertion, names)
	}
	return problems
}

// checkName refuses what can't be a header that the gateway alone sets. before
// are the names that are taken.
func checkName(problems *problem.List, path, name string, before []string) {
	switch {
	case !config.CheckFieldName(problems, path, name):
	case hasMeaning(name):
		problems.Addf(path, "name a field that only your services read", "%s has a meaning of its own", name)
	case slices.Contains(before, exchange.FoldName(name)):
		problems.Add(path, fmt.Sprintf("%s is there twice", name), "names of headers are the same in any case, and some servers take - and _ for the same")
	}
}

// hasMeaning tells whether clients, proxies or services use a name for
// something else. The gateway drops what clients send under the names of this
// policy, and that must not be what they need to say.
func hasMeaning(name string) bool {
	name = exchange.FoldName(name)
	if exchange.KeyOf(name) != exchange.KeyOther {
		return true
	}
	for _, family := range []string{"accept", "access-control-", "content-", "if-", "proxy-", "sec-", "x-forwarded-"} {
		if strings.HasPrefix(name, family) {
			return true
		}
	}
	switch name {
	case "baggage", "cache-control", "idempotency-key", "max-forwards", "pragma", "priority", "range", "set-cookie",
		"traceparent", "tracestate", "www-authenticate", "x-gateway", "x-http-method-override":
		return true
	}
	return false
}
