package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// traffic is what the load generator asks a subject, and how. It is all that it
// knows of a case.
type traffic struct {
	Protocol protocol `json:"protocol,omitempty"`
	// Request is sent as it is, again and again. HTTP/2 sends the same fields.
	Request []byte `json:"request"`
	// Tokens is a file with one token a line: each request has the next one instead
	// of that in Request. "" for none.
	Tokens string `json:"tokens,omitempty"`
	// Trust is the file with the certificate that the subject has to show, with TLS.
	Trust string `json:"trust,omitempty"`
}

// secure tells whether the protocol is spoken over TLS.
func (p protocol) secure() bool { return p == overTLS || p == http2 }

// traffic is what an entrant of a case is asked.
func (b *bench) traffic(c benchCase, e entrant) (traffic, error) {
	t := b.probe(c, e.request)
	if e.request.Tokens == nil {
		return t, nil
	}
	dir := filepath.Join(b.dir, c.Name)
	t.Tokens = filepath.Join(dir, e.label+".tokens")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return t, fmt.Errorf("prepare folder of tokens: %w", err)
	}
	if err := os.WriteFile(t.Tokens, []byte(strings.Join(e.request.Tokens(), "\n")), 0o600); err != nil {
		return t, fmt.Errorf("write tokens: %w", err)
	}
	return t, nil
}

// probe is the case's traffic with one request, the same each time.
func (b *bench) probe(c benchCase, r request) traffic {
	t := traffic{Protocol: c.Protocol, Request: r.bytes()}
	if c.Protocol.secure() {
		t.Trust = b.certificate.Cert
	}
	return t
}
