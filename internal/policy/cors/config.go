package cors

import (
	"fmt"
	"strings"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/problem"
)

// Config is what an operator can write.
type Config struct {
	Origins     config.StringList `yaml:"origins" doc:"Origins whose pages may read answers: exact (https://app.example.org), every name below one (https://*.example.org), a pattern (https://pr-*.example.org, where * is one or more letters, digits and dashes; http://localhost:* for any port), or a single * for all, which needs credentials: false. The gateway's own origin passes in any case."`
	Credentials bool              `yaml:"credentials" doc:"Whether pages may send cookies and other credentials."`
	Methods     config.StringList `yaml:"methods" doc:"Methods that pages may use beside GET, HEAD and POST; * for whichever is asked for."`
	Headers     config.StringList `yaml:"headers" doc:"Request headers that pages may send; * for whichever are asked for."`
	Expose      config.StringList `yaml:"expose" doc:"Headers of answers that pages may read. Where an answer tells about rate limits, its fields about them may be read too, unless the list is empty."`
	MaxAge      config.Duration   `yaml:"max_age" doc:"How long a browser may keep the answer to a preflight, in whole seconds. Browsers have limits of their own."`
	Mode        policy.Mode       `yaml:"mode" enum:"enforce,observe" doc:"enforce refuses; observe only logs and counts what would have been refused, and lets it pass. What a service says about CORS is left alone then."`
}

// PolicyMode implements policy.Moded.
func (c Config) PolicyMode() policy.Mode { return c.Mode }

func defaults() Config {
	return Config{
		Credentials: true,
		Methods:     config.StringList{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"},
		Headers:     config.StringList{"Content-Type", "Authorization", "X-Request-ID"},
		Expose:      config.StringList{"X-Request-ID", "Retry-After"},
		MaxAge:      config.Duration(24 * time.Hour),
		Mode:        policy.Enforce,
	}
}

// compile reads the origins and checks all the rest.
func (c Config) compile() (origins, problem.List) {
	var problems problem.List
	list := readOrigins(c.Origins, &problems)
	if list.all && c.Credentials {
		problems.Add("origins", "* lets the pages of everybody use the credentials of your users",
			"list the origins, or write credentials: false")
	}
	checkNames(&problems, "methods", c.Methods)
	for i, m := range c.Methods {
		if upper := strings.ToUpper(m); m != upper && exchange.ValidName(m) {
			problems.Addf(at("methods", i), "write "+upper, "methods have upper and lower case, and browsers ask for %s", upper)
		}
	}
	checkNames(&problems, "headers", c.Headers)
	checkNames(&problems, "expose", c.Expose)
	if has(c.Expose, "*") && c.Credentials {
		problems.Add("expose", "with credentials, browsers take * for the name of a header", "list the headers, or write credentials: false")
	}
	if time.Duration(c.MaxAge)%time.Second != 0 {
		problems.Addf("max_age", "write whole seconds", "%v can't be said in seconds", c.MaxAge)
	}
	return list, problems
}

func at(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// checkNames wants methods or names of headers, which have the same form (RFC
// 9110 section 9.1), or a single *.
func checkNames(problems *problem.List, path string, names []string) {
	for i, name := range names {
		switch {
		case !exchange.ValidName(name):
			problems.Addf(at(path, i), "letters, digits and !#$%&'*+-.^_`|~ can stand there (RFC 9110 section 5.6.2)", "%q can't stand in a list of %s", name, path)
		case name == "*" && len(names) > 1:
			problems.Add(at(path, i), "* stands beside others", "write it alone, or leave it out")
		}
	}
}

func has(list []string, one string) bool {
	for _, s := range list {
		if s == one {
			return true
		}
	}
	return false
}
