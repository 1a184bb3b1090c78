package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"

	"yett/internal/admin"
	"yett/internal/config"
	"yett/internal/store/memory"
)

// gatewayPage is where a running gateway takes revocations.
type gatewayPage struct {
	probe
	tls *tls.Config // nil to verify certificates as everybody does
}

// newGatewayPage finds the page of a gateway with that configuration, on this
// machine.
func newGatewayPage(c *config.Config) (gatewayPage, error) {
	path, host, ok := endpointRoute(c, "revocations", http.MethodPost)
	if !ok {
		return gatewayPage{}, errors.New("the store is in memory, and no route of the gateway has the endpoint revocations; " +
			"add one with auth: required and a policy rbac, keep state in Redis with store.redis, or name the address with --url")
	}
	p, err := probeOf(c, path, host)
	if err != nil {
		return gatewayPage{}, err
	}
	page := gatewayPage{probe: p}
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
		cert, err := tls.LoadX509KeyPair(c.Source.Resolve(pair.Cert), c.Source.Resolve(pair.Key))
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

// askToRevoke asks a running gateway.
func askToRevoke(ctx context.Context, page gatewayPage, bearer string, asked admin.Revocation) (done revoked, err error) {
	body, err := json.Marshal(asked)
	if err != nil {
		return done, fmt.Errorf("write the revocation: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, page.url, bytes.NewReader(body))
	if err != nil {
		return done, fmt.Errorf("ask %s: %w", page.url, err)
	}
	req.Host = page.host
	req.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := page.clientWith(page.tls).Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return done, fmt.Errorf("nothing was revoked: nobody listens at %s; start the gateway, or name another address with --url", page.url)
	}
	if err != nil {
		return done, fmt.Errorf("it is not certain that anything was revoked: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return done, fmt.Errorf("it is not certain that anything was revoked: read the answer of %s: %w", page.url, err)
	}
	switch {
	case resp.StatusCode == http.StatusOK && saysEnded(answer):
		return revoked{text: hasEnded}, nil
	case resp.StatusCode != http.StatusAccepted:
		return done, fmt.Errorf("nothing was revoked: %w", refusedBy(page.url, resp.StatusCode, answer, bearer != ""))
	}
	return accepted(page.url, answer, asked)
}

// saysEnded tells whether an answer is that of a gateway that had nothing to
// revoke.
func saysEnded(answer []byte) bool {
	var told struct{ Revoked []string }
	return json.Unmarshal(answer, &told) == nil && told.Revoked != nil && len(told.Revoked) == 0
}

// refusedBy says why a gateway said no, and what it wants.
func refusedBy(url string, status int, answer []byte, hadToken bool) error {
	var told struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal(answer, &told) // it may be anybody's answer
	why := fmt.Sprintf("%s answers %d %s", url, status, told.Error.Code)
	switch {
	case status == http.StatusUnauthorized && !hadToken:
		return fmt.Errorf("%s; give an access token with --bearer or YETT_TOKEN", why)
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%s; the access token of --bearer or YETT_TOKEN is no good", why)
	case status == http.StatusForbidden:
		return fmt.Errorf("%s; the access token has to be of a caller whom the route's policy rbac lets pass", why)
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return fmt.Errorf("%s; there is no endpoint revocations", why)
	}
	return fmt.Errorf("%s: %s", why, told.Error.Message)
}

// accepted says what counts from now on.
func accepted(url string, answer []byte, asked admin.Revocation) (done revoked, err error) {
	var told struct {
		Expires        time.Time
		Store, Warning string
	}
	if err := json.Unmarshal(answer, &told); err != nil || told.Store == "" {
		return done, fmt.Errorf("it is not certain that anything was revoked: %s gives no answer of a gateway", url)
	}
	where := "alone as yet: its store does not take it now, and gets it later"
	switch told.Store {
	case "written":
		where = "at once, and by all that share its store within a second"
	case memory.Name:
		where = "in effect on this node, until it restarts"
	}
	done.text = fmt.Sprintf("revoked %s until %s, by the gateway at %s, %s", describe(asked), told.Expires.UTC().Format(time.RFC3339), url, where)
	done.warning = printable(told.Warning)
	return done, nil
}
