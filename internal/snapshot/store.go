package snapshot

import (
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

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

// shown quotes what stands for a host or an address, unless there may be a
// password in it.
func shown(text string) string {
	if strings.Contains(text, "@") {
		return "what has an @ in it"
	}
	return strconv.Quote(text)
}

const atRedis = "store.redis"

// store checks where shared state is to be kept.
func (b *builder) store() {
	r := &b.c.Store.Redis
	o := &redis.Options{
		Username: r.Username, Password: r.Password, Database: r.Database, Prefix: r.Prefix, Timeout: time.Duration(r.Timeout),
	}
	if !b.storeAt(o, r) {
		return
	}
	if r.Username != "" && r.Password == "" {
		b.fail(atRedis+".username", "add password, or remove username", "a user without a password can't log in")
	}
	if r.TLS != nil {
		if r.Socket != "" {
			b.fail(atRedis+".tls", "remove tls, or write host instead of socket", "there is no TLS on a Unix socket")
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: r.TLS.ServerName, RootCAs: b.authorities(atRedis+".tls.ca", r.TLS.CA)}
		if o.TLS.ServerName == "" {
			o.TLS.ServerName = r.Host // of others, whatever is connected to
		}
	}
	b.out.Store = o
}

// storeAt puts into o where the store is, and tells whether it is anywhere.
func (b *builder) storeAt(o *redis.Options, r *config.Redis) bool {
	var ways []string
	for _, way := range []struct {
		key  string
		used bool
	}{{"host", r.Host != ""}, {"socket", r.Socket != ""}, {"sentinel", r.Sentinel != nil}, {"cluster", len(r.Cluster) > 0}} {
		if way.used {
			ways = append(ways, way.key)
		}
	}
	if len(ways) > 1 {
		all := "both"
		if len(ways) > 2 {
			all = "all"
		}
		b.fail(atRedis+"."+ways[1], "keep one of them", "%s %s say where redis is", strings.Join(ways, " and "), all)
	}
	switch {
	case r.Host != "":
		b.host(r.Host)
		o.Address = net.JoinHostPort(r.Host, strconv.Itoa(r.Port))
	case r.Socket != "":
		b.socket(r.Socket)
		o.Socket = r.Socket
	case r.Sentinel != nil:
		o.Sentinel = b.sentinel(r.Sentinel)
	case len(r.Cluster) > 0:
		b.cluster(r)
		o.Cluster = r.Cluster
	default:
		return false
	}
	return true
}

func (b *builder) host(host string) {
	if strings.ContainsAny(host, "/[]@ ") || strings.Count(host, ":") == 1 {
		b.fail(atRedis+".host", "write the name or address alone; port, username, password and tls have keys of their own, as have socket, sentinel and cluster", "%s is not a host", shown(host))
	}
}

// socket refuses relative paths: what they are relative to depends on who starts
// the gateway.
func (b *builder) socket(path string) {
	if !filepath.IsAbs(path) {
		b.fail(atRedis+".socket", "write the path that unixsocket has in the server's configuration, such as /run/redis/redis.sock", "%s is not an absolute path", shown(path))
	}
}

func (b *builder) sentinel(s *config.Sentinel) *redis.Sentinel {
	const at = atRedis + ".sentinel"
	b.addresses(at+".addresses", s.Addresses)
	if s.Username != "" && s.Password == "" {
		b.fail(at+".username", "add password, or remove username", "a user without a password can't log in")
	}
	return &redis.Sentinel{Primary: s.Primary, Addresses: s.Addresses, Username: s.Username, Password: s.Password}
}

func (b *builder) cluster(r *config.Redis) {
	b.addresses(atRedis+".cluster", r.Cluster)
	if r.Database != 0 {
		b.fail(atRedis+".database", "remove it; prefix keeps gateways apart", "a cluster has database 0 only")
	}
	if strings.ContainsAny(r.Prefix, "{}") {
		b.fail(atRedis+".prefix", "leave braces out", "in a cluster, what is between braces decides which node has a key")
	}
}

// addresses wants host:port.
func (b *builder) addresses(at string, addresses []string) {
	for i, a := range addresses {
		host, port, err := net.SplitHostPort(a)
		n, bad := strconv.ParseUint(port, 10, 16)
		if err != nil || bad != nil || n == 0 || host == "" || strings.ContainsAny(host, "/@ ") {
			b.fail(fmt.Sprintf("%s[%d]", at, i), "write one such as redis-1.internal:6379 or [2001:db8::1]:6379; username, password and tls have keys of their own", "%s is not host:port", shown(a))
		}
	}
}
