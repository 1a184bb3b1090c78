package snapshot

import (
	"crypto/tls"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strconv"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/problem"
)

// listeners checks addresses and loads keys.
func (b *builder) listeners() {
	names, addresses := map[string]bool{}, map[string]bool{}
	for i, l := range b.c.Listeners {
		at := "listeners[" + strconv.Itoa(i) + "]"
		if l.Name != "" && names[l.Name] {
			b.fail(at+".name", "give each listener a name of its own", "the name %q is taken", l.Name)
		}
		names[l.Name] = true
		host, port, err := net.SplitHostPort(l.Address)
		if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
			b.fail(at+".address", `write host:port, such as "127.0.0.1:3000" or ":3000"`, "%q is not an address", l.Address)
		} else if key := net.JoinHostPort(host, port); n != 0 && addresses[key] {
			b.fail(at+".address", "one listener can serve all routes", "the address %s is taken by another listener", l.Address)
		} else {
			addresses[key] = true
		}
		l.Protocols = b.protocols(at, l)
		b.out.Listeners = append(b.out.Listeners, Listener{Listener: l, TLS: b.listenerTLS(at+".tls", l)})
	}
}

// protocols checks what a listener is to speak, and chooses when nothing is
// said.
func (b *builder) protocols(at string, l config.Listener) []string {
	if len(l.Protocols) == 0 && l.TLS != nil {
		return []string{"http1", "h2"}
	}
	if len(l.Protocols) == 0 {
		return []string{"http1"}
	}
	for j, p := range l.Protocols {
		place := at + ".protocols[" + strconv.Itoa(j) + "]"
		switch {
		case p == "h2" && l.TLS == nil:
			b.fail(place, "add tls, or use h2c", "h2 needs TLS")
		case p == "h2c" && l.TLS != nil:
			b.fail(place, "use h2", "h2c is for listeners without TLS")
		}
	}
	return l.Protocols
}

func (b *builder) listenerTLS(at string, l config.Listener) *tls.Config {
	if l.TLS == nil {
		return nil
	}
	if kept := b.keptTLS(l); kept != nil {
		return kept
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if l.TLS.MinVersion == "1.3" {
		out.MinVersion = tls.VersionTLS13
	}
	for _, p := range []struct{ name, alpn string }{{"h2", "h2"}, {"http1", "http/1.1"}} {
		if slices.Contains(l.Protocols, p.name) {
			out.NextProtos = append(out.NextProtos, p.alpn)
		}
	}
	for i, pair := range l.TLS.Certificates {
		cert, err := pair.Load(b.c.Source.Resolve)
		if err != nil {
			b.fail(fmt.Sprintf("%s.certificates[%d]", at, i), "both have to be PEM files that belong together", "loading the certificate: %v", err)
			continue
		}
		out.Certificates = append(out.Certificates, cert)
	}
	return out
}

// keptTLS returns what a running listener with the same certificates has, so that clients can
// resume their sessions, or nil.
func (b *builder) keptTLS(l config.Listener) *tls.Config {
	var files []string
	for _, pair := range l.TLS.Certificates {
		files = append(files, pair.Cert, pair.Key)
	}
	if !b.follow(files...) {
		return nil
	}
	for _, old := range b.previous.Listeners {
		if reflect.DeepEqual(old.Listener.TLS, l.TLS) && slices.Equal(old.Protocols, l.Protocols) {
			return old.TLS
		}
	}
	return nil
}

// identityHeaders refuses what can't be the name of such a field: a slip here
// would let clients say who they are.
func (b *builder) identityHeaders() {
	for i, name := range b.c.IdentityHeaders {
		at := "identity_headers[" + strconv.Itoa(i) + "]"
		var problems problem.List
		if config.CheckFieldName(&problems, at, name) && exchange.KeyOf(name) != exchange.KeyOther {
			problems.Addf(at, "name a field that only your services read", "%s has a meaning of its own", name)
		}
		b.problems = append(b.problems, b.c.Source.Locate(problems)...)
	}
}
