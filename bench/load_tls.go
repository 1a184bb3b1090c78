package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// tlsLayer is TLS on a socket that epoll drives. crypto/tls wants a connection
// that it can wait for; this one says instead that nothing is there yet, as one
// does whose deadline has passed.
type tlsLayer struct {
	conn *tls.Conn
	pipe *pipe
}

// clientTLS is how the load generator speaks TLS: version 1.3 alone, and the
// certificate of this run alone is believed.
func clientTLS(t traffic) (*tls.Config, error) {
	data, err := os.ReadFile(t.Trust)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("read certificate: none in %s", t.Trust)
	}
	protocols := []string{"http/1.1"}
	if t.Protocol == http2 {
		protocols = []string{"h2"}
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		RootCAs:    roots,
		ServerName: benchHost,
		NextProtos: protocols,
	}, nil
}

// handshake opens TLS on a blocking socket.
func handshake(s *socket, config *tls.Config) (*tlsLayer, error) {
	wait := unix.NsecToTimeval(int64(drainTime / time.Nanosecond))
	if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return nil, fmt.Errorf("limit time of handshake: %w", err)
	}
	p := &pipe{socket: s, waits: true}
	t := &tlsLayer{conn: tls.Client(p, config), pipe: p}
	if err := t.conn.Handshake(); err != nil {
		return nil, fmt.Errorf("shake hands: %w", err)
	}
	p.waits = false
	return t, checkTLS(t.conn.ConnectionState(), config.NextProtos)
}

// checkTLS fails when something else was agreed on than all subjects have to.
// The client can't offer one cipher alone, as crypto/tls leaves no choice for TLS
// 1.3; subjects are configured to have this one.
func checkTLS(state tls.ConnectionState, protocols []string) error {
	if state.CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		return fmt.Errorf("subject chose the cipher %s, want TLS_AES_128_GCM_SHA256", tls.CipherSuiteName(state.CipherSuite))
	}
	// HTTP/1.1 is also what a subject speaks that says nothing.
	if got := state.NegotiatedProtocol; !slices.Contains(protocols, got) && (got != "" || slices.Contains(protocols, "h2")) {
		return fmt.Errorf("subject chose the protocol %q, want %v", got, protocols)
	}
	return nil
}

// feed hands bytes over that have come from the socket. They must stay as they
// are until read returns 0.
func (t *tlsLayer) feed(p []byte) { t.pipe.in = p }

// read decrypts to p. It returns 0 when it needs further bytes for more.
func (t *tlsLayer) read(p []byte) (int, error) {
	n, err := t.conn.Read(p)
	switch {
	case errors.Is(err, errNotYet):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("decrypt: %w", err)
	}
	return n, nil
}

// write encrypts p, to be flushed by the socket.
func (t *tlsLayer) write(p []byte) error {
	if _, err := t.conn.Write(p); err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	return nil
}

// pipe is what crypto/tls takes for its connection.
type pipe struct {
	net.Conn // nil: of addresses and deadlines there is no talk
	socket   *socket
	waits    bool   // for the socket, as in a handshake
	in       []byte // received and not taken yet
	buf      []byte // to encrypt into
}

func (p *pipe) Read(b []byte) (int, error) {
	if p.waits {
		n, err := p.socket.read(b)
		if n == 0 && err == nil {
			err = errors.New("no answer in time")
		}
		return n, err
	}
	if len(p.in) == 0 {
		return 0, errNotYet
	}
	n := copy(b, p.in)
	p.in = p.in[n:]
	return n, nil
}

func (p *pipe) Write(b []byte) (int, error) {
	if len(p.socket.out) == 0 {
		p.socket.out = p.buf[:0]
	}
	p.socket.out = append(p.socket.out, b...)
	p.buf = p.socket.out
	if p.waits {
		return len(b), p.socket.flush()
	}
	return len(b), nil
}

// notYet is an error of a kind that crypto/tls takes for passing.
type notYet struct{}

var errNotYet net.Error = notYet{}

func (notYet) Error() string   { return "nothing there yet" }
func (notYet) Timeout() bool   { return true }
func (notYet) Temporary() bool { return true }
