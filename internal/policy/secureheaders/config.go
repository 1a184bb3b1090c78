package secureheaders

import (
	"fmt"
	"slices"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/problem"
)

// Config is what an operator can write.
type Config struct {
	Preset string                 `yaml:"preset" enum:"helmet,api,none" doc:"Set of headers to start from: helmet (as Express' helmet 7, without a content security policy), api (small, for answers that are never a page), or none."`
	HSTS   string                 `yaml:"hsts" enum:"secure,always,off" doc:"When Strict-Transport-Security is sent: where the request came over TLS (secure), on every answer (always), never (off)."`
	Set    config.Mapping[string] `yaml:"set" doc:"Headers to send beside those of the preset, or with another value."`
	Remove config.StringList      `yaml:"remove" doc:"Headers that no answer has, from the preset or from a service."`
}

const hstsName = "Strict-Transport-Security"

func defaults() Config {
	return Config{Preset: "helmet", HSTS: "secure", Remove: config.StringList{"X-Powered-By"}}
}

// preset returns the headers of a preset, none for an unknown one: the
// decoder has checked the name.
func preset(name string) []exchange.Field {
	switch name {
	case "helmet":
		return fields(
			"Cross-Origin-Opener-Policy", "same-origin",
			"Cross-Origin-Resource-Policy", "same-origin",
			"Origin-Agent-Cluster", "?1",
			"Referrer-Policy", "strict-origin-when-cross-origin",
			hstsName, "max-age=31536000; includeSubDomains; preload",
			"X-Content-Type-Options", "nosniff",
			"X-DNS-Prefetch-Control", "off",
			"X-Download-Options", "noopen",
			"X-Frame-Options", "SAMEORIGIN",
			"X-Permitted-Cross-Domain-Policies", "none",
			"X-XSS-Protection", "0",
		)
	case "api":
		return fields(
			"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'",
			"Referrer-Policy", "no-referrer",
			hstsName, "max-age=31536000; includeSubDomains",
			"X-Content-Type-Options", "nosniff",
		)
	}
	return nil
}

func fields(pairs ...string) []exchange.Field {
	var list []exchange.Field
	for pair := range slices.Chunk(pairs, 2) {
		list = append(list, field(pair[0], pair[1]))
	}
	return list
}

func field(name, value string) exchange.Field {
	return exchange.Field{Name: name, Value: value, Key: exchange.KeyOf(name)}
}

func (c Config) check() problem.List {
	var problems problem.List
	for _, e := range c.Set {
		config.CheckField(&problems, "set."+e.Name, e.Name, e.Value)
	}
	for i, name := range c.Remove {
		path := fmt.Sprintf("remove[%d]", i)
		config.CheckFieldName(&problems, path, name)
		if at := find(c.sets(), name); at >= 0 {
			problems.Add(path, fmt.Sprintf("%s is set and removed", name), "keep it in one of them; remove has X-Powered-By until it is written")
		}
	}
	c.checkTwice(&problems)
	c.checkHSTS(&problems)
	return problems
}

// checkTwice reports names that differ in nothing but case.
func (c Config) checkTwice(problems *problem.List) {
	sets := c.sets()
	for i, f := range sets {
		if find(sets[:i], f.Name) >= 0 {
			problems.Add("set."+f.Name, fmt.Sprintf("%s is set twice", f.Name), "names of headers are the same in any case")
		}
	}
}

func (c Config) checkHSTS(problems *problem.List) {
	set := find(c.sets(), hstsName) >= 0
	switch {
	case c.HSTS == "off" && set:
		problems.Add("hsts", "is off, and set has "+hstsName, "keep one of them")
	case c.HSTS == "always" && !set && find(preset(c.Preset), hstsName) < 0:
		problems.Add("hsts", "is always, and there is no value to send", "set "+hstsName+", or choose another preset")
	}
}

// sets returns the headers of set.
func (c Config) sets() []exchange.Field {
	list := make([]exchange.Field, len(c.Set))
	for i, e := range c.Set {
		list[i] = field(e.Name, e.Value)
	}
	return list
}

// find returns the place of a name in a list, in any case, or -1.
func find(list []exchange.Field, name string) int {
	return slices.IndexFunc(list, func(f exchange.Field) bool { return exchange.EqualFold(f.Name, name) })
}
