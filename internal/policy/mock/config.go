package mock

import (
	"time"

	"yett/internal/config"
	"yett/internal/openapi/source"
	"yett/internal/policy"
	"yett/internal/problem"
)

// Config is what an operator can write.
type Config struct {
	Status  int             `yaml:"status" min:"0" max:"599" doc:"Status of the documented answer that is sent, from 200 on; 0 for the first one that means success."`
	Example string          `yaml:"example" doc:"Name of the example that is sent, by the operations that have it; the first one when empty. Where there is none, an answer is made of the schema."`
	Delay   config.Duration `yaml:"delay" min:"0s" max:"1m" doc:"How long callers wait for the answer."`
	Prefer  bool            `yaml:"prefer" doc:"Whether callers may choose another documented status or example, by Prefer: code=404, example=NAME."`
}

func defaults() Config { return Config{Prefer: true} }

// compile checks the configuration and makes the policy.
func (c Config) compile(deps policy.Deps) (*mock, problem.List) {
	var problems problem.List
	if c.Status > 0 && c.Status < 200 {
		problems.Addf("status", "write 200 or more, or leave it out", "%d is no status of a whole answer", c.Status)
	}
	p := &mock{
		service: deps.Route.Service, rewrite: deps.Route.Rewrite, loaded: func() *source.Loaded { return nil },
		status: c.Status, example: c.Example, delay: time.Duration(c.Delay), prefer: c.Prefer,
	}
	if deps.Documents == nil { // nobody knows documents where a policy is built alone
		return p, problems
	}
	if s := deps.Documents.Of(p.service); s != nil { // or the route has no answer, which its compiler tells
		p.loaded = s.Loaded
	}
	return p, problems
}
