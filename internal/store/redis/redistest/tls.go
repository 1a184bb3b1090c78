package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Certificate is one for a name and for 127.0.0.1, signed by itself.
type Certificate struct {
	Name string
	// CertFile and KeyFile are PEM files, Pool believes in it.
	CertFile, KeyFile string
	Pool              *x509.CertPool
}

// NewCertificate makes a certificate, of which nothing is left after the test.
func NewCertificate(t testing.TB, name string) *Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := &Certificate{Name: name, CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), Pool: x509.NewCertPool()}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for file, text := range map[string][]byte{c.CertFile: cert, c.KeyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.Pool.AppendCertsFromPEM(cert)
	return c
}

// Client is what a client needs to connect to who has the certificate.
func (c *Certificate) Client() *tls.Config {
	return &tls.Config{ServerName: c.Name, RootCAs: c.Pool}
}

// StartTLS starts a server that speaks TLS only.
func StartTLS(t testing.TB, c *Certificate, options ...string) *Server {
	t.Helper()
	s := Reserve(t, options...)
	s.tls = c.Client()
	s.Options = append(s.Options, c.options(s.Port)...)
	s.Start()
	return s
}

// options make a server speak TLS at a port. Replicas, sentinels and nodes of a
// cluster speak it among each other too.
func (c *Certificate) options(port int) []string {
	return []string{"--port", "0", "--tls-port", strconv.Itoa(port), "--tls-auth-clients", "no", "--tls-replication", "yes", "--tls-cluster", "yes",
		"--tls-cert-file", c.CertFile, "--tls-key-file", c.KeyFile, "--tls-ca-cert-file", c.CertFile}
}

// StartSocket starts a server that listens at a Unix socket too, and returns its
// path.
func StartSocket(t testing.TB, options ...string) (s *Server, path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis") // the test's own may be longer than such a path can be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "s")
	s = Reserve(t, append(options, "--unixsocket", path)...)
	s.socket = path
	s.Start()
	return s, path
}
