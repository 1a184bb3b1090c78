package services

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// FromEnv reads AUTH_PORT, CRM_PORT and TICKETS_PORT (3001 to 3003 when empty), PSA_HOST (127.0.0.1 when empty), JWT_SECRET,
// DEMO_PASSWORD and GATEWAY_URL through getenv, which is os.Getenv or the like. Run checks the secret.
func FromEnv(getenv func(string) string) (Config, error) {
	cfg := Config{JWTSecret: getenv("JWT_SECRET"), DemoPassword: getenv("DEMO_PASSWORD"), GatewayURL: strings.TrimSuffix(getenv("GATEWAY_URL"), "/")}
	if at, err := url.Parse(cfg.GatewayURL); cfg.GatewayURL != "" && (err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https") {
		return Config{}, fmt.Errorf("GATEWAY_URL is %q, which is not an address such as http://localhost:3000", cfg.GatewayURL)
	}
	host := getenv("PSA_HOST")
	if host == "" {
		host = defaultHost
	}
	for _, choice := range []struct {
		variable, defaultPort string
		addr                  *string
	}{
		{"AUTH_PORT", defaultAuthPort, &cfg.AuthAddr},
		{"CRM_PORT", defaultCRMPort, &cfg.CRMAddr},
		{"TICKETS_PORT", defaultTicketsPort, &cfg.TicketsAddr},
	} {
		port := getenv(choice.variable)
		if port == "" {
			port = choice.defaultPort
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return Config{}, fmt.Errorf("%s is %q, which is not a port number from 0 to 65535", choice.variable, port)
		}
		*choice.addr = net.JoinHostPort(host, port)
	}
	return cfg, nil
}
