package engine

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"
)

// What is set while a server runs is true for the next connection, and leaves the others
// alone.
func TestSetWhileServing(t *testing.T) {
	one, two := newProtocol("one"), newProtocol("two")
	s := start(t, Settings{HTTP1: one})
	before := dial(t, s)
	if got := word(before); got != "one" {
		t.Fatalf("got %q", got)
	}
	cert := certificate(t, "a.example")
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	set := *s.Settings()
	set.HTTP1, set.TLS = two, &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Set(set)
	after, err := shake(t, s, &tls.Config{RootCAs: pool, ServerName: "a.example"})
	if err != nil {
		t.Fatal(err)
	}
	if got := word(after); got != "two" {
		t.Errorf("got %q", got)
	}
	if _, err := before.Write([]byte("x")); err != nil || s.Connections() != 2 {
		t.Errorf("the first connection: %v, %d are open", err, s.Connections())
	}
	if err := s.Unbind(); err != nil {
		t.Fatal(err)
	}
	go s.Drain(Until(time.Now()))
	for _, p := range []*protocol{one, two} { // the one too that serves no new connections
		select {
		case <-p.drained:
		case <-time.After(limit):
			t.Errorf("%s was not drained", p.name)
		}
		<-p.drained // after Close
	}
}

// A bound that grows lets those in who wait, and one that shrinks ends nobody's connection.
func TestRoom(t *testing.T) {
	var r room
	r.resize(1)
	never := make(chan struct{})
	if !r.enter(never) {
		t.Fatal("there is no first place")
	}
	entered := make(chan bool)
	go func() { entered <- r.enter(never) }()
	r.resize(2)
	if !<-entered || r.open != 2 {
		t.Fatalf("%d are open", r.open)
	}
	r.resize(1)
	r.leave()
	if r.take() == nil {
		t.Fatal("one is open, and another one may enter")
	}
	go func() { entered <- r.enter(never) }()
	r.leave()
	if !<-entered || r.open != 1 {
		t.Fatalf("%d are open", r.open)
	}
	over := make(chan struct{})
	close(over)
	if r.enter(over) {
		t.Error("entered after the end")
	}
	r.resize(0)
	for range 2 {
		if !r.enter(never) {
			t.Error("there is a bound")
		}
	}
}
