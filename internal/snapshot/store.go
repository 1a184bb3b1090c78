package snapshot

import (
	"crypto/tls"
	"net"
	"strconv"
	"strings"

	"yett/internal/config"
	"yett/internal/store/redis"
)

// Store returns how the store of a configuration is reached, without looking
// at anything else in it. It is nil where state is kept in memory. The error is
// a problem.List. Nothing connects.
func Store(c *config.Config) (*redis.Options, error) {
	b := newBuilder(c, Deps{}, nil)
	b.store()
	return b.out.Store, b.problems.Err()
}

// shownHost quotes what stands for a host, unless there may be a password in it.
func shownHost(host string) string {
	if strings.Contains(host, "@") {
		return "what has an @ in it"
	}
	return strconv.Quote(host)
}

// store checks where shared state is to be kept.
func (b *builder) store() {
	r := b.c.Store.Redis
	if r.Host == "" {
		return
	}
	const at = "store.redis"
	if strings.ContainsAny(r.Host, "/[]@ ") || strings.Count(r.Host, ":") == 1 {
		b.fail(at+".host", "write the name or address alone; port, username, password and tls have keys of their own", "%s is not a host", shownHost(r.Host))
	}
	if r.Username != "" && r.Password == "" {
		b.fail(at+".username", "add password, or remove username", "a user without a password can't log in")
	}
	o := &redis.Options{
		Address: net.JoinHostPort(r.Host, strconv.Itoa(r.Port)), Username: r.Username, Password: r.Password,
		Database: r.Database, Prefix: r.Prefix,
	}
	if r.TLS != nil {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: r.TLS.ServerName, RootCAs: b.authorities(at+".tls.ca", r.TLS.CA)}
		if o.TLS.ServerName == "" {
			o.TLS.ServerName = r.Host
		}
	}
	b.out.Store = o
}
