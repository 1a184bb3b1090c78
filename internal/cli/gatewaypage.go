package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"yett/internal/config"
)

// gatewayPage is a page of a running gateway which only some may use.
type gatewayPage struct {
	probe
	endpoint string
	tls      *tls.Config // nil to verify certificates as everybody does
	flag     bool        // the address is that of --url
}

// pageFlags are the flags of verbs that ask a page.
type pageFlags struct {
	url, bearer string
	timeout     time.Duration
}

func (f *pageFlags) add(cmd *cobra.Command, endpoint string) {
	flags := cmd.Flags()
	flags.StringVar(&f.url, "url", "", "address of the running gateway's "+endpoint+", which is asked instead of what the configuration says")
	flags.StringVar(&f.bearer, "bearer", "", "access token for the running gateway (default $YETT_TOKEN)")
	flags.DurationVar(&f.timeout, "timeout", 5*time.Second, "longest time to wait for an answer")
}

// token takes the access token from the environment where no flag has it.
func (f *pageFlags) token(p Process) {
	if f.bearer == "" {
		f.bearer = p.getenv("YETT_TOKEN")
	}
}

// named is the page of --url.
func (f *pageFlags) named(endpoint string) gatewayPage {
	return gatewayPage{probe: probe{url: f.url}, endpoint: endpoint, flag: true}
}

// findPage finds a page of a gateway with that configuration, on this machine. why says
// why it is asked, and instead what else can be done where there is none.
func findPage(c *config.Config, endpoint, method, why, instead string) (gatewayPage, error) {
	path, host, ok := endpointRoute(c, endpoint, method)
	if !ok {
		return gatewayPage{}, fmt.Errorf("%s, and no route of the gateway has the endpoint %s for %s; "+
			"add one with auth: required and a policy rbac, %sor name the address with --url", why, endpoint, method, instead)
	}
	p, err := probeOf(c, path, host)
	if err != nil {
		return gatewayPage{}, err
	}
	page := gatewayPage{probe: p, endpoint: endpoint}
	if l := c.Listeners[0]; l.TLS != nil {
		page.tls, err = pinned(c, l.TLS)
	}
	return page, err
}

// pinned believes the certificates of a listener and no others: the gateway is
// asked by its address, which they don't name, and an access token is sent.
func pinned(c *config.Config, l *config.TLS) (*tls.Config, error) {
	var own []*x509.Certificate
	for _, pair := range l.Certificates {
		cert, err := pair.Load(c.Source.Resolve)
		if err != nil {
			return nil, fmt.Errorf("load the listener's certificate, by which the gateway is known: %w; or name the address with --url", err)
		}
		own = append(own, cert.Leaf)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			for _, cert := range own {
				if cert.Equal(state.PeerCertificates[0]) {
					return nil
				}
			}
			return errors.New("who answers does not have the certificate of the configuration's listener")
		},
	}, nil
}

// consequence says what an error means: when nothing was done, and when nobody knows.
type consequence struct{ nothing, unsure string }

// pageRequest is what a page is asked.
type pageRequest struct {
	method string
	query  url.Values
	// body is JSON, nil for none. bearer is the access token, "" for none.
	body   io.Reader
	bearer string
}

// mostAnswer is how much of an answer is read, in bytes.
const mostAnswer = 16 << 20

// callable checks that the address is one of HTTP.
func (g gatewayPage) callable(c consequence) error {
	u, err := url.Parse(g.url)
	if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		return nil
	}
	return fmt.Errorf("%s: %s is no address of a page: it has to begin with http:// or https:// and a host%s", c.nothing, printable(g.url), g.whichURL())
}

// send asks a running gateway, and returns the answer, whatever it is.
func (g gatewayPage) send(ctx context.Context, r pageRequest, c consequence) (status int, answer []byte, err error) {
	if err := g.callable(c); err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, r.method, g.url, r.body)
	if err != nil {
		return 0, nil, fmt.Errorf("ask %s: %w", g.url, err)
	}
	if len(r.query) > 0 {
		q := req.URL.Query()
		for name, values := range r.query {
			q[name] = values
		}
		req.URL.RawQuery = q.Encode()
	}
	req.Host = g.host
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+r.bearer)
	}
	resp, err := g.clientWith(g.tls).Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return 0, nil, fmt.Errorf("%s: nobody listens at %s; start the gateway, or name another address with --url", c.nothing, g.url)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", c.unsure, err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(io.LimitReader(resp.Body, mostAnswer)); err != nil {
		return 0, nil, fmt.Errorf("%s: read the answer of %s: %w", c.unsure, g.url, err)
	}
	return resp.StatusCode, answer, nil
}

// refusedBy says why a gateway said no, and what it wants.
func (g gatewayPage) refusedBy(status int, answer []byte, hadToken bool) error {
	var told struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal(answer, &told) // it may be anybody's answer
	why := fmt.Sprintf("%s answers %d %s", g.url, status, printable(told.Error.Code))
	switch {
	case status == http.StatusUnauthorized && !hadToken:
		return fmt.Errorf("%s; give an access token with --bearer or YETT_TOKEN", why)
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%s; the access token of --bearer or YETT_TOKEN is no good", why)
	case status == http.StatusForbidden:
		return fmt.Errorf("%s; the access token has to be of a caller whom the route's policy rbac lets pass", why)
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return fmt.Errorf("%s; there is no endpoint %s%s", why, g.endpoint, g.whichURL())
	}
	return fmt.Errorf("%s: %s", why, printable(told.Error.Message))
}

// noAnswer says that whoever answers is not the page.
func (g gatewayPage) noAnswer() error {
	return fmt.Errorf("%s gives no answer of a gateway%s", g.url, g.whichURL())
}

// whichURL says what --url has to be, if the page was named by it: often it is the gateway's
// address, without the path.
func (g gatewayPage) whichURL() string {
	if !g.flag {
		return ""
	}
	page := url.URL{Scheme: "http", Host: "localhost:3000", Path: "/internal/" + strings.TrimSuffix(g.endpoint, "_status")}
	if u, err := url.Parse(g.url); err == nil && u.Host != "" && u.Path != page.Path {
		page.Host = u.Host
		if u.Scheme == "https" {
			page.Scheme = u.Scheme
		}
	}
	return fmt.Sprintf("; --url is the address of the page itself, the path of the route that has the endpoint %s included, such as %s", g.endpoint, page.String())
}
