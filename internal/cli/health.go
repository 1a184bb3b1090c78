package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/config"
)

func (p Process) healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running gateway whether it is ready",
		Long: `Health asks the gateway of this machine and exits with 0 when it answers that it wants
traffic, otherwise with 1 and the reason in one line: a probe for containers. Where to
ask follows from the configuration: the first listener, and the route with the endpoint
ready, or health where there is none.`,
		Example: `  yett health
  yett health --url http://127.0.0.1:3000/health --timeout 1s
  # Dockerfile: HEALTHCHECK CMD ["yett", "health", "-c", "/etc/yett/yett.yaml"]`,
	}
	file := p.configFlag(cmd)
	address := cmd.Flags().String("url", "", "address to ask instead of the one in the configuration")
	timeout := cmd.Flags().Duration("timeout", 3*time.Second, "longest time to wait for the answer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		to := probe{url: *address}
		if *address == "" {
			c, err := config.Load(file(), p.Env)
			if err != nil {
				return explain(err, "nobody was asked")
			}
			if to, err = newProbe(c); err != nil {
				return err
			}
		}
		status, err := to.ask(ctx)
		if err != nil {
			return fmt.Errorf("not healthy: %w", err)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "healthy: %s answers %s\n", to.url, status)
		return err
	}
	return cmd
}

// probe is a question to a gateway.
type probe struct {
	url  string
	host string // Host header, the URL's when empty
	// http2 is set where the listener speaks nothing else.
	http2 bool
}

// newProbe finds out where a gateway with that configuration is asked how it
// is, from its own machine.
func newProbe(c *config.Config) (probe, error) {
	path, vhost, err := healthRoute(c)
	if err != nil {
		return probe{}, err
	}
	return probeOf(c, path, vhost)
}

// probeOf asks the first listener for a path and a host.
func probeOf(c *config.Config, path, vhost string) (probe, error) {
	if len(c.Listeners) == 0 {
		return probe{}, errors.New("the configuration has no listener; name the address with --url")
	}
	l := c.Listeners[0]
	host, port, err := net.SplitHostPort(l.Address)
	if err != nil || port == "0" {
		return probe{}, fmt.Errorf("the port of listeners[0].address %q is not known before it is bound; name the address with --url", l.Address)
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(local(host), port), Path: path}
	if l.TLS != nil {
		u.Scheme = "https"
	}
	return probe{url: u.String(), host: vhost, http2: l.TLS == nil && len(l.Protocols) > 0 && !slices.Contains(l.Protocols, "http1")}, nil
}

// local returns where a listener on host is reached from the same machine.
func local(host string) string {
	if ip, err := netip.ParseAddr(host); host != "" && (err != nil || !ip.IsUnspecified()) {
		return host
	}
	return "127.0.0.1" // an IPv6 wildcard takes IPv4 too
}

// healthRoute returns a path that shows readiness, or at least health, and a
// host for which it is served ("" for any).
func healthRoute(c *config.Config) (path, host string, err error) {
	for _, endpoint := range []string{"ready", "health"} {
		if path, host, ok := endpointRoute(c, endpoint, http.MethodGet); ok {
			return path, host, nil
		}
	}
	return "", "", errors.New("no route has the endpoint ready or health; add one, or name the address with --url")
}

// endpointRoute returns a path under which a page of the gateway is served, and
// a host for which it is ("" for any).
func endpointRoute(c *config.Config, endpoint, method string) (path, host string, ok bool) {
	for _, r := range c.Routes {
		fixed := slices.IndexFunc(r.Path, func(p string) bool { return !strings.ContainsAny(p, "{*") })
		if r.Endpoint != endpoint || fixed < 0 || len(r.Methods) > 0 && !slices.Contains(r.Methods, method) {
			continue
		}
		if len(r.Host) > 0 {
			host = strings.Replace(r.Host[0], "*", endpoint, 1)
		}
		return r.Path[fixed], host, true
	}
	return "", "", false
}

// ask sends the question. It returns the status of a good answer, and an
// error for any other.
func (p probe) ask(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return "", fmt.Errorf("asking %s: %w", p.url, err)
	}
	req.Host = p.host
	resp, err := p.client().Do(req)
	if err != nil {
		return "", fmt.Errorf("no answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s", p.url, resp.Status)
	}
	return resp.Status, nil
}

// client takes any certificate: the gateway is asked by its address, which no
// certificate names, on the machine itself, and nothing secret is sent.
func (p probe) client() *http.Client {
	return p.clientWith(&tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true})
}

// clientWith doesn't follow redirects, nor use a proxy.
func (p probe) clientWith(conf *tls.Config) *http.Client {
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: conf}
	if p.http2 {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
