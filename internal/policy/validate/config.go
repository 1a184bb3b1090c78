package validate

import (
	"yett/internal/config"
	"yett/internal/policy"
	"yett/internal/problem"
)

// Config is what an operator can write.
type Config struct {
	Mode    policy.Mode `yaml:"mode" enum:"enforce,observe" doc:"enforce refuses; observe only logs and counts what would have been refused, and lets it pass."`
	Body    config.Size `yaml:"body" min:"1KB" max:"16MB" doc:"Largest body that is checked, which is held in memory for that. With enforce a larger request is refused with 413 where the document says what it has to be; with observe it passes unchecked, as larger answers always do."`
	Unknown string      `yaml:"unknown" enum:"pass,refuse" doc:"What becomes of requests that no operation of the document is about: pass lets them reach the service and counts them, refuse answers 404, or 405 where the path is there with other methods. CORS preflights always pass."`
	Answers string      `yaml:"answers" enum:"observe,off" doc:"observe: answers are held against the document too, and what is wrong is logged and counted; they are never refused. Bodies whose length is not known, that are compressed, or that are larger than body, are not looked at."`
}

// PolicyMode implements policy.Moded.
func (c Config) PolicyMode() policy.Mode { return c.Mode }

func defaults() Config {
	return Config{Mode: policy.Enforce, Body: config.MB, Unknown: "pass", Answers: "observe"}
}

// build makes the policy, or none for a route whose service has no document.
func build(c Config, deps policy.Deps) (policy.Policy, problem.List) {
	if deps.Documents == nil || deps.Route.Service == "" {
		return nil, nil
	}
	src := deps.Documents.Of(deps.Route.Service)
	if src == nil {
		return nil, nil
	}
	return &validate{
		source: src, service: src.Service(), rewrite: deps.Route.Rewrite, most: int64(c.Body),
		enforces: c.Mode == policy.Enforce, refuses: c.Unknown == "refuse", answers: c.Answers == "observe",
	}, nil
}
