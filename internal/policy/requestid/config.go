package requestid

import (
	"yett/internal/config"
	"yett/internal/problem"
)

// Config is what an operator can write.
type Config struct {
	Header       string `yaml:"header" doc:"Name of the header, in the request to the service and in the answer."`
	TrustInbound bool   `yaml:"trust_inbound" doc:"Keep an ID that came through a trusted proxy and is well formed: 8 to 128 letters, digits, dots, underscores and dashes. Otherwise each request gets a new one."`
}

func defaults() Config {
	return Config{Header: "X-Request-ID", TrustInbound: true}
}

func (c Config) check() problem.List {
	var problems problem.List
	config.CheckFieldName(&problems, "header", c.Header)
	return problems
}
