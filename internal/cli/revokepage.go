package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"yett/internal/admin"
	"yett/internal/config"
	"yett/internal/store/memory"
)

// revocationsEndpoint is the page where a running gateway takes revocations.
const revocationsEndpoint = "revocations"

// findRevocations finds the page of a gateway with that configuration, on this machine.
func findRevocations(c *config.Config) (gatewayPage, error) {
	return findPage(c, revocationsEndpoint, http.MethodPost, "the store is in memory", "keep state in Redis with store.redis, ")
}

// askToRevoke asks a running gateway.
func askToRevoke(ctx context.Context, page gatewayPage, bearer string, asked admin.Revocation) (done revoked, err error) {
	body, err := json.Marshal(asked)
	if err != nil {
		return done, fmt.Errorf("write the revocation: %w", err)
	}
	means := consequence{nothing: "nothing was revoked", unsure: "it is not certain that anything was revoked"}
	status, answer, err := page.send(ctx, pageRequest{method: http.MethodPost, body: bytes.NewReader(body), bearer: bearer}, means)
	switch {
	case err != nil:
		return done, err
	case status == http.StatusOK && saysEnded(answer):
		return revoked{text: hasEnded}, nil
	case status != http.StatusAccepted:
		return done, fmt.Errorf("nothing was revoked: %w", page.refusedBy(status, answer, bearer != ""))
	}
	return accepted(page.url, answer, asked)
}

// saysEnded tells whether an answer is that of a gateway that had nothing to
// revoke.
func saysEnded(answer []byte) bool {
	var told struct{ Revoked []string }
	return json.Unmarshal(answer, &told) == nil && told.Revoked != nil && len(told.Revoked) == 0
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
