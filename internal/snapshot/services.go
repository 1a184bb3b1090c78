package snapshot

import (
	"crypto/tls"
	"crypto/x509"
	"reflect"
	"slices"

	"yett/internal/config"
	"yett/internal/upstream"
	"yett/internal/wire"
)

// services checks and builds the services, or takes them over.
func (b *builder) services() {
	for _, e := range b.c.Services {
		at := "services." + e.Name
		before := len(b.problems)
		for _, p := range slices.Concat(upstream.Check(&e.Value), upstream.Futile(&e.Value, b.around(at, e))) {
			b.fail(at+"."+p.Path, p.Hint, "%s", p.What)
		}
		b.checkHost(at+".host", e.Value.Host)
		b.hash(e, nil)
		unchanged := b.follow(e.Value.TLS.CA)
		ca := b.authorities(at+".tls.ca", e.Value.TLS.CA)
		if len(b.problems) > before {
			b.byName[e.Name] = nil
			continue
		}
		b.byName[e.Name] = b.service(at, e, ca, unchanged)
	}
}

// around is what else is written about a service.
func (b *builder) around(at string, e config.Entry[config.Service]) upstream.Around {
	a := upstream.Around{
		Has:      func(path string) bool { return b.c.Source.Has(at + "." + path) },
		Wrote:    func(path string) bool { return b.c.Source.Wrote(at + "." + path) },
		Response: e.Value.Timeouts.Response,
	}
	for _, i := range b.reaching(e.Name) {
		if own := b.c.Routes[i].Timeouts.Response; own != nil {
			a.Response = max(a.Response, *own)
		}
	}
	return a
}

func (b *builder) service(at string, e config.Entry[config.Service], ca *x509.CertPool, unchanged bool) *upstream.Service {
	sv := b.kept(e, unchanged)
	if sv == nil {
		deps := b.deps.Upstream
		if ca != nil {
			deps.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ca}
		}
		var err error
		if sv, err = upstream.New(e.Name, e.Value, deps); err != nil {
			b.fail(at, "", "%v", err)
			return nil
		}
	}
	b.out.services = append(b.out.services, sv)
	return sv
}

// kept returns the running service with the same settings and the same files, so that its
// connections and its state survive, or nil. unchanged tells about the files.
func (b *builder) kept(e config.Entry[config.Service], unchanged bool) *upstream.Service {
	if !unchanged {
		return nil
	}
	old, ok := b.previous.Config.Services.Get(e.Name)
	if !ok || !sameService(*old, e.Value) {
		return nil
	}
	for _, sv := range b.previous.services {
		if sv.Name() == e.Name {
			return sv
		}
	}
	return nil
}

// sameService tells whether two services are the same but for their documents, which are
// kept by themselves.
func sameService(a, b config.Service) bool {
	a.OpenAPI, b.OpenAPI = config.OpenAPI{}, config.OpenAPI{}
	return reflect.DeepEqual(a, b)
}

func (b *builder) authorities(at, file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	pem, err := config.ReadKeyFile(b.c.Source.Resolve(file))
	if err != nil {
		b.fail(at, "name a PEM file", "reading certificate authorities: %v", err)
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		b.fail(at, "name a PEM file with CERTIFICATE blocks", "no certificate in %s", file)
	}
	return pool
}

func (b *builder) checkHost(at, host string) {
	if host == "" || host == "client" || host == "target" {
		return
	}
	if _, ok := wire.SplitHost(host); !ok {
		b.fail(at, "write client, target, or a host name", "%q is not a host", host)
	}
}
