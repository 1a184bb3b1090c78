package nethttp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/engine"
	"yett/internal/exchange"
	"yett/internal/wire"
)

// core is a gateway of one function. What became of each exchange goes to
// done.
type core struct {
	serve func(*exchange.Exchange)
	done  chan outcome
}

// outcome is what Done saw of an exchange.
type outcome struct {
	reason  *exchange.Reason
	status  int
	in, out int64
	path    string
	detail  string
}

func (c *core) Serve(x *exchange.Exchange) {
	if x.Reason != nil {
		x.ResponseBody.SetBytes([]byte(x.Reason.Name + ": " + x.Detail))
		return
	}
	x.Status = http.StatusOK
	c.serve(x)
}

func (c *core) Done(x *exchange.Exchange) {
	c.done <- outcome{x.Reason, x.Status, x.BytesIn, x.BytesOut, x.RawPath, x.Detail}
}

// server is an Engine behind a listener.
type server struct {
	*Engine
	core   *core
	url    string
	client *http.Client
}

func listener() config.Listener {
	var l config.Listener
	l.Limits.SetDefaults()
	l.Timeouts.SetDefaults()
	return l
}

func newEngine(l config.Listener, serve func(*exchange.Exchange)) (*Engine, *core) {
	c := &core{serve: serve, done: make(chan outcome, 100)}
	return New(l, Deps{
		Core: c, Buffers: &wire.Buffers{}, Exchanges: &exchange.Pool{},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}), c
}

// start serves on a free port, over TLS or in plain text, with a client that
// speaks HTTP/2 only.
func start(t *testing.T, secure bool, l config.Listener, serve func(*exchange.Exchange)) *server {
	t.Helper()
	e, c := newEngine(l, serve)
	front := &engine.Server{Address: "127.0.0.1:0", Log: e.deps.Log}
	set := engine.Settings{HTTP2: e, Handshake: 10 * time.Second}
	transport := &http.Transport{Protocols: new(http.Protocols)}
	s := &server{Engine: e, core: c, client: &http.Client{Transport: transport}}
	scheme := "http://"
	if secure {
		scheme = "https://"
		set.TLS, transport.TLSClientConfig = certificate(t)
	}
	front.Set(set)
	transport.Protocols.SetHTTP2(secure)
	transport.Protocols.SetUnencryptedHTTP2(!secure)
	if err := front.Bind(context.Background()); err != nil {
		t.Fatal(err)
	}
	front.Start()
	s.url = scheme + front.Addr().String()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := front.Unbind(); err != nil {
			t.Error(err)
		}
		e.Close()
	})
	return s
}

// both runs a test over TLS and in plain text.
func both(t *testing.T, test func(t *testing.T, secure bool)) {
	t.Run("h2", func(t *testing.T) { test(t, true) })
	t.Run("h2c", func(t *testing.T) { test(t, false) })
}

// certificate makes a certificate for 127.0.0.1 and who trusts it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{
		NextProtos:   []string{"h2"},
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}, &tls.Config{RootCAs: roots}
}

// do sends a request and returns the answer with its whole body.
func (s *server) do(t *testing.T, method, path string, body io.Reader, header http.Header) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(content)
}

// source is a body from a function.
type source struct {
	read   func(p []byte) (int, error)
	closed func()
}

func (s *source) Read(p []byte) (int, error) { return s.read(p) }

func (s *source) Close() error {
	if s.closed != nil {
		s.closed()
	}
	return nil
}

// pieces is a body that comes as texts from a channel, and ends with it.
func pieces(texts <-chan string) *source {
	return &source{read: func(p []byte) (int, error) {
		text, ok := <-texts
		if !ok {
			return 0, io.EOF
		}
		return copy(p, text), nil
	}}
}
