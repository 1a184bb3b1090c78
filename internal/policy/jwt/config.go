package jwt

import (
	"fmt"
	"slices"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/problem"
)

// Config is what an operator can write.
type Config struct {
	Issuers      config.StringList `yaml:"issuers" doc:"Names of the issuers whose tokens are believed; all when empty."`
	Cookie       string            `yaml:"cookie" doc:"Name of a cookie with the token, for requests without Authorization: Bearer."`
	Query        string            `yaml:"query" doc:"Name of a query parameter with the token, for requests that have it neither in Authorization nor in the cookie."`
	MaxSize      config.Size       `yaml:"max_size" min:"256" max:"64KB" doc:"Largest token; 401 beyond. A listener's limits.header has to be larger."`
	ForwardToken bool              `yaml:"forward_token" doc:"Whether the service gets the token too, where the caller has put it."`
	Realm        string            `yaml:"realm" doc:"realm of WWW-Authenticate in refusals; the gateway's name when empty."`
	Mode         policy.Mode       `yaml:"mode" enum:"enforce,observe" doc:"enforce refuses; observe only logs and counts what would have been refused, and lets it pass as an unknown caller."`
}

func defaults() Config {
	return Config{MaxSize: 8 * config.KB, ForwardToken: true, Mode: policy.Enforce}
}

// PolicyMode implements policy.Moded.
func (c Config) PolicyMode() policy.Mode { return c.Mode }

func (c Config) check(deps policy.Deps) problem.List {
	var problems problem.List
	known := deps.Tokens.Names()
	if len(known) == 0 {
		problems.Add("", "there is no issuer whose tokens could be verified", "add one under issuers")
	}
	for i, name := range c.Issuers {
		if !slices.Contains(known, name) {
			problems.Addf(fmt.Sprintf("issuers[%d]", i), problem.DidYouMean(name, known), "there is no issuer %q", name)
		}
	}
	if c.Cookie != "" && !exchange.ValidName(c.Cookie) {
		problems.Addf("cookie", "a name consists of letters, digits and !#$%&'*+-.^_`|~ (RFC 6265 section 4.1.1)", "%q can't be the name of a cookie", c.Cookie)
	}
	if !plainParam(c.Query) {
		problems.Addf("query", "use letters, digits, -, _ and .", "%q can't be the name of the parameter", c.Query)
	}
	for i := range len(c.Realm) {
		if b := c.Realm[i]; b < ' ' || b > '~' || b == '"' || b == '\\' {
			problems.Addf("realm", "use visible ASCII without quotes", "%q can't be a realm", c.Realm)
			break
		}
	}
	return problems
}

func plainParam(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}
