package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"yett/examples/psa/services/kit"
)

const (
	gatewayPath = "/internal/revocations" // the gateway's route with the endpoint revocations

	gatewayTimeout  = time.Second
	gatewayTokenTTL = time.Minute
)

// gateway is told which tokens to refuse, so that they do not even reach a service. The services refuse them in any
// case, so that a gateway that does not answer is no reason for a logout to fail.
type gateway struct {
	url    func() string // empty where there is none to tell
	tokens *kit.Tokens
	log    *slog.Logger
	client *http.Client
}

func newGateway(url func() string, tokens *kit.Tokens, log *slog.Logger) *gateway {
	if url == nil {
		url = func() string { return "" }
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &gateway{url: url, tokens: tokens, log: log, client: &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, // it is not called often, and directly
		Timeout:   gatewayTimeout,
	}}
}

// revocation is the body that the gateway takes; exactly one of Token and Subject is set.
type revocation struct {
	Token        string `json:"token,omitempty"`
	Subject      string `json:"subject,omitempty"`
	IssuedBefore int64  `json:"issued_before,omitempty"` // seconds since 1970, with Subject
	Expires      int64  `json:"expires,omitempty"`
}

// revoke tells the gateway, and waits for its answer for a second at most. It does not end with the request that is
// the reason: who logs out and leaves is logged out.
func (g *gateway) revoke(what revocation) {
	base := g.url()
	if base == "" {
		return
	}
	if err := g.post(base+gatewayPath, what); err != nil {
		g.log.Warn("the gateway was not told of a revocation", "service", "auth-service", "error", err)
	}
}

func (g *gateway) post(url string, what revocation) error {
	body, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("write a revocation: %w", err)
	}
	token, err := g.tokens.Sign(kit.Identity{UserID: "auth-service", Role: kit.RoleSystemAdmin}, gatewayTokenTTL)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := g.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}
